"""What is ours comes back, whoever takes it away; what is others' stays."""

import json

import specs
from operatorkit import MANAGER, as_kept, describe, owned
from processes import eventually
from specs import dpu_service, everything

STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
AGENT = "/spec/template/spec/containers/0"
LABELS = ("name", "instance", "component", "part-of", "managed-by")


def pointer(*keys):
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def take_away(*keys):
    return [{"op": "remove", "path": pointer(*keys)}], JSON_PATCH


def put(value, *keys):
    return [{"op": "replace", "path": pointer(*keys), "value": value}], JSON_PATCH


def at(path, value):
    return [{"op": "replace", "path": path, "value": value}], JSON_PATCH


def labels_of_every_child():
    for kind, name in (("ConfigMap", "all-dpu"), ("Service", "all"), ("Deployment", "all-dpu"),
                       ("HorizontalPodAutoscaler", "all-dpu"), ("PodDisruptionBudget", "all-dpu")):  # fmt: skip
        for label in LABELS:
            yield kind, name, put("other", "metadata", "labels", f"app.kubernetes.io/{label}")
        yield kind, name, take_away("metadata", "labels")
        yield kind, name, take_away("metadata", "ownerReferences")


def of_the_others():
    yield "ConfigMap", "all-dpu", put("{}", "data", "agent.json")
    yield "ConfigMap", "all-dpu", take_away("data")
    yield "Service", "all", at("/spec/ports/0/port", 7000)
    yield "Service", "all", at("/spec/ports/1/targetPort", 7000)
    yield "Service", "all", put("elsewhere", "spec", "selector", "app.kubernetes.io/instance")
    yield "Service", "all", at("/spec/ports/0/nodePort", next(specs.NODE_PORTS))
    yield "Service", "all", take_away("metadata", "annotations")
    yield "HorizontalPodAutoscaler", "all-dpu", put(99, "spec", "maxReplicas")
    yield "HorizontalPodAutoscaler", "all-dpu", put("other", "spec", "scaleTargetRef", "name")
    yield "PodDisruptionBudget", "all-dpu", put(1, "spec", "minAvailable")


def of_the_deployment():
    for change in (
        put(9, "spec", "replicas"),
        put(5, "spec", "revisionHistoryLimit"),
        put("50%", "spec", "strategy", "rollingUpdate", "maxUnavailable"),
        put({"type": "Recreate"}, "spec", "strategy"),
        take_away("metadata", "annotations", "dpumesh.io/owns"),
        put("0", "spec", "template", "metadata", "annotations", "dpumesh.io/config-hash"),
        take_away("spec", "template", "metadata", "annotations"),
        put("b", "spec", "template", "metadata", "labels", "team"),
        at(f"{AGENT}/image", "other:1"),
        at(f"{AGENT}/imagePullPolicy", "Always"),
        at(f"{AGENT}/args", ["--config", "/other"]),
        at(f"{AGENT}/args", []),
        at(f"{AGENT}/ports/0/containerPort", 7000),
        at(f"{AGENT}/ports", []),
        at(f"{AGENT}/readinessProbe/httpGet/path", "/other"),
        at(f"{AGENT}/livenessProbe/periodSeconds", 99),
        ([{"op": "remove", "path": f"{AGENT}/readinessProbe"}], JSON_PATCH),
        ([{"op": "remove", "path": f"{AGENT}/livenessProbe"}], JSON_PATCH),
        at(f"{AGENT}/resources/limits/memory", "9G"),
        ([{"op": "remove", "path": f"{AGENT}/resources/requests"}], JSON_PATCH),
        at(f"{AGENT}/securityContext/readOnlyRootFilesystem", False),
        ([{"op": "remove", "path": f"{AGENT}/securityContext"}], JSON_PATCH),
        put("other", "spec", "template", "spec", "volumes", 0, "configMap", "name"),
        put(7, "spec", "template", "spec", "terminationGracePeriodSeconds"),
        put(True, "spec", "template", "spec", "automountServiceAccountToken"),
        put({}, "spec", "template", "spec", "securityContext"),
        put({}, "spec", "template", "spec", "nodeSelector"),
        put([], "spec", "template", "spec", "tolerations"),
        take_away("spec", "template", "spec", "affinity"),
        put("default-scheduler", "spec", "template", "spec", "schedulerName"),
    ):
        yield "Deployment", "all-dpu", change


def test_every_field_that_is_ours_comes_back(system):
    system.operator()
    system.apply(everything("all"))
    system.converged("all")
    system.quiet(0.5)
    children = system.children("all")
    desired = {key: as_kept(children[key], one) for key, one in system.desired("all").items()}
    uids = {key: child["metadata"]["uid"] for key, child in children.items()}
    changes = [*labels_of_every_child(), *of_the_others(), *of_the_deployment()]
    for kind, name, (patch, content_type) in changes:
        changed = system.patch(kind, name, patch, content_type=content_type)
        assert owned(changed, desired[kind, name]), f"{patch} changes nothing"

        def back(kind=kind, name=name):
            return owned(system.get(kind, name), desired[kind, name]) == ""

        eventually(back, 10, lambda patch=patch, kind=kind: f"{kind}: {patch} stays\n{system.said()}", every=0.02)
    system.converged("all")
    assert {key: child["metadata"]["uid"] for key, child in system.children("all").items()} == uids
    # One write a change, and status follows what it tells of; nobody fights.
    applied = [event for event in system.writes() if event["objectRef"]["resource"] in specs.plurals()]
    assert len(applied) <= len(changes) + 5 + 3, [describe(event) for event in applied]


def test_a_mount_that_is_moved_comes_back_beside(system):
    """A mount is told from others by its path: one that somebody moves is theirs, and ours is made again."""
    operator = system.operator()
    system.apply(dpu_service("s0"))
    system.converged("s0")
    patch, content_type = at(f"{AGENT}/volumeMounts/0/mountPath", "/other")
    system.patch("Deployment", "s0-dpu", patch, content_type=content_type)

    def mounts():
        containers = system.get("Deployment", "s0-dpu")["spec"]["template"]["spec"]["containers"]
        return sorted(mount["mountPath"] for mount in containers[0]["volumeMounts"])

    eventually(lambda: mounts() == ["/etc/dpumesh", "/other"], what=lambda: str(mounts()))
    system.quiet(0.5)
    operator.stop()
    operator.start().wait_leading()  # which does not know that this is how it is
    system.quiet(0.5)


def test_a_child_that_is_deleted_comes_back(system):
    system.operator()
    system.apply(everything("all"))
    system.converged("all")
    for (kind, name), child in system.children("all").items():
        system.delete(kind, name)

        def back(kind=kind, name=name, uid=child["metadata"]["uid"]):
            found = system.get(kind, name)
            return found and found["metadata"]["uid"] != uid

        eventually(back, 15, f"{kind} {name} stays away", every=0.02)
    system.converged("all")
    for kind in specs.RESOURCES:  # all at once
        system.kubectl("delete", kind, "--all", "--wait=false")
    system.converged("all")


def test_what_others_own_stays(system):
    system.operator()
    system.apply(dpu_service("s0", replicas=2))
    system.converged("s0")
    system.quiet(0.5)
    mark = system.cluster.audit_mark()
    sidecar = {"name": "sidecar", "image": "proxy:1"}
    additions = [
        ("ConfigMap", "s0-dpu", {"data": {"other": "file"}}),
        ("ConfigMap", "s0-dpu", {"metadata": {"annotations": {"note": "mine"}, "finalizers": ["test/hold"]}}),
        ("Service", "s0", {"metadata": {"labels": {"team": "a"}}}),
        ("Service", "s0", {"spec": {"ports": [{"name": "extra", "port": 9, "protocol": "TCP"}]}}),
        ("Service", "s0", {"spec": {"sessionAffinity": "ClientIP"}}),
        ("Deployment", "s0-dpu", {"metadata": {"annotations": {"note": "mine"}}}),
        ("Deployment", "s0-dpu", {"spec": {"template": {"metadata": {"annotations": {"restartedAt": "now"}}}}}),
        ("Deployment", "s0-dpu", {"spec": {"template": {"spec": {"containers": [sidecar]}}}}),
        ("Deployment", "s0-dpu", {"spec": {"progressDeadlineSeconds": 77}}),
        ("Deployment", "s0-dpu", {"spec": {"template": {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}}}),
    ]
    for kind, name, patch in additions:
        system.patch(kind, name, patch, content_type=STRATEGIC)
    system.quiet(0.5)
    applied = [event for event in system.writes(mark) if event["objectRef"]["resource"] in specs.plurals()]
    assert not applied, [describe(event) for event in applied]
    # And through a change of ours.
    system.patch("DpuService", "s0", {"spec": {"replicas": 3, "image": "agent:2"}})
    system.converged("s0")
    containers = system.get("Deployment", "s0-dpu")["spec"]["template"]["spec"]["containers"]
    assert {one["name"]: one["image"] for one in containers} == {"agent": "agent:2", "sidecar": "proxy:1"}
    for kind, name, patch in additions:
        assert owned(system.get(kind, name), patch) == "", (kind, patch)
    system.patch("ConfigMap", "s0-dpu", {"metadata": {"finalizers": None}})


def test_replicas_that_a_controller_sets(system):
    """An autoscaler's scaling through the scale subresource stands; a person's is drift."""
    system.operator()
    system.apply(dpu_service("s0", replicas=2))
    system.converged("s0")
    system.kubectl("scale", "deployment/s0-dpu", "--replicas=4")
    eventually(lambda: system.get("Deployment", "s0-dpu")["spec"]["replicas"] == 2, 10, "a person's scaling stays")

    deployment = system.path("Deployment", "s0-dpu") + "/scale"
    system.client.api("PATCH", deployment, {"spec": {"replicas": 5}}, fieldManager="horizontal-pod-autoscaler")
    scaling = system.condition("s0", "Scaling", "True", reason="ScaledByOthers")
    assert "horizontal-pod-autoscaler" in scaling["message"]
    system.patch("DpuService", "s0", {"spec": {"image": "agent:2"}})
    eventually(
        lambda: system.get("Deployment", "s0-dpu")["spec"]["template"]["spec"]["containers"][0]["image"] == "agent:2"
    )
    system.client.api("PATCH", deployment, {"spec": {"replicas": 6}}, fieldManager="horizontal-pod-autoscaler")
    eventually(lambda: system.status("s0")["desiredReplicas"] == 6, what=str(system.status("s0")))
    system.quiet(0.5)
    live = system.get("Deployment", "s0-dpu")
    assert live["spec"]["replicas"] == 6
    (ours,) = [entry for entry in live["metadata"]["managedFields"] if entry["manager"] == MANAGER]
    assert "f:replicas" not in ours["fieldsV1"]["f:spec"]
    # The way back: a person scales, which ends the controller's ownership, and that is drift.
    system.kubectl("scale", "deployment/s0-dpu", "--replicas=1")
    eventually(lambda: system.get("Deployment", "s0-dpu")["spec"]["replicas"] == 2, 10, "it is not ours again")
    eventually(lambda: "Scaling" not in system.conditions("s0"), what=str(system.conditions("s0")))
    system.converged("s0")


def test_an_autoscaler_of_the_dpuservice(system):
    """spec.autoscaling scales the DpuService itself; the operator follows."""
    system.operator()
    system.apply(everything("all"))
    system.converged("all")
    scale = system.path("DpuService", "all") + "/scale"
    system.client.api("PATCH", scale, {"spec": {"replicas": 7}}, fieldManager="horizontal-pod-autoscaler")
    eventually(lambda: system.get("Deployment", "all-dpu")["spec"]["replicas"] == 7, what="it does not follow")
    system.converged("all")
    assert "Scaling" not in system.conditions("all")


def test_status_that_somebody_changes_comes_back(system):
    system.operator()
    system.apply(dpu_service("s0"))
    system.converged("s0")
    system.quiet(0.5)
    kept = system.status("s0")
    wrong = {"replicas": 77, "endpoint": "nowhere", "conditions": []}
    system.patch("DpuService", "s0", {"status": wrong}, subresource="status")
    eventually(lambda: system.status("s0").get("endpoint") == kept["endpoint"], what=json.dumps(system.status("s0")))
    eventually(lambda: len(system.conditions("s0")) == 3, what="conditions stay away")
    foreign = {"type": "Weather", "status": "True", "reason": "Sun", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    system.client.apply(
        system.path("DpuService", "s0") + "/status",
        {"apiVersion": "dpumesh.io/v1alpha1", "kind": "DpuService", "status": {"conditions": [foreign]}},
        manager="weather",
    )
    system.patch("DpuService", "s0", {"spec": {"replicas": 2}})
    system.converged("s0")
    assert "Weather" in system.conditions("s0"), "a condition of others stays"
    system.quiet(0.5)
