"""The API server away, slow, without its etcd, with another certificate, and with another token to ask
for: the operator waits without being a burden, and goes on by itself."""

import time

import pytest

pytest.register_assert_rewrite("faultkit")

from faultkit import DURATION, LONG, NOT_LEASES, RETRY, World, cpu_seconds  # noqa: E402
from faults import Delay, Rule  # noqa: E402
from operatorkit import DPUSERVICES  # noqa: E402
from processes import eventually  # noqa: E402
from specs import dpu_service  # noqa: E402

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]  # ./dev campaign; the short ones are in test_operator_{kill,leader,outage,faults}.py

NAMES = ["s0", "s1", "s2"]
REFLECTORS = 7
# How often the first reflector comes back, and how long it may take after a short outage: it has
# waited 0.8, 1.6, ... 30 s (reflector.c).
BACK = 45.0


@pytest.fixture
def world(installed, tmp_path):
    with World(installed, tmp_path) as made:
        made.apply(*map(dpu_service, NAMES))
        yield made


def begin(operator):
    operator.start().wait_leading()
    return operator


def attempts(operator):
    return sum(value for name, value in operator.metrics().items() if name.startswith("rest_client_requests_total"))


class Burden:
    """What the operator costs while it can do nothing; for a `with`."""

    def __init__(self, operator):
        self.operator = operator

    def __enter__(self):
        self.began, self.cpu, self.attempts = time.monotonic(), cpu_seconds(self.operator), attempts(self.operator)
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            return
        assert self.operator.alive(), self.operator.text()
        seconds = time.monotonic() - self.began
        cpu, asked = cpu_seconds(self.operator) - self.cpu, attempts(self.operator) - self.attempts
        # Each reflector: a try at once, then after 0.8 s, doubling, halved at most by the draw. The lease:
        # two calls a retry period, each tried again after 0.1, 0.2, ... s while it may. A sanitizer makes
        # all of it a few times as dear.
        most = REFLECTORS * 6 + 10 * (seconds / RETRY + 1)
        assert asked <= most, f"{asked} requests in {seconds:.1f} s, where {most:.0f} would do"
        assert cpu <= 0.3 + 0.1 * seconds, f"{cpu:.2f} s of CPU in {seconds:.1f} s"
        print(f"{asked:.0f} requests and {cpu:.2f} s of CPU in {seconds:.1f} s")


def restart(cluster):
    """The API server; its connections go on otherwise, with what they were made with."""
    cluster.stop_apiserver()
    start(cluster)


def start(cluster):
    """Starts it again, and the controllers too: after some outages they would wait for half a minute."""
    cluster.start_apiserver()
    path = DPUSERVICES.format("default")
    eventually(lambda: cluster.client.request("GET", path)[0] == 200, 30, "dpuservices are not served")
    cluster.controller_manager.kill()
    cluster.controller_manager.start()


def goes_on(world, number):
    """All is well again, and a change is followed."""
    world.settled(BACK)
    for name in NAMES:
        world.patch("DpuService", name, {"spec": {"replicas": number}})
    world.settled(BACK)
    world.wrote_once()


@pytest.mark.parametrize("seconds", [DURATION + 1, pytest.param(120.0, marks=LONG)])
def test_the_api_server_is_away(world, seconds):
    cluster, operator = world.cluster, begin(world.prepared())
    goes_on(world, 2)
    world.patch("DpuService", "s0", {"spec": {"replicas": 3}})  # what it is at goes on afterwards
    with Burden(operator):
        cluster.stop_apiserver()
        try:
            time.sleep(seconds)
            assert operator.lines(msg="not leading any more"), operator.text()
            assert operator.page("/healthz").startswith("ok")
        finally:
            start(cluster)
    began = time.monotonic()
    goes_on(world, 1)
    print(f"away for {seconds} s; all was well {time.monotonic() - began:.1f} s after it was back")


def test_etcd_is_restarted(world):
    operator = begin(world.prepared())
    goes_on(world, 2)
    with Burden(operator):
        world.cluster.restart_etcd(down=DURATION)
    goes_on(world, 1)


def test_the_token_is_rotated(world):
    """The new one is in the file before the old one ends, as the kubelet does it."""
    operator = begin(world.prepared())
    goes_on(world, 2)
    account = operator.account
    old = account.credential
    account.rotate()
    mark = world.cluster.audit_mark()
    # It reads the file when it is refused, or after a while; the old token is good until then.
    goes_on(world, 1)
    account.revoke()
    account.rotate()

    def asks_as_new():
        return world.cluster.audit(mark, credential=account.credential)

    eventually(asks_as_new, 30, "the new token is not used")
    with Burden(operator):
        time.sleep(2)
    goes_on(world, 2)
    assert account.credential != old and operator.text().count("401") <= 30, "one refusal a request in flight"


def test_a_token_that_is_no_good_for_a_while(world):
    operator = begin(world.prepared())
    goes_on(world, 2)
    operator.account.write_token("this.is.none")
    restart(world.cluster)
    operator.wait_line(30, msg="lease not renewed")
    eventually(lambda: "401" in operator.text(), 30, operator.text)
    with Burden(operator):
        time.sleep(DURATION)
    operator.account.rotate()
    goes_on(world, 1)


def test_the_authority_is_rotated(world):
    """The API server's certificate comes from another authority: who trusts both sees nothing of it, and
    then the first one is not trusted any more."""
    cluster = world.cluster
    first, second = cluster.authorities
    operator = world.prepared()
    operator.account.trust(first)
    begin(operator)
    goes_on(world, 2)
    try:
        operator.account.trust(first, second)
        cluster.serve_with(second)
        restart(cluster)
        goes_on(world, 1)
        operator.account.trust(second)
        operator.killed()
        begin(operator)
        goes_on(world, 2)
    finally:
        cluster.serve_with(first)
    restart(cluster)
    # It trusts the second alone: it is not deceived, and says so.
    eventually(lambda: "certificate" in operator.text(), 30, operator.text)
    assert operator.alive()
    operator.account.trust(first)
    goes_on(world, 1)


def test_an_api_server_that_is_slow(world):
    """Each answer takes longer than the pauses are, and then longer than anybody waits."""
    operator = world.proxied()
    operator.proxy.plan(Rule(Delay(0.2), watch=False), Rule(Delay(0.5, when="after"), path=NOT_LEASES))
    begin(operator)
    goes_on(world, 2)
    # Now nothing is answered in time: the lease runs out.
    operator.proxy.plan(Rule(Delay(4 * DURATION)))
    operator.proxy.reset_all()
    with Burden(operator):
        world.patch("DpuService", "s0", {"spec": {"replicas": 3}})
        operator.wait_line(3 * DURATION, msg="not leading any more")
        time.sleep(2)
    operator.proxy.plan()
    operator.proxy.reset_all()
    goes_on(world, 1)
