"""muBench's dashboards on our metrics (docs/metrics.md): each kind of query that they are made of, asked of a real
Prometheus that scrapes real agents under a known load, returns the figures that are true.

    kind                                                  test
    rate by app_name, _sum over _count, quantiles of _bucket_bucket, kubernetes_service, from
                                                          test_each_kind_of_query_is_true
    the same labels and buckets in each family            test_the_series_are_those_of_mubench
"""

import math
import shutil

import pytest
import yaml

import manifests
import specs
from application import Application
from manifests import TOP
from mubench import BUCKETS, MEASURES, family, mean, quantile, values
from processes import eventually
from scraper import Prometheus, agents_job

pytestmark = pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")

NAMESPACE = "bench"
RATE = 50  # requests a second over each protocol
SLEEP_MS, CALL_MS, SIZE = 20, 5, 2000
SERVICES = {
    "s0": {
        "replicas": 2,
        "workload": {
            "internalService": {"loader": {"sleepStress": {"run": True, "sleepTime": SLEEP_MS / 1000}, "meanResponseSize": SIZE / 1000}},
            "externalServices": [{"services": ["s1"]}],
        },
        "egress": {"latency": {"distribution": "constant", "value": f"{CALL_MS}ms"}},
        "datapath": {"mode": "direct"},
    },
    "s1": {
        "workload": {"internalService": {"loader": {"sleepStress": {"run": True, "sleepTime": 0.002}}}},
        "datapath": {"mode": "direct"},
    },
}
WINDOW = "20s"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mubench")
    monitors = yaml.safe_load_all((TOP / "deploy" / "overlays" / "prometheus" / "monitors.yaml").read_text())
    (monitor,) = manifests.of_kind(list(monitors), "PodMonitor")
    with Application(folder, [specs.dpu_service(name, **spec) for name, spec in SERVICES.items()]) as application:
        for name in SERVICES:
            for http in (False, True):
                application.ask(name, "--concurrency", "4", "--rate", str(RATE), "--duration", "300s", http=http)
        with Prometheus(folder, [agents_job(application.targets, NAMESPACE, monitor)]) as made:
            # A whole window under the whole load.
            count = f"sum(rate({family('request')}_count[{WINDOW}]))"
            eventually(lambda: [v for _, v in made.query(count)] and made.query(count)[0][1] > 3.7 * RATE, 60, lambda: made.ask("targets"))
            yield made


def test_each_kind_of_query_is_true(prometheus):
    asked = values(prometheus, f"sum by (app_name) (rate({family('internal')}_count{{}}[{WINDOW}]))", "app_name")
    assert set(asked) == {("s0",), ("s1",)}
    for value in asked.values():
        assert value == pytest.approx(2 * RATE, rel=0.2)

    means = {measure: values(prometheus, mean(family(measure), WINDOW), "app_name") for measure in MEASURES}
    # Never shorter than what was asked for but by a turn of the loop; how much longer is the machine's business.
    assert SLEEP_MS - 1 <= means["internal"]["s0",] < SLEEP_MS + 40
    assert CALL_MS - 1 <= means["external"]["s0",] < CALL_MS + 40
    assert 0 <= means["external"]["s1",] < 1  # it calls nobody
    assert means["request"]["s0",] == pytest.approx(means["internal"]["s0",] + means["external"]["s0",], abs=1)

    # 20 and 5 ms, so a request lies between 10 and 100 ms; the quantile is interpolated in that bucket.
    for part in (0.5, 0.95, 0.99):
        assert 10 < values(prometheus, quantile(part, family("request"), WINDOW), "app_name")["s0",] <= 100
    assert 1 < values(prometheus, quantile(0.5, family("external"), WINDOW), "app_name")["s0",] <= 10

    buckets = values(prometheus, f'sum by (le) (rate({family("request")}_bucket_bucket{{app_name="s0"}}[{WINDOW}]))', "le")
    assert {le for (le,) in buckets} == set(BUCKETS)
    assert buckets["10.0",] == 0 and buckets["+Inf",] == pytest.approx(2 * RATE, rel=0.2)

    by_service = values(prometheus, f"sum by (kubernetes_service) (rate({family('request')}_count[{WINDOW}]))", "kubernetes_service")
    assert by_service == pytest.approx(asked, rel=0.05)
    pairs = values(prometheus, f'sum by (from, kubernetes_service) (rate(mub_response_size_count[{WINDOW}]))', "from", "kubernetes_service")
    assert {service for _, service in pairs} == {"s0", "s1"} and len({source for source, _ in pairs}) == 1
    # Exponential sizes: 2000 of them, within 6 standard errors, which chance passes once in 500 million runs.
    size = values(prometheus, mean("mub_response_size", WINDOW), "app_name")["s0",]
    assert abs(size - SIZE) < 6 * SIZE / math.sqrt(2 * RATE * 20 * 0.8)

    # The histogram's own sum and count say what the summary's say.
    for measure in MEASURES:
        ours = values(prometheus, mean(family(measure), WINDOW), "app_name")["s0",]
        assert values(prometheus, mean(f"{family(measure)}_bucket", WINDOW), "app_name")["s0",] == pytest.approx(ours, rel=0.02)


def test_the_series_are_those_of_mubench(prometheus):
    """Each label has one value that a dashboard's variables can offer, and no series is another service's. A PodMonitor
    writes its port's name into `endpoint`, as it does of muBench's pods; what the page said is beside it."""
    for measure, long in (("request", True), ("internal", False), ("external", False)):
        for labels, _ in prometheus.query(f"{family(measure)}_bucket_bucket"):
            expected = {"zone": "default", "exported_endpoint": "/api/v1", "method": "GET"}
            assert {name: labels[name] for name in expected} == expected
            assert ("from" in labels, "kubernetes_service" in labels) == (long, long)
            assert labels["app_name"] == labels["job"] == labels.get("kubernetes_service", labels["job"])
    assert sorted(prometheus.label_values(f"{family('request')}_count", "app_name")) == ["s0", "s1"]


def test_a_query_of_nothing_is_seen(prometheus):
    """That this can fail: a family that there is not has no figures."""
    assert values(prometheus, mean("mub_request_processing_latency_seconds", WINDOW), "app_name") == {}
