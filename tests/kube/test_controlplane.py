"""The ground holds: what the tests of the operator take for granted about their control plane."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import pods
from client import ApiError
from processes import eventually

CONFIG_MAPS = "/api/v1/namespaces/{}/configmaps"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nowhere/web}]}
"""


def config_map(cluster, namespace, name, **data):
    body = {"metadata": {"name": name}, "data": data}
    return cluster.api("POST", CONFIG_MAPS.format(namespace), body)


def data_of(cluster, namespace, name):
    return cluster.api("GET", f"{CONFIG_MAPS.format(namespace)}/{name}").get("data")


def deploy(cluster, namespace):
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=DEPLOYMENT)


def ready_replicas(cluster, namespace):
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
    return cluster.api("GET", path)["status"].get("readyReplicas", 0)


def test_every_program_is_of_one_version(cluster):
    version = cluster.api("GET", "/version")
    assert (version["major"], version["minor"]) == ("1", "34")
    client = cluster.kubectl_json("version", "--client")["clientVersion"]
    assert (client["major"], client["minor"]) == ("1", "34")


def test_kubectl_and_the_plain_client_see_the_same(cluster, namespace):
    cluster.kubectl("create", "configmap", "a", "-n", namespace, "--from-literal=color=red")
    assert data_of(cluster, namespace, "a") == {"color": "red"}
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"size": "big"}}
    cluster.client.apply(f"{CONFIG_MAPS.format(namespace)}/a", applied)
    shown = cluster.kubectl_json("get", "configmap", "a", "-n", namespace)
    assert shown["data"] == {"color": "red", "size": "big"}
    with pytest.raises(ApiError, match='configmaps "b" not found'):
        cluster.api("GET", f"{CONFIG_MAPS.format(namespace)}/b")
    assert "NotFound" in cluster.kubectl_refused("get", "configmap", "b", "-n", namespace)


def test_a_list_streams_and_its_end_is_marked(cluster, namespace):
    for name in ("a", "b"):
        config_map(cluster, namespace, name)
    query = {
        "sendInitialEvents": True,
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": True,
        "timeoutSeconds": 2,
    }
    seen = []
    for event in cluster.client.watch(CONFIG_MAPS.format(namespace), **query):
        metadata = event["object"]["metadata"]
        seen.append((event["type"], metadata.get("name")))
        if "k8s.io/initial-events-end" in metadata.get("annotations", {}):
            break
    assert seen[-1] == ("BOOKMARK", None)
    assert {("ADDED", "a"), ("ADDED", "b")} <= set(seen[:-1])


def test_etcd_may_restart_and_nothing_is_lost(cluster, namespace):
    config_map(cluster, namespace, "kept", a="1")
    cluster.restart_etcd(down=0.5)
    assert data_of(cluster, namespace, "kept") == {"a": "1"}
    config_map(cluster, namespace, "after")


def test_the_api_server_goes_away_and_comes_back_on_its_port(cluster, namespace):
    config_map(cluster, namespace, "kept", a="1")
    cluster.stop_apiserver()
    try:
        with pytest.raises(ConnectionRefusedError):
            data_of(cluster, namespace, "kept")
    finally:
        cluster.start_apiserver()
    assert data_of(cluster, namespace, "kept") == {"a": "1"}


def test_pods_that_are_marked_ready_make_a_deployment_available(cluster, namespace):
    deploy(cluster, namespace)
    assert len(cluster.mark_pods_ready(namespace, "app=web", 2)) == 2
    cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=20s")
    assert ready_replicas(cluster, namespace) == 2
    cluster.kubectl("delete", "deployment", "web", "-n", namespace)
    eventually(lambda: not pods.living(cluster.client, namespace), 20)


def test_a_kubelet_of_ours_follows_a_deployment(cluster, namespace):
    with cluster.kubelet(namespace) as kubelet:
        deploy(cluster, namespace)
        cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=20s")
        cluster.kubectl("scale", "deployment/web", "-n", namespace, "--replicas=5")
        eventually(lambda: ready_replicas(cluster, namespace) == 5, 20)
    assert kubelet.count == 5


def test_pods_may_fail_in_a_kubelets_ways(cluster, namespace):
    deploy(cluster, namespace)
    first, second = pods.wait_for(cluster.client, namespace, "app=web", 2)
    pods.make_waiting(cluster.client, first, "CrashLoopBackOff", "back-off 10s", restarts=3)
    pods.make_unschedulable(cluster.client, second)
    shown = cluster.kubectl("get", "pods", "-n", namespace)
    assert "CrashLoopBackOff" in shown and "Pending" in shown
    assert ready_replicas(cluster, namespace) == 0


def test_the_audit_log_has_each_write_and_who_made_it(cluster, namespace):
    two = [cluster.kubeconfig_for("writer", namespace) for _ in range(2)]
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get"]}]
    cluster.grant(two[0], rules, namespace)
    mark = cluster.audit_mark()
    for number, identity in enumerate(two):
        body = {"metadata": {"name": f"m{number}"}}
        identity.client.api("POST", CONFIG_MAPS.format(namespace), body)
        identity.client.api("GET", f"{CONFIG_MAPS.format(namespace)}/m{number}")
        identity.client.api("POST", CONFIG_MAPS.format(namespace), body, status=409)
    wanted = {"user": two[0].username, "resource": "configmaps"}
    writes = eventually(lambda: len(w := cluster.writes(mark, **wanted)) == 2 and w, 10)
    assert [w["objectRef"]["name"] for w in writes] == ["m0", "m1"]
    assert writes[0]["requestObject"]["metadata"]["name"] == "m0"
    assert [w["verb"] for w in cluster.writes(mark, credential=two[1].credential)] == ["create"]
    assert len(cluster.audit(mark, verb="get", **wanted)) == 2
    assert not cluster.writes(cluster.audit_mark(), **wanted)


def test_a_service_account_may_do_what_it_was_granted_and_no_more(cluster, namespace):
    identity = cluster.kubeconfig_for("reader", namespace)
    path = CONFIG_MAPS.format(namespace)
    identity.client.api("GET", path, status=403)
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
    cluster.grant(identity, rules, namespace)
    eventually(lambda: identity.client.request("GET", path)[0] == 200, 10)
    # Its kubeconfig names the namespace.
    assert "kube-root-ca.crt" in cluster.kubectl("get", "configmaps", kubeconfig=identity.path)
    assert "cannot list resource" in cluster.kubectl_refused("get", "pods", kubeconfig=identity.path)
    identity.client.api("POST", path, {"metadata": {"name": "a"}}, status=403)
    # A revocation shows too.
    cluster.grant(identity, [], namespace)
    eventually(lambda: identity.client.request("GET", path)[0] == 403, 10)


def test_tokens_rotate_and_expire(cluster, namespace):
    identity = cluster.kubeconfig_for("rotated", namespace)
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

    def whoami(status=201):
        answer = identity.client.api("POST", path, {"apiVersion": "authentication.k8s.io/v1"}, status=status)
        return answer["status"] if status == 401 else answer["status"]["userInfo"]["username"]

    assert whoami() == identity.username
    old = identity.rotate()
    assert old != identity.token == (identity.folder / "token").read_text()
    assert whoami() == identity.username
    identity.write_token(old[:-4] + "AAAA")
    assert whoami(401) == "Failure"
    identity.write_token(old)
    identity.revoke()
    eventually(lambda: identity.client.request("POST", path, {})[0] == 401, 20)
    identity.rotate()
    assert whoami() == identity.username


def test_the_serving_authority_rotates(cluster, namespace):
    first, second = cluster.authorities
    identity = cluster.kubeconfig_for("trusting", namespace)
    identity.trust(first)
    assert "yes" in cluster.kubectl("auth", "can-i", "create", "selfsubjectreviews", kubeconfig=identity.path)
    cluster.serve_with(second)
    try:
        assert "certificate" in cluster.kubectl_refused("auth", "whoami", kubeconfig=identity.path)
        identity.trust(first, second)
        assert identity.username in cluster.kubectl("auth", "whoami", kubeconfig=identity.path)
        # The controllers go on.
        with cluster.kubelet(namespace):
            deploy(cluster, namespace)
            eventually(lambda: ready_replicas(cluster, namespace) == 2, 20)
    finally:
        cluster.serve_with(first)


def run_alone(kube_programs, *arguments):
    """./dev cluster, without the search for programs."""
    return subprocess.Popen(
        [sys.executable, pathlib.Path(__file__).with_name("controlplane.py"), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(folder):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder) in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_cluster_for_hand_use_leaves_nothing(kube_programs, number):
    process = run_alone(kube_programs)
    with process:
        line = process.stdout.readline()
        assert line.startswith("export KUBECONFIG="), process.stderr.read()
        kubeconfig = pathlib.Path(line.strip().partition("=")[2])
        command = [kube_programs["kubectl"], "get", "namespaces", "--kubeconfig", kubeconfig]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "kube-system" in shown
        assert processes_of(kubeconfig.parent)
        os.kill(process.pid, number)
        process.communicate(timeout=30)
        assert process.returncode == {signal.SIGINT: 0, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    eventually(lambda: not processes_of(kubeconfig.parent) and not kubeconfig.parent.exists(), 10)


@pytest.mark.slow
def test_a_command_runs_with_a_cluster_of_its_own(kube_programs):
    command = f"{kube_programs['kubectl']} get --raw /readyz; exit 7"
    process = run_alone(kube_programs, "--pods-ready", "sh", "-c", command)
    out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == ("ok", 7), err


def test_two_control_planes_do_not_meet(cluster, kube_programs):
    from controlplane import ControlPlane

    began = time.monotonic()
    with ControlPlane(programs=kube_programs, apiserver_flags=["--min-request-timeout=5"]) as second:
        started = time.monotonic() - began
        assert second.url != cluster.url
        second.create_namespace("only-here")
        cluster.api("GET", "/api/v1/namespaces/only-here", status=404)
        folder = second.folder
    assert not folder.exists() and not processes_of(folder)
    assert started < 60
