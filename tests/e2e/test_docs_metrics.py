"""docs/metrics.md and a live scrape tell the same story."""

import pathlib
import re

from agentkit import calls
from cellkit import Cell

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "metrics.md"


def written():
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", PAGE.read_text(), re.M)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows}


def scraped(text):
    families = {}
    for line in text.splitlines():
        declared = re.match(r"# (HELP|TYPE) (\S+) (.*)", line)
        if declared:
            families.setdefault(declared[2], {})[declared[1]] = declared[3]
            continue
        name, labels = re.match(r"([a-zA-Z_:]+)(?:\{(.*)\})? ", line).groups()
        for suffix in ("", "_bucket", "_sum", "_count"):
            family = families.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
            if family is not None:
                family.setdefault("labels", set()).update(set(re.findall(r'(\w+)="', labels or "")) - {"le"})
    return {name: (f["TYPE"], f.get("labels", set()), f["HELP"]) for name, f in families.items()}


def test_every_family_is_documented(start):
    # What has a label for the callee is there once there is one.
    with Cell("s2") as cell:
        destinations = [{"name": "s2", "url": cell.url}]
        workload = {"externalServices": calls(["s1", "s2"])}
        egress = {"destinations": destinations, "circuitBreaker": {"failures": 5}}
        agent = start(workload=workload, egress=egress).wait_serving()
        assert agent.ask()["status"] == 200
    page, live = written(), scraped(agent.get("/metrics").body.decode())
    assert set(page) == set(live)
    for name, described in page.items():
        assert described == live[name], name
