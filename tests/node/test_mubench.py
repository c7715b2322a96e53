"""muBench's work models on Kubernetes: imported, applied, answered 200 along the whole graph, with both ends of every edge
in agreement.

    demand                                                      test
    docs/import.md's steps, word for word                       test_the_steps_of_the_document
    ten services of other paths, in two namespaces              test_callees_of_other_paths_and_namespaces
"""

import json
import os
import re
import subprocess

import pytest
import yaml

from mubenchkit import ask, balance, books, edges, public_model
from nodekit import TOP, Space, burst, programs
from processes import eventually

pytestmark = pytest.mark.timeout(300)

SECTION = re.compile(r"^## An experiment on Kubernetes$(.*?)^## ", re.M | re.S)
EXAMPLE = TOP / "examples" / "mubench"
PORT = 31113


def commands():
    """The lines of the section that begin with `$ `."""
    section = SECTION.search((TOP / "docs/import.md").read_text())[1]
    return re.findall(r"^ +\$ (.*?)(?:\s+#.*)?$", section, re.M)


def test_the_steps_of_the_document(node, operator, tmp_path):
    del operator
    model = json.loads((EXAMPLE / "workmodel.json").read_text())
    (tmp_path / "examples").symlink_to(TOP / "examples")
    path = f"{programs()}:{os.path.dirname(node.programs['kubectl'])}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(node.kubeconfig), "HOME": str(tmp_path)}
    said, lines = {}, commands()
    assert lines[-1] == "kubectl delete -f app.yaml", "the last step takes all away"
    try:
        for line in lines[:-1]:
            done = subprocess.run(
                ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
                stdin=subprocess.DEVNULL, timeout=150,
            )  # fmt: skip
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            said[line] = done.stdout
        (table,) = [text for line, text in said.items() if line == "kubectl get dpu"]
        for name in model:
            assert re.search(rf"^{name} +dpu +(\d)/\1 ", table, re.M), table
        (load,) = [json.loads(text) for line, text in said.items() if line.startswith("kubectl dpumesh load")]
        assert set(load["status"]) == {"200"}, load
        # The load's requests, and curl's.
        asked = load["answered"] + load["warmup"] + 1
        requests = balance(model, books(node, dict.fromkeys(model, "default")), "s0", asked)
        assert requests["s1"] == requests["s0"] == asked
        assert requests["s3"] + requests["sdb1"] == 2 * asked  # s1 calls one of the two, s0 the latter
        assert all(requests[name] > 0 for name in model), requests
    finally:
        node.run_kubectl("delete", "dpu", "--all", "--timeout=60s", timeout=70)


# Ten services, as many as in the largest of muBench's own examples: serial and parallel calls, one service called twice.
GRAPH = {
    "s0": [["s1", "s2"], ["s3"]],
    "s1": [["s4", "s5"]],
    "s2": [["s6"]],
    "s3": [["s7"], ["s8"], ["s4__2"]],
    "s4": [["s9"]],
    "s5": [],
    "s6": [["s9", "s9__2"]],
    "s7": [],
    "s8": [["s9"]],
    "s9": [],
}  # fmt: skip


def times(graph, name="s0"):
    """How often each service is asked for one request to the first."""
    if name == "s0":
        return 1
    return sum(
        times(graph, caller) for caller, groups in graph.items() for group in groups for label in group
        if label.split("__")[0] == name
    )  # fmt: skip


def test_callees_of_other_paths_and_namespaces(node, space, tmp_path):
    """Nobody is told by hand where a callee is: the work model says it, and the import writes it down."""
    other = Space(node, f"{space.name}-other")
    try:
        elsewhere = {"namespace": other.name}
        model = public_model(
            GRAPH, space.name, s1={"path": "/work"}, s4={"path": "/a/b", **elsewhere}, s8=elsewhere, s9={"path": "/work", **elsewhere}
        )
        (tmp_path / "workmodel.json").write_text(json.dumps(model))
        imported = subprocess.run(
            [programs() / "dpumesh", "import", "workmodel.json", "-o", "app.yaml"],
            cwd=tmp_path, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert "find" not in imported.stderr, imported.stderr
        documents = list(yaml.safe_load_all((tmp_path / "app.yaml").read_text()))
        urls = {
            (one["metadata"]["name"], to["name"]): to["url"]
            for one in documents for to in one["spec"]["egress"].get("destinations", [])
        }  # fmt: skip
        assert urls["s0", "s1"] == "http://s1:8080/work" and urls["s8", "s9"] == "http://s9:8080/work"
        assert urls["s6", "s9"] == f"http://s9.{other.name}.svc:8080/work" and ("s0", "s2") not in urls
        applied = node.run_kubectl("apply", "-f", tmp_path / "app.yaml")
        assert applied.returncode == 0 and "Warning" not in applied.stderr, applied.stderr
        for where in (space, other):
            where.kubectl("wait", "--for=condition=Ready", "dpu", "--all", "--timeout=90s", timeout=100)
        target = space.target(port=8080)
        # A node learns of a Service a moment after its pods are ready; the first that all answer is the first that counts.
        eventually(lambda: ask(target)[0] == 200, 30, lambda: ask(target))
        services = {name: given["namespace"] for name, given in model.items()}
        before = books(node, services)
        count = 60
        status, result = burst(target, "--requests", count, "--concurrency", 4, "--timeout", "30s")
        assert (status, result["status"]) == (0, {"200": count}), result
        now = {name: metrics - before[name] for name, metrics in books(node, services).items()}
        requests = balance(model, now, "s0", count)
        assert requests == {name: count * times(GRAPH, name) for name in GRAPH}
        for caller, callee in edges(model):
            assert now[caller].total("dpumesh_forward_requests_total", destination=callee) > 0, (caller, callee)
    finally:
        node.delete_namespace(other.name)
