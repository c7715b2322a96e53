"""What traces cost an agent: the same load of agents that record nothing, that were told to stop, and that sample."""

import contextlib
import json
import os
import pathlib
import re
import time

from harness import Unmeasured, calm_pairs, fetch, median, row
from nginx import sink

def counted(agent, pattern):
    """Sum of the series of a page that match."""
    text = fetch(agent.http + "/metrics") or ""
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if re.match(pattern, line))


OTHER = r'dpumesh_host_cpu_seconds_total{stage="other"}'


def measured(bench, agent, arguments):
    """A run of the load; besides what all threads cost a request, what those that serve did: the exporter's is "other"."""
    before = counted(agent, OTHER)
    report = bench.load(agent, agent.bridge, *arguments)
    done = report["answered"] + report["warmup"]
    exporting = (counted(agent, OTHER) - before) * 1e6 / done
    return {**report, "serving_us": report["server_us_per_request"] - exporting}


def turned_off(agent):
    """Tells an agent that traced to stop."""
    path = pathlib.Path(agent.config)
    whole = json.loads(path.read_text())
    del whole["tracing"]
    path.with_suffix(".new").write_text(json.dumps(whole))
    os.replace(path.with_suffix(".new"), path)
    end = time.monotonic() + 10
    while not counted(agent, r'dpumesh_config_reloads_total{result="accepted"}'):
        if time.monotonic() > end:
            raise Unmeasured("the agent did not take up its configuration")
        time.sleep(0.02)


# name, tracing (None: none), the goal in ns added by the threads that serve.
VARIANTS = {
    "configured, then turned off": ({"ratio": 0.01}, 30),
    "ratio 0.01": ({"ratio": 0.01}, 300),
    "ratio 1": ({"ratio": 1}, 500),
}


def tracing(bench):
    """what traces cost: agents that record against one that does not, CPU a request of the threads that serve"""
    rows = []
    arguments = ["-k", "-c", 64, "-p", 16, "-d", bench.pick("3s", "1s"), "--warmup", "500ms", "--method", "POST", "--body", '{"s0": [{"s1": {}}]}']
    with sink(bench) as collector, contextlib.ExitStack() as agents:
        control = agents.enter_context(bench.agent(egress="0s"))
        for name, (settings, goal) in VARIANTS.items():
            whole = {"tracing": {"endpoint": collector.http, **settings}}
            with bench.agent(egress="0s", parts=whole) as agent:
                if "off" in name:
                    turned_off(agent)
                pairs = []
                for _ in range(bench.pick(7, 3)):
                    pairs.append((measured(bench, agent, arguments), measured(bench, control, arguments)))
                sent = counted(agent, "dpumesh_trace_spans_exported_total")
                lost = counted(agent, "dpumesh_trace_spans_dropped_total")
            bench.raw[f"tracing {name}"] = pairs
            pairs, disturbed = calm_pairs(*zip(*pairs))
            added = median([a["serving_us"] - b["serving_us"] for a, b in pairs]) * 1000
            every = median([a["server_us_per_request"] - b["server_us_per_request"] for a, b in pairs]) * 1000
            base = median([b["serving_us"] for _, b in pairs])
            rates = [median([report["rate_per_s"] for report in reports]) for reports in zip(*pairs)]
            failed = sum(a["failures"] + b["failures"] for a, b in pairs)
            rows.append(
                row(
                    f"traces, {name}: CPU added by the threads that serve",
                    f"{added:,.0f} ns a request",
                    f"{base * 1000:,.0f} ns",
                    f"{1 + added / base / 1000:.2f}",
                    f"<= {goal} ns",
                    added <= goal and not failed,
                    f"with the exporter's thread {every:,.0f} ns; {rates[0]:,.0f} and {rates[1]:,.0f} requests a second on "
                    f"one core; {sent:,.0f} spans sent, {lost:,.0f} dropped",
                    disturbed,
                )
            )
    return rows
