"""dpumesh compare: with an agent that only counts, all figures are known; with real ones, they hold together."""

import json
import pathlib
import re
import signal
import time

import pytest

from conftest import TOP, eventually

COUNTING = pathlib.Path(__file__).with_name("counting_agent.py")
SERVICES = {"front": {"workload": {"externalServices": [{"services": ["back"]}]}}, "back": {}}
QUICK = ("--duration", "1s", "--warmup", "200ms", "--rate", "200", "--connections", "4")


@pytest.fixture
def compare(local):
    """Runs it over SERVICES, or over what is given; returns (the JSON, standard output, standard error)."""
    local.agent = COUNTING

    def run(*arguments, path=None, status=0, quick=QUICK, agent=True):
        path = path or local.write(SERVICES)
        report = local.folder / "report.json"
        made = local.run(
            "compare", "-f", path, "--address", local.address, "--json", report, *quick,
            *(("--agent", local.agent) if agent else ()), *arguments, status=status,
        )  # fmt: skip
        return json.loads(report.read_text()) if report.exists() else None, *made

    return run


def runs_of(result):
    return {run["mode"]: run for run in result["runs"]}


def test_every_figure_is_of_the_run(compare):
    """What was counted before, and in the warm-up, is in none of them."""
    result, out, err = compare()
    assert [run["mode"] for run in result["runs"]] == ["direct", "sidecar", "dpu"]
    assert result["apiVersion"] == "dpumesh.io/compare/v1alpha1" and result["rate_per_s"] == 200
    runs = runs_of(result)
    assert [run["profile"] for run in result["runs"]] == ["", "envoy-permissive", "bluefield3-native"]
    for run in result["runs"]:
        count = run["requests"]
        assert 120 < count < 280 and run["errors"] == 0 and run["unsent"] == 0
        assert run["load"]["status"] == {"200": count}
        assert 0.9 < run["seconds"] < 5
        assert 0 < run["latency_us"]["p50"] <= run["latency_us"]["p90"] <= run["latency_us"]["p99"]
        assert run["achieved_per_s"] == pytest.approx(count, rel=0.3)
        assert run["client_cpu_s"] > 0 and run["host_busy"] is False
        assert run["host_cores"] == pytest.approx(sum(run["host_cpu_s"].values()) / run["seconds"])
    # Poisson arrivals of one seed: the same load for all three.
    assert len({run["requests"] for run in result["runs"]}) == 1
    expected = {"direct": 150, "sidecar": 400, "dpu": 120}
    for mode, run in runs.items():
        assert run["host_us_per_request"] == pytest.approx(expected[mode], rel=1e-6)
    count = runs["dpu"]["requests"]
    assert runs["direct"]["dpu_busy_s"] == {} and runs["direct"]["dma_operations"] == {}
    assert runs["dpu"]["dpu_busy_s"] == pytest.approx({"arm": 70e-6 * count, "dma": 30e-6 * count})
    assert runs["dpu"]["dpu_arm_cores"] == pytest.approx(70e-6 * count / runs["dpu"]["seconds"])
    assert runs["dpu"]["dma_operations"] == {"in": 3 * count, "out": 2 * count}
    assert runs["dpu"]["dma_bytes"] == {"in": 3000 * count, "out": 2000 * count}
    assert runs["dpu"]["delay_asked_us"] == pytest.approx({"in": 50, "out": 50})
    assert runs["dpu"]["delay_delivered_us"] == pytest.approx({"in": 60, "out": 60})
    assert runs["sidecar"]["host_cpu_modelled_s"] == pytest.approx({"in": 100e-6 * count, "out": 140e-6 * count})
    assert abs(runs["dpu"]["late"] - count / 10) <= 1

    saving = result["saving"]
    assert saving["host_us_per_request"] == pytest.approx(280, rel=1e-6)
    assert saving["host_cores"] == pytest.approx(runs["sidecar"]["host_cores"] - runs["dpu"]["host_cores"])
    assert saving["host_share"] == pytest.approx(0.7, abs=0.1)
    assert "saves" in out and "280.0 us a request" in out
    assert re.search(r"^host us a request +150(\.0)? +400(\.0)? +120(\.0)?$", out, re.M), out
    assert re.search(r"^ +DIRECT +SIDECAR +DPU$", out, re.M), out
    assert "too busy" not in out
    assert [line.split(":")[1].strip() for line in err.splitlines()] == ["direct", "sidecar", "dpu"]


def test_missing_families_are_zero(compare, local):
    local.command("front", "bare")
    local.command("back", "bare")
    result, out, _ = compare()
    for run in result["runs"]:
        assert run["dpu_busy_s"] == {} and run["host_modelled_cores"] == 0 and run["late"] == 0
        assert run["delay_asked_us"] == {}
    assert re.search(r"^DMA operations +0 +0 +0$", out, re.M), out
    assert result["saving"]["modelled_cores"] == 0


def test_a_busy_host_is_marked(compare, local):
    """Also where the agent says so only while requests come."""
    local.command("front", "busy")
    page = local.folder / "report.html"
    result, out, _ = compare("--html", page)
    assert {mode: run["host_busy"] for mode, run in runs_of(result).items()} == {
        "direct": False, "sidecar": False, "dpu": True,
    }  # fmt: skip
    assert re.search(r"^ +DIRECT +SIDECAR +DPU \*$", out, re.M), out
    assert "* dpu: an agent said that this machine was too busy to keep the model's time" in out
    assert '<p class="mark">* dpu:' in page.read_text()


def test_the_page_stands_alone(compare, local):
    page = local.folder / "report.html"
    mine = json.loads((TOP / "profiles" / "envoy-strict.json").read_text())
    own = local.folder / "mine.json"
    own.write_text(json.dumps({**mine, "name": "my-proxy"}))
    result, _, _ = compare("--html", page, "--profile-sidecar", own, "--profile-dpu", "ideal")
    assert [run["profile"] for run in result["runs"]] == ["", "my-proxy", "ideal"]
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>") and text.rstrip().endswith("</html>")
    assert not re.search(r"(src|href)=|https?://|@import|url\(", text)
    assert "<script" not in text and "my-proxy" in text and 'class="mark">' not in text
    for tag in ("svg", "table", "tr", "td", "p", "text"):
        assert len(re.findall(f"<{tag}[ >]", text)) == text.count(f"</{tag}>"), tag
    assert text.count("<svg") == 3
    cells = "".join(rf"<td>{count}(\.0)?</td>" for count in (150, 400, 120))
    assert re.search(f"<td>host us a request</td>{cells}", text)


@pytest.mark.parametrize("size", ["0", "600", "8192"])
def test_the_length_of_a_request(compare, size):
    """As asked, and never shorter than it must be."""
    result, _, _ = compare("--request-bytes", size, quick=("--duration", "300ms", "--warmup", "0", "--rate", "100"))
    for run in result["runs"]:
        sent = run["load"]["bytes_sent"] / (run["requests"])
        assert sent == pytest.approx(max(int(size), 90), abs=30), size


def test_answers_that_are_errors(compare, local):
    local.command("front", "fail=10")
    result, out, _ = compare(status=1)
    for run in result["runs"]:
        assert run["errors"] == pytest.approx(run["requests"] / 10, abs=1)
    assert re.search(r"^errors +[1-9]", out, re.M), out


def test_json_on_standard_output(local, compare):
    path = local.write(SERVICES)
    out, _ = local.run(
        "compare", "-f", path, "--address", local.address, "--agent", COUNTING, "--json", "-",
        "--duration", "200ms", "--warmup", "0",
    )  # fmt: skip
    assert len(json.loads(out)["runs"]) == 3


def test_another_service_is_loaded(compare):
    result, _, _ = compare("--service", "back", "--arrivals", "paced", quick=("--duration", "300ms", "--warmup", "0"))
    assert all(run["load"]["target"].endswith(":5005") and run["errors"] == 0 for run in result["runs"])
    (target,) = {run["load"]["target"].split(".")[-1] for run in result["runs"]}
    assert target == "2:5005"  # the second service's address


@pytest.mark.parametrize(
    "arguments, status, sentence",
    [
        ((), 2, "no file is given; add -f FILE"),
        (("-f", "-"), 2, "standard input can't be read three times; give a file"),
        (("-f", "/nonexistent.yaml"), 2, "/nonexistent.yaml: can't open: No such file or directory"),
        (("-f", "APP", "--service", "s9"), 2, "--service s9: no such service in the files"),
        (("-f", "APP", "--profile-dpu", "envoy-strict"), 2,
         "--profile envoy-strict: of kind sidecar, but the mode of front is dpu; give --mode sidecar too, or another profile"),
        (("-f", "APP", "--profile-sidecar", "nope"), 2, "--profile: no profile is called nope; there are "),
        (("-f", "APP", "--rate", "0"), 2, "option --rate: \"0\" is too small; give 0.1 to 1e+07"),
        (("-f", "APP", "--agent", "/nonexistent"), 2, "--agent /nonexistent: No such file or directory"),
        (("-f", "APP", "--body", "@/nonexistent"), 2, "--body: /nonexistent: can't open: No such file or directory"),
        (("-f", "APP", "--html", "/nonexistent/x.html"), 1, "/nonexistent/x.html: "),
    ],
    ids=range(10),
)  # fmt: skip
def test_refused(local, arguments, status, sentence):
    path = local.write(SERVICES)
    arguments = [path if word == "APP" else word for word in arguments]
    agent = () if "--agent" in arguments else ("--agent", COUNTING)
    quick = ("--duration", "100ms", "--warmup", "0", "--address", local.address)
    out, err = local.run("compare", *arguments, *agent, *quick, status=status)
    said = [line for line in err.splitlines() if not re.match(r"dpumesh: (direct|sidecar|dpu): ", line)]
    assert sentence in said[0], err
    assert len(said) == 1 or said[1].startswith("Try '"), err
    assert not out or status == 1


def test_a_port_that_is_taken(local):
    local.agent = COUNTING
    path = local.write(SERVICES)
    process = local.up(path)
    _, err = local.run(
        "compare", "-f", path, "--address", local.address, "--agent", COUNTING, "--duration", "100ms", status=2
    )
    assert "already" in err or "taken" in err or "in use" in err, err
    local.end(process)


def test_an_interrupt_leaves_nothing(local):
    """The application is gone when compare is; the fixture looks for processes, ps for run directories."""
    path = local.write(SERVICES)
    process = local.popen(
        "compare", "-f", path, "--address", local.address, "--agent", COUNTING, "--duration", "60s", "--warmup", "0"
    )
    eventually(lambda: local.applications() and local.applications()[0]["state"] == "running")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, (out, err)
    assert out == "" and local.applications() == []
    # Killed without a word, too.
    process = local.popen(
        "compare", "-f", path, "--address", local.address, "--agent", COUNTING, "--duration", "60s", "--warmup", "0"
    )
    eventually(lambda: local.applications() and local.applications()[0]["state"] == "running")
    process.kill()
    process.communicate()
    eventually(lambda: local.applications() == [])


@pytest.mark.slow
def test_the_example_with_real_agents(compare, local, bin_dir):
    """examples/compare as its README has it, shorter."""
    local.agent = bin_dir / "dpumesh-agent"
    result, out, err = compare(path=TOP / "examples" / "compare", quick=("--duration", "2s", "--rate", "100"))
    for run in result["runs"]:
        assert run["errors"] == 0 and run["requests"] > 100, (out, err)
        assert run["host_cpu_s"]["application"] > 0
        # A millisecond of sleep, and the longer of two groups: two calls of two milliseconds.
        assert run["latency_us"]["p50"] > 5000
    runs = runs_of(result)
    # What is burnt for a data path is what its profile asks for, by the threads' own clocks.
    assert "datapath" not in runs["direct"]["host_cpu_s"] or runs["direct"]["host_cpu_s"]["datapath"] == 0
    for mode in ("sidecar", "dpu"):
        burnt, asked = runs[mode]["host_cpu_s"]["datapath"], sum(runs[mode]["host_cpu_modelled_s"].values())
        assert asked > 0 and 0.9 * asked < burnt < 2 * asked, (mode, burnt, asked)
    assert runs["sidecar"]["host_cpu_s"]["datapath"] > 2 * runs["dpu"]["host_cpu_s"]["datapath"]
    assert runs["sidecar"]["host_cores"] > runs["dpu"]["host_cores"]
    # The host's CPU falls as the profiles say; what it costs to hand messages to a simulated proxy is apart.
    saving = result["saving"]
    assert 0 < 0.9 * saving["modelled_cores"] < saving["datapath_cores"] < 2 * saving["modelled_cores"]
    assert runs["sidecar"]["handover_cpu_s"] > 0 and runs["direct"]["handover_cpu_s"] == runs["dpu"]["handover_cpu_s"] == 0
    assert runs["dpu"]["dpu_busy_s"]["arm"] > 0 and sum(runs["dpu"]["dma_operations"].values()) > 0
    assert all(runs[mode]["dpu_busy_s"].get("arm", 0) == 0 for mode in ("direct", "sidecar"))
    # A request and its three calls, in and out each.
    crossings = sum(runs["dpu"]["crossings"].values())
    assert crossings == pytest.approx(8 * runs["dpu"]["requests"], rel=0.02)
