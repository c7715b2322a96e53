"""The CustomResourceDefinition in a real API server: kubectl's view of a DpuService, and that a
document means the same with the server's defaults in it."""

import json

import pytest

import specs
from processes import eventually

OBJECTS = "/apis/dpumesh.io/v1alpha1/namespaces/{}/dpuservices"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/dpuservices.dpumesh.io"
NOW = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def crd(cluster):
    specs.install_crd(cluster)
    return cluster.api("GET", CRDS)


def test_sound(crd):
    """Established, and nothing that the API server would rather have otherwise."""
    conditions = {one["type"]: one["status"] for one in crd["status"]["conditions"]}
    assert conditions["Established"] == conditions["NamesAccepted"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"
    assert crd["spec"]["names"]["shortNames"] == ["dpu"]
    assert crd["spec"]["names"]["categories"] == ["all"]


def without_description(schema, path):
    """Paths of the fields that say nothing of themselves."""
    for name, field in schema.get("properties", {}).items():
        where = f"{path}.{name}"
        if not field.get("description") and not where.startswith(".metadata"):
            yield where
        yield from without_description(field, where)
    if "items" in schema:
        yield from without_description(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from without_description(schema["additionalProperties"], f"{path}.*")


def test_described(cluster, crd):
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert list(without_description(schema, "")) == []


def explained(cluster, *arguments):
    """What kubectl explain says. It reads another document, which follows the CRD a moment later: so each question is
    asked until it is answered, whatever another one was told."""

    def told():
        done = cluster.run_kubectl("explain", *arguments)
        return done.returncode == 0 and "FIELDS:" in done.stdout and done.stdout

    return eventually(told, what=lambda: cluster.run_kubectl("explain", *arguments).stderr)


def test_explained(cluster, crd):
    del crd
    text = explained(cluster, "dpuservice.spec.egress")
    assert "Calls to other services." in text
    for field in ("latency", "mode", "timeout", "workers"):
        assert f"  {field}\t<" in text
    assert "enum: simulate" in text
    assert "Longest a call may take" in " ".join(text.split())
    recursive = explained(cluster, "dpuservice.spec", "--recursive")
    assert "targetCPUUtilization" in recursive


@pytest.mark.parametrize("path", specs.EXAMPLES, ids=lambda path: path.stem)
def test_examples(cluster, crd, namespace, path):
    """Both take them; what the API server makes of one has the same children as the file."""
    assert specs.validate(path).returncode == 0
    out = cluster.kubectl("apply", "-n", namespace, "--dry-run=server", "-f", path, "-o", "json")
    made = json.loads(out)
    made = made["items"] if made["kind"] == "List" else [made]
    for one in made:
        del one["metadata"]["namespace"]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    assert specs.render(text=text) == specs.render(path)


def test_generated(cluster, crd, namespace):
    wanted = [specs.everything("all"), *specs.generated(24, seed=2), specs.dpu_service("none")]
    for document in wanted:
        made = cluster.api("POST", OBJECTS.format(namespace), document, dryRun="All", fieldValidation="Strict")
        del made["metadata"]["namespace"]
        theirs = specs.fingerprints(specs.render(text=json.dumps(made)))
        assert theirs == specs.fingerprints(specs.render(text=json.dumps(document)))


LATENCIES = [
    {"distribution": "normal", "mean": "0s", "deviation": "1ns"},
    {"distribution": "lognormal", "median": "8ms", "sigma": 0.5, "shift": "1ms", "cap": "1s", "seed": 3},
    {"distribution": "pareto", "scale": "1ms", "shape": 1, "cap": "1h"},
    {"distribution": "weibull", "scale": "1h", "shape": 1000},
    {"distribution": "gamma", "scale": "1ms", "shape": 0.05, "cap": None},
    {"distribution": "empirical", "quantiles": [{"fraction": 0, "delay": "1ms"}, {"fraction": 1, "delay": "1000us"}]},
    {
        "distribution": "mixture",
        "shift": "0s",
        "parts": [
            {},
            {"weight": 0.5, "value": "1ms"},
            {"distribution": "empirical", "quantiles": [{"fraction": 0, "delay": "0"}, {"fraction": 1.0, "delay": ".5s"}]},
        ],
    },
]

ACCEPTED = [
    {"workload": {"internalService": {"loader": {"sleepStress": {"sleepTime": value}}}}}
    for value in (0, 0.01, 3600, "0", "10ms", ".5s", "1h")
] + [
    {"autoscaling": {"maxReplicas": 3, "metrics": [{"signal": "inFlight", "averageValue": value}]}}
    for value in (5, "5", "1500m", "2k", "0.001")
] + [
    {
        "autoscaling": {
            "maxReplicas": 3,
            "metrics": [{"signal": "dpuUtilization", "averageUtilization": 50}],
            "behavior": {"scaleDown": {"tolerance": 0, "selectPolicy": "Disabled"}},
            "panic": {"stableWindowSeconds": 0},
        }
    },
    {"limits": {"frameBytes": 4096}},
    {"limits": {"frameBytes": "4Ki", "arenaBytes": "1Gi"}},
    {"limits": {"drainTimeout": "0"}},
    {"limits": {"idleTimeout": "86400000ms"}},
    {"egress": {"latency": {"distribution": "uniform", "low": "0s", "high": "0.5ms"}}},
    {"egress": {"latency": None, "mode": None}},
    {"egress": {"circuitBreaker": {"failures": 0, "duration": "10000ms", "probes": 1}, "timeout": "0s",
                "retries": {"perTryTimeout": "30m"}, "faults": {"slow": {"every": "60s"}, "loss": {"rto": "1s"}}}},
    {"egress": {"timeout": "1s", "retries": {"perTryTimeout": "1000ms"}, "destinations": [
        {"name": "s0", "timeout": "100ms"}, {"name": "s1", "timeout": "2s", "retries": {"perTryTimeout": "2s"}}]}},
    {"egress": {"destinations": [
        {"name": "s1", "circuitBreaker": {}, "faults": {"slow": {"length": "1s", "factor": 2}}}]}},
    {"datapath": {"policy": {"concurrency": {"status": 503}, "rateLimit": {"source": {"rate": 0.1, "burst": 1}}}}},
    *({"egress": {"latency": latency}} for latency in LATENCIES),
    {"resources": {"requests": {"cpu": 1, "memory": "64Mi"}, "limits": {"cpu": "1000m"}}},
    {"workload": {"internalService": {"loader": {"memoryStress": {"run": False, "memorySize": 1}}}}},
    {"workload": {"internalService": {"loader": {"diskStress": {"run": True, "diskWriteBlockCount": 1}}}}},
    {"workload": {"internalService": {"colosseum": {}}}},
    {"workload": {"internalService": {"plugin": {"path": "/a.so", "function": "f"}}}},
    {"workload": {"internalService": {"plugin": {"path": "/a.so", "function": "f", "params": {"x": [{"y": None}, 1.5]},
                                                 "timeout": "1ms", "responseBytes": 1}}}},
    {"workload": {"alternativeBehaviors": {}}},
    {"workload": {"alternativeBehaviors": {
        "b.1": {}, "B-2": {"internalService": {"computePi": {}}, "externalServices": []},
        "_": {"externalServices": [{"services": ["s1", "s1__2"], "seqLen": 1}]}}}},
    {"workload": {"internalService": {"computePi": {"meanBandwidth": 3}}}},
    {"workload": {"externalServices": [{"services": ["s1", "s1__2", "s1"], "seqLen": 3, "probabilities": {"s1": 0}}]}},
    {"disruptionBudget": {"minAvailable": 0}},
    {"disruptionBudget": {"maxUnavailable": "100%"}},
    {"podTemplate": {"labels": {"a.b/c": ""}, "annotations": {}, "tolerations": [], "affinity": {}}},
]


@pytest.mark.parametrize("spec", ACCEPTED, ids=range(len(ACCEPTED)))
def test_accepted(cluster, crd, namespace, spec):
    """Whatever way a value may be written, both take it and mean the same."""
    document = specs.dpu_service("s0", **spec)
    callee = specs.dpu_service("s1")
    made = cluster.api("POST", OBJECTS.format(namespace), document, dryRun="All", fieldValidation="Strict")
    del made["metadata"]["namespace"]
    lists = [{"apiVersion": "v1", "kind": "List", "items": [one, callee]} for one in (document, made)]
    ours, theirs = (specs.render(text=json.dumps(one)) for one in lists)
    assert ours == theirs


def quantiles(count):
    """A table of so many quantiles, evenly apart."""
    return [{"fraction": i / (count - 1), "delay": f"{i * 1000}us"} for i in range(count)]


def test_all_of_it(cluster, crd, namespace):
    """As large as the bounds allow: CEL's budget at run time is met too."""
    names = [f"{'s' * 50}-{number}" for number in range(128)]
    groups = [{"services": names, "probabilities": dict.fromkeys(names[:64], 0.5)}] * 128
    internal = {"plugin": {"path": "/" + "a" * 999, "function": "f" * 63}}
    behaviors = {f"{number:063}": {"internalService": internal, "externalServices": groups[:8]} for number in range(16)}
    workload = {"externalServices": groups, "alternativeBehaviors": behaviors}
    document = specs.everything("large", workload=workload)
    cluster.api("POST", OBJECTS.format(namespace), document, dryRun="All", fieldValidation="Strict")
    empirical = {"distribution": "empirical", "quantiles": quantiles(1000)}
    parts = [{"distribution": "empirical", "quantiles": quantiles(100), "cap": "10s"}] * 16
    for latency in (empirical, {"distribution": "mixture", "parts": parts}):
        document = specs.dpu_service("large", egress={"latency": latency})
        cluster.api("POST", OBJECTS.format(namespace), document, dryRun="All", fieldValidation="Strict")
    faults = {"errors": [{"status": 500 + i, "fraction": 0.1} for i in range(8)], "partial": 0.1, "timeouts": 0.1}
    entries = [{"distribution": "empirical", "quantiles": quantiles(20), "cap": "10s"}] * 8
    for latency in (
        {"distribution": "empirical", "quantiles": quantiles(100)},
        {"distribution": "mixture", "parts": entries},
    ):
        other = {"latency": latency, "faults": faults, "retries": {"perTryTimeout": "1s"}, "circuitBreaker": {}}
        each = [{"name": f"{'s' * 50}-{number}", **other} for number in range(64)]
        document = specs.dpu_service("large", egress={"faults": faults, "destinations": each})
        cluster.api("POST", OBJECTS.format(namespace), document, dryRun="All", fieldValidation="Strict")


def test_a_client_can_apply_it(cluster, crd):
    """Without --server-side, kubectl keeps a copy in an annotation: it fits."""
    said = cluster.kubectl("apply", "--dry-run=server", "-f", specs.CRD)
    assert "configured" in said or "unchanged" in said


def test_columns_and_scale(cluster, crd, namespace):
    path = f"{OBJECTS.format(namespace)}/s0"
    cluster.api("POST", OBJECTS.format(namespace), specs.dpu_service("s0", service={"type": "LoadBalancer"}))
    cluster.kubectl("scale", "-n", namespace, "dpu/s0", "--replicas=3")
    condition = {
        "type": "Ready", "status": "True", "reason": "AllReady", "message": "All replicas are ready.",
        "lastTransitionTime": NOW, "observedGeneration": 2,
    }  # fmt: skip
    status = {
        "observedGeneration": 2, "replicas": 3, "readyReplicas": 2, "desiredReplicas": 3, "ready": "2/3",
        "selector": "a=b", "endpoint": "s0:5005", "latencyAsked": "exponential, mean 8ms", "conditions": [condition],
    }  # fmt: skip
    cluster.client.apply(f"{path}/status", {**specs.dpu_service("s0"), "spec": {}, "status": status})
    live = cluster.api("GET", path)
    assert live["spec"]["replicas"] == 3 and live["status"] == status
    assert cluster.api("GET", f"{path}/scale")["status"] == {"replicas": 3, "selector": "a=b"}
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "--timeout=5s", "dpu/s0")

    head, row = cluster.kubectl("get", "-n", namespace, "dpu").splitlines()
    assert head.split() == ["NAME", "MODE", "READY", "DESIRED", "ENDPOINT", "AGE"]
    assert row.split()[:5] == ["s0", "dpu", "2/3", "3", "s0:5005"]
    head, row = cluster.kubectl("get", "-n", namespace, "dpu", "-o", "wide").splitlines()
    assert head.split()[6:] == ["LATENCY", "AUTOSCALER", "IMAGE"]
    assert " exponential, mean 8ms " in row and row.endswith("mubench-dpu-agent:latest")
    assert "dpuservice.dpumesh.io/s0" in cluster.kubectl("get", "-n", namespace, "all")
    for selector, found in (("spec.service.type=LoadBalancer", 1), ("spec.egress.mode=forward", 0)):
        listed = cluster.kubectl_json("get", "-n", namespace, "dpu", "--field-selector", selector)
        assert len(listed["items"]) == found
