"""Real calls (egress.mode forward): what goes over the wire, and that both ends of an edge agree.

    demand                                              test
    a chain, a fan; totals of both ends agree           test_a_chain, test_a_fan
    query, travelling headers, subtree of a trace       test_what_travels, test_a_trace_is_posted_on
    nothing of a client's becomes a line of its own     test_a_query_can_not_split_the_request
    a muBench cell calls us, we call it                 test_a_cell_calls_us_and_we_call_it
    kept connections, caps, a full pool                 test_connections_are_kept, test_a_full_pool
    simulate and forward mixed by destination           test_mixed_by_destination
    a reload under load                                 test_reload_under_load
    a loop in the graph ends                            test_a_loop_ends, test_the_hop_limit
    calls under way when it drains                      test_drain
"""

import signal
import socket
import threading
import time

import pytest

from agentkit import balance, calls, eventually, http_request, message, rejected, request
from cellkit import GOOD, PATH, TRAVEL, Callee, Cell, head, say

QUIET = {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 0.01}}


def url(agent):
    host, port = agent.address("http")
    return f"http://{host}:{port}/api/v1"


def caller(start, groups, peers, service="s0", **egress):
    """An agent that forwards; peers: {name: agent, cell or callee}."""
    return start(
        service=service,
        workload={"internalService": QUIET, "externalServices": groups},
        egress={"mode": "forward", **egress},
        peers={name: {"http": peer if isinstance(peer, str) else getattr(peer, "url", None) or url(peer)} for name, peer in peers.items()},
    )


def leaf(start, service, **parts):
    return start(service=service, workload={"internalService": QUIET}, **parts)


def results(agent):
    """{result: count} of the real calls that are over."""
    now = agent.metrics()
    return {
        dict(labels)["result"]: int(value)
        for (name, labels), value in now.items()
        if name == "dpumesh_forward_calls_ended_total" and value
    }


def edge(before, after, destination):
    """How many requests a caller wrote to one callee."""
    return (after - before).total("dpumesh_forward_requests_total", destination=destination)


def ask_many(agent, count, clients=8):
    """Statuses of `count` requests, over that many pipelined connections."""
    statuses, lock = [], threading.Lock()

    def one(share):
        with agent.lines(timeout=60) as client:
            client.send(*[request()] * share)
            found = [answer["status"] for answer in client.receive(share)]
        with lock:
            statuses.extend(found)

    threads = [threading.Thread(target=one, args=[count // clients]) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == count // clients * clients
    return statuses


def test_a_chain(start):
    s2 = leaf(start, "s2")
    s1 = caller(start, calls(["s2"]), {"s2": s2}, service="s1")
    s0 = caller(start, calls(["s1"]), {"s1": s1})
    for agent in (s0, s1, s2):
        agent.wait_serving()
    before = [agent.metrics() for agent in (s0, s1, s2)]
    assert ask_many(s0, 2000) == [200] * 2000
    after = [agent.metrics() for agent in (s0, s1, s2)]
    for i, destination in ((0, "s1"), (1, "s2")):
        assert edge(before[i], after[i], destination) == 2000
        delta = after[i + 1] - before[i + 1]
        assert delta.total("dpumesh_requests_total", protocol="http") == 2000
        assert (after[i] - before[i]).total("dpumesh_forward_calls_total", destination=destination) == 2000
    assert results(s0) == results(s1) == {"ok": 2000}
    balance(before[0], after[0], {200: 2000})


def test_a_fan(start):
    """Groups in parallel, one service twice: each edge has what the graph says."""
    leaves = {name: leaf(start, name) for name in ("s1", "s2", "s3")}
    s0 = caller(start, calls(["s1", "s2"], ["s3", "s1__2"], ["s3"]), leaves)
    for agent in (s0, *leaves.values()):
        agent.wait_serving()
    before = {name: agent.metrics() for name, agent in leaves.items()}
    assert ask_many(s0, 800) == [200] * 800
    for name, times in (("s1", 2), ("s2", 1), ("s3", 2)):
        delta = leaves[name].metrics() - before[name]
        assert delta.total("dpumesh_requests_total", protocol="http") == 800 * times
        assert s0.metrics().total("dpumesh_forward_requests_total", destination=name) == 800 * times


def test_a_whole_group_keeps_its_order(start):
    """seqLen of the group's size is no sample."""
    with Cell("s1") as cell:
        elsewhere = cell.url.replace(PATH, "/elsewhere")
        s0 = caller(start, [{"services": ["s2", "s1"], "seqLen": 2}], {"s1": cell.url, "s2": elsewhere})
        assert [s0.ask()["status"] for _ in range(20)] == [500] * 20  # of the 404
        assert [request.path for request in cell.requests] == ["/elsewhere", PATH] * 20


def test_what_travels(start):
    with Cell("s1") as cell:
        s0 = caller(start, calls(["s1"]), {"s1": cell})
        headers = {name: f"v-{i}" for i, name in enumerate(TRAVEL)}
        answer = s0.ask(query_string="a=1&b=x%20y", headers={**headers, "X-Own": "stays"})
        assert answer["status"] == 200
        (seen,) = cell.requests
        assert (seen.method, seen.path, seen.body) == ("GET", "/api/v1?a=1&b=x%20y", b"")
        lower = {name.lower(): value for name, value in seen.headers.items()}
        assert lower == {**headers, "host": f"127.0.0.1:{cell.port}", "x-dpumesh-hops": "1"}
        # They come back, too; the hops are between services alone.
        back = {name.lower(): value for name, value in answer["headers"].items()}
        assert back == {**headers, "content-type": "text/plain; charset=utf-8"}


@pytest.mark.parametrize("front", ["bridge", "http"])
def test_tracestate_travels(start, front):
    """Unchanged, its lines joined in order; it is no header of muBench's, so it does not come back."""
    def ask(*lines):
        if front == "http":
            with s0.http() as client:
                own = "".join(f"TraceState: {line}\r\n" for line in lines)
                client.raw(f"GET /api/v1 HTTP/1.1\r\nHost: s0\r\n{own}X-Request-ID: r\r\n\r\n".encode())
                answer = client.receive()
                assert answer.status == 200 and "tracestate" not in answer.headers
        else:
            answer = s0.ask(headers={"x-request-id": "r", "TraceState": ",".join(lines)})
            assert answer["status"] == 200 and "tracestate" not in {name.lower() for name in answer["headers"]}
        return cell.requests[-1].headers.get("tracestate")

    with Cell("s1") as cell:
        s0 = caller(start, calls(["s1"]), {"s1": cell})
        assert ask("congo=t61rcWkgMzE") == "congo=t61rcWkgMzE"
        assert ask("rojo=1,congo=t61 rc", "a@b=~!", "z=9 , y=8") == "rojo=1,congo=t61 rc,a@b=~!,z=9 , y=8"
        assert ask("k=" + "v" * 510) == "k=" + "v" * 510
        assert ask("k=" + "v" * 511) is None, "over 512 characters"
        assert ask() is None
        assert [r.headers["x-request-id"] for r in cell.requests] == ["r"] * 5
        with s0.one_shot() as client:
            (refused,) = client.raw(request(headers={"tracestate": "a=1\r\nX: y"})).answers()
        assert refused["status"] == 400 and len(cell.requests) == 5


def test_a_trace_is_posted_on(start):
    with Cell("s1", calls={"s2": "http://127.0.0.1:1/"}) as s1, Cell("s3") as s3:
        s0 = caller(start, [], {"s1": s1, "s3": s3})
        body = '{"s0": [{"s1__7": []}, {"s3" : [ {} ]}]}'
        assert s0.ask(method="POST", body=body)["status"] == 200
        assert [r.method for r in s1.requests + s3.requests] == ["POST", "POST"]
        assert s1.requests[0].body == b'{"s1__7": []}'
        assert s3.requests[0].body == b'{"s3" : [ {} ]}'
        assert s1.requests[0].headers["Content-Type"] == "application/json"


def test_a_query_can_not_split_the_request(start):
    """The bridge takes any character; over HTTP they are one target still."""
    with Cell("s1") as cell:
        s0 = caller(start, calls(["s1"]), {"s1": cell})
        assert s0.ask(query_string="a=\r\nX-Evil: 1\r\n\r\nGET /x HTTP/1.1 #ü")["status"] == 200
        assert s0.ask()["status"] == 200
        assert len(cell.requests) == 2
        assert cell.requests[0].path == "/api/v1?a=%0D%0AX-Evil:%201%0D%0A%0D%0AGET%20/x%20HTTP/1.1%20%23%C3%BC"
        assert "X-Evil" not in cell.requests[0].headers


def test_a_cell_calls_us_and_we_call_it(start):
    """s0 (ours) -> s1 (a cell) -> s2 (ours), work models and traces, over HTTP and the bridge."""
    s2 = leaf(start, "s2").wait_serving()
    with Cell("s1", calls={"s2": url(s2)}) as s1:
        s0 = caller(start, calls(["s1"]), {"s1": s1}).wait_serving()
        before = s2.metrics()
        with s0.http() as client:
            client.raw(http_request("/api/v1?q=1", headers={"traceparent": "00-a-b-01"}))
            answer = client.receive()
            assert answer.status == 200 and answer.headers["traceparent"] == "00-a-b-01"
            trace = b'{"s0": [{"s1": [{"s2": [{}]}]}]}'
            client.raw(http_request("/api/v1", "POST", trace))
            assert client.receive().status == 200
        assert s0.ask()["status"] == 200
        delta = s2.metrics() - before
        assert delta.total("dpumesh_requests_total", protocol="http") == 3
        # muBench's own families, at the service that the cell called.
        labels = {"app_name": "s2", "endpoint": "/api/v1", "from": "127.0.0.1", "kubernetes_service": "s2"}
        assert delta.total("mub_response_size_count", method="GET", **labels) == 2
        assert delta.total("mub_response_size_count", method="POST", **labels) == 1
        assert s1.requests[0].headers["traceparent"] == "00-a-b-01"
        assert s0.metrics().total("mub_external_processing_latency_milliseconds_count") == 3
        # What the cell answered was read to its end.
        assert s0.metrics().total("dpumesh_forward_received_bytes_total") > sum(s1.sizes)


def test_connections_are_kept(start):
    with Cell("s1") as cell:
        s0 = caller(start, calls(["s1"]), {"s1": cell})
        for _ in range(50):
            assert s0.ask()["status"] == 200
        assert cell.connections == 1
        now = s0.metrics()
        assert now.total("dpumesh_forward_connections_total") == now.total("dpumesh_forward_open_connections") == 1


def test_idle_connections_are_closed(start):
    with Cell("s1") as cell:
        s0 = caller(start, calls(["s1"]), {"s1": cell}, forward={"idleTimeout": "50ms"})
        assert s0.ask()["status"] == 200
        eventually(lambda: s0.metrics().total("dpumesh_forward_open_connections") == 0)
        assert s0.ask()["status"] == 200
        assert cell.connections == 2


def test_a_full_pool(start):
    """Two connections, three that wait: of ten calls at once five fail, at once."""
    release = threading.Event()

    def slow(connection, _):
        while head(connection):
            release.wait(20)
            say(connection, GOOD)

    with Callee(slow) as callee:
        s0 = caller(start, calls(["s1"]), {"s1": callee}, forward={"connections": 2, "pending": 3})
        before = s0.metrics()
        with s0.lines() as client:
            client.send(*[request()] * 10)
            eventually(lambda: results(s0) == {"full": 5})
            assert s0.metrics().total("dpumesh_forward_waiting") == 3
            assert s0.metrics().total("dpumesh_egress_in_flight") == 5
            release.set()
            statuses = [answer["status"] for answer in client.receive(10)]
        assert sorted(statuses) == [200] * 5 + [503] * 5
        assert callee.accepted == 2
        balance(before, s0.metrics(), {200: 5, 503: 5})
        assert rejected(s0.metrics()) == {"egress_queue_full": 5}
        assert s0.metrics().total("dpumesh_forward_waiting") == 0


def test_mixed_by_destination(start):
    """s1 is called, s2 is simulated; and the other way round where the mode is simulate."""
    with Cell("s1") as cell:
        for mode, special in (("forward", {"name": "s2", "mode": "simulate"}), ("simulate", {"name": "s1", "url": cell.url})):
            seen = len(cell.requests)
            s0 = start(
                workload={"internalService": QUIET, "externalServices": calls(["s1", "s2"])},
                egress={"mode": mode, "latency": {"value": "20ms"}, "destinations": [special]},
                peers={"s1": {"http": cell.url}, "s2": {}},
            )
            begun = time.monotonic()
            assert s0.ask()["status"] == 200
            assert time.monotonic() - begun >= 0.02
            assert len(cell.requests) == seen + 1
            now = s0.metrics()
            assert now.total("dpumesh_egress_latency_asked_seconds_count") == 1
            assert results(s0) == {"ok": 1}


def test_a_destination_that_no_peer_is(start):
    """A URL makes a name callable that is none of the application's services."""
    with Cell("far") as cell:
        s0 = start(
            workload={"internalService": QUIET, "externalServices": calls(["far"])},
            egress={"destinations": [{"name": "far", "url": cell.url}]},
            peers={"s1": {}},
        )
        assert s0.ask()["status"] == 200
        assert len(cell.requests) == 1


def test_reload_under_load(start):
    """The mode changes to and fro while requests come without a pause: all are answered 200, and what was forwarded
    arrived once."""
    s1 = leaf(start, "s1").wait_serving()
    s0 = caller(start, calls(["s1"]), {"s1": s1}, latency={"value": "3ms"}).wait_serving()
    first, over, statuses = s0.metrics(), threading.Event(), []

    def clients():
        with s0.lines(timeout=60) as client:
            while not over.is_set():
                client.send(*[request()] * 20)
                statuses.extend(answer["status"] for answer in client.receive(20))

    threads = [threading.Thread(target=clients) for _ in range(4)]
    for thread in threads:
        thread.start()
    modes = ["simulate", "forward"] * 4
    for i, mode in enumerate(modes):
        config = {**s0.config, "egress": {**s0.config["egress"], "mode": mode}}
        s0.write(config)
        s0.signal(signal.SIGHUP)
        eventually(lambda: s0.reloads("accepted") >= i + 1)
        time.sleep(0.1)
    over.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    now = s0.metrics()
    real = edge(first, now, "s1")
    simulated = now.total("dpumesh_egress_latency_asked_seconds_count")
    assert real > 0 and simulated > 0
    assert real + simulated == len(statuses)
    assert s1.metrics().total("dpumesh_requests_total", protocol="http") == real
    assert results(s0) == {"ok": real}


def test_an_url_changes_under_load(start):
    """Calls go to the new place; the connections to the old one go."""
    with Cell("s1") as old, Cell("s1") as new:
        s0 = caller(start, calls(["s1"]), {"s1": old})
        assert s0.ask()["status"] == 200
        s0.write({**s0.config, "peers": {"s1": {"http": new.url}}})
        s0.signal(signal.SIGHUP)
        eventually(lambda: s0.reloads("accepted") == 1)
        assert s0.ask()["status"] == 200
        assert (len(old.requests), len(new.requests)) == (1, 1)
        assert s0.metrics().total("dpumesh_forward_open_connections") == 1


def test_a_loop_ends(start):
    """s0 calls s1, s1 calls s0: the request goes round until the hop limit, and everybody is answered."""
    s1 = start(
        service="s1",
        workload={"internalService": QUIET, "externalServices": calls(["s0"])},
        egress={"mode": "forward", "forward": {"hops": 6}},
    ).wait_serving()
    s0 = caller(start, calls(["s1"]), {"s1": s1}, forward={"hops": 6}).wait_serving()
    s1.write({**s1.config, "peers": {"s0": {"http": url(s0)}}})
    s1.signal(signal.SIGHUP)
    eventually(lambda: s1.reloads("accepted") == 1)
    answer = s0.ask()
    assert answer["status"] == 500
    assert message(answer) == "Error in external services request"
    # Hops 0, 2, 4, 6 reach s0; 1, 3, 5, 7 reach s1, which refuses the last.
    assert s0.metrics().total("dpumesh_requests_total") == 4
    assert rejected(s0.metrics()) == {"external_error": 4}
    assert rejected(s1.metrics()) == {"external_error": 3, "hop_limit": 1}
    assert results(s0) == {"status": 4}


@pytest.mark.parametrize("hops, status", [("0", 200), ("16", 200), ("17", 508), ("255", 508), ("99999999999", 508), ("x", 508), ("-1", 508), ("", 508)])
def test_the_hop_limit(start, hops, status):
    s0 = leaf(start, "s0").wait_serving()
    assert s0.get("/api/v1", "http", headers={"X-Dpumesh-Hops": hops}).status == status
    assert s0.ask(headers={"x-dpumesh-hops": hops})["status"] == status
    escaped = b'{"path": "/api/v1", "headers": {"x\\u002ddpumesh-hops": "%s"}}' % hops.replace("1", "\\u0031").encode()
    assert s0.ask(escaped)["status"] == status
    assert rejected(s0.metrics()) == ({} if status == 200 else {"hop_limit": 3})


def test_drain(start):
    """SIGTERM while calls are under way: they are answered, and the agent ends."""
    release = threading.Event()

    def slow(connection, _):
        while head(connection):
            release.wait(20)
            say(connection, GOOD)

    with Callee(slow) as callee:
        s0 = caller(start, calls(["s1"]), {"s1": callee})
        with s0.lines() as client:
            client.send(*[request()] * 20)
            eventually(lambda: s0.metrics().total("dpumesh_egress_in_flight") == 20)
            s0.signal(signal.SIGTERM)
            time.sleep(0.1)
            assert s0.alive()
            release.set()
            assert [answer["status"] for answer in client.receive(20)] == [200] * 20
        assert s0.end() == 0


def test_no_cost_and_no_socket_without_forward(start):
    s0 = start(workload={"externalServices": calls(["s1"])}).wait_serving()
    assert s0.ask()["status"] == 200
    assert results(s0) == {}
    assert s0.metrics().total("dpumesh_forward_connections_total") == 0


def test_ipv6(start):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        made = Callee(lambda connection, _: head(connection) and say(connection, GOOD), address="::1")
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    with made as callee:
        s0 = caller(start, calls(["s1"]), {"s1": f"http://[::1]:{callee.port}/api/v1"})
        assert s0.ask()["status"] == 200
