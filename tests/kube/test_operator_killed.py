"""SIGKILL after each single API call: the next life of the operator goes on from what the API server
has, and arrives. At "performed" the API server has done what was asked and the operator has not heard;
at "answered" it has heard."""

import itertools
import time

import pytest

pytest.register_assert_rewrite("faultkit")

import specs  # noqa: E402
from faultkit import CAMPAIGN, NOT_LEASES, World, calls, rename, side_by_side  # noqa: E402
from processes import eventually  # noqa: E402
from specs import dpu_service  # noqa: E402

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]  # ./dev campaign; the short ones are in test_operator_{kill,leader,outage,faults}.py

POINTS = ("performed", "answered")
FULL = {
    "resources": specs.EVERYTHING["resources"],
    "autoscaling": specs.EVERYTHING["autoscaling"],
    "disruptionBudget": specs.EVERYTHING["disruptionBudget"],
}
IDENTITIES = itertools.count(1)
KILLED = {}  # (operation, point): the calls after which it was killed


class Lives:
    """An operator that is killed after the first call of an operation, then, in another one of the kind,
    after the second, and so on until the operation is over before that."""

    wanted = {"path": NOT_LEASES, "watch": False}
    most = 60
    spec = {"replicas": 2}

    def __init__(self, world, point):
        self.world = world
        self.point = point
        self.operator = world.proxied()
        self.begin()

    def begin(self):
        self.operator.start().wait_leading()

    def prepare(self, number):
        """What an operation needs, before it is counted."""

    def operate(self, number):
        raise NotImplementedError

    def arm(self, number):
        return self.operator.proxy.kill_at(number, self.operator.killed, self.point, **self.wanted)

    def start_again(self):
        """As the same one, which has the lease at once; in a campaign as another, which waits for it."""
        if CAMPAIGN:
            rename(self.operator, f"life-{next(IDENTITIES)}")
        self.operator.start()

    def over(self):
        """Whether everything is done, and the operator silent."""
        before = len(calls(self.operator))
        if self.world.trouble():
            return False
        time.sleep(0.4)
        return len(calls(self.operator)) == before

    def was_over(self, _call):
        """Whether the operation was, before that call."""
        return False

    def one(self, number):
        """The call after which it was killed, or None."""
        self.prepare(number)
        point = self.arm(number)
        self.operate(number)
        eventually(
            lambda: point.hit.is_set() or self.over(), 60, lambda: f"{self.world.trouble()}\n{self.world.said()}"
        )
        self.operator.proxy.on_call(None)
        if point.hit.is_set():
            if self.was_over(point.call):
                return None
            self.start_again()
        self.world.settled()
        return point.call

    def run(self):
        return list(itertools.takewhile(bool, map(self.one, range(1, self.most))))


class Start(Lives):
    """There is a DpuService that nothing was done for, and the operator comes: lists, watches and the
    lease count too."""

    wanted = {}
    most = 40

    def begin(self):
        pass

    def prepare(self, number):
        if self.operator.alive():
            self.operator.killed()
        self.world.apply(dpu_service(f"s{number}", replicas=2))

    def operate(self, number):
        self.operator.start()

    def was_over(self, call):
        """Renewals of the lease come for ever."""
        return "/leases/" in call.path and not self.world.trouble()


class Creation(Lives):
    def operate(self, number):
        self.world.apply(dpu_service(f"s{number}", **FULL))


class OfOne(Lives):
    """An operation on one and the same DpuService."""

    def begin(self):
        super().begin()
        self.world.apply(dpu_service("s0", **self.spec))
        self.world.settled()


class Update(OfOne):
    def operate(self, number):
        self.world.patch("DpuService", "s0", {"spec": {"egress": {"latency": {"value": f"{number}ms"}}}})


class Scale(OfOne):
    def operate(self, number):
        self.world.kubectl("scale", "dpu/s0", f"--replicas={1 if number % 2 else 3}")


class Removal(OfOne):
    """Children that are not asked for any more."""

    spec = FULL

    def prepare(self, number):
        self.world.patch("DpuService", "s0", {"spec": FULL})
        self.world.settled()

    def operate(self, number):
        self.world.patch("DpuService", "s0", {"spec": {"autoscaling": None, "disruptionBudget": None}})


class Deletion(Lives):
    """In the middle of its creation: what was under way must not stay."""

    def operate(self, number):
        name = f"s{number}"
        self.world.apply(dpu_service(name, **FULL))
        written = len(self.operator.proxy.calls(writes=True, path=NOT_LEASES)) + number // 2
        eventually(
            lambda: not self.operator.alive()
            or len(self.operator.proxy.calls(writes=True, path=NOT_LEASES)) >= written
            or self.world.dpu(name).get("status"),
            20,
            every=0.005,
        )
        self.world.kubectl("delete", f"dpu/{name}", "--wait=false")


OPERATIONS = {
    "start": Start,
    "creation": Creation,
    "update": Update,
    "scale": Scale,
    "removal": Removal,
    "deletion": Deletion,
}


@pytest.fixture(scope="module")
def running(request, installed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")

    def lives(case):
        operation, point = case
        with World(installed, folder) as world:
            killed = OPERATIONS[operation](world, point).run()
            world.wrote_once()
            for service in world.services():
                world.delete("DpuService", service["metadata"]["name"])
            world.settled()
        return killed

    return side_by_side(request, lives, workers=4)


CASES = list(itertools.product(OPERATIONS, POINTS))


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_killed_after_each_call(running, case):
    killed = KILLED[case] = running.result(case)
    least = {"start": 8, "creation": 6, "update": 3, "scale": 2, "removal": 3, "deletion": 3}[case[0]]
    assert len(killed) >= least, killed


def test_count(capsys):
    """Says how many there were."""
    assert not CAMPAIGN or KILLED.keys() == set(CASES)
    with capsys.disabled():
        print()
        for (operation, point), killed in KILLED.items():
            print(f"  {operation}, {point}: {len(killed)}")
        print(f"{sum(map(len, KILLED.values()))} kill points")
