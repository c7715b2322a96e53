"""The API server goes away and comes back, and what the operator must present and trust changes."""

import time

import pytest

from faultproxy import FaultProxy
from operatorkit import QUICK_LEASE
from processes import eventually
from specs import dpu_service


def failures(operator):
    """Requests that did not reach the server, or that it refused."""
    return sum(
        value
        for key, value in operator.metrics().items()
        if key.startswith("rest_client_requests_total") and 'code="2' not in key
    )


def works(system, operator, name):
    """A new DpuService is made, and drift of an old one repaired."""
    eventually(operator.is_ready, 40, operator.text)
    system.apply(dpu_service(name))
    system.converged(name, timeout=60)
    system.converged("old", timeout=60)


def settle(system):
    system.apply(dpu_service("old"))
    system.converged("old")


@pytest.mark.parametrize("seconds", [4, pytest.param(120, marks=[pytest.mark.slow, pytest.mark.timeout(400)])])
def test_the_api_server_goes_away(system, seconds):
    operator = system.operator(**QUICK_LEASE)
    settle(system)
    before = failures(operator)
    cpu = operator.metrics()["process_cpu_seconds_total"]
    system.cluster.stop_apiserver()
    began = time.monotonic()
    try:
        time.sleep(seconds)
        operator.page("/healthz")
        operator.wait_line(msg="not leading any more")
        count, seconds = failures(operator) - before, time.monotonic() - began
        # Watches by their backoff; the lease every 0.3 s or so, each attempt a few tries.
        assert count < 7 * (6 + seconds / 8) + 8 * seconds, f"{count} requests failed: it must not hammer"
        assert operator.metrics()["process_cpu_seconds_total"] - cpu < 0.5 + seconds / 10
    finally:
        system.cluster.start_apiserver()
    works(system, operator, "new")
    system.delete("Service", "old")
    system.converged("old")


def test_etcd_is_restarted(system):
    operator = system.operator()
    settle(system)
    system.cluster.restart_etcd(down=1)
    works(system, operator, "new")


def test_the_token_is_rotated(system):
    operator = system.operator(**QUICK_LEASE)
    settle(system)
    operator.account.rotate()
    works(system, operator, "rotated")
    # One that is none, and the right one again.
    operator.account.write_token("nonsense")
    eventually(lambda: any("401" in line["why"] for line in operator.lines(msg="lease not renewed")), 20, operator.text)
    operator.account.rotate()
    works(system, operator, "again")
    assert operator.account.token not in operator.log.read_text() and "nonsense" not in operator.log.read_text()
    # The account is made anew: every token that there was is void.
    operator.account.revoke()
    operator.account.rotate()
    works(system, operator, "anew")


def test_the_authority_is_rotated(system):
    one, two = system.cluster.authorities
    with FaultProxy(system.cluster) as proxy:
        operator = system.prepared(url=proxy.url, **QUICK_LEASE)
        operator.account.trust(one)
        operator.start().wait_leading()
        settle(system)
        proxy.present(two)
        proxy.reset_all()
        eventually(lambda: any("ertificate" in line["why"] for line in operator.lines(msg="lease not renewed")), 20)
        operator.account.trust(two)
        eventually(lambda: len(operator.lines(msg="leading")) >= 1, 20)
        works(system, operator, "new")
        operator.stop()


def test_dead_connections(system):
    """Nothing comes and nobody says so: watches are made anew after --watch-idle."""
    with FaultProxy(system.cluster) as proxy:
        operator = system.operator(url=proxy.url, watch_idle="2s", **QUICK_LEASE)
        settle(system)
        proxy.partition()
        time.sleep(3)
        system.delete("Service", "old")
        proxy.heal()
        works(system, operator, "new")
        operator.stop()
