"""An agent that may use one processor runs its application on the I/O thread; everything else is as with two."""

import os
import signal
import threading
import time

import pytest

from agentkit import calls, eventually, program


@pytest.fixture
def alone(start):
    """Starts agents on one processor; the test's own process keeps what it had."""
    processors = os.sched_getaffinity(0)

    def begin(**parts):
        os.sched_setaffinity(0, {min(processors)})
        try:
            return start(**parts).wait_serving()
        finally:
            os.sched_setaffinity(0, processors)

    return begin


def threads(agent):
    return len(os.listdir(f"/proc/{agent.process.pid}/task"))


def doorbells(agent):
    return agent.metrics().total("dpumesh_doorbells_total", side="application")


def test_no_thread_and_no_bell(alone):
    agent = alone(workload={"externalServices": calls(["s1", "s2"])}, egress={"latency": {"value": "5ms"}})
    assert threads(agent) == 2, "main and I/O"
    with agent.lines() as client:
        for _ in range(20):
            client.send(*[b'{"path": "/api/v1"}'] * 10)
            assert [answer["status"] for answer in client.receive(10)] == [200] * 10
    assert doorbells(agent) == 0


def test_queues_smaller_than_the_burst(alone):
    """Answers and calls that found no room at first all come through, without anybody to ring."""
    sizes = {name: 16 for name in ("ingressSubmission", "ingressCompletion", "egressSubmission", "egressCompletion")}
    agent = alone(
        workload={"externalServices": calls(["s1"], ["s2"])}, egress={"latency": {"value": "1ms"}}, queues=sizes
    )
    with agent.lines() as client:
        for _ in range(20):
            client.send(*[b'{"path": "/api/v1"}'] * 100)
            assert {answer["status"] for answer in client.receive(100)} <= {200, 503}
    assert agent.ask()["status"] == 200


def test_computing_does_not_stop_the_others(alone):
    agent = alone(
        workload={
            "internalService": {"loader": {"cpuStress": {"run": True, "rangeComplexity": [6000, 6000]}, "sleepStress": {"run": False}}}
        }
    )
    slow = threading.Thread(target=agent.ask)
    slow.start()
    begun = time.monotonic()
    while slow.is_alive():
        assert agent.get("/healthz").status == 200
    slow.join()
    assert time.monotonic() - begun < 60
    assert agent.metrics().total("dpumesh_cpu_jobs_total") == 1


def test_sleep_reload_and_drain(alone):
    agent = alone(workload={"internalService": {"loader": {"sleepStress": {"run": True, "sleepTime": 1}}}})
    answers = []
    client = threading.Thread(target=lambda: answers.append(agent.ask()))
    client.start()
    eventually(lambda: agent.metrics().total("dpumesh_requests_in_flight") == 1)
    agent.signal(signal.SIGTERM)
    assert agent.end() == 0
    client.join()
    assert [answer["status"] for answer in answers] == [200]


def test_a_plugin_s_deadline(alone):
    """It is kept by the thread that also waits for sockets."""
    path = program().parent.parent / "tests" / "agent" / "plugins" / "sample.so"
    use = {"path": str(path), "function": "stubborn", "params": {"ms": 3000}, "timeout": "50ms"}
    agent = alone(workload={"threads": 1, "internalService": {"plugin": use}})
    begun = time.monotonic()
    assert agent.ask()["status"] == 500
    assert 0.05 <= time.monotonic() - begun < 2.5
