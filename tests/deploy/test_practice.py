"""Manifests follow good practice (practice.py): what deploy/ renders in all ways, and what becomes of the examples."""

import copy

import pytest
import yaml

import manifests
import practice
import specs
from manifests import DEPLOY, PAIRS, TOP


@pytest.mark.parametrize("pair", PAIRS)
def test_kustomize(renderer, pair):
    assert practice.faults(renderer.kustomize(PAIRS[pair][0])) == []


@pytest.mark.parametrize("values", [*(values for _, _, values in PAIRS.values()), manifests.EVERY_VALUE])
def test_helm(helm, values):
    assert practice.faults(helm.template(values)) == []


@pytest.mark.parametrize("path", specs.EXAMPLES, ids=lambda path: path.stem)
def test_examples(path):
    """With the policy for their namespace, which selects what a DpuService becomes."""
    objects = specs.render(path)
    for one in objects:  # which a DpuService has from its own labels
        one["metadata"]["labels"].setdefault("app.kubernetes.io/part-of", "example")
    policy = yaml.safe_load((DEPLOY / "agents-network-policy.yaml").read_text())
    # An example that says nothing about resources has muBench's defaults: none.
    assert practice.faults([*objects, policy], resources=False) == []


# ---- what is bad is found ----


def spec(objects):
    return manifests.pod_spec(objects)


def container(objects):
    return manifests.container(objects)


def one(objects, kind):
    return manifests.of_kind(objects, kind)[0]


def put(where, key, value):
    where[key] = value


BAD = {
    "hostNetwork": lambda o: put(spec(o), "hostNetwork", True),
    "runAsNonRoot is not true": lambda o: spec(o)["securityContext"].pop("runAsNonRoot"),
    "runAsUser is not a user's number": lambda o: put(spec(o)["securityContext"], "runAsUser", 0),
    "seccompProfile is not RuntimeDefault": lambda o: put(spec(o)["securityContext"], "seccompProfile", {"type": "Unconfined"}),
    "volume node is a path of the node": lambda o: spec(o)["volumes"].append({"name": "node", "hostPath": {"path": "/"}}),
    "automountServiceAccountToken is not said": lambda o: spec(o).pop("automountServiceAccountToken"),
    "terminationGracePeriodSeconds is not said": lambda o: spec(o).pop("terminationGracePeriodSeconds"),
    "its selector does not match its pods": lambda o: put(one(o, "Deployment")["spec"]["selector"]["matchLabels"], "a", "b"),
    "there is no ConfigMap gone": lambda o: put(spec(o)["volumes"][0]["configMap"], "name", "gone"),
    "privileged": lambda o: put(container(o)["securityContext"], "privileged", True),
    "allowPrivilegeEscalation is not false": lambda o: container(o)["securityContext"].pop("allowPrivilegeEscalation"),
    "readOnlyRootFilesystem is not true": lambda o: put(container(o)["securityContext"], "readOnlyRootFilesystem", False),
    "capabilities are not all dropped": lambda o: put(container(o)["securityContext"]["capabilities"], "add", ["NET_ADMIN"]),
    "it may be root": lambda o: put(container(o)["securityContext"], "runAsUser", 0),
    "a port of the node": lambda o: put(container(o)["ports"][0], "hostPort", 9090),
    "no livenessProbe": lambda o: container(o).pop("livenessProbe"),
    "no readinessProbe": lambda o: container(o).pop("readinessProbe"),
    "startupProbe asks port http, which it has not": lambda o: put(container(o)["startupProbe"]["httpGet"], "port", "http"),
    "image example.org:5000/operator has no tag": lambda o: put(container(o), "image", "example.org:5000/operator"),
    "imagePullPolicy is not said": lambda o: container(o).pop("imagePullPolicy"),
    "no request of cpu": lambda o: container(o)["resources"]["requests"].pop("cpu"),
    "no request of memory": lambda o: container(o)["resources"]["requests"].pop("memory"),
    "no limit of memory": lambda o: container(o)["resources"].pop("limits"),
    "there is no volume more": lambda o: container(o)["volumeMounts"].append({"name": "more", "mountPath": "/more"}),
    "Service dpumesh-operator-metrics: it selects no pods": lambda o: put(one(o, "Service")["spec"]["selector"], "a", "b"),
    "its pods have no port web": lambda o: put(one(o, "Service")["spec"]["ports"][0], "targetPort", "web"),
    "no Service that it selects has a port web": lambda o: put(one(o, "ServiceMonitor")["spec"]["endpoints"][0], "port", "web"),
    "PodDisruptionBudget dpumesh-operator: it selects no pods": lambda o: put(
        one(o, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"], "a", "b"
    ),
    "it allows no eviction": lambda o: put(one(o, "PodDisruptionBudget"), "spec", {
        "minAvailable": 2, "selector": one(o, "PodDisruptionBudget")["spec"]["selector"],
    }),
    "PodDisruptionBudget dpumesh-operator: it allows no eviction": lambda o: put(
        one(o, "PodDisruptionBudget")["spec"], "maxUnavailable", 0
    ),
    "NetworkPolicy dpumesh-operator: it selects no pods": lambda o: put(
        one(o, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"], "a", "b"
    ),
    "NetworkPolicy dpumesh-operator: its pods have no port 9091": lambda o: put(
        one(o, "NetworkPolicy")["spec"]["ingress"][0]["ports"][0], "port", 9091
    ),
    "ClusterRole dpumesh-operator: verbs has *": lambda o: put(one(o, "ClusterRole")["rules"][0], "verbs", ["*"]),
    "ClusterRole dpumesh-operator: secrets": lambda o: one(o, "ClusterRole")["rules"][0]["resources"].append("secrets"),
    "ClusterRole dpumesh-operator: impersonate": lambda o: one(o, "ClusterRole")["rules"][0]["verbs"].append("impersonate"),
    "Role dpumesh-operator-lease: nothing binds it": lambda o: o.remove(one(o, "RoleBinding")),
    "RoleBinding dpumesh-operator-lease: there is no Role dpumesh-operator-lease": lambda o: o.remove(one(o, "Role")),
    "ClusterRoleBinding dpumesh-operator: no pod is ServiceAccount other": lambda o: put(
        one(o, "ClusterRoleBinding")["subjects"][0], "name", "other"
    ),
    "ServiceAccount dpumesh-operator: no pod uses it": lambda o: put(spec(o), "serviceAccountName", "other"),
    "Service dpumesh-operator-metrics: it is there twice": lambda o: o.append(copy.deepcopy(one(o, "Service"))),
    "ConfigMap dpumesh-operator-dashboard: no label app.kubernetes.io/part-of": lambda o: [
        config["metadata"].pop("labels") for config in manifests.of_kind(o, "ConfigMap")
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def good(renderer):
    return renderer.kustomize("deploy/overlays/prometheus")


@pytest.mark.parametrize("sentence", BAD)
def test_bad_ones_are_found(good, sentence):
    objects = copy.deepcopy(good)
    BAD[sentence](objects)
    found = practice.faults(objects)
    assert any(said.endswith(sentence) for said in found), found


def test_a_budget_of_what_is_autoscaled():
    """The fewest replicas count, not those that there happen to be."""
    text = (TOP / "examples" / "cluster.yaml").read_text()
    assert text.count("    maxUnavailable: 1\n") == 1 and text.count("    minReplicas: 2\n") == 1
    for least, found in ((1, 0), (2, 1)):
        objects = specs.render(text=text.replace("    maxUnavailable: 1\n", f"    minAvailable: {least}\n"))
        said = [sentence for sentence in practice.faults(objects, resources=False) if "eviction" in sentence]
        assert len(said) == found, said
