"""Real calls to callees that misbehave: each fault is one status, one result in the metrics, and over in time.

    fault                                       answered   result            test
    nobody listens                              500        refused           test_refused
    a reset before, and in the middle           500        reset             test_one_fault
    closed before an answer, half an answer     500        cut               test_one_fault
    garbage, two lengths, half a chunk          500        malformed         test_one_fault
    a body or a head without end                500        too_large         test_one_fault
    another status than 200                     500        status            test_another_status
    no answer, one byte a while                 504        timeout           test_no_answer
    a backlog that nobody empties               504        connect_timeout   test_no_connection
    a kept connection that was just closed      200        ok, retried       test_a_stale_connection
    nobody listens yet                          200        ok, retried       test_a_retry_helps
    one callee of several                       500                          test_the_first_failure_counts
    all of it at once, under load               each                         test_every_fault_at_once
"""

import random
import socket
import threading
import time

import pytest

from agentkit import balance, calls, eventually, free_port, message, rejected, request
from cellkit import GOOD, Callee, Cell, head, reset, say
from test_agent_forward import caller, results

FAILED = "Error in external services request"


def once(connection, text):
    head(connection)
    say(connection, text)


def drip(connection):
    """One byte a while, for ever."""
    head(connection)
    say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(2000):
        say(connection, "x")
        time.sleep(0.01)


def endless(connection, piece):
    while True:
        say(connection, piece)


FAULTS = {
    "reset at once": ("reset", lambda c, _: reset(c)),
    "reset after the request": ("reset", lambda c, _: head(c) and reset(c)),
    "reset in the answer": ("reset", lambda c, _: (once(c, GOOD[:-1]), time.sleep(0.05), reset(c))),
    "closed after the request": ("cut", lambda c, _: head(c)),
    "half a status line": ("cut", lambda c, _: once(c, "HTTP/1.")),
    "half a head": ("cut", lambda c, _: once(c, "HTTP/1.1 200 OK\r\nContent-Le")),
    "half a body": ("cut", lambda c, _: once(c, GOOD[:-1])),
    "half a chunk": ("cut", lambda c, _: once(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")),
    "no HTTP": ("malformed", lambda c, _: once(c, '{"req_id": 1, "status": 200}\r\n\r\n')),
    "binary": ("malformed", lambda c, _: once(c, bytes(range(256)) * 300 + b"\r\n\r\n")),
    "two lengths": ("malformed", lambda c, _: once(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")),
    "a chunk that is none": ("malformed", lambda c, _: once(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")),
    "another protocol": ("malformed", lambda c, _: (say(c, "SSH-2.0-OpenSSH_9.2"), time.sleep(2))),
    "switching protocols": ("malformed", lambda c, _: once(c, "HTTP/1.1 101 x\r\n\r\n")),
    "a length over the cap": ("too_large", lambda c, _: once(c, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")),
    "a body without end": ("too_large", lambda c, _: (once(c, "HTTP/1.1 200 OK\r\n\r\n"), endless(c, b"x" * 65536))),
    "a head without end": ("too_large", lambda c, _: (once(c, "HTTP/1.1 200 OK\r\n"), endless(c, b"X-A: b\r\n" * 4096))),
    "headers without a line end": ("too_large", lambda c, _: (once(c, "HTTP/1.1 200 OK\r\n"), endless(c, b"x" * 65536))),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault(start, fault):
    result, behave = FAULTS[fault]
    with Callee(behave) as callee:
        s0 = caller(start, calls(["s1"]), {"s1": callee}, forward={"answerBytes": "1Mi"})
        before, begun = s0.metrics(), time.monotonic()
        for _ in range(3):
            answer = s0.ask()
            assert (answer["status"], message(answer)) == (500, FAILED)
        assert time.monotonic() - begun < 15
        assert results(s0) == {result: 3}
        # A callee that got it is not asked again: it may have done the work.
        assert callee.accepted == 3 or fault == "reset at once"
        balance(before, s0.metrics(), {500: 3})
        assert rejected(s0.metrics()) == {"external_error": 3}
        assert s0.metrics().total("dpumesh_forward_open_connections") == 0
        assert s0.metrics().total("dpumesh_egress_calls_failed_total") == 3


def test_refused(start):
    """Tried again, in case it is just starting: twice, then it is over."""
    s0 = caller(start, calls(["s1"]), {"s1": f"http://127.0.0.1:{free_port()}/"}, retries={"backoff": "5ms"})
    answer = s0.ask()
    assert (answer["status"], message(answer)) == (500, FAILED)
    assert results(s0) == {"refused": 1}
    assert s0.metrics().total("dpumesh_forward_retries_total", cause="budgeted") == 2
    assert s0.metrics().total("dpumesh_forward_connections_total") == 3
    assert s0.metrics().total("dpumesh_forward_requests_total") == 0


def test_the_retry_budget(start):
    """Ten in hand and a tenth of the calls: 100 refused calls make at most 20 retries, not 200."""
    retries = {"backoff": "1ms", "budget": 10}
    s0 = caller(start, calls(["s1"]), {"s1": f"http://127.0.0.1:{free_port()}/"}, retries=retries)
    with s0.lines() as client:
        client.send(*[request()] * 100)
        assert {answer["status"] for answer in client.receive(100)} == {500}
    assert 10 <= s0.metrics().total("dpumesh_forward_retries_total", cause="budgeted") <= 20


def test_a_retry_helps(start):
    """The callee begins to listen while the call waits for its second attempt."""
    port = free_port()
    retries = {"most": 10, "budget": 100, "backoff": "100ms"}
    s0 = caller(start, calls(["s1"]), {"s1": f"http://127.0.0.1:{port}/"}, retries=retries).wait_serving()
    with s0.one_shot() as client:
        client.raw(request())
        eventually(lambda: s0.metrics().total("dpumesh_forward_retries_total", cause="budgeted") >= 1)
        with socket.create_server(("127.0.0.1", port)) as listener:
            connection, _ = listener.accept()
            with connection:
                once(connection, GOOD)
                (answer,) = client.answers()
    assert answer["status"] == 200
    assert results(s0) == {"ok": 1}


@pytest.mark.parametrize("status", [201, 204, 301, 400, 404, 429, 500, 503, 504])
def test_another_status(start, status):
    with Callee(lambda c, _: head(c) and say(c, f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n")) as callee:
        s0 = caller(start, calls(["s1"]), {"s1": callee})
        assert s0.ask()["status"] == 500
        assert results(s0) == {"status": 1}
        assert callee.accepted == 1


@pytest.mark.parametrize("behave", [lambda c, _: head(c) and time.sleep(2), lambda c, _: time.sleep(2), lambda c, _: drip(c)], ids=["silent", "does not read", "drips"])
def test_no_answer(start, behave):
    with Callee(behave) as callee:
        s0 = caller(start, calls(["s1"]), {"s1": callee}, timeout="200ms")
        before, begun = s0.metrics(), time.monotonic()
        answer = s0.ask()
        assert 0.2 <= time.monotonic() - begun < 10, "who drips does so for 20 s"
        assert answer["status"] == 504
        assert message(answer) == "an external service did not answer in time"
        assert results(s0) == {"timeout": 1}
        balance(before, s0.metrics(), {504: 1})
        assert s0.metrics().total("dpumesh_forward_open_connections") == 0


def test_a_slow_answer_is_one(start):
    def slow(connection, _):
        head(connection)
        for byte in GOOD:
            say(connection, byte)
            time.sleep(0.005)

    with Callee(slow) as callee:
        s0 = caller(start, calls(["s1"]), {"s1": callee})
        assert s0.ask()["status"] == 200
        assert results(s0) == {"ok": 1}


def test_no_connection(start):
    """A listener whose backlog is full answers no SYN: forward.connectTimeout, on each attempt."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    with listener:
        address = listener.getsockname()
        fill = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fill.append(filler)
        time.sleep(0.1)
        retries = {"most": 1, "backoff": "1ms"}
        s0 = caller(start, calls(["s1"]), {"s1": f"http://127.0.0.1:{address[1]}/"}, forward={"connectTimeout": "100ms"}, retries=retries)
        begun = time.monotonic()
        assert s0.ask()["status"] == 504
        assert 0.2 <= time.monotonic() - begun < 10
        assert results(s0) == {"connect_timeout": 1}
        for filler in fill:
            filler.close()


def test_a_stale_connection(start):
    """The callee closes a kept connection while the next request is on its way: once more, on a new one."""

    def behave(connection, number):
        head(connection)
        say(connection, GOOD)
        if number == 1:
            head(connection)  # the second request, which is not answered

    with Callee(behave) as callee:
        s0 = caller(start, calls(["s1"]), {"s1": callee})
        assert [s0.ask()["status"] for _ in range(2)] == [200, 200]
        assert results(s0) == {"ok": 2}
        assert s0.metrics().total("dpumesh_forward_retries_total", cause="stale") == 1
        assert callee.accepted == 2


def test_a_new_connection_is_not_stale(start):
    """The same on a connection that is new: it failed, and is not tried again."""
    with Callee(lambda c, _: head(c)) as callee:
        s0 = caller(start, calls(["s1"]), {"s1": callee})
        assert s0.ask()["status"] == 500
        assert callee.accepted == 1


def test_an_answer_that_nobody_asked_for(start):
    """Bytes behind an answer: it counts, and the connection does not carry another call."""
    with Callee(lambda c, _: (once(c, GOOD + GOOD), c.recv(1))) as callee:
        s0 = caller(start, calls(["s1"]), {"s1": callee})
        assert [s0.ask()["status"] for _ in range(3)] == [200] * 3
        assert callee.accepted == 3


def test_the_callee_says_close(start):
    with Callee(lambda c, _: once(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")) as callee:
        s0 = caller(start, calls(["s1"]), {"s1": callee})
        assert [s0.ask()["status"] for _ in range(3)] == [200] * 3
        assert results(s0) == {"ok": 3}
        assert s0.metrics().total("dpumesh_forward_retries_total") == 0


def test_the_first_failure_counts(start):
    """The groups go on, each with the rest of its calls; the answer is one, of the first that failed."""
    with Cell("s1") as s1, Cell("s3") as s3, Callee(lambda c, _: reset(c)) as bad, Callee(lambda c, _: head(c) and c.recv(1)) as silent:
        callees = {"s1": s1, "s2": bad, "s3": s3, "s4": silent}
        s0 = caller(start, calls(["s2", "s1", "s4", "s1"], ["s3"]), callees, timeout="1s")
        assert s0.ask()["status"] == 500
        assert (len(s1.requests), len(s3.requests)) == (2, 1)
        assert results(s0) == {"ok": 3, "reset": 1, "timeout": 1}
        s0 = caller(start, calls(["s4", "s2", "s1"]), callees, timeout="1s")
        assert s0.ask()["status"] == 504
        assert len(s1.requests) == 3


def test_large_requests_and_answers(start):
    """A megabyte each way, of a callee that reads slowly."""

    def behave(connection, _):
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        top, _, body = data.partition(b"\r\n\r\n")
        length = int(top.partition(b"Content-Length: ")[2].split()[0])
        got = len(body)
        while got < length:
            got += len(connection.recv(65536))
            time.sleep(0.001)
        say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + "x" * 3000000)

    with Callee(behave) as callee:
        s0 = caller(start, [], {"s1": callee})
        subtree = '{"s1": [' + ",".join(['{"s2": [{}]}'] * 60000) + "]}"
        assert s0.ask(method="POST", body='{"s0": [%s]}' % subtree)["status"] == 200
        assert s0.metrics().total("dpumesh_forward_sent_bytes_total") > len(subtree)
        assert s0.metrics().total("dpumesh_forward_received_bytes_total") > 3000000
        assert s0.metrics().total("dpumesh_forward_requests_total") == 1


def test_no_descriptors(start):
    """Calls fail and are counted, and the agent serves on when there are some again."""
    release = threading.Event()

    def slow(connection, _):
        while head(connection):
            release.wait(20)
            say(connection, GOOD)

    with Callee(slow) as callee:
        s0 = start(
            workload={"externalServices": calls(["s1"])},
            egress={"mode": "forward", "retries": {"most": 0}},
            peers={"s1": {"http": callee.url}},
            descriptors=60,
        ).wait_serving()
        with s0.lines() as client:
            client.send(*[request()] * 100)
            eventually(lambda: callee.accepted >= 20)
            time.sleep(0.3)
            release.set()
            statuses = [answer["status"] for answer in client.receive(100)]
        assert set(statuses) == {200, 500} and statuses.count(200) >= 20
        assert results(s0) == {"ok": statuses.count(200), "unreachable": statuses.count(500)}
        eventually(lambda: s0.ask()["status"] == 200)


def test_every_fault_at_once(start):
    """A callee that does any of it, at random, under load: every request has one answer, every call one end, and
    nothing is left behind."""
    dice = random.Random(7)
    good = ("fine", lambda c, _: [say(c, GOOD) for _ in iter(lambda: head(c), False)])
    behaviours = [*FAULTS.values(), ("timeout", lambda c, _: head(c) and time.sleep(0.7)), *[good] * 12]

    def behave(connection, number):
        dice.choice(behaviours)[1](connection, number)

    with Callee(behave) as callee:
        s0 = caller(start, calls(["s1"], ["s1"]), {"s1": callee}, timeout="500ms", forward={"answerBytes": "256Ki", "connections": 32})
        s0.wait_serving()
        before, statuses = s0.metrics(), []

        def one():
            with s0.lines(timeout=60) as client:
                for _ in range(10):
                    client.send(*[request()] * 10)
                    statuses.extend(answer["status"] for answer in client.receive(10))

        threads = [threading.Thread(target=one) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(statuses) == 600
        assert {200, 500} <= set(statuses) <= {200, 500, 504}
        balance(before, s0.metrics(), {status: statuses.count(status) for status in set(statuses)})
        now = s0.metrics()
        assert sum(results(s0).values()) == now.total("dpumesh_forward_calls_total")
        assert now.total("dpumesh_egress_in_flight") == now.total("dpumesh_forward_waiting") == 0
        assert len(results(s0)) >= 5
