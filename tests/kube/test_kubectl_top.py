"""`kubectl dpumesh top`: figures of pods, through the API server's proxy, and what is unknown."""

import contextlib
import http.server
import json
import re
import signal
import threading
import time

import pytest

import netns
import operatorkit
import plugin
import pods
from controlplane import ControlPlane
from processes import eventually
from specs import dpu_service

ADDRESSES = [f"10.244.9.{i}" for i in range(1, 4)]

PAGE = """\
dpumesh_requests_total{{protocol="bridge"}} {requests}
dpumesh_requests_total{{protocol="http"}} 0
dpumesh_requests_in_flight {in_flight}
dpumesh_queue_depth{{queue="ingress_submission"}} 3
dpumesh_queue_capacity{{queue="ingress_submission"}} 4096
dpumesh_host_cpu_seconds_total{{stage="application"}} {application}
dpumesh_host_cpu_seconds_total{{stage="workers"}} {workers}
dpumesh_dpu_busy_seconds_total{{unit="io"}} {dpu}
mub_request_processing_latency_milliseconds_bucket_bucket{{le="10.0"}} 0
mub_request_processing_latency_milliseconds_bucket_bucket{{le="100.0"}} {requests}
mub_request_processing_latency_milliseconds_bucket_bucket{{le="+Inf"}} {requests}
mub_request_processing_latency_milliseconds_bucket_count {requests}
mub_request_processing_latency_milliseconds_bucket_sum 1
process_start_time_seconds 1
"""


class Agent(http.server.BaseHTTPRequestHandler):
    """A page whose counters grow with the clock: 1000 requests, 0.25 s of the DPU, 0.5 s of the host each second."""

    def do_GET(self):
        if self.path != "/metrics":
            self.send_error(404)
            return
        with self.server.lock:
            self.server.now += 1
            self.server.asked += 1
            self.server.most = max(self.server.most, self.server.now)
        time.sleep(self.server.delay)
        # Before the answer: after it, the next may be asked for already.
        with self.server.lock:
            self.server.now -= 1
        now = time.monotonic()
        if self.server.silent:
            time.sleep(30)
            return
        page = PAGE.format(
            requests=int(now * 1000), in_flight=self.server.in_flight, application=now * 0.4, workers=now * 0.1,
            dpu=now * 0.25,
        )  # fmt: skip
        if self.server.old:
            page = "".join(line for line in page.splitlines(True) if "cpu" not in line and "dpu_busy" not in line)
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def agent(address, in_flight=0, silent=False, old=False, delay=0.0):
    server = http.server.ThreadingHTTPServer((address, 8080), Agent)
    server.daemon_threads = True
    server.in_flight, server.silent, server.old, server.delay = in_flight, silent, old, delay
    server.lock, server.now, server.most, server.asked = threading.Lock(), 0, 0, 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def world(kube_programs):
    """A control plane in a network namespace in which pods may have addresses."""
    if not netns.possible():
        pytest.skip("a network namespace takes root")
    with netns.entered(*ADDRESSES), ControlPlane(programs=kube_programs) as plane:
        operatorkit.install(plane)
        yield plane


@pytest.fixture
def namespace(world):
    name = world.create_namespace(f"top-{next(operatorkit.COUNTER)}")
    yield name
    world.delete_namespace(name)


def service(world, namespace, name, ready, wanted):
    path = f"{operatorkit.DPUSERVICES.format(namespace)}/{name}"
    world.client.apply(path, dpu_service(name, replicas=wanted))
    status = {"readyReplicas": ready, "desiredReplicas": wanted}
    world.api("PATCH", f"{path}/status", {"status": status})


def pod(world, namespace, service_name, number, address):
    """A pod of a DpuService as a kubelet would tell of it."""
    labels = {"app.kubernetes.io/name": "dpumesh-agent", "app.kubernetes.io/instance": service_name}
    document = {
        "metadata": {"name": f"{service_name}-{number}", "labels": labels},
        "spec": {"containers": [{"name": "agent", "image": "a"}]},
    }
    made = world.api("POST", f"/api/v1/namespaces/{namespace}/pods", document)
    status = {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": pods.conditions(),
        "containerStatuses": pods.containers(made, True, {"running": {"startedAt": pods.now()}}),
    }
    pods.patch_status(world.client, made, status)


def rows(text):
    """[{column: cell}] of a table."""
    lines = [line.split() for line in text.splitlines() if not line.startswith("*")]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def near(text, value, part=0.01):
    return abs(float(text) - value) <= value * part


def about(text, value):
    """What is measured between two looks: on a busy machine a page is made a while before it is read, so that
    the time between two pages is not quite that between two looks. One replica of two is a half."""
    return near(text, value, 0.4)


def in_time(look):
    """What a look finds, which returns something false when a rate is not about what it is: then pages were late, and
    the next look may have more luck."""
    return eventually(look, 60, "no look was on time")


def test_figures(world, namespace):
    service(world, namespace, "s0", 2, 2)
    service(world, namespace, "s1", 0, 0)
    for number in (0, 1):
        pod(world, namespace, "s0", number, ADDRESSES[number])
    with agent(ADDRESSES[0], in_flight=5), agent(ADDRESSES[1], in_flight=7):

        def look():
            found = rows(plugin.ok(world, "top", "-n", namespace, "--once", "-i", "2s"))
            return about(found[0]["REQ/S"], 2000) and found

        s0, s1 = in_time(look)
        assert (s0["NAME"], s0["READY"], s0["INFLIGHT"], s0["QUEUE"]) == ("s0", "2/2", "12", "6/8192")
        # The same pages say all three, so that their proportions hold whatever the time between them.
        assert near(s0["DPU(m)"], float(s0["REQ/S"]) / 4) and near(s0["HOST(m)"], float(s0["REQ/S"]) / 2)
        # All between 10 and 100 ms: straight lines say 55.0 and 99.1.
        assert (s0["P50(ms)"], s0["P99(ms)"]) == ("55.0", "99.1")
        assert list(s1.values()) == ["s1", "0/0", *["-"] * 7]

        def one_service():
            found = json.loads(plugin.ok(world, "top", "dpu/s0", "-A", "-o", "json", "-i", "500ms"))
            return about(found["services"][0]["requests_per_s"], 2000) and found

        done = in_time(one_service)
        (one,) = done["services"]
        assert one["namespace"] == namespace and one["silent"] == 0 and one["in_flight"] == 12
        assert 0.5 <= done["interval_s"] < 2
        assert one["p50_ms"] == pytest.approx(55)


def test_a_pod_that_does_not_answer_is_unknown_not_zero(world, namespace):
    service(world, namespace, "s0", 2, 2)
    service(world, namespace, "s1", 1, 1)
    service(world, namespace, "s2", 1, 1)
    pod(world, namespace, "s0", 0, ADDRESSES[0])
    pod(world, namespace, "s0", 1, ADDRESSES[1])
    pod(world, namespace, "s1", 0, ADDRESSES[1])
    pod(world, namespace, "s2", 0, ADDRESSES[2])
    with agent(ADDRESSES[0], in_flight=5), agent(ADDRESSES[1], silent=True), agent(ADDRESSES[2], old=True):

        def look():
            began = time.monotonic()
            done = plugin.run(world, "top", "-n", namespace, "--once", "-i", "1s", "--timeout", "1500ms")
            assert done.stderr.count("2 replicas do not answer: GET /api/v1/namespaces/") == 1, done.stderr
            assert "no answer from 127.0.0.1" in done.stderr and "within 1.5 s" in done.stderr
            # Silent pods are asked at the same time, and no longer than the time-out each.
            assert time.monotonic() - began < 15
            s0, _, s2 = found = rows(done.stdout)
            assert s0["REQ/S"].endswith("?")
            return about(s0["REQ/S"][:-1], 1000) and about(s2["REQ/S"], 1000) and found

        s0, s1, s2 = in_time(look)
        assert s0["INFLIGHT"] == "5?"
        assert list(s1.values())[2:] == ["?"] * 7
        # An older agent answers, but does not tell of processors.
        assert (s2["DPU(m)"], s2["HOST(m)"]) == ("-", "-")
        (found,) = json.loads(plugin.ok(world, "top", "s1", "-n", namespace, "-o", "json", "--timeout", "200ms"))[
            "services"
        ]
        assert found["silent"] == 1 and found["requests_per_s"] is None and found["in_flight"] is None


def test_many_pods_take_few_connections(world, namespace):
    """Forty pods at one address: never more than eight are asked at once."""
    service(world, namespace, "s0", 40, 40)
    for number in range(40):
        pod(world, namespace, "s0", number, ADDRESSES[0])
    with agent(ADDRESSES[0], in_flight=1, delay=0.02) as server:
        (s0,) = rows(plugin.ok(world, "top", "-n", namespace, "--once", "-i", "1s"))
    assert s0["INFLIGHT"] == "40"
    assert 2 <= server.most <= 8, server.most


def test_goes_on_until_it_is_ended(world, namespace):
    service(world, namespace, "s0", 1, 1)
    pod(world, namespace, "s0", 0, ADDRESSES[0])
    with agent(ADDRESSES[0]) as server:
        process = plugin.start(world, "top", "-n", namespace, "--watch", "-i", "200ms", "-o", "json", "--timeout", "25s")
        lines = [json.loads(process.stdout.readline()) for _ in range(3)]
        assert all(line["services"][0]["silent"] == 0 for line in lines)
        # A pod that hangs does not hold the end up.
        server.silent = True
        count = server.asked
        eventually(lambda: server.asked > count, 20)
        began = time.monotonic()
        status, _, err = plugin.end(process, signal.SIGINT)
        assert (status, err) == (0, "") and time.monotonic() - began < 15


def test_one_table_does_not_wait_for_ever(world, namespace):
    """The first look went well; what the second one met is said, and ends it. With --watch it goes on."""
    service(world, namespace, "s0", 1, 1)
    pod(world, namespace, "s0", 0, ADDRESSES[0])
    with agent(ADDRESSES[0]) as server:
        once, watch = (
            plugin.start(world, "top", "s0", "-n", namespace, word, "-i", "6s") for word in ("--once", "--watch")
        )
        eventually(lambda: server.asked >= 2, 20)
        world.api("DELETE", f"{operatorkit.DPUSERVICES.format(namespace)}/s0")
        sentence = "there is no DpuService s0"
        assert sentence in watch.stderr.readline()
        status, out, err = plugin.end(once, None, timeout=20)
        assert (status, out) == (1, "") and err.count(sentence) == 1
        assert watch.poll() is None
        assert plugin.end(watch)[0] == 0


def test_refusals(world, namespace):
    done = plugin.run(world, "top", "-n", namespace, "nosuch")
    assert done.returncode == 1 and "there is no DpuService nosuch" in done.stderr
    done = plugin.run(world, "top", "--watch", "--once")
    assert done.returncode == 2 and "opposites" in done.stderr
    done = plugin.run(world, "top", "--name", "app")
    assert done.returncode == 2 and 'is of "dpumesh up" on this machine' in done.stderr
    done = plugin.run(world, "top", "-A", kubeconfig="/dev/null", program=plugin.specs.BIN / "dpumesh")
    assert done.returncode == 2 and "no kubeconfig" in done.stderr
    done = plugin.run(world, "top", program=plugin.specs.BIN / "dpumesh")
    assert done.returncode == 3 and "no application is running" in done.stderr and "--cluster" in done.stderr
    # Somebody who may do nothing hears what was refused, in one sentence.
    nobody = world.kubeconfig_for("nobody", namespace)
    done = plugin.run(world, "top", "-n", namespace, kubeconfig=nobody.path)
    assert done.returncode == 1 and "dpuservices.dpumesh.io is forbidden" in done.stderr
    assert len(done.stderr.splitlines()) <= 2, done.stderr
    assert re.search(r'User "system:serviceaccount:\S+:nobody" cannot list', done.stderr)


def test_rights(world, namespace):
    """These rights are enough; docs/kubectl.md has them."""
    service(world, namespace, "s0", 1, 1)
    pod(world, namespace, "s0", 0, ADDRESSES[0])
    reader = world.kubeconfig_for("reader", namespace)
    rules = [
        {"apiGroups": ["dpumesh.io"], "resources": ["dpuservices"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]},
    ]
    world.grant(reader, rules[:2], namespace)
    with agent(ADDRESSES[0], in_flight=9):

        def refused():
            done = plugin.run(world, "top", "-n", namespace, "--once", "-i", "200ms", kubeconfig=reader.path)
            return done.returncode == 0 and done

        # Why the figures are unknown is said.
        done = eventually(refused, 20)
        assert rows(done.stdout)[0]["INFLIGHT"] == "?"
        assert "1 replica does not answer" in done.stderr and 'cannot get resource "pods/proxy"' in done.stderr
        world.grant(reader, rules, namespace)

        def seen():
            done = plugin.run(world, "top", "-n", namespace, "--once", "-i", "200ms", kubeconfig=reader.path)
            return done.returncode == 0 and rows(done.stdout)[0]["INFLIGHT"] == "9"

        eventually(seen, 20)
