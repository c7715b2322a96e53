"""A muBench cell, for tests: what muBench's users run, answering HTTP on 8080. Written after muBench's vocabulary and not
after its source, on the libraries that its own cell stands on: flask behind gunicorn, requests, and the Prometheus client in its
mode for several processes. So bytes on the wire and the format of /metrics are those libraries' own.

It is told what it is as muBench's deployer tells it: APP, ZONE, K8S_APP, PN (processes), TN (threads) in the environment, and the
work model of all services in MSConfig/workmodel.json. /seen is ours: the requests that came in, one JSON object a line.
"""

import concurrent.futures
import json
import os
import pathlib
import random
import tempfile
import time

# The Prometheus client looks at it when it is imported; all processes share the folder.
FOLDER = pathlib.Path(tempfile.mkdtemp())
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(FOLDER)

import flask  # noqa: E402
import gunicorn.app.base  # noqa: E402
import prometheus_client  # noqa: E402
import prometheus_client.multiprocess  # noqa: E402
import requests  # noqa: E402

ID, ZONE, K8S_APP = (os.environ[name] for name in ("APP", "ZONE", "K8S_APP"))
MODEL = json.loads(pathlib.Path("/app/MSConfig/workmodel.json").read_text())
PATH = MODEL[ID].get("path", "/api/v1")
SEEN = FOLDER / "seen"
TRAVEL = (
    "x-request-id x-b3-traceid x-b3-spanid x-b3-parentspanid x-b3-sampled x-b3-flags x-datadog-trace-id "
    "x-datadog-parent-id x-datadog-sampling-priority x-ot-span-context grpc-trace-bin traceparent x-cloud-trace-context"
).split()
TEXT = "text/plain; version=0.0.4; charset=utf-8"
FILLER = 1000  # characters
WHERE = ["zone", "app_name", "method", "endpoint"]
BUCKETS = [0.5, 1, 10, 100, 1000, 10000, float("inf")]

app = flask.Flask(__name__)
session = requests.Session()


class Measure:
    """A summary and, where asked, a histogram whose name ends in _bucket."""

    def __init__(self, name, text, labels, histogram=True):
        self.families = [prometheus_client.Summary(name, text, labels)]
        if histogram:
            self.families.append(prometheus_client.Histogram(f"{name}_bucket", text, labels, buckets=BUCKETS))

    def observe(self, value, *more):
        request = flask.request
        for family in self.families:
            family.labels(ZONE, K8S_APP, request.method, request.path, *more).observe(value)


WHO = [*WHERE, "from", "kubernetes_service"]
SIZE = Measure("mub_response_size", "Response size", WHO, histogram=False)
INTERNAL = Measure("mub_internal_processing_latency_milliseconds", "Latency of the internal service", WHERE)
EXTERNAL = Measure("mub_external_processing_latency_milliseconds", "Latency of the external services", WHERE)
REQUEST = Measure("mub_request_processing_latency_milliseconds", "Latency of the request", WHO)


def milliseconds(since):
    return (time.time() - since) * 1000


def work(internal):
    """The answer's text, after the time that the function takes."""
    ((_, given),) = internal.items()
    if given.get("sleep_stress", {}).get("run"):
        time.sleep(given["sleep_stress"]["sleep_time"])
    size = 1000 * random.expovariate(1 / given["mean_response_size"])
    return "c" * int(max(1, size))


def call(label, subtree, query, headers):
    """Whether a callee answered 200. Two habits of muBench's newer cells: a trace has a second key, dummy, that fills the request
    to its size, and a callee whose request_method is post gets a body that is nothing but filler."""
    callee = MODEL[label.split("__")[0]]
    url = f"http://{callee['url']}{callee['path']}" + (f"?{query}" if query else "")
    if subtree is not None:
        kind, body = "tracedriven", {label: subtree, "dummy": "M" * FILLER}
    elif callee.get("request_method") == "post" and not query:
        kind, body = "iot", "M" * FILLER
    else:
        return session.get(url, headers=headers).status_code == 200
    kinds = {"Content-type": "application/json", "Accept": "text/plain", "request-type": kind}
    return session.post(url, data=json.dumps(body), headers={**kinds, **headers}).status_code == 200


def run_group(group, trees, query, headers):
    """Whether all calls of a group went well: one after the other, as many as seq_len says."""
    labels = group["services"]
    if group["seq_len"] < len(labels):
        labels = random.sample(labels, group["seq_len"])
    good = True
    for label in labels:
        if random.random() < group.get("probabilities", {}).get(label, 1):
            try:
                good &= call(label, trees and trees[label], query, headers)
            except (KeyError, requests.RequestException):
                good = False
    return good


def plan(behavior):
    """(groups, their subtrees): of the trace in the body, or of the work model."""
    groups = behavior.get("external_services", MODEL[ID].get("external_services", []))
    if flask.request.method != "POST" or flask.request.headers.get("request-type") == "iot":
        return groups, [None] * len(groups)
    ((key, trees),) = [(key, trees) for key, trees in flask.request.json.items() if key != "dummy"]
    assert key.split("__")[0] == ID, key
    return [{"seq_len": len(tree), "services": list(tree)} for tree in trees], trees


@app.route(PATH, methods=["GET", "POST"])
def answer():
    request = flask.request
    began = time.time()
    headers = {name: request.headers[name] for name in TRAVEL if name in request.headers}
    query = request.query_string.decode()
    seen = {"method": request.method, "query": query, "headers": dict(request.headers), "body": request.get_data(as_text=True)}
    with SEEN.open("a") as file:  # a line at once, whatever other processes write
        file.write(json.dumps(seen) + "\n")
    try:
        behavior = MODEL[ID].get("alternative_behaviors", {}).get(request.args.get("bid"), {})
        groups, trees = plan(behavior)
        text = work(behavior.get("internal_service", MODEL[ID]["internal_service"]))
        INTERNAL.observe(milliseconds(began))
        SIZE.observe(len(text), request.remote_addr, ID)
        calls_began = time.time()
        if groups:
            with concurrent.futures.ThreadPoolExecutor(len(groups)) as pool:
                good = list(pool.map(lambda pair: run_group(*pair, query, headers), zip(groups, trees)))
            if not all(good):
                return json.dumps({"message": "Error in external services request"}), 500
        EXTERNAL.observe(milliseconds(calls_began))
        REQUEST.observe(milliseconds(began), request.remote_addr, ID)
        return flask.Response(text, mimetype="text/plain", headers=headers)
    except Exception:
        app.logger.exception("a request failed")
        return json.dumps({"message": "Error"}), 500


@app.route("/metrics")
def metrics():
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.multiprocess.MultiProcessCollector(registry)
    return flask.Response(prometheus_client.generate_latest(registry), content_type=TEXT)


@app.route("/seen")
def seen_requests():
    return flask.Response(SEEN.read_text() if SEEN.exists() else "", mimetype="text/plain")


class Server(gunicorn.app.base.BaseApplication):
    def load_config(self):
        for name, value in {"bind": "0.0.0.0:8080", "workers": os.environ["PN"], "threads": os.environ["TN"]}.items():
            self.cfg.set(name, value)

    def load(self):
        return app


if __name__ == "__main__":
    Server().run()
