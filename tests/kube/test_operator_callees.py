"""Callees with another port or path than their callers look for: the operator tells the callers' agents."""

import json

from faults import Answer, Rule
from processes import eventually
from specs import dpu_service


def caller(name, *callees, mode="forward", **spec):
    workload = {"externalServices": [{"services": list(callees)}], **spec.pop("workload", {})}
    return dpu_service(name, egress={"mode": mode, **spec.pop("egress", {})}, workload=workload, **spec)


def callee(name, port=9090, path="/foo"):
    return dpu_service(name, service={"ports": {"http": port}}, workload={"path": path})


def told(system, name):
    """Where the agents of a DpuService are told that callees answer; None: there is no ConfigMap yet."""
    child = system.get("ConfigMap", f"{name}-dpu")
    return child and json.loads(child["data"]["agent.json"]).get("callees", {})


def expect_told(system, name, **callees):
    eventually(
        lambda: told(system, name) == callees, 20, lambda: f"{name}: {told(system, name)}\n{system.said()}"
    )


def written(system, mark):
    """Children that were written since, as (resource, name)."""
    events = [event["objectRef"] for event in system.writes(mark)]
    return {(one["resource"], one["name"]) for one in events if one["resource"] in ("configmaps", "services", "deployments")}


def test_it_comes_moves_and_goes(system):
    """In any order of creation, and by a ConfigMap alone: no pod is replaced for it."""
    system.operator()
    system.apply(callee("first", 80, "/"), caller("s0", "late", "first", "usual"), caller("s1", "late", mode="simulate"))
    expect_told(system, "s0", first="http://first:80/")
    eventually(lambda: system.get("Deployment", "s0-dpu"))
    deployment = system.get("Deployment", "s0-dpu")["metadata"]["generation"]

    system.apply(callee("late"), dpu_service("usual"))
    expect_told(system, "s0", first="http://first:80/", late="http://late:9090/foo")
    system.converged("s0", "s1", "late", "usual")
    assert told(system, "s1") == {}, "its calls are simulated"
    system.quiet()

    mark = system.cluster.audit_mark()
    system.patch("DpuService", "late", {"spec": {"workload": {"path": "/bar"}}})
    expect_told(system, "s0", first="http://first:80/", late="http://late:9090/bar")
    system.converged("s0", "late")
    system.quiet()
    assert written(system, mark) == {("configmaps", "s0-dpu"), ("configmaps", "late-dpu"), ("deployments", "late-dpu")}

    system.patch("DpuService", "late", {"spec": {"service": {"ports": {"http": 8080}}, "workload": {"path": "/api/v1"}}})
    expect_told(system, "s0", first="http://first:80/")
    system.converged("s0", "late")
    system.delete("DpuService", "first")
    expect_told(system, "s0")
    assert system.get("Deployment", "s0-dpu")["metadata"]["generation"] == deployment


def test_what_a_document_says_itself(system):
    """A URL of its own stays, a path of its own is where its agents look, and a callee may be named for traces alone."""
    system.operator()
    own = {"destinations": [{"name": "s1", "url": "http://s1.elsewhere.svc:1234/x"}, {"name": "s2"}, {"name": "s3"}]}
    system.apply(caller("s0", "s1", egress=own, workload={"path": "/foo"}))
    system.apply(callee("s1"), callee("s2", 8080, "/foo"), callee("s3", 8080, "/api/v1"))
    expect_told(system, "s0", s3="http://s3:8080/api/v1")
    system.converged("s0", "s1", "s2", "s3")
    system.patch("DpuService", "s0", {"spec": {"egress": {"destinations": None}}})
    expect_told(system, "s0", s1="http://s1:9090/foo")
    system.converged("s0")


def test_the_next_operator_finds_nothing_to_do(system):
    """What was told to whom is in memory alone; who comes to lead makes the same of the same."""
    operator = system.operator()
    system.apply(*[caller(f"s{i}", "hub") for i in range(5)], callee("hub"))
    for i in range(5):
        expect_told(system, f"s{i}", hub="http://hub:9090/foo")
    system.converged("hub", *[f"s{i}" for i in range(5)])
    system.quiet()
    operator.stop()
    mark = system.cluster.audit_mark()
    operator.start().wait_leading(30)
    reconciled = 'controller_runtime_reconcile_total{controller="dpuservice",result="success"}'
    eventually(lambda: operator.metrics().get(reconciled, 0) >= 6, 20, lambda: str(operator.metrics()))
    system.quiet()
    assert written(system, mark) == set()
    system.patch("DpuService", "hub", {"spec": {"workload": {"path": "/bar"}}})
    for i in range(5):
        expect_told(system, f"s{i}", hub="http://hub:9090/bar")


def test_a_write_that_fails_comes_again(system, proxy):
    """And the callee's own children are not held up by it."""
    system.operator(url=proxy.url)
    system.apply(caller("s0", "s1"), dpu_service("s1"))
    system.converged("s0", "s1")
    refused = Rule(Answer(500), method="PATCH", path="/configmaps/s0-dpu")
    proxy.plan(refused)
    system.apply(callee("s1"))
    eventually(lambda: refused.used >= 2, 20, lambda: f"{refused.seen} seen\n{system.said()}")
    system.converged("s1")
    assert told(system, "s0") == {}
    proxy.plan()
    expect_told(system, "s0", s1="http://s1:9090/foo")
    system.converged("s0")
