"""DpuServices for tests: the programs that read them, many different ones, and their children."""

import itertools
import json
import os
import pathlib
import random
import subprocess

from processes import eventually

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("DPUMESH_BIN_DIR", TOP / "build" / "asan" / "bin"))
EXAMPLES = sorted((TOP / "examples").glob("*.yaml"))
CRD = TOP / "crds" / "dpuservices.dpumesh.io.yaml"

# Where a kind of child is found; as spec_child_identity().
RESOURCES = {
    "ConfigMap": ("/api/v1", "configmaps"),
    "Service": ("/api/v1", "services"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "HorizontalPodAutoscaler": ("/apis/autoscaling/v2", "horizontalpodautoscalers"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
}


def run(program, *arguments, text=None):
    """The finished process of one of our programs."""
    command = [str(program), *map(str, arguments)]
    return subprocess.run(command, input=text or "", capture_output=True, text=True, check=False, timeout=60)


def validate(path):
    """The finished `dpumesh validate -f PATH`."""
    return run(BIN / "dpumesh", "validate", "-f", path)


def render(path="-", text=None):
    """The children of a file, or of text: a list of objects."""
    done = run(BIN / "dpumesh", "render", "-f", path, text=text)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["items"]


def fingerprints(objects):
    """{(kind, name): fingerprint} of objects, desired or live."""
    done = run(BIN.parent / "tests/spec/fingerprint", text=json.dumps({"items": objects}))
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    return {(kind, name): digest for kind, name, digest in words}


def fingerprint(live):
    return next(iter(fingerprints([live]).values()))


def canonical_quantities(texts):
    done = run(BIN.parent / "tests/spec/fingerprint", "--quantities", text="\n".join(texts) + "\n")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def path_of(namespace, live):
    base, plural = RESOURCES[live["kind"]]
    return f"{base}/namespaces/{namespace}/{plural}/{live['metadata']['name']}"


def dpu_service(name, **spec):
    return {
        "apiVersion": "dpumesh.io/v1alpha1",
        "kind": "DpuService",
        "metadata": {"name": name},
        "spec": spec,
    }


# Every scheduling option that a pod can have, and with all that the API server might default.
EVERYTHING = {
    "replicas": 3,
    "workload": {
        "internalService": {"loader": {"diskStress": {"run": True}}},
        "alternativeBehaviors": {"b.1": {"internalService": {"colosseum": {}}}},
    },
    "resources": {
        "requests": {"cpu": "0.5", "memory": "1024Mi", "ephemeral-storage": "0.5Gi"},
        "limits": {"cpu": 2, "memory": "1536Mi", "ephemeral-storage": "1G"},
    },
    "podTemplate": {
        "labels": {"team": "a", "example.org/tier": ""},
        "annotations": {"example.org/scrape": "true", "plain": "a text, with: much in it"},
        "nodeSelector": {"disk": "ssd", "example.org/dpu": "yes"},
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "dpu", "operator": "Exists", "values": []}]}
                    ]
                },
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 1,
                        "preference": {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]},
                    }
                ],
            },
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 100,
                        "podAffinityTerm": {
                            "topologyKey": "kubernetes.io/hostname",
                            "labelSelector": {"matchLabels": {"a": "b"}},
                            "namespaceSelector": {},
                            "matchLabelKeys": ["pod-template-hash"],
                        },
                    }
                ],
            },
        },
        "tolerations": [
            {"key": "dpu", "operator": "Exists", "effect": ""},
            {"key": "a", "value": "b"},
            {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0},
        ],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"},
            {
                "maxSkew": 2,
                "minDomains": 3,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
                "matchLabelKeys": ["pod-template-hash"],
            },
        ],
        "priorityClassName": "system-cluster-critical",
        "schedulerName": "other",
        "serviceAccountName": "agent",
        "imagePullSecrets": [{"name": "a"}, {"name": "b"}],
        "runtimeClassName": "kata",
    },
    "autoscaling": {
        "engine": "hpa",
        "minReplicas": 2,
        "maxReplicas": 10,
        "targetCPUUtilization": 60,
        "metrics": [
            {"signal": "cpu", "averageUtilization": 60},
            {"signal": "requestsPerSecond", "averageValue": "0.1k"},
            {"signal": "queueOccupancy", "averageUtilization": 50},
        ],
        "behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}},
    },
    "disruptionBudget": {"minAvailable": "50%"},
    "egress": {"forward": {"tls": {"secretName": "client", "caFrom": {"configMapKeyRef": {"name": "ca", "key": "bundle.pem"}}}}},
    "tracing": {"endpoint": "https://collector:4318", "caFrom": {"secretKeyRef": {"name": "client"}}},
}


# First those that the API server gives to nobody who does not ask for one as long as it has others
# ("Avoiding collisions in NodePort Services"): 30000 to 30085, of which examples want the lowest.
NODE_PORTS = itertools.chain(range(30010, 30086), range(31500, 32700))


def everything(name, **changes):
    """A DpuService that asks for all that there is, and a node port that no other one has."""
    service = {"type": "NodePort", "nodePorts": {"bridge": next(NODE_PORTS)}}
    return dpu_service(name, **{**EVERYTHING, "service": service, **changes})


def generated(count, seed=1):
    """That many DpuServices, each with some of the fields of EVERYTHING and others; the same ones for
    the same seed."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        spec = {key: EVERYTHING[key] for key in EVERYTHING if draw.random() < 0.5}
        if "podTemplate" in spec:
            template = spec["podTemplate"]
            spec["podTemplate"] = {key: template[key] for key in template if draw.random() < 0.5}
        if "autoscaling" in spec:
            spec["resources"] = EVERYTHING["resources"]
        if draw.random() < 0.3:
            spec["disruptionBudget"] = {"maxUnavailable": draw.choice([0, 1, "25%", "100%"])}
        kind = draw.choice(["ClusterIP", "NodePort", "LoadBalancer"])
        spec["service"] = {"type": kind, "ports": {"http": draw.randrange(1, 5000)}}
        if kind != "ClusterIP" and draw.random() < 0.5:
            spec["service"]["nodePorts"] = {draw.choice(["bridge", "http"]): next(NODE_PORTS)}
        spec["limits"] = {"drainTimeout": draw.choice(["0s", "90s", "1.5s"])}
        made.append(dpu_service(f"gen-{number}", **spec))
    return made


def install_crd(cluster):
    """Has the API server know DpuServices; returns when it does."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", CRD)
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{CRD.stem}"

    def established():  # kubectl wait fails when there is no condition yet
        conditions = cluster.api("GET", path).get("status", {}).get("conditions") or []
        return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)

    eventually(established, 30, "the CRD is not served")


def plurals():
    """Of the kinds of children."""
    return {plural for _, plural in RESOURCES.values()}
