"""What deploy/ renders, by kustomize and by Helm, and in a form in which both can be compared."""

import json
import os
import pathlib
import re
import subprocess
import tempfile

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = TOP / "deploy"
CHART = DEPLOY / "chart"
CRD = TOP / "crds" / "dpuservices.dpumesh.io.yaml"
NAME = "dpumesh-operator"
SYSTEM = "dpumesh-system"

# (what kustomize renders, the namespace of the release, its values)
PAIRS = {
    "all": ("deploy", SYSTEM, {}),
    "one-namespace": ("deploy/overlays/one-namespace", "default", {"watchNamespaces": ["default"]}),
    "prometheus": ("deploy/overlays/prometheus", SYSTEM, {"monitoring": {"enabled": True}}),
}
# What a value can be but is not by default, all at once.
EVERY_VALUE = {
    "fullnameOverride": "shop-operator",
    "image": {"repository": "registry.example/operator", "tag": "1.0", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "replicas": 3,
    "watchNamespaces": ["default", "kube-public"],
    "config": {
        "workers": 16, "qps": 0.5, "selector": "team=a", "lease-duration": "1.5m", "http2": True, "log-level": "debug",
    },
    "serviceAccount": {"name": "operator", "annotations": {"example.org/role": "a"}},
    "podLabels": {"team": "a"},
    "podAnnotations": {"example.org/number": "5"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "dpu", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}},
    "priorityClassName": "system-cluster-critical",
    "podDisruptionBudget": {"maxUnavailable": "50%"},
    "networkPolicy": {
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "apiServerPorts": [8443],
        "apiServerCidrs": ["10.0.0.1/32"],
    },
    "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
    "crds": {"keep": False},
}  # fmt: skip


def find_tools():
    """As tools/dev/helm.sh finds them."""
    command = ["bash", TOP / "tools" / "dev" / "helm.sh", "--find"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


class Renderer:
    def __init__(self, kubectl, helm):
        self.kubectl = kubectl
        self.helm_program = helm
        self.home = tempfile.TemporaryDirectory()

    def kustomize(self, path):
        """The objects of a kustomization, a path from the top or a whole one."""
        command = [self.kubectl, "kustomize", str(TOP / path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert not done.stderr, done.stderr  # such as that a field is deprecated
        return [one for one in yaml.safe_load_all(done.stdout) if one]

    def run_helm(self, *arguments, values=None, kubeconfig="/dev/null"):
        """The finished process; Helm's own files are in a folder that goes with us."""
        command = [self.helm_program, *map(str, arguments)]
        if values is not None:
            command.append("--values=-")
        environment = {"PATH": os.environ["PATH"], "HOME": self.home.name, "KUBECONFIG": str(kubeconfig)}
        return subprocess.run(
            command, input=json.dumps(values or {}), env=environment, capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip

    def helm(self, *arguments, **options):
        done = self.run_helm(*arguments, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def template(self, values=None, namespace=SYSTEM, release=NAME, chart=CHART):
        """The objects of the chart."""
        text = self.helm("template", release, chart, "-n", namespace, values=values or {})
        return [one for one in yaml.safe_load_all(text) if one]

    def refusal(self, values):
        """What Helm says of values that it does not take."""
        done = self.run_helm("template", NAME, CHART, values=values)
        assert done.returncode != 0, f"{values} was taken"
        return done.stderr


def key(one):
    return one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]


def of_kind(objects, kind):
    return [one for one in objects if one["kind"] == kind]


def pod_spec(objects):
    (deployment,) = of_kind(objects, "Deployment")
    return deployment["spec"]["template"]["spec"]


def container(objects):
    (only,) = pod_spec(objects)["containers"]
    return only


def settings(objects):
    (config,) = [one for one in of_kind(objects, "ConfigMap") if "operator.yaml" in one["data"]]
    return yaml.safe_load(config["data"]["operator.yaml"])


def arguments(objects, config):
    """The container's arguments as the kubelet passes them, with its settings in the file config."""
    (deployment,) = of_kind(objects, "Deployment")
    config.write_text(yaml.safe_dump(settings(objects)))
    mount = "/etc/dpumesh-operator/operator.yaml"
    text = [one.replace("$(POD_NAMESPACE)", deployment["metadata"]["namespace"]) for one in container(objects)["args"]]
    assert f"--config={mount}" in text
    return [one.replace(mount, str(config)) for one in text]


# Whose labels and annotations are the tool's own.
TOOL_LABELS = ("app.kubernetes.io/managed-by", "helm.sh/chart")
TOOL_ANNOTATIONS = ("checksum/config", "helm.sh/resource-policy")


def plain(objects):
    """{(kind, namespace, name): object} without what only one of the two tools has: Helm's labels, the
    Namespace (helm install makes it), the hash in a ConfigMap's name, comments in the settings."""
    made = {}
    for one in json.loads(json.dumps(objects)):
        if one["kind"] == "Namespace":
            continue
        for metadata in (one["metadata"], one.get("spec", {}).get("template", {}).get("metadata", {})):
            drop(metadata, "labels", TOOL_LABELS)
            drop(metadata, "annotations", TOOL_ANNOTATIONS)
        if one["kind"] == "ConfigMap":
            one["metadata"]["name"] = without_hash(one["metadata"]["name"])
            one["data"] = {name: yaml.safe_load(text) for name, text in one["data"].items()}
        if one["kind"] == "Deployment":
            pod = one["spec"]["template"]["spec"]
            volume = pod["volumes"][0]["configMap"]
            volume["name"] = without_hash(volume["name"])
            only = pod["containers"][0]
            namespace = one["metadata"]["namespace"]
            only["args"] = [text.replace("$(POD_NAMESPACE)", namespace) for text in only["args"]]
            only.pop("env", None)
        made[key(one)] = one
    return made


def drop(metadata, what, names):
    kept = {name: value for name, value in metadata.get(what, {}).items() if name not in names}
    metadata.pop(what, None)
    if kept:
        metadata[what] = kept


def without_hash(name):
    return re.sub(r"^(dpumesh-operator)-[a-z0-9]{10}$", r"\1", name)
