"""muBench on a node: work models as the public ones are written, muBench cells as its deployer makes them, and the books of
an application: both ends of every edge.

    model = public_model({"s0": [["s1", "s2"]], "s1": [], "s2": []}, namespace="default")
    space.apply(*cell_objects("s1", model), ...)
"""

import json
import urllib.error
import urllib.request

from agentkit import Metrics
from nodekit import TOP

CELL = "docker.io/library/mubench-dpu-cell:latest"
CELL_FOLDER = TOP / "tests" / "node" / "cell"


def loader(kb=0.05, sleep=0.0):
    """An internal_service as muBench's example files spell it out."""
    parts = {
        "cpu_stress": {"run": False, "range_complexity": [100, 100], "thread_pool_size": 1, "trials": 1},
        "memory_stress": {"run": False, "memory_size": 10000, "memory_io": 1000},
        "disk_stress": {
            "run": False, "tmp_file_name": "mubtestfile.txt", "disk_write_block_count": 1000, "disk_write_block_size": 1024,
        },
        "sleep_stress": {"run": bool(sleep), "sleep_time": sleep or 0.01},
    }  # fmt: skip
    return {"loader": {**parts, "mean_response_size": kb, "function_id": "f1"}}


def public_model(graph, namespace, **services):
    """A work model of {service: groups of callees}, with what muBench's tools write into it; services: what some say
    otherwise. Who calls nobody has an empty group, as in muBench's example files."""
    model = {}
    for name, groups in graph.items():
        one = {
            "external_services": [{"seq_len": 100, "services": group} for group in groups] or [{"seq_len": 1, "services": []}],
            "internal_service": loader(),
            "request_protocol": "http",
            "request_method": "get",
            "workers": 2,
            "threads": 4,
            "path": "/api/v1",
            "image": "example.org/service-cell:1",
            "namespace": namespace,
            **services.get(name, {}),
        }
        model[name] = {**one, "url": f"{name}.{one['namespace']}.svc.cluster.local"}
    return model


def secure(container):
    """A pod's spec with one container that meets Pod Security "restricted"."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"imagePullPolicy": "Never", "securityContext": security, **container}],
    }


def cell_objects(name, model):
    """ConfigMap, Deployment and Service of a cell, as muBench's deployer makes them: the Service's port is 80."""
    given, labels = model[name], {"app": name, "zone": "default"}
    variables = {"APP": name, "ZONE": "default", "K8S_APP": name, "PN": str(given["workers"]), "TN": str(given["threads"])}
    container = {
        "name": name,
        "image": CELL,
        "ports": [{"name": "http-mubpodport", "containerPort": 8080}],
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "readinessProbe": {"httpGet": {"path": "/metrics", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 10},
        "volumeMounts": [{"name": "model", "mountPath": "/app/MSConfig"}],
    }
    pod = {**secure(container), "volumes": [{"name": "model", "configMap": {"name": f"{name}-model"}}]}
    template = {"metadata": {"labels": labels, "annotations": {"prometheus.io/scrape": "true"}}, "spec": pod}
    port = {"name": "http-mubserviceport", "port": 80, "targetPort": 8080}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-model"}, "data": {"workmodel.json": json.dumps(model)}},
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template},
        },
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [port]}},
    ]  # fmt: skip


def ask(url, method="GET", body=None, headers=None):
    """(status, headers, body) of one request."""
    kind = {} if body is None else {"Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {**kind, **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


def page(node, pod, path="/metrics"):
    """A page of a pod, through the API server's proxy, as people read it from outside."""
    meta = pod["metadata"]
    status, _, text = node.client.request("GET", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}:8080/proxy{path}")
    assert status == 200, text
    return text


def pods_of(node, namespace, selector):
    return node.kubectl_json("-n", namespace, "get", "pods", "-l", selector)["items"]


def books(node, services):
    """{service: the metrics of its agents' pods, summed}; services: {name: namespace}."""
    found = {}
    for name, namespace in services.items():
        total = Metrics()
        for pod in pods_of(node, namespace, f"app.kubernetes.io/instance={name}"):
            for key, value in Metrics.parse(page(node, pod)).items():
                total[key] = total.get(key, 0) + value
        found[name] = total
    return found


def edges(model):
    """{(caller, callee): whom the model lets call whom}."""
    groups = {name: given.get("external_services", []) for name, given in model.items()}
    return {(name, label.split("__")[0]) for name, given in groups.items() for group in given for label in group["services"]}


def balance(model, now, front, asked):
    """Every service was asked as often as its callers called it, the front as often as its clients asked, and all was
    answered 200. Returns {service: requests}."""
    requests = {name: metrics.total("dpumesh_requests_total") for name, metrics in now.items()}
    for name, metrics in now.items():
        calls = {caller: now[caller].total("dpumesh_forward_requests_total", destination=name) for caller in now}
        assert {caller for caller, count in calls.items() if count} <= {c for c, callee in edges(model) if callee == name}
        assert requests[name] == sum(calls.values()) + (asked if name == front else 0), (name, calls)
        assert metrics.total("mub_request_processing_latency_milliseconds_count", app_name=name) == requests[name], name
        assert metrics.total("dpumesh_rejected_requests_total") == 0, name
        ended = metrics.total("dpumesh_forward_calls_ended_total")
        assert ended == metrics.total("dpumesh_forward_calls_ended_total", result="ok"), name
        assert ended == metrics.total("dpumesh_forward_requests_total"), name
    return requests
