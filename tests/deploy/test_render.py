"""kustomize and Helm render the same, and what they render hangs together."""

import json
import os
import re
import subprocess

import pytest
import yaml

import manifests
import specs
from manifests import CHART, CRD, DEPLOY, PAIRS, TOP
from operatorkit import program


@pytest.mark.parametrize("pair", PAIRS)
def test_both_render_the_same(helm, pair):
    path, namespace, values = PAIRS[pair]
    base, chart = manifests.plain(helm.kustomize(path)), manifests.plain(helm.template(values, namespace))
    assert base.keys() == chart.keys()
    for name in base:
        assert base[name] == chart[name], name


def test_there_is_one_crd(helm):
    source = yaml.safe_load(CRD.read_text())
    assert (CHART / "files" / "crd.yaml").resolve() == CRD
    for objects in (helm.kustomize("deploy"), helm.template(), helm.template({"crds": {"keep": False}})):
        (crd,) = manifests.of_kind(objects, "CustomResourceDefinition")
        annotations = crd["metadata"].pop("annotations", {})
        assert annotations in ({}, {"helm.sh/resource-policy": "keep"})
        assert crd == source
    assert not manifests.of_kind(helm.template({"crds": {"install": False}}), "CustomResourceDefinition")
    # kubectl apply keeps a copy in an annotation, as JSON without spaces; all of them may take 256 KiB.
    assert len(json.dumps(source, separators=(",", ":"))) < 200_000


def test_a_package_holds_what_the_links_lead_to(helm, tmp_path):
    helm.helm("package", CHART, "-d", tmp_path)
    (package,) = tmp_path.glob("*.tgz")
    assert helm.template(chart=package) == helm.template()


def test_a_clone_renders_the_same(renderer, tmp_path):
    """Links and files are all in git."""
    command = ["git", "-C", TOP, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "deploy", "crds"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if (TOP / name).is_symlink():
            copy.symlink_to((TOP / name).readlink())
        elif (TOP / name).exists():
            copy.write_bytes((TOP / name).read_bytes())
    for path, _, _ in PAIRS.values():
        assert renderer.kustomize(tmp_path / path) == renderer.kustomize(path)
    assert (tmp_path / "deploy/chart/files/crd.yaml").read_bytes() == CRD.read_bytes()


def test_versions_are_the_projects(helm):
    version = re.search(r"project\(muBench-DPU VERSION (\S+)", (TOP / "CMakeLists.txt").read_text())[1]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    assert "1 chart(s) linted, 0 chart(s) failed" in helm.helm("lint", "--strict", CHART)


def flags():
    """Those that dpumesh-operator --help lists."""
    text = subprocess.run([program(), "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"--([a-z0-9-]+)", text))


def test_arguments_and_settings_are_flags(helm):
    known = flags()
    rendered = [helm.kustomize(path) for path, _, _ in PAIRS.values()]
    rendered += [helm.template(manifests.EVERY_VALUE)]
    for objects in rendered:
        given = manifests.container(objects)["args"]
        assert {re.match(r"--([a-z0-9-]+)=", one)[1] for one in given} <= known
        assert manifests.settings(objects).keys() <= known
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    # The rest is the chart's to set, or makes no sense in a pod.
    chart = {"config", "namespace", "lease-name", "lease-namespace", "no-leader-election", "metrics-address"}
    outside = {"kubeconfig", "context", "identity", "health-address", "help", "version"}
    assert set(schema["properties"]["config"]["properties"]) == known - chart - outside


def test_the_program_takes_the_settings(helm, tmp_path):
    """It refuses a bad value before it asks for a cluster, and these it takes."""
    for number, objects in enumerate([helm.kustomize("deploy"), helm.template(manifests.EVERY_VALUE)]):
        words = manifests.arguments(objects, tmp_path / f"{number}.yaml")
        environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
        done = subprocess.run([program(), *words], env=environment, capture_output=True, text=True, timeout=20)
        assert done.returncode == 2 and "can't start" in done.stderr, done.stderr


def test_schema_covers_every_value(helm):
    """What values.yaml has is in the schema, and nothing else is."""

    def compare(values, schema, path):
        properties = schema.get("properties")
        if properties is None or path in ("config", "resources"):
            return
        assert not schema["additionalProperties"]
        assert set(properties) - {"global"} == set(values), path
        for name, value in values.items():
            compare(value, properties[name], f"{path}.{name}".lstrip("."))

    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    compare(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"replicas": "many"}, "at '/replicas': got string, want integer"),
        ({"replicas": 11}, "at '/replicas': maximum: got 11, want 10"),
        ({"replica": 1}, "additional properties 'replica' not allowed"),
        ({"config": {"worker": 1}}, "at '/config': additional properties 'worker' not allowed"),
        ({"config": {"workers": 0}}, "at '/config/workers': minimum: got 0, want 1"),
        ({"config": {"lease-duration": 15}}, "at '/config/lease-duration': got number, want string"),
        ({"config": {"lease-duration": "soon"}}, "at '/config/lease-duration': 'soon' does not match"),
        ({"config": {"no-leader-election": True}}, "at '/config': additional properties 'no-leader-election'"),
        ({"watchNamespaces": ["Shop"]}, "at '/watchNamespaces/0': 'Shop' does not match"),
        ({"watchNamespaces": ["a", "a"]}, "at '/watchNamespaces': items at 0 and 1 are equal"),
        ({"image": {"pullPolicy": "Sometimes"}}, "at '/image/pullPolicy': value must be one of 'Always',"),
        ({"image": {"tag": 1.0}}, "at '/image/tag': got number, want string"),
        ({"networkPolicy": {"apiServerPorts": []}}, "at '/networkPolicy/apiServerPorts': minItems: got 0, want 1"),
        ({"networkPolicy": {"apiServerCidrs": ["10.0.0.1"]}}, "at '/networkPolicy/apiServerCidrs/0'"),
        ({"monitoring": {"labels": {"a": 1}}}, "at '/monitoring/labels/a': got number, want string"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name: name the service account to use"),
    ],
)
def test_bad_values(helm, values, sentence):
    assert sentence in helm.refusal(values)


def test_values_do_what_they_say(helm):
    objects = helm.template(manifests.EVERY_VALUE, "shop")
    pod, only = manifests.pod_spec(objects), manifests.container(objects)
    assert only["image"] == "registry.example/operator:1.0" and only["imagePullPolicy"] == "Always"
    assert only["args"][1:] == ["--namespace=default", "--namespace=kube-public"]
    assert pod["priorityClassName"] == "system-cluster-critical" and pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["serviceAccountName"] == "operator" and list(pod["affinity"]) == ["nodeAffinity"]
    assert manifests.settings(objects) == {
        **manifests.EVERY_VALUE["config"], "log-format": "json", "lease-name": "shop-operator",
    }  # fmt: skip
    kinds = [one["kind"] for one in objects]
    assert "ClusterRole" not in kinds and kinds.count("Role") == 3
    (policy,) = manifests.of_kind(objects, "NetworkPolicy")
    assert policy["spec"]["ingress"][0]["from"] == manifests.EVERY_VALUE["networkPolicy"]["metricsFrom"]
    assert policy["spec"]["egress"][0] == {
        "ports": [{"port": 8443, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}],
    }  # fmt: skip
    (monitor,) = manifests.of_kind(objects, "PodMonitor")
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["default", "kube-public"]}
    off = {"rbac": {"create": False}, "serviceAccount": {"create": False, "name": "mine"}, "crds": {"install": False}}
    off |= {"podDisruptionBudget": {"enabled": False}, "networkPolicy": {"enabled": False}}
    assert {one["kind"] for one in helm.template(off)} == {"ConfigMap", "Service", "Deployment"}
    for rules, agents in ((True, False), (False, True)):
        some = {"monitoring": {"enabled": True, "rules": rules, "agents": agents}}
        kinds = {one["kind"] for one in helm.template(some)}
        assert ("PrometheusRule" in kinds, "PodMonitor" in kinds) == (rules, agents)


def test_changed_settings_make_new_pods(helm, tmp_path):
    def template(workers):
        (deployment,) = manifests.of_kind(helm.template({"config": {"workers": workers}}), "Deployment")
        return deployment["spec"]["template"]

    assert template(8) == template(8) != template(9)
    text = "resources: [base]\nconfigMapGenerator: [{name: dpumesh-operator, namespace: dpumesh-system, "
    text += "behavior: merge, literals: ['operator.yaml=workers: 9']}]\n"
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(text.replace("base", os.path.relpath(DEPLOY, overlay)))

    def config(path):
        return manifests.pod_spec(helm.kustomize(path))["volumes"][0]["configMap"]["name"]

    assert config(overlay) != config("deploy")


def test_the_pods_leave_time_to_end(renderer):
    ends = int(re.search(r"END_WITHIN_S = (\d+)", (TOP / "operator" / "main.c").read_text())[1])
    assert manifests.pod_spec(renderer.kustomize("deploy"))["terminationGracePeriodSeconds"] > ends


def test_selectors_find_what_they_should(renderer):
    """Services, budgets, policies and monitors select the operator's pods, or agents as they really are."""
    objects = renderer.kustomize("deploy/overlays/prometheus")
    (deployment,) = manifests.of_kind(objects, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    (service,) = manifests.of_kind(objects, "Service")
    (budget,) = manifests.of_kind(objects, "PodDisruptionBudget")
    (policy,) = manifests.of_kind(objects, "NetworkPolicy")
    (monitor,) = manifests.of_kind(objects, "ServiceMonitor")
    (agents,) = manifests.of_kind(objects, "PodMonitor")
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels
    assert service["spec"]["selector"].items() <= labels
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]

    made = specs.render(TOP / "examples" / "original.yaml")
    separate = yaml.safe_load((DEPLOY / "agents-network-policy.yaml").read_text())
    for one in manifests.of_kind(made, "Deployment"):
        template = one["spec"]["template"]
        found = template["metadata"]["labels"].items()
        ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
        assert agents["spec"]["selector"]["matchLabels"].items() <= found
        assert agents["spec"]["podMetricsEndpoints"][0]["port"] in ports
        assert separate["spec"]["podSelector"]["matchLabels"].items() <= found
        assert {port["port"] for port in separate["spec"]["ingress"][0]["ports"]} <= ports
    assert not agents["spec"]["selector"]["matchLabels"].items() <= labels
