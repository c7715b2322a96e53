"""The children of DpuServices in a real API server: it takes them, and what it makes of them has the
fingerprint of what was asked; a change that matters has another, what others add has the same."""

import json

import pytest

import specs

STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def apply(cluster, namespace, objects):
    """Applies objects as an operator does, and returns them as the API server has them."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    command = ["apply", "--server-side", "--field-manager=dpumesh", "-n", namespace, "-f", "-"]
    cluster.kubectl(*command, input=text)
    return [cluster.api("GET", specs.path_of(namespace, one)) for one in objects]


def compare(cluster, namespace, objects):
    live = apply(cluster, namespace, objects)
    desired, found = specs.fingerprints(objects), specs.fingerprints(live)
    assert len(desired) == len(objects)
    different = [key for key in desired if desired[key] != found[key]]
    assert not different, json.dumps([one for one in live if (one["kind"], one["metadata"]["name"]) in different])
    return live


@pytest.mark.parametrize("path", specs.EXAMPLES, ids=lambda path: path.stem)
def test_examples(cluster, namespace, path):
    objects = specs.render(path)
    live = compare(cluster, namespace, objects)
    assert len(live) >= 3
    for one in live:  # node ports are the cluster's: other examples want the same ones
        cluster.api("DELETE", specs.path_of(namespace, one))


def test_every_option(cluster, namespace):
    text = json.dumps(specs.everything("all"))
    live = compare(cluster, namespace, specs.render(text=text))
    assert [one["kind"] for one in live] == list(specs.RESOURCES)


def test_generated(cluster, namespace):
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": specs.generated(24)})
    compare(cluster, namespace, specs.render(text=text))


def test_fewer_wishes(cluster, namespace):
    """What is not wanted any more goes, and then the fingerprints agree again."""
    every = specs.render(text=json.dumps(specs.everything("all")))
    compare(cluster, namespace, every)
    plain = specs.render(text=json.dumps(specs.dpu_service("all")))
    before = specs.fingerprints(apply(cluster, namespace, every))
    live = compare(cluster, namespace, plain)
    after = specs.fingerprints(live)
    assert before["Deployment", "all-dpu"] != after["Deployment", "all-dpu"]
    assert before["Service", "all"] != after["Service", "all"]
    pod = live[2]["spec"]["template"]["spec"]
    assert "affinity" not in pod and "tolerations" not in pod and pod["schedulerName"] == "default-scheduler"


# ---- what is drift, and what is not ----

CONTAINER = "/spec/template/spec/containers/0"
AGENT = {"name": "agent"}


def pod(**spec):
    return {"spec": {"template": {"spec": spec}}}


def agent(**container):
    return pod(containers=[{**AGENT, **container}])


def replace(path, value):
    return [{"op": "replace", "path": path, "value": value}]


def remove(path):
    return [{"op": "remove", "path": path}]


# (kind, patch): each takes away or changes something that is ours.
DRIFT = [
    ("ConfigMap", {"data": {"agent.json": "{}"}}),
    ("ConfigMap", remove("/data/agent.json")),
    ("ConfigMap", {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}}),
    ("ConfigMap", {"metadata": {"labels": {"app.kubernetes.io/part-of": None}}}),
    ("Service", {"spec": {"type": "LoadBalancer"}}),
    ("Service", {"spec": {"selector": {"more": "yes"}}}),
    ("Service", {"spec": {"selector": {"app.kubernetes.io/instance": "other"}}}),
    ("Service", replace("/spec/ports/0/port", 5006)),
    ("Service", replace("/spec/ports/0/name", "other")),
    ("Service", replace("/spec/ports/0/nodePort", 32798)),
    ("Service", replace("/spec/ports/1/targetPort", 81)),
    ("Service", remove("/spec/ports/1")),
    ("Service", remove("/spec/ports/1/appProtocol")),
    ("Service", {"metadata": {"annotations": {"dpumesh.io/owns": None}}}),
    ("Service", {"metadata": {"annotations": {"dpumesh.io/owns": "nodePort:http"}}}),
    ("Deployment", {"spec": {"replicas": 1}}),
    ("Deployment", {"spec": {"revisionHistoryLimit": 10}}),
    ("Deployment", {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}),
    ("Deployment", {"spec": {"strategy": {"rollingUpdate": {"maxSurge": "25%"}}}}),
    ("Deployment", {"spec": {"template": {"metadata": {"labels": {"team": "b"}}}}}),
    ("Deployment", {"spec": {"template": {"metadata": {"labels": {"team": None}}}}}),
    ("Deployment", {"spec": {"template": {"metadata": {"annotations": {"dpumesh.io/config-hash": "0"}}}}}),
    ("Deployment", {"spec": {"template": {"metadata": {"annotations": {"example.org/scrape": None}}}}}),
    ("Deployment", agent(image="other")),
    ("Deployment", agent(imagePullPolicy="Never")),
    ("Deployment", agent(args=["--config", "/etc/dpumesh/agent.json", "--more"])),
    ("Deployment", agent(securityContext={"readOnlyRootFilesystem": False})),
    ("Deployment", agent(securityContext={"allowPrivilegeEscalation": None})),
    ("Deployment", agent(securityContext={"capabilities": {"drop": ["ALL", "CHOWN"]}})),
    ("Deployment", agent(resources={"requests": {"cpu": "501m"}})),
    ("Deployment", agent(resources={"limits": {"memory": None}})),
    ("Deployment", agent(readinessProbe={"httpGet": {"path": "/"}})),
    ("Deployment", agent(livenessProbe={"periodSeconds": 11})),
    ("Deployment", remove(f"{CONTAINER}/readinessProbe")),
    ("Deployment", replace(f"{CONTAINER}/ports/0/containerPort", 5006)),
    ("Deployment", replace(f"{CONTAINER}/volumeMounts/0/mountPath", "/etc/other")),
    ("Deployment", replace(f"{CONTAINER}/name", "other")),
    ("Deployment", replace("/spec/template/spec/volumes/0/configMap/name", "other")),
    ("Deployment", replace("/spec/template/spec/volumes/2/projected/sources/0/secret/name", "other")),
    ("Deployment", replace("/spec/template/spec/volumes/2/projected/sources/0/secret/items/1/path", "other")),
    ("Deployment", remove("/spec/template/spec/volumes/2/projected/sources/1")),
    ("Deployment", replace("/spec/template/spec/volumes/2/projected/defaultMode", 0o400)),
    ("Deployment", replace("/spec/template/spec/volumes/3/projected/sources/0/secret/items/0/key", "other")),
    ("Deployment", replace(f"{CONTAINER}/volumeMounts/2/mountPath", "/etc/other")),
    ("Deployment", replace(f"{CONTAINER}/volumeMounts/2/readOnly", False)),
    ("Deployment", remove(f"{CONTAINER}/volumeMounts/3")),
    ("Deployment", pod(terminationGracePeriodSeconds=1)),
    ("Deployment", pod(automountServiceAccountToken=True)),
    ("Deployment", pod(enableServiceLinks=None)),
    ("Deployment", pod(securityContext={"runAsUser": 1000})),
    ("Deployment", pod(securityContext={"seccompProfile": None})),
    ("Deployment", pod(nodeSelector={"more": "yes"})),
    ("Deployment", pod(affinity=None)),
    ("Deployment", pod(affinity={"podAntiAffinity": None})),
    ("Deployment", pod(tolerations=[{"operator": "Exists"}])),
    ("Deployment", replace("/spec/template/spec/tolerations/2/tolerationSeconds", 1)),
    ("Deployment", replace("/spec/template/spec/topologySpreadConstraints/0/maxSkew", 2)),
    ("Deployment", pod(priorityClassName="system-node-critical")),
    ("Deployment", pod(schedulerName="default-scheduler")),
    ("Deployment", pod(serviceAccountName="other", serviceAccount="other")),
    ("Deployment", pod(imagePullSecrets=[{"name": "c"}])),
    ("Deployment", pod(runtimeClassName=None)),
    ("HorizontalPodAutoscaler", {"spec": {"minReplicas": 1}}),
    ("HorizontalPodAutoscaler", {"spec": {"maxReplicas": 11}}),
    ("HorizontalPodAutoscaler", {"spec": {"scaleTargetRef": {"name": "other"}}}),
    ("HorizontalPodAutoscaler", replace("/spec/metrics/0/resource/target/averageUtilization", 61)),
    ("HorizontalPodAutoscaler", {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 1}}}}),
    ("PodDisruptionBudget", {"spec": {"minAvailable": 1}}),
    ("PodDisruptionBudget", {"spec": {"minAvailable": None, "maxUnavailable": 1}}),
    ("PodDisruptionBudget", {"spec": {"selector": {"matchLabels": {"more": "yes"}}}}),
]

SIDECAR = {"name": "sidecar", "image": "envoy", "ports": [{"name": "admin", "containerPort": 15000}]}

# What others may add, or the cluster fills in.
FOREIGN = [
    ("ConfigMap", {"metadata": {"labels": {"mine": "yes"}, "annotations": {"mine": "yes"}}}),
    ("ConfigMap", {"data": {"further": "yes"}}),
    ("ConfigMap", {"metadata": {"finalizers": ["example.org/wait"]}}),
    ("Service", {"metadata": {"annotations": {"example.org/balancer": "internal"}}}),
    ("Service", replace("/spec/ports/1/nodePort", 32797)),
    ("Service", {"spec": {"sessionAffinity": "ClientIP"}}),
    ("Service", [{"op": "add", "path": "/spec/ports/2", "value": {"name": "more", "port": 99}}]),
    ("Deployment", {"metadata": {"annotations": {"example.org/note": "yes"}}}),
    ("Deployment", {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}),
    ("Deployment", {"spec": {"template": {"metadata": {"labels": {"injected": "yes"}}}}}),
    ("Deployment", {"spec": {"progressDeadlineSeconds": 60, "minReadySeconds": 1}}),
    ("Deployment", pod(containers=[SIDECAR])),
    ("Deployment", pod(initContainers=[SIDECAR])),
    ("Deployment", pod(volumes=[{"name": "more", "emptyDir": {}}])),
    ("Deployment", agent(env=[{"name": "A", "value": "b"}])),
    ("Deployment", agent(volumeMounts=[{"name": "config", "mountPath": "/etc/dpumesh", "subPath": ""}])),
    ("Deployment", agent(resources={"limits": {"hugepages-2Mi": "4Mi"}, "requests": {"hugepages-2Mi": "4Mi"}})),
    ("Deployment", agent(terminationMessagePolicy="FallbackToLogsOnError")),
    ("Deployment", agent(readinessProbe={"initialDelaySeconds": 1})),
    ("Deployment", pod(dnsPolicy="Default")),
    ("HorizontalPodAutoscaler", {"metadata": {"labels": {"more": "yes"}}}),
    ("PodDisruptionBudget", {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}),
]  # fmt: skip


@pytest.fixture(scope="module")
def stored(cluster):
    """A namespace, and {kind: live object} there of a DpuService that asks for all that there is."""
    namespace = cluster.create_namespace("children-drift")
    objects = specs.render(text=json.dumps(specs.everything("all")))
    yield namespace, {one["kind"]: one for one in apply(cluster, namespace, objects)}
    cluster.delete_namespace(namespace)


def patched(cluster, stored, kind, patch):
    """Fingerprints of the live object as it is, and as it would be."""
    namespace, live = stored
    path = specs.path_of(namespace, live[kind])
    content_type = JSON_PATCH if isinstance(patch, list) else STRATEGIC
    answer = cluster.api("PATCH", path, patch, content_type=content_type, dryRun="All", fieldManager="other")
    return specs.fingerprint(live[kind]), specs.fingerprint(answer)


@pytest.mark.parametrize(("kind", "patch"), DRIFT, ids=range(len(DRIFT)))
def test_drift(cluster, stored, kind, patch):
    before, after = patched(cluster, stored, kind, patch)
    assert before != after


def test_owner(cluster, stored):
    """The reference to the DpuService is ours, one to something else is not. Only tried: the garbage
    collector would take what belongs to nobody."""
    namespace, live = stored
    owner = {
        "apiVersion": "dpumesh.io/v1alpha1", "kind": "DpuService", "name": "all", "uid": "1-2-3",
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "4-5-6"}
    for desired in specs.render(text=json.dumps(specs.dpu_service("all", **specs.EVERYTHING))):
        path = specs.path_of(namespace, live[desired["kind"]])
        without = specs.fingerprint(desired)
        desired["metadata"]["ownerReferences"] = [owner]
        got = cluster.client.apply(path, desired, manager="dpumesh", dryRun="All")
        assert specs.fingerprint(got) == specs.fingerprint(desired) != without
        got["metadata"]["ownerReferences"].insert(0, other)
        assert specs.fingerprint(got) == specs.fingerprint(desired)
        got["metadata"]["ownerReferences"][1]["uid"] = "7-8-9"
        assert specs.fingerprint(got) != specs.fingerprint(desired)


@pytest.mark.parametrize(("kind", "patch"), FOREIGN, ids=range(len(FOREIGN)))
def test_foreign(cluster, stored, kind, patch):
    before, after = patched(cluster, stored, kind, patch)
    assert before == after


# ---- quantities, pod security ----

QUANTITIES = """
0 0.0 1 2 10 100 1000 1500 2500 10000 123456789 0.5 .5 1. 1.5 1.500 0.1 0.123 0.1234 0.0001 1.0005
1m 100m 500m 999m 1000m 1500m 2000m 1u 1500u 5n 1n 1k 10k 1000k 1500k 1M 64M 1000M 1.5M 1G 3G 1T 1P 1E
1Ki 2Ki 512Ki 1000Ki 1023Ki 1024Ki 1536Ki 1Mi 32Mi 64Mi 1000Mi 1024Mi 1536Mi 2048Mi 1Gi 1.5Gi 0.5Gi 0.1Gi 2.5Ki
0.5Ki 0.1Ki 0.001Mi 1Ti 1Pi 1Ei 007Mi 08 1e3 1E3 2e3 1e4 1e-3 1e0 1.5e0 1e-12 12e6 123e-2 1e18 4096 65536
""".split()
# The API server takes some for canonical at a glance and keeps them as written; fingerprints don't care.
KEPT = {"007Mi", "08", "1.", "1.500", "1E3", "1e0"}


def test_quantities(cluster, namespace):
    """Each in the API server's form is what we make of it, and stays what it is."""
    ours = specs.canonical_quantities(QUANTITIES)
    wrong = []
    for text, canonical in zip(QUANTITIES, ours, strict=True):
        for written in {text, canonical} - KEPT:
            container = {**AGENT, "image": "a", "resources": {"limits": {"cpu": written}}}
            body = {"metadata": {"name": "q"}, "spec": {"containers": [container]}}
            pods = f"/api/v1/namespaces/{namespace}/pods"
            kept = cluster.api("POST", pods, body, dryRun="All")["spec"]["containers"][0]["resources"]["limits"]["cpu"]
            if kept != canonical:
                wrong.append((written, kept, canonical))
    assert not wrong


def test_pods_are_restricted(cluster):
    """Pod Security "restricted" admits the pods, whatever the spec asks for."""
    name = cluster.create_namespace("children-restricted", RESTRICTED)
    pods = f"/api/v1/namespaces/{name}/pods"
    refused = {"metadata": {"name": "no"}, "spec": {"containers": [{**AGENT, "image": "a"}]}}
    answer = cluster.api("POST", pods, refused, status=403, dryRun="All")
    assert "violates PodSecurity" in answer["message"]
    cluster.api("POST", f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "agent"}})
    asked = {**specs.EVERYTHING["podTemplate"]}
    del asked["runtimeClassName"]  # the cluster has no such class
    for service in (specs.dpu_service("all"), specs.everything("all", podTemplate=asked)):
        objects = specs.render(text=json.dumps(service))
        template = next(one for one in objects if one["kind"] == "Deployment")["spec"]["template"]
        cluster.api("POST", pods, {"metadata": {**template["metadata"], "name": "yes"}, "spec": template["spec"]}, dryRun="All")
    cluster.delete_namespace(name)
