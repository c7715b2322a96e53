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


def test_destinations_have_their_latency_and_mode(predict, application):
    """What a destination says of its latency, its timeout and its mode counts."""
    egress = {
        "latency": {"value": "50ms"},
        "destinations": [{"name": "s1", "latency": {"value": "7ms"}}, {"name": "s3", "mode": "forward"}],
    }
    services_of = {"s1": sleeping(0.005), "s2": sleeping(0.003), "s3": sleeping(0.02)}
    path = application(s0=sleeping(0.01, ["s1", "s2", "s3"], egress=egress), **services_of)
    point = predict(path, "--rate", "50", "--mode", "direct")
    assert point["latency_us"]["p50"] == pytest.approx(10_000 + 7_000 + 50_000 + 20_000, rel=0.001)
    assert (point["failed_fraction"], point["success_fraction"]) == (0, 1)
    assert [services(point)[name]["requests_per_s"] for name in ("s1", "s2")] == [0, 0]
    assert services(point)["s3"]["requests_per_s"] == pytest.approx(50, rel=0.01)
    egress["destinations"].append({"name": "s2", "mode": "simulate", "timeout": "40ms"})
    path = application(s0=sleeping(0.01, ["s1", "s2", "s3"], egress=egress), **services_of)
    point = predict(path, "--rate", "50", "--mode", "direct")
    assert (point["failed_fraction"], services(point)["s3"]["requests_per_s"]) == (1, pytest.approx(50, rel=0.01))


def test_faults_of_simulated_calls_count_where_calls_are_simulated(predict, application):
    """All fail; made instead, they meet none, and a header that nobody sends makes no fault, which is said."""
    egress = {"latency": {"value": "1ms"}, "faults": {"errors": [{"status": 500, "fraction": 1}]}}
    path = application(s0=sleeping(0.01, ["s1"], egress=egress), s1=sleeping(0.005))
    assert predict(path, "--rate", "50")["failed_fraction"] == 1
    assert predict(path, "--rate", "50", "--egress", "forward")["success_fraction"] == 1


def test_nothing_goes_well(dpumesh, predict, application):
    """Calls end at their timeout: no latency is 0, and no more than all fail although some began before the time that counts."""
    egress = {"mode": "forward", "timeout": "60ms"}
    path = application(s0=sleeping(0.001, ["s1"], egress=egress), s1=sleeping(0.2))
    load = "--rate", "300", "--arrivals", "poisson", "-d", "1s"
    point = predict(path, *load)
    assert set(point["latency_us"].values()) == {None} and point["failed_fraction"] == 1
    assert services(point)["s0"]["failed_fraction"] == 1
    assert dpumesh("predict", "-f", path, *load).splitlines()[2].split()[2:6] == ["-"] * 4
    row = next(csv.DictReader(io.StringIO(dpumesh("predict", "-f", path, *load, "--csv"))))
    assert (row["p50"], row["p999"], row["service_failed"]) == ("", "", "1.000000")


def test_faults_of_headers_are_left_out(bin_dir, application):
    faults = [{"header": {"name": "x-chaos"}, "abort": {"percent": 100}}, {"abort": {"percent": 100, "status": 500}}]
    for given, aborted in (faults[:1], 0), (faults, 1), (faults[1:], 1):
        path = application(s0=sleeping(0, datapath={"mode": "direct", "policy": {"faults": given}}))
        command = [bin_dir / "dpumesh", "predict", "-f", path, "--rate", "50", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True)
        assert json.loads(done.stdout)["aborted_fraction"] == aborted
        sentence = "dpumesh: s0: faults of requests with a header are left out: here no request has one\n"
        assert done.stderr == (sentence if faults[0] in given else "")


def test_callees_elsewhere(dpumesh, predict, application):
    """What answers elsewhere can only be simulated."""
    egress = {"mode": "forward", "latency": {"value": "3ms"}, "destinations": [{"name": "s9", "url": "http://127.0.0.1:1/"}]}
    path = application(s0=sleeping(0, ["s9"], egress=egress))
    (line,) = dpumesh("predict", "-f", path, "--rate", "5", status=2).splitlines()
    assert line.endswith("s0: it calls s9, which answers elsewhere: what that takes is not known to predict; give --egress simulate")
    assert predict(path, "--rate", "5", "--mode", "direct", "--egress", "simulate")["latency_us"]["p50"] == pytest.approx(3000, rel=0.001)


def test_outcomes_are_printed(dpumesh, predict, application):
    """Of each service and end to end, in each form: half of s1's requests are refused, an eighth of the others aborted."""
    policy = {"rateLimit": {"service": {"rate": 100, "burst": 10}}, "faults": [{"abort": {"percent": 12.5}}]}
    path = application(
        s0=sleeping(0, ["s1"], egress={"mode": "forward", "retries": {"most": 0}}, datapath={"mode": "direct"}),
        s1=sleeping(0, datapath={"mode": "direct", "policy": policy}),
    )
    point = predict(path, "--rate", "200", "-d", "100s")
    s0, s1 = (services(point)[name] for name in ("s0", "s1"))
    assert s1["refused_fraction"] == pytest.approx(0.5, abs=0.005)
    assert s1["aborted_fraction"] == pytest.approx(0.0625, abs=5 * (0.0625 * 0.875 / 20000) ** 0.5)
    assert s1["rate_limited_per_s"] == s1["refused_per_s"] and s1["concurrency_limited_per_s"] == 0
    assert s0["failed_fraction"] == pytest.approx(s1["refused_fraction"] + s1["aborted_fraction"], abs=0.001)
    assert point["failed_fraction"] == pytest.approx(s0["failed_fraction"], abs=0.001)
    assert point["success_fraction"] == pytest.approx(1 - point["failed_fraction"])
    assert (s0["calls_per_s"], s0["retries_per_s"], s0["breaker_refused_per_s"]) == (pytest.approx(200, rel=0.01), 0, 0)
    table = dpumesh("predict", "-f", path, "--rate", "200")
    assert "SUCCESS" in table and "KEPT BACK/S" in table
    rows = {row["service"]: row for row in csv.DictReader(io.StringIO(dpumesh("predict", "-f", path, "--rate", "200", "-d", "100s", "--csv")))}
    assert float(rows["s1"]["service_refused"]) == pytest.approx(s1["refused_fraction"], abs=1e-6)
    assert float(rows["s0"]["service_failed"]) == pytest.approx(s0["failed_fraction"], abs=1e-6)
    assert float(rows["total"]["success"]) == pytest.approx(point["success_fraction"], abs=1e-6)


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


def sampled(local, path, count):
    """{status: answers} of so many requests to `dpumesh up`, one after the other on each of 64 connections; and the
    seconds that they took."""
    process = local.up(path)
    out, _ = local.run("load", f"tcp://{local.address}:5005", "-k", "-c", "64", "-n", str(count), "--json", status=None, timeout=100)
    local.end(process)
    report = json.loads(out)
    assert report["answered"] == count, report
    return {int(status): found for status, found in report["status"].items()}, report["duration_s"]


def test_predicted_and_real_outcomes(local, bin_dir, predict):
    """What becomes of requests with faults on purpose at both services, a made call that is tried again, and a simulated
    one that fails, stays silent and is tried again: each fraction as predicted, within 5 standard deviations of both
    samples together, which a right pair fails once in 1.7 million runs for each of the four fractions."""
    local.agent = bin_dir / "dpumesh-agent"
    retries = {"most": 1, "budget": 100, "backoff": "0s", "retryOn": ["5xx"]}
    faults = {"errors": [{"status": 503, "fraction": 0.3}], "partial": 0.05, "timeouts": 0.02}
    simulated = {"name": "s2", "latency": {"value": "1ms"}, "faults": faults, "timeout": "1s"}
    path = local.write({
        "s0": sleeping(
            0, ["s1", "s2"],
            datapath={"mode": "direct", "policy": {"faults": [{"abort": {"percent": 8, "status": 418}, "delay": {"percent": 10, "duration": "2ms"}}]}},
            egress={"mode": "forward", "retries": retries, "destinations": [simulated]},
        ),
        "s1": sleeping(0, datapath={"mode": "direct", "policy": {"faults": [{"abort": {"percent": 25, "status": 503}}]}}),
        "s2": sleeping(0, datapath={"mode": "direct"}),
    })  # fmt: skip
    point = predict(path, "--rate", "1000", "-d", "60s")
    predicted, m, n = services(point), point["requests"], 4000
    got, _ = sampled(local, path, n)

    def agree(real, fraction):
        assert abs(real - fraction) <= 5 * (fraction * (1 - fraction) * (1 / n + 1 / m)) ** 0.5, (real, fraction, got)

    assert set(got) == {200, 418, 500, 504}
    agree(got[418] / n, point["aborted_fraction"])
    agree(got[200] / n, point["success_fraction"])
    agree((got[500] + got[504]) / n, point["failed_fraction"])
    # Arithmetic says the same: 0.92, one of two attempts at s1, and at s2 0.63 and 0.3 times that again.
    agree(got[200] / n, 0.92 * (1 - 0.25**2) * 0.63 * 1.3)
    assert predicted["s1"]["aborted_fraction"] == pytest.approx(0.25, abs=0.01)


def test_a_predicted_and_a_real_rate_limit(local, bin_dir, predict):
    """The bucket's burst, and its rate for as long as it took: never more, and not a tenth less, as long as the load does
    not stop for the seconds that the burst covers."""
    local.agent = bin_dir / "dpumesh-agent"
    rate, burst = 200, 400
    policy = {"rateLimit": {"service": {"rate": rate, "burst": burst}}}
    path = local.write({"s0": sleeping(0, datapath={"mode": "direct", "policy": policy})})
    point = predict(path, "--rate", "2000", "-d", "100s")
    assert point["achieved_per_s"] == pytest.approx(rate, rel=0.01)
    assert point["drop_fraction"] == pytest.approx(0.9, abs=0.001)
    process = local.up(path)
    out, _ = local.run("load", f"tcp://{local.address}:5005", "-k", "-c", "8", "--rate", "2000", "-d", "4s", "--json", status=None)
    local.end(process)
    report = json.loads(out)
    assert set(report["status"]) == {"200", "429"}
    passed = report["status"]["200"] - burst
    assert 0.9 * rate * 4 <= passed <= rate * (report["duration_s"] + 1), report
