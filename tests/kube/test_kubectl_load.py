"""`kubectl dpumesh load`: the test runs in a pod, prints here what it prints there, and leaves nothing behind."""

import json
import signal
import socket
import subprocess
import threading
import time

import pytest

import fakenode
import operatorkit
import plugin
import specs
from faults import Answer, Rule
from processes import eventually
from specs import dpu_service

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}


class Bridge:
    """Answers every request on a port of this machine, after so many seconds; counts them."""

    def __init__(self, delay=0.0, status=200):
        self.delay = delay
        self.status = status
        self.count = 0
        self.lock = threading.Lock()

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=[connection], daemon=True).start()

    def answer(self, connection):
        with connection:
            data = b""
            while True:
                data += connection.recv(65536)
                try:
                    self.request = json.loads(data)
                    break
                except ValueError:
                    continue
            with self.lock:
                self.count += 1
                number = self.count
            time.sleep(self.delay)
            answer = {"req_id": number, "status": self.status, "headers": {}, "body": "m"}
            connection.sendall(json.dumps(answer).encode())


@pytest.fixture
def restricted(installed):
    """A namespace in which only pods that meet Pod Security "restricted" are admitted."""
    name = installed.create_namespace(f"load-{next(operatorkit.COUNTER)}", RESTRICTED)
    yield name
    installed.delete_namespace(name)


@pytest.fixture
def ran(installed, restricted):
    """A node that runs the pods of that namespace."""
    with fakenode.Node(installed, restricted, {"/usr/bin/dpumesh": specs.BIN / "dpumesh"}) as made:
        made.namespace = restricted
        yield made


def jobs(cluster, namespace):
    return cluster.api("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"]


def left(cluster, namespace):
    return jobs(cluster, namespace) + cluster.api("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]


def nothing_left(cluster, namespace):
    assert not jobs(cluster, namespace)
    eventually(lambda: not left(cluster, namespace), 30, lambda: json.dumps(left(cluster, namespace))[:3000])


def test_runs_in_a_pod_and_prints_here(installed, ran):
    with Bridge() as bridge:
        done = plugin.run(
            installed, "load", bridge.url, "--in-cluster", "--namespace", ran.namespace, "--concurrency", "50",
            "--requests", "50", "--body", '{"s0": [{}]}', "-H", "x-request-id: 7",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert bridge.count == 50
        assert bridge.request["body"] == '{"s0": [{}]}' and bridge.request["headers"]["x-request-id"] == "7"
    assert "=== Starting Load Test with 50 Concurrent Requests ===" in done.stdout
    assert done.stdout.count("✅ Status: 200") == 50 and "50 answered" in done.stdout
    (pod,) = ran.seen.values()
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False and spec["restartPolicy"] == "Never"
    assert "volumes" not in spec and spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    nothing_left(installed, ran.namespace)


def test_dollars_arrive_as_they_are(installed, ran):
    """Kubernetes expands $(NAME) in a container's arguments, and makes one dollar of two."""
    body = '{"price": "$5 or $$5", "to": "$(KUBERNETES_SERVICE_HOST)$(NOBODY) $$(HOME) $"}'
    assert body != fakenode.expand(body, {})
    with Bridge() as bridge:
        plugin.ok(
            installed, "load", bridge.url, "--in-cluster", "--namespace", ran.namespace, "-c", "1", "--body", body,
            "-H", "x-request-id: $$7",
        )  # fmt: skip
        assert bridge.request["body"] == body and bridge.request["headers"]["x-request-id"] == "$$7"


def test_exit_status_and_streams_are_the_pods(installed, ran):
    """1: an answer was an error. 3: nobody there, which it says on standard error, so that JSON stays JSON."""
    common = ["--in-cluster", "--namespace", ran.namespace, "-c", "2", "--json"]
    with Bridge(status=500) as bridge:
        done = plugin.run(installed, "load", bridge.url, *common)
        assert done.returncode == 1, done.stderr
        assert json.loads(done.stdout)["status"] == {"500": 2}
    done = plugin.run(installed, "load", bridge.url, *common)
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["connections_made"] == 0
    assert "dpumesh load: can't reach 127.0.0.1" in done.stderr and "can't reach" not in done.stdout
    nothing_left(installed, ran.namespace)


def test_an_interrupt_ends_the_test_and_prints_its_result(installed, ran):
    with Bridge(delay=0.01) as bridge:
        process = plugin.start(
            installed, "load", bridge.url, "--in-cluster", "--namespace", ran.namespace, "-c", "2", "-d", "10m",
        )  # fmt: skip
        eventually(lambda: bridge.count > 10, 60)
        # What was printed came while it ran.
        assert "Starting Load Test" in process.stdout.readline()
        status, out, err = plugin.end(process, signal.SIGINT)
    assert status == 0, err
    assert "answered" in out and "Latency:" in out
    nothing_left(installed, ran.namespace)


def test_a_log_that_breaks_off_is_taken_up_again(installed, ran):
    """Each line once, and the status is the test's."""
    ran.breaks = 3
    with Bridge(delay=0.3) as bridge:
        out = plugin.ok(
            installed, "load", bridge.url, "--in-cluster", "--namespace", ran.namespace, "-c", "5", "-n", "20",
        )  # fmt: skip
    assert ran.breaks == 0
    assert out.count("=== Starting Load Test") == 1 and out.count("Latency:") > 1
    clients = [line for line in out.splitlines() if line.startswith("[Client")]
    assert len(clients) == 5 and len(set(clients)) == 5 and "20 answered" in out


def test_a_look_at_the_pod_that_fails_is_not_its_end(installed, ran, proxy):
    """The log breaks off, and the API server has no answer either, for longer than the client tries."""
    person = installed.kubeconfig_for("loader", ran.namespace, url=proxy.url)
    installed.grant(person, [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}], ran.namespace)
    failing = Rule(Answer(500), method="GET", path=r"/pods/dpumesh-load-[^/?]*$", times=3)
    proxy.plan(failing)
    ran.breaks = 1
    with Bridge(delay=0.3) as bridge:
        done = plugin.run(
            installed, "load", bridge.url, "--in-cluster", "--namespace", ran.namespace, "-c", "5", "-n", "20",
            kubeconfig=person.path,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert ran.breaks == 0 and len([call for call in proxy.calls(method="GET") if call.status == 500]) == 3
    assert done.stdout.count("=== Starting Load Test") == 1 and "20 answered" in done.stdout


def test_an_interrupt_before_the_pod_runs(installed, restricted):
    """Nobody starts it: there is no node."""
    process = plugin.start(installed, "load", "tcp://nobody:5005", "--in-cluster", "--namespace", restricted)
    eventually(lambda: len(left(installed, restricted)) == 2, 30)
    status, out, _ = plugin.end(process, signal.SIGTERM)
    assert (status, out) == (130, "")
    nothing_left(installed, restricted)


def test_aims_at_a_dpuservice(installed, ran):
    """Its bridge by name, with its image; the name does not resolve here, so nothing is reached."""
    service = dpu_service("s0", image="registry.example/agent:1", imagePullPolicy="IfNotPresent")
    service["spec"]["service"] = {"ports": {"bridge": 6006}}
    service["spec"]["podTemplate"] = {"imagePullSecrets": [{"name": "registry"}]}
    installed.client.apply(f"{operatorkit.DPUSERVICES.format(ran.namespace)}/s0", service)
    done = plugin.run(installed, "load", "dpu/s0", "--namespace", ran.namespace, "-c", "3", "-d", "1.5s")
    assert done.returncode == 3, done.stderr
    assert f"can't find the host \"s0.{ran.namespace}.svc\"" in done.stderr
    (pod,) = ran.seen.values()
    (only,) = pod["spec"]["containers"]
    assert only["image"] == "registry.example/agent:1" and only["imagePullPolicy"] == "IfNotPresent"
    assert only["args"] == ["load", f"tcp://s0.{ran.namespace}.svc:6006", "--concurrency=3", "--duration=1.5s"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    done = plugin.run(installed, "load", "dpu/s9", "--namespace", ran.namespace)
    assert done.returncode == 1 and 'there is no DpuService "s9" in namespace' in done.stderr


def test_a_pod_that_is_not_made(installed, restricted):
    """A quota stands in the way: what the Job's event says is said here while it waits."""
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    installed.api("POST", f"/api/v1/namespaces/{restricted}/resourcequotas", quota)
    path = f"/api/v1/namespaces/{restricted}/resourcequotas/none"
    eventually(lambda: "hard" in installed.api("GET", path).get("status", {}), 30)
    process = plugin.start(installed, "load", "tcp://nobody:5005", "--in-cluster", "--namespace", restricted)
    line = process.stderr.readline()
    assert "waiting for the pod of the Job dpumesh-load-" in line and "exceeded quota: none" in line
    assert plugin.end(process)[0] == 130
    nothing_left(installed, restricted)


def test_rights(installed, ran):
    """These are enough; docs/kubectl.md has them."""
    person = installed.kubeconfig_for("loader", ran.namespace)
    verbs = {
        ("dpumesh.io", "dpuservices"): ["get"],
        ("batch", "jobs"): ["create", "delete"],
        ("", "pods"): ["get", "list", "watch", "delete"],
        ("", "pods/log"): ["get"],
        ("", "events"): ["list"],
    }
    rules = [{"apiGroups": [group], "resources": [name], "verbs": may} for (group, name), may in verbs.items()]
    common = ["--in-cluster", "--namespace", ran.namespace, "-c", "2"]
    with Bridge() as bridge:
        done = plugin.run(installed, "load", bridge.url, *common, kubeconfig=person.path)
        assert done.returncode == 1 and 'cannot create resource "jobs"' in done.stderr
        installed.grant(person, rules, ran.namespace)

        def loaded():
            done = plugin.run(installed, "load", bridge.url, *common, kubeconfig=person.path)
            return done.returncode == 0 and done

        assert "2 answered" in eventually(loaded, 20).stdout
    nothing_left(installed, ran.namespace)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tcp://s0:5005", "--namespace", "shop"], "are for a test in the cluster; give dpu/NAME, or --in-cluster"),
        (["dpu/s0", "--requests", "many"], '--requests: "many" is not a whole number'),
        (["dpu/s0", "--body", "@/nonexistent"], "--body: /nonexistent"),
    ],
)
def test_usage(installed, arguments, sentence):
    done = plugin.run(installed, "load", *arguments)
    assert done.returncode == 2 and sentence in done.stderr, done.stderr


def test_a_body_of_a_file_goes_along(installed, ran, tmp_path):
    trace = tmp_path / "trace.json"
    trace.write_text('{"s0": [{"s1": {}}]}')
    with Bridge() as bridge:
        plugin.ok(
            installed, "load", bridge.url, "--in-cluster", "--namespace", ran.namespace, "-c", "1", "-b", f"@{trace}",
        )  # fmt: skip
        assert bridge.request["body"] == trace.read_text()
    too_long = tmp_path / "long"
    too_long.write_text("x" * 200_000)
    done = plugin.run(installed, "load", bridge.url, "--in-cluster", "-b", f"@{too_long}")
    assert done.returncode == 2 and "which a pod's argument can't be" in done.stderr


def test_locally_as_ever(installed):
    """No cluster is asked: there is none in this kubeconfig."""
    with Bridge() as bridge:
        out = plugin.ok(installed, "load", bridge.url, "-c", "5", kubeconfig="/dev/null")
        assert out.count("✅ Status: 200") == 5
    done = subprocess.run([specs.BIN / "dpumesh", "load", "--help"], capture_output=True, text=True, check=True)
    text = " ".join(done.stdout.split())
    assert "dpu/NAME" in text and "stand in clear in the Job and its pod" in text
    assert "the cluster refused or was not reached" in text and "130 Interrupted before a test in the cluster" in text
