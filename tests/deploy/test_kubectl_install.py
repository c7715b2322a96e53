"""`kubectl dpumesh install` and uninstall: the same objects as kubectl apply -k deploy/, and what they wait for and say."""

import json

import pytest
import yaml

import manifests
import netns
import operatorkit
import plugin
import pods as kubelet
import specs
from controlplane import ControlPlane
from manifests import CRD as CRD_FILE
from manifests import NAME, SYSTEM
from processes import eventually
from test_install import CRD, Installed, exists


ADDRESS = "10.250.77.1"  # of a pod of the operator
CRD_NAME = "dpuservices.dpumesh.io"


def printed(*arguments):
    """What --dry-run prints, which asks no cluster."""
    done = specs.run(specs.BIN / "dpumesh", "install", "--dry-run", *arguments)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["apiVersion"], document["kind"]) == ("v1", "List")
    return document["items"]


def by_key(objects):
    return {manifests.key(one): one for one in objects}


def test_renders_what_kustomize_renders(renderer, tmp_path):
    """Down to the hash in the ConfigMap's name."""
    assert by_key(printed()) == by_key(renderer.kustomize("deploy"))
    overlay = tmp_path / "kustomization.yaml"
    (tmp_path / "top").symlink_to(manifests.TOP)
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "elsewhere",
        "resources": ["top/deploy"],
        "images": [{"name": "mubench-dpu-operator", "newName": "registry.example:5000/operator", "newTag": "1.0"}],
    }
    overlay.write_text(yaml.safe_dump(document))
    ours = printed("-n", "elsewhere", "--image", "registry.example:5000/operator:1.0")
    assert by_key(ours) == by_key(renderer.kustomize(tmp_path))


def test_order():
    """The CRD first, then what others need."""
    kinds = [one["kind"] for one in printed()]
    assert kinds[:3] == ["CustomResourceDefinition", "Namespace", "ServiceAccount"] and kinds[-1] == "Deployment"
    assert yaml.safe_load(CRD_FILE.read_text()) == printed()[0]


def words(text):
    """{"deployments/x": "created"}"""
    found = [line.split() for line in text.splitlines() if "/" in line.split()[0]]
    return {line[0]: line[-1] for line in found}


@pytest.fixture
def isolated(kube_programs):
    """A control plane in a network namespace: the API server's proxy connects to pods, and nowhere else."""
    if not netns.possible():
        pytest.skip("a network namespace takes root")
    with netns.entered(ADDRESS), ControlPlane(programs=kube_programs) as plane:
        yield plane


def test_install_upgrade_uninstall(isolated, tmp_path):
    cluster = isolated
    with cluster.kubelet(SYSTEM):
        first = plugin.ok(cluster, "install", "--timeout", "60s")
        assert set(words(first).values()) == {"created"} and len(words(first)) == 12
        assert "the operator is available in dpumesh-system" in first
        again = plugin.ok(cluster, "install", "--timeout", "60s")
        assert set(words(again).values()) == {"unchanged"}
        # What kubectl would apply is there, and is no other manager's to guard.
        assert cluster.kubectl("diff", "-k", manifests.DEPLOY) == ""
        # An upgrade: another image, and somebody's scaling is set back.
        cluster.kubectl("-n", SYSTEM, "scale", "deployment", NAME, "--replicas=1")
        newer = plugin.ok(cluster, "install", "--image", "mubench-dpu-operator:2")
        assert {name for name, word in words(newer).items() if word == "changed"} == {f"deployments/{NAME}"}
        deployment = cluster.api("GET", f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/{NAME}")
        assert deployment["spec"]["replicas"] == 2 and deployment["status"]["updatedReplicas"] == 2
    objects = printed()
    operator = Installed(cluster, tmp_path, objects, SYSTEM)
    # One of its pods is the process that we run.
    operator.command[-1] = f"--metrics-address={ADDRESS}:9090"
    (one, _) = kubelet.living(cluster.client, SYSTEM)
    kubelet.patch_status(cluster.client, one, {"podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}]})
    system = operatorkit.System(cluster, "default", tmp_path)
    system.apply(specs.dpu_service("s0"), specs.dpu_service("s1"))
    try:
        operator.start().wait_leading()
        with cluster.kubelet("default"):
            for name in ("s0", "s1"):
                system.condition(name, "Ready", "True", timeout=60)
            status(cluster, 0, "2/2 pods ready in dpumesh-system, image mubench-dpu-operator:2, version 0.1.0", "2 of 2 are well")
            assert f"leader       {operator.wait_line(msg='leading')['identity']}" in status(cluster, 0)
        system.apply(specs.dpu_service("s1", image="nowhere/image:1"))
        pod = eventually(lambda: pod_with(cluster, "nowhere/image:1"), 30)
        kubelet.make_waiting(cluster.client, pod, "ImagePullBackOff", "Back-off pulling image nowhere/image:1")
        system.condition("s1", "Stalled", "True")
        out = status(cluster, 1, "1 of 2 are well")
        (line,) = [line.split() for line in out.splitlines() if line.startswith("default")]
        assert line[:4] == ["default", "s1", "Stalled", "ImagePullBackOff"] and "nowhere/image:1" in line
    finally:
        operator.stop()
    status(cluster, 1, "nobody leads; the lease was given back")
    uninstall(cluster, objects, system)


def pod_with(cluster, image):
    found = kubelet.living(cluster.client, "default")
    return next((pod for pod in found if pod["spec"]["containers"][0]["image"] == image), None)


def status(cluster, expected, *sentences):
    done = plugin.run(cluster, "status")
    assert done.returncode == expected, done.stdout + done.stderr
    for sentence in sentences:
        assert sentence in done.stdout
    return done.stdout


def uninstall(cluster, objects, system):
    """Without --crd the DpuServices stay, with it they need --yes."""
    refused = plugin.run(cluster, "uninstall", "--crd")
    assert refused.returncode == 2, refused.stdout
    assert "would delete 2 DpuServices in 1 namespace, with all their Services and pods" in refused.stderr
    assert all(exists(cluster, one) for one in objects if one["kind"] != "ConfigMap")
    out = plugin.ok(cluster, "uninstall")
    assert words(out)[f"namespaces/{SYSTEM}"] == "deleted" and len(words(out)) == 11
    gone = [one for one in objects if one["kind"] not in ("CustomResourceDefinition", "Namespace")]
    eventually(lambda: not any(exists(cluster, one) for one in gone), 60)
    assert system.dpu("s0") and system.children("s0")
    status(cluster, 1, "there is none in namespace dpumesh-system", "crd          dpuservices.dpumesh.io v1alpha1")
    out = plugin.ok(cluster, "uninstall", "--crd", "--yes")
    assert words(out)["dpuservices/s0"] == "deleted" and words(out)[f"customresourcedefinitions/{CRD_NAME}"] == "deleted"
    # What a DpuService made went with it, and before the CRD did.
    assert not cluster.kubectl("get", "deployments,services,configmaps", "-l", "app.kubernetes.io/name=dpumesh-agent")
    code, _, _ = cluster.client.request("GET", CRD)
    assert code == 404
    # Nothing is there any more.
    assert not words(plugin.ok(cluster, "uninstall", "--crd"))


def test_says_why_the_operator_does_not_come(cluster):
    """Nobody runs its pods; then a runtime that does not get the image; then a namespace that refuses them."""
    done = plugin.run(cluster, "install", "--timeout", "3s")
    assert done.returncode == 1, done.stdout
    assert "pod dpumesh-operator-" in done.stderr and "no node has taken it yet" in done.stderr
    assert "dpumesh-operator is not available in time: 0 of 2 pods of this version are available" in done.stderr
    for pod in kubelet.wait_for(cluster.client, SYSTEM, count=2):
        kubelet.make_waiting(cluster.client, pod, "ImagePullBackOff", 'Back-off pulling image "x"')
    done = plugin.run(cluster, "install", "--timeout", "2s")
    assert done.returncode == 1 and 'ImagePullBackOff: Back-off pulling image "x"' in done.stderr
    for pod in kubelet.wait_for(cluster.client, SYSTEM, count=2):
        kubelet.make_waiting(cluster.client, pod, "CrashLoopBackOff", "back-off", restarts=3)
    done = plugin.run(cluster, "install", "--timeout", "2s")
    assert done.returncode == 1 and "CrashLoopBackOff: it ended with status 1" in done.stderr
    out = plugin.run(cluster, "status")
    assert out.returncode == 1 and "CrashLoopBackOff" in out.stdout and "0/2 pods ready" in out.stdout
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    cluster.api("POST", f"/api/v1/namespaces/{SYSTEM}/resourcequotas", quota)
    eventually(lambda: cluster.kubectl_json("-n", SYSTEM, "get", "quota", "none").get("status", {}).get("hard"), 30)
    done = plugin.run(cluster, "install", "--timeout", "8s", "--image", "another:1")
    assert done.returncode == 1 and "pods can't be made: " in done.stderr and "exceeded quota" in done.stderr


def test_a_namespace_of_somebody_else_stays_as_it_is(cluster):
    """No labels that would change what may run there, and it is not deleted."""
    with cluster.kubelet("default"):
        out = plugin.ok(cluster, "install", "-n", "default")
    assert "namespaces/default is not ours, and left as it is" in out
    labels = cluster.api("GET", "/api/v1/namespaces/default")["metadata"]["labels"]
    assert set(labels) == {"kubernetes.io/metadata.name"}
    assert "namespaces/default is not ours" in plugin.ok(cluster, "uninstall", "-n", "default")
    # One of ours in which other things live.
    with cluster.kubelet(SYSTEM):
        plugin.ok(cluster, "install")
        cluster.client.apply(f"{operatorkit.DPUSERVICES.format(SYSTEM)}/s0", specs.dpu_service("s0"))
        out = plugin.ok(cluster, "uninstall")
    assert f"namespaces/{SYSTEM} holds more than the operator, and stays" in out
    assert cluster.api("GET", f"/api/v1/namespaces/{SYSTEM}")["status"]["phase"] == "Active"


def test_one_operator_in_a_cluster(cluster):
    """Another namespace can neither take its rights nor delete them."""

    def rights():
        names = ("clusterroles", "clusterrolebindings")
        found = [cluster.api("GET", f"/apis/rbac.authorization.k8s.io/v1/{kind}/{NAME}") for kind in names]
        return [one["metadata"]["resourceVersion"] for one in found]

    plugin.ok(cluster, "install", "--no-wait")
    before = rights()
    done = plugin.run(cluster, "install", "--no-wait", "-n", "second")
    assert done.returncode == 1 and done.stdout == "" and rights() == before
    assert f"ClusterRoleBinding {NAME} belongs to the operator in {SYSTEM}; nothing was installed" in done.stderr
    assert not exists(cluster, {"kind": "Namespace", "metadata": {"name": "second"}})
    done = plugin.run(cluster, "uninstall", "-n", "second")
    assert done.returncode == 1 and done.stdout == "" and rights() == before
    assert f"the ClusterRoleBinding {NAME} belong to the operator in {SYSTEM}, and stay" in done.stderr
    done = plugin.run(cluster, "uninstall", "-n", "second", "--crd", "--yes")
    assert done.returncode == 1 and "nothing was deleted" in done.stderr
    cluster.api("GET", CRD)
    out = words(plugin.ok(cluster, "uninstall"))
    assert out[f"clusterroles/{NAME}"] == out[f"clusterrolebindings/{NAME}"] == "deleted"
    assert words(plugin.ok(cluster, "install", "--no-wait", "-n", "second"))["namespaces/second"] == "created"


def test_again_while_the_namespace_goes(cluster):
    """An install right after an uninstall waits until the old namespace is gone."""
    with cluster.kubelet(SYSTEM):
        plugin.ok(cluster, "install")
        plugin.ok(cluster, "uninstall")
        out = plugin.ok(cluster, "install", "--timeout", "60s")
    assert words(out)[f"namespaces/{SYSTEM}"] == "created"


def test_what_no_cluster_says(cluster, tmp_path):
    """One sentence each, and the right status."""
    refused = tmp_path / "refused"
    text = cluster.kubeconfig.read_text()
    refused.write_text(text.replace(f":{cluster.ports['apiserver']}", ":1"))
    for verb in ("install", "uninstall", "status"):
        done = plugin.run(cluster, verb, kubeconfig="/dev/null")
        assert done.returncode == 2 and "no kubeconfig" in done.stderr
        done = plugin.run(cluster, verb, kubeconfig=refused)
        assert done.returncode == 1, done.stderr
        (line,) = done.stderr.splitlines()[:1]
        assert f"no answer from the cluster https://127.0.0.1:1 ({refused}, context" in line
        done = plugin.run(cluster, verb, "--context", "nosuch")
        assert done.returncode == 2 and "nosuch" in done.stderr
    nobody = cluster.kubeconfig_for("nobody", "default")
    done = plugin.run(cluster, "install", kubeconfig=nobody.path)
    assert done.returncode == 1 and "cannot get resource" in done.stderr
    assert not exists(cluster, {"kind": "CustomResourceDefinition", "metadata": {"name": "dpuservices.dpumesh.io"}})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["install", "--timeout", "soon"], '"soon" is not a duration'),
        (["install", "now"], "now"),
        (["uninstall", "--yes"], "--yes is for --crd"),
        (["status", "-o", "json"], "-o"),
    ],
)
def test_usage(arguments, sentence):
    done = specs.run(specs.BIN / "dpumesh", *arguments)
    assert done.returncode == 2 and sentence in done.stderr
