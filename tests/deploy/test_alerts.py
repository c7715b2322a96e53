"""The alert rules: promtool tests them, their two forms agree, and each metric in them exists."""

import re
import subprocess

import yaml

import operatorkit
import rules
from manifests import TOP
from processes import eventually
from specs import dpu_service

TESTS = TOP / "tests" / "deploy" / "alerts.test.yaml"
WORDS = {
    "and", "bool", "by", "group_left", "group_right", "ignoring", "offset", "on", "or", "unless", "without",
}  # fmt: skip


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts():
    return [rule for group in yaml.safe_load(rules.SOURCE.read_text())["groups"] for rule in group["rules"]]


def test_promtool():
    promtool("check", "rules", rules.SOURCE)
    promtool("test", "rules", TESTS)


def test_both_forms_agree():
    assert rules.OBJECT.read_text() == rules.printed(), "run tests/deploy/rules.py --write"


def test_each_alert_is_tested_and_explained():
    text = TESTS.read_text()
    for rule in alerts():
        assert re.search(rf"alertname: {rule['alert']}\n +eval_time: \w+\n +exp_alerts:\n", text), rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)


def named(expression):
    """The metrics of an expression."""
    text = re.sub(r'"[^"]*"', "", expression)
    text = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", text)
    text = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", "", text)
    found = re.findall(r"\b([a-zA-Z_:][\w:]*)\b(?!\s*\()", text)
    return {name for name in found if name not in WORDS}


def test_names_are_found():
    found = named('sum by (job) (a_total{b="c_total"} * on (x) group_left d) / rate(e_bucket[5m]) unless up == 0')
    assert found == {"a_total", "d", "e_bucket", "up"}


def samples_of(families):
    """Names of the samples of [(family, kind)]."""
    ends = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
    return {name + end for name, kind in families for end in ends.get(kind, ("",))}


def documented(page):
    """[(family, kind)] of a page of docs/."""
    return re.findall(r"^\| `(\w+)` \| (\w+) \|", (TOP / "docs" / page).read_text(), re.M)


def test_each_metric_exists(cluster, tmp_path):
    """Of agents docs/metrics.md tells, which a test compares with a live one; the operator's docs/operator.md,
    which is compared with a live one here."""
    operatorkit.install(cluster)
    system = operatorkit.System(cluster, cluster.create_namespace("shop"), tmp_path)
    operator = system.operator()
    system.apply(dpu_service("s0"))
    eventually(lambda: system.get("Service", "s0"), 30, system.said)
    text = operator.page("/metrics")
    system.stop()
    live = set(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.M))
    assert len(live) > 30
    assert set(documented("operator.md")) == live
    samples = samples_of(live) | samples_of(documented("metrics.md"))
    for rule in alerts():
        assert named(rule["expr"])
        missing = named(rule["expr"]) - samples
        assert not missing, f"{rule['alert']}: nobody has {missing}"
    # And those of the labels that select.
    for name, label, value in (
        ("dpumesh_build_info", "component", "operator"),
        ("workqueue_depth", "name", "dpuservice"),
        ("controller_runtime_reconcile_errors_total", "controller", "dpuservice"),
        ("leader_election_master_status", "name", ""),
        ("reflector_watch_failures_total", "resource", "pods"),
        ("rest_client_requests_total", "code", "20"),
    ):
        assert re.search(rf'^{name}\{{[^}}]*{label}="{value}', text, re.M), name
