"""dpumesh up with real agents: what holds for the application as a whole when replicas come and go."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest

from conftest import alive, ask, eventually, fetch

SERVICES = {
    "s0": {
        "workload": {
            "externalServices": [{"services": ["s1"]}],
            "internalService": {"loader": {"sleepStress": {"run": False}}},
        },
        "egress": {"latency": {"distribution": "constant", "value": "20ms"}},
    },
    "s1": {},
}


@pytest.fixture
def real(local, bin_dir):
    agent = bin_dir / "dpumesh-agent"
    if not agent.exists():
        pytest.fail(f"{agent} is missing; build it, or set DPUMESH_BIN_DIR")
    local.agent = agent
    return local


class Clients:
    """Threads that ask without a pause, one connection a request, until they are stopped."""

    def __init__(self, address, count=8):
        self.address = address
        self.answers = []
        self.failures = []
        self.stopping = False
        self.threads = [threading.Thread(target=self.loop) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def loop(self):
        while not self.stopping:
            try:
                self.answers.append(ask(self.address, "/api/v1", timeout=20)["status"])
            except (OSError, ValueError) as failure:
                self.failures.append(repr(failure))

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        return self


def test_the_application_answers_on_bridge_and_http(real):
    real.up(real.write(SERVICES))
    service = real.service()
    answer = ask(service["bridge"][0], "/api/v1")
    assert answer["status"] == 200
    assert fetch(service["http"][0])
    replica = service["replicas"][0]
    config = json.loads(fetch(replica["admin"] + "/config"))
    assert config["service"] == "s0" and config["replica"] == "s0-0"
    assert set(config["peers"]) == {"s0", "s1"}
    assert "mub_request_processing_latency" in fetch(replica["admin"] + "/metrics")


def test_scaling_under_load_loses_nothing(real):
    real.up(real.write(SERVICES))
    clients = Clients(real.service()["bridge"][0])
    for number in (3, 1, 2, 0, 2):
        time.sleep(0.3)
        real.run("scale", "s0", number)
    time.sleep(0.3)
    clients.stop()
    assert not clients.failures
    assert set(clients.answers) == {200}
    assert len(clients.answers) > 50


def test_a_killed_replica_costs_only_what_it_had_accepted(real):
    real.up(real.write(SERVICES), "-r", "s0=2")
    clients = Clients(real.service()["bridge"][0])
    time.sleep(0.3)
    os.kill(real.pids()[0], signal.SIGKILL)
    eventually(lambda: real.service()["restarts"] == 1 and real.service()["ready"] == 2)
    time.sleep(0.3)
    clients.stop()
    assert set(clients.answers) == {200}
    assert len(clients.failures) <= 8, "at most what was in flight"


def test_kill_9_of_the_supervisor_answers_what_is_in_flight(real):
    slow = json.loads(json.dumps(SERVICES))
    slow["s0"]["egress"]["latency"]["value"] = "2s"
    process = real.up(real.write(slow))
    pids = real.pids() + real.pids("s1")
    answers = []
    client = threading.Thread(
        target=lambda: answers.append(ask(real.address + ":5005", "/api/v1")["status"])
    )
    client.start()
    admin = real.service()["replicas"][0]["admin"]
    eventually(lambda: "\ndpumesh_egress_in_flight 1\n" in fetch(admin + "/metrics"))
    process.kill()
    process.communicate()
    client.join()
    assert answers == [200]
    eventually(lambda: not any(map(alive, pids)))
    assert real.applications() == []


def test_apply_reaches_running_agents(real):
    real.up(real.write(SERVICES))
    (pid,) = real.pids()
    changed = json.loads(json.dumps(SERVICES))
    changed["s0"]["egress"]["latency"]["value"] = "300ms"
    real.write(changed)
    real.run("apply")
    admin = real.service()["replicas"][0]["admin"]

    def taken_over():
        return json.loads(fetch(admin + "/config"))["egress"]["latency"]["value"] == "300ms"

    eventually(taken_over)
    started = time.monotonic()
    assert ask(real.service()["bridge"][0], "/api/v1")["status"] == 200
    assert time.monotonic() - started > 0.29
    assert real.pids() == [pid]


def test_the_original_client_finds_three_replicas(real, bin_dir):
    """50 at a time on the node port, as the original's README has it."""
    services = json.loads(json.dumps(SERVICES))
    services["s0"]["service"] = {"type": "NodePort", "nodePorts": {"bridge": 30005}}
    real.up(real.write(services), "-r", "s0=3")
    out = subprocess.run(
        [bin_dir / "dpumesh", "load", f"tcp://{real.address}:30005", "--concurrency", "50",
         "--requests", "300", "--json"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout
    assert json.loads(out)
    served = 0
    for replica in real.service()["replicas"]:
        metrics = fetch(replica["admin"] + "/metrics")
        (line,) = [
            l for l in metrics.splitlines() if l.startswith('dpumesh_requests_total{protocol="bridge"}')
        ]
        served += float(line.split()[1])
    assert served == 300


def test_the_whole_vocabulary(real, tmp_path):
    """What a DpuService says reaches the agents: a disk without the pod's volume, a behaviour, a
    plugin, and calls."""
    plugin = {"path": str(real.agent.parents[1] / "tests" / "agent" / "plugins" / "sample.so"), "function": "echo"}
    quiet = {"sleepStress": {"run": False}, "meanResponseSize": 0}
    services = {
        "s0": {
            "workload": {
                "internalService": {"loader": {**quiet, "memoryStress": {"run": True}, "diskStress": {"run": True}}},
                "externalServices": [{"services": ["s1"]}],
                "alternativeBehaviors": {
                    "page": {"internalService": {"colosseum": {}}, "externalServices": []},
                    "own": {"internalService": {"plugin": {**plugin, "params": {"a": [1]}}}},
                },
            },
            "egress": {"latency": {"value": "1ms"}},
        },
        "s1": {},
    }
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    real.environment["TMPDIR"] = str(scratch)
    process = real.up(real.write(services))
    address = real.service()["bridge"][0]
    plain = ask(address, "/api/v1")
    assert (plain["status"], plain["body"]) == (200, "m")
    page = ask(address, "/api/v1", query_string="bid=page")
    assert page["status"] == 200 and len(page["body"]) > 500
    own = ask(address, "/api/v1", query_string="bid=own")
    assert own["status"] == 200 and 'params={"a":[1]}' in own["body"] and "service=s0" in own["body"]
    assert list(scratch.iterdir()) == []
    real.end(process)
