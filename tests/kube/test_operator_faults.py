"""A network and an API server that fail in every way (faults.py): the operator converges, makes nothing
twice, and does not run in circles."""

import os
import random
import time

import pytest

import specs
from faults import (
    Answer,
    Delay,
    DropBookmarks,
    EndWatch,
    ErrorEvent,
    Reset,
    Rule,
    Stall,
    Truncate,
    everything,
    too_many_requests,
)
from operatorkit import describe
from processes import eventually
from specs import dpu_service

# The client's timeout is --lease-duration less --lease-renew-deadline: a stall must be longer.
FLAGS = {"lease_duration": "3s", "lease_renew_deadline": "2s", "lease_retry": "300ms", "watch_idle": "2s"}
STALL = 1.5
WRITES = [
    *(Answer(status) for status in (400, 401, 403, 404, 409, 410, 422, 500, 503)),
    Answer(504, performed=True),
    Answer(409, performed=True),
    too_many_requests(1),
    Reset("before"),
    Reset("after"),
    Delay(0.5),
    Delay(0.5, "after"),
    Stall(STALL),
    Stall(STALL, after=20),
    Stall(STALL, after=20, then="reset"),
    *(Truncate("head", after) for after in (0, 1, 9, 40)),
    *(Truncate("data", after) for after in (0, 1, 50, 500)),
    Truncate("data", 50, end="reset"),
    Truncate("data", 50, end="close"),
    Truncate("size", 1),
    Truncate("pad", 1),
    Truncate("last", 0),
    Truncate("last", 2),
]
WATCHES = [
    *(Answer(status) for status in (400, 401, 403, 410, 500, 503)),
    too_many_requests(1),
    Reset("before"),
    Reset("after"),
    Delay(0.5),
    EndWatch(0, 0),
    EndWatch(1, 4),
    EndWatch(1, 4, end="reset"),
    EndWatch(1, 4, end="fin"),
    ErrorEvent(0),
    ErrorEvent(2),
    ErrorEvent(2, code=500, reason="InternalError", message="of the server"),
    DropBookmarks(),
    DropBookmarks(initial=True),
    Stall(3, after=200),
    Truncate("head", 20),
    *(Truncate("data", after) for after in (0, 1, 100, 1000)),
    Truncate("data", 100, end="reset"),
    Truncate("size", 1),
]


@pytest.fixture
def proxied(system, proxy):
    """The system with an operator behind the proxy."""
    operator = system.operator(url=proxy.url, **FLAGS)
    yield system
    proxy.plan()
    operator.stop()


def calls(proxy):
    return [call for call in proxy.calls() if "/leases" not in call.path]


def one_round(system, name):
    """A creation, an update, a drift and a deletion."""
    system.apply(dpu_service(name))
    system.converged(name)
    system.patch("DpuService", name, {"spec": {"replicas": 3, "image": "agent:2"}})
    system.converged(name)
    system.delete("Service", name)
    system.converged(name)
    system.delete("DpuService", name)
    system.gone(name)


def test_writes(proxied, proxy):
    for number, fault in enumerate(WRITES):
        proxy.forget()
        name = f"s{number}"
        proxy.plan(Rule(fault, method="PATCH", path=r"^(?!.*/leases)", times=2))
        proxied.apply(dpu_service(name))
        proxied.converged(name)
        assert proxy.calls(fired=True), f"{fault} did not come to pass"
        count = len(calls(proxy))
        assert count < 40, f"{fault}: {count} calls"
        proxied.delete("DpuService", name)
    proxy.plan()


def test_every_write_fails_for_a_while(proxied, proxy):
    """Status tells of it when it lasts; the pauses grow."""
    proxied.apply(dpu_service("s0"))
    proxied.converged("s0")
    proxy.forget()
    proxy.plan(Rule(Answer(500), method="PATCH", path="/(configmaps|services|deployments)/"))
    proxied.patch("DpuService", "s0", {"spec": {"replicas": 3}})
    found = proxied.condition("s0", "Reconciling", "True", reason="ApiServerFailed")
    assert found["message"].startswith("Deployment s0-dpu could not be written: ")
    assert proxied.conditions("s0")["Stalled"]["status"] == "False"
    time.sleep(2)
    assert len(proxy.calls(method="PATCH")) < 25
    proxy.plan()
    proxied.converged("s0")
    eventually(lambda: proxied.conditions("s0")["Ready"]["reason"] == "RollingOut", what="it goes on telling of it")


def test_a_write_whose_answer_is_lost_is_not_made_twice(proxied, proxy):
    """The API server has it: nothing that is sent again changes it."""
    for number, fault in enumerate((Reset("after"), Truncate("data", 10), Answer(504, performed=True))):
        name = f"s{number}"
        proxy.plan(Rule(fault, method="PATCH", path="/(configmaps|services|deployments)/", times=3))
        proxied.apply(dpu_service(name))
        proxied.converged(name)
        proxy.plan()
        proxied.quiet(0.3)
        for (kind, child), live in proxied.children(name).items():
            made = [
                event
                for event in proxied.writes(name=child)
                if event["objectRef"]["resource"] == f"{kind.lower()}s" and event["responseStatus"]["code"] == 201
            ]
            assert len(made) == 1, [describe(event) for event in made]
            assert live["metadata"].get("generation", 1) == 1


def test_watches(proxied, proxy):
    """A fault for each resource at a time; the next round has others."""
    resources = ["dpuservices", "pods", *specs.plurals()]
    for start in range(0, len(WATCHES), len(resources)):
        faults = list(zip(resources, WATCHES[start:]))
        proxy.forget()
        proxy.plan(*[Rule(fault, watch=True, path=rf"/{resource}\?", times=2) for resource, fault in faults])
        proxy.reset_all()
        one_round(proxied, f"s{start}")
        # Some need more events than a quiet resource has.
        met = {call.action for call in proxy.calls(watch=True, fired=True)}
        assert len(met) >= len(faults) // 2, met
        count = len(calls(proxy))
        assert count < 200, f"{count} calls for {faults}"
        proxy.plan()
        time.sleep(1)  # a watch that lasts this long ends the growth of the pauses


def test_lists(system, proxy):
    """Paged lists, for servers that do not stream them."""
    system.apply(*[dpu_service(f"old{number}") for number in range(5)])
    operator = system.prepared(url=proxy.url, paged_lists=True, **FLAGS)
    faults = [Answer(500), Answer(410), Answer(403), Truncate("data", 100), Truncate("head", 9), Reset("after"), Stall(STALL)]
    proxy.plan(*[Rule(fault, method="GET", watch=False, path="limit=", times=3) for fault in faults])
    operator.start().wait_leading(40)
    one_round(system, "s0")
    for number in range(5):
        system.converged(f"old{number}")
    assert len(calls(proxy)) < 200
    proxy.plan()
    operator.stop()


@pytest.mark.parametrize("seconds", [8, pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_everything_at_random(system, proxy, seconds):
    seed = int(os.environ.get("DPUMESH_SEED", random.randrange(1 << 30)))
    print(f"DPUMESH_SEED={seed}")
    draw = random.Random(seed)
    proxy.random.seed(seed)
    operator = system.prepared(url=proxy.url, **FLAGS).start()
    proxy.plan(*everything(0.01, STALL))
    names = [f"s{number}" for number in range(6)]
    living = set()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        name = draw.choice(names)
        if name not in living:
            system.apply(dpu_service(name))
            living.add(name)
        elif draw.random() < 0.2:
            system.delete("DpuService", name)
            living.discard(name)
        elif draw.random() < 0.3:
            system.kubectl("delete", draw.choice(["service", "configmap", "deployment"]), "--all", "--wait=false")
        else:
            system.patch("DpuService", name, {"spec": {"replicas": draw.randrange(5), "image": f"a:{draw.random()}"}})
        time.sleep(0.1)
    print(proxy.summary())
    proxy.plan()
    for name in sorted(living):
        system.converged(name, timeout=60)
    for name in set(names) - living:
        system.gone(name, timeout=60)
    rate = len(calls(proxy)) / seconds
    assert rate < 150, f"{rate} calls a second"
    operator.stop()
