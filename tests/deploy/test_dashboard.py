"""The Grafana dashboard: every query of every panel returns figures from a real Prometheus that scrapes real agents under
load and a real operator; and the file is what Grafana 10 and later read."""

import math
import pathlib
import re
import shutil
import time

import pytest
import yaml

import dashboards
import manifests
import operatorkit
import specs
from application import Application
from manifests import TOP
from processes import eventually
from agents import Agents
from scraper import LABELS, Prometheus, agents_job, operator_job
from test_alerts import documented, named, samples_of

# What each panel needs to have something to show.
SERVICES = {
    "front": {
        "replicas": 2,
        "workload": {"externalServices": [{"services": ["back"]}]},
        "egress": {"latency": {"distribution": "constant", "value": "5ms"}, "circuitBreaker": {"failures": 5}},
        "datapath": {"policy": {"concurrency": {"limit": 10000}}},
    },
    "back": {"workload": {"internalService": {"computePi": {"rangeComplexity": [20, 40]}}}},
}
NAMESPACE = "shop"
RANGE = "10s"


@pytest.fixture
def monitors(renderer):
    objects = renderer.kustomize("deploy/overlays/prometheus")
    (service,), (pod,) = manifests.of_kind(objects, "ServiceMonitor"), manifests.of_kind(objects, "PodMonitor")
    return service, pod


@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")
def test_every_query_returns_figures(cluster, monitors, tmp_path):
    dashboard = dashboards.load()
    operatorkit.install(cluster)
    system = operatorkit.System(cluster, cluster.create_namespace(NAMESPACE), tmp_path)
    operator = system.operator(autoscale_interval="1s")
    scaling = {"maxReplicas": 3, "metrics": [{"signal": "requestsPerSecond", "averageValue": 50}]}
    system.apply(specs.dpu_service("front"), specs.dpu_service("back"), specs.dpu_service("scaled", autoscaling=scaling))
    with Agents(system.client, system.namespace, load=60), Application(tmp_path, [specs.dpu_service(name, **spec) for name, spec in SERVICES.items()]) as application:
        for name in SERVICES:
            for http in (False, True):
                application.ask(name, "--concurrency", "4", "--rate", "100", "--duration", "120s", http=http)
        application.ask_badly()
        jobs = [
            operator_job(operator.address, operatorkit.NAMESPACE, "dpumesh-operator-1", monitors[0]),
            agents_job(application.targets, NAMESPACE, monitors[1]),
        ]
        with Prometheus(tmp_path, jobs) as prometheus:
            look(prometheus, dashboard, system)
    system.stop()


def look(prometheus, dashboard, system):
    eventually(lambda: len(prometheus.query("dpumesh_build_info")) == 4, 30, lambda: prometheus.ask("targets"))
    assert {value for _, value in prometheus.query("up")} == {1}
    for labels, _ in prometheus.query("dpumesh_build_info"):
        assert all(labels.get(name) for name in LABELS), labels
    values = {"__rate_interval": RANGE, "__range": RANGE, "__interval": "5s"}
    for name, variable in dashboards.variables(dashboard).items():
        if variable["type"] == "query":
            text = dashboards.substituted(variable["query"]["query"], values)
            values[name] = prometheus.label_values(*dashboards.label_values(text))
    assert values["namespace"] == [NAMESPACE] and values["service"] == sorted(SERVICES)

    missing = {name: dashboards.substituted(text, values) for name, text in dashboards.queries(dashboard)}
    everything = dict(missing)
    until = time.monotonic() + 30
    for turn in range(1000):
        # So that the operator has something to do: children, statuses, events.
        system.apply(specs.dpu_service("front", replicas=1 + turn % 3))
        for name, text in list(missing.items()):
            if any(math.isfinite(value) for _, value in prometheus.query(text)):
                del missing[name]
        if not missing:
            break
        assert time.monotonic() < until, missing
        time.sleep(1)
    # Both services and each replica stand where a panel tells them apart.
    for name in ("Requests A", "Latency A", "Host CPU A", "DPU busy A"):
        jobs = {labels["job"] for labels, _ in prometheus.query(everything[name].replace("[10s]", "[30s]"))}
        assert jobs >= set(SERVICES), (name, jobs)
    # "All" services are those of agents: operators have the same families process_* and dpumesh_build_info.
    for name, text in dashboards.queries(dashboard):
        if "$service" in text and 'component="operator"' not in text:
            jobs = {labels.get("job", "back") for labels, _ in prometheus.query(everything[name])}
            assert jobs <= set(SERVICES), (name, jobs)


def test_substitution():
    values = {"namespace": ["a.b", "c"], "__rate_interval": "1m"}
    text = dashboards.substituted('x{n=~"$namespace", m=~"${namespace}"}[$__rate_interval]', values)
    assert text == r'x{n=~"(a\.b|c)", m=~"(a\.b|c)"}[1m]'
    with pytest.raises(AssertionError):
        dashboards.substituted("$namespaces", values)


def test_the_monitors_give_what_the_dashboard_expects(monitors):
    """job is the DpuService's name, of pods as they really are; the scraper's labels are so."""
    service, pod = monitors
    assert pod["spec"]["jobLabel"] == service["spec"]["jobLabel"] == "app.kubernetes.io/instance"
    documents = list(yaml.safe_load_all((TOP / "examples" / "original.yaml").read_text()))
    pods = [one["spec"]["template"] for one in manifests.of_kind(specs.render(TOP / "examples" / "original.yaml"), "Deployment")]
    jobs = [template["metadata"]["labels"]["app.kubernetes.io/instance"] for template in pods]
    assert sorted(jobs) == sorted(one["metadata"]["name"] for one in documents)
    for template in pods:
        assert [container["name"] for container in template["spec"]["containers"]] == ["agent"]
    for monitor in monitors:
        for endpoint in monitor["spec"].get("endpoints", []) + monitor["spec"].get("podMetricsEndpoints", []):
            assert not {"relabelings", "metricRelabelings", "honorLabels"} & set(endpoint)


KNOWN_UNITS = {"none", "reqps", "percentunit", "ms", "s", "ops", "Bps", "bytes"}
TYPES = {"timeseries", "stat", "table"}  # no graph, singlestat, table-old: Grafana 11 has them no more


def test_it_is_what_grafana_reads():
    dashboard = dashboards.load()
    assert dashboard["id"] is None and dashboard["uid"] and dashboard["title"]
    assert dashboard["schemaVersion"] == 38  # Grafana 10.0; later ones bring it up to theirs
    known = dashboards.variables(dashboard)
    assert list(known) == ["datasource", "namespace", "service"]
    ids, places = set(), set()
    for panel in dashboards.panels(dashboard):
        title = panel["title"]
        assert panel["type"] in TYPES, title
        assert len(panel["description"]) > 20 and panel["description"].endswith("."), title
        unit = panel["fieldConfig"]["defaults"]["unit"]
        assert unit in KNOWN_UNITS or re.fullmatch(r"suffix: \w+", unit), (title, unit)
        assert panel["targets"], title
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
        for what in (panel, *panel["targets"]):
            assert what["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, title
        assert set(re.findall(r"\$\{?(\w+)", str(panel["targets"]))) <= {*known, "__rate_interval"}, title
        # A range that is fixed hides what a longer or shorter one would show.
        for target in panel["targets"]:
            assert set(re.findall(r"\[(.*?)\]", target["expr"])) <= {"$__rate_interval"}, title
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert panel["id"] not in ids
        ids.add(panel["id"])
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & places, panel["title"]
        places |= cells


def test_each_metric_exists():
    """Those of a query that is never asked, because Prometheus is not here, too."""
    samples = samples_of(documented("metrics.md") + documented("operator.md"))
    for name, text in dashboards.queries(dashboards.load()):
        unknown = named(text.replace("$__rate_interval", "1m")) - samples
        assert not unknown, (name, unknown)


def test_both_ways_bring_it(helm):
    text = dashboards.SOURCE.read_text()
    for objects, name in (
        (helm.kustomize("deploy/overlays/prometheus"), "dpumesh-operator-dashboard"),
        (helm.template({"monitoring": {"enabled": True}}), "dpumesh-operator-dashboard"),
        (helm.template(manifests.EVERY_VALUE), "shop-operator-dashboard"),
    ):
        found = [one for one in manifests.of_kind(objects, "ConfigMap") if one["metadata"]["name"] == name]
        (config,) = found
        assert config["data"] == {"dpumesh.json": text}
        assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    off = helm.template({"monitoring": {"enabled": True, "dashboard": False}})
    assert len(manifests.of_kind(off, "ConfigMap")) == 1
    assert (pathlib.Path(manifests.CHART) / "files" / "dashboard.json").resolve() == dashboards.SOURCE
