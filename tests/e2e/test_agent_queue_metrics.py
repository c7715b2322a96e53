"""What the queues' metrics say, and that idle means idle. What a full queue does: test_agent_queues.py.

    demand                                                   test
    full over HTTP: 503 with Retry-After, the connection     test_a_full_queue_over_http
      goes on
    all queues tiny, both protocols: nothing lost, nothing   test_tiny_queues_under_load
      twice, what went in came out
    registered memory is capped                              test_full_memory
    depth, capacity, submitted are metrics                   test_depth_and_capacity
    doorbells and wakes are metrics                          test_doorbells_and_wakes
    idle means idle                                          test_idle_means_idle
"""

import collections
import json
import pathlib
import threading
import time

import pytest

from agentkit import balance, calls, eventually, http_request, memory_returned, program, rejected, request

TINY = {
    "ingressSubmission": 16,
    "ingressCompletion": 16,
    "egressSubmission": 16,
    "egressCompletion": 16,
}
QUEUES = {
    "ingressSubmission": "ingress_submission",
    "ingressCompletion": "ingress_completion",
    "egressSubmission": "egress_submission",
    "egressCompletion": "egress_completion",
}


def test_a_full_queue_over_http(start):
    agent = start(
        workload={"externalServices": calls(["s1"])},
        egress={"latency": {"value": "50ms"}, "workers": 1},
        queues=TINY,
    )
    before = agent.metrics()
    with agent.http() as client:
        client.raw(http_request() * 60)
        answers = [client.receive() for _ in range(60)]
    counted = collections.Counter(answer.status for answer in answers)
    assert counted[503] >= 20
    for answer in answers:
        if answer.status == 503:
            assert answer.headers["retry-after"] == "1"
            assert json.loads(answer.body)["message"].endswith("try again")
            assert "connection" not in answer.headers  # it may try again here
    balance(before, agent.metrics(), counted)


@pytest.mark.parametrize("poll", ["0s", "1ms"])
def test_tiny_queues_under_load(start, poll):
    """Bursts from both protocols through queues of sixteen, several calls a request: whatever is
    full at some moment, each request has one answer, in its place, and the books agree."""
    agent = start(
        workload={"externalServices": calls(["s1", "s2"], ["s3"], ["s4", "s5", "s6"])},
        egress={"latency": {"distribution": "uniform", "low": "0s", "high": "2ms"}, "workers": 40},
        queues={**TINY, "poll": poll},
    )
    rounds, burst = 10, 60
    counted = collections.Counter()
    lock = threading.Lock()
    failures = []

    def bridge():
        with agent.lines(timeout=60) as client:
            for _ in range(rounds):
                marks = [str(i) for i in range(burst)]
                frames = [request(headers={"x-request-id": mark}) for mark in marks]
                answers = client.send(*frames).receive(burst)
                for answer, mark in zip(answers, marks):
                    # A refused request may come back before its headers were taken in.
                    assert answer["headers"].get("x-request-id", mark) == mark
                with lock:
                    counted.update(answer["status"] for answer in answers)

    def http():
        with agent.http(timeout=60) as client:
            for _ in range(rounds):
                client.raw(http_request() * burst)
                found = [client.receive().status for _ in range(burst)]
                with lock:
                    counted.update(found)

    def guarded(client):
        try:
            client()
        except BaseException as error:  # told to the main thread
            failures.append(error)

    before = agent.metrics()
    threads = [threading.Thread(target=guarded, args=[c]) for c in (bridge, http) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    assert sum(counted.values()) == 8 * rounds * burst
    assert set(counted) <= {200, 503} and counted[200] >= 16
    after = agent.metrics()
    balance(before, after, counted)
    delta = after - before
    assert delta.total("dpumesh_egress_calls_total") == 6 * counted[200]
    # What went in came out: each queue is empty, and answered as much as it was asked.
    for queue in QUEUES.values():
        assert after.total("dpumesh_queue_depth", queue=queue) == 0
    submitted = {q: delta.total("dpumesh_queue_submitted_total", queue=q) for q in QUEUES.values()}
    assert submitted["ingress_submission"] == submitted["ingress_completion"]
    assert submitted["egress_submission"] == submitted["egress_completion"] == 6 * counted[200]


def test_full_memory(start):
    """Answers of some 60 kB while there is 1 MiB: what does not fit is refused, and the memory is
    free again afterwards."""
    agent = start(
        workload={"internalService": {"loader": {"sleepStress": {"run": False},
                                                 "meanResponseSize": 1000}}},
        limits={"arenaBytes": "1Mi", "frameBytes": "64Ki"},
    )  # fmt: skip
    before = agent.metrics()
    with agent.lines(receive_buffer=4096) as client:
        client.send(*[request()] * 120)
        answers = client.receive(120)
    counted = collections.Counter(answer["status"] for answer in answers)
    assert set(counted) == {200, 503}
    after = agent.metrics()
    balance(before, after, counted)
    assert rejected(after - before) == {"memory_full": counted[503]}
    assert agent.ask()["status"] == 200
    memory_returned(agent)


def test_depth_and_capacity(start):
    queues = {"ingressSubmission": 64, "ingressCompletion": 128, "egressSubmission": 256,
              "egressCompletion": 512}  # fmt: skip
    agent = start(
        workload={"externalServices": calls(["s1"])},
        egress={"latency": {"value": "60s"}, "workers": 3, "timeout": "0s"},
        queues=queues,
        limits={"drainTimeout": "0s"},
    )
    agent.expected = 1  # what waits is given up at the end
    now = agent.metrics()
    for field, queue in QUEUES.items():
        assert now.total("dpumesh_queue_capacity", queue=queue) == queues[field]
        assert now.total("dpumesh_queue_depth", queue=queue) == 0
    for direction in ("forward", "reverse"):
        assert now.total("dpumesh_arena_size_bytes", direction=direction) == 64 << 20
    with agent.lines() as client:
        client.send(*[request()] * 20)
        eventually(lambda: agent.metrics().total("dpumesh_egress_in_flight") == 3)
        eventually(
            lambda: agent.metrics().total("dpumesh_queue_depth", queue="egress_submission") == 17
        )
        now = agent.metrics()
        assert now.total("dpumesh_arena_used_bytes", direction="forward") > 0
        assert now.total("dpumesh_queue_submitted_total", queue="ingress_submission") == 20
        assert now.total("dpumesh_queue_submitted_total", queue="egress_submission") == 20

def test_doorbells_and_wakes(start):
    """A request to a sleeping agent rings once each way; a wake never comes without a ring."""
    agent = start(
        workload={"externalServices": calls(["s1"])},
        egress={"latency": {"value": "100ms"}},
        queues={"poll": "0s"},
    ).wait_serving()
    before = agent.metrics()
    for _ in range(5):
        assert agent.ask()["status"] == 200

    def counted(side):
        delta = agent.metrics() - before
        return [delta.total(f"dpumesh_{what}_total", side=side) for what in ("doorbells", "wakes")]

    for side in ("application", "io"):
        # The I/O thread may be awake for another reason when its bell would ring.
        assert counted(side)[0] >= 1, side
        # Who rings counts it after that, when who was rung may have counted already.
        eventually(lambda: counted(side)[0] >= counted(side)[1], what=side)
    # The application sleeps until the request comes, and again until its call has ended.
    assert counted("application")[1] >= 5


def switches(agent):
    """Context switches of all threads: how often anything woke up."""
    total = 0
    for task in pathlib.Path(f"/proc/{agent.process.pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if "ctxt_switches" in line:
                total += int(line.split()[1])
    return total


def test_idle_means_idle(start):
    """Nobody wakes up when there is nothing to do, not even with connections that are kept."""
    if b"__tsan_init" in program().read_bytes():
        pytest.skip("ThreadSanitizer has a thread of its own, which wakes up")
    agent = start(workload={"externalServices": calls(["s1"])})
    kept = [agent.lines() for _ in range(20)]
    for client in kept:
        client.send(request()).receive()

    def quiet():
        before = switches(agent)
        time.sleep(0.7)
        return switches(agent) - before <= 2

    # What was asked has its consequences first.
    assert any(quiet() for _ in range(4))
    for client in kept:
        client.socket.close()
