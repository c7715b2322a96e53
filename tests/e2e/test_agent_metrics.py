"""/metrics (contract, section 3). What each counter counts is tested beside what it counts.

    demand                                                test
    muBench's families, labels and buckets                test_families_of_mubench
    histograms named ..._bucket, series ..._bucket_bucket test_families_of_mubench
    each family once                                      test_each_family_once
    promtool complains about muBench's names alone        test_promtool
    Prometheus text 0.0.4 and OpenMetrics 1.0 parse       test_the_text_parses, test_openmetrics_parses
    `from` bounded, no port in it                         test_from_is_bounded
    `endpoint` bounded                                    test_endpoint_is_bounded
    process_*                                             test_process_metrics
    build info                                            test_build_info
    bytes, connections                                    test_bytes_and_connections
    scrapes while requests run                            test_scrapes_under_load
    docs/metrics.md against a live scrape                 test_docs_metrics.py
"""

import collections
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

from agentkit import PATH, Metrics, calls, eventually, request, run_agent

SHORT = ("zone", "app_name", "method", "endpoint")
LONG = (*SHORT, "from", "kubernetes_service")
MEASURES = {
    "mub_response_size": LONG,
    "mub_internal_processing_latency_milliseconds": SHORT,
    "mub_external_processing_latency_milliseconds": SHORT,
    "mub_request_processing_latency_milliseconds": LONG,
}
BUCKETS = ["0.5", "1.0", "10.0", "100.0", "1000.0", "10000.0", "+Inf"]


@pytest.fixture(scope="module")
def agent(starter):
    """An agent that has answered something of every kind."""
    agent = starter(
        zone="west",
        workload={
            "internalService": {
                "loader": {"sleepStress": {"sleepTime": 0.001}, "meanResponseSize": 0}
            },
            "externalServices": calls(["s1"], ["s2"]),
        },
        egress={"latency": {"value": "3ms"}},
        peers={"s1": {}, "s2": {}},
    )
    for _ in range(3):
        assert agent.ask()["status"] == 200
    assert agent.ask(request(method="POST", body='{"s0": [{"s9": []}]}'))["status"] == 500
    assert agent.get(PATH, "http", "POST", body=b'{"s0": [{"s1": []}]}').status == 200
    assert agent.ask(path="/no")["status"] == 404
    assert agent.ask(b"[]")["status"] == 400
    return agent


def text_of(agent, accept=None):
    answer = agent.get("/metrics", headers={"Accept": accept} if accept else {})
    assert answer.status == 200
    return answer.body.decode()


def test_families_of_mubench(agent):
    text = text_of(agent)
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    samples = Metrics.parse(text)
    labels = {
        "zone": "west", "app_name": "s0", "method": "GET", "endpoint": PATH, "from": "127.0.0.1",
        "kubernetes_service": "s0",
    }  # fmt: skip
    for measure, names in MEASURES.items():
        assert types[measure] == "summary"
        assert types[measure + "_bucket"] == "histogram"
        expected = {name: labels[name] for name in names}

        def series(suffix, **more):
            key = tuple(sorted({**expected, **more}.items()))
            assert (measure + suffix, key) in samples, (measure + suffix, key)
            return samples[measure + suffix, key]

        assert series("_count") == series("_bucket_count") == 3
        assert series("_sum") == series("_bucket_sum") > 0
        bounds = [dict(key)["le"] for name, key in samples
                  if name == measure + "_bucket_bucket" and dict(key)["method"] == "GET"]  # fmt: skip
        assert bounds == BUCKETS
        counts = [series("_bucket_bucket", le=bound) for bound in BUCKETS]
        assert counts == sorted(counts) and counts[-1] == 3
        # The POSTs: one that failed and one that did not; a failed one has no size.
        assert samples.total(measure + "_count", method="POST") == (
            1 if measure == "mub_response_size" else 2
        )
    # A request is as long as its parts: 1 ms inside and 3 ms of calls; measured from turn to turn
    # of the application's loop, so a little less is possible.
    name = "mub_request_processing_latency_milliseconds_sum"
    assert samples.total(name, method="GET") >= 11
    assert samples.total("mub_response_size_sum", method="GET") == 3


def test_each_family_once(agent):
    for accept in (None, "application/openmetrics-text"):
        text = text_of(agent, accept)
        for keyword in ("HELP", "TYPE"):
            names = re.findall(rf"^# {keyword} (\S+)", text, re.M)
            assert len(names) == len(set(names)) > 30
        # The samples of a family stand together.
        families = [name for name, _ in _samples(text)]
        blocks = [name for i, name in enumerate(families) if i == 0 or families[i - 1] != name]
        assert len(blocks) == len(set(blocks))


def _samples(text):
    """(family, line) of each sample: the family is that of the last TYPE above it."""
    family = None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            family = line.split()[2]
        elif not line.startswith("#"):
            assert line.startswith(family), (family, line)
            yield family, line


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool(agent):
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text_of(agent), capture_output=True, text=True, timeout=30
    )
    complaints = (done.stdout + done.stderr).splitlines()
    assert done.returncode in (0, 3), complaints  # 3: complaints of style, 1: it can't be read
    for complaint in complaints:
        assert complaint.startswith("mub_"), complaint
    # It did read it: muBench's names are what everybody complains about.
    assert any("milliseconds" in complaint for complaint in complaints)


def test_the_text_parses(agent):
    parser = pytest.importorskip("prometheus_client.parser")
    families = {f.name: f for f in parser.text_string_to_metric_families(text_of(agent))}
    assert families["mub_response_size"].type == "summary"
    assert families["dpumesh_requests"].type == "counter"
    assert all(family.documentation for family in families.values())


def test_openmetrics_parses(agent):
    """The strict parser of the reference client: units, suffixes, order, the end."""
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    text = text_of(agent, "application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    families = {f.name: f for f in parser.text_string_to_metric_families(text)}
    assert families["dpumesh_requests"].type == "counter"
    plain = Metrics.parse(text_of(agent))
    names = {sample.name for family in families.values() for sample in family.samples}
    assert {name for name in plain.names() if name.startswith("dpumesh_")} <= names


def test_from_is_bounded(start):
    """The client's address without a port; past limits.sources all further ones are `other`."""
    agent = start(limits={"sources": 3})
    asked = collections.Counter()
    for _ in range(2):
        for host in range(2, 10):
            with socket.socket() as client:
                client.bind((f"127.0.0.{host}", 0))
                client.settimeout(20)
                client.connect(agent.address("bridge"))
                client.sendall(request())
                data = b""
                while part := client.recv(65536):
                    data += part
                assert json.loads(data)["status"] == 200
    for (name, labels), value in agent.metrics().items():
        if name == "mub_response_size_count":
            asked[dict(labels)["from"]] += value
    assert sum(asked.values()) == 16
    assert asked.pop("other") >= 2 * 5
    # Addresses that were seen first keep their series. The scraper's own may be among them.
    assert len(asked) <= 3
    assert set(asked.values()) == {2}
    assert set(asked) <= {f"127.0.0.{host}" for host in range(2, 10)}


def test_endpoint_is_bounded(start):
    """What clients ask for is no label: only the service's own path is."""
    agent = start()
    for i in range(50):
        assert agent.ask(path=f"/made/up/{i}")["status"] == 404
        assert agent.get(f"/made/up/{i}", "http").status == 404
        agent.ask(path=PATH, method=f"METHOD{i}")
    assert agent.ask()["status"] == 200
    series = [dict(labels) for (name, labels) in agent.metrics() if name.startswith("mub_")]
    assert {labels["endpoint"] for labels in series} == {PATH}
    assert {labels["method"] for labels in series} <= {"GET", "POST"}


def test_labels_are_escaped(start):
    agent = start(zone='a"b\\c ü')
    assert agent.ask()["status"] == 200
    assert 'zone="a\\"b\\\\c ü"' in text_of(agent)
    Metrics.parse(text_of(agent))


def test_process_metrics(agent):
    now = agent.metrics()
    pid = agent.process.pid
    assert abs(now.total("process_resident_memory_bytes") - agent.resident_bytes()) < 32 << 20
    fds = len(os.listdir(f"/proc/{pid}/fd"))
    assert abs(now.total("process_open_fds") - fds) <= 2
    assert now.total("process_max_fds") >= 1024
    assert now.total("process_threads") == agent.status_of("Threads")
    assert abs(now.total("process_start_time_seconds") - time.time()) < 600
    assert 0 < now.total("process_cpu_seconds_total") < 600
    assert now.total("process_virtual_memory_bytes") > now.total("process_resident_memory_bytes")


def test_cpu_seconds_rise_with_work(start):
    agent = start(
        workload={"internalService": {"computePi": {"rangeComplexity": [1500, 1500]}}}
    )
    before = agent.metrics()
    assert agent.ask()["status"] == 200
    delta = agent.metrics() - before
    assert delta.total("process_cpu_seconds_total") > 0.002


def test_build_info(agent):
    (labels,) = [dict(key) for name, key in agent.metrics() if name == "dpumesh_build_info"]
    assert labels["component"] == "agent"
    _, out, _ = run_agent("--version")
    assert labels["version"] in out


def test_bytes_and_connections(start):
    agent = start()
    before = agent.metrics()
    sent = received = 0
    with agent.lines() as client:
        for _ in range(20):
            client.send(request())
            sent += len(request()) + 1
            client.more()
            received += len(client.buffer)
            assert client.buffer.endswith(b"\n")
            client.buffer = b""
    eventually(
        lambda: (agent.metrics() - before).total("dpumesh_connections_closed_total", protocol="bridge")
        == 1
    )
    delta = agent.metrics() - before
    assert delta.total("dpumesh_connections_total", protocol="bridge") == 1
    # Scrapes are bytes too.
    assert delta.total("dpumesh_received_bytes_total") >= sent + 1
    assert delta.total("dpumesh_sent_bytes_total") >= received
    assert delta.total("dpumesh_ingress_message_bytes_total") >= 20 * len(PATH)


def test_scrapes_under_load(start):
    """Counters never fall, and a scrape is whole, while all threads count."""
    agent = start(
        workload={"externalServices": calls(["s1"], ["s2", "s3"])},
        egress={"latency": {"distribution": "exponential", "mean": "1ms"}},
    )
    done = threading.Event()
    failures = []

    def load():
        try:
            with agent.lines() as client:
                while not done.is_set():
                    client.send(*[request()] * 50).receive(50)
        except BaseException as error:  # told to the main thread
            failures.append(error)

    workers = [threading.Thread(target=load) for _ in range(3)]
    for worker in workers:
        worker.start()
    last = agent.metrics()
    try:
        for _ in range(30):
            now = agent.metrics()
            for (name, labels), value in last.items():
                if name.endswith(("_total", "_count", "_sum", "_bucket")):
                    assert now[name, labels] >= value, (name, labels)
            last = now
    finally:
        done.set()
        for worker in workers:
            worker.join()
    assert not failures, failures[0]
    now = agent.metrics()
    asked = now.total("dpumesh_requests_total", protocol="bridge")
    assert asked > 0
    assert now.total("mub_response_size_count") == asked
    assert now.total("dpumesh_egress_calls_total") == 3 * asked
    assert now.total("dpumesh_egress_latency_asked_seconds_count") == 3 * asked
