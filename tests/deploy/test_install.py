"""What deploy/ renders, in a real API server: it is valid, Pod Security "restricted" admits its pods, the operator
works with it as it is installed, and it can be upgraded and taken away."""

import json
import pathlib
import subprocess

import pytest
import yaml

import manifests
import operatorkit
import specs
from manifests import CHART, DEPLOY, EVERY_VALUE, NAME, PAIRS, SYSTEM
from processes import eventually

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/dpuservices.dpumesh.io"
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


def as_list(objects):
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def established(cluster, name):
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
    conditions = cluster.api("GET", path).get("status", {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def apply(cluster, objects, *more):
    """Strictly: a field that the API server does not know is an error, and a warning is one here."""
    command = ["apply", "--server-side", "--force-conflicts", "--validate=strict", *more, "-f", "-"]
    done = cluster.run_kubectl(*command, input=as_list(objects))
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    return done.stdout


def pods(cluster, namespace):
    selector = "labelSelector=app.kubernetes.io/name=dpumesh-operator"
    return cluster.api("GET", f"/api/v1/namespaces/{namespace}/pods?{selector}")["items"]


def wait_pods(cluster, namespace, count):
    def said():
        return json.dumps(cluster.api("GET", f"/api/v1/namespaces/{namespace}/events")["items"])[-3000:]

    return eventually(lambda: len(pods(cluster, namespace)) == count and pods(cluster, namespace), 30, said)


class Installed(operatorkit.Operator):
    """The operator's program with the arguments, settings and service account of its Deployment."""

    def __init__(self, cluster, folder, objects, namespace):
        account = cluster.kubeconfig_for(manifests.pod_spec(objects)["serviceAccountName"], namespace)
        super().__init__(cluster, folder / "operator.log", account.path)
        # It runs outside of the cluster: the port of this machine may be taken.
        outside = [f"--kubeconfig={account.path}", "--metrics-address=127.0.0.1:0"]
        self.command = [operatorkit.program(), *manifests.arguments(objects, folder / "operator.yaml"), *outside]


def look_after(cluster, folder, objects, namespace, among, beyond=None):
    """Has an operator, as installed, look after a DpuService; one in the namespace beyond it must leave alone."""
    operator = Installed(cluster, folder, objects, namespace)
    systems = [operatorkit.System(cluster, one, folder) for one in (among, beyond) if one]
    for system in systems:
        system.apply(specs.everything("web"))
    try:
        operator.start().wait_leading()
        lease = cluster.api("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{NAME}")
        assert lease["spec"]["holderIdentity"]
        systems[0].converged("web")
        # All that it asks for is in its rights.
        assert "forbidden" not in operator.text().lower(), operator.text()
        assert beyond is None or not systems[1].children("web")
        assert "ok" in operator.page("/readyz") and "ok" in operator.page("/healthz")
    finally:
        operator.stop()


def test_kubectl_apply(cluster, tmp_path):
    """From nothing to a DpuService with its children, by kubectl apply -k alone."""
    done = cluster.run_kubectl("apply", "--validate=strict", "-k", DEPLOY)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert cluster.kubectl("diff", "-k", DEPLOY) == ""
    made = wait_pods(cluster, SYSTEM, 2)
    namespace = cluster.api("GET", f"/api/v1/namespaces/{SYSTEM}")
    key, _, value = RESTRICTED.partition("=")
    assert namespace["metadata"]["labels"][key] == value
    assert all(pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] for pod in made)
    # Which is not for want of looking.
    bad = {"metadata": {"name": "bad"}, "spec": dict(made[0]["spec"], securityContext={})}
    bad["spec"]["containers"][0]["securityContext"] = {}
    status, _, text = cluster.client.request("POST", f"/api/v1/namespaces/{SYSTEM}/pods", bad)
    assert status == 403 and "violates PodSecurity" in text and "restricted:latest" in text
    objects = list(yaml.safe_load_all(cluster.kubectl("kustomize", DEPLOY)))
    eventually(lambda: established(cluster, "dpuservices.dpumesh.io"))
    look_after(cluster, tmp_path, objects, SYSTEM, "default")
    deleted = cluster.kubectl("delete", "--wait=false", "-k", DEPLOY)
    assert 'customresourcedefinition.apiextensions.k8s.io "dpuservices.dpumesh.io" deleted' in deleted


@pytest.mark.parametrize("way", ["kustomize", "helm"])
def test_one_namespace(cluster, renderer, tmp_path, way):
    """Roles of one namespace are enough, and nothing but the CRD is outside of it."""
    path, namespace, values = PAIRS["one-namespace"]
    if way == "helm" and renderer.helm_program is None:
        pytest.skip("helm is not here; ./dev setup --kube finds or builds it, which needs Go")
    objects = renderer.kustomize(path) if way == "kustomize" else renderer.template(values, namespace)
    cluster.kubectl("label", "namespace", namespace, RESTRICTED)
    apply(cluster, objects)
    outside = {one["kind"] for one in objects if one["metadata"].get("namespace") != namespace}
    assert outside == {"CustomResourceDefinition"}
    wait_pods(cluster, namespace, 2)
    eventually(lambda: established(cluster, "dpuservices.dpumesh.io"))
    look_after(cluster, tmp_path, objects, namespace, namespace, cluster.create_namespace("beyond"))


def test_every_manifest_is_valid(cluster, helm, tools):
    """By the API server itself, strictly: what deploy/ renders, the examples, and what becomes of these; objects of
    the Prometheus Operator by its own CRDs."""
    everything = [helm.kustomize(path) for path, _, _ in PAIRS.values()]
    everything += [helm.template(values, namespace) for _, namespace, values in PAIRS.values()]
    everything.append(helm.template(EVERY_VALUE))
    everything.append(list(yaml.safe_load_all((DEPLOY / "agents-network-policy.yaml").read_text())))
    everything += [specs.render(path) for path in specs.EXAMPLES]
    cluster.create_namespace(SYSTEM)
    specs.install_crd(cluster)
    for path in specs.EXAMPLES:
        cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", path)
    crds = tools.get("prometheus-operator")
    if crds:
        files = sorted(pathlib.Path(crds).glob("*.yaml"))
        cluster.kubectl("apply", "--server-side", *(word for path in files for word in ("-f", path)))
        for path in files:
            eventually(lambda path=path: established(cluster, f"{path.stem}.monitoring.coreos.com"))
    kinds = set()
    for objects in everything:
        if not crds:
            objects = [one for one in objects if not one["apiVersion"].startswith("monitoring.coreos.com/")]
        kinds |= {one["kind"] for one in objects}
        apply(cluster, objects, "--dry-run=server")
    assert len(kinds) >= (13 if crds else 10), kinds
    bad = json.loads(json.dumps(everything[0]))
    manifests.pod_spec(bad)["terminationGracePeriodSecond"] = 30
    done = cluster.run_kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", input=as_list(bad)
    )
    assert "terminationGracePeriodSecond" in done.stderr and done.returncode != 0
    refused = cluster.kubectl_refused(
        "apply", "--dry-run=server", "--validate=strict", "-f", "-", input=json.dumps(specs.dpu_service("s0", replica=2))
    )
    assert 'unknown field "spec.replica"' in refused
    if not crds:
        pytest.skip("monitors and rules were left out: ./dev setup --kube fetches their CRDs, which needs Go")


def test_helm_install_upgrade_uninstall(cluster, helm, tmp_path):
    """helm upgrade brings a new CRD, and uninstall leaves it and the DpuServices, for the next install."""

    def release(*arguments, **options):
        return helm.helm(*arguments, "-n", SYSTEM, kubeconfig=cluster.kubeconfig, **options)

    old = tmp_path / "old"
    copy = ["cp", "-rL", CHART, old]
    subprocess.run(copy, check=True)
    text = (old / "files" / "crd.yaml").read_text()
    names = "shortNames:\n    - dpu\n"
    assert text.count(names) == 1
    (old / "files" / "crd.yaml").write_text(text.replace(names, names.replace("- dpu", "- olddpu")))

    notes = release("install", NAME, old, "--create-namespace", values={})
    assert "2 operators of DpuServices start in dpumesh-system, for all namespaces" in notes
    assert "kubectl label namespace dpumesh-system pod-security" in notes and "leaves the CRD" in notes
    cluster.kubectl("label", "namespace", SYSTEM, RESTRICTED)
    assert cluster.api("GET", CRD)["spec"]["names"]["shortNames"] == ["olddpu"]
    eventually(lambda: established(cluster, "dpuservices.dpumesh.io"))
    system = operatorkit.System(cluster, "default", tmp_path)
    system.apply(specs.dpu_service("web"))

    release("upgrade", NAME, CHART, values={"replicas": 3, "config": {"workers": 4}})
    assert cluster.api("GET", CRD)["spec"]["names"]["shortNames"] == ["dpu"]
    assert system.dpu("web")
    wait_pods(cluster, SYSTEM, 4)  # one more than three while the new ones are not ready
    release("rollback", NAME, "1")
    release("upgrade", NAME, CHART, values={})
    look_after(cluster, tmp_path, helm.template(), SYSTEM, "default")

    said = release("uninstall", NAME)
    assert "dpuservices.dpumesh.io" in said  # that it was kept
    assert system.dpu("web")
    left = {one["kind"] for one in helm.template() if exists(cluster, one)}
    assert left == {"CustomResourceDefinition"}
    release("install", NAME, CHART, values={})
    # Who has applied the CRD already lets the chart leave it alone.
    other = helm.run_helm("install", "other", CHART, "-n", "default", kubeconfig=cluster.kubeconfig, values={})
    assert other.returncode != 0 and "invalid ownership metadata" in other.stderr
    done = helm.run_helm(
        "install", "other", CHART, "-n", "default", kubeconfig=cluster.kubeconfig,
        values={"crds": {"install": False}, "watchNamespaces": ["default"]},
    )  # fmt: skip
    assert done.returncode == 0 and "the CRD is yours to apply" in done.stdout, done.stderr


def exists(cluster, one):
    name = f"{one['kind']}/{one['metadata']['name']}"
    namespace = one["metadata"].get("namespace", "default")
    return bool(cluster.kubectl("get", name, "-n", namespace, "--ignore-not-found", "-o", "name"))
