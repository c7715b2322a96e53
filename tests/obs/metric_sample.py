"""metric_sample.py promtool|openmetrics PROGRAM: other people's parsers read our expositions."""

import math
import shutil
import subprocess
import sys

SKIP = 77


def exposition(program, form):
    return subprocess.run([program, form], check=True, capture_output=True).stdout


def check_promtool(program):
    if not shutil.which("promtool"):
        print("SKIP: promtool is not installed (Debian: prometheus)")
        return SKIP
    run = subprocess.run(["promtool", "check", "metrics"], input=exposition(program, "text"),
                         capture_output=True)
    # muBench's names are what its dashboards ask for; everything else must be clean.
    lines = (run.stdout + run.stderr).decode().splitlines()
    complaints = [line for line in lines if not line.startswith("mub_")]
    assert not complaints, complaints
    assert run.returncode in (0, 3), (run.returncode, lines)
    broken = subprocess.run(["promtool", "check", "metrics"], input=b"a{ 1\n", capture_output=True)
    assert broken.returncode not in (0, 3), "promtool refuses nothing"
    return 0


def check_openmetrics(program):
    try:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families
        from prometheus_client.parser import text_string_to_metric_families as plain_families
    except ImportError:
        print("SKIP: Python's prometheus_client is not installed (Debian: python3-prometheus-client)")
        return SKIP
    text = exposition(program, "openmetrics").decode()
    assert text.endswith("# EOF\n")
    assert "\n\n" not in text
    families = {family.name: family for family in text_string_to_metric_families(text)}

    requests = families["dpumesh_requests"]
    assert requests.type == "counter"
    assert requests.documentation == 'Requests answered; a \\ and\na "line".', requests
    samples = {tuple(sorted(s.labels.items())): s for s in requests.samples}
    assert {s.name for s in requests.samples} == {"dpumesh_requests_total"}
    assert samples[(("code", "200"), ("protocol", "tcp"))].value == 3
    assert samples[(("code", ""), ("protocol", 'a"b\\c\nd'))].value == 0.1
    assert samples[(("code", "\u00e4"), ("protocol", "\ufffd{,}="))].value == 1e300

    values = [i * i for i in range(100)]
    summary, histogram = families["mub_response_size"], families["mub_response_size_bucket"]
    assert (summary.type, histogram.type) == ("summary", "histogram")
    assert {s.name: s.value for s in summary.samples} == {
        "mub_response_size_sum": sum(values), "mub_response_size_count": 100}
    buckets = {s.labels["le"]: s.value for s in histogram.samples
               if s.name == "mub_response_size_bucket_bucket"}
    assert list(buckets) == ["0.5", "1.0", "10.0", "100.0", "1000.0", "10000.0", "+Inf"], buckets
    for bound, count in buckets.items():
        assert count == sum(value <= float(bound) for value in values), (bound, count)
    rest = {s.name: s.value for s in histogram.samples if "le" not in s.labels}
    assert rest == {"mub_response_size_bucket_sum": sum(values),
                    "mub_response_size_bucket_count": 100}, rest

    bounds = [s.labels["le"] for s in families["dpumesh_latency_seconds"].samples if "le" in s.labels]
    assert bounds == ["0.0", "1e-05", "0.0005", "0.1", "2.5", "123456.0", "1e+06",
                      "1.5e+09", "+Inf"], bounds
    assert families["dpumesh_queue_depth"].samples[0].value == 17
    assert families["dpumesh_bound"].samples[0].value == -math.inf
    build = families["dpumesh_build_info"].samples[0]
    assert build.value == 1 and build.labels["component"] == "sample" and build.labels["version"]
    assert families["process_cpu_seconds"].type == "counter"

    # The older format holds the same samples.
    plain = list(plain_families(exposition(program, "text").decode()))
    mine = {(s.name, tuple(sorted(s.labels.items()))) for f in families.values() for s in f.samples}
    theirs = {(s.name, tuple(sorted(s.labels.items()))) for f in plain for s in f.samples}
    assert mine == theirs, mine ^ theirs
    return 0


if __name__ == "__main__":
    sys.exit({"promtool": check_promtool, "openmetrics": check_openmetrics}[sys.argv[1]](sys.argv[2]))
