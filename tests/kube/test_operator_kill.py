"""Killed after each single call of a creation, an update, a scaling and a deletion, and started again:
it converges every time. Nothing is remembered that could be lost."""

import itertools
import time

import pytest

from faultproxy import FaultProxy
from processes import eventually
from specs import dpu_service, everything

# Every call but the lease's, which go on for ever, and the watches.
WORK = {"path": r"^(?!.*/leases)", "watch": False}
# What comes before: the lease and the watches.
BEGINNING = {"path": r"leases|watch="}


class Scenario:
    """One DpuService and what is done to it, again and again under new names."""

    def __init__(self, system, proxy):
        self.system = system
        self.proxy = proxy
        # One identity, so that the lease is the next one's at once.
        self.operator = system.prepared(url=proxy.url, identity="the-same")
        self.numbers = itertools.count(1)

    def started(self):
        if not self.operator.alive():
            self.operator.start().wait_leading()
        return self.operator

    def fresh(self):
        """A name, and (for what needs it) a DpuService that is as it should be."""
        return f"s{next(self.numbers)}"

    def existing(self):
        name = self.fresh()
        self.started()
        self.system.apply(everything(name))
        self.system.converged(name)
        self.system.quiet(0.2)
        return name

    def kill_after(self, number, point, act, done):
        """Acts, with a kill at the number-th call; whether it came to that. done is what must hold."""
        kill = self.proxy.kill_at(number, self.operator.kill, point, **WORK)
        act()
        until = time.monotonic() + 30
        while not kill.hit.is_set():
            if done() and self.rest(kill):
                self.proxy.on_call(None)
                return False
            assert time.monotonic() < until, self.system.said()
            time.sleep(0.02)
        self.operator.process.wait(10)
        self.proxy.on_call(None)
        self.started()
        eventually(done, 30, self.system.said)
        return True

    def rest(self, kill):
        """Whether no further call comes."""
        return not kill.hit.wait(0.5)


def create(scenario):
    name = scenario.fresh()
    scenario.started()
    return lambda: scenario.system.apply(everything(name)), lambda: scenario.system.difference(name) is None


def update(scenario):
    name = scenario.existing()
    change = {"spec": {"egress": {"latency": {"value": "77ms"}}, "service": {"ports": {"http": 81}}}}
    return (
        lambda: scenario.system.patch("DpuService", name, change),
        lambda: scenario.system.difference(name) is None,
    )


def shrink(scenario):
    """What was asked for is not any more: children are deleted."""
    name = scenario.existing()
    change = {"spec": {"autoscaling": None, "disruptionBudget": None}}
    return (
        lambda: scenario.system.patch("DpuService", name, change),
        lambda: scenario.system.difference(name) is None,
    )


def scale(scenario):
    name = scenario.existing()
    return (
        lambda: scenario.system.kubectl("scale", f"dpu/{name}", "--replicas=5"),
        lambda: scenario.system.difference(name) is None,
    )


def delete(scenario):
    name = scenario.existing()
    system = scenario.system
    return lambda: system.delete("DpuService", name), lambda: system.dpu(name) is None and not system.children(name)


def run(system, action, points):
    counts = {}
    with FaultProxy(system.cluster) as proxy:
        scenario = Scenario(system, proxy)
        for point in points:
            counts[point] = 0
            for number in itertools.count(1):
                act, done = action(scenario)
                if not scenario.kill_after(number, point, act, done):
                    break
                counts[point] += 1
        scenario.operator.stop()
    print(f"{action.__name__}: " + ", ".join(f"{count} kill points ({point})" for point, count in counts.items()))
    return counts


@pytest.mark.parametrize(
    ("action", "least"), [(create, 6), (update, 3), (shrink, 2), (scale, 1), (delete, 0)], ids=lambda it: getattr(it, "__name__", "")
)
def test_after_each_call(system, action, least):
    counts = run(system, action, ["performed"])
    assert counts["performed"] >= least


@pytest.mark.slow
@pytest.mark.parametrize("action", [create, update, shrink, scale, delete], ids=lambda it: it.__name__)
def test_after_each_answer(system, action):
    """The same when the answer has arrived."""
    run(system, action, ["answered"])


def test_while_it_starts(system):
    """After each call of a start: the lease, the lists and watches."""
    system.apply(dpu_service("s0"))
    with FaultProxy(system.cluster) as proxy:
        operator = system.prepared(url=proxy.url, identity="the-same")
        for number in range(1, 11):  # two for the lease, eight watches
            kill = proxy.kill_at(number, operator.kill, **BEGINNING)
            operator.start()
            assert kill.hit.wait(20), operator.text()
            operator.process.wait(10)
            proxy.on_call(None)
        operator.start().wait_leading()
        system.converged("s0")
        operator.stop()
    print("start: 10 kill points")


def test_killed_at_any_time(system):
    """Again and again, wherever it is, with a crowd of DpuServices that change."""
    operator = system.prepared(identity="the-same").start()
    names = [f"s{number}" for number in range(5)]
    system.apply(*map(dpu_service, names))
    for turn in range(8):
        for name in names:
            system.patch("DpuService", name, {"spec": {"image": f"agent:{turn}"}})
        time.sleep(0.05 * turn)
        operator.killed()
        operator.start()
    system.converged(*names)
