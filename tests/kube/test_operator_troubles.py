"""Every fault there is (faults.py), again and again, while five DpuServices are created, changed and
deleted: it converges, makes nothing twice, leaks nothing, and does not run in circles. And all of them at
random: `./dev campaign` does that for an hour."""

import os
import random
import time

import pytest

pytest.register_assert_rewrite("faultkit")

import specs  # noqa: E402
from client import ApiError  # noqa: E402
from faultkit import LONG, World, calls, side_by_side  # noqa: E402
from faults import (  # noqa: E402
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
from processes import eventually  # noqa: E402
from specs import dpu_service  # noqa: E402

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]  # ./dev campaign; the short ones are in test_operator_{kill,leader,outage,faults}.py

COUNT = 5
# Longer than a request may take: --lease-duration less --lease-renew-deadline, but in a campaign.
FLAGS = {"request_timeout": "1s", "watch_idle": "3s"}
STALL = 1.6
SOME = 0.3  # of the requests are spoiled


def of_calls(*actions, probability=SOME):
    """Rules for what is no watch: the lease is not spared."""
    return [Rule(action, watch=False, probability=probability / len(actions)) for action in actions]


def of_all(*actions):
    return [Rule(action, probability=SOME / len(actions)) for action in actions]


def of_watches(*actions, probability=0.7):
    return [Rule(action, watch=True, probability=probability / len(actions)) for action in actions]


def cuts(part, *lengths):
    """Truncations of a part of an answer, ended in each way."""
    return [Truncate(part, after, end) for after in lengths for end in ("fin", "reset", "close")]


FAULTS = {
    "cut in the head": of_all(*cuts("head", 0, 1, 9, 40)),
    "cut after the head": of_all(Truncate("data", 0), Truncate("data", 0, "reset")),
    "cut in the data": of_all(*cuts("data", 1, 50, 700)),
    "cut in a chunk's size": of_all(*cuts("size", 0, 1)),
    "cut in a chunk's end": of_all(*cuts("pad", 0, 1)),
    "cut in the last chunk": of_all(*cuts("last", 0, 2, 4)),
    "cut anywhere": of_all(*cuts("all", 1, 100, 300, 900, 2000)),
    "reset before": of_all(Reset("before")),
    "reset after": of_all(Reset("after")),
    "delay": of_all(Delay(0.3), Delay(0.3, "after")),
    "stall before the answer": of_calls(Stall(STALL), probability=0.15),
    "stall within the answer": of_calls(Stall(STALL, after=20), Stall(STALL, after=20, then="reset"), probability=0.15),
    "stall of a watch": of_watches(Stall(5.0, after=200), Stall(5.0, after=200, then="fin"), probability=0.4),
    "401": of_all(Answer(401)),
    "403": of_all(Answer(403)),
    "409": of_calls(Answer(409)),
    "409, performed": of_calls(Answer(409, performed=True)),
    "410": of_all(Answer(410)),
    "429 with Retry-After": of_all(too_many_requests(1)),
    "500": of_all(Answer(500)),
    "500, performed": of_calls(Answer(500, performed=True)),
    "503": of_all(Answer(503)),
    "504, performed": of_all(Answer(504, performed=True)),
    "watches end": of_watches(EndWatch(0, 5), EndWatch(1, 5, "reset"), EndWatch(1, 5, "fin"), EndWatch(1, 5, "close")),
    "410 within a watch": of_watches(ErrorEvent(0), ErrorEvent(3)),
    "500 within a watch": of_watches(ErrorEvent(2, code=500, reason="InternalError", message="etcdserver: no leader")),
    "bookmarks dropped": of_watches(DropBookmarks(initial=True), probability=1.0),
}
# What else a fault needs in order to come to pass.
MORE_FLAGS = {"bookmarks dropped": {"watch_timeout": "1s"}}


def some_services():
    names = [f"s{number}" for number in range(COUNT)]
    full = {key: specs.EVERYTHING[key] for key in ("resources", "autoscaling", "disruptionBudget")}
    return [dpu_service(name, replicas=2, **(full if name == "s1" else {})) for name in names]


def while_it_lasts(world, operator, seconds=2.0):
    """Waits until all is well, but not for long: with this fault it may never be."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and world.trouble():
        time.sleep(0.2)
    assert operator.alive(), operator.text()


def five_lives(world, operator):
    """A creation, a change, a scaling and a deletion of each."""
    services = some_services()
    names = [service["metadata"]["name"] for service in services]
    world.apply(*services)
    while_it_lasts(world, operator)
    for number, name in enumerate(names):
        world.patch("DpuService", name, {"spec": {"egress": {"latency": {"value": f"{number + 1}ms"}}}})
    world.patch("DpuService", "s1", {"spec": {"autoscaling": None, "disruptionBudget": None}})
    while_it_lasts(world, operator)
    for name in names:
        world.patch("DpuService", name, {"spec": {"replicas": 1}})
    world.delete("DpuService", "s3")
    world.delete("DpuService", "s4")
    world.apply(dpu_service("s4"))
    while_it_lasts(world, operator)


def not_in_circles(operator, changes, fired, seconds):
    """Bounds what it asked: a share for each change, for each fault, and for the time."""
    asked = len(operator.proxy.calls())
    most = 30 * changes + 8 * fired + 12 * seconds + 60
    assert asked <= most, f"{asked} requests where {most:.0f} would do"
    return asked


def live_through(installed, folder, name):
    with World(installed, folder) as world:
        operator = world.proxied(**FLAGS, **MORE_FLAGS.get(name, {}))
        began = time.monotonic()
        operator.proxy.plan(*FAULTS[name])
        operator.start()
        five_lives(world, operator)
        fired = len(operator.proxy.calls(fired=True))
        operator.proxy.plan()
        ended = time.monotonic()
        world.settled()
        settled = time.monotonic()
        asked = not_in_circles(operator, 4 * COUNT, fired, settled - began)
        world.wrote_once()
        world.at_rest(operator)
        for service in world.services():
            world.delete("DpuService", service["metadata"]["name"])
        world.settled()
    return fired, asked, settled - ended


@pytest.fixture(scope="module")
def running(request, installed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("troubles")
    return side_by_side(request, lambda name: live_through(installed, folder, name), 5, argument="name")


@pytest.mark.parametrize("name", FAULTS)
def test_five_lives(running, name):
    fired, asked, seconds = running.result(name)
    print(f"{name}: {fired} times, {asked} requests; all was well {seconds:.1f} s after the last")
    assert fired >= 3, "the fault did not come to pass"


@pytest.mark.parametrize("status", [409, 410, 500])
def test_a_status_that_is_refused_is_written_later(installed, tmp_path, status):
    """Also when nothing else happens that would have it looked at again."""
    with World(installed, tmp_path) as world:
        operator = world.proxied(**FLAGS).start().wait_leading()
        refused = {"method": "PATCH", "path": "/dpuservices/.*/status"}
        operator.proxy.plan(Rule(Answer(status), **refused))
        world.apply(dpu_service("s0", replicas=2))
        eventually(lambda: operator.proxy.calls(fired=True), 20, operator.text)
        eventually(lambda: (world.get("Deployment", "s0-dpu") or {}).get("status", {}).get("readyReplicas") == 2, 30)
        time.sleep(0.5)
        operator.proxy.plan()
        world.settled(10.0)
        assert len(operator.proxy.calls(fired=True)) < 30


class Dice:
    """What a user may do to some DpuServices, at random."""

    def __init__(self, world, seed, count=6):
        self.world = world
        self.random = random.Random(seed)
        self.names = [f"s{number}" for number in range(count)]
        self.changes = 0

    def change(self):
        name = self.random.choice(self.names)
        choices = [self.create, self.configure, self.scale, self.configure, self.scale, self.delete, self.damage]
        self.changes += 1
        try:
            self.random.choice(choices)(name)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def create(self, name):
        self.world.apply(dpu_service(name, replicas=self.random.randrange(4)))

    def configure(self, name):
        value = f"{self.random.randrange(1, 1000)}ms"
        self.world.patch("DpuService", name, {"spec": {"egress": {"latency": {"value": value}}}})

    def scale(self, name):
        self.world.patch("DpuService", name, {"spec": {"replicas": self.random.randrange(4)}})

    def delete(self, name):
        self.world.delete("DpuService", name)

    def damage(self, name):
        """A child goes, or is changed."""
        if self.random.random() < 0.5:
            kind, child = self.random.choice([("Service", name), ("ConfigMap", f"{name}-dpu"), ("Deployment", f"{name}-dpu")])
            self.world.delete(kind, child)
        else:
            self.world.patch("ConfigMap", f"{name}-dpu", {"data": {"agent.json": "{}"}})


def at_random(installed, folder, seconds, seed):
    """All faults and all changes; now and then they cease, and then all must be well."""
    with World(installed, folder) as world:
        operator = world.proxied(seed=seed, **FLAGS).start()
        dice, counts, rounds = Dice(world, seed), {}, 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.monotonic()
            before, mark = dice.changes, world.cluster.audit_mark()
            operator.proxy.forget()
            operator.proxy.plan(*everything(0.015, STALL))
            for _ in range(min(150, max(20, int(4 * seconds)))):
                dice.change()
                time.sleep(dice.random.random() * 0.2)
            assert operator.alive(), operator.text()
            operator.proxy.plan()
            world.settled(90.0)
            fired = operator.proxy.calls(fired=True)
            not_in_circles(operator, dice.changes - before, len(fired), time.monotonic() - began)
            for name, count in operator.proxy.summary().items():
                counts[name] = counts.get(name, 0) + count
            assert world.own_writes(mark)
            rounds += 1
        world.at_rest(operator)
        assert calls(operator), "it did nothing"
    return dice.changes, counts, rounds


def seconds_of_text(text):
    """DURATION as seconds; 90, 15m and 1h are fine."""
    return float(text.rstrip("smh")) * {"m": 60, "h": 3600}.get(text[-1], 1)


HOUR = seconds_of_text(os.environ.get("DURATION", "1h"))


@pytest.mark.parametrize(
    "seconds", [8.0, pytest.param(HOUR, marks=[*LONG, pytest.mark.timeout(HOUR + 600)])], ids=["short", "long"]
)
def test_everything_at_random(installed, tmp_path, seconds, capsys):
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    with capsys.disabled():
        print(f"\n  random faults for {seconds:.0f} s, SEED={seed}")
        changes, counts, rounds = at_random(installed, tmp_path, seconds, seed)
        total = sum(counts.values())
        print(f"  {changes} changes, {total} faults in {rounds} rounds: {counts}", end="")
    assert total >= 3
