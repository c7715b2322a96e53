"""A name that something else holds: told, not touched, and taken when it is free."""

import pytest

from operatorkit import describe
from processes import eventually
from specs import dpu_service

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s0-dpu"}, "data": {"mine": "yes"}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s0"}, "spec": {"ports": [{"port": 80}]}}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "s0-dpu"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "web"}]}},
    },
}
BUDGET = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "s0-dpu"}, "spec": {}}
OURS = {"app.kubernetes.io/managed-by": "dpumesh"}


def make(system, body, labels=None, owners=()):
    metadata = {**body["metadata"], "labels": labels or {}, "ownerReferences": list(owners)}
    path = system.path(body["kind"], "").rstrip("/")
    return system.client.api("POST", path, {**body, "metadata": metadata})


@pytest.mark.parametrize("labels", [None, OURS], ids=["unlabelled", "labelled"])
@pytest.mark.parametrize("body", [CONFIG_MAP, SERVICE, DEPLOYMENT, BUDGET], ids=lambda body: body["kind"])
def test_something_of_others(system, body, labels):
    kind, name = body["kind"], body["metadata"]["name"]
    before = make(system, body, labels)
    system.operator()
    system.apply(dpu_service("s0", disruptionBudget={"minAvailable": 1}))
    stalled = system.condition("s0", "Stalled", "True", reason="NameTaken")
    assert stalled["message"] == (
        f"{kind} {name} exists and was not made for this DpuService; delete it or rename this DpuService"
    )
    assert system.conditions("s0")["Ready"]["status"] == "False"
    system.quiet()
    after = system.get(kind, name)
    for part in ("spec", "data"):
        assert after.get(part) == before.get(part)
    for part in ("uid", "labels", "ownerReferences"):
        assert after["metadata"].get(part) == before["metadata"].get(part)
    wrote = [event for event in system.writes() if event["objectRef"]["resource"] == f"{kind.lower()}s"]
    assert not wrote, [describe(event) for event in wrote]
    system.delete(kind, name)
    system.condition("s0", "Stalled", "False")
    system.converged("s0")


def test_something_of_a_controller(system):
    other = {
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": True,
        "uid": make(system, {**DEPLOYMENT, "metadata": {"name": "web"}})["metadata"]["uid"],
    }  # fmt: skip
    make(system, CONFIG_MAP, OURS, [other])
    system.operator()
    system.apply(dpu_service("s0"))
    stalled = system.condition("s0", "Stalled", "True", reason="NameTaken")
    assert stalled["message"] == "ConfigMap s0-dpu belongs to Deployment web; rename this DpuService"


def test_something_of_another_dpuservice(system):
    system.operator()
    system.apply(dpu_service("s1"))
    system.converged("s1")
    owner = {
        "apiVersion": "dpumesh.io/v1alpha1", "kind": "DpuService", "name": "s1", "controller": True,
        "uid": system.dpu("s1")["metadata"]["uid"],
    }  # fmt: skip
    make(system, SERVICE, OURS, [owner])
    system.apply(dpu_service("s0"))
    stalled = system.condition("s0", "Stalled", "True", reason="NameTaken")
    assert stalled["message"] == "Service s0 belongs to DpuService s1; rename this DpuService"
    # The garbage collector takes it with its owner; then the name is free.
    system.delete("DpuService", "s1")
    system.converged("s0")


def test_taken_while_it_runs(system):
    """Somebody takes our child away and puts their own in its place."""
    operator = system.operator()
    system.apply(dpu_service("s0"))
    system.converged("s0")
    operator.stop()
    system.delete("Service", "s0")
    make(system, SERVICE)
    operator.start().wait_leading()
    system.condition("s0", "Stalled", "True", reason="NameTaken", message="Service s0 exists")
    assert "ownerReferences" not in system.get("Service", "s0")["metadata"]
    # What runs is told all the same.
    eventually(lambda: system.status("s0")["replicas"] == 1, what=str(system.status("s0")))
    system.delete("Service", "s0")
    system.converged("s0")


def test_a_taken_name_costs_little(system):
    """It is looked at with the growing pause of a failure, not all the time."""
    make(system, CONFIG_MAP)
    system.operator(backoff_first="100ms", backoff_most="30s")
    system.apply(dpu_service("s0"))
    system.condition("s0", "Stalled", "True", reason="NameTaken")
    system.quiet()
    mark = system.cluster.audit_mark()
    eventually(lambda: len(looks(system, mark)) >= 1, 30)
    assert len(looks(system, mark)) <= 4


def looks(system, mark):
    return [
        event
        for event in system.cluster.audit(mark, verb="patch", namespace=system.namespace)
        if event["userAgent"].startswith("dpumesh-operator")
    ]
