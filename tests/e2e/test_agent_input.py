"""Bad input on the wire: one sentence, a distinct status, and the process lives on.

    bad input (issue, section 4)                          test
    {"headers": null}, a body that is an object           test_bad_requests
    arrays, numbers, garbage, bad UTF-8, NUL bytes        test_bad_requests, test_first_bytes_of_other_protocols
    depth-1000 JSON, duplicate keys                       test_bad_requests, test_good_requests_that_look_odd
    100 MB without an end                                 test_a_hundred_megabytes_without_an_end (slow: each mode),
                                                          test_ten_megabytes_without_an_end
    two objects in a row                                  test_agent_bridge.py: test_objects_in_a_row
    an object cut at every byte                           test_an_object_cut_at_every_byte_and_half_closed,
                                                          test_an_object_cut_at_every_byte_and_left_open,
                                                          test_an_object_cut_at_every_byte_and_dropped
    one byte a second                                     test_one_byte_at_a_time
    a client that vanishes mid-answer                     test_a_client_that_vanishes_in_the_middle_of_an_answer
    a client that vanishes before its answer              test_a_client_that_vanishes_before_its_answer
    10,000 idle connections                               test_agent_queues.py
    out of descriptors                                    test_out_of_descriptors
    unknown callee, probability, a service calling itself test_agent_app.py
    ports taken, bad configuration                        test_agent_config.py

After each, the same agent answers the next request, and its books agree with what clients got.
"""

import json
import pathlib
import socket
import struct
import threading
import time

import pytest

from agentkit import PATH, balance, calls, eventually, http_request, memory_returned, message, objects, request, short


@pytest.fixture(scope="module")
def agent(starter):
    return starter(limits={"frameTimeout": "10s"}, peers={"s1": {}})


def post(body):
    return request(method="POST", body=body)


BAD = [
    # the list
    (b'{"headers": null}', "headers must be an object of strings"),
    (b'{"path": "/api/v1", "body": {"s0": []}}', "body must be a string"),
    (b"[]", "a JSON object is expected"),
    (b"[{}]", "a JSON object is expected"),
    (b"17", "a JSON object is expected"),
    (b"-1e9", "a JSON object is expected"),
    (b"null", "a JSON object is expected"),
    (b'"text"', "a JSON object is expected"),
    (b"garbage", "a JSON object is expected"),
    (b"GET / HTTP/1.1", "a JSON object is expected"),
    (b'{"path": "/\xff\xfe"}', "UTF-8"),
    (b'{"path": "/\xc0\xaf"}', "UTF-8"),
    (b'{"path": "/\xed\xa0\x80"}', "UTF-8"),
    (b'{"path": "/\xf4\x90\x80\x80"}', "UTF-8"),
    (b'{"\xff": 1}', "UTF-8"),
    (b'\xef\xbb\xbf{"path": "/"}', "a JSON object is expected"),
    (b'{"path": "/\x00"}', ""),
    (b'{"a":\x00 1}', "NUL"),
    (b'{"a": ' * 1000 + b"1" + b"}" * 1000, "nested deeper than 64"),
    (b'{"a": ' + b"[" * 1000 + b"]" * 1000 + b"}", "nested deeper than 64"),
    (b'{"headers": {"a": ' + b"[" * 1000 + b"]" * 1000 + b"}}", "an object of strings"),
    (b'{"path": "/a", "path": "/b"}', "path is given twice"),
    (b'{"method": "GET", "method": "GET"}', "method is given twice"),
    (b'{"headers": {}, "headers": {}}', "headers is given twice"),
    (b'{"body": null, "body": null}', "body is given twice"),
    (b'{"query_string": "", "query_string": ""}', "query_string is given twice"),
    (b'{"headers": {"traceparent": "a", "TraceParent": "b"}}', "a header is given twice"),
    # wrong types
    (b'{"method": 1}', "method must be a string"),
    (b'{"method": null}', "method must be a string"),
    (b'{"path": null}', "path must be a string"),
    (b'{"path": ["/"]}', "path must be a string"),
    (b'{"query_string": {}}', "query_string must be a string"),
    (b'{"headers": []}', "headers must be an object of strings"),
    (b'{"headers": "Accept: text"}', "headers must be an object of strings"),
    (b'{"headers": {"a": 1}}', "headers must be an object of strings"),
    (b'{"headers": {"a": null}}', "headers must be an object of strings"),
    (b'{"body": 5}', "body must be a string"),
    (b'{"body": false}', "body must be a string"),
    # broken JSON inside balanced braces
    (b"{path: 1}", "a member's name in double quotes is expected"),
    (b"{'path': 1}", "a member's name in double quotes is expected"),
    (b'{"path"}', "':' is expected"),
    (b'{"a": }', "a value is expected"),
    (b'{"path": "/",}', "a member's name in double quotes is expected"),
    (b'{"path": "/" "body": ""}', ""),
    (b'{"a": 01}', ""),
    (b'{"a": .5}', ""),
    (b'{"a": 1.}', ""),
    (b'{"a": 1e}', ""),
    (b'{"a": +1}', ""),
    (b'{"a": NaN}', ""),
    (b'{"a": tru}', ""),
    (b'{"a": "\\x41"}', "escape"),
    (b'{"a": "\\u12g4"}', "hexadecimal"),
    (b'{"path": "\\ud800"}', "surrogate"),
    (b'{"path": "\\udc00\\ud800"}', "surrogate"),
    (b'{"a": "line\tbreak"}', ""),
    # what would become a second line of HTTP further on
    (b'{"headers": {"traceparent": "a\\r\\nX: y"}}', "control character"),
    (b'{"path": "/' + b"x" * 8192 + b'"}', "longer than 8192 bytes"),
    (b'{"query_string": "' + b"x" * 32769 + b'"}', "longer than 32768 bytes"),
    (b'{"headers": {"traceparent": "' + b"x" * 4097 + b'"}}', "longer than 4096 bytes"),
]


@pytest.mark.parametrize("frame, says", BAD, ids=short)
def test_bad_requests(agent, frame, says):
    """400 and one sentence in each mode; the next request on a kept connection is answered."""
    before = agent.metrics()
    with agent.one_shot() as client:
        # Garbage never ends by itself: the half-close says that nothing follows.
        (answer,) = client.raw(frame).half_close().answers()
    assert answer["status"] == 400
    sentence = message(answer)
    assert says in sentence
    assert sentence.startswith("the request can't be read: ") and ", at byte " in sentence
    kept = [answer]
    for mode in (agent.lines, agent.prefixed):
        if mode == agent.lines and b"\n" in frame:
            continue
        with mode() as client:
            first, second = client.send(frame, request()).receive(2)
            assert (first["status"], second["status"]) == (400, 200)
            assert says in message(first)
            kept += [first, second]
    good = [answer["status"] for answer in kept].count(200)
    balance(before, agent.metrics(), {400: len(kept) - good, 200: good})


@pytest.mark.parametrize(
    "body",
    [
        "nonsense", "{", "[]", "{}", '{"s1": []}', '{"s0": [], "s1": []}', '{"s0": 1}', '{"s0": "s1"}',
        '{"s0": [1]}', '{"s0": ["s1"]}', '{"s0": [{"s1": 1}]}', '{"s0": [{"s1": {"s2": []}}]}',
        '{"s0": []} x', '{"s0": [[]]}', '{"s0": [{"s1": ' * 1000 + "1" + "}]}" * 1000,
        "\0", '{"s0": [], "s0": []}', '{"s0x": []}', '{"": []}',
    ],
    ids=short,
)  # fmt: skip
def test_bad_traces(agent, body):
    answer = agent.ask(post(body))
    assert answer["status"] == 400
    assert message(answer).startswith("the body is no trace for service s0: ")
    over_http = agent.get(PATH, "http", "POST", body=body.encode())
    assert over_http.status == 400
    assert json.loads(over_http.body) == json.loads(answer["body"])


def test_a_trace_in_bad_utf8(agent):
    answer = agent.get(PATH, "http", "POST", body=b'{"s0": [{"\xff": []}]}')
    assert answer.status == 400
    assert "UTF-8" in json.loads(answer.body)["message"]


@pytest.mark.parametrize(
    "frame",
    [
        b'{"path": "/api/v1", "unknown": {"deep": [1, 2.5e-3, true, null, "x"]}}',
        b'{"path": "/api/v1", "a": 1, "a": 2}',
        b'{"path": "\\/api\\/v1"}',
        b'{"p\\u0061th": "/api/v1"}',
        b'{"path": "/api/v1", "headers": {"a": "1", "a": "2"}}',
        b'{"path": "/api/v1", "body": null}',
        b'{"path": "/api/v1", "body": "not read by a GET"}',
        b'{"path": "/api/v1", "method": "POST", "body": ""}',
        b'{\t"path"\r:  "/api/v1"   }',
        b'{"path": "/api/v1", "a": ' + b"[" * 60 + b"]" * 60 + b"}",
        b'{"path": "/api/v1", "a": "\xf0\x9f\x90\xb3 \\ud83d\\udc33"}',
    ],
    ids=short,
)
def test_good_requests_that_look_odd(agent, frame):
    assert agent.ask(frame)["status"] == 200


@pytest.mark.parametrize(
    "data",
    [
        b"GET /api/v1 HTTP/1.1\r\nHost: s0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 500,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"\xff" * 10_000,
        b"\x01" * 10_000,
    ],
    ids=short,
)
def test_first_bytes_of_other_protocols(agent, data):
    """Whoever knocks at the wrong door is told so at once, and the door is closed."""
    begun = time.monotonic()
    with agent.one_shot() as client:
        (answer,) = client.raw(data).answers()
    assert answer["status"] == 400
    assert time.monotonic() - begun < 9  # and not after frameTimeout


@pytest.mark.parametrize("count", [1, 4, 5, 64, 100_000])
def test_nul_bytes(agent, count):
    """A NUL first means length-prefixed: empty frames, each of which is answered."""
    with agent.prefixed() as client:
        client.raw(b"\0" * count).half_close()
        whole, cut = divmod(count, 4)
        answers = client.receive(whole + (cut > 0))
        assert {answer["status"] for answer in answers} == {400}
        assert client.ended()


# ---- frames without an end ----

ENDLESS = {
    "one-shot": (b'{"path": "', 1),
    "garbage": (b"x", 1),
    "lines": (b"\n", None),
    "prefixed": (b"\x00\xff\xff\xff", 1),
}


def pour(agent, kind, megabytes):
    """Sends without an end; the answers, and whether the agent hung up in the middle. Its memory
    must not follow."""
    begin, count = ENDLESS[kind]
    agent.wait_serving()
    resident = agent.resident_bytes()
    peak = [0]
    cut_short = False
    with agent.one_shot() as client:
        client.raw(begin)
        block = b"x" * (1 << 20)
        done = threading.Event()

        def watch():
            while not done.wait(0.005):
                peak[0] = max(peak[0], agent.resident_bytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            for _ in range(megabytes):
                client.raw(block)
            if count is None:
                client.raw(b"\n" + request() + b"\n").half_close()
        except (BrokenPipeError, ConnectionResetError):
            cut_short = True
        finally:
            answers = objects(client.rest()[4 if kind == "prefixed" else 0 :])
            done.set()
            watcher.join()
    assert peak[0] - resident < 16 << 20, f"{peak[0] - resident} bytes more"
    return answers, cut_short


@pytest.mark.parametrize("kind", ENDLESS)
def test_ten_megabytes_without_an_end(agent, kind):
    """Who was refused and goes on sending is listened to for a while, so that the answer arrives."""
    answers, cut_short = pour(agent, kind, 10)
    assert not cut_short
    if kind == "lines":
        assert [answer["status"] for answer in answers] == [413, 200]
    else:
        assert [answer["status"] for answer in answers] == [400 if kind == "garbage" else 413]
    assert agent.ask()["status"] == 200


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENDLESS)
def test_a_hundred_megabytes_without_an_end(agent, kind):
    answers, _ = pour(agent, kind, 100)
    # Who goes on for longer than the agent lingers may lose the answer to a reset (TCP).
    assert [answer["status"] for answer in answers] in (
        [[413, 200]] if kind == "lines" else [[400 if kind == "garbage" else 413], []]
    )
    assert agent.ask()["status"] == 200


def test_a_hundred_megabytes_over_http(agent):
    with agent.http() as client:
        client.raw(http_request(method="POST", headers={"Content-Length": 100 << 20}))
        for _ in range(20):
            client.raw(b"x" * (1 << 20))
        assert client.receive().status == 413
    assert agent.ask()["status"] == 200


# ---- cut off ----

WHOLE = post('{"s0": [{"s1": {}}]}')


def test_an_object_cut_at_every_byte_and_half_closed(agent):
    before = agent.metrics()
    cuts = range(1, len(WHOLE))
    clients = [agent.one_shot() for _ in cuts]
    for client, cut in zip(clients, cuts):
        client.raw(WHOLE[:cut]).half_close()
    for client in clients:
        with client:
            (answer,) = client.answers()
        assert answer["status"] == 400
        assert message(answer) == "the connection ended in the middle of a request"
    with agent.one_shot() as client:  # nothing was asked: nothing is answered
        assert client.half_close().rest() == b""
    balance(before, agent.metrics(), {400: len(cuts)})
    assert agent.ask(WHOLE)["status"] == 200


@pytest.mark.parametrize("mode", ["lines", "prefixed"])
def test_a_kept_connection_cut_at_every_byte(agent, mode):
    cuts = range(1, len(WHOLE))
    before = agent.metrics()
    good = bad = 0
    for cut in cuts:
        with getattr(agent, mode)() as client:
            if mode == "lines":
                client.raw(WHOLE + b"\n" + WHOLE[:cut])
            else:
                client.raw(struct.pack("!I", len(WHOLE)) + WHOLE + struct.pack("!I", len(WHOLE)))
                client.raw(WHOLE[:cut])
            client.half_close()
            first, second = client.receive(2)
            assert (first["status"], second["status"]) == (200, 400)
            assert client.ended()
            good += 1
            bad += 1
    balance(before, agent.metrics(), {200: good, 400: bad})


def test_an_object_cut_at_every_byte_and_left_open(start):
    agent = start(limits={"frameTimeout": "100ms"})
    before = agent.metrics()
    cuts = range(1, len(WHOLE))
    clients = [agent.one_shot() for _ in cuts]
    for client, cut in zip(clients, cuts):
        client.raw(WHOLE[:cut])
    for client in clients:
        with client:
            (answer,) = client.answers()
        assert answer["status"] == 408
    balance(before, agent.metrics(), {408: len(cuts)})
    assert agent.ask(WHOLE)["status"] == 200


def test_an_object_cut_at_every_byte_and_dropped(agent):
    """The client is gone without a word: there is nobody to tell, and nothing stays behind."""
    for reset in (False, True):
        for cut in range(1, len(WHOLE)):
            with agent.one_shot() as client:
                client.raw(WHOLE[:cut])
                if reset:
                    client.socket.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
    eventually(lambda: open_connections(agent) == 0)
    assert agent.ask(WHOLE)["status"] == 200


def open_connections(agent):
    now = agent.metrics()
    return now.total("dpumesh_connections_total", protocol="bridge") - now.total(
        "dpumesh_connections_closed_total", protocol="bridge"
    )


def test_one_byte_at_a_time(start):
    """A client that drips gets its 408 when the time for the whole frame is over, not later; one
    that drips fast enough gets its answer."""
    agent = start(limits={"frameTimeout": "250ms"})
    begun = time.monotonic()
    with agent.one_shot() as slow:
        slow.socket.settimeout(0.05)
        for byte in WHOLE:
            slow.raw(bytes([byte]))
            try:
                if slow.more():
                    break
            except TimeoutError:
                continue
        took = time.monotonic() - begun
        slow.socket.settimeout(20)
        (answer,) = slow.answers()
    assert answer["status"] == 408
    assert 0.25 <= took < 0.05 * len(WHOLE)
    assert agent.ask(WHOLE)["status"] == 200


# ---- vanished ----


def vanish(client):
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def test_a_client_that_vanishes_in_the_middle_of_an_answer(start):
    agent = start(
        workload={"internalService": {"loader": {"sleepStress": {"run": False},
                                                 "meanResponseSize": 2000}}},
    )  # fmt: skip
    before = agent.metrics()
    for i in range(12):
        client = agent.lines(receive_buffer=4096)
        client.send(*[request()] * 3)
        client.more()  # it has begun to arrive
        if i % 2:
            vanish(client)
        else:
            client.socket.close()
    eventually(lambda: open_connections(agent) == 0)
    assert agent.ask()["status"] == 200
    assert (agent.metrics() - before).total("dpumesh_requests_total") == 37
    memory_returned(agent)


def test_a_client_that_vanishes_before_its_answer(start):
    """Its calls end as they would have; what they held is free again; others are not disturbed."""
    agent = start(
        workload={"externalServices": calls(["s1"])}, egress={"latency": {"value": "150ms"}}
    )
    before = agent.metrics()
    with agent.lines() as witness:
        witness.send(*[request()] * 5)
        gone = [agent.lines().send(*[request()] * 4) for _ in range(10)]
        eventually(lambda: (agent.metrics() - before).total("dpumesh_requests_total") == 45)
        for client in gone:
            vanish(client)
        assert [answer["status"] for answer in witness.receive(5)] == [200] * 5
    eventually(lambda: agent.metrics().total("dpumesh_egress_in_flight") == 0)
    delta = agent.metrics() - before
    assert delta.total("dpumesh_requests_total") == 45
    assert delta.total("dpumesh_egress_calls_total") == 45
    memory_returned(agent)


def test_an_escaped_name_is_the_same_name(agent):
    answer = agent.ask(b'{"path": "/api/v1", "headers": {"x\\u002drequest-id": "7"}}')
    assert answer["headers"].get("x-request-id") == "7"


def test_a_peer_that_only_connects(agent):
    """Port scans and TCP health checks: no bytes, no request, no answer."""
    before = agent.metrics()
    for _ in range(50):
        agent.one_shot().socket.close()
        vanish(agent.one_shot())
    balance(before, agent.metrics(), {})


# ---- out of descriptors ----


def cpu_seconds(agent):
    fields = pathlib.Path(f"/proc/{agent.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_out_of_descriptors(start):
    """Connections wait in the backlog while there is no descriptor, and none is lost."""
    agent = start(descriptors=64).wait_serving()
    before = agent.metrics()
    first = agent.lines()
    assert first.send(request()).receive()[0]["status"] == 200
    admin = agent.http("admin")  # keeps its descriptor, to look in from
    admin.raw(http_request("/healthz")).receive()
    held = [agent.lines() for _ in range(80)]
    for client in held:
        client.send(request())

    def scrape():
        text = admin.raw(http_request("/metrics")).receive().body.decode()
        return type(before).parse(text)

    eventually(lambda: scrape().total("dpumesh_accept_pauses_total") > 0)
    busy = cpu_seconds(agent)
    time.sleep(0.3)
    assert cpu_seconds(agent) - busy < 0.2, "it must not spin on accept"
    assert first.send(request()).receive()[0]["status"] == 200
    # As places get free, each of those who waited is served: none was reset, none is answered twice.
    for client in held:
        assert client.receive()[0]["status"] == 200
        client.socket.close()
    first.socket.close()
    admin.socket.close()
    balance(before, agent.metrics(), {200: 82})
