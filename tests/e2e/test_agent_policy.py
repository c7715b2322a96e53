"""L7 policy: limits and faults before a request is admitted, breakers before a call goes out.

    demand                                                     test
    so many at once, then so many a second; 429, Retry-After   test_rate_limit
    ... for each source apart, and what is over the cap as one test_sources_apart
    so many inside, then 503 or 429                            test_concurrency
    faults by percentage; same seed, same sequence             test_faults_by_percentage, test_the_same_seed
    faults by a header, whichever front                        test_faults_by_header
    a delay is a timer, no thread; drain waits for it          test_delays, test_a_drain_waits_for_delays
    a breaker opens, half opens, closes; simulated calls       test_breaker
    ... each destination its own, with its own timeout         test_breakers_apart
    ... real calls, and a 404 is no failure                    test_breaker_of_real_calls
    reload of a policy under load                              test_reload_under_load
    bad policies: one sentence each, the old one stays         test_a_bad_policy_is_refused
    their cost: Arm in mode dpu, the host in mode sidecar      test_what_policies_cost
    the example runs                                           test_the_example
"""

import collections
import json
import math
import signal
import threading
import time

import pytest

from agentkit import TOP, balance, calls, eventually, http_request, rejected, request
from cellkit import Callee, head, say
from test_agent_datapath import profile
from test_agent_forward import caller

POLICY = "dpumesh_policy_requests_total"
STATE = "dpumesh_circuit_breaker_state"


def policy(**parts):
    return {"mode": "direct", "policy": parts}


def burst(agent, count, timeout=60, **fields):
    """So many requests at once on one connection; the answers in order."""
    with agent.lines(timeout=timeout) as client:
        return client.send(*[request(**fields)] * count).receive(count)


def statuses(answers):
    return [answer["status"] for answer in answers]


def outcomes(delta, name):
    found = {}
    for (family, labels), value in delta.items():
        labels = dict(labels)
        if family == POLICY and labels["policy"] == name and value:
            found[labels["outcome"]] = int(value)
    return found


def within(count, n, percent):
    """5 standard deviations of a binomial, plus one: a right agent fails once in 1.7 million tests."""
    p = percent / 100
    return abs(count - n * p) <= 5 * math.sqrt(n * p * (1 - p)) + 1


# ---- rates ----


def test_rate_limit(start):
    agent = start(datapath=policy(rateLimit={"service": {"rate": 200, "burst": 50}})).wait_serving()
    before = agent.metrics()
    got = collections.Counter()
    began = turn = time.monotonic()
    short = 0  # seconds in which there was less demand than the rate
    with agent.lines() as client:
        first = statuses(client.send(*[request()] * 200).receive(200))
        assert first[:50] == [200] * 50, "a burst at once"
        got.update(first)
        while turn - began - short < 2:
            answers = client.send(*[request()] * 20).receive(20)
            got.update(statuses(answers))
            time.sleep(0.005)
            last, turn = turn, time.monotonic()
            short += max(0, turn - last - 20 / 200)
        inner = time.monotonic() - began
        for answer in answers:
            if answer["status"] == 429:
                assert answer["headers"]["Retry-After"] == "1"
                assert json.loads(answer["body"]) == {"message": "over the rate limit; try again later"}
    outer = time.monotonic() - began
    # Demand was above the rate for the rest; the clocks of both ends differ by less than one round each.
    assert 50 + 200 * (inner - short - 0.1) - 1 <= got[200] <= 50 + 200 * outer + 1, (got, inner, outer)
    assert set(got) == {200, 429}
    delta = agent.metrics() - before
    assert outcomes(delta, "service_rate") == {"passed": got[200], "refused": got[429]}
    assert rejected(delta) == {"rate_limited": got[429]}
    balance(before, agent.metrics(), got)


def test_retry_after_tells_when(start):
    """At one in four seconds: after the refusal the answer says how long, over both fronts."""
    agent = start(datapath=policy(rateLimit={"service": {"rate": 0.25, "burst": 1}})).wait_serving()
    assert agent.ask()["status"] == 200
    with agent.http() as client:
        answer = client.raw(http_request()).receive()
    assert (answer.status, answer.phrase) == (429, "Too Many Requests")
    assert answer.headers["retry-after"] in ("3", "4")
    assert agent.ask()["headers"]["Retry-After"] in ("3", "4")
    assert agent.get("/readyz").status == 200, "pages about the agent pass no policy"


def test_sources_apart(start):
    """Three addresses have buckets; those past limits.sources share one. The scraper's counts as a source."""
    agent = start(
        datapath=policy(rateLimit={"source": {"rate": 0.01, "burst": 10}}), limits={"sources": 3}
    ).wait_serving()
    passed = {}
    for last in (2, 3, 4, 5, 2):
        with agent.lines(source=f"127.0.0.{last}") as client:
            got = statuses(client.send(*[request()] * 30).receive(30))
        assert set(got) <= {200, 429}
        passed.setdefault(last, []).append(got.count(200))
    # 127.0.0.1 asked for /readyz; 2 and 3 have their own, 4 and 5 share one, and all is kept between connections.
    assert passed == {2: [10, 0], 3: [10], 4: [10], 5: [0]}
    assert outcomes(agent.metrics(), "source_rate") == {"passed": 30, "refused": 120}


def test_both_rates(start):
    """What one source may not have is not taken from the others."""
    limits = {"service": {"rate": 0.01, "burst": 25}, "source": {"rate": 0.01, "burst": 10}}
    agent = start(datapath=policy(rateLimit=limits)).wait_serving()
    passed = []
    for last in (2, 3, 4):
        with agent.lines(source=f"127.0.0.{last}") as client:
            passed.append(statuses(client.send(*[request()] * 30).receive(30)).count(200))
    assert passed == [10, 10, 5]


# ---- concurrency ----


@pytest.mark.parametrize("status", [503, 429])
def test_concurrency(start, status):
    agent = start(
        datapath=policy(concurrency={"limit": 5, "status": status}),
        workload={"externalServices": calls(["s1"])},
        egress={"latency": {"value": "300ms"}},
    ).wait_serving()
    before = agent.metrics()
    answers = burst(agent, 40)
    assert collections.Counter(statuses(answers)) == {200: 5, status: 35}
    refused = [answer for answer in answers if answer["status"] == status]
    assert all(answer["headers"]["Retry-After"] == "1" for answer in refused)
    assert statuses(burst(agent, 5)) == [200] * 5, "there is room again"
    delta = agent.metrics() - before
    assert outcomes(delta, "concurrency") == {"passed": 10, "refused": 35}
    assert rejected(delta) == {"concurrency_limited": 35}
    balance(before, agent.metrics(), {200: 10, status: 35})


# ---- faults ----


@pytest.mark.parametrize("percent", [0.5, 10, 90])
def test_faults_by_percentage(start, percent):
    agent = start(datapath=policy(faults=[{"abort": {"percent": percent, "status": 502}}])).wait_serving()
    before = agent.metrics()
    got = collections.Counter(statuses(burst(agent, 5000)))
    assert set(got) <= {200, 502}
    assert within(got[502], 5000, percent), got
    delta = agent.metrics() - before
    assert outcomes(delta, "fault") == {"passed": got[200], "aborted": got[502]}
    assert rejected(delta) == {"fault": got[502]}
    balance(before, agent.metrics(), got)


def test_the_same_seed(start):
    def sequence(seed, connections=1):
        faults = [{"abort": {"percent": 30, "status": 500}}, {"abort": {"percent": 30, "status": 404}}]
        agent = start(datapath=policy(seed=seed, faults=faults)).wait_serving()
        found = []
        for _ in range(connections):
            found += statuses(burst(agent, 1000 // connections))
        return found

    first = sequence(7)
    assert set(first) == {200, 404, 500}
    assert sequence(7) == first
    assert sequence(7, connections=10) == first, "by number, whoever asks"
    assert sequence(8) != first
    assert sequence(0) != sequence(0), "0 draws a seed"


def test_faults_by_header(start):
    faults = [
        {"header": {"name": "X-Canary", "value": "yes"}, "abort": {"percent": 100, "status": 418}},
        {"header": {"name": "x-b3-sampled"}, "abort": {"percent": 100, "status": 451}},
    ]
    agent = start(datapath=policy(faults=faults)).wait_serving()
    for headers, status in [
        ({}, 200),
        ({"X-Canary": "yes"}, 418),
        ({"x-canary": "yes"}, 418),
        ({"x-canary": "no"}, 200),
        ({"x-other": "yes"}, 200),
        ({"x-b3-sampled": "0"}, 451),
    ]:
        assert agent.ask(headers=headers)["status"] == status, headers
        with agent.http() as client:
            assert client.raw(http_request(headers=headers)).receive().status == status, headers
    assert rejected(agent.metrics())["fault"] == 6


def test_delays(start):
    """Two thousand wait at once, on timers: no thread and no request more; then they all go on."""
    faults = [{"delay": {"percent": 50, "duration": "400ms"}}, {"delay": {"percent": 50, "duration": "200ms"}}]
    agent = start(datapath=policy(seed=3, faults=faults)).wait_serving()
    before, threads = agent.metrics(), agent.status_of("Threads")
    began, took = time.monotonic(), []
    with agent.prefixed() as client:
        client.send(*[request()] * 100)
        assert set(statuses(client.receive(100))) == {200}
    slowest = time.monotonic() - began
    assert 0.6 <= slowest < 5, "some had both"
    clients = [agent.lines() for _ in range(20)]
    for client in clients:
        client.send(*[request()] * 100)
    assert agent.status_of("Threads") == threads
    for client in clients:
        assert set(statuses(client.receive(100))) == {200}
        client.socket.close()
    for _ in range(24):
        began = time.monotonic()
        assert agent.ask()["status"] == 200
        took.append(time.monotonic() - began)
    # Which of them, the seed says: four kinds, 0, 200, 400 and 600 ms. One that is late may look like another.
    assert {int(t / 0.2) for t in took if t % 0.2 < 0.15} >= {0, 1, 2, 3}, took
    delta = agent.metrics() - before
    found = outcomes(delta, "fault")
    assert set(found) == {"passed", "delayed"}
    assert within(found["delayed"], 2124, 75), found
    balance(before, agent.metrics(), {200: 2124})


def test_delayed_and_aborted(start):
    faults = [{"delay": {"percent": 100, "duration": "200ms"}, "abort": {"percent": 100, "status": 500}}]
    agent = start(datapath=policy(faults=faults), limits={"requests": 8}).wait_serving()
    before, began = agent.metrics(), time.monotonic()
    got = collections.Counter(statuses(burst(agent, 20)))
    assert time.monotonic() - began >= 0.2
    assert got == {500: 8, 503: 12}, "who waits is inside"
    assert rejected(agent.metrics() - before) == {"fault": 8, "too_many_requests": 12}
    assert agent.ask()["status"] == 500
    eventually(lambda: agent.metrics().total("dpumesh_arena_used_bytes") <= 4096)


def test_a_drain_waits_for_delays(start):
    agent = start(datapath=policy(faults=[{"delay": {"percent": 100, "duration": "1s"}}])).wait_serving()
    with agent.lines() as client:
        client.send(*[request()] * 50)
        eventually(lambda: agent.metrics().total("dpumesh_requests_in_flight") == 50)
        agent.signal(signal.SIGTERM)
        assert statuses(client.receive(50)) == [200] * 50
    assert agent.end() == 0


def test_a_client_that_leaves_while_it_waits(start):
    agent = start(datapath=policy(faults=[{"delay": {"percent": 100, "duration": "300ms"}}])).wait_serving()
    client = agent.lines()
    client.send(*[request()] * 50)
    eventually(lambda: agent.metrics().total("dpumesh_requests_in_flight") == 50)
    client.socket.close()
    eventually(lambda: agent.metrics().total("dpumesh_requests_in_flight") == 0)
    assert agent.ask()["status"] == 200


# ---- breakers ----

# A call whose time is over before it leaves the queue tells a breaker nothing, so there is plenty.
SLOW = {"latency": {"value": "1s"}, "timeout": "200ms"}
FAST = {"latency": {"value": "0s"}, "timeout": "2s"}


def one_by_one(agent, count, **fields):
    return [agent.ask(**fields)["status"] for _ in range(count)]


def state(agent, name="s1"):
    return int(agent.metrics().total(STATE, destination=name))


def reload(agent, **parts):
    count = agent.reloads("accepted")
    agent.write({**agent.config, **parts})
    agent.signal(signal.SIGHUP)
    eventually(lambda: agent.reloads("accepted") > count)


def test_breaker(start):
    """Simulated calls that time out. Its state is told by the gauge, its time by the clock."""
    breaker = {"failures": 3, "duration": "2500ms", "probes": 2}
    agent = start(
        workload={"externalServices": calls(["s1"])}, egress={**SLOW, "circuitBreaker": breaker}
    ).wait_serving()
    before = agent.metrics()
    assert one_by_one(agent, 2) == [504, 504]
    assert state(agent) == 0, "closed"
    assert one_by_one(agent, 1) == [504]
    opened = time.monotonic()
    assert state(agent) == 2, "open"
    assert statuses(burst(agent, 50)) == [500] * 50, "not called: they fail at once"
    assert time.monotonic() - opened < 2.5, "this test needs a machine that answers 50 requests in that time"
    delta = agent.metrics() - before
    assert outcomes(delta, "circuit_breaker") == {"passed": 3, "refused": 50}
    assert rejected(delta) == {"external_timeout": 3, "external_error": 50}
    # Its time is over: one probe, which fails, and it is open for as long again.
    time.sleep(max(0, opened + 2.6 - time.monotonic()))
    assert one_by_one(agent, 1) == [504]
    opened = time.monotonic()
    assert state(agent) == 2
    assert one_by_one(agent, 1) == [500]
    # The callee recovers. Two probes go well, one after the other.
    reload(agent, egress={**FAST, "circuitBreaker": breaker})
    assert one_by_one(agent, 1) == [500], "a reload does not close it"
    time.sleep(max(0, opened + 2.6 - time.monotonic()))
    assert one_by_one(agent, 1) == [200]
    assert state(agent) == 1, "half open"
    assert one_by_one(agent, 1) == [200]
    assert state(agent) == 0
    assert one_by_one(agent, 20) == [200] * 20
    delta = agent.metrics() - before
    assert outcomes(delta, "circuit_breaker") == {"passed": 23, "refused": 52, "probe": 3}
    assert delta.total("dpumesh_circuit_breaker_opened_total", destination="s1") == 2


def test_half_open_lets_only_probes_through(start):
    agent = start(
        workload={"externalServices": calls(["s1"])},
        egress={"latency": {"value": "300ms"}, "timeout": "200ms",
                "circuitBreaker": {"failures": 1, "duration": "500ms", "probes": 3}},
    ).wait_serving()  # fmt: skip
    assert one_by_one(agent, 1) == [504]
    reload(agent, egress={"latency": {"value": "300ms"}, "timeout": "5s",
                          "circuitBreaker": {"failures": 1, "duration": "500ms", "probes": 3}})  # fmt: skip
    time.sleep(0.6)
    assert collections.Counter(statuses(burst(agent, 20))) == {200: 3, 500: 17}
    assert state(agent) == 0
    assert statuses(burst(agent, 20)) == [200] * 20


def test_breakers_apart(start):
    """s1 times out by its own timeout and is left alone by its own breaker; s2 has none."""
    agent = start(
        workload={"externalServices": calls(["s2"]), "alternativeBehaviors": {"b": {"externalServices": calls(["s1"])}}},
        egress={
            "latency": {"value": "40ms"},
            "destinations": [{"name": "s1", "mode": "simulate", "timeout": "200ms", "latency": {"value": "1s"},
                              "circuitBreaker": {"failures": 2, "duration": "1h"}}],
        },
    ).wait_serving()  # fmt: skip
    assert one_by_one(agent, 4, query_string="bid=b") == [504, 504, 500, 500]
    assert one_by_one(agent, 4) == [200] * 4
    assert (state(agent), state(agent, "s2")) == (2, 0)
    # Off again: what it knew is forgotten.
    egress = {"latency": {"value": "1ms"}, "destinations": [{"name": "s1", "mode": "simulate"}]}
    reload(agent, egress=egress)
    assert state(agent) == 0
    assert one_by_one(agent, 4, query_string="bid=b") == [200] * 4


def test_breaker_of_real_calls(start):
    status = 404

    def behave(connection, _):
        while head(connection):
            say(connection, f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n")

    with Callee(behave) as callee:
        agent = caller(
            start, calls(["s1"]), {"s1": callee},
            circuitBreaker={"failures": 3, "duration": "2s"},
        )  # fmt: skip
        asked = lambda: int(agent.metrics().total("dpumesh_forward_requests_total", destination="s1"))
        assert one_by_one(agent, 10) == [500] * 10
        assert (asked(), state(agent)) == (10, 0), "who answers 404 is well"
        status = 500
        assert one_by_one(agent, 10) == [500] * 10
        assert (asked(), state(agent)) == (13, 2)
        status = 200
        time.sleep(2.1)
        assert one_by_one(agent, 5) == [200] * 5
        assert (asked(), state(agent)) == (18, 0)


# ---- reload, bad input ----

RELOADS = [
    {},
    {"rateLimit": {"service": {"rate": 1e6}}},
    {"rateLimit": {"service": {"rate": 50}, "source": {"rate": 500, "burst": 7}}},
    {"concurrency": {"limit": 3, "status": 429}},
    {"faults": [{"delay": {"percent": 30, "duration": "30ms"}}], "seed": 4},
    {"faults": [{"delay": {"percent": 30, "duration": "5ms"}, "abort": {"percent": 10}}] * 16},
    {"faults": [{"header": {"name": "x-a"}, "abort": {"percent": 100, "status": 500}}]},
]


@pytest.mark.parametrize("mode", ["direct", "dpu", "sidecar"])
def test_reload_under_load(start, mode):
    agent = start(
        datapath={"mode": mode}, workload={"externalServices": calls(["s1"])}, egress={"latency": {"value": "2ms"}}
    ).wait_serving()
    before, got, rounds, stop = agent.metrics(), collections.Counter(), [], threading.Event()

    def load():
        with agent.lines(timeout=60) as client:
            while not stop.is_set():
                got.update(statuses(client.send(*[request(headers={"x-a": "1"})] * 50).receive(50)))
                rounds.append(50)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(21):
        breaker = {"failures": i % 3, "duration": "5ms"} if i % 3 else {}
        reload(
            agent,
            datapath={"mode": mode, "policy": RELOADS[i % len(RELOADS)]},
            egress={"latency": {"value": "2ms"}, "timeout": "1ms" if i % 4 == 3 else "1s", "circuitBreaker": breaker},
        )
        # A round of each of the four may have begun before.
        done = len(rounds)
        eventually(lambda: len(rounds) > done + 4)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(got) <= {200, 429, 500, 503, 504} and min(got[200], got[429], got[500], got[503]) > 0, got
    balance(before, agent.metrics(), got)
    reload(agent, datapath={"mode": mode}, egress={"latency": {"value": "0s"}})
    assert statuses(burst(agent, 100)) == [200] * 100


@pytest.mark.parametrize(
    "parts, sentence",
    [
        ({"rateLimit": {"service": {"rate": -1}}}, "datapath.policy.rateLimit.service.rate: -1 is below 0"),
        ({"rateLimit": {"source": {"burst": 5}}}, "datapath.policy.rateLimit.source.burst: 5 means nothing without rate"),
        ({"concurrency": {"limit": 5, "status": 500}}, "datapath.policy.concurrency.status: 500 is neither 429 nor 503"),
        ({"faults": [{"header": {"name": "x"}}]}, "datapath.policy.faults[0]: it does nothing"),
        ({"faults": [{"abort": {"status": 500}}]}, "faults[0].abort.status: 500 means nothing without percent"),
        ({"faults": [{"abort": {"percent": 101}}]}, "datapath.policy.faults[0].abort.percent: 101 is above 100"),
        ({"faults": [{"header": {"value": "x"}, "abort": {"percent": 1}}]}, "datapath.policy.faults[0].header.value: "),
        ({"rateLimits": {}}, "datapath.policy.rateLimits: unknown field; did you mean rateLimit?"),
    ],
)
def test_a_bad_policy_is_refused(start, parts, sentence):
    agent = start(datapath=policy(faults=[{"abort": {"percent": 100, "status": 499}}])).wait_serving()
    agent.write({**agent.config, "datapath": policy(**parts)})
    agent.signal(signal.SIGHUP)
    eventually(lambda: agent.reloads("refused") == 1)
    agent.wait_log(sentence)
    assert agent.ask()["status"] == 499


# ---- what they cost ----

ARM, HOST = "dpumesh_dpu_busy_seconds_total", "dpumesh_host_cpu_modelled_seconds_total"
THREE = {
    "rateLimit": {"service": {"rate": 1e8}, "source": {"rate": 1e8}},
    "concurrency": {"limit": 100000},
}


def settled(agent):
    """The metrics once a proxy has nothing to do any more: nobody waits for what a refusal costs it."""
    last = agent.metrics()
    while True:
        time.sleep(0.3)
        now = agent.metrics()
        if all(now.total(HOST, station=side) == last.total(HOST, station=side) for side in ("in", "out")):
            return now
        last = now


def cost(start, kind, parts, count=200, **values):
    """Busy seconds of Arm and modelled ones of the host for so many requests with one call each."""
    agent = start(
        datapath={"mode": kind, "profile": profile(kind, **values), "policy": parts},
        workload={"externalServices": calls(["s1"])},
        egress={"latency": {"value": "0s"}, "circuitBreaker": {"failures": 5}},
    ).wait_serving()
    before = agent.metrics()
    got = collections.Counter(statuses(burst(agent, count)))
    delta = settled(agent) - before
    host = delta.total(HOST, station="in") + delta.total(HOST, station="out")
    return got, delta.total(ARM, unit="arm"), host, delta.total("dpumesh_policy_modelled_seconds_total"), delta


def test_what_policies_cost(start):
    """Three for each request, the breaker for each call, at 2 us each: 8 us a request, of whom the mode says."""
    got, arm, host, work, _ = cost(start, "dpu", THREE, policyMessage=2000)
    assert got == {200: 200}
    assert (arm, host, work) == (pytest.approx(200 * 8e-6), 0, pytest.approx(200 * 8e-6))
    got, arm, host, work, _ = cost(start, "sidecar", THREE, policyMessage=2000)
    assert got == {200: 200}
    assert (arm, host, work) == (0, pytest.approx(200 * 8e-6), pytest.approx(200 * 8e-6))
    # A profile that says nothing of it, as those of before.
    assert cost(start, "dpu", THREE)[1:4] == (0, 0, 0)


def test_a_refused_request_costs_the_proxy_alone(start):
    """Reading it, its policies, answering it: no DMA and no host on the DPU; the proxy in a sidecar."""
    parts = {"rateLimit": {"service": {"rate": 0.001, "burst": 1}}}
    got, arm, host, work, delta = cost(start, "dpu", parts, armMessage=1000, dmaUnits=2, dmaCopy=500, policyMessage=300)
    assert got == {200: 1, 429: 199}
    passed = 4 * 1e-6 + 300e-9 + 300e-9  # in, out, call, result; the limit and the breaker
    assert arm == pytest.approx(passed + 199 * (2e-6 + 300e-9))
    assert delta.total("dpumesh_dma_operations_total") == 4
    assert delta.total("dpumesh_datapath_interrupts_total") <= 4
    got, arm, host, work, delta = cost(start, "sidecar", parts, message=1000, policyMessage=300)
    assert got == {200: 1, 429: 199}
    assert host == pytest.approx(passed + 199 * (2e-6 + 300e-9))


def test_the_example(start):
    """examples/policy.yaml on one agent: what its comments promise."""
    yaml = pytest.importorskip("yaml")
    documents = {d["metadata"]["name"]: d["spec"] for d in yaml.safe_load_all((TOP / "examples/policy.yaml").read_text())}
    spec = documents["shop"]
    assert spec["datapath"]["policy"] and spec["egress"]["circuitBreaker"]
    agent = start(datapath={"mode": "direct", "policy": spec["datapath"]["policy"]}, workload=spec["workload"],
                  egress=spec["egress"]).wait_serving()  # fmt: skip
    assert agent.ask(headers={"x-chaos": "on"})["status"] == 503
    got = collections.Counter(statuses(burst(agent, 400)))
    assert got[429] > 0 and got[200] > 0, got
