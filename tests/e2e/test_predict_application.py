"""dpumesh predict -f: whole applications in virtual time, against arithmetic and against the real thing."""

import csv
import io
import json
import subprocess

import pytest


ONE_CALL = [{"services": ["s1"]}]


@pytest.fixture
def dpumesh(bin_dir):
    def run(*arguments, status=0):
        done = subprocess.run(
            [bin_dir / "dpumesh", *map(str, arguments)], capture_output=True, text=True, timeout=110, check=False
        )
        assert done.returncode == status, done.stderr + done.stdout
        return done.stderr if status else done.stdout

    return run


@pytest.fixture
def application(tmp_path):
    """Writes DpuServices ({name: spec}) to a file and returns its path."""

    def write(**services):
        path = tmp_path / "app.yaml"
        path.write_text(
            "\n---\n".join(
                json.dumps(
                    {"apiVersion": "dpumesh.io/v1alpha1", "kind": "DpuService", "metadata": {"name": name}, "spec": spec}
                )
                for name, spec in services.items()
            )
        )
        return path

    return write


@pytest.fixture
def predict(dpumesh):
    def run(path, *arguments):
        return json.loads(dpumesh("predict", "-f", path, "--json", *arguments))

    return run


def sleeping(seconds, *groups, **spec):
    workload = {
        "internalService": {"loader": {"sleepStress": {"sleepTime": seconds}, "meanResponseSize": 1}},
        "externalServices": [{"services": list(group)} for group in groups],
    }
    return {"workload": workload, **spec}


def services(point):
    return {service["name"]: service for service in point["services"]}


def test_the_promised_keys(predict, application):
    point = predict(application(s0=sleeping(0.01, ["s1"]), s1={}), "--rate", "200", "--mode", "sidecar")
    assert point["entry"] == "s0" and point["offered_per_s"] == 200
    assert point["achieved_per_s"] == pytest.approx(200, rel=0.01)
    latency = point["latency_us"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p999"]
    assert set(point["host_cores"]) == {"total", "datapath", "work"}
    assert {"dpu_cores", "drop_fraction", "failed_fraction", "requests", "simulated_s"} <= set(point)
    assert list(services(point)) == ["s0", "s1"]
    assert point["crossings"] == 4
    assert point["digit_cost"]["source"] == "none"


def test_simulated_calls_load_nobody_and_made_ones_do(predict, application):
    path = application(
        s0=sleeping(0.01, ["s1", "s2"], ["s2"], egress={"latency": {"value": "50ms"}}),
        s1=sleeping(0.005),
        s2=sleeping(0.003),
    )
    simulated = predict(path, "--rate", "50", "--mode", "direct")
    assert simulated["latency_us"]["p50"] == pytest.approx(110_000, rel=0.001)
    assert services(simulated)["s1"]["requests_per_s"] == 0
    assert simulated["crossings"] == 8
    made = predict(path, "--rate", "50", "--mode", "direct", "--egress", "forward")
    assert made["latency_us"]["p50"] == pytest.approx(18_000, rel=0.001)
    assert services(made)["s1"]["requests_per_s"] == pytest.approx(50, rel=0.01)
    assert services(made)["s2"]["requests_per_s"] == pytest.approx(100, rel=0.01)
    assert made["crossings"] == 14


def test_destinations_have_their_latency_and_faults_are_left_out(bin_dir, predict, application):
    """What a destination says of its latency and mode counts; faults do not, and that is said."""
    egress = {
        "latency": {"value": "50ms"},
        "faults": {"errors": [{"status": 500, "fraction": 1}]},
        "destinations": [{"name": "s1", "latency": {"value": "7ms"}}, {"name": "s3", "mode": "forward"}],
    }
    path = application(
        s0=sleeping(0.01, ["s1", "s2", "s3"], egress=egress), s1=sleeping(0.005), s2=sleeping(0.003), s3=sleeping(0.02)
    )
    point = predict(path, "--rate", "50", "--mode", "direct")
    assert point["latency_us"]["p50"] == pytest.approx(10_000 + 7_000 + 50_000 + 20_000, rel=0.001)
    assert point["failed_fraction"] == 0
    assert [services(point)[name]["requests_per_s"] for name in ("s1", "s2")] == [0, 0]
    assert services(point)["s3"]["requests_per_s"] == pytest.approx(50, rel=0.01)
    command = [bin_dir / "dpumesh", "predict", "-f", path, "--rate", "50", "--json"]
    for more, said in ((), True), (("--egress", "forward"), False):
        done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=110, check=True)
        sentence = "dpumesh: s0: egress.faults are left out: here simulated calls take their latency and are answered\n"
        assert done.stderr == (sentence if said else "")


def test_three_data_paths_of_the_same_application(predict, application):
    """A data path costs time; the sidecar's work is the host's, most of the DPU's is not."""
    path = application(s0=sleeping(0.005, ["s1"], ["s2"]), s1=sleeping(0.002), s2=sleeping(0.002))
    found = {
        mode: predict(path, "--rate", "2000", "-d", "2s", "--egress", "forward", "--arrivals", "poisson", "--mode", mode)
        for mode in ("direct", "sidecar", "dpu")
    }
    host = {mode: point["host_cores"]["datapath"] for mode, point in found.items()}
    assert host["direct"] == 0 < host["dpu"] < host["sidecar"] / 2
    assert found["sidecar"]["dpu_cores"] == 0 < found["dpu"]["dpu_cores"]
    assert found["direct"]["latency_us"]["p50"] < found["sidecar"]["latency_us"]["p50"]
    total = sum(service["host_cores"]["total"] for service in found["dpu"]["services"])
    assert total == pytest.approx(found["dpu"]["host_cores"]["total"])


def test_the_document_names_mode_profile_and_replicas(predict, application):
    path = application(
        s0=sleeping(0.001, ["s1"], datapath={"mode": "sidecar", "profile": "envoy-strict"}, replicas=3),
        s1={"datapath": {"mode": "direct"}},
    )
    found = services(predict(path, "--rate", "100"))
    assert (found["s0"]["mode"], found["s0"]["profile"], found["s0"]["replicas"]) == ("sidecar", "envoy-strict", 3)
    assert (found["s1"]["mode"], found["s1"]["profile"]) == ("direct", "-")
    found = services(predict(path, "--rate", "100", "--profile", "ideal"))
    assert {(one["mode"], one["profile"]) for one in found.values()} == {("dpu", "ideal")}
    assert predict(path, "--rate", "100", "--entry", "s1")["entry"] == "s1"


def test_computing_costs_what_was_given(predict, application):
    """One digit count, one thread: M/D/1 with a mean wait of rho / (2 (1 - rho)) services."""
    work = {"workload": {"internalService": {"computePi": {"rangeComplexity": [80, 80]}}, "threads": 1}}
    path = application(s0={**work, "datapath": {"mode": "direct"}})
    point = predict(
        path, "--rate", "500", "--arrivals", "poisson", "-d", "200s", "--digit-cost", "10=20us,80=1ms"
    )  # fmt: skip
    assert point["digit_cost"]["source"] == "given"
    assert point["host_cores"]["work"] == pytest.approx(0.5, rel=0.02)
    assert point["latency_us"]["mean"] == pytest.approx(1500, rel=0.03)


def test_computing_costs_what_is_measured_here(predict, application):
    path = application(s0={"workload": {"internalService": {"computePi": {"rangeComplexity": [200, 200]}}}})
    point = predict(path, "--rate", "1", "--mode", "direct")
    cost = point["digit_cost"]
    assert cost["source"] == "measured" and len(cost["points"]) >= 3
    assert [one["cpu_us"] for one in cost["points"]] == sorted(one["cpu_us"] for one in cost["points"])
    assert point["latency_us"]["p50"] > cost["points"][0]["cpu_us"]


def test_the_same_seed_predicts_the_same(predict, application):
    latency = {"distribution": "lognormal", "median": "5ms", "sigma": 0.8}
    path = application(s0=sleeping(0.001, ["s1"], ["s1"], egress={"latency": latency}), s1={})
    arguments = (path, "--rate", "500", "--arrivals", "poisson", "-d", "2s")
    assert predict(*arguments) == predict(*arguments)
    assert predict(*arguments)["latency_us"] != predict(*arguments, "--seed", "2")["latency_us"]
    assert predict(*arguments, "--sample", "100")["requests"] < 200


def test_a_sweep_and_its_csv(dpumesh, predict, application):
    path = application(s0=sleeping(0.001, ["s1"]), s1={})
    points = predict(path, "--sweep", "rate=100:400:4")
    assert [point["offered_per_s"] for point in points] == [100, 200, 300, 400]
    rows = list(csv.DictReader(io.StringIO(dpumesh("predict", "-f", path, "--sweep", "rate=100,200", "--csv"))))
    assert [(row["offered"], row["service"]) for row in rows] == [
        (rate, name) for rate in ("100", "200") for name in ("s0", "s1", "total")
    ]
    table = dpumesh("predict", "-f", path, "--rate", "100")
    assert "P99.9 MS" in table and "PATH CORES" in table and table.count("\ns1 ") == 1


def test_past_what_it_carries(predict, application):
    """Four egress workers at 20 ms carry 200 calls a second; the rest is refused when the queue is full."""
    spec = sleeping(0, ["s1"], egress={"workers": 4, "latency": {"value": "20ms"}})
    path = application(s0={**spec, "datapath": {"mode": "direct", "queues": {"egressSubmission": 16}}}, s1={})
    point = predict(path, "--rate", "800")
    assert point["achieved_per_s"] == pytest.approx(200, rel=0.02)
    assert point["drop_fraction"] == pytest.approx(0.75, abs=0.02)


BAD = [
    (("--rate", "0"), "no rate is given; add --rate N (above 0)"),
    (("--rate", "5", "--entry", "s9"), 'no service "s9" in these files; there are s0, s1'),
    (("--rate", "5", "--frames", "1,2"), "--frames is for a path alone"),
    (("--sweep", "rate=5%,10%"), "what an application carries is not known; give requests a second"),
    (("--rate", "5", "--mode", "direct", "--profile", "ideal"), "mode direct has no profile"),
    (("--rate", "5", "--mode", "dpu", "--profile", "envoy-strict"), "envoy-strict is a profile of kind sidecar; give"),
    (("--rate", "5", "--profile", "nosuch"), "no profile is called nosuch"),
    (("--rate", "5", "--mode", "fast"), "--mode"),
    (("--rate", "5", "--digit-cost", "100"), '--digit-cost: "100" is not DIGITS=TIME, such as 100=15us'),
    (("--rate", "5", "--digit-cost", "100=1ms,50=2ms"), "--digit-cost: 50 digits stand behind 100; let them rise"),
    (("--rate", "5", "--digit-cost", "100=0s"), "give a time above 0"),
    (("--rate", "1e9",), "are more than 1e+09 crossings; add --sample N or give a shorter --duration"),
]


@pytest.mark.parametrize("arguments, sentence", BAD, ids=range(len(BAD)))
def test_bad_input_is_one_sentence(dpumesh, application, arguments, sentence):
    path = application(s0={"workload": {"externalServices": ONE_CALL}}, s1=sleeping(0))
    lines = dpumesh("predict", "-f", path, *arguments, status=2).splitlines()
    assert sentence in lines[0]
    assert len(lines) == 1 or lines[1].startswith("Try ")


def test_calls_that_go_round(dpumesh, predict, application):
    """Dice end them, or do not."""

    def ring(probability):
        calls = {"services": ["s1", "s1__2"], "probabilities": dict.fromkeys(["s1", "s1__2"], probability)}
        return application(s0={"workload": {"externalServices": [calls]}}, s1=sleeping(0, ["s0"]))

    point = predict(ring(0.25), "--rate", "1000", "--egress", "forward")
    assert services(point)["s0"]["requests_per_s"] == pytest.approx(2000, rel=0.05)
    (line,) = dpumesh("predict", "-f", ring(0.75), "--rate", "5", "--egress", "forward", status=2).splitlines()
    assert line.endswith("calls that are made go round without end: s0, which calls s1, which calls s0")
    assert predict(ring(0.75), "--rate", "5")["crossings"] == pytest.approx(5)


def test_bad_documents_and_paths_without(dpumesh, application):
    path = application(s0={"replicas": 0, "workload": {"externalServices": ONE_CALL}}, s1={})
    (line,) = dpumesh("predict", "-f", path, "--rate", "1", status=2).splitlines()
    assert line.endswith("s0: spec.replicas: nobody answers with 0 replicas; give 1 or more")
    path = application(s0={"workload": {"internalService": {"loader": {"memoryStress": {"run": True}}}}})
    (line,) = dpumesh("predict", "-f", path, "--rate", "1", status=2).splitlines()
    assert "s0: spec.workload.internalService: what it costs is not known to predict; give" in line
    path = application(s0={"workload": {"externalServices": ONE_CALL}})
    (line,) = dpumesh("predict", "-f", path, "--rate", "1", status=2).splitlines()
    assert 'no service "s1" in these files' in line
    lines = dpumesh("predict", "-p", "ideal", "--rate", "5", "--mode", "dpu", status=2).splitlines()
    assert "--mode is about an application; add -f FILE" in lines[0]


RATE = 40


def measured_p50_ms(local, path):
    """The median of `dpumesh up` under an open loop, of three runs the least: what disturbs only adds."""
    process = local.up(path)
    found = []
    for _ in range(3):
        out, _ = local.run(
            "load", f"tcp://{local.address}:5005", "-k", "-c", "64", "--rate", str(RATE), "-d", "4s",
            "--arrivals", "poisson", "--json",
        )  # fmt: skip
        report = json.loads(out)
        assert report["answered"] > 0 and report["failed"] == 0
        found.append(report["latency_us"]["p50"] / 1e3)
    local.end(process)
    return min(found)


@pytest.mark.slow
def test_prediction_and_reality(local, bin_dir, predict):
    """Mode direct, sleeps and drawn delays: medians within 10 % and 2 ms, beside what the machine itself
    adds, which the same application shows with 1 ms in place of each delay."""
    local.agent = bin_dir / "dpumesh-agent"

    def write(seconds, latency, name):
        direct = {"datapath": {"mode": "direct"}}
        spec = sleeping(seconds, ["s1", "s2"], ["s2"], egress={"latency": latency}, **direct)
        path = local.write({"s0": spec, "s1": direct, "s2": direct}, name=name)
        point = predict(path, "--rate", RATE, "--arrivals", "poisson", "-d", "100s")
        return path, point["latency_us"]["p50"] / 1e3

    control, least = write(0.001, {"value": "1ms"}, "control.yaml")
    assert least == pytest.approx(3, rel=0.01)
    latency = {"distribution": "gamma", "scale": "5ms", "shape": 4, "shift": "5ms"}
    path, predicted = write(0.02, latency, "app.yaml")
    assert 60 < predicted < 80
    added = measured_p50_ms(local, control) - least
    measured = measured_p50_ms(local, path)
    print(f"predicted {predicted:.2f} ms, measured {measured:.2f} ms, of which the machine adds {added:.2f} ms")
    assert abs(measured - added - predicted) < 0.1 * predicted + 2
