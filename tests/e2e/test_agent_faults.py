"""Faults and latencies of simulated destinations.

    demand                                                  test
    a latency for each destination, any distribution        test_each_destination_has_its_latency
    errors by status, partial answers, timeouts: fractions  test_fractions
    ... any of them fails the request: 500, 504             test_what_the_client_is_told
    packet loss is a delay of retransmission                test_loss_is_retransmission
    slow periods are correlated in time                     test_slow_periods
    same seed, same sequence, whatever the threads do       test_the_same_again_whoever_asks
    ... and whatever becomes of calls to others             test_destinations_do_not_disturb_each_other
    ... and what requests draw: calls, sizes, work          test_requests_draw_the_same_again
    a breaker sees them; 404 is no failure                  test_breakers_see_faults
    reload under load                                       test_reload_under_load
    bad faults: one sentence each, the old ones stay        test_bad_faults_are_refused
    the example runs                                        test_the_example

Statistical bounds are 5 standard deviations of a binomial, plus one: a right agent fails one of them in 1.7 million.
"""

import collections
import json
import signal
import threading
import time

import pytest

from agentkit import TOP, balance, calls, eventually, message, rejected, request
from test_agent_egress import ASKED, DELIVERED
from test_agent_policy import burst, reload, statuses, within

CALLS = "dpumesh_egress_simulated_calls_total"
FAULTS = "dpumesh_egress_faults_total"

FAST = {"latency": {"value": "0s", "seed": 7}}
MIXED = {
    "errors": [{"status": 503, "fraction": 0.1}, {"status": 404, "fraction": 0.05}],
    "partial": 0.04,
    "timeouts": 0.03,
}


def caller(start, *names, **egress):
    return start(workload={"externalServices": calls(list(names))}, egress=egress).wait_serving()


def results(delta, destination="s1"):
    """What simulated calls to a destination ended with."""
    found = {}
    for (family, labels), value in delta.items():
        labels = dict(labels)
        if family == CALLS and labels["destination"] == destination and value:
            found[labels["result"]] = int(value)
    return found


def faults(delta):
    return {dict(labels)["kind"]: int(value) for (family, labels), value in delta.items() if family == FAULTS and value}


# ---- latencies ----


def test_each_destination_has_its_latency(start):
    """Of their own, or that of egress; each draws from its own sequence."""
    own = {"distribution": "mixture", "parts": [{"value": "20ms"}, {"value": "60ms", "shift": "1ms"}]}
    agent = caller(
        start, "s1", latency={"value": "1ms"}, destinations=[{"name": "s2", "latency": own}, {"name": "s3", "faults": {}}]
    )
    agent.write({**agent.config, "workload": {"externalServices": calls(["s1"], ["s2"], ["s3"])}})
    reload(agent)
    before = agent.metrics()
    assert set(statuses(burst(agent, 400))) == {200}
    delta = agent.metrics() - before
    assert [results(delta, name) for name in ("s1", "s2", "s3")] == [{"200": 400}] * 3
    assert delta.total(ASKED + "_bucket", le="0.001") == 800
    middle = delta.total(ASKED + "_bucket", le="0.025") - 800
    assert within(middle, 400, 50) and delta.total(ASKED + "_bucket", le="0.1") == 1200
    assert delta.total(ASKED + "_sum") == pytest.approx(800 * 1e-3 + middle * 20e-3 + (400 - middle) * 61e-3)
    assert delta.total(DELIVERED + "_sum") >= delta.total(ASKED + "_sum") - 1200e-6


# ---- fractions ----


def test_fractions(start):
    n = 6000
    agent = caller(start, "s1", **FAST, timeout="300ms", faults=MIXED)
    before = agent.metrics()
    got = collections.Counter()
    for _ in range(6):
        got.update(statuses(burst(agent, n // 6)))
    delta = agent.metrics() - before
    ended, met = results(delta), faults(delta)
    assert set(ended) == {"200", "503", "404", "partial", "timeout"} and sum(ended.values()) == n
    for result, percent in (("503", 10), ("404", 5), ("partial", 4), ("timeout", 3)):
        assert within(ended[result], n, percent), (result, ended)
    assert met == {"error": ended["503"] + ended["404"], "partial": ended["partial"], "timeout": ended["timeout"]}
    assert got == {200: ended["200"], 500: met["error"] + met["partial"], 504: met["timeout"]}
    assert rejected(delta) == {"external_error": got[500], "external_timeout": got[504]}
    assert delta.total("dpumesh_egress_calls_failed_total") == n - got[200]
    # A call that is never answered took as long as it was waited for.
    assert delta.total(ASKED + "_sum") == pytest.approx(got[504] * 0.3, rel=0.2)
    balance(before, agent.metrics(), got)


def test_what_the_client_is_told(start):
    """Each alone and certain. A destination's own faults stand instead of those of all."""
    always = {
        "s1": ({"errors": [{"status": 404, "fraction": 1}]}, 500, "Error in external services request"),
        "s2": ({"errors": [{"status": 504, "fraction": 1}]}, 500, "Error in external services request"),
        "s3": ({"errors": [{"status": 503, "fraction": 1}]}, 500, "Error in external services request"),
        "s4": ({"partial": 1}, 500, "Error in external services request"),
        "s5": ({"timeouts": 1}, 504, "an external service did not answer in time"),
        "s6": ({"loss": {"probability": 1, "rto": "1ms", "retransmissions": 2}}, 500, "Error in external services request"),
        "s7": ({"loss": {"probability": 1, "rto": "1s"}}, 504, "an external service did not answer in time"),
        "s8": ({}, 200, None),
    }
    each = [{"name": name, "faults": what} for name, (what, _, _) in always.items()]
    agent = caller(start, "s1", **FAST, timeout="500ms", faults={"partial": 1}, destinations=each)
    for name, (_, status, sentence) in always.items():
        reload(agent, workload={"externalServices": calls([name])}, egress=agent.config["egress"])
        answer = agent.ask()
        assert answer["status"] == status, name
        assert sentence is None or message(answer) == sentence, name
    reload(agent, workload={"externalServices": calls(["s9"])}, egress=agent.config["egress"])
    assert agent.ask()["status"] == 500, "who is not named has the faults of all"
    now = agent.metrics()
    assert [results(now, f"s{i}") for i in range(1, 10)] == [
        {"404": 1}, {"504": 1}, {"503": 1}, {"partial": 1}, {"timeout": 1}, {"lost": 1}, {"timeout": 1}, {"200": 1}, {"partial": 1},
    ]  # fmt: skip


def test_loss_is_retransmission(start):
    """A third of the transmissions: geometric, 8 ms, 24 ms, 56 ms; after the third the connection is given up."""
    n = 3000
    loss = {"probability": 1 / 3, "rto": "8ms", "retransmissions": 2}
    agent = caller(start, "s1", **FAST, faults={"loss": loss})
    before = agent.metrics()
    got = collections.Counter(statuses(burst(agent, n)))
    delta = agent.metrics() - before
    ended, met = results(delta), faults(delta)
    assert ended == {"200": got[200], "lost": got[500]}
    assert met == {"loss": met["loss"], "lost": got[500]}
    assert within(met["loss"], n, 100 / 3) and within(got[500], n, 100 / 27)
    at_once, once, twice = (delta.total(ASKED + "_bucket", le=le) for le in ("0.0001", "0.01", "0.025"))
    assert at_once == n - met["loss"] and n - twice == got[500]
    assert within(once - at_once, n, 100 * 2 / 9)
    asked = (once - at_once) * 8e-3 + (twice - once) * 24e-3 + got[500] * 56e-3
    assert delta.total(ASKED + "_sum") == pytest.approx(asked)
    assert delta.total(DELIVERED + "_sum") >= asked - n * 1e-6


def test_slow_periods(start):
    """Good for 100 ms in the mean, slow for 50 ms: calls in a row are slow together, and as long as asked for."""
    slow = {"every": "100ms", "length": "50ms", "factor": 4, "extra": "1ms"}
    agent = caller(start, "s1", latency={"value": "1ms", "seed": 3}, faults={"slow": slow})
    seen, before = [], agent.metrics()
    began = time.monotonic()
    with agent.lines() as client:

        while time.monotonic() - began < 6:
            sent = time.monotonic()
            client.send(request()).receive()
            seen.append(time.monotonic() - sent)
    delta = agent.metrics() - before
    met = faults(delta)["slow"]
    assert results(delta) == {"200": len(seen)}
    assert delta.total(ASKED + "_sum") == pytest.approx((len(seen) - met) * 1e-3 + met * 5e-3)
    # Never early: a call that took less than 5 ms was none of the slow ones, and they are runs.
    not_slow = sum(took < 5e-3 for took in seen)
    assert 0 < not_slow <= len(seen) - met
    # Shares of time: 40 cycles in six seconds; their share of it, 1/3, deviates by 0.06, and the
    # time of other threads counts as the state that it fell in.
    share = met * 5e-3 / ((len(seen) - met) * 1e-3 + met * 5e-3)
    assert 0.03 < share < 0.75, share
    long = [took >= 5e-3 for took in seen]
    changes = sum(a != b for a, b in zip(long, long[1:]))
    independent = 2 * sum(long) * (len(long) - sum(long)) / len(long)
    assert changes < independent / 2, (changes, independent)


# ---- reproducible ----


def ask_by(agent, clients, each):
    """So many clients at once, each with its requests."""
    got = collections.Counter()
    lock = threading.Lock()

    def client():
        mine = statuses(burst(agent, each))
        with lock:
            got.update(mine)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


EXPONENTIAL = {"distribution": "exponential", "mean": "2ms", "seed": 42}
LOSSY = {**MIXED, "loss": {"probability": 0.2, "rto": "3ms", "retransmissions": 3}}


def world(start, seed=42, mode="direct", **parts):
    agent = start(
        workload={"externalServices": calls(["s1"], ["s2"])},
        datapath={"mode": mode},
        egress={
            "latency": {**EXPONENTIAL, "seed": seed}, "timeout": "2s", "faults": LOSSY,
            "destinations": [{"name": "s2", "timeout": "2s", "faults": {"errors": [{"status": 500, "fraction": 0.3}]}}],
        },
        **parts,
    )  # fmt: skip
    return agent.wait_serving()


def outcome(agent, clients, each):
    before = agent.metrics()
    ask_by(agent, clients, each)
    delta = agent.metrics() - before
    asked = tuple(int(delta.total(ASKED + "_bucket", le=le)) for le in ("0.001", "0.0025", "0.005", "0.01", "0.025"))
    return results(delta, "s1"), results(delta, "s2"), faults(delta), asked


def test_the_same_again_whoever_asks(start):
    """600 requests: of one client, of twenty at once, through a modelled data path: what calls meet is the same, and
    so are their latencies. Silent calls wait for 2 s."""
    first = outcome(world(start), 1, 600)
    assert len(first[0]) >= 5 and set(first[1]) == {"200", "500"}
    assert outcome(world(start), 20, 30) == first
    assert outcome(world(start, mode="dpu"), 6, 100) == first
    assert outcome(world(start, seed=43), 1, 600) != first


def drawn(start, clients, each, seed=42, threads=1):
    """Calls to each destination, characters of answers and digits of pi of so many requests."""
    groups = [{"services": ["s1", "s2", "s3"], "seqLen": 2, "probabilities": {"s1": 0.2}}, {"services": ["s2"], "probabilities": {"s2": 0.5}}]
    loader = {"sleepStress": {"run": False}, "meanResponseSize": 1, "cpuStress": {"run": True, "rangeComplexity": [1, 60], "threadPoolSize": 3}}
    agent = start(
        workload={"externalServices": groups, "internalService": {"loader": loader}, "threads": threads},
        egress={"latency": {**EXPONENTIAL, "seed": seed}},
    )
    assert set(ask_by(agent.wait_serving(), clients, each)) == {200}
    now = agent.metrics()
    calls_made = [now.total(CALLS, destination=name) for name in ("s1", "s2", "s3")]
    return *calls_made, now.total("mub_response_size_sum"), now.total("dpumesh_pi_digits_total")


def test_requests_draw_the_same_again(start):
    """Of one client and one thread, and of twenty at once on four."""
    first = drawn(start, 1, 300)
    assert drawn(start, 20, 15, threads=4) == first
    other = drawn(start, 1, 300, seed=43)
    assert all(a != b for a, b in zip(other[3:], first[3:]))


def test_the_same_sequence_one_by_one(start):
    def sequence(agent, count):
        return [agent.ask()["status"] for _ in range(count)]

    def made():
        return caller(start, "s1", **FAST, faults={"errors": [{"status": 500, "fraction": 0.3}], "partial": 0.2})

    first = made()
    statuses_of_it = sequence(first, 60)
    assert 5 < statuses_of_it.count(500) < 55
    second = made()
    assert sequence(second, 30) == statuses_of_it[:30]
    reload(second, egress={**second.config["egress"], "workers": 3})
    assert sequence(second, 30) == statuses_of_it[30:], "a reload goes on where it was"
    seeds = second.config["egress"]
    reload(second, egress={**seeds, "latency": {"value": "0s", "seed": 8}})
    reload(second, egress=seeds)
    assert sequence(second, 60) == statuses_of_it, "another seed and back: from the beginning"


def test_destinations_do_not_disturb_each_other(start):
    """s1 alone, and beside calls to others before and between."""
    alone = caller(start, "s1", **FAST, timeout="2s", faults=LOSSY)
    before = alone.metrics()
    burst(alone, 300)
    expected = results(alone.metrics() - before)
    among = start(
        workload={"externalServices": calls(["s0a"], ["s1"], ["s2", "s3"])}, egress={**FAST, "timeout": "2s", "faults": LOSSY}
    ).wait_serving()
    before = among.metrics()
    burst(among, 300)
    delta = among.metrics() - before
    assert results(delta) == expected
    assert results(delta, "s2") != expected


# ---- others ----


def test_breakers_see_faults(start):
    """Errors of 500 and more, broken answers and silence count; 404 does not."""
    breaker = {"failures": 3, "duration": "1h"}
    for what, calls_made in (
        ({"errors": [{"status": 503, "fraction": 1}]}, 3),
        ({"partial": 1}, 3),
        ({"timeouts": 1}, 3),
        ({"errors": [{"status": 404, "fraction": 1}]}, 6),
    ):
        agent = caller(start, "s1", **FAST, timeout="200ms", faults=what, circuitBreaker=breaker)
        for _ in range(6):
            assert agent.ask()["status"] in (500, 504)
        assert sum(results(agent.metrics()).values()) == calls_made, what
        agent.stop()


RELOADS = [
    {},
    {"faults": MIXED, "timeout": "30ms"},
    {"faults": LOSSY, "destinations": [{"name": "s1", "latency": {"value": "3ms"}, "faults": {"partial": 1}}]},
    {"destinations": [{"name": "s1", "faults": {"slow": {"every": "10ms", "length": "10ms", "factor": 3}}}]},
    {"faults": {"errors": [{"status": 400 + i, "fraction": 0.05} for i in range(8)]}, "workers": 50},
]


@pytest.mark.parametrize("mode", ["direct", "dpu"])
def test_reload_under_load(start, mode):
    latency = {"distribution": "exponential", "mean": "2ms"}
    agent = start(
        datapath={"mode": mode}, workload={"externalServices": calls(["s1"], ["s2"])}, egress={"latency": latency}
    ).wait_serving()
    before, got, stop = agent.metrics(), collections.Counter(), threading.Event()

    def load():
        with agent.lines(timeout=60) as client:

            while not stop.is_set():
                got.update(statuses(client.send(*[request()] * 40).receive(40)))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(20):
        egress = {"timeout": "1s", **RELOADS[i % len(RELOADS)], "latency": {**latency, "seed": i % 3}}
        reload(agent, datapath={"mode": mode}, egress=egress)
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    assert got[200] > 0 and got[500] > 0 and set(got) <= {200, 500, 503, 504}, got
    balance(before, agent.metrics(), got)
    reload(agent, datapath={"mode": mode}, egress={"latency": {"value": "0s"}})
    assert statuses(burst(agent, 100)) == [200] * 100
    eventually(lambda: agent.metrics().total("dpumesh_egress_in_flight") == 0)


@pytest.mark.parametrize(
    "egress, sentence",
    [
        ({"faults": {"errors": [{"status": 200, "fraction": 1}]}}, "egress.faults.errors[0].status: 200 is below 400"),
        ({"faults": {"errors": [{"fraction": 1}]}}, "egress.faults.errors[0].status: "),
        ({"faults": {"partial": 1.5}}, "egress.faults.partial: 1.5 is above 1"),
        ({"faults": {"partial": 0.6, "timeouts": 0.6}}, "egress.faults: errors, partial and timeouts are 1.2 of the calls"),
        ({"faults": {"timeouts": 0.1}, "timeout": "0s"}, "egress.faults.timeouts: calls that are never answered need a"),
        ({"faults": {"slow": {"length": "1s"}}}, "egress.faults.slow: slow periods are as good ones"),
        ({"faults": {"slow": {"every": "1ms"}}}, "egress.faults.slow.every: 1ms is below 10ms"),
        ({"faults": {"slow": {"every": "1s"}}}, "egress.faults.slow.every: 1s means nothing without length"),
        ({"faults": {"loss": {"rto": "2m"}}}, "egress.faults.loss.rto: 2m is above 1m"),
        ({"faults": {"loss": {"probability": "1%"}}}, "egress.faults.loss.probability: "),
        ({"destinations": [{"name": "s1", "mode": "forward", "faults": {}}]}, "egress.destinations[0].mode: latency and"),
        ({"faults": {"error": []}}, "egress.faults.error: unknown field; did you mean errors?"),
    ],
)
def test_bad_faults_are_refused(start, egress, sentence):
    agent = caller(start, "s1", **FAST, faults={"partial": 1})
    agent.write({**agent.config, "egress": {**FAST, **egress}})
    agent.signal(signal.SIGHUP)
    eventually(lambda: agent.reloads("refused") == 1)
    agent.wait_log(sentence)
    assert agent.ask()["status"] == 500, "what was in force stays"


def test_the_example(start):
    """examples/faults.yaml on one agent: what its comments promise."""
    yaml = pytest.importorskip("yaml")
    documents = {d["metadata"]["name"]: d["spec"] for d in yaml.safe_load_all((TOP / "examples/faults.yaml").read_text())}
    spec = documents["shop"]
    agent = start(workload=spec["workload"], egress=spec["egress"]).wait_serving()
    before = agent.metrics()
    got = collections.Counter()
    for _ in range(4):
        got.update(statuses(burst(agent, 500)))
    delta = agent.metrics() - before
    assert set(got) == {200, 500, 504}, got
    stock, payment = results(delta, "stock"), results(delta, "payment")
    assert set(stock) >= {"200", "partial"} and set(payment) >= {"200", "503", "timeout"}, (stock, payment)
    assert within(payment["503"], sum(payment.values()), 2)
    assert json.dumps(spec["egress"]).count("seed") == 1
