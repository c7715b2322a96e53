"""muBench's cells and our agents in one application on Kubernetes: each calls the other as between two of their own, and a
dashboard can't tell them apart but by the values.

    demand                                                  test
    headers, queries and traces through both                test_what_travels_passes_through_both
    a cell's filler is no trace                             test_a_cells_filler_is_no_trace
    failures are answered alike                             test_failures_are_answered_alike
    after a failed call the group goes on                   test_a_group_goes_on_after_a_failed_call
    sizes and requests are counted alike                    test_sizes_are_counted_alike
    the same series, labels and buckets                     test_the_series_are_the_same
    muBench's PromQL sees both                              test_prometheus_sees_both

The application: s0 (ours) calls s1 (a cell), which calls s2 (ours) and then s4 (ours); s2 calls s3 (a cell). The cells' work
model is as muBench has it, and names services by port 80.
"""

import json
import os
import pathlib
import time

import prometheus_client.parser
import pytest

from cellkit import TRAVEL
from containers import ctr
from mubench import BUCKETS, MEASURES, family, mean, quantile, values
from mubenchkit import CELL, ask, cell_objects, page, pods_of, public_model
from nodekit import Load, Space, dpu
from processes import eventually
from scraper import Prometheus

pytestmark = pytest.mark.timeout(300)

CELLS, OURS = ("s1", "s3"), ("s0", "s2", "s4")
GRAPH = {"s0": [["s1"]], "s1": [["s2", "s4"]], "s2": [["s3"]], "s3": [], "s4": []}
WINDOW = "15s"
QUIET = {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 0.05}}


class Mixed:
    """The running application."""

    def __init__(self, node, space):
        self.node, self.space = node, space
        # Cells GET s2 and POST to s4.
        self.model = public_model(GRAPH, space.name, s4={"request_method": "post"})
        space.apply(*(one for name in CELLS for one in cell_objects(name, self.model)), *map(self.ours, OURS))
        for name in CELLS:
            space.kubectl("rollout", "status", f"deployment/{name}", "--timeout=90s", timeout=100)
        space.kubectl("wait", "--for=condition=Ready", "dpu", "--all", "--timeout=90s", timeout=100)
        addresses = {one["metadata"]["name"]: one["spec"]["clusterIP"] for one in node.kubectl_json("-n", space.name, "get", "services")["items"]}
        self.urls = {name: f"http://{addresses[name]}:80/api/v1" for name in GRAPH}
        for url in self.urls.values():
            eventually(lambda url=url: self.status(url) == 200, 40, f"{url} does not answer")

    def ours(self, name):
        """A DpuService on port 80, where cells look for it."""
        callees = [callee for group in GRAPH[name] for callee in group]
        return dpu(
            name,
            service={"ports": {"http": 80}},
            workload={"internalService": QUIET, **({"externalServices": [{"services": callees}]} if callees else {})},
            egress={"mode": "forward", "destinations": [{"name": one, "url": f"http://{one}.{self.space.name}.svc/api/v1"} for one in GRAPH if one != name]},
        )

    @staticmethod
    def status(url):
        try:
            return ask(url)[0]
        except OSError:
            return None

    def pod(self, name):
        label = f"app={name}" if name in CELLS else f"app.kubernetes.io/instance={name}"
        (pod,) = pods_of(self.node, self.space.name, label)
        return pod

    def seen(self, name):
        """The requests that a cell has seen."""
        return [json.loads(line) for line in page(self.node, self.pod(name), "/seen").splitlines()]

    def families(self, name):
        """muBench's families of a service, as the Prometheus client reads them."""
        found = list(prometheus_client.parser.text_string_to_metric_families(page(self.node, self.pod(name))))
        assert len({one.name for one in found}) == len(found), "a family stands there twice"
        return {one.name: one for one in found if one.name.startswith("mub_")}

    def totals(self, name, *samples, **labels):
        """The sums of a service's samples of these names with these labels."""
        found = [s for one in self.families(name).values() for s in one.samples if labels.items() <= s.labels.items()]
        return [sum(s.value for s in found if s.name == sample) for sample in samples]

    def total(self, name, sample, **labels):
        return self.totals(name, sample, **labels)[0]


@pytest.fixture(scope="module")
def mixed(node, installation):
    archive = os.environ.get("DPUMESH_CELL_IMAGE")
    if not archive:
        pytest.skip("no image of a muBench cell: tools/dev/cell.sh makes it of Debian's packages, which were not in reach")
    installation.ensure("kubectl")
    if CELL not in ctr("images", "ls", "-q").split():
        node.import_image(pathlib.Path(archive))
    space = Space(node, "cells")
    yield Mixed(node, space)
    node.delete_namespace(space.name)


def test_what_travels_passes_through_both(mixed):
    headers = {name: f"{name}-1" for name in TRAVEL}
    headers["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    before = {name: len(mixed.seen(name)) for name in CELLS}
    status, got, body = ask(f"{mixed.urls['s0']}?bid=none&q=1", headers=headers)
    assert (status, set(body)) == (200, {"m"})
    assert {name: got[name] for name in TRAVEL} == headers
    for name in CELLS:
        (seen,) = mixed.seen(name)[before[name] :]
        assert (seen["method"], seen["query"], seen["body"]) == ("GET", "bid=none&q=1", "")
        assert {key.lower(): value for key, value in seen["headers"].items() if key.lower() in TRAVEL} == headers
    # A trace replaces both work models: each service gets its own subtree.
    leaf = {"s3__9": [{}]}
    status, _, _ = ask(mixed.urls["s0"], "POST", {"s0__1": [{"s1__2": [{"s2__3": [leaf]}, {"s2__4": [leaf, leaf]}]}]}, headers)
    assert status == 200
    (seen,) = mixed.seen("s1")[before["s1"] + 1 :]
    assert seen["method"] == "POST" and json.loads(seen["body"]) == {"s1__2": [{"s2__3": [leaf]}, {"s2__4": [leaf, leaf]}]}
    assert [json.loads(one["body"]) for one in mixed.seen("s3")[before["s3"] + 1 :]] == [leaf] * 3


def test_a_cells_filler_is_no_trace(mixed):
    """A cell POSTs as many bytes as its work model says, and ours makes the calls of its own: s4 none, s2, which is called by
    GET, one."""
    before = {name: mixed.total(name, f"{family('request')}_count") for name in GRAPH}
    posted = mixed.total("s4", f"{family('request')}_count", method="POST")
    assert ask(mixed.urls["s1"])[0] == 200
    grown = {name: mixed.total(name, f"{family('request')}_count") - before[name] for name in GRAPH}
    assert grown == {"s0": 0, "s1": 1, "s2": 1, "s3": 1, "s4": 1}
    assert mixed.total("s4", f"{family('request')}_count", method="POST") == posted + 1


@pytest.mark.parametrize(
    ("path", "method", "trace", "status"),
    [
        ("", "POST", [{"s9": [{}]}], 500),  # nobody of that name
        ("", "POST", [{"s0": [{"s9": [{}]}]}], 500),  # further down the graph
        ("/x", "GET", None, 404),
        ("", "DELETE", None, 405),
    ],
)
def test_failures_are_answered_alike(mixed, path, method, trace, status):
    """s3 is a cell and s4 ours; neither calls anybody by itself."""
    answers = [ask(mixed.urls[name] + path, method, trace and {name: trace}) for name in ("s3", "s4")]
    assert [code for code, _, _ in answers] == [status] * 2
    if status == 500:
        assert [json.loads(body) for _, _, body in answers] == [{"message": "Error in external services request"}] * 2
    if status == 405:
        allowed = [{word.strip() for word in headers["Allow"].split(",")} for _, headers, _ in answers]
        assert all({"GET", "POST"} <= words for words in allowed)


def test_a_group_goes_on_after_a_failed_call(mixed):
    """s2, which a cell and ours call behind one that nobody has, gets the call of either."""
    for name in ("s3", "s4"):
        before = mixed.total("s2", f"{family('request')}_count")
        assert ask(mixed.urls[name], "POST", {name: [{"s9": [{}], "s2": [{}]}]})[0] == 500
        assert mixed.total("s2", f"{family('request')}_count") == before + 1


def test_sizes_are_counted_alike(mixed):
    """Of a cell and of ours that are asked directly, and of those that only a cell or only ours calls."""
    count = 20

    def figures():
        names = ("mub_response_size_sum", "mub_response_size_count", f"{family('request')}_count", f"{family('external')}_count")
        return {service: mixed.totals(service, *names) for service in GRAPH}

    before, sizes, kinds = figures(), {}, {}
    for service in ("s3", "s4"):
        answers = [ask(mixed.urls[service]) for _ in range(count)]
        sizes[service] = sum(len(body) for _, _, body in answers)
        kinds[service] = {headers["Content-Type"] for _, headers, _ in answers}
    assert kinds["s3"] == kinds["s4"] == {"text/plain; charset=utf-8"}
    for _ in range(count):
        assert ask(mixed.urls["s0"])[0] == 200
    after = figures()
    grown = {service: [now - then for now, then in zip(after[service], before[service])] for service in GRAPH}
    for service in GRAPH:
        asked = 2 * count if service in sizes else count
        assert grown[service][1:] == [asked] * 3, service
        assert grown[service][0] >= asked  # at least a character each
    # The same again, without calls from elsewhere: to the character.
    for service in ("s3", "s4"):
        start = mixed.total(service, "mub_response_size_sum")
        assert sum(len(ask(mixed.urls[service])[2]) for _ in range(count)) == mixed.total(service, "mub_response_size_sum") - start


def shape(families):
    """What a dashboard can tell of them: {sample: (type, label names, bounds of buckets)}."""
    found = {}
    for one in families.values():
        for sample in one.samples:
            _, labels, bounds = found.setdefault(sample.name, (one.type, frozenset(sample.labels) - {"le"}, set()))
            assert labels == frozenset(sample.labels) - {"le"}, sample
            bounds.update({sample.labels["le"]} if "le" in sample.labels else ())
    return found


def test_the_series_are_the_same(mixed):
    for method, trace in (("GET", None), ("POST", [{"s0": []}])):
        for name in ("s3", "s4"):
            ask(mixed.urls[name], method, trace and {name: trace})
    cell, ours = mixed.families("s3"), mixed.families("s4")
    theirs = shape(cell)
    assert len(theirs) == 17, theirs.keys()  # four summaries of two series, three histograms of three
    assert theirs == {name: one for name, one in shape(ours).items() if name in theirs}
    assert all(bounds in (set(), set(BUCKETS)) for _, _, bounds in theirs.values())
    # One family more than muBench's cell has: the histogram of sizes, named as the others are.
    assert ours.keys() - cell.keys() == {"mub_response_size_bucket"}
    # And the labels' values are of one kind.
    for sample in theirs:
        kinds = []
        for name, families in (("s3", cell), ("s4", ours)):
            labels = [s.labels for one in families.values() for s in one.samples if s.name == sample]
            kinds.append({tuple(sorted((k, v.replace(name, "S")) for k, v in one.items() if k != "from")) for one in labels})
        assert kinds[0] == kinds[1], sample


def test_prometheus_sees_both(mixed, tmp_path):
    """Every kind of query has a figure for each of the five services; and when all is quiet, they agree to the request."""
    targets = {name: f"{mixed.pod(name)['status']['podIP']}:8080" for name in GRAPH}
    jobs = [{"job_name": "pods", "static_configs": [{"targets": list(targets.values())}]}]
    every = {(name,) for name in GRAPH}
    count = f"{family('request')}_count"
    before = {(name,): mixed.total(name, count) for name in GRAPH}
    with Prometheus(tmp_path, jobs) as prometheus:

        def rates(sample, by="app_name"):
            return values(prometheus, f"sum by ({by}) (rate({sample}[{WINDOW}]))", by)

        def grown():
            now = values(prometheus, f"sum by (app_name) ({count})", "app_name")
            return {key: value - before[key] for key, value in now.items()}

        with Load(mixed.urls["s0"], "--rate", "20", concurrency=4) as load:
            eventually(lambda: set(rates(count)) == every and min(rates(count).values()) > 0, 90, lambda: prometheus.ask("targets"))
            time.sleep(10)
            for measure in MEASURES:
                asked = rates(f"{family(measure)}_count")
                assert set(asked) == every and min(asked.values()) > 0, (measure, asked)
                means = values(prometheus, mean(family(measure), WINDOW), "app_name")
                assert set(means) == every and min(means.values()) >= 0, (measure, means)
                for part in (0.5, 0.99):
                    found = values(prometheus, quantile(part, family(measure), WINDOW), "app_name")
                    assert set(found) == every and min(found.values()) > 0, (measure, found)
            assert set(rates("mub_response_size_count", by="kubernetes_service")) == every
            bounds = f"sum by (app_name, le) (rate({family('request')}_bucket_bucket[{WINDOW}]))"
            assert set(values(prometheus, bounds, "app_name", "le")) == {(name, le) for name in GRAPH for le in BUCKETS}
            # Who calls whom: the callers' addresses, on both sides of each edge.
            pairs = f"sum by (from, kubernetes_service) (rate(mub_response_size_count[{WINDOW}])) > 0"
            callers = {"s1": "s0", "s2": "s1", "s4": "s1", "s3": "s2"}
            expected = {(targets[caller].split(":")[0], callee) for callee, caller in callers.items()}
            assert {pair for pair in values(prometheus, pairs, "from", "kubernetes_service") if pair[1] != "s0"} == expected
        load.assert_clean(30)
        # Each request to s0 is one to each of the others, and those that the load left in flight at its end are over soon.
        eventually(lambda: len(set(grown().values())) == 1 and grown().keys() == every, 60, grown)
        (times,) = set(grown().values())
        assert times >= load.result["answered"]
        for measure in MEASURES:
            sums = [values(prometheus, f"sum by (app_name) ({family(measure)}{end}_sum)", "app_name") for end in ("", "_bucket")]
            assert set(sums[0]) == every and sums[0] == pytest.approx(sums[1], rel=1e-6)
        assert sorted(prometheus.label_values(f"{family('external')}_sum", "app_name")) == sorted(GRAPH)
