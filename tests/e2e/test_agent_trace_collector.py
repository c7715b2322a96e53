"""Traces on their way to a collector: that nobody waits for it, and that what is dropped is counted.

    demand                                              test
    a collector that is down, slow, talks rubbish       test_a_collector_that_is_down, ..._that_never_answers, ..._rubbish
    ... says 429, 503, 400, takes a part                test_try_again_later, test_refused_by_the_collector
    bounded memory, drops counted                       test_a_collector_that_never_answers, test_requests_without_a_record
    a reload under load                                 test_reload_under_load
    what waits is sent at the end, within bounds        test_flush_at_the_end, test_the_flush_is_bounded
    TLS, verified                                       test_tls
"""

import shutil
import threading
import time

import pytest

from agentkit import calls, eventually, request
from cellkit import server_tls
from collectorkit import Answer, Collector
from test_agent_forward import QUIET, ask_many
from test_agent_forward_tls import Authority
from test_agent_trace import dropped, get, outcome, tracing


def books(agent, spans_a_request, sampled):
    """Every span that was wanted was sent, was dropped and counted, or still waits."""
    metrics = agent.metrics()
    waiting = metrics.total("dpumesh_trace_records")
    gone = metrics.total("dpumesh_trace_spans_exported_total") + sum(dropped(metrics).values())
    return outcome(metrics, "sampled") == sampled and waiting == 0 and gone == spans_a_request * sampled


def test_a_collector_that_is_down(start):
    """Nobody listens: every request is answered as ever, and all spans are dropped and counted."""
    with Collector() as collector:
        nobody = collector.url
    agent = start(tracing=tracing(nobody, queue=16384, batch=4096))
    assert ask_many(agent, 1000) == [200] * 1000
    eventually(lambda: books(agent, 4, 1000), timeout=60)
    assert dropped(agent.metrics()) == {"failed": 4000}
    retried = agent.metrics().total("dpumesh_trace_exports_total", result="retried")
    failed = agent.metrics().total("dpumesh_trace_exports_total", result="failed")
    assert failed >= 1 and retried == 4 * failed
    agent.wait_log("spans can't be sent")
    assert agent.errors().count("spans can't be sent") == 1


def latency_of(agent, count=300):
    """Median seconds of one request after another."""
    taken = []
    with agent.lines() as client:
        for _ in range(count):
            begun = time.monotonic()
            client.send(request())
            client.receive()
            taken.append(time.monotonic() - begun)
    return sorted(taken)[count // 2]


def test_a_collector_that_never_answers(start):
    """It accepts and says nothing: requests take as long as with a good one, and the queue's bound holds."""
    with Collector() as good, Collector(lambda _: Answer(200, delay=60)) as mute:
        fine = start(tracing=tracing(good))
        agent = start(tracing=tracing(mute, queue=64, batch=64, timeout="60s"), limits={"drainTimeout": "300ms"})
        assert ask_many(agent, 2000) == [200] * 2000
        # Once more when somebody else took the processors during one of the two.
        eventually(lambda: latency_of(agent) < 3 * latency_of(fine) + 0.002)
        metrics = agent.metrics()
        assert metrics.total("dpumesh_trace_queue_depth") <= 64
        assert metrics.total("dpumesh_trace_records") <= 64
        wanted = 4 * outcome(metrics, "sampled")
        assert dropped(metrics)["queue"] >= wanted - 4 * (64 + 64)
        agent.expected = 0
        begun = time.monotonic()
        agent.stop()
        assert time.monotonic() - begun < 20, "the collector's time is 60 s"


@pytest.mark.parametrize("rubbish", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\0" * 100, b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut"])
def test_rubbish(start, rubbish):
    """What is no answer is tried again; the good answer that follows takes the spans once."""
    with Collector(lambda number: Answer(rubbish) if number == 1 else Answer(200)) as collector:
        agent = start(tracing=tracing(collector))
        assert agent.ask()["status"] == 200
        collector.wait(4)
        eventually(lambda: books(agent, 4, 1))
        assert collector.posts == 2


def test_try_again_later(start):
    """429 and 503 are tried again: as long later as Retry-After says, or after a wait that doubles."""
    answers = {1: Answer(429, {"Retry-After": "2"}), 2: Answer(503)}
    with Collector(lambda number: answers.get(number, Answer(200))) as collector:
        agent = start(tracing=tracing(collector))
        assert agent.ask()["status"] == 200
        collector.wait(4)
        first, second, third = collector.times
        assert 1.9 <= second - first <= 5
        assert 0.45 <= third - second <= 5
        assert collector.connections == 1
        assert dropped(agent.metrics()) == {}
        eventually(lambda: agent.metrics().total("dpumesh_trace_spans_exported_total") == 4)
        assert agent.metrics().total("dpumesh_trace_exports_total", result="retried") == 2


def test_refused_by_the_collector(start):
    """400 is not tried again; of a partial success the rejected ones count as refused."""
    answers = {1: Answer(400), 2: Answer(200, body=b'{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "no"}}')}
    with Collector(lambda number: answers[number]) as collector:
        agent = start(tracing=tracing(collector))
        assert agent.ask()["status"] == 200
        eventually(lambda: dropped(agent.metrics()) == {"refused": 4})
        assert agent.ask()["status"] == 200
        eventually(lambda: dropped(agent.metrics()) == {"refused": 7})
        assert agent.metrics().total("dpumesh_trace_spans_exported_total") == 1
        assert agent.metrics().total("dpumesh_trace_exports_total", result="refused") == 1


def test_requests_without_a_record(start):
    """More in flight than are recorded: all are answered, the rest is counted."""
    with Collector() as collector:
        agent = start(
            workload={"internalService": {"loader": {"sleepStress": {"run": True, "sleepTime": 0.5}}}},
            tracing=tracing(collector, pending=8, queue=1, batch=1),
        )
        with agent.lines() as client:
            client.send(*[request()] * 40)
            assert [a["status"] for a in client.receive(40)] == [200] * 40
        metrics = agent.metrics()
        assert dropped(metrics)["memory"] == 40 - 9
        assert outcome(metrics, "sampled") == 9


def test_batches(start):
    """By count and by time; the path is a collector's unless the URL has one."""
    with Collector() as collector:
        agent = start(tracing=tracing(collector, batch=10, delay="10s", queue=16384))
        with agent.lines() as client:
            client.send(*[request()] * 95)
            client.receive(95)
        collector.wait(4 * 90)
        assert collector.posts == 9
        assert collector.paths == {"/v1/traces"}
        assert collector.connections == 1
        agent.write({**agent.config, "tracing": tracing(collector.url + "/own/path", delay="50ms")})
        collector.wait(4 * 95)
        assert agent.ask()["status"] == 200
        collector.wait(4 * 96)
        assert collector.paths == {"/v1/traces", "/own/path"}


# ---- reload, end ----


def test_reload_under_load(start):
    """On, off, elsewhere, other bounds, while requests come: none is lost, and no record is left behind."""
    with Collector() as first, Collector() as second:
        agent = start(
            workload={"internalService": QUIET, "externalServices": calls(["s1"])},
            datapath={"mode": "dpu", "profile": "bluefield3-native"},
        )
        agent.wait_serving()
        base = dict(agent.config)
        settings = [
            tracing(first),
            None,
            tracing(second, ratio=0.5, queue=4, pending=16),
            tracing(first, batch=1, delay="0s"),
            tracing(second, ratio=0),
            None,
        ]
        over, statuses = threading.Event(), []

        def load():
            while not over.is_set():
                statuses.extend(ask_many(agent, 400, clients=4))

        thread = threading.Thread(target=load)
        thread.start()
        try:
            for done in range(1, 4 * len(settings) + 1):
                given = settings[(done - 1) % len(settings)]
                agent.write(base if given is None else {**base, "tracing": given})
                eventually(lambda: agent.reloads("accepted") == done)
        finally:
            over.set()
            thread.join()
        assert set(statuses) == {200}
        eventually(lambda: agent.metrics().total("dpumesh_trace_records") == 0)
        # A collector has a request before the agent has its answer.
        eventually(
            lambda: agent.metrics().total("dpumesh_trace_spans_exported_total")
            == len(first.spans) + len(second.spans) > 0
        )
        assert set(dropped(agent.metrics())) <= {"off", "queue", "memory"}


def test_flush_at_the_end(start):
    """What waits for its time is sent when the agent drains."""
    with Collector() as collector:
        agent = start(tracing=tracing(collector, delay="60s"))
        assert ask_many(agent, 80) == [200] * 80
        assert collector.posts == 0
        agent.stop()
        collector.wait(4 * 80)


def test_the_flush_is_bounded(start):
    """A collector that is not there any more holds an agent up no longer than it may drain."""
    with Collector() as collector:
        nobody = collector.url
    agent = start(tracing=tracing(nobody, delay="60s"), limits={"drainTimeout": "2s"})
    assert agent.ask()["status"] == 200
    begun = time.monotonic()
    agent.stop()
    assert time.monotonic() - begun < 15
    agent.wait_log("spans can't be sent")


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")
def test_tls(start, tmp_path):
    """An https endpoint is verified: by the authority that is given, and refused by the system's."""
    authority = Authority(tmp_path, "ours")
    with Collector(tls=server_tls(*authority.issue("good", "IP:127.0.0.1"))) as collector:
        agent = start(tracing=tracing(collector, ca=str(authority.certificate)))
        assert agent.ask()["status"] == 200
        collector.wait(4)
        other = start(tracing=tracing(collector), limits={"drainTimeout": "100ms"})
        assert other.ask()["status"] == 200
        eventually(lambda: other.metrics().total("dpumesh_trace_exports_total", result="retried") >= 1)
        other.wait_log("spans can't be sent")
        collector.wait(4)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")
def test_tls_with_renewed_files(start, tmp_path):
    """The connection to a collector is not kept beyond the authority that it was verified by, and none is lost by it."""
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    ca = tmp_path / "ca.crt"
    shutil.copy(ours.certificate, ca)
    with Collector(tls=server_tls(*ours.issue("good", "IP:127.0.0.1"))) as collector:
        agent = start(tracing=tracing(collector, ca=str(ca)))
        asked = 0

        def ask():
            nonlocal asked
            asked += 1
            return agent.ask()["status"] == 200

        assert ask()
        collector.wait(4)
        shutil.copy(theirs.certificate, ca)
        eventually(lambda: ask() and agent.metrics().total("dpumesh_trace_exports_total", result="retried") >= 1)
        agent.wait_log("spans can't be sent")
        agent.wait_log("section=tracing")
        shutil.copy(ours.certificate, ca)
        collector.wait(4 * asked)
