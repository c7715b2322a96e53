"""What the modelled data path costs an agent, and whether the clock keeps what the model says."""

import json
import subprocess

from harness import calm_pairs, median, row, run_pinned

# A service that does nothing and calls nobody: what is left is the way.
SHORT = {"workload": {"path": "/api/v1", "internalService": {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 1}}}}


def datapath(bench):
    """what the modelled data path costs the agent: its model by itself, and a whole agent with the profile that costs nothing"""
    rows = []
    for profile, rate in (("bluefield3-native", 0), ("bluefield3-native", 5000), ("ideal", 0)):
        runs = [
            run_pinned(bench, [bench.program("bench", "datapath")], profile, 1024, rate, bench.pick(1000000, 100000))
            for _ in range(bench.pick(7, 3))
        ]
        bench.raw[f"datapath {profile} {rate}"] = runs
        ns = median([run["ns"] for run in runs])
        how = f"{rate:,} a second" if rate else "batches of 64"
        rows.append(
            row(f"the model, {profile}, {how}", f"{ns:,.0f} ns a request", "-", "-", "<= 1000 ns", ns <= 1000, "CPU, two crossings")
        )
    # The same load of a whole agent: nothing crosses, and everything crosses at no cost.
    arguments = ["-k", "-c", 64, "-p", 16, "-d", bench.pick("3s", "1s"), "--warmup", "500ms"]
    ours, control = [], []
    with bench.agent(parts=SHORT) as direct, bench.agent(parts=SHORT, datapath={"mode": "dpu", "profile": "ideal"}) as ideal:
        for _ in range(bench.pick(7, 3)):
            ours.append(bench.load(ideal, ideal.bridge, *arguments))
            control.append(bench.load(direct, direct.bridge, *arguments))
    bench.raw["datapath agent"] = {"ours": ours, "control": control}
    pairs, disturbed = calm_pairs(ours, control)
    added = median([o["server_us_per_request"] - c["server_us_per_request"] for o, c in pairs])
    rates = [median([report["rate_per_s"] for report in reports]) for reports in zip(*pairs)]
    rows.append(
        row(
            "an agent whose messages cross for nothing: CPU added",
            f"{added * 1000:,.0f} ns a request",
            "mode direct",
            f"{rates[0] / rates[1]:.2f}",
            "<= 1000 ns",
            added <= 1 and not sum(report["failures"] for report in ours),
            f"{rates[0]:,.0f} and {rates[1]:,.0f} requests a second on one core",
            disturbed,
        )
    )
    return rows


def agree(bench):
    """the median of an agent with a data path, less that of one without a proxy, against what predict says of the same load"""
    rows, cores = [], {bench.core, bench.load_core}
    for profile, mode in (("bluefield3-native", "dpu"), ("bluefield3-preload", "dpu"), ("envoy-permissive", "sidecar")):
        for rate in (500, 2000):
            said = {}
            for each in ("direct", profile):
                command = [bench.program("bin", "dpumesh"), "predict", "--json", "--profile", each, "--frame", 1024, "--rate", rate]
                run = subprocess.run([*map(str, command), "--connections", "8"], capture_output=True, text=True, check=True, timeout=60)
                said[each] = json.loads(run.stdout)["latency_us"]["p50"]
            arguments = ["-k", "-c", 8, "--rate", rate, "-d", bench.pick("3s", "2s"), "--warmup", "500ms"]
            ours, control = [], []
            datapath_of = {"mode": mode, "profile": profile}
            with bench.agent(cores=cores, parts=SHORT) as direct, bench.agent(cores=cores, parts=SHORT, datapath=datapath_of) as agent:
                for _ in range(bench.pick(7, 3)):
                    control.append(bench.load(direct, direct.bridge, *arguments))
                    ours.append(bench.load(agent, agent.bridge, *arguments))
            bench.raw[f"agree {profile} {rate}"] = {"ours": ours, "control": control, "predict": said}
            kept = [(o, c) for o, c in zip(ours, control) if not o["host_busy"]]
            disturbed = "" if len(kept) * 2 > len(ours) else "the agent says that this machine was too busy for the model's time"
            pairs = kept or list(zip(ours, control))
            added = median([o["latency_us"]["p50"] - c["latency_us"]["p50"] for o, c in pairs])
            expected = said[profile] - said["direct"]
            total = median([o["latency_us"]["p50"] for o, _ in pairs])
            rows.append(
                row(
                    f"{profile} at {rate}/s: added to p50",
                    f"{added:,.0f} us",
                    f"{expected:,.0f} us",
                    "",
                    "10 % + 50 us",
                    abs(added - expected) <= said[profile] / 10 + 50,
                    f"control: predict, less direct; the agent's own p50 is {total:,.0f} us, predict's {said[profile]:,.0f}",
                    disturbed,
                )
            )
    return rows
