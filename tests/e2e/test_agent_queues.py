"""Queues and other bounds: full means an answer, never a loss and never silence.

    demand                                                test
    a burst larger than the queue: 503, Retry-After,      test_a_burst_larger_than_the_ingress_queue
      metrics, no loss, answered once and in order
    back-pressure between the sides loses nothing         test_more_answers_than_completions,
                                                          test_more_calls_than_the_egress_queues_hold,
                                                          test_sequences_longer_than_the_egress_queue
    workers cap a replica's capacity, calls time out      test_agent_egress.py
    all workers busy and the queue full: 503              test_a_full_egress_queue
    requests in flight are capped                         test_too_many_requests
    waiting connections are all fed                       test_starving_connections
    connections are capped: told, then closed             test_too_many_connections,
                                                          test_more_connections_than_can_be_told (slow)
    out of descriptors: others wait and are served        test_out_of_descriptors
    a client that does not read: memory stays bounded,    test_a_client_that_does_not_read
      others are served, all answers come when it reads
    10,000 idle connections                               test_ten_thousand_idle_connections (slow)
    100,000 calls in flight                               test_a_hundred_thousand_calls_in_flight (slow)

What the queues' metrics say: test_agent_queue_metrics.py. Everywhere the agent's books are held
against what the clients got (agentkit.balance).
"""

import collections
import json
import resource
import selectors
import socket
import threading
import time

import pytest

from agentkit import PATH, Metrics, balance, calls, eventually, http_request, message, rejected, request

QUEUES = ("ingressSubmission", "ingressCompletion", "egressSubmission", "egressCompletion")
ONE_CALL = {"externalServices": calls(["s1"])}


def numbered(count, first=0):
    """Requests whose number comes back with the answer."""
    return [request(headers={"x-request-id": str(first + i)}) for i in range(count)]


def in_order(answers):
    """Every request was answered in its turn: req_ids rise by one, numbers that came back are right."""
    first = answers[0]["req_id"]
    for index, answer in enumerate(answers):
        assert answer["req_id"] == first + index
        assert answer["headers"].get("x-request-id", str(index)) == str(index)
    return collections.Counter(answer["status"] for answer in answers)


def full(metrics, queue):
    return metrics.total("dpumesh_queue_full_total", queue=queue)


def converse(address, connections, data, expected, timeout=100.0):
    """Sends data on many connections at once, reads `expected` lines from each; statuses, counted."""
    chooser, counts = selectors.DefaultSelector(), collections.Counter()
    clients = []
    for _ in range(connections):
        client = socket.create_connection(address, timeout=30)
        client.setblocking(False)
        clients.append([client, memoryview(data), b"", 0])
        chooser.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE, clients[-1])
    until, left = time.monotonic() + timeout, connections
    while left:
        assert time.monotonic() < until, f"{left} of {connections} clients wait for answers: {counts}"
        for key, events in chooser.select(1):
            state = key.data
            if events & selectors.EVENT_WRITE:
                state[1] = state[1][state[0].send(state[1]) :]
                if not state[1]:
                    chooser.modify(state[0], selectors.EVENT_READ, state)
            if not events & selectors.EVENT_READ:
                continue
            part = state[0].recv(1 << 18)
            assert part, f"closed after {state[3]} of {expected} answers"
            *lines, state[2] = (state[2] + part).split(b"\n")
            counts.update(json.loads(line)["status"] for line in lines)
            state[3] += len(lines)
            assert state[3] <= expected, "more answers than requests"
            if state[3] == expected:
                chooser.unregister(state[0])
                left -= 1
    for client, *_ in clients:
        client.close()
    return counts


# ---- the four rings ----


def test_a_burst_larger_than_the_ingress_queue(start):
    agent = start(queues={name: 16 for name in QUEUES})
    before = agent.metrics()
    total = collections.Counter()
    with agent.lines() as client:
        for _ in range(20):
            client.send(*numbered(100))
            answers = client.receive(100)
            total += in_order(answers)
            for answer in answers:
                if answer["status"] == 503:
                    assert answer["headers"]["Retry-After"] == "1"
                    assert message(answer) == "the ingress queue is full; try again"
    after = agent.metrics()
    assert set(total) == {200, 503}
    assert total[200] >= 20 * 16, "what fits is served"
    balance(before, after, total)
    assert rejected(after - before) == {"ingress_queue_full": total[503]}
    assert full(after - before, "ingress_submission") == total[503]
    assert (after - before).total("dpumesh_queue_submitted_total", queue="ingress_submission") == total[200]
    assert after.total("dpumesh_queue_capacity", queue="ingress_submission") == 16
    assert agent.ask()["status"] == 200


@pytest.mark.parametrize("poll", ["0s", "200us"])
def test_more_answers_than_completions(start, poll):
    """The ingress completion queue is short: answers wait their turn, none is lost."""
    agent = start(queues={"ingressCompletion": 16, "poll": poll})
    before = agent.metrics()
    with agent.lines() as client:
        for round in range(300):
            client.send(*numbered(100))
            assert in_order(client.receive(100)) == {200: 100}
            if round >= 5 and full(agent.metrics() - before, "ingress_completion"):
                break
        else:
            pytest.fail("100 answers never filled a queue of 16")
    after = agent.metrics()
    balance(before, after, {200: 100 * (round + 1)})
    assert after.total("dpumesh_queue_depth", queue="ingress_completion") == 0


@pytest.mark.parametrize("latency", ["0s", "3ms"])
@pytest.mark.parametrize("short", ["egressSubmission", "egressCompletion"])
def test_more_calls_than_the_egress_queues_hold(start, short, latency):
    """Calls and their completions wait their turn without a cap on workers: all are made, no 503."""
    agent = start(
        workload={"externalServices": calls(["s1"], ["s2"], ["s3"])},
        egress={"latency": {"value": latency}},
        queues={short: 16},
    )
    before = agent.metrics()
    with agent.lines() as client:
        for _ in range(10):
            client.send(*numbered(100))
            assert in_order(client.receive(100)) == {200: 100}
    after = agent.metrics()
    balance(before, after, {200: 1000})
    assert (after - before).total("dpumesh_egress_calls_total") == 3000
    assert (after - before).total("dpumesh_egress_latency_delivered_seconds_count") == 3000
    assert (after - before).total("dpumesh_queue_submitted_total", queue="egress_submission") == 3000
    assert (after - before).total("dpumesh_queue_submitted_total", queue="egress_completion") == 3000
    assert after.total("dpumesh_queue_depth") == 0
    assert after.total("dpumesh_egress_in_flight") == 0


@pytest.mark.parametrize("latency", ["0s", "3ms"])
def test_sequences_longer_than_the_egress_queue(start, latency):
    """No cap on workers, so a full queue means only that the I/O thread is behind: new requests wait."""
    agent = start(
        workload={"externalServices": calls(["s1", "s2", "s3", "s4"], ["s5", "s6"])},
        egress={"latency": {"value": latency}},
        queues={"egressSubmission": 16},
    )
    before, total = agent.metrics(), collections.Counter()
    while total[200] < 100_000 and not total[503]:
        total += converse(agent.address("bridge"), 20, b"\n" + (request() + b"\n") * 100, 100)
    balance(before, agent.metrics(), total)
    assert rejected(agent.metrics() - before) == {}


# ---- capacity ----


def test_a_full_egress_queue(start):
    """16 places and one worker: what finds no place is refused, what was admitted is served."""
    agent = start(
        workload=ONE_CALL, egress={"latency": {"value": "50ms"}, "workers": 1}, queues={"egressSubmission": 16}
    )
    before = agent.metrics()
    with agent.lines() as client:
        begun = time.monotonic()
        client.send(*numbered(100))
        answers = client.receive(100)
        took = time.monotonic() - begun
    total = in_order(answers)
    assert set(total) == {200, 503}
    assert 16 <= total[200] < 100
    assert took >= total[200] * 0.050, "one after another"
    for answer in answers:
        if answer["status"] == 503:
            assert answer["headers"]["Retry-After"] == "1"
            assert message(answer) == "the egress queue is full; try again"
    after = agent.metrics()
    balance(before, after, total)
    assert rejected(after - before) == {"egress_queue_full": total[503]}
    assert full(after - before, "egress_submission") >= total[503]
    assert (after - before).total("dpumesh_egress_calls_total") == total[200]
    # Over HTTP the same, with the same header.
    with agent.http() as http:
        http.raw(http_request() * 60)
        found = [http.receive() for _ in range(60)]
    assert {answer.status for answer in found} == {200, 503}
    assert {answer.headers.get("retry-after") for answer in found if answer.status == 503} == {"1"}


# ---- requests and connections ----


def test_too_many_requests(start):
    agent = start(workload=ONE_CALL, egress={"latency": {"value": "200ms"}}, limits={"requests": 5})
    before = agent.metrics()
    with agent.lines() as client:
        client.send(*numbered(20))
        answers = client.receive(20)
        assert in_order(answers) == {200: 5, 503: 15}
        refused = [answer for answer in answers if answer["status"] == 503]
        assert {message(answer) for answer in refused} == {"too many requests are in flight; try again"}
        assert {answer["headers"]["Retry-After"] for answer in refused} == {"1"}
        assert client.send(request()).receive()[0]["status"] == 200, "there is room again"
    balance(before, agent.metrics(), {200: 6, 503: 15})
    assert rejected(agent.metrics() - before) == {"too_many_requests": 15}


@pytest.mark.parametrize("frame", [b"[]", request()], ids=["refused", "served"])
def test_starving_connections(start, frame):
    """More requests than the agent has places for: connections wait, and each is fed in the end."""
    agent = start(limits={"requests": 1})
    before = agent.metrics()
    total = converse(agent.address("bridge"), 80, b"\n" + (frame + b"\n") * 128, 128)
    assert sum(total.values()) == 80 * 128
    assert set(total) <= ({400} if frame == b"[]" else {200, 503})
    balance(before, agent.metrics(), total)


def test_too_many_connections(start):
    agent = start(limits={"connections": 4})
    with agent.http("admin") as admin:

        def scrape():
            return Metrics.parse(admin.raw(http_request("/metrics")).receive().body.decode())

        before = agent.metrics()
        kept = [agent.lines() for _ in range(3)]
        for client in kept:
            assert client.send(request()).receive()[0]["status"] == 200
        # Told, then closed: in each protocol, whether it would keep the connection or not.
        answer = agent.ask()
        assert answer["status"] == 503
        assert answer["headers"]["Retry-After"] == "1"
        assert message(answer) == "too many connections; try again"
        for mode in ("lines", "prefixed"):
            with getattr(agent, mode)() as client:
                assert client.send(request()).receive()[0]["status"] == 503
                assert client.ended()
        with agent.http() as client:
            answer = client.raw(http_request(PATH)).receive()
            assert (answer.status, answer.headers["connection"]) == (503, "close")
            assert answer.headers["retry-after"] == "1"
            assert client.ended()
        assert rejected(scrape() - before) == {"too_many_connections": 4}
        # Those that were there are served on, and a place that becomes free is taken.
        for client in kept:
            assert client.send(request()).receive()[0]["status"] == 200
        kept.pop().socket.close()
        eventually(lambda: agent.ask()["status"] == 200)
        for client in kept:
            client.socket.close()


@pytest.mark.slow
def test_more_connections_than_can_be_told(start):
    """The spare places are taken by clients that say nothing: others wait in the backlog for the
    frame timeout, which frees them, and then get their answer."""
    agent = start(limits={"connections": 4, "frameTimeout": "300ms"}).wait_serving()
    kept = [agent.lines() for _ in range(4)]
    for client in kept:
        client.send(request())
        assert client.receive()[0]["status"] == 200
    silent = [socket.create_connection(agent.address("bridge")) for _ in range(64)]
    late = agent.ask()
    assert late["status"] == 503
    assert "too many connections" in message(late)
    for client in silent:
        client.settimeout(30)
        data = b""
        while part := client.recv(4096):
            data += part
        assert json.loads(data)["status"] == 503, "told, although it never asked"
        client.close()
    for client in kept:
        client.socket.close()
    eventually(lambda: agent.ask()["status"] == 200)
    assert agent.metrics().total("dpumesh_accept_pauses_total") >= 1


def test_out_of_descriptors(start):
    """Clients beyond the process' descriptors wait in the backlog, and are served when one is free."""
    agent = start(descriptors=64).wait_serving()
    admin = agent.http("admin")

    def pauses():
        text = admin.raw(http_request("/metrics")).receive().body.decode()
        return int(text.split("\ndpumesh_accept_pauses_total ")[1].split()[0])

    assert pauses() == 0
    clients = [agent.lines() for _ in range(100)]
    for number, client in enumerate(clients):
        client.send(request(headers={"x-request-id": str(number)}))
    eventually(lambda: pauses() > 0)
    assert clients[0].receive()[0]["status"] == 200
    assert clients[0].send(request()).receive()[0]["status"] == 200, "those inside are served meanwhile"
    burnt = agent.status_of("voluntary_ctxt_switches")
    time.sleep(0.5)
    assert agent.status_of("voluntary_ctxt_switches") - burnt < 200, "waiting is no busy loop"
    clients[0].socket.close()
    for number, client in enumerate(clients[1:], 1):
        (answer,) = client.receive()
        assert (answer["status"], answer["headers"]["x-request-id"]) == (200, str(number))
        client.socket.close()
    assert "can't" not in agent.errors()
    admin.socket.close()


# ---- clients that do not read ----


def test_a_client_that_does_not_read(start):
    """It asks a thousand times for 20 kB on average and reads nothing: it stops being read."""
    count, mean = 1000, 20
    work = {"loader": {"sleepStress": {"run": False}, "meanResponseSize": mean}}
    agent = start(workload={"internalService": work}).wait_serving()
    assert agent.ask()["status"] == 200
    before, resident = agent.metrics(), agent.resident_bytes()
    with agent.lines(receive_buffer=4096) as client:
        sender = threading.Thread(target=client.send, args=numbered(count), daemon=True)
        sender.start()

        def settled():
            first = agent.metrics().total("dpumesh_sent_bytes_total")
            own = len(agent.get("/metrics").body)
            time.sleep(0.1)
            return agent.metrics().total("dpumesh_sent_bytes_total") - first < 4 * own

        eventually(settled)
        for _ in range(20):
            assert agent.ask()["status"] == 200, "others are served"
        delta = agent.metrics() - before
        assert delta.total("dpumesh_requests_total", protocol="bridge") - 20 < count, "it is not read on"
        held = agent.metrics().total("dpumesh_arena_used_bytes", direction="reverse")
        # limits.pipeline answers at most; 128 exponential draws exceed twice their mean less than
        # once in 1e14 times. Sizes are rounded up by less than two.
        assert held <= 2 * 2 * 128 * mean * 1000
        assert agent.resident_bytes() - resident < 48 << 20
        answers = client.receive(count)
        sender.join()
    assert in_order([{**a, "req_id": i} for i, a in enumerate(answers)]) == {200: count}
    balance(before, agent.metrics(), {200: count + 20})

    # The memory comes back with the application's next work. An answer is larger than 20 times the
    # mean once in 5e8 times.
    def returned():
        agent.ask()
        return agent.metrics().total("dpumesh_arena_used_bytes", direction="reverse") <= 2 * 20 * mean * 1000

    eventually(returned)


# ---- many ----


@pytest.fixture
def descriptors():
    """As many descriptors as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_ten_thousand_idle_connections(start, descriptors):
    count = 10_000
    if descriptors < count + 500:
        pytest.skip(f"this process may have {descriptors} descriptors only")
    agent = start(workload=ONE_CALL, egress={"latency": {"value": "5ms"}}).wait_serving()
    resident = agent.resident_bytes()
    idle = [socket.create_connection(agent.address("bridge")) for _ in range(count)]
    eventually(lambda: agent.metrics().total("dpumesh_connections_total", protocol="bridge") == count)
    assert agent.resident_bytes() - resident < count * 1024, "an idle connection costs under 1 KiB"
    before = agent.metrics()
    with agent.lines() as client:
        for _ in range(20):
            client.send(*numbered(100))
            assert in_order(client.receive(100)) == {200: 100}
    balance(before, agent.metrics(), {200: 2000})
    # Each of them can still ask.
    for client in idle[:: count // 100]:
        client.sendall(request())
        assert b'"status": 200' in client.recv(65536)
    for client in idle:
        client.close()
    eventually(lambda: agent.metrics().total("dpumesh_connections_closed_total", protocol="bridge") == count + 1)


@pytest.mark.slow
def test_a_hundred_thousand_calls_in_flight(start, descriptors):
    connections, each = 1000, 100
    if descriptors < connections + 100:
        pytest.skip(f"this process may have {descriptors} descriptors only")
    agent = start(workload=ONE_CALL, egress={"latency": {"value": "15s"}}, limits={"frameTimeout": "60s"})
    agent.wait_serving()
    before, most = agent.metrics(), [0]
    over = threading.Event()

    def watch():
        while not over.wait(0.2):
            most[0] = max(most[0], agent.metrics().total("dpumesh_egress_in_flight"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        begun = time.monotonic()
        total = converse(agent.address("bridge"), connections, b"\n" + (request() + b"\n") * each, each)
        assert time.monotonic() - begun >= 15
    finally:
        over.set()
        watcher.join()
    assert total == {200: connections * each}
    assert most[0] == connections * each, "all at the same time"
    after = agent.metrics()
    balance(before, after, total)
    assert (after - before).total("dpumesh_egress_calls_total") == connections * each
