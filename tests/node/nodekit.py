"""What the tests on a node do: install the operator, apply DpuServices, send load in the background, and look into the
containers.

    with Load(f"tcp://{node.host}:30005", concurrency=20) as load:
        ...
    load.result["failed"]
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import yaml

from containers import ctr
from processes import eventually
from world import TOP

sys.path[:0] = [str(TOP / "tests" / "deploy"), str(TOP / "tests" / "e2e")]

import manifests  # noqa: E402

SYSTEM = "dpumesh-system"
OPERATOR = "deployment/dpumesh-operator"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}
SECURE = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
BRIDGE = 5005
HTTP = 8080


def programs():
    """The folder of our own programs."""
    return pathlib.Path(os.environ.get("DPUMESH_BIN_DIR", TOP / "build" / "release" / "bin"))


def images():
    """The folder of our images."""
    return pathlib.Path(os.environ.get("DPUMESH_IMAGES", TOP / "build" / "images"))


def dpu(name="s0", replicas=1, latency="20ms", **spec):
    """A DpuService whose requests take one call of the latency."""
    latency = {"distribution": "constant", "value": latency}
    egress = {"mode": "simulate", "latency": latency, **spec.pop("egress", {})}
    workload = {"externalServices": [{"services": ["backend"]}]}
    workload["internalService"] = {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 0.005}}
    workload = spec.pop("workload", workload)
    return {
        "apiVersion": "dpumesh.io/v1alpha1",
        "kind": "DpuService",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "workload": workload, "egress": egress, **spec},
    }


class Load:
    """`dpumesh load`, until the context ends; then result is what it counted."""

    def __init__(self, target, *options, concurrency=20):
        self.command = [programs() / "dpumesh", "load", target, "--json", "--concurrency", concurrency, "--duration", "1h", *options]
        self.result = None

    def __enter__(self):
        self.process = subprocess.Popen(
            [str(word) for word in self.command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=60)
        if kind is None:
            self.result = json.loads(output)

    def refusals(self):
        """What went wrong: {"refused": 3, "503": 1}; a request that was in flight at the end is none."""
        errors = {kind: count for kind, count in self.result["errors"].items() if count}
        return {**errors, **{s: n for s, n in self.result["status"].items() if int(s) >= 400}}

    def assert_clean(self, least):
        """Every request was answered below 400, and there were some."""
        assert self.result["answered"] >= least, self.result
        assert self.refusals() == {}, self.result


def burst(target, *options, timeout=60):
    """One load to its end: (exit status, what it counted)."""
    command = [programs() / "dpumesh", "load", target, "--json", *options]
    done = subprocess.run(
        [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
        check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def answers(target):
    return burst(target, "--concurrency", "1", "--timeout", "2s")[0] == 0


class Space:
    """A namespace with DpuServices, Pod Security "restricted" enforced."""

    def __init__(self, node, name):
        self.node = node
        self.name = node.create_namespace(name, RESTRICTED)

    def kubectl(self, *arguments, **options):
        return self.node.kubectl("-n", self.name, *arguments, **options)

    def apply(self, *documents):
        text = yaml.safe_dump_all(documents)
        said = self.node.run_kubectl("-n", self.name, "apply", "-f", "-", input=text)
        # A warning would be Pod Security's.
        assert said.returncode == 0 and "Warning" not in said.stderr, said.stderr

    def wait_ready(self, name="s0", timeout=60):
        """Until all replicas are ready, old ones are gone, the nodes send to all of them, and the Service's address answers."""
        self.kubectl("wait", "--for=condition=Ready", f"dpu/{name}", f"--timeout={timeout}s", timeout=timeout + 10)
        eventually(lambda: self.in_force(name), 30, f"the node's rules do not have all pods of {name}")
        eventually(lambda: answers(self.target(name)), 20, f"{name}'s Service does not answer")

    def deploy(self, *documents):
        self.apply(*documents)
        for document in documents:
            self.wait_ready(document["metadata"]["name"])
        return self

    def scale(self, count, name="s0", settle=None):
        """Settle: seconds until which so many pods must be ready, with the nodes' rules in force."""
        self.kubectl("scale", f"dpu/{name}", f"--replicas={count}")
        if settle:
            eventually(lambda: len(self.ready(name)) == count, settle, f"{count} replicas of {name} are not ready")
            eventually(lambda: self.in_force(name), 30, f"the node's rules do not have {count} pods of {name}")

    def pods(self, name="s0"):
        return self.node.kubectl_json("-n", self.name, "get", "pods", "-l", f"app.kubernetes.io/instance={name}")["items"]

    def ready(self, name="s0"):
        """Names of pods that are ready and not on their way out."""

        def is_ready(pod):
            conditions = pod["status"].get("conditions", [])
            return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

        return [p["metadata"]["name"] for p in self.pods(name) if is_ready(p) and "deletionTimestamp" not in p["metadata"]]

    def endpoints(self, name="s0"):
        """Addresses that the Service sends to."""
        selector = f"labelSelector=kubernetes.io/service-name={name}"
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.name}/endpointslices?{selector}"
        slices = self.node.api("GET", path)["items"]
        return [e["addresses"][0] for s in slices for e in s["endpoints"] or [] if e["conditions"].get("ready")]

    def in_force(self, name="s0"):
        """Whether connections go to all pods that are ready, and to no others: kube-proxy writes rules once a second at most."""
        addresses = self.endpoints(name)
        rules = subprocess.run(["iptables-save", "-t", "nat"], capture_output=True, text=True, check=True).stdout
        sent_to = re.findall(rf'--comment "{self.name}/{name}:\S+ -> ([0-9.]+):[0-9]+"', rules)
        return len(addresses) == len(self.ready(name)) and set(addresses) == set(sent_to)

    def target(self, name="s0", port=BRIDGE):
        address = self.node.api("GET", f"/api/v1/namespaces/{self.name}/services/{name}")["spec"]["clusterIP"]
        return f"tcp://{address}:{port}" if port == BRIDGE else f"http://{address}:{port}/api/v1"

    def replicas(self, name="s0"):
        path = f"/apis/dpumesh.io/v1alpha1/namespaces/{self.name}/dpuservices/{name}"
        return self.node.api("GET", path)["spec"]["replicas"]


def load_pod(name, *arguments):
    """A pod that runs dpumesh load from the agent's image to its end."""
    container = {
        "name": "load",
        "image": "mubench-dpu-agent:latest",
        "imagePullPolicy": "Never",
        "command": ["/usr/bin/dpumesh", "load", "--json", *arguments],
        "securityContext": SECURE,
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def container_pid(pod, container="agent"):
    """The first process of a pod's container, as this world numbers it."""
    status = next(s for s in pod["status"]["containerStatuses"] if s["name"] == container)
    identifier = status["containerID"].partition("://")[2]
    for line in ctr("tasks", "ls").splitlines()[1:]:
        words = line.split()
        if words[0] == identifier:
            return int(words[1])
    raise AssertionError(f"{pod['metadata']['name']} has no task")


def process_status(pid):
    """/proc/PID/status as {name: text}."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.M))


class Installation:
    """The operator, by kubectl or by Helm; one at a time."""

    def __init__(self, node):
        self.node = node
        self.way = None
        tools = manifests.find_tools()
        self.renderer = manifests.Renderer(node.programs["kubectl"], tools.get("helm"))

    def helm(self, *arguments, **options):
        return self.renderer.helm(*arguments, "-n", SYSTEM, kubeconfig=self.node.kubeconfig, **options)

    def ensure(self, way):
        """Installed so, and at work; what was installed the other way is gone."""
        if way != self.way:
            self.remove()
            self.way = way
            if way == "kubectl":
                self.node.kubectl("apply", "-k", manifests.DEPLOY)
            else:
                self.node.create_namespace(SYSTEM, RESTRICTED)
                self.helm("install", manifests.NAME, manifests.CHART, values={})
            self.wait_ready()
        return self

    def remove(self):
        """All of it, its namespace and the CRD too."""
        if self.way == "kubectl":
            self.node.kubectl("delete", "-k", manifests.DEPLOY, "--timeout=60s", timeout=70)
        elif self.way == "helm":
            self.helm("uninstall", manifests.NAME, "--wait")
            self.node.kubectl("delete", "crd", "dpuservices.dpumesh.io", "--timeout=60s", timeout=70)
            self.node.kubectl("delete", "namespace", SYSTEM, "--timeout=60s", timeout=70)
        self.way = None

    def wait_ready(self):
        self.node.kubectl("-n", SYSTEM, "rollout", "status", OPERATOR, "--timeout=60s", timeout=70)

    def pods(self):
        selector = "labelSelector=app.kubernetes.io/name=dpumesh-operator"
        return self.node.api("GET", f"/api/v1/namespaces/{SYSTEM}/pods?{selector}")["items"]

    def leader(self):
        """The name of the pod that leads, or None."""
        with contextlib.suppress(KeyError):
            path = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/dpumesh-operator"
            holder = self.node.api("GET", path)["spec"].get("holderIdentity") or ""
            return next((p["metadata"]["name"] for p in self.pods() if holder.startswith(p["metadata"]["name"])), None)
