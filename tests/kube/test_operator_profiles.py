"""Profiles of somebody's own: ConfigMaps with a label, which DpuServices of their namespace name."""

import copy
import json

import pytest

import specs
from operatorkit import System
from processes import eventually
from specs import dpu_service

PROFILE = json.loads((specs.TOP / "profiles" / "envoy-strict.json").read_text())
LABEL = {"dpumesh.io/profile": "true"}


def profile(name="mine", message=100, **changes):
    """The text of a profile that costs so many ns a message."""
    made = copy.deepcopy({**PROFILE, "name": name, **changes})
    made["parameters"]["message"] = {"value": message, "unit": "ns", "source": "this test"}
    return json.dumps(made)


def put(system, name, text=None, labels=None, key="profile.json"):
    """Makes the ConfigMap so."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": LABEL if labels is None else labels},
        "data": {} if text is None else {key: text},
    }
    system.client.apply(system.path("ConfigMap", name), body, manager="user")


def datapath(system, name):
    """What the agents of the DpuService are told, or None."""
    child = system.get("ConfigMap", f"{name}-dpu")
    found = child and json.loads(child["data"]["agent.json"])["datapath"]
    return found and {key: found[key] for key in ("mode", "profile") if key in found}


def cost(system, name):
    told = datapath(system, name)
    return told and told["profile"]["parameters"]["message"]["value"]


def named(name, own="mine", mode="sidecar", **spec):
    return dpu_service(name, datapath={"mode": mode, "profile": own}, **spec)


def test_shipped_ones_need_no_config_map(system):
    system.operator()
    system.apply(dpu_service("s0"), named("s1", own="envoy-strict"), dpu_service("s2", datapath={"mode": "direct"}))
    system.converged("s0", "s1", "s2")
    assert datapath(system, "s0") == {"mode": "dpu", "profile": "bluefield3-native"}
    assert datapath(system, "s1") == {"mode": "sidecar", "profile": "envoy-strict"}
    assert datapath(system, "s2") == {"mode": "direct"}
    assert system.kubectl("get", "dpu", "s1").splitlines()[1].split()[:2] == ["s1", "sidecar"]


def test_missing_then_there_then_gone(system):
    """Nothing is made without it; when it comes, all that name it go on; when it goes, what stands stays."""
    system.operator()
    system.apply(named("s0"), named("s1"), dpu_service("s2"))
    stalled = system.condition("s0", "Stalled", "True", reason="ProfileNotFound")
    assert f"namespace {system.namespace} has no ConfigMap of that name" in stalled["message"]
    assert "envoy-strict" in stalled["message"]
    system.condition("s1", "Stalled", "True", reason="ProfileNotFound")
    system.converged("s2")
    assert not system.children("s0") and not system.children("s1")

    put(system, "mine", profile())
    system.converged("s0", "s1")
    for name in ("s0", "s1"):
        told = datapath(system, name)
        assert told == {"mode": "sidecar", "profile": json.loads(profile())}
        system.condition(name, "Stalled", "False", reason="NoObstacle")

    before = system.children("s0")
    system.delete("ConfigMap", "mine")
    system.condition("s0", "Stalled", "True", reason="ProfileNotFound")
    after = system.children("s0")
    assert after.keys() == before.keys()
    key = ("ConfigMap", "s0-dpu")
    assert after[key]["metadata"]["resourceVersion"] == before[key]["metadata"]["resourceVersion"]
    put(system, "mine", profile())
    system.converged("s0", "s1")
    system.condition("s0", "Stalled", "False")


def test_a_change_reaches_the_agents(system):
    """And rolls the pods, as any change of their configuration; nobody else is touched."""
    system.operator()
    put(system, "mine", profile(message=100))
    put(system, "other", profile(name="other", message=7))
    system.apply(named("s0"), named("s1"), named("s2", own="other"))
    system.converged("s0", "s1", "s2")
    hashes = {name: rollout_hash(system, name) for name in ("s0", "s1", "s2")}
    mark = system.cluster.audit_mark()
    put(system, "mine", profile(message=200))
    for name in ("s0", "s1"):
        eventually(lambda name=name: cost(system, name) == 200, 20, lambda name=name: str(datapath(system, name)))
    system.converged("s0", "s1", "s2")
    assert cost(system, "s2") == 7
    assert rollout_hash(system, "s2") == hashes["s2"]
    assert all(rollout_hash(system, name) != hashes[name] for name in ("s0", "s1"))
    children = [event["objectRef"] for event in system.writes(mark)]
    assert {one["name"] for one in children if one["resource"] in specs.plurals()} == {"s0-dpu", "s1-dpu"}


def rollout_hash(system, name):
    template = system.get("Deployment", f"{name}-dpu")["spec"]["template"]
    return template["metadata"]["annotations"]["dpumesh.io/config-hash"]


BAD = {
    "no JSON": ("{", "ConfigMap mine, profile.json:1:2: the JSON ends in the middle"),
    "no profile": ("[]", "ConfigMap mine, profile.json: not an object; give a profile"),
    "a wrong unit": (
        profile().replace('"value": 100, "unit": "ns"', '"value": 100, "unit": "B"'),
        'ConfigMap mine, profile.json: parameters.message.unit: not a unit of this parameter; give "ns"',
    ),
    "another kind": (
        profile(kind="direct"),
        "mine is a profile of kind direct, but mode is sidecar; name one of kind sidecar, or change the mode",
    ),
    "too long": (profile(description="x" * (256 << 10)), "ConfigMap mine, profile.json: longer than 256 KiB"),
    "no file": (None, "ConfigMap mine has no profile.json; put the profile there"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.replace(" ", "-"))
def test_a_bad_one_leaves_what_stands(system, case):
    text, sentence = BAD[case]
    system.operator()
    put(system, "mine", profile(message=1))
    system.apply(named("s0"))
    system.converged("s0")
    put(system, "mine", text)
    assert sentence in system.condition("s0", "Stalled", "True", reason="ProfileInvalid")["message"]
    assert cost(system, "s0") == 1
    # A change of the DpuService itself waits too.
    system.patch("DpuService", "s0", {"spec": {"image": "agent:2"}})
    system.condition("s0", "Stalled", "True", reason="ProfileInvalid")
    eventually(lambda: system.status("s0")["observedGeneration"] == 2)
    assert system.get("Deployment", "s0-dpu")["spec"]["template"]["spec"]["containers"][0]["image"] != "agent:2"
    put(system, "mine", profile(message=2))
    system.converged("s0")
    assert cost(system, "s0") == 2
    system.condition("s0", "Stalled", "False")


def test_only_with_the_label(system):
    system.operator()
    put(system, "mine", profile(), labels={})
    system.apply(named("s0"))
    system.condition("s0", "Stalled", "True", reason="ProfileNotFound")
    put(system, "mine", profile(), labels=LABEL)
    system.converged("s0")
    system.client.api(
        "PATCH", system.path("ConfigMap", "mine"), {"metadata": {"labels": {"dpumesh.io/profile": None}}}
    )
    system.condition("s0", "Stalled", "True", reason="ProfileNotFound")


def test_each_namespace_has_its_own(system, tmp_path):
    """Also of an operator that watches some namespaces alone."""
    second = System(system.cluster, system.cluster.create_namespace(f"{system.namespace}-b"), tmp_path)
    try:
        system.operator(namespace=[system.namespace, second.namespace])
        put(system, "mine", profile(message=1))
        system.apply(named("s0"))
        second.apply(named("s0"))
        system.converged("s0")
        second.condition("s0", "Stalled", "True", reason="ProfileNotFound")
        put(second, "mine", profile(message=2))
        second.converged("s0")
        assert (cost(system, "s0"), cost(second, "s0")) == (1, 2)
        put(second, "mine", profile(message=3))
        eventually(lambda: cost(second, "s0") == 3, 20)
        assert cost(system, "s0") == 1
    finally:
        second.client.api("DELETE", second.path("DpuService", "s0"))
        second.gone("s0")
        system.cluster.delete_namespace(second.namespace)


def test_metrics_tell_profiles_from_children(system):
    operator = system.operator()
    put(system, "mine", profile())
    put(system, "other", profile(name="other"))
    system.apply(named("s0"))
    system.converged("s0")
    metrics = operator.metrics()
    assert metrics['reflector_items{resource="profiles"}'] == 2
    assert metrics['reflector_items{resource="configmaps"}'] == 1
