"""What a call between two agents would cost in the bridge's protocol instead of HTTP/1.1."""

import json

from harness import calm_pairs, median, row, run_pinned

# A service that does nothing and calls nobody: what is left is the protocol.
SHORT = {"workload": {"path": "/api/v1", "internalService": {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 0}}}}

PARTS = ("ask", "hear", "answer", "learn")
KINDS = {
    "plain": "3 bytes, nothing that travels",
    "traced": "3 bytes, query and two headers",
    "large": "11,000 bytes, query and two headers",
}

# connections and requests in flight on each, of HTTP and of the bridge. The last: what only a client that has many
# calls under way on one connection could do, against ours, which has one.
DEPTHS = (((64, 1), (64, 1)), ((64, 16), (64, 16)), ((64, 1), (4, 16)))


def bytes_alone(bench):
    """Writing and reading, by the agent's own functions, without a socket."""
    rounds = bench.pick(31, 9)
    figures = run_pinned(bench, [bench.program("bench", "protocols")], "--rounds", rounds)
    bench.raw["protocols bytes"] = figures
    rows = []
    for kind, what in KINDS.items():
        http, bridge = figures[kind]["http"], figures[kind]["bridge"]
        sums = [sum(one[part] for part in PARTS) for one in (http, bridge)]
        each = ", ".join(f"{part} {http[part]:.0f} and {bridge[part]:.0f}" for part in PARTS)
        note = f"CPU at both ends; {each}; {http['bytes']} and {bridge['bytes']} bytes"
        rows.append(
            row(f"a call as bytes, {what}", f"{sums[0]:.0f} ns", f"{sums[1]:.0f} ns", f"{sums[0] / sums[1]:.2f}", "", None, note)
        )
    return rows


def protocols(bench):
    """HTTP/1.1 between agents (ours) against the bridge's JSON lines (control): as bytes alone, and the callee's CPU"""
    rows = bytes_alone(bench)
    with bench.agent(parts=SHORT, calls=False) as agent:
        targets = agent.http + "/api/v1", agent.bridge
        for http, bridge in DEPTHS:
            runs = [], []
            for _ in range(bench.pick(7, 3)):
                for which, (connections, depth) in enumerate((http, bridge)):
                    arguments = ["-k", "-c", connections, "-p", depth, "-d", bench.pick("3s", "1s"), "--warmup", "300ms"]
                    runs[which].append(bench.load(agent, targets[which], *arguments))
            bench.raw[f"protocols {http} {bridge}"] = runs
            pairs, disturbed = calm_pairs(*runs)
            costs = [[run["server_us_per_request"] for run in side] for side in zip(*pairs)]
            rates = [median([run["rate_per_s"] for run in side]) for side in zip(*pairs)]
            failed = sum(run["failures"] for side in runs for run in side)
            ratio = median([a / b for a, b in zip(*costs)])
            shapes = [f"{connections} x {depth}" for connections, depth in (http, bridge)]
            what = shapes[0] if http == bridge else " against ".join(shapes)
            note = f"connections x requests in flight on each; {rates[0]:,.0f} and {rates[1]:,.0f} a second on one core"
            if failed:
                note = f"{failed} requests failed; {note}"
            texts = (f"{median(cost):.2f} us" for cost in costs)
            rows.append(row(f"the callee's CPU a call, {what}", *texts, f"{ratio:.2f}", "", None, note, disturbed))
    return rows
