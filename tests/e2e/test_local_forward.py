"""A generated application of ten services whose calls are real, run by dpumesh up: nothing is lost, doubled or left
hanging, and both ends of every edge count the same.

DPUMESH_FORWARD_SECONDS=60 makes the load last that long; without it, a few seconds.
"""

import json
import os
import random
import signal
import threading
import time

import pytest

from agentkit import Metrics
from conftest import eventually, fetch

SECONDS = float(os.environ.get("DPUMESH_FORWARD_SECONDS", "3"))


def application(count=10, seed=5):
    """A graph without loops: each service calls one to three later ones, the last ones none."""
    dice = random.Random(seed)
    services = {}
    for i in range(count):
        later = [f"s{j}" for j in range(i + 1, count)]
        callees = dice.sample(later, min(len(later), dice.randint(1, 3)))
        cut = dice.randint(1, len(callees)) if callees else 0
        groups = [group for group in (callees[:cut], callees[cut:]) if group]
        services[f"s{i}"] = {
            "replicas": 2 if i in (0, 4) else 1,
            "workload": {
                "internalService": {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 0.2}},
                **({"externalServices": [{"services": group} for group in groups]} if groups else {}),
            },
            "egress": {"mode": "forward"},
            "datapath": {"mode": "direct"},
        }
    return services


def edges(services):
    """{(caller, callee): calls a request of the caller}."""
    found = {}
    for caller, spec in services.items():
        for group in spec["workload"].get("externalServices", []):
            for callee in group["services"]:
                found[caller, callee] = found.get((caller, callee), 0) + 1
    return found


@pytest.fixture
def real(local, bin_dir):
    local.agent = bin_dir / "dpumesh-agent"
    if not local.agent.exists():
        pytest.fail(f"{local.agent} is missing; build it, or set DPUMESH_BIN_DIR")
    return local


def scrape(local):
    """{service: its replicas' metrics, summed}."""
    (running,) = local.applications()
    found = {}
    for service in running["services"]:
        total = Metrics()
        for replica in service["replicas"]:
            for key, value in Metrics.parse(fetch(replica["admin"] + "/metrics")).items():
                total[key] = total.get(key, 0) + value
        found[service["name"]] = total
    return found


def agree(services, now, answered):
    """Both ends of every edge, and the graph: who is asked n times makes n times its calls."""
    asked = dict.fromkeys(services, 0)
    asked["s0"] = answered
    for (caller, callee), times in edges(services).items():
        sent = now[caller].total("dpumesh_forward_requests_total", destination=callee)
        assert sent == now[caller].total("dpumesh_forward_calls_total", destination=callee), (caller, callee)
        assert sent == asked[caller] * times, (caller, callee)
        asked[callee] += sent
    for name, metrics in now.items():
        protocol = "bridge" if name == "s0" else "http"
        assert metrics.total("dpumesh_requests_total", protocol=protocol) == asked[name], name
        assert metrics.total("dpumesh_rejected_requests_total") == 0, name
        for idle in ("dpumesh_requests_in_flight", "dpumesh_egress_in_flight", "dpumesh_forward_waiting"):
            assert metrics.total(idle) == 0, (name, idle)
        assert metrics.total("dpumesh_forward_calls_ended_total") == metrics.total(
            "dpumesh_forward_calls_ended_total", result="ok"
        )


@pytest.mark.slow
@pytest.mark.timeout(120 + 3 * SECONDS)
def test_ten_services(real):
    services = application()
    process = real.up(real.write(services))
    target = f"tcp://{real.address}:5005"
    out, _ = real.run(
        "load", target, "--json", "-k", "-c", "16", "-p", "4", "-d", f"{SECONDS}s", "--timeout", "60s",
        "--path", "/api/v1", timeout=90 + 2 * SECONDS,
    )  # fmt: skip
    report = json.loads(out)
    assert report["failed"] == report["errors"]["doubled"] == 0, report
    assert set(report["status"]) == {"200"}, report["status"]
    assert report["answered"] == report["requests"] > 50
    agree(services, scrape(real), report["answered"] + report["warmup"])
    real.end(process)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_replicas_are_killed_under_load(real):
    """A replica of the middle of a chain is killed twice a second: every request is answered, most of them 200, and
    what was not is a failed call that has a reason."""
    quiet = {"loader": {"sleepStress": {"run": False}}}
    services = {
        "s0": {"workload": {"internalService": quiet, "externalServices": [{"services": ["s1"]}]}, "egress": {"mode": "forward"}},
        "s1": {"replicas": 3, "workload": {"internalService": quiet}},
    }
    process = real.up(real.write(services))
    over, answers = threading.Event(), {}

    def load():
        out, _ = real.run(
            "load", f"tcp://{real.address}:5005", "--json", "-k", "-c", "8", "-d", "7s", "--timeout", "60s",
            "--path", "/api/v1", timeout=120, status=None,
        )  # fmt: skip
        answers.update(json.loads(out))
        over.set()

    loader = threading.Thread(target=load)
    loader.start()
    killed = 0
    while not over.wait(0.5):
        pids = real.pids("s1")
        if pids and killed < 6:
            os.kill(pids[killed % len(pids)], signal.SIGKILL)
            killed += 1
    loader.join()
    assert killed >= 4
    assert answers["failed"] == answers["errors"]["doubled"] == 0
    assert answers["answered"] == answers["requests"]
    assert set(answers["status"]) <= {"200", "500"}
    bad = answers["status"].get("500", 0)
    assert bad <= 8 * killed, "at most what was under way in the one that was killed"
    s0 = scrape(real)["s0"]
    assert s0.total("dpumesh_forward_calls_ended_total") - s0.total("dpumesh_forward_calls_ended_total", result="ok") == bad
    eventually(lambda: len(real.pids("s1")) == 3)
    time.sleep(0.1)
    real.end(process)
