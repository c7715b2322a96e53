"""Calls to the simulated outside world.

    demand                                             test
    latency constant, uniform, exponential             test_constant, test_uniform, test_exponential
    asked and delivered both recorded                  test_constant
    a seed: the same sequence of latencies             test_the_same_seed_asks_for_the_same_latencies
    workers cap the calls outstanding: capacity        test_a_worker_cap_is_a_capacity
    no cap: all at once                                test_without_a_cap_all_calls_run_at_once
    timeout, waiting included: 504                     test_a_call_that_takes_too_long,
                                                       test_waiting_for_a_worker_counts_as_time
    100,000 calls in flight                            test_agent_queues.py
"""

import math
import threading
import time

import pytest

from agentkit import balance, calls, eventually, message, rejected, request

SIGMAS = 5.5  # of a mean: further out by chance once in 26 million runs

ASKED = "dpumesh_egress_latency_asked_seconds"
DELIVERED = "dpumesh_egress_latency_delivered_seconds"


def one_call(start, latency, **egress):
    return start(
        workload={"externalServices": calls(["s1"])}, egress={"latency": latency, **egress}
    )


def ask_many(agent, count):
    with agent.lines(timeout=60) as client:
        sender = threading.Thread(target=client.send, args=[request()] * count)
        sender.start()
        answers = client.receive(count)
        sender.join()
    return [answer["status"] for answer in answers]


def test_constant(start):
    agent = one_call(start, {"distribution": "constant", "value": "30ms"})
    begun = time.monotonic()
    assert ask_many(agent, 100) == [200] * 100
    assert time.monotonic() - begun >= 0.03
    now = agent.metrics()
    assert now.total(ASKED + "_count") == now.total(DELIVERED + "_count") == 100
    assert now.total(ASKED + "_sum") == pytest.approx(3.0)
    assert now.total(DELIVERED + "_sum") >= 3.0
    # None was answered before its time.
    assert now.total(DELIVERED + "_bucket", le="0.025") == 0


def test_uniform(start):
    """Between its bounds; the mean of 2000 draws deviates by 0.1 ms."""
    agent = one_call(start, {"distribution": "uniform", "low": "11ms", "high": "25ms"})
    assert set(ask_many(agent, 2000)) == {200}
    now = agent.metrics()
    assert now.total(ASKED + "_bucket", le="0.01") == 0
    assert now.total(ASKED + "_bucket", le="0.025") == 2000
    deviation = 14e-3 / math.sqrt(12 * 2000)
    assert abs(now.total(ASKED + "_sum") / 2000 - 18e-3) < SIGMAS * deviation
    assert now.total(DELIVERED + "_sum") >= now.total(ASKED + "_sum") - 2000 * 1e-6


def test_exponential(start):
    """The mean of 4000 draws deviates by 1/63 of it; the share below it is 1 - 1/e."""
    agent = one_call(start, {"distribution": "exponential", "mean": "5ms"})
    assert set(ask_many(agent, 4000)) == {200}
    now = agent.metrics()
    assert abs(now.total(ASKED + "_sum") / 4000 - 5e-3) < SIGMAS * 5e-3 / math.sqrt(4000)
    below = 1 - math.exp(-1)
    bound = SIGMAS * math.sqrt(4000 * below * (1 - below))
    assert abs(now.total(ASKED + "_bucket", le="0.005") - 4000 * below) < bound


def sequence(agent, count=12):
    """The latencies asked for, one after another."""
    found, sum_before = [], 0
    with agent.lines() as client:
        for _ in range(count):
            assert client.send(request()).receive()[0]["status"] == 200
            now = agent.metrics().total(ASKED + "_sum")
            found.append(round((now - sum_before) * 1e6))
            sum_before = now
    return found


@pytest.mark.parametrize(
    "latency",
    [
        {"distribution": "exponential", "mean": "2ms"},
        {"distribution": "uniform", "low": "0s", "high": "4ms"},
    ],
    ids=["exponential", "uniform"],
)
def test_the_same_seed_asks_for_the_same_latencies(start, latency):
    first = sequence(one_call(start, {**latency, "seed": 42}))
    assert sequence(one_call(start, {**latency, "seed": 42})) == first
    assert len(set(first)) > 6
    assert sequence(one_call(start, {**latency, "seed": 43})) != first
    drawn = sequence(one_call(start, latency))
    assert sequence(one_call(start, latency)) != drawn  # 0 draws a seed at every start


def test_a_worker_cap_is_a_capacity(start):
    """4 workers at 50 ms: 80 calls a second. 40 requests take ten rounds, whoever sends them."""
    agent = one_call(start, {"value": "50ms"}, workers=4)
    most = []
    done = threading.Event()

    def watch():
        while not done.wait(0.01):
            most.append(agent.metrics().total("dpumesh_egress_in_flight"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.monotonic()
    clients = [agent.lines() for _ in range(8)]
    for client in clients:
        client.send(*[request()] * 5)
    for client in clients:
        with client:
            assert [answer["status"] for answer in client.receive(5)] == [200] * 5
    took = time.monotonic() - begun
    done.set()
    watcher.join()
    assert took >= 10 * 0.050
    assert max(most) == 4


def test_a_worker_cap_counts_calls_and_not_requests(start):
    agent = start(
        workload={"externalServices": calls(["s1"], ["s2"], ["s3"], ["s4"])},
        egress={"latency": {"value": "40ms"}, "workers": 2},
    )
    begun = time.monotonic()
    assert agent.ask()["status"] == 200
    assert time.monotonic() - begun >= 0.080


def test_without_a_cap_all_calls_run_at_once(start):
    agent = one_call(start, {"value": "300ms"})
    begun = time.monotonic()
    with agent.lines() as client:
        client.send(*[request()] * 100)
        eventually(lambda: agent.metrics().total("dpumesh_egress_in_flight") == 100)
        client.receive(100)
    assert 0.3 <= time.monotonic() - begun < 10


def test_a_call_that_takes_too_long(start):
    agent = one_call(start, {"value": "30s"}, timeout="60ms")
    before = agent.metrics()
    begun = time.monotonic()
    answer = agent.ask()
    took = time.monotonic() - begun
    assert answer["status"] == 504
    assert message(answer) == "an external service did not answer in time"
    assert 0.06 <= took < 10
    assert agent.get("/api/v1", "http").status == 504
    balance(before, agent.metrics(), {504: 2})
    assert rejected(agent.metrics()) == {"external_timeout": 2}
    assert agent.metrics().total("dpumesh_egress_calls_failed_total") == 2
    assert agent.metrics().total("dpumesh_egress_in_flight") == 0


def test_waiting_for_a_worker_counts_as_time(start):
    """One worker at 400 ms, 600 ms in all: the first is served, the second is cut off in its call,
    the others while they wait; nobody waits longer than the timeout."""
    agent = one_call(start, {"value": "400ms"}, workers=1, timeout="600ms")
    before = agent.metrics()
    statuses = ask_many(agent, 10)
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {200, 504} and statuses.count(504) >= 5
    balance(before, agent.metrics(), {status: statuses.count(status) for status in {200, 504}})
    assert ask_many(agent, 1) == [200]  # the worker is free again


def test_no_timeout(start):
    agent = one_call(start, {"value": "100ms"}, timeout="0s")
    assert ask_many(agent, 3) == [200] * 3
