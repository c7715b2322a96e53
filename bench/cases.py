"""What bench/run measures. Each case returns its rows; each row is compared with a goal of the project.

Ours and the control alternate within one run (A B A B ...), on the same core, under the same load; a
ratio is the median of the pairs' ratios. A comparison that other programs disturbed is neither met nor missed.
"""

import json
import pathlib
import re
import shutil
import subprocess
import time

from datapath import agree, datapath
from harness import (
    DISTURBED,
    Process,
    Unmeasured,
    Watched,
    calm_pairs,
    fetch,
    free_port,
    interrupt,
    median,
    metric,
    metrics,
    row,
    run_pinned,
)
from nginx import nginx, nginx_proxy
from protocols import protocols
from tracing import tracing

# A page of a real agent.
PAGE = pathlib.Path(__file__).resolve().parents[1] / "tests" / "figures" / "pages" / "before"

# The original client's request.
REQUEST = ["--method", "POST", "--body", '{"s0": [{"s1": {}}]}']


def idle(bench):
    """resident memory and CPU of an agent that nobody asks"""
    with bench.agent() as agent:
        time.sleep(1)
        cpu, switches, started = agent.cpu_ns(), agent.switches(), time.monotonic()
        time.sleep(bench.pick(12, 3))
        seconds = time.monotonic() - started
        percent = (agent.cpu_ns() - cpu) / 1e7 / seconds
        sleeps = (agent.switches() - switches) / seconds
        memory, peak = agent.memory_kib()
    bench.raw["idle"] = {"rss_kib": memory, "hwm_kib": peak, "cpu_percent": percent, "wakes_per_s": sleeps}
    mib = memory / 1024
    return [
        row("idle: resident memory", f"{mib:.1f} MiB", "-", "-", "<= 4 MiB", mib <= 4),
        row("idle: CPU", f"{percent:.3f} %", "-", "-", "< 0.1 %", percent < 0.1, f"{sleeps:.1f} wakes a second"),
    ]


CALLS = 100000


def fly(bench, *how):
    """CALLS requests that take long, sent in this manner: what the agent held, and what was answered."""
    seconds = bench.pick(8, 5)
    with bench.agent(egress=f"{seconds}s") as agent:
        idle_kib, _ = agent.memory_kib()
        arguments = ["-k", "-c", 1000, "-p", 120, "-n", CALLS, "--timeout", "120s", *how, *REQUEST]
        with subprocess.Popen(bench.load_command(agent.bridge, *arguments), stdout=subprocess.PIPE, text=True) as load:
            most, at_most, end = 0, 0, time.monotonic() + seconds + 30
            while load.poll() is None and time.monotonic() < end:
                now = metric(metrics(agent), "dpumesh_egress_in_flight")
                if now >= most:
                    most, at_most = now, agent.memory_kib()[0]
                time.sleep(0.1)
            out = load.communicate()[0] if load.poll() is not None else interrupt(load)
        _, peak = agent.memory_kib()
    report = json.loads(out)
    statuses = ", ".join(f"{count:,} answered {code}" for code, count in report["status"].items())
    note = f"{most:,.0f} calls seen in flight at once, {statuses}, {report['failed']} failed"
    return {
        "calls": most,
        "rss_kib": at_most,
        "hwm_kib": peak,
        "idle_kib": idle_kib,
        "answered": report["status"].get("200", 0),
        "note": note,
        "load": report,
    }


def in_flight(bench):
    """resident memory with 100,000 calls in flight, at 50,000 new ones a second and all at once"""
    paced, burst = fly(bench, "--rate", 50000), fly(bench)
    bench.raw["in_flight"] = {"paced": paced, "burst": burst}
    rows = []
    for name, run in (("100,000 calls in flight", paced), ("100,000 calls in a burst", burst)):
        mib = max(run["rss_kib"], run["hwm_kib"]) / 1024
        good = run["answered"] == CALLS and mib <= 25 and (run is burst or run["calls"] >= CALLS)
        rows.append(row(f"{name}: memory", f"{mib:.1f} MiB", "-", "-", "<= 25 MiB", good, run["note"]))
    return rows


def limit_note(reports):
    """Who was the limit: a server that is not busy was held back by the load."""
    server = median([report["server_busy"] for report in reports])
    load = median([report["load_busy"] for report in reports])
    cost = median([report["server_us_per_request"] for report in reports])
    return f"{cost:.2f} us CPU a request, server busy {server:.0%}, load busy {load:.0%}"


def throughput(bench, depth, connections, goal):
    seconds, warmup = bench.pick(("3s", "1s"), ("1s", "500ms"))
    arguments = ["-k", "-c", connections, "-p", depth, "-d", seconds, "--warmup", warmup, "--timeout", "60s", *REQUEST]
    ours, control = [], []
    with bench.agent() as agent, bench.echo() as echo:
        for _ in range(bench.pick(5, 2)):
            ours.append(bench.load(agent, agent.bridge, *arguments))
            control.append(bench.load(echo, echo.bridge, "--any-answer", *arguments))
    name = f"bridge, depth {depth}"
    bench.raw[f"bridge_depth_{depth}"] = {"ours": ours, "control": control}
    failures = sum(report["failures"] for report in ours)
    pairs, disturbed = calm_pairs(ours, control)
    ours, control = zip(*pairs)
    rates = [report["rate_per_s"] for report in ours], [report["rate_per_s"] for report in control]
    ratio = median([a / b for a, b in zip(*rates)])
    costs = [c["server_us_per_request"] / o["server_us_per_request"] for o, c in pairs]
    note = f"ours {limit_note(ours)}; control {limit_note(control)}"
    if failures:
        note = f"{failures} requests failed; {note}"
    return [
        row(
            f"{name}: requests a second",
            f"{median(rates[0]):,.0f}",
            f"{median(rates[1]):,.0f}",
            f"{ratio:.2f}",
            f">= {goal} of echo",
            ratio >= goal and not failures,
            note,
            disturbed,
        ),
        row(f"{name}: by CPU a request", "", "", f"{median(costs):.2f}", "", None, "echo's cost / ours"),
    ]


def bridge_1(bench):
    """throughput of the bridge, one request in flight a connection, against a raw epoll echo"""
    # 50 ms times the rate are in flight: fewer connections would limit the rate.
    return throughput(bench, 1, 10000, 0.75)


def bridge_16(bench):
    """the same with 16 requests in flight a connection"""
    return throughput(bench, 16, 6000, 0.4)


def wakes(bench):
    """how often a doorbell wakes a thread of the agent, which has both cores: on one it runs on one thread"""
    names = "dpumesh_requests_total", "dpumesh_wakes_total", "dpumesh_doorbells_total"
    rows = []
    for depth, connections in ((1, 10000), (16, 6000)):
        arguments = ["-k", "-c", connections, "-p", depth, "-d", bench.pick("3s", "1s"), "--timeout", "60s", *REQUEST]
        with bench.agent(cores={bench.core, bench.load_core}) as agent:
            before = metrics(agent)
            report = bench.load(agent, agent.bridge, *arguments)
            after = metrics(agent)
        requests, woken, rung = (metric(after, name) - metric(before, name) for name in names)
        bench.raw[f"wakes_depth_{depth}"] = {"requests": requests, "wakes": woken, "doorbells": rung, "load": report}
        if not requests or not rung:
            raise Unmeasured(f"no doorbell was rung in {requests:,.0f} requests: the agent ran on one thread")
        note = f"{woken:,.0f} wakes, {rung:,.0f} doorbells, {requests:,.0f} requests at {report['rate_per_s']:,.0f}/s"
        each = woken / requests
        rows.append(row(f"wakes a request, depth {depth}", f"{each:.4f}", "-", "-", "< 0.1", each < 0.1, note))
    return rows


def wrk(bench, server, url):
    """A rate, and what it cost. server: the process that is asked, or a list of all that take part."""
    servers = server if isinstance(server, list) else [server]
    server = servers[0]
    before, waited = sum(s.cpu_ns() for s in servers), sum(s.waited_ns() for s in servers)
    command = ["taskset", "-c", str(bench.load_core), "wrk", "-t1", "-c64", f"-d{bench.pick(3, 1)}s", url]
    if not shutil.which("wrk"):
        raise Unmeasured("wrk is not installed; ./dev setup bench installs it")
    run = Watched(command, timeout=60)
    rate = re.search(r"Requests/sec: +([0-9.]+)", run.stdout)
    count = re.search(r"(\d+) requests in", run.stdout)
    bad = re.search(r"Non-2xx.*: (\d+)|Socket errors.*", run.stdout)
    if not rate or bad:
        raise Unmeasured(f"wrk against {server.name}: {bad[0] if bad else run.stdout + run.stderr}")
    spent = sum(s.cpu_ns() for s in servers) - before
    return {
        "rate_per_s": float(rate[1]),
        "server_us_per_request": spent / 1e3 / int(count[1]),
        "server_busy": spent / 1e9 / run.seconds,
        # Of several on one core each waits for the others: that is no disturbance.
        "server_waited": (server.waited_ns() - waited) / 1e9 / run.seconds if len(servers) == 1 else 0,
        "load_waited": run.waited,
    }


def http(bench):
    """the HTTP path without egress against nginx with a body of 3 bytes, by wrk on 64 connections"""
    ours, control = [], []
    with bench.agent(calls=False) as agent, nginx(bench) as server:
        url = agent.http + "/api/v1"
        if fetch(url) is None:
            raise Unmeasured(f"the agent does not answer on {url}")
        for _ in range(bench.pick(5, 2)):
            ours.append(wrk(bench, agent, url))
            control.append(wrk(bench, server, server.http + "/"))
    bench.raw["http"] = {"ours": ours, "control": control}
    pairs, disturbed = calm_pairs(ours, control)
    ours, control = zip(*pairs)
    rates = [report["rate_per_s"] for report in ours], [report["rate_per_s"] for report in control]
    ratio = median([a / b for a, b in zip(*rates)])
    note = "; ".join(
        f"{name} {median([r['server_us_per_request'] for r in reports]):.2f} us CPU a request, "
        f"busy {median([r['server_busy'] for r in reports]):.0%}"
        for name, reports in (("ours", ours), ("nginx", control))
    )
    return [
        row(
            "HTTP: requests a second",
            f"{median(rates[0]):,.0f}",
            f"{median(rates[1]):,.0f}",
            f"{ratio:.2f}",
            ">= 1.0 of nginx",
            ratio >= 1.0,
            note,
            disturbed,
        )
    ]


def forwarding(bench, back):
    """An agent whose requests make one real call each, to an agent that answers at once."""
    return bench.agent(
        parts={
            "egress": {"mode": "forward"},
            "peers": {"s1": {"http": back.http + "/api/v1"}},
            "datapath": {"mode": "direct"},
        }
    )


def p50(bench, server, url):
    """Median latency of one request after the other, in us."""
    report = bench.load(server, url, "-k", "-c", 1, "-d", bench.pick("2s", "1s"), "--warmup", "300ms")
    if report["failures"] or not report["latency_us"]:
        raise Unmeasured(f"{server.name}: {report['failures']} of {report['requests']} failed")
    return report["latency_us"]["p50"]


def chain(bench):
    """a real call: two agents, one calling the other, against nginx as a proxy in front of nginx; all on one core"""
    rates, hops = {"ours": [], "nginx": []}, {"ours": [], "nginx": []}
    direct = {"datapath": {"mode": "direct"}}
    with bench.agent(calls=False, parts=direct) as back, forwarding(bench, back) as front, nginx(bench) as server:
        with nginx_proxy(bench, server) as proxy:
            pairs = {"ours": (front, back, "/api/v1"), "nginx": (proxy, server, "/")}
            for name, (first, second, path) in pairs.items():
                if fetch(first.http + path) is None:
                    raise Unmeasured(f"{name}: the chain does not answer")
            for _ in range(bench.pick(5, 2)):
                for name, (first, second, path) in pairs.items():
                    rates[name].append(wrk(bench, [first, second], first.http + path))
            for _ in range(bench.pick(5, 2)):
                for name, (first, second, path) in pairs.items():
                    both = p50(bench, first, first.http + path)
                    hops[name].append(both - p50(bench, second, second.http + path))
    bench.raw["chain"] = {"rates": rates, "hops_us": hops}
    pairs, disturbed = calm_pairs(rates["ours"], rates["nginx"])
    ours, control = ([run["rate_per_s"] for run in runs] for runs in zip(*pairs))
    ratio = median([a / b for a, b in zip(ours, control)])
    costs = [median([run["server_us_per_request"] for run in runs]) for runs in zip(*pairs)]
    ours_us, nginx_us = median(hops["ours"]), median(hops["nginx"])
    return [
        row(
            "chain of two: requests a second",
            f"{median(ours):,.0f}",
            f"{median(control):,.0f}",
            f"{ratio:.2f}",
            ">= 0.5 of nginx",
            ratio >= 0.5,
            f"ours {costs[0]:.2f} us CPU a request in both, nginx {costs[1]:.2f}",
            disturbed,
        ),
        row(
            "chain of two: p50 that the hop adds",
            f"{ours_us:.0f} us",
            f"{nginx_us:.0f} us",
            f"{ours_us / nginx_us:.2f}" if nginx_us > 0 else "-",
            "<= nginx",
            ours_us <= nginx_us,
            "one request at a time; the chain's p50 less that of its end alone",
            disturbed,
        ),
    ]


def added(bench):
    """time beyond the simulated 50 ms at 20,000 requests a second, open loop, against an echo that waits 50 ms"""
    seconds, warmup = bench.pick(("4s", "1s"), ("1500ms", "500ms"))
    arguments = ["-k", "-c", 4000, "--rate", 20000, "-d", seconds, "--warmup", warmup, *REQUEST]
    runs = {"ours": [], "delayed": [], "plain": []}
    with bench.agent() as agent, bench.echo(50000) as delayed, bench.echo() as plain:
        for _ in range(bench.pick(5, 2)):
            runs["ours"].append(bench.load(agent, agent.bridge, *arguments))
            runs["delayed"].append(bench.load(delayed, delayed.bridge, "--any-answer", *arguments))
            runs["plain"].append(bench.load(plain, plain.bridge, "--any-answer", *arguments))
    bench.raw["added"] = dict(runs)
    for name, reports in runs.items():
        for report in reports:
            # Unsent: a stall of the machine; past one in a thousand the quantiles would lack it.
            if report["failures"] or report["unsent"] > report["requests"] / 1000 or not report["latency_us"]:
                raise Unmeasured(
                    f"{name}: {report['failures']} failed and {report['unsent']} were not sent of "
                    f"{report['requests']} at 20,000/s"
                )

    pairs, disturbed = calm_pairs(runs["ours"], runs["delayed"])
    runs["ours"], runs["delayed"] = zip(*pairs)

    def beyond(name, quantile):
        wait = 0 if name == "plain" else 50000
        return [report["latency_us"][quantile] - wait for report in runs[name]]

    def text(name, quantile):
        return f"{median(beyond(name, quantile)):,.0f} us"

    more = median([a - b for a, b in zip(beyond("ours", "p50"), beyond("delayed", "p50"))])
    ratio = median([a / b for a, b in zip(beyond("ours", "p99"), beyond("delayed", "p99"))])
    title = "added to 50 ms at 20,000/s"
    return [
        row(
            f"{title}: p50",
            text("ours", "p50"),
            text("delayed", "p50"),
            f"{more:+.0f} us",
            "<= echo + 75 us",
            more <= 75,
            f"an echo without delay: {text('plain', 'p50')}",
            disturbed,
        ),
        row(
            f"{title}: p99",
            text("ours", "p99"),
            text("delayed", "p99"),
            f"{ratio:.2f}",
            "<= 1.5 of echo",
            ratio <= 1.5,
            f"an echo without delay: {text('plain', 'p99')}; {limit_note(runs['ours'])}",
            disturbed,
        ),
    ]


CONTROL_RING = "ck spsc 32 B"


def hop(bench):
    """one way through a queue between two threads that spin, by bench/rings"""
    path = f"{bench.directory}/rings.json"
    command = [bench.program("bench", "rings"), "--json", path, "--runs", bench.pick(7, 3), "--hops", 100000]
    command += ["--messages", 1000000, "--cores", f"{bench.core},{bench.load_core}"]
    command += ["--only", "agent/ring.h", "--only", CONTROL_RING]
    run = Watched(command, timeout=120)
    disturbed = "other programs used these cores; run it again" if run.waited > DISTURBED else ""
    if run.returncode:
        raise Unmeasured(f"bench/rings ended with status {run.returncode}: {run.stderr.strip()}")
    with open(path, encoding="utf-8") as file:
        bench.raw["rings"] = result = json.load(file)
    ours, control = result["rings"].get("agent/ring.h"), result["rings"][CONTROL_RING]
    if not ours:
        raise Unmeasured("bench/rings was built without agent/ring.h")
    clock = result["clock_ns"]
    rows = []
    for quantile, goal in (("p50", 150), ("p99", 250)):
        a, b = ours[f"hop_{quantile}_ns"] - clock, control[f"hop_{quantile}_ns"] - clock
        note = f"{clock:.0f} ns of reading the clock taken off both; the control is libck's SPSC ring, 32 bytes by value"
        rows.append(
            row(
                f"queue hop: {quantile}",
                f"{a:.0f} ns",
                f"{b:.0f} ns",
                f"{a / b:.2f}",
                f"<= {goal} ns",
                a <= goal,
                note,
                disturbed,
            )
        )
    return rows


def scrape_once(bench, *arguments):
    command = ["taskset", "-c", str(bench.load_core), bench.program("bench", "scrape"), *arguments]
    run = Watched(command, timeout=60)
    result = json.loads(run.stdout) if run.returncode == 0 else {}
    if run.returncode or result["failed"]:
        raise Unmeasured(f"bench/scrape: {run.stderr.strip() or run.stdout.strip()}")
    return {**result, "load_waited": run.waited, "server_waited": 0}


def scrape(bench):
    """the operator's scraper over 500 agents' pages against curl's multi interface that throws them away, by bench/agents"""
    ours, control, port = [], [], free_port()
    where = ["--count", 500, "--port", port, "--runs", bench.pick(10, 3)]
    with Process([bench.program("bench", "agents"), *where[:4]], bench.core, bench.directory) as agents:
        agents.wait_until(lambda: "listening" in agents.output.read_text(), "listening")
        for _ in range(bench.pick(7, 3)):
            ours.append(scrape_once(bench, *where))
            control.append(scrape_once(bench, *where, "--plain"))
    parse = scrape_once(bench, "--parse", PAGE, "--runs", bench.pick(20000, 5000))
    bench.raw["scrape"] = {"ours": ours, "control": control, "parse": parse}
    pairs, disturbed = calm_pairs(ours, control)
    costs = [[run["cpu_us_per_page"] for run in runs] for runs in zip(*pairs)]
    ratio = median([a / b for a, b in zip(*costs)])
    rates = [median([run["pages"] / run["seconds"] for run in runs]) for runs in zip(*pairs)]
    note = (
        f"of it {parse['cpu_us_per_page']:.0f} us reading {PAGE.stat().st_size / 1000:.0f} kB; "
        f"{rates[0]:,.0f} pages/s, the control {rates[1]:,.0f}; 16 at once, a connection each"
    )
    ours_us, control_us = (f"{median(cost):.0f} us" for cost in costs)
    return [row("an agent's page: CPU", ours_us, control_us, f"{ratio:.2f}", "<= 2.00", ratio <= 2, note, disturbed)]


def work(bench):
    """the internal work of muBench's vocabulary against the same in Python, by bench/work and bench/work.py"""
    ours_command = [bench.program("bench", "work")]
    control_command = ["/usr/bin/python3", pathlib.Path(__file__).with_name("work.py")]
    # What is done, how often by ours and by the control in a run.
    shapes = [
        ("50 digits of pi", ["pi", 50], 20000, 1000),
        ("100 digits of pi", ["pi", 100], 5000, 500),
        ("1000 digits of pi", ["pi", 1000], 100, 5),
        ("memoryStress, its defaults", ["memory", 10000, 1000], 200, 100),
        ("memoryStress, 1,000,000 operations", ["memory", 1000, 1000000], 200, 3),
        ("diskStress, its defaults", ["disk", bench.directory, 1000, 1024], 20, 20),
    ]
    rows = []
    for what, arguments, ours_runs, control_runs in shapes:
        ours, control = [], []
        for _ in range(bench.pick(7, 3)):
            ours.append(run_pinned(bench, ours_command, *arguments, ours_runs))
            control.append(run_pinned(bench, control_command, *arguments, control_runs))
        if len({run["check"] for run in ours + control}) != 1:
            raise Unmeasured(f"{what}: ours and the control did not compute the same")
        bench.raw[f"work {what}"] = {"ours": ours, "control": control}
        ratio = median([b["cpu_us"] / a["cpu_us"] for a, b in zip(ours, control)])
        walls = [median([run["wall_us"] for run in runs]) for runs in (ours, control)]
        texts = (f"{median([run['cpu_us'] for run in runs]):,.1f} us" for runs in (ours, control))
        note = f"CPU time; by the clock {walls[0]:,.1f} us and {walls[1]:,.1f} us"
        if arguments[0] != "disk":
            note += ", the same result"
        rows.append(row(f"{what}: how much faster", *texts, f"{ratio:.1f}", "> 1.0", ratio > 1, note))
    return rows


def policy(bench):
    """what L7 policies cost: each by itself against a call of nothing, and all of them in an agent under load"""
    arguments = ["--rounds", str(bench.pick(31, 9))]
    program = bench.program("bench", "policy")
    ns = json.loads(subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout)
    control = ns.pop("control")
    off = ns.pop("off")
    calls = {name: ns.pop(name) for name in ("call", "retries", "failed_call", "retried_once")}
    rows = [
        row("policy: none", f"{off:.1f} ns", f"{control:.1f} ns", "", "<= 5 ns", off <= 5, "CPU a request, over a call of nothing")
    ]
    rows += [
        row(f"policy: {name}", f"{cost:.1f} ns", f"{off:.1f} ns", "", "<= 200 ns", cost <= 200)
        for name, cost in ns.items()
    ]
    call, retries, failed, once = (f"{cost:.1f} ns" for cost in calls.values())
    met, note = calls["retries"] <= 200, "no call fails; over a simulated call without retries"
    rows.append(row("policy: retries", retries, call, "", "<= 200 ns", met, note))
    rows.append(row("policy: a call tried again once", once, failed, "", "-", None, "over a call that fails"))
    every = {
        "rateLimit": {"service": {"rate": 1e9}, "source": {"rate": 1e9}},
        "concurrency": {"limit": 1000000},
        "faults": [{"header": {"name": "x-chaos"}, "abort": {"percent": 100}}, {"abort": {"percent": 1e-9}}],
    }
    seconds, warmup = bench.pick(("3s", "1s"), ("1s", "500ms"))
    load = ["-k", "-c", 1000, "-p", 16, "-d", seconds, "--warmup", warmup, "--timeout", "60s", *REQUEST]
    ours, plain = [], []
    retries = {"retryOn": ["connect", "reset", "timeout", "5xx"], "perTryTimeout": "10s"}
    egress = {"latency": {"value": "1ms"}, "circuitBreaker": {"failures": 5}, "retries": retries}
    policed = bench.agent(datapath={"mode": "direct", "policy": every}, parts={"egress": egress})
    with policed, bench.agent(egress="1ms") as agent:
        for _ in range(bench.pick(7, 3)):
            ours.append(bench.load(policed, policed.bridge, *load))
            plain.append(bench.load(agent, agent.bridge, *load))
    bench.raw["policy"] = {"ns": {"control": control, "off": off, **ns, **calls}, "all": ours, "none": plain}
    pairs, disturbed = calm_pairs(ours, plain)
    costs = [[run["server_us_per_request"] for run in runs] for runs in zip(*pairs)]
    more = median([a - b for a, b in zip(*costs)]) * 1000
    goal = 200 * 6
    all_, none = (f"{median(cost):.2f} us" for cost in costs)
    note = f"{more:.0f} ns more a request with one call; the bound is 200 ns for each of the six"
    rows.append(row("an agent with six policies: CPU", all_, none, "", f"+ <= {goal} ns", more <= goal, note, disturbed))
    return rows


CASES = {
    "idle": idle,
    "in-flight": in_flight,
    "bridge-1": bridge_1,
    "bridge-16": bridge_16,
    "wakes": wakes,
    "http": http,
    "chain": chain,
    "protocols": protocols,
    "added": added,
    "hop": hop,
    "scrape": scrape,
    "work": work,
    "datapath": datapath,
    "agree": agree,
    "policy": policy,
    "tracing": tracing,
}
