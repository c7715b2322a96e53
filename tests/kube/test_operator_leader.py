"""Several operators: one leads, and never do two write."""

import signal
import threading
import time

import pytest

from faultproxy import FaultProxy
from operatorkit import QUICK_LEASE, describe
from processes import eventually
from specs import dpu_service

DURATION, RETRY = 3.0, 0.3


class Writer:
    """Changes DpuServices all the time, so that whoever leads has something to write."""

    def __init__(self, system, count=3):
        self.system = system
        self.names = [f"s{number}" for number in range(count)]
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.error = None

    def __enter__(self):
        self.system.apply(*map(dpu_service, self.names))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join(10)
        assert self.error is None, self.error

    def run(self):
        number = 0
        try:
            while not self.ending.wait(0.02):
                number += 1
                name = self.names[number % len(self.names)]
                self.system.patch("DpuService", name, {"spec": {"image": f"agent:{number}"}})
        except Exception as error:  # pylint: disable=broad-except  # told when the context is left
            self.error = error


def start(system, count, **options):
    operators = [system.prepared(**QUICK_LEASE, **options).start() for _ in range(count)]
    leader = eventually(lambda: next((one for one in operators if is_leading(one)), None), 20, system.said)
    for operator in operators:
        eventually(operator.is_ready, 20, operator.text)
    return leader, [one for one in operators if one is not leader]


def is_leading(operator):
    last = [line["msg"] for line in operator.lines() if line["msg"] in ("leading", "not leading any more")]
    return last[-1:] == ["leading"]


def writes_of(system, operator, mark=None):
    """Of its own token, the lease's and events left out: an event may come a second later."""
    found = system.writes(mark, credential=operator.account.credential)
    return [event for event in found if event["objectRef"]["resource"] not in ("leases", "events")]


def assert_one_writer(system, operators):
    """From the audit log: the writes of each stand together, nobody's between another's. The instant is
    when the API server received them, and all came through one server."""
    events = [(event, number) for number, one in enumerate(operators) for event in writes_of(system, one)]
    events.sort(key=lambda pair: pair[0]["requestReceivedTimestamp"])
    turns = [number for (_, number), (_, before) in zip(events[1:], events) if number != before]
    changes = sum(is_leading_line(line) for one in operators for line in one.lines())
    assert len(turns) <= max(changes - 1, 0), [f"{number} {describe(event)}" for event, number in events]
    return len(events)


def is_leading_line(line):
    return line["msg"] == "leading"


def wait_writing(system, operator, timeout):
    mark = system.cluster.audit_mark()
    began = time.monotonic()
    eventually(lambda: writes_of(system, operator, mark), timeout, system.said)
    return time.monotonic() - began


def test_one_leads_the_others_are_warm(system):
    leader, others = start(system, 3)
    with Writer(system):
        wait_writing(system, leader, 10)
        time.sleep(2)
    for other in others:
        assert not writes_of(system, other) and not other.lines(msg="leading")
        name = 'reflector_items{resource="dpuservices"}'
        assert other.metrics()[name] == 3, "its caches are warm"
    assert assert_one_writer(system, system.operators) > 10


def one_of(system, others, timeout):
    """Who of the others leads now."""
    return eventually(lambda: next((one for one in others if is_leading(one)), None), timeout, system.said)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL", "SIGSTOP"])
def test_the_leader_ends(system, how):
    leader, others = start(system, 3)
    with Writer(system) as writer:
        wait_writing(system, leader, 10)
        began = time.monotonic()
        leader.kill(getattr(signal, how))
        new = one_of(system, others, 20)
        seconds = time.monotonic() - began
        print(f"{how}: another leads after {seconds:.2f} s")
        # A candidate looks every 1 to 2.2 retry periods.
        assert seconds < (0 if how == "SIGTERM" else DURATION) + 2.2 * RETRY + 2
        wait_writing(system, new, 10)
        if how == "SIGSTOP":
            # It slept through its lease: what it had in mind must not be written.
            mark = system.cluster.audit_mark()
            leader.kill(signal.SIGCONT)
            time.sleep(1.5)
            assert not writes_of(system, leader, mark)
            assert not is_leading(leader)
    system.converged(*writer.names)
    assert_one_writer(system, system.operators)


def test_the_leader_is_cut_off(system):
    """A partition: it ceases to lead by its own clock before another one begins, and stands in line again."""
    with FaultProxy(system.cluster) as proxy:
        leader = system.prepared(url=proxy.url, **QUICK_LEASE).start().wait_leading()
        other = system.prepared(**QUICK_LEASE).start()
        eventually(other.is_ready, 20, other.text)
        with Writer(system) as writer:
            wait_writing(system, leader, 10)
            proxy.partition()
            began = time.monotonic()
            one_of(system, [other], 20)
            print(f"partition: another leads after {time.monotonic() - began:.2f} s")
            assert leader.lines(msg="not leading any more"), "it must have ceased before"
            wait_writing(system, other, 10)
            mark = system.cluster.audit_mark()
            proxy.heal()
            time.sleep(2)
            # What was on its way is let through by heal(): it was sent while it led. Nothing else.
            late = writes_of(system, leader, mark)
            assert len(late) <= 16, [describe(event) for event in late]
            assert leader.alive() and not is_leading(leader)
        system.converged(*writer.names)
        other.stop()
        eventually(lambda: is_leading(leader), 20, leader.text)
        system.apply(dpu_service("after"))
        system.converged("after")
        leader.stop()


def test_leading_again_looks_at_all(system):
    """What changed while nobody led is done by whoever leads next, also when that is the same one."""
    with FaultProxy(system.cluster) as proxy:
        operator = system.operator(url=proxy.url, **QUICK_LEASE)
        system.apply(dpu_service("s0"))
        system.converged("s0")
        proxy.refuse()
        operator.wait_line(msg="not leading any more")
        system.delete("Service", "s0")
        system.patch("DpuService", "s0", {"spec": {"replicas": 3}})
        system.apply(dpu_service("s1"))
        proxy.accept()
        eventually(lambda: len(operator.lines(msg="leading")) == 2, 20, operator.text)
        system.converged("s0", "s1")
        operator.stop()


def test_a_lapse_of_the_lease_loses_nothing(system):
    """Renewals that hang until after the deadline, and succeed then: no other leads, nothing is told, and
    what was not written meanwhile is written after."""
    from faults import Delay, Rule

    with FaultProxy(system.cluster) as proxy:
        operator = system.operator(url=proxy.url, **QUICK_LEASE)
        system.apply(dpu_service("s0"))
        system.converged("s0")
        proxy.plan(Rule(Delay(2.2), method="PUT", path="/leases/"))
        for number in range(40):
            system.patch("DpuService", "s0", {"spec": {"image": f"agent:{number}"}})
            time.sleep(0.1)
        proxy.plan()
        system.converged("s0")
        operator.stop()


def test_somebody_deletes_the_lease(system):
    leader, others = start(system, 2)
    with Writer(system):
        wait_writing(system, leader, 10)
        path = f"/apis/coordination.k8s.io/v1/namespaces/dpumesh-system/leases/{system.lease_name}"
        system.client.api("DELETE", path)
        time.sleep(DURATION)
        assert is_leading(leader) and not any(map(is_leading, others))
    assert_one_writer(system, system.operators)
