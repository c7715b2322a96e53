"""Traces (tracing): what is recorded of requests and calls. How it is sent: test_agent_trace_collector.py.

    demand                                              test
    parent and child across services                    test_across_services
    the spans of one request, and their attributes      test_the_spans_of_a_request, test_simulated_calls
    W3C and B3 context in                               test_context_in
    ... and out                                         test_context_out, test_context_out_when_not_sampled
    sampling by ratio, parent-based                     test_ratio, test_the_caller_decides
    errors always                                       test_errors_always, test_errors_across_services, test_refused_at_the_door
    nothing configured, nothing done                    test_off
"""

import collections
import math

import pytest

from agentkit import calls, eventually, http_request, request
from cellkit import Cell
from collectorkit import Collector, check_tree
from test_agent_forward import QUIET, ask_many, caller, leaf

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def tracing(collector, **more):
    return {"endpoint": getattr(collector, "url", collector), "ratio": 1, "delay": "20ms", **more}


def dropped(metrics):
    return {
        dict(labels)["reason"]: int(value)
        for (name, labels), value in metrics.items()
        if name == "dpumesh_trace_spans_dropped_total" and value
    }


def outcome(metrics, kind):
    return int(metrics.total("dpumesh_trace_requests_total", outcome=kind))


def names(spans):
    return collections.Counter(span.name for span in spans)


def named(spans, name):
    (found,) = [span for span in spans if span.name == name]
    return found


def get(agent, headers=(), **more):
    with agent.http() as client:
        return client.raw(http_request(headers=headers, **more)).receive()


def test_off(start):
    agent = start()
    assert agent.ask()["status"] == 200
    metrics = agent.metrics()
    assert sum(v for (name, _), v in metrics.items() if name.startswith("dpumesh_trace")) == 0
    assert metrics.total("process_threads") <= 4


def test_across_services(start):
    """Two calls of s0, one of which calls on: each server span is the child of the call that led to it."""
    with Collector() as collector:
        s2 = leaf(start, "s2", tracing=tracing(collector))
        s1 = start(
            service="s1",
            workload={"internalService": QUIET, "externalServices": calls(["s2"])},
            egress={"mode": "forward"},
            peers={"s2": {"http": peer(s2)}},
            tracing=tracing(collector),
        )
        s0 = start(
            workload={"internalService": QUIET, "externalServices": calls(["s1", "s2"], ["s2"])},
            egress={"mode": "forward"},
            peers={"s1": {"http": peer(s1)}, "s2": {"http": peer(s2)}},
            tracing=tracing(collector),
        )
        for agent in (s0, s1, s2):
            agent.wait_serving()
        assert s0.ask()["status"] == 200
        # s0: 1 server, 3 inner, 3 calls of 2 each; s1: 1, 3, 1 of 2; s2 three times: 1, 3.
        spans = collector.wait(10 + 6 + 3 * 4)
    root = check_tree(spans)
    assert root.service == "s0" and root.kind == "server" and root.attributes["dpumesh.protocol"] == "bridge"
    edges = collections.Counter()
    by_id = {s.id: s for s in spans}
    for span in spans:
        if span.kind == "server" and span.parent:
            assert span.attributes["dpumesh.protocol"] == "http"
            edges[by_id[span.parent].service, span.service] += 1
    assert edges == {("s0", "s1"): 1, ("s0", "s2"): 2, ("s1", "s2"): 1}
    # The calls of one group follow each other, and go into no other trace.
    (first,) = [s for s in spans if s.service == "s0" and s.name == "call s1"]
    second = min((s for s in spans if s.service == "s0" and s.name == "call s2" and s.begin >= first.end), default=None)
    assert second


def peer(agent):
    host, port = agent.address("http")
    return f"http://{host}:{port}/api/v1"


def test_many_requests_across_services(start):
    """Under load nothing is mixed up: as many whole trees as requests."""
    with Collector() as collector:
        s1 = leaf(start, "s1", tracing=tracing(collector, queue=16384))
        s0 = start(
            workload={"internalService": QUIET, "externalServices": calls(["s1"])},
            egress={"mode": "forward"},
            peers={"s1": {"http": peer(s1)}},
            tracing=tracing(collector, queue=16384),
        )
        s0.wait_serving(), s1.wait_serving()
        assert ask_many(s0, 400) == [200] * 400
        spans = collector.wait(400 * (4 + 2 + 4))
    traces = collections.defaultdict(list)
    for span in spans:
        traces[span.trace].append(span)
    assert len(traces) == 400
    for tree in traces.values():
        assert len(tree) == 10
        check_tree(tree, slack_ns=20_000_000)


def test_the_spans_of_a_request(start):
    """Mode dpu: both crossings, with what the model asked and what was delivered."""
    with Collector() as collector:
        agent = start(
            workload={"internalService": {"loader": {"sleepStress": {"run": True, "sleepTime": 0.02}}}},
            datapath={"mode": "dpu", "profile": "bluefield3-native"},
            tracing=tracing(collector),
        )
        assert agent.ask()["status"] == 200
        spans = collector.wait(6)
        # The collector has them; the agent counts them once it has the answer.
        eventually(lambda: agent.metrics().total("dpumesh_trace_spans_exported_total") == 6)
        delta = agent.metrics()
    root = check_tree(spans, slack_ns=1_000_000)
    assert names(spans) == {
        "GET": 1,
        "data path in": 1,
        "ingress submission queue": 1,
        "internal work": 1,
        "ingress completion queue": 1,
        "data path out": 1,
    }
    assert root.attributes == {
        "url.path": "/api/v1",
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "dpumesh.protocol": "bridge",
        "dpumesh.trace.kept_for": "sampling",
    }
    assert not any(span.failed for span in spans)
    assert named(spans, "internal work").end - named(spans, "internal work").begin >= 20e6
    for direction in ("in", "out"):
        crossing = named(spans, f"data path {direction}")
        asked, delivered = (crossing.attributes[f"dpumesh.model.{k}_seconds"] for k in ("asked", "delivered"))
        assert 0 < asked <= delivered + 1e-9
        assert delivered == pytest.approx((crossing.end - crossing.begin) / 1e9, abs=2e-9)
        # The only message there was: the histogram's sum is this span's figure.
        assert asked == pytest.approx(
            delta.total("dpumesh_datapath_delay_asked_seconds_sum", direction=direction), rel=1e-4
        )
    assert dropped(delta) == {}


def test_a_sidecar_asks_for_host_work(start):
    with Collector() as collector:
        agent = start(datapath={"mode": "sidecar", "profile": "envoy-permissive"}, tracing=tracing(collector))
        assert agent.ask()["status"] == 200
        spans = collector.wait(6)
    for direction in ("in", "out"):
        crossing = named(spans, f"data path {direction}")
        assert 0 < crossing.attributes["dpumesh.model.asked_seconds"] < 0.01


def test_simulated_calls(start):
    """A client span a call, with its queue, its crossings, and the latency that was asked for and delivered."""
    with Collector() as collector:
        agent = start(
            workload={"internalService": QUIET, "externalServices": calls(["s1", "s2"], ["s3"])},
            egress={"latency": {"distribution": "constant", "value": "10ms"}},
            datapath={"mode": "dpu", "profile": "bluefield3-native"},
            tracing=tracing(collector),
        )
        assert agent.ask()["status"] == 200
        spans = collector.wait(6 + 3 * 4)
    root = check_tree(spans, slack_ns=1_000_000)
    found = {s.name: s for s in spans if s.kind == "client"}
    assert set(found) == {"call s1", "call s2", "call s3"}
    for name, call in found.items():
        assert call.parent == root.id
        assert call.attributes["peer.service"] == name.split()[1]
        assert call.attributes["dpumesh.egress.mode"] == "simulate"
        assert call.attributes["dpumesh.egress.asked_seconds"] == pytest.approx(0.01)
        assert 0.01 <= call.attributes["dpumesh.egress.delivered_seconds"] < 0.5
        assert call.attributes["http.response.status_code"] == 200
        assert names(s for s in spans if s.parent == call.id) == {
            "egress submission queue": 1,
            "data path out": 1,
            "data path in": 1,
        }
    assert found["call s2"].begin >= found["call s1"].end


@pytest.mark.parametrize(
    ("headers", "trace", "parent"),
    [
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, TRACE, SPAN),
        ({"traceparent": f"cc-{TRACE}-{SPAN}-01-what-comes-later"}, TRACE, SPAN),
        ({"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Sampled": "1"}, TRACE, SPAN),
        ({"X-B3-TraceId": TRACE[16:], "X-B3-SpanId": SPAN, "X-B3-Sampled": "true"}, "0" * 16 + TRACE[16:], SPAN),
        ({"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Flags": "1"}, TRACE, SPAN),
        ({"traceparent": f"00-{TRACE}-{SPAN}-01", "X-B3-TraceId": "1" * 32, "X-B3-SpanId": "2" * 16}, TRACE, SPAN),
        ({"traceparent": f"00-{TRACE}-{SPAN}-1", "X-B3-TraceId": "1" * 32, "X-B3-SpanId": "2" * 16}, "1" * 32, "2" * 16),
        ({"b3": f"{TRACE}-{SPAN}-1", "X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Sampled": "1"}, TRACE, SPAN),
        ({"B3": f"{TRACE}-{SPAN}-d-{'3' * 16}"}, TRACE, SPAN),
        ({"b3": f"{TRACE}-{SPAN}-2"}, None, None),
        ({"traceparent": f"ff-{TRACE}-{SPAN}-01"}, None, None),
        ({"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, None, None),
        ({"X-B3-TraceId": TRACE}, None, None),
        ({"X-Request-Id": "7"}, None, None),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("protocol", ["http", "bridge"])
def test_context_in(start, headers, trace, parent, protocol):
    with Collector() as collector:
        agent = start(tracing=tracing(collector))
        if protocol == "http":
            answer = get(agent, headers)
            assert answer.status == 200
            back = answer.headers
        else:
            answer = agent.ask(headers=headers)
            back = {name.lower(): value for name, value in answer["headers"].items()}
        spans = collector.wait(4)
    for name, value in headers.items():
        if name.lower() != "b3":
            assert back[name.lower()] == value  # contract: they come back as they came
    if "B3" in headers:
        assert (back["x-b3-traceid"], back["x-b3-parentspanid"], back["x-b3-flags"]) == (TRACE, "3" * 16, "1")
    (server,) = [s for s in spans if s.kind == "server"]
    assert server.parent == parent
    if trace:
        assert server.trace == trace
    else:
        assert server.trace not in (TRACE, "0" * 32)
    assert {s.trace for s in spans} == {server.trace}


def test_context_out(start):
    """A muBench cell gets the call's span as its parent, both ways of saying it, and all else unchanged."""
    sent = {"traceparent": f"00-{TRACE}-{SPAN}-01", "X-Request-Id": "r1", "X-B3-Flags": "1", "X-Datadog-Trace-Id": "9"}
    with Collector() as collector, Cell("s1") as cell:
        agent = start(
            workload={"internalService": QUIET, "externalServices": calls(["s1"])},
            egress={"mode": "forward"},
            peers={"s1": {"http": cell.url}},
            tracing=tracing(collector),
        )
        assert get(agent, sent).status == 200
        spans = collector.wait(6)
    call, (asked,) = named(spans, "call s1"), cell.requests
    got = {name.lower(): value for name, value in asked.headers.items()}
    assert got["traceparent"] == f"00-{TRACE}-{call.id}-01"
    assert got["x-b3-traceid"] == TRACE and got["x-b3-spanid"] == call.id and got["x-b3-sampled"] == "1"
    assert got["x-b3-parentspanid"] == call.parent == named(spans, "GET").id
    assert (got["x-request-id"], got["x-b3-flags"], got["x-datadog-trace-id"]) == ("r1", "1", "9")
    assert call.attributes["dpumesh.egress.mode"] == "forward"


@pytest.mark.parametrize("sent, goes_on", [
    ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, True),
    ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}, False),
    ({"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, False),
    ({}, False),
])  # fmt: skip
def test_tracestate_goes_with_its_traceparent(start, sent, goes_on):
    """Unchanged with the call's new parent; with a trace that began here, or came by B3, it would be another's."""
    with Collector() as collector, Cell("s1") as cell:
        agent = start(
            workload={"internalService": QUIET, "externalServices": calls(["s1"])},
            egress={"mode": "forward"},
            peers={"s1": {"http": cell.url}},
            tracing=tracing(collector, ratio=1),
        )
        assert get(agent, {**sent, "tracestate": "rojo=00f067aa0ba902b7,congo=t61"}).status == 200
        collector.wait(6)
    (asked,) = cell.requests
    assert asked.headers["traceparent"].startswith("00-")
    assert asked.headers.get("tracestate") == ("rojo=00f067aa0ba902b7,congo=t61" if goes_on else None)


def test_context_out_when_not_sampled(start):
    """Whoever is called must not decide anew: it is told that this trace is not sampled."""
    with Collector() as collector, Cell("s1") as cell:
        agent = start(
            workload={"internalService": QUIET, "externalServices": calls(["s1"])},
            egress={"mode": "forward"},
            peers={"s1": {"http": cell.url}},
            tracing=tracing(collector, ratio=0),
        )
        assert get(agent).status == 200
        eventually(lambda: outcome(agent.metrics(), "not_sampled") == 1)
        assert collector.posts == 0
    (asked,) = cell.requests
    assert asked.headers["traceparent"].endswith("-00") and asked.headers["x-b3-sampled"] == "0"


def test_without_tracing_headers_go_on_as_they_came(start):
    with Cell("s1") as cell:
        agent = caller(start, calls(["s1"]), {"s1": cell})
        sent = {"traceparent": f"00-{TRACE}-{SPAN}-01", "x-b3-traceid": "1" * 16}
        assert get(agent, sent).status == 200
        assert get(agent).status == 200
    first, second = cell.requests
    assert {name: first.headers[name] for name in sent} == sent
    assert "traceparent" not in second.headers


def test_ratio(start):
    """4000 traces at 0.25: 1000 within 5 standard deviations (27.4), which fails by chance once in 1.7 million runs."""
    count, ratio = 4000, 0.25
    deviation = math.sqrt(count * ratio * (1 - ratio))
    with Collector() as collector:
        agent = start(tracing=tracing(collector, ratio=ratio, queue=16384))
        assert ask_many(agent, count) == [200] * count
        metrics = agent.metrics()
        sampled = outcome(metrics, "sampled")
        assert abs(sampled - count * ratio) <= 5 * deviation
        assert sampled + outcome(metrics, "not_sampled") == count
        spans = collector.wait(4 * sampled)
    assert len({s.trace for s in spans}) == sampled


@pytest.mark.parametrize(
    ("headers", "ratio", "kept"),
    [
        ({"traceparent": f"00-{TRACE}-{SPAN}-00"}, 1, False),
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, 0, True),
        ({"X-B3-Sampled": "0"}, 1, False),
        ({"X-B3-Sampled": "1"}, 0, True),
        ({"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Sampled": "0"}, 1, False),
        ({"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN}, 1, True),
        ({"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN}, 0, False),
    ],
)
def test_the_caller_decides(start, headers, ratio, kept):
    with Collector() as collector:
        agent = start(tracing=tracing(collector, ratio=ratio))
        assert get(agent, headers).status == 200
        eventually(lambda: outcome(agent.metrics(), "sampled" if kept else "not_sampled") == 1)
        if kept:
            collector.wait(4)
        else:
            assert collector.posts == 0


def test_errors_always(start):
    """Not sampled, but answered 5xx: sent; the others are not. errors: false sends neither."""
    with Collector() as collector:
        agent = start(
            workload={"internalService": QUIET, "externalServices": calls(["s1"])},
            peers={},
            tracing=tracing(collector, ratio=0),
        )
        assert agent.ask()["status"] == 500
        assert agent.ask(path="/nowhere")["status"] == 404
        assert agent.ask(method="POST", body='{"s0": []}')["status"] == 200
        spans = collector.wait(4)
        server = named(spans, "GET")
        assert server.failed and server.attributes["http.response.status_code"] == 500
        assert server.attributes["error.type"] == "external_error"
        assert server.attributes["dpumesh.trace.kept_for"] == "error"
        agent.write({**agent.config, "tracing": {**agent.config["tracing"], "errors": False}})
        eventually(lambda: agent.reloads("accepted") == 1)
        assert agent.ask()["status"] == 500
        eventually(lambda: outcome(agent.metrics(), "not_sampled") == 3)
        assert outcome(agent.metrics(), "error") == 1
        collector.wait(4)


def test_errors_across_services(start):
    """An error that comes from below is a whole tree, although nobody sampled it."""
    with Collector() as collector:
        s1 = start(
            service="s1",
            workload={"internalService": QUIET, "externalServices": calls(["nobody"])},
            peers={},
            tracing=tracing(collector, ratio=0),
        )
        s0 = start(
            workload={"internalService": QUIET, "externalServices": calls(["s1"])},
            egress={"mode": "forward"},
            peers={"s1": {"http": peer(s1)}},
            tracing=tracing(collector, ratio=0),
        )
        s0.wait_serving(), s1.wait_serving()
        assert s0.ask()["status"] == 500
        spans = collector.wait(6 + 4)
    check_tree(spans)
    call = named(spans, "call s1")
    assert call.failed and call.attributes["error.type"] == "error"
    assert {s.service for s in spans if s.kind == "server" and s.failed} == {"s0", "s1"}


def test_refused_at_the_door(start):
    """A request that is answered 503 before it has a message has a span all the same."""
    with Collector() as collector:
        agent = start(
            workload={"internalService": {"loader": {"sleepStress": {"run": True, "sleepTime": 0.3}}}},
            limits={"requests": 1},
            tracing=tracing(collector, ratio=0),
        )
        with agent.lines() as client:
            client.send(request(), request(headers={"traceparent": f"00-{TRACE}-{SPAN}-00"}))
            assert sorted(a["status"] for a in client.receive(2)) == [200, 503]
        (span,) = collector.wait(1)
    assert (span.trace, span.parent, span.failed) == (TRACE, SPAN, True)
    assert span.attributes["error.type"] == "too_many_requests"


# ---- collectors in trouble ----
