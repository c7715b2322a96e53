#!/usr/bin/env python3
"""The alert rules in their two forms: deploy/prometheus/alerts.yaml is the source, and the PrometheusRule of
the overlay, which kustomize can't make of it, is printed from it:

    tests/deploy/rules.py --write
"""

import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
SOURCE = TOP / "deploy" / "prometheus" / "alerts.yaml"
OBJECT = TOP / "deploy" / "overlays" / "prometheus" / "rules.yaml"
HEAD = """\
# Printed from deploy/prometheus/alerts.yaml by
#     tests/deploy/rules.py --write
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: dpumesh-operator
  namespace: dpumesh-system
  labels:
    app.kubernetes.io/name: dpumesh-operator
    app.kubernetes.io/instance: dpumesh-operator
    app.kubernetes.io/component: operator
    app.kubernetes.io/part-of: mubench-dpu
spec:
"""


def printed():
    """What the object's file should hold."""
    lines = SOURCE.read_text().splitlines(keepends=True)
    return HEAD + "".join("  " + line if line.strip() else line for line in lines)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(f"{__doc__}")
    OBJECT.write_text(printed())
