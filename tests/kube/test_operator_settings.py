"""The operator's settings, pages, log and exit statuses, as a deployment meets them."""

import json
import re
import signal
import socket
import subprocess
import time

import pytest
import yaml

import specs
from operatorkit import NAMESPACE, SANITIZER, describe, program
from processes import eventually
from specs import dpu_service


def run(*arguments, timeout=20, **environment):
    return subprocess.run(
        [program(), *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--workers=0"], "--workers"),
        (["--frobnicate"], "--frobnicate"),
        (["--namespace=a", "--namespace=a"], "--namespace: a is named twice; once will do"),
        (["--lease-duration=5s"], "--lease-renew-deadline must be less than --lease-duration"),
        (["--config=/nonexistent"], "/nonexistent: can't open: No such file or directory"),
        (["operand"], "operand"),
    ],
)
def test_bad_flags(arguments, sentence):
    done = run(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr and done.stderr.startswith("dpumesh-operator: ")
    assert not done.stdout and not SANITIZER.search(done.stderr)


def test_no_cluster_is_configured(tmp_path):
    done = run()
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "can't start" in line and "level=error" in line
    done = run("--kubeconfig", tmp_path / "none")
    assert done.returncode == 2 and str(tmp_path / "none") in done.stderr
    bad = tmp_path / "bad"
    bad.write_text("clusters: 7\n")
    done = run("--kubeconfig", bad)
    assert done.returncode == 2 and f"{bad}:1" in done.stderr and not SANITIZER.search(done.stderr)


def test_an_address_that_is_taken(system):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for flag in ("metrics_address", "health_address"):
            operator = system.prepared(**{flag: address}).start()
            operator.expected_status = 2
            assert operator.process.wait(20) == 2
            (line,) = operator.lines(msg="can't start")
            assert f"on {address}: another program has this port" in line["why"], line


def test_a_configuration_file(system, tmp_path):
    """Everything from a file, as a ConfigMap brings it; /config shows what is in force."""
    path = tmp_path / "operator.yaml"
    settings = {
        "namespace": [system.namespace],
        "workers": 2,
        "lease-name": "from-a-file",
        "lease-duration": "6s",
        "lease-renew-deadline": "4s",
        "lease-retry": "500ms",
        "health-address": "127.0.0.1:0",
        "log-format": "json",
    }
    path.write_text(yaml.safe_dump(settings))
    taken_out = dict.fromkeys(["lease_duration", "lease_renew_deadline", "lease_retry", "log_format", "lease_name", "namespace"])
    operator = system.operator(config=path, **taken_out)
    shown = json.loads(operator.page("/config"))
    assert shown.items() >= {**settings, "health-address": "127.0.0.1:0"}.items()
    assert "token" not in operator.page("/config").lower()
    system.apply(dpu_service("s0"))
    system.converged("s0")
    lease = system.client.get(f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/from-a-file")
    assert lease["spec"]["leaseDurationSeconds"] == 6


def test_pages(system):
    operator = system.operator()
    eventually(operator.is_ready, what="not ready")
    assert operator.page("/healthz").startswith("ok")
    operator.page("/nowhere", status=404)
    system.apply(dpu_service("s0"))
    system.converged("s0")
    system.quiet(0.5)
    text = operator.page("/metrics")
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    values = operator.metrics()
    for kind in ("ConfigMap", "Service", "Deployment"):
        assert values[f'dpumesh_operator_applied_total{{kind="{kind}"}}'] == 1
    assert values['controller_runtime_reconcile_total{controller="dpuservice",result="error"}'] == 0
    assert values['leader_election_master_status{name="' + system.lease_name + '"}'] == 1
    status = [event for event in system.writes() if event["objectRef"].get("subresource") == "status"]
    assert values["dpumesh_operator_status_writes_total"] == len(status)
    for name in ("workqueue_depth", "rest_client_requests_total", "reflector_items", "process_resident_memory_bytes"):
        assert any(key.startswith(name) for key in values), name


def test_at_rest_it_writes_its_lease_and_nothing_else(system):
    """And asks for nothing: watches are all that is open."""
    operator = system.operator()
    with system.cluster.kubelet(system.namespace):
        system.apply(*[dpu_service(f"s{number}", replicas=2) for number in range(5)])
        for number in range(5):
            system.condition(f"s{number}", "Ready", "True")
        system.quiet()
    mark = system.cluster.audit_mark()
    before = operator.metrics()
    time.sleep(10)
    mine = [
        event for event in system.cluster.audit(mark) if event["user"].get("username", "").endswith(":dpumesh-operator")
    ]
    lease = [event for event in mine if event["objectRef"]["resource"] == "leases"]
    assert 10 <= len(lease) <= 25, len(lease)
    others = [event for event in mine if event["objectRef"]["resource"] != "leases" and event["verb"] != "watch"]
    assert not others, [describe(event) for event in others]
    after = operator.metrics()
    visits = "controller_runtime_reconcile_total{"
    assert {key: value for key, value in before.items() if key.startswith(visits)} == {
        key: value for key, value in after.items() if key.startswith(visits)
    }
    cpu = after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]
    assert cpu < 0.5, f"{cpu} s of processor time in 10 s"


def test_logfmt_and_levels(system):
    operator = system.prepared(log_format=None, log_level="warn").start()
    eventually(lambda: system.client.request("GET", lease_path(system))[0] == 200, what="no lease")
    operator.stop()
    assert operator.log.read_text() == ""
    operator = system.prepared(log_format="logfmt").start()
    eventually(lambda: "msg=leading" in operator.text(), what=operator.text)
    assert re.match(r"ts=\S+ level=info msg=started version=\S+ cluster=https://", operator.text())


def lease_path(system):
    return f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{system.lease_name}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals(system, number):
    """The lease is given back, so that another one leads without waiting for its end."""
    operator = system.operator(lease_duration="60s")
    operator.kill(number)
    assert operator.process.wait(10) == 0
    assert [line["signal"] for line in operator.lines(msg="ending")] == [number.name]
    assert system.client.get(lease_path(system))["spec"].get("holderIdentity", "") == ""
    system.operator(identity=None, lease_duration="60s")


def test_ended_in_the_middle_of_work(system):
    """What runs is finished; what waits is the next one's."""
    operator = system.operator(workers=1)
    services = [dpu_service(f"s{number}") for number in range(30)]
    system.apply(*services)
    operator.stop()
    system.operator()
    for service in services:
        system.converged(service["metadata"]["name"])


def test_without_leader_election(system):
    operator = system.prepared(no_leader_election=True).start()
    system.apply(dpu_service("s0"))
    system.converged("s0")
    assert system.client.request("GET", lease_path(system))[0] == 404
    operator.stop()


def test_no_api_server_at_first(system):
    """It waits, says so, and is not ready; then it works."""
    from faultproxy import FaultProxy

    with FaultProxy(system.cluster) as proxy:
        proxy.refuse()
        operator = system.prepared(url=proxy.url).start()
        operator.wait_line(msg="watch failed")
        assert not operator.is_ready()
        operator.page("/readyz", status=503)
        operator.page("/healthz")
        assert len(operator.lines(msg="watch failed")) < 40
        proxy.accept()
        operator.wait_leading()
        system.apply(dpu_service("s0"))
        system.converged("s0")
        proxy.refuse()
        operator.stop()  # also without an API server


def test_before_the_crd_is_there(system):
    """The operator may be installed first."""
    crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/dpuservices.dpumesh.io"
    system.client.api("DELETE", crd)
    try:
        eventually(lambda: system.client.request("GET", crd)[0] == 404, 60, "the CRD stays")
        operator = system.prepared().start()
        line = operator.wait_line(msg="watch failed", resource="dpuservices")
        assert "404" in line["why"]
        assert not operator.is_ready()
    finally:
        specs.install_crd(system.cluster)
    operator.wait_leading()
    system.apply(dpu_service("s0"))
    system.converged("s0")


@pytest.mark.parametrize("http2", [False, True])
def test_either_http(system, http2):
    operator = system.operator(http2=http2)
    system.apply(dpu_service("s0", replicas=2))
    system.mark_ready("s0", 2)
    system.condition("s0", "Ready", "True")
    system.patch("Service", "s0", {"spec": {"type": "NodePort"}})
    eventually(lambda: system.get("Service", "s0")["spec"]["type"] == "ClusterIP", what="the drift stayed")
    assert json.loads(operator.page("/config"))["http2"] is http2
    system.delete("DpuService", "s0")
    system.gone("s0")


def test_paged_lists(system):
    """Servers that can't stream lists."""
    system.apply(*[dpu_service(f"s{number}") for number in range(7)])
    system.operator(paged_lists=True)
    for number in range(7):
        system.converged(f"s{number}")
    system.apply(dpu_service("later"))
    system.converged("later")


@pytest.fixture
def deprecated(installed):
    """A CRD whose version is, and what the API server says of it, as long as the test lasts."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/dpuservices.dpumesh.io"
    said = 'dpumesh.io/v1alpha1 is "old"; use \\ v2'

    def patch(operation, **fields):
        steps = [{"op": operation, "path": f"/spec/versions/0/{name}", "value": to} for name, to in fields.items()]
        installed.api("PATCH", path, steps, content_type="application/json-patch+json")

    patch("add", deprecated=True, deprecationWarning=said)
    yield said
    patch("remove", deprecationWarning=None, deprecated=None)


def test_what_the_api_server_warns_of_is_logged_once(system, deprecated):
    path = system.path("DpuService", "x")
    eventually(lambda: "Warning" in system.client.request("GET", path)[1], 20, "the CRD does not change")
    operator = system.operator()
    line = operator.wait_line(msg="the API server warns", warning=deprecated)
    assert line["level"] == "warn" and "dpuservices" in line["request"]
    system.apply(dpu_service("s0"))
    system.converged("s0")
    assert len(operator.lines(msg="the API server warns", warning=deprecated)) == 1
