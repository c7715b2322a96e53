"""What an autoscaler looks at: requests in flight, and what the host and the DPU cost.

    demand                                                   test
    in flight counts what hangs, on both front ends          test_in_flight_is_what_hangs
    a client that went away: until the work has ended        test_in_flight_without_a_client
    rejected ones leave at once, or behind the ones before   test_in_flight_of_rejected_requests
    pages about the agent are no requests                    test_pages_are_not_in_flight
    never negative, 0 at the end                             test_in_flight_under_load
    workers' and application's CPU move, apart               test_cpu_goes_where_the_work_is
    the families add up to the process                       test_cpu_adds_up
    one processor: guest and host of one thread are apart    test_cpu_on_one_processor
"""

import os
import socket
import struct
import threading
import time

import pytest

from agentkit import calls, eventually, http_request, request

HOST, DPU = "dpumesh_host_cpu_seconds_total", "dpumesh_dpu_busy_seconds_total"
# What hangs is looked at several times while it does, on a busy machine too.
SLOW = {"workload": {"externalServices": calls(["s1"])}, "egress": {"latency": {"value": "3s"}}}


def in_flight(agent):
    return agent.metrics().total("dpumesh_requests_in_flight")


def cpu(agent):
    now = agent.metrics()
    stages = {stage: now.total(HOST, stage=stage) for stage in ("application", "datapath", "workers", "other")}
    # The I/O thread is the DPU, or the host's network where there is none.
    io = now.total(DPU, unit="io") + now.total(HOST, stage="io")
    parts = {**stages, "io": io, "handover": now.total("dpumesh_handover_cpu_seconds_total")}
    return {**parts, "process": now.total("process_cpu_seconds_total")}


def used(before, after):
    return {name: after[name] - before[name] for name in after}


def test_in_flight_is_what_hangs(start):
    agent = start(**SLOW)
    assert in_flight(agent) == 0
    with agent.lines() as lines, agent.http() as http, agent.one_shot() as one:
        lines.send(*[request()] * 5)
        http.raw(http_request() * 3)
        one.raw(request())
        eventually(lambda: in_flight(agent) == 9)
        assert [a["status"] for a in lines.receive(5)] == [200] * 5
        assert [http.receive().status for _ in range(3)] == [200] * 3
        assert one.answers()[0]["status"] == 200
        # An answer that was received is in flight no more.
        assert in_flight(agent) == 0


def test_in_flight_without_a_client(start):
    agent = start(**SLOW)
    with agent.lines() as lines:
        lines.send(*[request()] * 4)
        eventually(lambda: in_flight(agent) == 4)
        # A reset: after a mere end the answers would still be sent.
        lines.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(lambda: agent.metrics().total("dpumesh_connections_closed_total", protocol="bridge") == 1)
    assert in_flight(agent) == 4, "nobody waits for it, but the work goes on"
    eventually(lambda: in_flight(agent) == 0)


def test_in_flight_of_rejected_requests(start):
    agent = start(**SLOW, limits={"requests": 2})
    with agent.lines() as lines:
        assert [a["status"] for a in lines.send(request(path="/no"), b"[]").receive(2)] == [404, 400]
        assert in_flight(agent) == 0
        lines.send(*[request()] * 5)
        # Two are worked on, three were refused, and their answers stand behind.
        eventually(lambda: agent.metrics().total("dpumesh_rejected_requests_total") == 5)
        assert in_flight(agent) == 5
        assert [a["status"] for a in lines.receive(5)] == [200, 200, 503, 503, 503]
    assert in_flight(agent) == 0


def test_pages_are_not_in_flight(start):
    agent = start(**SLOW)
    with agent.http() as http:
        http.raw(http_request())
        http.raw(http_request("/metrics") * 3)  # their answers wait behind the first one's
        eventually(lambda: agent.metrics().total("dpumesh_requests_total") == 1)
        time.sleep(0.05)
        assert in_flight(agent) == 1
        for _ in range(4):
            assert http.receive().status == 200
    assert in_flight(agent) == 0


def test_in_flight_under_load(start):
    """Whatever becomes of requests: answered, refused, malformed, abandoned."""
    agent = start(
        workload={"externalServices": calls(["s1"])},
        egress={"latency": {"distribution": "uniform", "low": "0s", "high": "5ms"}},
        queues={"ingressSubmission": 16, "egressSubmission": 16},
    )
    stop = threading.Event()
    seen, failures = [], []

    def watch():
        while not stop.is_set():
            seen.append(in_flight(agent))

    def ask(abandon):
        try:
            for _ in range(12):
                with agent.lines(timeout=60) as lines:
                    lines.send(*[request(), b"[]", request(path="/no"), request()] * 12)
                    lines.receive(5 if abandon else 48)
        except BaseException as error:  # told to the main thread
            failures.append(error)

    watcher = threading.Thread(target=watch)
    clients = [threading.Thread(target=ask, args=[i % 2 == 1]) for i in range(6)]
    for thread in [watcher, *clients]:
        thread.start()
    for thread in clients:
        thread.join()
    stop.set()
    watcher.join()
    assert not failures, failures[0]
    assert min(seen) >= 0 and max(seen) > 10
    eventually(lambda: in_flight(agent) == 0)


def compute(agent, count):
    with agent.lines(timeout=60) as lines:
        assert {a["status"] for a in lines.send(*[request()] * count).receive(count)} == {200}


@pytest.mark.slow
def test_cpu_goes_where_the_work_is(start):
    heavy = start(
        workload={"threads": 2, "internalService": {"computePi": {"rangeComplexity": [900, 900]}}}
    ).wait_serving()
    before = cpu(heavy)
    while used(before, now := cpu(heavy))["workers"] < 0.3:
        compute(heavy, 20)
    spent = used(before, now)
    assert spent["workers"] > 4 * (spent["application"] + spent["io"] + spent["other"])

    light = start().wait_serving()
    before = cpu(light)
    while (spent := used(before, cpu(light)))["application"] < 0.1:
        compute(light, 500)
    assert spent["workers"] == 0
    assert spent["io"] > 0.02, "sockets cost"
    assert spent["other"] < 0.1 * (spent["io"] + spent["application"])


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["direct", "sidecar", "dpu"])
def test_cpu_adds_up(start, mode):
    workload = {"threads": 3, "internalService": {"computePi": {"rangeComplexity": [100, 300]}}}
    agent = start(workload=workload, datapath={"mode": mode})
    last = cpu(agent)
    for _ in range(40):
        compute(agent, 30)
        now = cpu(agent)
        assert all(now[name] >= last[name] for name in now), (last, now)
        parts = sum(value for name, value in now.items() if name != "process")
        # Each running thread's clock may be a tick, at most 10 ms, ahead of the process'.
        assert abs(parts - now["process"]) <= 0.005 + 0.05 * now["process"] + 4 * 0.010, now
        last = now
    assert (last["handover"] > 0) == (mode == "sidecar")
    assert last["process"] > 0.2
    time.sleep(0.1)  # at rest the kernel's clocks agree
    now = cpu(agent)
    parts = sum(value for name, value in now.items() if name != "process")
    assert parts == pytest.approx(now["process"], rel=0.02, abs=0.01)


@pytest.mark.slow
def test_cpu_on_one_processor(start):
    """The application has no thread of its own there, and its part is told all the same."""
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    try:
        # Long answers are the application's work, and little of the I/O thread's.
        agent = start(
            workload={"internalService": {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 11}}}
        ).wait_serving()
    finally:
        os.sched_setaffinity(0, processors)
    before = cpu(agent)
    while (spent := used(before, cpu(agent)))["process"] < 0.3:
        compute(agent, 200)
    assert spent["application"] > 0.05 * spent["process"]
    assert spent["io"] > 0.05 * spent["process"]
    parts = sum(value for name, value in spent.items() if name != "process")
    assert parts == pytest.approx(spent["process"], rel=0.05, abs=0.02)
