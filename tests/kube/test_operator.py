"""The whole operator: from kubectl apply to children, a true status, and nothing left."""

import itertools
import json

import pytest

import pods
import specs
from operatorkit import MANAGER, describe, owned
from processes import eventually
from specs import dpu_service, everything

LABELS = {
    "app.kubernetes.io/name": "dpumesh-agent",
    "app.kubernetes.io/component": "microservice",
    "app.kubernetes.io/managed-by": "dpumesh",
}


@pytest.mark.parametrize("path", specs.EXAMPLES, ids=lambda path: path.stem)
def test_examples(system, path):
    """kubectl apply -f FILE makes exactly what `dpumesh render -f FILE` prints."""
    system.operator()
    rendered = specs.render(path)
    system.apply(path)
    names = {item["metadata"]["name"] for item in system.client.get(dpuservices(system))["items"]}
    system.converged(*names)
    found = {key: child for name in names for key, child in system.children(name).items()}
    assert found.keys() == {(one["kind"], one["metadata"]["name"]) for one in rendered}
    for one in rendered:
        live = found[one["kind"], one["metadata"]["name"]]
        assert owned(live, {key: value for key, value in one.items() if key != "apiVersion"}) == ""
    for name in names:  # node ports are the cluster's: other examples want the same ones
        system.delete("DpuService", name)
    for name in names:
        system.gone(name)


def dpuservices(system):
    return system.path("DpuService", "").rstrip("/")


def test_every_kind_of_child(system):
    system.operator()
    system.apply(everything("all"))
    system.converged("all")
    uid = system.dpu("all")["metadata"]["uid"]
    children = system.children("all")
    assert [kind for kind, _ in children] == list(specs.RESOURCES)
    for child in children.values():
        labels = child["metadata"]["labels"]
        assert labels.items() >= LABELS.items() and labels["app.kubernetes.io/instance"] == "all"
        (owner,) = child["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (uid, True, True)
        ours = [entry for entry in child["metadata"]["managedFields"] if entry["manager"] == MANAGER]
        assert [entry["operation"] for entry in ours] == ["Apply"]
    # One write each, and of status one for each thing that it tells.
    count = len([event for event in system.writes() if event["objectRef"]["resource"] != "events"])
    assert count <= 5 + 6, [describe(event) for event in system.writes()]

    # What is not asked for any more goes, and only that.
    plain = dpu_service("all", replicas=3)
    system.client.api("PUT", system.path("DpuService", "all"), {**system.dpu("all"), "spec": plain["spec"]})
    system.converged("all")
    assert len(system.children("all")) == 3


def test_conditions_from_the_first_visit_to_ready(system):
    system.operator()
    system.apply(dpu_service("s0", replicas=2))
    ready = system.condition("s0", "Ready", "False", reason="RollingOut")
    assert ready["observedGeneration"] == 1
    conditions = system.conditions("s0")
    assert {kind: one["status"] for kind, one in conditions.items()} == {
        "Ready": "False", "Reconciling": "True", "Stalled": "False",
    }  # fmt: skip
    (pod, _) = system.pods("s0", 2)
    pods.make_ready(system.client, pod)
    system.condition("s0", "Ready", "False", message="1 of 2 replicas are ready")
    assert system.status("s0")["ready"] == "1/2"
    system.mark_ready("s0", 2)
    assert system.condition("s0", "Ready", "True")["reason"] == "AllReplicasReady"
    status = system.status("s0")
    assert (status["replicas"], status["readyReplicas"], status["desiredReplicas"]) == (2, 2, 2)
    assert status["endpoint"] == f"s0.{system.namespace}.svc:5005"
    assert status["latencyAsked"] == "50ms"
    assert system.conditions("s0")["Reconciling"]["status"] == "False"
    system.kubectl("wait", "--for=condition=Ready", "dpu/s0", "--timeout=5s")
    table = system.kubectl("get", "dpu")
    assert "2/2" in table and status["endpoint"] in table, table
    selected = system.kubectl("get", "pods", "-l", status["selector"], "-o", "name").split()
    assert len(selected) == 2


def test_a_node_port_in_the_endpoint(system):
    system.operator()
    port = next(specs.NODE_PORTS)
    system.apply(dpu_service("s0", service={"type": "NodePort", "nodePorts": {"bridge": port}}))
    system.converged("s0")
    eventually(lambda: system.status("s0")["endpoint"].endswith(f",NODE:{port}"), what=str(system.status("s0")))
    # Back to an address of the cluster alone.
    system.patch("DpuService", "s0", {"spec": {"service": None}})
    system.converged("s0")
    eventually(lambda: "NODE" not in system.status("s0")["endpoint"], what=str(system.status("s0")))
    assert "nodePort" not in system.get("Service", "s0")["spec"]["ports"][0]


def test_kubectl_scale_and_rollout(system):
    """The verbs that people know."""
    system.operator()
    system.apply(dpu_service("s0"))
    with system.cluster.kubelet(system.namespace):
        system.kubectl("wait", "--for=condition=Ready", "dpu/s0", "--timeout=30s")
        system.kubectl("scale", "dpu/s0", "--replicas=3")
        system.kubectl("rollout", "status", "deployment/s0-dpu", "--timeout=30s")
        eventually(lambda: system.status("s0").get("ready") == "3/3", 30, lambda: str(system.status("s0")))
        scale = system.client.get(system.path("DpuService", "s0") + "/scale")
        assert scale["status"]["replicas"] == 3 and scale["status"]["selector"]
        system.kubectl("scale", "dpu/s0", "--replicas=0")
        system.condition("s0", "Ready", "True", reason="ScaledToZero")
        assert system.status("s0")["ready"] == "0/0"
        system.kubectl("scale", "dpu/s0", "--replicas=1")
        system.condition("s0", "Ready", "True", reason="AllReplicasReady")


def test_a_change_of_spec_rolls_pods(system):
    system.operator()
    system.apply(dpu_service("s0", replicas=2))
    with system.cluster.kubelet(system.namespace):
        system.condition("s0", "Ready", "True")
        before = {pod["metadata"]["name"] for pod in system.pods("s0", 2)}
        key = ("Deployment", "s0-dpu")
        template = system.children("s0")[key]["spec"]["template"]
        system.patch("DpuService", "s0", {"spec": {"egress": {"latency": {"value": "77ms"}}}})
        generation = system.dpu("s0")["metadata"]["generation"]
        assert generation == 2
        system.condition("s0", "Ready", "False")
        eventually(lambda: system.conditions("s0")["Ready"]["observedGeneration"] == 2)
        system.condition("s0", "Ready", "True")
        system.converged("s0")
        changed = system.children("s0")[key]["spec"]["template"]
        name = "dpumesh.io/config-hash"
        assert changed["metadata"]["annotations"][name] != template["metadata"]["annotations"][name]
        config = json.loads(system.get("ConfigMap", "s0-dpu")["data"]["agent.json"])
        assert config["egress"]["latency"]["value"] == "77ms"
        eventually(
            lambda: not before & {pod["metadata"]["name"] for pod in system.pods("s0", 2)},
            what="pods of the old version stay",
        )


def test_a_label_of_the_application_changes_and_pods_go_on(system):
    system.operator()
    system.apply(dpu_service("s0"))
    system.converged("s0")
    system.patch("DpuService", "s0", {"metadata": {"labels": {"app.kubernetes.io/part-of": "shop"}}})
    eventually(
        lambda: system.get("Service", "s0")["metadata"]["labels"]["app.kubernetes.io/part-of"] == "shop",
        what="the label does not come",
    )
    system.converged("s0")


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_deletion_leaves_nothing(system, cascade):
    system.operator()
    system.apply(everything("s0"))
    system.converged("s0")
    system.kubectl("delete", "dpu/s0", f"--cascade={cascade}", "--wait=false")
    system.gone("s0")
    assert not [event for event in system.writes(verb="delete")], "that is the garbage collector's work"


def test_orphans_are_taken_again(system):
    """--cascade=orphan leaves the children; a DpuService of that name takes them over as they are."""
    system.operator()
    system.apply(dpu_service("s0", replicas=2))
    with system.cluster.kubelet(system.namespace):
        system.condition("s0", "Ready", "True")
        names = {pod["metadata"]["name"] for pod in system.pods("s0", 2)}
        uids = {key: child["metadata"]["uid"] for key, child in system.children("s0").items()}
        for _ in range(3):  # the operator must not put an owner reference back meanwhile
            system.kubectl("delete", "dpu/s0", "--cascade=orphan")
            eventually(lambda: not system.children("s0"), what="orphans have an owner")
            system.quiet(0.7)
            for kind, child in uids:
                assert system.get(kind, child), f"{kind} {child} is gone"
            system.apply(dpu_service("s0", replicas=2))
            system.converged("s0")
        system.kubectl("delete", "dpu/s0", "--cascade=orphan")
        eventually(lambda: not system.children("s0"), what="orphans have an owner")
        system.apply(dpu_service("s0", replicas=2))
        system.converged("s0")
        assert {key: child["metadata"]["uid"] for key, child in system.children("s0").items()} == uids
        assert {pod["metadata"]["name"] for pod in system.pods("s0", 2)} == names


def test_made_again_at_once(system):
    """Deleted and applied again before the garbage collector has come: it waits, and then makes its own."""
    system.operator()
    system.apply(dpu_service("s0"))
    system.converged("s0")
    before = {child["metadata"]["uid"] for child in system.children("s0").values()}
    for _ in range(3):
        system.delete("DpuService", "s0")
        system.apply(dpu_service("s0"))
    system.converged("s0")
    after = {child["metadata"]["uid"] for child in system.children("s0").values()}
    assert not before & after
    uid = system.dpu("s0")["metadata"]["uid"]
    assert {child["metadata"]["ownerReferences"][0]["uid"] for child in system.children("s0").values()} == {uid}


def test_events(system):
    system.operator()
    system.apply(dpu_service("s0"))
    with system.cluster.kubelet(system.namespace):
        system.condition("s0", "Ready", "True")
    path = f"/apis/events.k8s.io/v1/namespaces/{system.namespace}/events"

    def about():
        items = system.client.get(path)["items"]
        return [event for event in items if event["regarding"]["kind"] == "DpuService"]

    eventually(lambda: any(event["reason"] == "Ready" for event in about()), what=str(about()))
    made = "made ConfigMap s0-dpu, made Service s0, made Deployment s0-dpu"
    assert [event["note"] for event in about() if event["reason"] == "Created"] == [made]
    assert made in system.kubectl("describe", "dpu/s0")
    system.patch("DpuService", "s0", {"spec": {"replicas": 2}})
    eventually(
        lambda: [event["note"] for event in about() if event["reason"] == "Updated"] == ["updated Deployment s0-dpu"],
        what=lambda: str([event["note"] for event in about()]),
    )


ANYTHING = {
    "type": "object",
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "spec": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"replicas": {"type": "integer"}},
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}


@pytest.fixture
def loose_schema(installed):
    """A CRD that lets everything through, as long as the test lasts."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/dpuservices.dpumesh.io"
    version = installed.api("GET", path)["spec"]["versions"][0]
    kept = version["schema"]["openAPIV3Schema"], version.get("selectableFields", [])

    def put(schema, selectable):
        patch = [
            {"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": schema},
            {"op": "add", "path": "/spec/versions/0/selectableFields", "value": selectable},
        ]
        installed.api("PATCH", path, patch, content_type="application/json-patch+json")

    put(ANYTHING, [])
    yield
    put(*kept)


def test_a_spec_that_the_operator_can_not_read(system, loose_schema):
    """A newer CRD lets through what this operator does not know: Stalled, and what runs goes on."""
    system.operator()
    system.apply(dpu_service("s0", replicas=1))
    with system.cluster.kubelet(system.namespace):
        system.condition("s0", "Ready", "True")
    bad = {"spec": {"replicas": 2, "frobnicate": True}}

    def taken():  # a changed schema comes into force after a moment
        return "frobnicate" in system.patch("DpuService", "s0", bad)["spec"]

    eventually(taken, what="the CRD did not become loose")
    stalled = system.condition("s0", "Stalled", "True", reason="InvalidSpec", message="frobnicate")
    assert stalled["message"].startswith(f"DpuService {system.namespace}/s0"), stalled
    assert system.status("s0")["ready"] == "1/1"
    assert system.get("Deployment", "s0-dpu")["spec"]["replicas"] == 1
    system.patch("DpuService", "s0", {"spec": {"frobnicate": None}})
    system.condition("s0", "Stalled", "False")
    system.converged("s0")


def test_one_operator_for_all_namespaces(system, installed):
    names = [installed.create_namespace(f"{system.namespace}-{letter}") for letter in "ab"]
    system.operator(namespace=None)
    try:
        for namespace, number in itertools.product(names, range(2)):
            path = f"/apis/dpumesh.io/v1alpha1/namespaces/{namespace}/dpuservices/s{number}"
            system.client.apply(path, dpu_service(f"s{number}"))
        for namespace, number in itertools.product(names, range(2)):
            deployment = f"/apis/apps/v1/namespaces/{namespace}/deployments/s{number}-dpu"
            eventually(lambda path=deployment: system.client.request("GET", path)[0] == 200, what=deployment)
    finally:
        for namespace in names:
            installed.delete_namespace(namespace)


def test_some_namespaces_and_some_labels(system, installed):
    other = installed.create_namespace(f"{system.namespace}-other")
    try:
        system.operator(namespace=[system.namespace, other], selector="team=a")
        with_team = {**dpu_service("a"), "metadata": {"name": "a", "labels": {"team": "a"}}}
        system.apply(dpu_service("b"), with_team)
        path = f"/apis/dpumesh.io/v1alpha1/namespaces/{other}/dpuservices/a"
        system.client.apply(path, with_team)
        system.converged("a")
        deployment = f"/apis/apps/v1/namespaces/{other}/deployments/a-dpu"
        eventually(lambda: system.client.request("GET", deployment)[0] == 200, what=deployment)
        assert not system.children("b") and not system.status("b")
        # The label comes, and so does the operator.
        system.patch("DpuService", "b", {"metadata": {"labels": {"team": "a"}}})
        system.converged("b")
        system.patch("DpuService", "b", {"metadata": {"labels": {"team": None}}, "spec": {"replicas": 3}})
        system.quiet()
        assert system.get("Deployment", "b-dpu")["spec"]["replicas"] == 1
    finally:
        installed.delete_namespace(other)
