"""Several operators: one writes. Whatever happens to it, another takes over within the time of the
lease, and the API server's audit log shows that no two wrote at a time."""

import contextlib
import itertools
import signal
import time

import pytest

pytest.register_assert_rewrite("faultkit")

import audit  # noqa: E402
from faultkit import CAMPAIGN, DURATION, RETRY, Mover, World, one_writer, side_by_side  # noqa: E402
from processes import eventually  # noqa: E402
from specs import dpu_service  # noqa: E402

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]  # ./dev campaign; the short ones are in test_operator_{kill,leader,outage,faults}.py

# A candidate looks every 2.2 retry periods at the latest (lease.h). The rest is for machines that are
# busy with something else.
LOOK = 2.2 * RETRY
MARGIN = 2.0
NAMES = ["s0", "s1", "s2"]


@contextlib.contextmanager
def killed(leader):
    leader.killed()
    yield
    leader.start()


@contextlib.contextmanager
def stopped(leader):
    """It does not know that it was: its clock has not moved, as far as it can see."""
    leader.kill(signal.SIGSTOP)
    yield
    leader.kill(signal.SIGCONT)


@contextlib.contextmanager
def partitioned(leader):
    leader.proxy.partition()
    yield
    leader.proxy.heal()


@contextlib.contextmanager
def refused(leader):
    """It alone can't reach the API server, and is told so."""
    leader.proxy.refuse()
    yield
    leader.proxy.accept()


@contextlib.contextmanager
def terminated(leader):
    leader.stop()
    yield
    leader.start()


# What happens, and how long the others may take to see it.
ACCIDENTS = {
    "killed": (killed, DURATION + LOOK),
    "stopped": (stopped, DURATION + LOOK),
    "partitioned": (partitioned, DURATION + LOOK),
    "refused": (refused, DURATION + LOOK),
    "terminated": (terminated, LOOK),
}
CASES = list(itertools.product(ACCIDENTS, (2, 3)))


def leader_of(world):
    """The operator that leads, once there is one."""
    return eventually(world.leader, 3 * DURATION, lambda: f"nobody leads: {world.said()}")


def first_write(world, mark, old):
    """Whether somebody else has written since."""
    return any(audit.credential(event) != old.account.credential for event in world.own_writes(mark))


def fail_over(world, accident, most):
    """Has something happen to the leader, and returns how long it took until another one wrote."""
    old = leader_of(world)
    mark = world.cluster.audit_mark()
    began = time.monotonic()
    with accident(old):
        new = eventually(
            lambda: (one := world.leader()) is not old and one, most + MARGIN + 10, world.said, every=0.02
        )
        took = time.monotonic() - began
        eventually(lambda: first_write(world, mark, old), 10, lambda: f"{new.text()[-3000:]} does not write")
        assert took < most + MARGIN, f"it took {took:.2f} s, and may {most + MARGIN:.2f}\n{world.said()}"
        time.sleep(0.3)
    eventually(old.alive)
    time.sleep(RETRY * 3)
    assert world.leader() is not old, "who comes back stands in line"
    return took


def life(installed, folder, case):
    """Accidents, with something to write all the time: two with two operators, so that it comes to who had
    the first one, and one with three."""
    accident, most = ACCIDENTS[case[0]]
    accidents = 4 if CAMPAIGN else 4 - case[1]
    with World(installed, folder) as world:
        for _ in range(case[1]):
            world.proxied().start()
        leader_of(world)
        world.apply(*map(dpu_service, NAMES))
        world.settled()
        mark = world.cluster.audit_mark()
        with Mover(world, NAMES):
            took = [fail_over(world, accident, most) for _ in range(accidents)]
        world.settled()
        proof = one_writer(world, world.mark)
        world.wrote_once(mark)
        assert proof["terms"] == accidents + 1, proof
    return took, proof


@pytest.fixture(scope="module")
def running(request, installed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaders")
    return side_by_side(request, lambda case: life(installed, folder, case), workers=5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_one_writer(running, case, capsys):
    took, proof = running.result(case)
    with capsys.disabled():
        times = " and ".join(f"{seconds:.2f}" for seconds in took)
        print(f"\n  {case[0]}, {case[1]} operators: fail-over in {times} s; {proof['writes']} writes, never two writers")
