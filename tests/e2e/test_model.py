"""dpumesh predict, calibrate and validate --profile: the model from the command line."""

import csv
import io
import json
import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
DATA = TOP / "examples" / "data" / "bluefield3-l4.csv"


@pytest.fixture
def dpumesh(bin_dir):
    def run(*arguments, status=0):
        done = subprocess.run(
            [bin_dir / "dpumesh", *map(str, arguments)], capture_output=True, text=True, timeout=110, check=False
        )
        assert done.returncode == status, done.stderr + done.stdout
        return done.stderr if status else done.stdout

    return run


def predict(dpumesh, *arguments):
    return json.loads(dpumesh("predict", "--json", "--sample", "20000", *arguments))


def test_predict_prints_the_promised_keys(dpumesh):
    point = predict(dpumesh, "--profile", "bluefield3-native", "--frame", "1024", "--rate", "100000")
    assert point["achieved_per_s"] == pytest.approx(100000, rel=0.001)
    assert set(point["host_cores"]) == {"client", "server"}
    assert 0 < point["host_cores"]["client"] < 1 and point["dpu_cores"] > 0
    latency = point["latency_us"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p999"]
    assert point["drop_fraction"] == 0


def test_predict_is_repeatable_and_seeds_matter(dpumesh):
    arguments = ("--profile", "envoy-strict", "--rate", "50000", "--arrivals", "poisson")
    assert predict(dpumesh, *arguments) == predict(dpumesh, *arguments)
    assert predict(dpumesh, *arguments) != predict(dpumesh, *arguments, "--seed", "2")


def test_past_the_ceiling_the_rest_is_dropped(dpumesh):
    # A full path moves the 2048 messages that its memory holds at a time: many are needed for a rate.
    text = dpumesh(
        "predict", "--json", "--sample", "200000", "--profile", "envoy-strict", "--frame", "8192", "--sweep", "rate=150%"
    )
    point = json.loads(text)[0]
    assert point["achieved_per_s"] == pytest.approx(point["offered_per_s"] / 1.5, rel=0.05)
    assert point["drop_fraction"] == pytest.approx(1 / 3, abs=0.03)
    assert not point["clean"]


def test_past_the_ceiling_one_sentence_says_so(bin_dir):
    """On standard error, for each frame once: the figures are what a full path does, and are still asked for."""
    done = subprocess.run(
        [bin_dir / "dpumesh", "predict", "-p", "envoy-strict", "--frames", "64,1024", "--sweep", "rate=50%,98%,110%,1000%",
         "--sample", "20000", "--json"],
        capture_output=True, text=True, timeout=110, check=True,
    )
    lines = done.stderr.splitlines()
    assert len(lines) == 2 and all("are beyond the" in line and "envoy-strict carries" in line for line in lines)
    points = json.loads(done.stdout)
    for frame in (points[:4], points[4:]):
        ceiling = frame[0]["offered_per_s"] * 2
        assert f"beyond the {ceiling:.0f} that" in done.stderr
        assert frame[2]["host_cores"]["client"] <= frame[3]["host_cores"]["client"]
        assert frame[2]["latency_us"] == frame[3]["latency_us"]


def test_memory_for_too_few_messages_is_said(bin_dir):
    """What the path carries is of its cores and units; sixteen megabytes a frame fill the memory long before."""
    done = subprocess.run(
        [bin_dir / "dpumesh", "predict", "-p", "bluefield3-native", "--frame", "16MiB", "--sweep", "rate=50%", "--json"],
        capture_output=True, text=True, timeout=110, check=True,
    )
    assert json.loads(done.stdout)[0]["drop_fraction"] > 0.1
    assert done.stderr.count("\n") == 1
    assert "are refused: bluefield3-native could carry" in done.stderr and "memory for too few at a time" in done.stderr


def test_sweep_as_csv_is_what_validate_reads(dpumesh, tmp_path):
    text = dpumesh(
        "predict", "--profile", "envoy-permissive", "--frames", "64,1KiB", "--sweep", "rate=5%:90%:4",
        "--sample", "20000", "--csv",
    )
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["frame"] for row in rows] == ["64"] * 4 + ["1024"] * 4
    data = tmp_path / "own.csv"
    data.write_text(text)
    result = json.loads(
        dpumesh("validate", "--profile", "envoy-permissive", "--data", data, "--json", "--messages", "20000")
    )
    assert max(abs(row["host_error"]) for row in result["rows"]) < 0.08
    assert not any(row["fitted"] for row in result["rows"])


@pytest.mark.slow
def test_validate_draws_and_marks_rows(dpumesh, tmp_path):
    svg = tmp_path / "strict.svg"
    table = dpumesh(
        "validate", "--profile", "envoy-strict", "--data", DATA, "--svg", svg, "--messages", "5000"
    )
    assert "NOT FITTED" not in table and table.count("fitted") == 24
    text = svg.read_text()
    assert text.startswith("<svg") and text.rstrip().endswith("</svg>")
    assert text.count("<circle") == 24 * 3
    extra = tmp_path / "extra.csv"
    extra.write_text(DATA.read_text() + "envoy-strict,256,bound,100000,100000,0.9,0.9,900,0,1\n")
    table = dpumesh("validate", "--profile", "envoy-strict", "--data", extra, "--messages", "5000")
    assert table.count("NOT FITTED") == 1


@pytest.mark.slow
def test_calibrate_writes_a_profile_that_predict_reads(dpumesh, tmp_path):
    out = tmp_path / "mine.json"
    text = dpumesh(
        "calibrate", "--data", DATA, "--config", "envoy-strict", "--kind", "sidecar", "--evaluations", "0",
        "--starts", "1", "-o", out,
    )
    assert "wake" in text and "correlat" in text
    profile = json.loads(out.read_text())
    assert profile["parameters"]["wake"]["unit"] == "ns" and profile["parameters"]["wake"]["error"] > 0
    assert predict(dpumesh, "--profile", out, "--rate", "10000")["host_cores"]["client"] > 0


def measurements(path, *more):
    """Some of a sidecar's rows, and more."""
    rows = [f"x,1024,{r},{r},{0.1 + r / 1e6:.3f},{0.1 + r / 2e6:.3f},300" for r in range(10000, 70000, 10000)]
    path.write_text("\n".join(["config,frame,offered,achieved,client,server,p99", *rows, *more]) + "\n")
    return path


def calibrate_quickly(bin_dir, data, *arguments):
    return subprocess.run(
        [bin_dir / "dpumesh", "calibrate", "--data", data, "--config", "x", "--kind", "sidecar", "--starts", "1",
         "--evaluations", "0", *arguments],
        capture_output=True, text=True, timeout=110, check=False,
    )


def test_calibrate_says_which_rows_contradict_each_other(bin_dir, tmp_path):
    data = measurements(tmp_path / "own.csv", "x,1024,10000,10000,1.4,1.4,300")
    done = calibrate_quickly(bin_dir, data, "--json")
    assert done.returncode == 0
    assert done.stderr == (
        f"dpumesh: {data}:8: measured something else than line 2 at the same frame and rate; "
        "all rows count, and no profile meets both\n"
    )
    result = json.loads(done.stdout)
    assert [row.get("contradicts_line") for row in result["rows"]] == [None] * 6 + [2]
    assert result["rows"][6]["host_error"] < -0.5
    assert {p["name"] for p in result["parameters"]} >= {name for pair in result["not_told_apart"] for name in pair["parameters"]}
    assert "line 8 contradicts line 2" in calibrate_quickly(bin_dir, data).stdout


def test_calibrate_writes_nothing_that_can_t_be_read_back_or_is_half_done(bin_dir, tmp_path):
    out = tmp_path / "out.json"
    data = tmp_path / "odd.csv"
    data.write_text(measurements(tmp_path / "own.csv").read_text().replace("x,", "My proxy (v2),"))
    done = calibrate_quickly(bin_dir, data, "--config", "My proxy (v2)", "-o", out)
    assert done.returncode == 2 and "a profile can't be called My proxy (v2); give 1 to 63 letters" in done.stderr
    done = calibrate_quickly(bin_dir, tmp_path / "own.csv", "--cross-validate", "-o", out)
    assert done.returncode == 2
    assert "--cross-validate leaves out each rate and each frame size in turn: 0 rows are too few" in done.stderr
    assert not out.exists()


def test_what_can_t_be_printed_is_no_success(bin_dir):
    for verb in (["predict", "-p", "envoy-strict", "--rate", "1000", "--sample", "1000", "--csv"], ["validate", "-f", TOP / "examples" / "original.yaml"]):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([bin_dir / "dpumesh", *verb], stdout=full, stderr=subprocess.PIPE, text=True, timeout=110, check=False)
        assert done.returncode == 1
        assert done.stderr == "dpumesh: can't write to standard output: No space left on device\n"


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("predict", "--rate", "1"), "no profile is given; add --profile NAME"),
        (("predict", "-p", "ideal"), "no rate is given; add --rate N (above 0) or --sweep rate=LIST"),
        (("predict", "-p", "ideal", "--rate", "-5"), "-5"),
        (("predict", "-p", "ideal", "--rate", "5", "--frame", "0"), "--frame"),
        (("predict", "-p", "ideal", "--rate", "5", "--frame", "1G"), "--frame"),
        (("predict", "-p", "ideal", "--sweep", "frame=1"), "only rates can be swept"),
        (("predict", "-p", "ideal", "--sweep", "rate=5%"), "profile ideal has no ceiling for frames of 1024 B"),
        (("predict", "-p", "ideal", "--rate", "1e12"), "1e+12 messages a second for 10 s are 1e+13 messages, of which at most"),
        (("predict", "-p", "ideal", "--rate", "0.01"), "0.01 messages a second for 10 s are less than one message; lengthen --duration"),
        (("predict", "-f", TOP / "examples" / "single.yaml", "--rate", "0.01"), "0.01 requests a second for 10 s are less than one; lengthen --duration"),
        (("predict", "-f", TOP / "examples" / "single.yaml", "--rate", "5", "--policies", "2"), "--policies is for a path alone"),
        (("predict", "-p", "ideal", "--sweep", "rate=1,"), 'dpumesh predict: --sweep: "" is not a number; give 0.001 to 1e+12'),
        (("predict", "-p", "nosuch", "--rate", "5"), "no profile is called nosuch"),
        (("calibrate", "--data", "/nowhere.csv", "--config", "x"), "/nowhere.csv: can't open: No such file"),
        (("calibrate", "--data", DATA), "no configuration is named"),
        (("calibrate", "--data", DATA, "--config", "x"), "no measurements of x; there are some of dpumesh-native"),
        (("validate",), "no file is given; add -f FILE, or --profile NAME and --data FILE.csv"),
        (("validate", "--profile", "ideal"), "no measurements are given; add --data FILE.csv"),
        (("validate", "--data", DATA), "no profile is given; add --profile NAME"),
        (("validate", "-f", "x", "--data", DATA), "give one or the other"),
    ],
)
def test_bad_input_is_one_sentence(dpumesh, arguments, sentence):
    lines = dpumesh(*arguments, status=2).splitlines()
    assert sentence in lines[0]
    assert len(lines) == 1 or lines[1].startswith("Try ")


@pytest.mark.slow
def test_shipped_profiles_meet_their_goals(dpumesh):
    """docs/model.md's claims on the rows that were fitted, with fewer messages than bench/model takes."""
    profiles = ("bluefield3-native", "bluefield3-preload", "envoy-permissive", "envoy-strict")
    text = dpumesh(
        "validate", "--data", DATA, "--json", "--messages", "30000", *(w for name in profiles for w in ("-p", name))
    )
    errors = json.loads(text)["groups"][-1]["errors"]
    assert errors["host cores"]["rows"] == 96
    assert errors["host cores"]["median"] < 0.06 and errors["host cores"]["p90"] < 0.15
    assert errors["ceiling"]["worst"] < 0.10
    assert errors["p99 below saturation"]["median"] < 1.5


def test_sizes_and_rates_between_the_measured_ones_are_sane(dpumesh):
    """Larger frames cost more and carry fewer messages; more load never carries less."""
    for profile in ("bluefield3-native", "bluefield3-preload", "envoy-permissive", "envoy-strict"):
        points = predict(dpumesh, "-p", profile, "--frames", "32,64,200,512,1024,3000,8192,20000", "--sweep", "rate=40%")
        rates = [point["offered_per_s"] for point in points]
        assert rates == sorted(rates, reverse=True)
        points = predict(dpumesh, "-p", profile, "--frame", "512", "--sweep", "rate=2%:98%:12")
        cores = [sum(point["host_cores"].values()) for point in points]
        assert all(b > a * 0.9 for a, b in zip(cores, cores[1:])), cores
        # The cost of a message falls with load.
        costs = [c / point["achieved_per_s"] for c, point in zip(cores, points)]
        assert all(b < a * 1.05 for a, b in zip(costs, costs[1:])), costs
