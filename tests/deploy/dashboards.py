"""The Grafana dashboard: its panels, their queries, and what Grafana puts in for its variables."""

import json
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
SOURCE = TOP / "deploy" / "grafana" / "dashboard.json"


def load():
    return json.loads(SOURCE.read_text())


def panels(dashboard):
    """All panels, those in collapsed rows as well, but no rows."""
    found = []
    for panel in dashboard["panels"]:
        found += panel.get("panels", []) if panel["type"] == "row" else [panel]
    return found


def queries(dashboard):
    """[(name of the panel and the query, expression)]"""
    return [(f"{p['title']} {t['refId']}", t["expr"]) for p in panels(dashboard) for t in p["targets"]]


def variables(dashboard):
    return {one["name"]: one for one in dashboard["templating"]["list"]}


def label_values(query):
    """(selector, label) of a variable's query label_values(selector, label)."""
    return re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()


def substituted(text, values):
    """As Grafana substitutes: a list as an expression that matches each of it. What is left is unknown."""
    for name, value in values.items():
        joined = value if isinstance(value, str) else "(" + "|".join(map(re.escape, value)) + ")"
        text = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", lambda _, joined=joined: joined, text)
    assert "$" not in text, text
    return text
