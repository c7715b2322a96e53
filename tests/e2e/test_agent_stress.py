"""The loader's work besides digits of pi, and colosseum (contract, section 2): what is asked for is
done, on worker threads, and nothing stays behind.

    demand                                                  test
    memory_stress: memory_size kB, memory_io operations     test_memory_stress
    disk_stress: blocks of a size, temporary                test_disk_stress, test_a_disk_file_has_no_name
    ... removed, also after a kill                          test_a_killed_agent_leaves_no_file
    cpu, memory, disk and sleep one after another           test_all_of_the_loader
    work that fails: 500 {"message": "Error"}               test_work_that_fails
    threads cap what runs at once                           test_threads_cap_memory
    the event loop never waits                              test_stress_stops_nobody_else
    the CPU time is the workers'                            test_stress_is_the_workers_cpu_time
    compute_pi computes the digits that were asked for      test_range_complexity_is_uniform
    colosseum: a page of ASCII art                          test_colosseum
"""

import json
import math
import os
import signal
import subprocess
import time

import pytest

from agentkit import PATH, balance, calls, eventually, message, request

SIGMAS = 5.5  # a normal variable is further out once in 26 million draws


def loader(**parts):
    """A loader that does nothing but what is given."""
    return {"internalService": {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 0, **parts}}}


def memory(**parts):
    return {"memoryStress": {"run": True, **parts}}


def disk(**parts):
    return {"diskStress": {"run": True, **parts}}


def jobs(agent, kind, result):
    return agent.metrics().total("dpumesh_worker_jobs_total", kind=kind, result=result)


def ask_many(agent, count):
    with agent.lines(timeout=60) as client:
        client.send(*[request()] * count)
        return client.receive(count)


def test_memory_stress(start):
    """150 MB are resident for a while, and are not any more after that."""
    agent = start(workload=loader(**memory(memorySize=150000, memoryIo=1000)))
    agent.wait_serving()
    before = agent.resident_bytes()
    assert agent.ask()["status"] == 200
    assert agent.status_of("VmHWM") * 1024 >= before + 145e6
    assert agent.resident_bytes() < before + 50e6
    assert jobs(agent, "memory", "done") == 1


def io_of(agent, field):
    """A counter of /proc/PID/io."""
    with open(f"/proc/{agent.process.pid}/io", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def test_disk_stress(start, tmp_path):
    """20 blocks of 50,000 bytes a request are written and read again, each once."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    shape = disk(diskWriteBlockCount=20, diskWriteBlockSize=50000)
    agent = start(workload={**loader(**shape), "scratch": str(scratch)})
    agent.wait_serving()
    written, read = io_of(agent, "wchar"), io_of(agent, "rchar")
    assert {answer["status"] for answer in ask_many(agent, 10)} == {200}
    # Little else is written and read: doorbells, sockets.
    assert 10e6 <= io_of(agent, "wchar") - written < 10.1e6
    assert 10e6 <= io_of(agent, "rchar") - read < 10.1e6
    assert os.listdir(scratch) == []
    assert jobs(agent, "disk", "done") == 10


def open_files(agent):
    """Where its descriptors lead."""
    folder = f"/proc/{agent.process.pid}/fd"
    found = []
    for name in os.listdir(folder):
        try:
            found.append(os.readlink(f"{folder}/{name}"))
        except FileNotFoundError:
            pass
    return found


def a_long_write(start, tmp_path):
    """An agent in the middle of writing a file."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    shape = disk(diskWriteBlockCount=1000000, diskWriteBlockSize=1000)
    agent = start(workload={**loader(**shape), "scratch": str(scratch)}, limits={"drainTimeout": "60s"})
    client = agent.lines()
    client.send(request())
    eventually(lambda: any(path.startswith(str(scratch)) for path in open_files(agent)))
    return agent, client, scratch


def test_a_disk_file_has_no_name(start, tmp_path):
    agent, client, scratch = a_long_write(start, tmp_path)
    with client:
        assert os.listdir(scratch) == []
        agent.expected = -signal.SIGKILL
        agent.signal(signal.SIGKILL)
        agent.end()


def test_a_killed_agent_leaves_no_file(start, tmp_path):
    agent, client, scratch = a_long_write(start, tmp_path)
    with client:
        agent.expected = -signal.SIGKILL
        agent.signal(signal.SIGKILL)
        agent.end()
        assert os.listdir(scratch) == []
        used = int(subprocess.run(["du", "-sk", scratch], capture_output=True, check=True).stdout.split()[0])
        assert used < 100


def test_the_directory_is_tmpdir(start, tmp_path, monkeypatch):
    """Without a word in the configuration."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "not-there"))
    agent = start(workload=loader(**disk()))
    assert agent.ask()["status"] == 500
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert start(workload=loader(**disk())).ask()["status"] == 200


def test_all_of_the_loader(start, tmp_path):
    """One after another: the whole takes as long as the parts, and each is done."""
    work = {
        "cpuStress": {"run": True, "rangeComplexity": [50, 50], "threadPoolSize": 3, "trials": 2},
        **memory(memorySize=1000, memoryIo=100),
        **disk(diskWriteBlockCount=10),
        "sleepStress": {"run": True, "sleepTime": 0.1},
    }
    agent = start(
        workload={**loader(**work), "scratch": str(tmp_path), "externalServices": calls(["s1"])},
        egress={"latency": {"value": "50ms"}},
    )
    begun = time.monotonic()
    assert agent.ask()["status"] == 200
    assert time.monotonic() - begun >= 0.15
    now = agent.metrics()
    assert now.total("dpumesh_cpu_jobs_total") == 6
    assert now.total("dpumesh_pi_digits_total") == 300
    assert now.total("dpumesh_worker_jobs_total") == 2
    assert now.total("mub_internal_processing_latency_milliseconds_sum") >= 95
    assert now.total("mub_external_processing_latency_milliseconds_sum") >= 45


def test_work_that_fails(start, tmp_path):
    """The contract's body, no call is made, and no size is counted."""
    agent = start(
        workload={**loader(**disk()), "scratch": str(tmp_path / "nowhere"), "externalServices": calls(["s1"])}
    )
    before = agent.metrics()
    answer = agent.ask()
    assert (answer["status"], json.loads(answer["body"])) == (500, {"message": "Error"})
    over_http = agent.get(PATH, "http")
    assert (over_http.status, json.loads(over_http.body)) == (500, {"message": "Error"})
    now = agent.metrics()
    balance(before, now, {500: 2})
    assert now.total("dpumesh_rejected_requests_total", reason="internal_error") == 2
    assert now.total("dpumesh_worker_jobs_total", kind="disk", result="failed") == 2
    assert now.total("dpumesh_egress_calls_total") == 0
    assert now.total("mub_response_size_count") == 0
    agent.wait_log("diskStress")
    agent.wait_log("No such file or directory")


def test_threads_cap_memory(start):
    """Twenty requests at once on two threads: never more than two shares of memory."""
    agent = start(workload={"threads": 2, **loader(**memory(memorySize=50000))})
    agent.wait_serving()
    before = agent.resident_bytes()
    assert {answer["status"] for answer in ask_many(agent, 20)} == {200}
    most = agent.status_of("VmHWM") * 1024 - before
    assert 45e6 < most < 2 * 50e6 + 60e6, most
    assert jobs(agent, "memory", "done") == 20


def test_stress_stops_nobody_else(start, tmp_path):
    """While the only worker writes, what needs none is answered."""
    shape = disk(diskWriteBlockCount=20000, diskWriteBlockSize=2000)
    agent = start(
        workload={"threads": 1, **loader(**shape), "scratch": str(tmp_path)},
        limits={"drainTimeout": "100s"},
    )
    with agent.lines(timeout=100) as busy, agent.lines() as other:
        busy.send(request())
        eventually(lambda: any("#" in path or "deleted" in path for path in open_files(agent)))
        slowest = 0
        for _ in range(10):
            begun = time.monotonic()
            assert other.send(request(path="/no")).receive()[0]["status"] == 404
            slowest = max(slowest, time.monotonic() - begun)
        assert jobs(agent, "disk", "done") == 0, "it was over before the others were asked"
        assert slowest < 2
        assert busy.receive()[0]["status"] == 200


def test_stress_is_the_workers_cpu_time(start, tmp_path):
    agent = start(workload={**loader(**memory(memorySize=20000, memoryIo=3000000)), "scratch": str(tmp_path)})
    before = agent.metrics()
    assert {answer["status"] for answer in ask_many(agent, 5)} == {200}
    delta = agent.metrics() - before
    workers = delta.total("dpumesh_host_cpu_seconds_total", stage="workers")
    assert workers > 0.02
    assert delta.total("dpumesh_host_cpu_seconds_total", stage="application") < workers / 3


@pytest.mark.parametrize("kind", ["computePi", "loader"])
def test_range_complexity_is_uniform(start, kind):
    """Digits from 11 to 30 are 20.5 on average, with a variance of (20^2 - 1) / 12. 3000 draws: the
    sum is outside of the bound for fewer than one run in 10 million."""
    shape = {"rangeComplexity": [11, 30]}
    work = {"computePi": {**shape, "meanResponseSize": 0}}
    if kind == "loader":
        work = loader(cpuStress={"run": True, **shape})["internalService"]
    agent = start(workload={"internalService": work})
    count = 3000
    assert {answer["status"] for answer in ask_many(agent, count)} == {200}
    digits = agent.metrics().total("dpumesh_pi_digits_total")
    assert abs(digits - 20.5 * count) < SIGMAS * math.sqrt(count * (20**2 - 1) / 12)


def test_colosseum(start):
    """The same page each time, over both protocols; its size counts as any answer's."""
    agent = start(workload={"internalService": {"colosseum": {}}})
    page = agent.ask()["body"]
    lines = page.splitlines()
    assert len(lines) > 10 and all(line.isascii() and line.isprintable() for line in lines)
    assert "\\" in page, "nothing in it has to be escaped"
    assert agent.ask(method="POST")["body"] == page
    over_http = agent.get(PATH, "http")
    assert over_http.body.decode() == page
    assert over_http.headers["content-type"] == "text/plain; charset=utf-8"
    with agent.prefixed() as client:
        assert client.send(request()).receive()[0]["body"] == page
    now = agent.metrics()
    assert now.total("mub_response_size_count") == 4
    assert now.total("mub_response_size_sum") == 4 * len(page)


def test_a_plain_answer_needs_no_escape(start):
    """The other way round: an answer of plain characters is not touched."""
    agent = start(workload={"internalService": {"computePi": {"meanResponseSize": 1}}})
    assert set(agent.ask()["body"]) == {"m"}
    assert message(agent.ask(path="/no"))
