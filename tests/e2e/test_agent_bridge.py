"""The bridge on TCP 5005.

    demand                                                 test
    clients of the original, 50 at a time                  test_fifty_clients_of_the_original
    one-shot: any segments, no newline, no half-close      test_an_object_in_any_number_of_segments
    defaults of the request's fields                       test_defaults
    the answer's form                                      test_the_form_of_an_answer
    newline frames: keep-alive, pipelining, order          test_pipelining_keeps_the_order
    length-prefixed frames: the same                       test_pipelining_keeps_the_order
    objects one after another in one-shot mode             test_objects_in_a_row
    every request exactly one answer                       all of them (balance()), test_a_mixture_of_everything
    frame cap: 413                                         test_a_frame_over_the_cap, test_a_frame_at_the_cap
    connection cap: 503                                    test_connections_over_the_cap
    slow-client deadline: 408                              test_a_frame_that_does_not_end_in_time
    idle connections are closed                            test_an_idle_connection_is_closed
    write back-pressure                                    test_a_client_that_does_not_read
    a client that never reads again                        test_a_client_that_never_reads_is_let_go
    requests past limits.pipeline wait                     test_more_requests_than_the_pipeline_holds
    documentation (docs/wire.md) tells the truth           test_docs_wire.py
"""

import collections
import json
import socket
import threading
import time

import pytest

from agentkit import PATH, balance, calls, http_request, memory_returned, message, objects, rejected, request


@pytest.fixture(scope="module")
def agent(starter):
    return starter()


@pytest.fixture(params=["lines", "prefixed"])
def mode(request):
    return request.param


def statuses(answers):
    return [answer["status"] for answer in answers]


def test_fifty_clients_of_the_original(start):
    """A socket, sendall(json), recv until close; 50 threads, as the original's test client does."""
    agent = start(
        workload={"externalServices": calls(["s1", "s2"])}, egress={"latency": {"value": "20ms"}}
    )
    text = json.dumps(
        {
            "method": "POST",
            "path": PATH,
            "headers": {"Content-Type": "application/json"},
            "body": json.dumps({"s0": [{"s1": {}, "s2": {}}]}),
            "query_string": "",
        }
    )
    answers = []

    def client():
        with socket.create_connection(agent.address("bridge"), timeout=30) as s:
            s.sendall(text.encode())
            data = b""
            while True:
                part = s.recv(4096)
                if not part:
                    break
                data += part
        answers.append(json.loads(data))

    before = agent.metrics()
    threads = [threading.Thread(target=client) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 50
    assert len({answer["req_id"] for answer in answers}) == 50
    assert set(statuses(answers)) == {200}
    balance(before, agent.metrics(), {200: 50})


def test_defaults(agent):
    """{} is GET / without headers, body and query: understood, and no path of ours."""
    answer = agent.ask(b"{}")
    assert answer["status"] == 404
    assert message(answer) == f"no such path; this service answers at {PATH}"
    assert agent.ask(b'{"path": "/api/v1"}')["status"] == 200
    assert agent.ask(path=PATH, method="GET", headers={}, body=None, query_string="")["status"] == 200


def test_the_form_of_an_answer(agent):
    answer = agent.ask(path=PATH)
    assert list(answer) == ["req_id", "status", "headers", "body"]
    assert answer["headers"] == {"Content-Type": "text/plain; charset=utf-8"}
    assert answer["body"] == "m"
    refused = agent.ask(path="/nowhere")
    assert list(refused) == list(answer)
    assert refused["headers"] == {"Content-Type": "application/json"}
    assert isinstance(refused["body"], str)


def test_numbers_of_requests_do_not_skip(agent):
    """The original's ids skip. Neither scrapes nor HTTP requests may draw from the bridge's."""
    first = agent.ask()["req_id"]
    agent.metrics()
    agent.get("/healthz")
    agent.get(PATH)
    assert agent.ask()["req_id"] == first + 1


@pytest.mark.parametrize("piece", [1, 2, 7, 64])
def test_an_object_in_any_number_of_segments(agent, piece):
    text = request(body='{"s0": []}', method="POST", headers={"X-Request-Id": "ä{[\"\\"})
    with agent.one_shot() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(text), piece):
            client.raw(text[at : at + piece])
        (answer,) = client.answers()
    assert answer["status"] == 200
    assert answer["headers"]["x-request-id"] == 'ä{["\\'


@pytest.mark.parametrize("behind", [b"", b"\n", b" \r\n\t ", b"\n" * 5000])
@pytest.mark.parametrize("half_close", [False, True])
def test_white_space_around_an_object(agent, behind, half_close):
    with agent.one_shot() as client:
        client.raw(b" \t" + request() + behind)
        if half_close:
            client.half_close()
        assert statuses(client.answers()) == [200]


def test_objects_in_a_row(start):
    """Two and more in one connection: each is answered, in order, then comes the close."""
    agent = start(workload={"externalServices": calls(["s1"])}, egress={"latency": {"value": "5ms"}})
    before = agent.metrics()
    frames = [request(), request(path="/nowhere"), request(), b"{}", request()]
    for separator in (b"", b"\n", b"  "):
        with agent.one_shot() as client:
            answers = client.raw(separator.join(frames)).answers()
        assert statuses(answers) == [200, 404, 200, 404, 200]
        ids = [answer["req_id"] for answer in answers]
        assert ids == sorted(ids)
    balance(before, agent.metrics(), {200: 9, 404: 6})


def test_pipelining_keeps_the_order(start, mode):
    """Answers come in the order of the requests, although later ones were ready earlier."""
    agent = start(
        workload={"externalServices": calls(["s1"])},
        egress={"latency": {"distribution": "uniform", "low": "0s", "high": "30ms", "seed": 1}},
    )
    before = agent.metrics()
    count = 100
    with getattr(agent, mode)() as client:
        for start_at in (0, count):  # the connection is kept between the two batches
            frames = [
                request(headers={"x-request-id": str(start_at + i)}, path=PATH if i % 3 else "/no")
                for i in range(count)
            ]
            answers = client.send(*frames).receive(count)
            assert statuses(answers) == [200 if i % 3 else 404 for i in range(count)]
            marks = [a["headers"]["x-request-id"] for a in answers]
            assert marks == [str(start_at + i) for i in range(count)]
        ids = [answer["req_id"] for answer in answers]
        assert ids == sorted(ids) and len(set(ids)) == count
    balance(before, agent.metrics(), {200: 132, 404: 68})


def test_pipelined_requests_run_at_the_same_time(start, mode):
    """Ten requests of 50 ms on one connection, thirty connections' worth of latency in one."""
    agent = start(
        workload={"externalServices": calls(["s1"])}, egress={"latency": {"value": "200ms"}}
    )
    with getattr(agent, mode)() as client:
        begun = time.monotonic()
        client.send(*[request() for _ in range(50)]).receive(50)
        took = time.monotonic() - begun
    assert 0.2 <= took < 5  # one after another they would take 10 s


def test_a_half_closed_connection_is_answered(agent, mode):
    with getattr(agent, mode)() as client:
        client.send(request(), request()).half_close()
        assert statuses(client.receive(2)) == [200, 200]
        assert client.ended()


def test_a_last_line_needs_no_newline(agent):
    with agent.lines() as client:
        client.raw(request() + b"\n" + request()).half_close()
        assert statuses(client.receive(2)) == [200, 200]
        assert client.ended()


def test_lines_may_end_in_crlf_and_be_empty(agent):
    with agent.lines() as client:
        client.raw(b"\n\r\n" + request() + b"\r\n\n  \n" + request() + b"\n")
        assert statuses(client.receive(2)) == [200, 200]


def test_frames_of_length_nothing(agent):
    """A prefix of 0 is a frame: an empty one, which is no request."""
    with agent.prefixed() as client:
        assert statuses(client.send(b"", request()).receive(2)) == [400, 200]


def test_a_bad_frame_does_not_end_a_kept_connection(agent, mode):
    before = agent.metrics()
    with getattr(agent, mode)() as client:
        frames = [request(), b"[1]", b"nonsense", request(), b'{"headers": null}', request()]
        assert statuses(client.send(*frames).receive(6)) == [200, 400, 400, 200, 400, 200]
    balance(before, agent.metrics(), {200: 3, 400: 3})


# ---- caps and deadlines ----


def frame_of(size):
    text = request(method="GET", body="")
    return text[:-2] + b"x" * (size - len(text)) + text[-2:]


def test_a_frame_at_the_cap(start, mode):
    agent = start(limits={"frameBytes": 4096})
    assert len(frame_of(4096)) == 4096
    with getattr(agent, mode)() as client:
        assert statuses(client.send(frame_of(4096), frame_of(4096)).receive(2)) == [200, 200]
    assert agent.ask(frame_of(4096))["status"] == 200


def test_a_frame_over_the_cap(start):
    """413 in all modes; lines find the next frame, the others are closed."""
    agent = start(limits={"frameBytes": 4096})
    before = agent.metrics()
    with agent.lines() as client:
        client.send(request(), frame_of(4097), frame_of(300_000), request())
        answers = client.receive(4)
        assert statuses(answers) == [200, 413, 413, 200]
        assert message(answers[1]) == "the request is larger than limits.frameBytes"
    with agent.prefixed() as client:
        client.send(request(), frame_of(4097), request())
        assert statuses(client.receive(2)) == [200, 413]
        assert client.ended()
    with agent.one_shot() as client:
        (answer,) = client.raw(frame_of(4097)).answers()
        assert answer["status"] == 413
    balance(before, agent.metrics(), {200: 3, 413: 4})


def test_a_prefix_that_announces_gigabytes(agent):
    with agent.prefixed() as client:
        client.raw(b"\x00\xff\xff\xff")  # 16 MiB, the most that a first prefix can say
        assert statuses(client.receive(1)) == [413]
        assert client.ended()
    with agent.prefixed() as client:
        client.send(request()).raw(b"\xff\xff\xff\xff")
        assert statuses(client.receive(2)) == [200, 413]
        assert client.ended()


def test_connections_over_the_cap(start):
    agent = start(limits={"connections": 8})
    before = agent.metrics()
    kept = [agent.lines() for _ in range(8)]
    for client in kept:
        assert statuses(client.send(request()).receive(1)) == [200]
    for _ in range(3):
        answer = agent.ask()
        assert answer["status"] == 503
        assert answer["headers"]["Retry-After"] == "1"
        assert "too many connections" in message(answer)
    # Whoever was in time is served on, and a place that is given up is there for the next.
    assert statuses(kept[0].send(request()).receive(1)) == [200]
    for client in kept:
        client.socket.close()
    deadline = time.monotonic() + 20
    refusals = 3
    while (answer := agent.ask())["status"] != 200:
        refusals += 1
        assert time.monotonic() < deadline
    balance(before, agent.metrics(), {200: 10, 503: refusals})


@pytest.mark.parametrize("begin", [b'{"pa', b"\n{", b"\x00\x00", b"\x00\x00\x00\x20{"])
def test_a_frame_that_does_not_end_in_time(start, begin):
    """408, then the close; the deadline runs from the first byte, so dripping does not help."""
    agent = start(limits={"frameTimeout": "150ms"})
    begun = time.monotonic()
    with agent.one_shot() as client:
        client.raw(begin)
        time.sleep(0.1)
        client.raw(b" ")
        data = client.rest()
    assert 0.15 <= time.monotonic() - begun < 9, "without frameTimeout it would take 10 s"
    if begin[0] == 0:
        data = data[4:]
    (answer,) = objects(data)
    assert answer["status"] == 408
    assert message(answer) == "the request was not complete in time"
    assert rejected(agent.metrics()) == {"frame_timeout": 1}
    assert agent.ask()["status"] == 200


def test_a_late_frame_does_not_take_earlier_answers_along(start):
    agent = start(
        limits={"frameTimeout": "50ms"},
        workload={"externalServices": calls(["s1"])},
        egress={"latency": {"value": "200ms"}},
    )
    before = agent.metrics()
    with agent.lines() as client:
        client.send(request(), request()).raw(b'{"path')
        assert statuses(client.receive(3)) == [200, 200, 408]
        assert client.ended()
    balance(before, agent.metrics(), {200: 2, 408: 1})


def test_an_idle_connection_is_closed(start):
    agent = start(
        limits={"idleTimeout": "500ms"},
        workload={"externalServices": calls(["s1"])},
        egress={"latency": {"value": "1500ms"}},
    )
    begun = time.monotonic()
    with agent.lines() as idle, agent.lines() as busy, agent.one_shot() as silent:
        busy.send(request())
        assert idle.ended()
        assert time.monotonic() - begun >= 0.5
        assert silent.ended()
        # A connection that waits for an answer is not idle.
        assert statuses(busy.receive(1)) == [200]
        assert busy.ended()


# ---- back-pressure ----


@pytest.mark.parametrize("protocol", ["prefixed", "http"])
def test_a_client_that_does_not_read(start, protocol):
    """It stops being read: memory stays bounded, others are served, and nothing it asked is lost.
    The same in lines, with more about the memory: test_agent_queues.py."""
    agent = start(
        workload={"internalService": {"loader": {"sleepStress": {"run": False},
                                                 "meanResponseSize": 20}}},
        limits={"pipeline": 64},
    )  # fmt: skip
    asked = 1500  # some 30 MB of answers
    before = agent.metrics()
    resident = agent.resident_bytes()
    with getattr(agent, protocol)(receive_buffer=4096) as client:

        def send():
            if protocol == "http":
                client.raw(http_request() * asked)
            else:
                client.send(*[request()] * asked)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        # It goes quiet once its buffers are full: then the agent has stopped reading.
        seen, quiet = -1, 0
        deadline = time.monotonic() + 30
        while quiet < 5:
            assert time.monotonic() < deadline
            taken = (agent.metrics() - before).total("dpumesh_requests_total")
            quiet = quiet + 1 if taken == seen else 0
            seen = taken
            time.sleep(0.02)
        assert 0 < seen < asked * 3 / 4
        grown = agent.resident_bytes() - resident
        assert grown < 24 << 20, f"{grown} bytes more"
        assert agent.ask()["status"] == 200  # others meanwhile
        if protocol == "http":
            found = [client.receive().status for _ in range(asked)]
        else:
            answers = client.receive(asked)
            found = statuses(answers)
            ids = [answer["req_id"] for answer in answers]
            assert ids == sorted(set(ids))
        sender.join()
        assert found == [200] * asked
    balance(before, agent.metrics(), {200: asked + 1})


def test_a_client_that_never_reads_is_let_go(start):
    agent = start(
        workload={"internalService": {"loader": {"sleepStress": {"run": False},
                                                 "meanResponseSize": 400}}},
        limits={"writeTimeout": "150ms"},
    )  # fmt: skip
    with agent.lines(receive_buffer=4096) as client:
        client.send(*[request()] * 100)
        deadline = time.monotonic() + 20
        while not agent.metrics().total("dpumesh_connections_closed_total", protocol="bridge"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        client.rest()
    memory_returned(agent)


def test_more_requests_than_the_pipeline_holds(start, mode):
    """Past limits.pipeline requests wait in the socket; none is refused."""
    agent = start(
        limits={"pipeline": 4},
        workload={"externalServices": calls(["s1"])},
        egress={"latency": {"value": "20ms"}},
    )
    before = agent.metrics()
    with getattr(agent, mode)() as client:
        begun = time.monotonic()
        answers = client.send(*[request()] * 41).receive(41)
        took = time.monotonic() - begun
    assert statuses(answers) == [200] * 41
    assert took >= 11 * 0.02 * 0.95  # four at a time
    balance(before, agent.metrics(), {200: 41})


def test_a_mixture_of_everything(start):
    """Many clients, all modes, good and bad frames at once: each request has one answer."""
    agent = start(
        workload={"externalServices": calls(["s1"], ["s2"])},
        egress={"latency": {"distribution": "exponential", "mean": "3ms", "seed": 3}},
        peers={"s1": {}, "s2": {}},
    )
    trace = json.dumps({"s0": [{"s9": {}}]})
    kinds = [
        (request(), 200),
        (request(path="/no"), 404),
        (request(method="POST", body=trace), 500),
        (request(method="POST", body="{"), 400),
        (request(method="PUT"), 405),
        (b"[]", 400),
    ]
    counted = collections.Counter()
    failures = []
    lock = threading.Lock()

    def client(number):
        picked = [kinds[(number * 7 + i * i) % len(kinds)] for i in range(40)]
        try:
            if number % 3 == 2:
                found = []
                for frame, _ in picked:
                    found.append(agent.ask(frame)["status"])
            else:
                with (agent.lines if number % 3 else agent.prefixed)() as c:
                    found = statuses(c.send(*[f for f, _ in picked]).receive(len(picked)))
            assert found == [status for _, status in picked]
            with lock:
                counted.update(found)
        except BaseException as error:  # told to the main thread
            failures.append(error)

    before = agent.metrics()
    threads = [threading.Thread(target=client, args=(n,)) for n in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    assert sum(counted.values()) == 360
    balance(before, agent.metrics(), counted)
