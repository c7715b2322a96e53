"""Further attempts of calls, real and simulated: which failures, how often, when, and what they cost.

    demand                                                  test
    reset, 5xx and timeouts are tried again when asked for  test_a_second_attempt_helps
    ... and not without                                     test_what_is_not_asked_for_is_not_repeated
    an attempt has a time of its own                        test_attempts_of_a_silent_callee
    a destination's own retries stand instead of the rest   test_each_destination_its_own
    simulated failures are failures: fractions              test_fractions_of_simulated_calls
    ... also over time, 4xx not                             test_which_simulated_failures
    same seed, same attempts, whoever asks                  test_the_same_again_whoever_asks
    the first attempts are those without retries            test_first_attempts_stay_what_they_were
    a budget for each destination                           test_the_budget
    a breaker counts a call once, by its end                test_a_breaker_counts_calls
    the call's timeout ends them                            test_the_calls_timeout
    cost: Arm in mode dpu, the host in mode sidecar         test_what_retries_cost
    where they were before is said                          test_they_have_moved

Statistical bounds are 5 standard deviations of a binomial, plus one: a right agent fails one of them in 1.7 million.
"""

import collections
import signal
import time

import pytest

from agentkit import balance, calls, eventually, message
from cellkit import GOOD, Callee, head, reset, say
from test_agent_datapath import profile
from test_agent_egress import ASKED
from test_agent_faults import EXPONENTIAL, FAST, MIXED, ask_by, caller, faults, results
from test_agent_forward import caller as real_caller
from test_agent_forward import results as real_results
from test_agent_policy import ARM, HOST, burst, outcomes, reload, statuses, within

ONE = {"most": 1, "budget": 100, "backoff": "0s"}


def once_bad(bad):
    """A callee whose first connection misbehaves, and the others answer."""
    def behave(connection, number):
        if number == 1:
            bad(connection)
        else:
            while head(connection):
                say(connection, GOOD)

    return behave


BAD = {
    "reset": ("reset", lambda c: head(c) and reset(c)),
    "cut": ("reset", lambda c: head(c) and say(c, GOOD[:-1])),
    "garbage": ("reset", lambda c: head(c) and say(c, "SSH-2.0-OpenSSH_9.2\r\n\r\n")),
    "503": ("5xx", lambda c: head(c) and say(c, "HTTP/1.1 503 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")),
    "silent": ("timeout", lambda c: head(c) and c.recv(1)),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_second_attempt_helps(start, fault):
    cause, bad = BAD[fault]
    retries = {**ONE, "retryOn": [cause], "perTryTimeout": "300ms" if cause == "timeout" else "0s"}
    with Callee(once_bad(bad)) as callee:
        s0 = real_caller(start, calls(["s1"]), {"s1": callee}, retries=retries).wait_serving()
        assert s0.ask()["status"] == 200
        assert real_results(s0) == {"ok": 1}
        assert callee.accepted == 2
        assert s0.metrics().total("dpumesh_forward_retries_total", cause="budgeted") == 1
        assert outcomes(s0.metrics(), "retry") == {"retried": 1}


@pytest.mark.parametrize("fault", BAD)
def test_what_is_not_asked_for_is_not_repeated(start, fault):
    cause, bad = BAD[fault]
    others = [other for other in ("connect", "reset", "5xx") if other != cause]
    with Callee(once_bad(bad)) as callee:
        s0 = real_caller(start, calls(["s1"]), {"s1": callee}, retries={**ONE, "retryOn": others}, timeout="500ms").wait_serving()
        assert s0.ask()["status"] in (500, 504)
        assert callee.accepted == 1
        assert outcomes(s0.metrics(), "retry") == {}


@pytest.mark.parametrize("most", [0, 2])
def test_attempts_of_a_silent_callee(start, most):
    """Each attempt 100 ms; after the last one 504, long before the call's own 30 s."""
    with Callee(lambda c, _: head(c) and c.recv(1)) as callee:
        retries = {**ONE, "most": most, "retryOn": ["timeout"], "perTryTimeout": "100ms"}
        s0 = real_caller(start, calls(["s1"]), {"s1": callee}, retries=retries).wait_serving()
        begun = time.monotonic()
        answer = s0.ask()
        assert time.monotonic() - begun >= 0.1 * (most + 1)
        assert (answer["status"], message(answer)) == (504, "an external service did not answer in time")
        assert callee.accepted == most + 1
        assert real_results(s0) == {"timeout": 1}


def test_each_destination_its_own(start):
    """s1 as egress says, s2 more often, s3 not at all; real and simulated."""
    with Callee(lambda c, _: head(c) and say(c, "HTTP/1.1 500 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")) as callee:
        s0 = real_caller(
            start, calls(["s1"], ["s2"], ["s3"]), {}, retries={**ONE, "retryOn": ["5xx"]},
            destinations=[
                {"name": "s1", "url": callee.url},
                {"name": "s2", "mode": "simulate", "latency": {"value": "0s"}, "faults": {"errors": [{"status": 500, "fraction": 1}]},
                 "retries": {**ONE, "most": 3, "retryOn": ["5xx"]}},
                {"name": "s3", "url": callee.url, "retries": {"most": 0}},
            ],
        ).wait_serving()  # fmt: skip
        assert s0.ask()["status"] == 500
        now = s0.metrics()
        made = {name: now.total("dpumesh_forward_requests_total", destination=name) for name in ("s1", "s3")}
        assert made == {"s1": 2, "s3": 1}
        assert results(now, "s2") == {"500": 4}


# ---- simulated ----


def attempts(delta, destination="s1"):
    return sum(results(delta, destination).values())


def test_fractions_of_simulated_calls(start):
    """A fifth of the attempts fails, each may be tried once more: 4 % of the calls fail, and a fifth more is made."""
    n = 6000
    wrong = {"errors": [{"status": 503, "fraction": 0.1}], "partial": 0.1}
    agent = caller(start, "s1", **FAST, faults=wrong, retries={**ONE, "retryOn": ["5xx", "reset"]})
    before, got = agent.metrics(), collections.Counter()
    for _ in range(6):
        got.update(statuses(burst(agent, n // 6)))
    delta = agent.metrics() - before
    assert within(got[500], n, 4), got
    again = attempts(delta) - n
    assert within(again, n, 20), again
    assert outcomes(delta, "retry") == {"retried": again}
    assert results(delta)["200"] == got[200]
    assert faults(delta)["error"] + faults(delta)["partial"] == got[500] + again
    balance(before, agent.metrics(), got)


def test_which_simulated_failures(start):
    """Certain failures, twice at most more: which are tried again, and what the client is told in the end."""
    every = ["connect", "reset", "timeout", "5xx"]
    cases = [
        ({"errors": [{"status": 503, "fraction": 1}]}, every, 3, 500),
        ({"errors": [{"status": 404, "fraction": 1}]}, every, 1, 500),
        ({"partial": 1}, every, 3, 500),
        ({"partial": 1}, ["connect", "timeout", "5xx"], 1, 500),
        ({"timeouts": 1}, every, 3, 504),
        ({"timeouts": 1}, ["reset", "5xx"], 1, 504),
        ({"loss": {"probability": 1, "rto": "1ms", "retransmissions": 1}}, every, 3, 500),
        ({"errors": [{"status": 503, "fraction": 1}]}, ["connect"], 1, 500),
    ]
    agent = caller(start, "s1", **FAST)
    for wrong, on, times, status in cases:
        before = agent.metrics()
        retries = {**ONE, "most": 2, "retryOn": on, "perTryTimeout": "40ms"}
        reload(agent, workload={"externalServices": calls(["s1"])}, egress={**FAST, "faults": wrong, "retries": retries})
        assert agent.ask()["status"] == status, (wrong, on)
        delta = agent.metrics() - before
        assert attempts(delta) == times, (wrong, on, results(delta))
        assert outcomes(delta, "retry") == ({"retried": times - 1} if times > 1 else {})


RETRIED = {"most": 3, "budget": 100, "backoff": "2ms", "retryOn": ["reset", "timeout", "5xx"], "perTryTimeout": "500ms"}


def world(start, mode="direct", retries=RETRIED):
    return start(
        workload={"externalServices": calls(["s1"], ["s2"])},
        datapath={"mode": mode},
        egress={"latency": EXPONENTIAL, "timeout": "20s", "faults": MIXED, "retries": retries},
    ).wait_serving()


def outcome(agent, clients, each):
    before = agent.metrics()
    got = ask_by(agent, clients, each)
    delta = agent.metrics() - before
    asked = tuple(int(delta.total(ASKED + "_bucket", le=le)) for le in ("0.001", "0.0025", "0.005", "0.01", "0.025"))
    return results(delta, "s1"), results(delta, "s2"), faults(delta), asked, outcomes(delta, "retry"), got


def test_the_same_again_whoever_asks(start):
    """Of one client, of twenty at once, through a modelled data path: the same attempts with the same ends. As few
    requests as a full budget has retries for, for when all begin at once the calls earn no more than it holds."""
    first = outcome(world(start), 1, 180)
    assert first[4]["retried"] > 40 and first[5][200] > first[5][500] > 0
    assert outcome(world(start), 20, 9)[:5] == first[:5]
    assert outcome(world(start, mode="dpu"), 6, 30)[:5] == first[:5]


def test_first_attempts_stay_what_they_were(start):
    """One by one: a request that went well without retries goes well with them, after one attempt; the others have
    two, and some of them go well."""
    wrong = {"errors": [{"status": 503, "fraction": 0.3}]}

    def one_by_one(**retries):
        agent = caller(start, "s1", **FAST, faults=wrong, retries=retries)
        found = []
        for _ in range(60):
            before = attempts(agent.metrics())
            found.append((agent.ask()["status"], attempts(agent.metrics()) - before))
        agent.stop()
        return found

    without, with_them = one_by_one(), one_by_one(**{**ONE, "retryOn": ["5xx"]})
    assert {made for _, made in without} == {1} and 5 < sum(status == 500 for status, _ in without) < 40
    for (status, _), (later, made) in zip(without, with_them):
        assert made == (1 if status == 200 else 2)
        assert later == 200 or status == 500
    assert sum(later == 200 for later, _ in with_them) > sum(status == 200 for status, _ in without)


def test_the_budget(start):
    """Ten in hand and a tenth of the calls, for each destination: what does not come out of it is refused."""
    wrong = {"errors": [{"status": 503, "fraction": 1}]}
    agent = caller(start, "s1", **FAST, faults=wrong, retries={**ONE, "budget": 10, "retryOn": ["5xx"]})
    reload(agent, workload={"externalServices": calls(["s1"], ["s2"])}, egress=agent.config["egress"])
    assert set(statuses(burst(agent, 200))) == {500}
    now = agent.metrics()
    assert attempts(now, "s1") == attempts(now, "s2") == 200 + 10 + 20
    assert outcomes(now, "retry") == {"retried": 60, "refused": 2 * 200 - 60}


def test_a_breaker_counts_calls(start):
    """Five calls of three attempts each open a breaker of five failures; not the second one."""
    wrong = {"errors": [{"status": 503, "fraction": 1}]}
    agent = caller(
        start, "s1", **FAST, faults=wrong, retries={**ONE, "most": 2, "retryOn": ["5xx"]}, circuitBreaker={"failures": 5, "duration": "1h"}
    )
    for _ in range(8):
        assert agent.ask()["status"] == 500
    assert attempts(agent.metrics()) == 15


def test_the_calls_timeout(start):
    """Attempts of 300 ms each, as many as fit into a second, not ten."""
    retries = {"most": 10, "budget": 100, "backoff": "0s", "retryOn": ["timeout"], "perTryTimeout": "300ms"}
    agent = caller(start, "s1", **FAST, timeout="1s", faults={"timeouts": 1}, retries=retries)
    begun = time.monotonic()
    assert agent.ask()["status"] == 504
    assert time.monotonic() - begun >= 0.9
    assert 2 <= attempts(agent.metrics()) <= 4


# ---- cost ----


def cost(start, kind, **values):
    agent = start(
        datapath={"mode": kind, "profile": profile(kind, armWorkers=2 if kind == "dpu" else 0, **values)},
        workload={"externalServices": calls(["s1"])},
        egress={**FAST, "faults": {"errors": [{"status": 503, "fraction": 1}]}, "retries": {**ONE, "retryOn": ["5xx"]}},
    ).wait_serving()
    before = agent.metrics()
    got = collections.Counter(statuses(burst(agent, 50)))
    delta = agent.metrics() - before
    assert got == {500: 50} and outcomes(delta, "retry") == {"retried": 50}
    return delta.total(ARM, unit="arm"), sum(delta.total(HOST, station=s) for s in ("in", "out")), delta


def test_what_retries_cost(start):
    """The proxy reads the failed answer, thinks, and sends again: twice a message and once the policy, 50 times;
    beside four crossings a request. No DMA on the DPU, nothing of its host."""
    arm, host, delta = cost(start, "dpu", armMessage=1000, policyMessage=300, dmaUnits=2, dmaCopy=500)
    assert arm == pytest.approx(50 * (4e-6 + 2e-6 + 300e-9))
    assert host == 0 and delta.total("dpumesh_dma_operations_total") == 200
    assert delta.total("dpumesh_policy_modelled_seconds_total") == pytest.approx(50 * 300e-9)
    arm, host, delta = cost(start, "sidecar", message=1000, policyMessage=300)
    assert arm == 0 and host == pytest.approx(50 * (4e-6 + 2e-6 + 300e-9))


# ---- bad ones ----


@pytest.mark.parametrize("egress, sentence", [
    ({"forward": {"retries": {"most": 1}}}, "egress.forward.retries: it is egress.retries now, for real and simulated calls; move it there"),
    ({"retries": {"retryOn": ["timeout"]}}, "egress.retries.retryOn: timeout: an attempt has no time of its own; give perTryTimeout above 0s"),
    ({"retries": {"retryOn": ["4xx"]}}, 'egress.retries.retryOn[0]: "4xx" is not connect, reset, timeout or 5xx; did you mean 5xx?'),
    ({"retries": {"retryOn": []}}, "egress.retries.retryOn: an empty list; give some of connect, reset, timeout or 5xx"),
    ({"retries": {"retryOn": ["reset", "reset"]}}, "egress.retries.retryOn[1]: reset stands here twice; remove one"),
    ({"destinations": [{"name": "s1", "retries": {"most": 11}}]}, "egress.destinations[0].retries.most: 11 is above 10; give 0 to 10"),
])  # fmt: skip
def test_they_have_moved(start, egress, sentence):
    """And other bad ones: one sentence each, and the configuration before stays."""
    agent = caller(start, "s1", **FAST)
    agent.write({**agent.config, "egress": egress})
    agent.signal(signal.SIGHUP)
    eventually(lambda: agent.reloads("refused") == 1)
    agent.wait_log(sentence)
    assert agent.ask()["status"] == 200
