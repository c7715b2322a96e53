"""dpumesh import, export and generate: muBench's files to DpuServices and back, and applications made."""

import json
import pathlib
import random
import resource
import shlex
import subprocess
import xml.etree.ElementTree

import pytest
import yaml

from conftest import ask, fetch

TOP = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = TOP / "examples" / "mubench"
GENERATED = TOP / "examples" / "generated.yaml"


@pytest.fixture
def dpumesh(bin_dir, tmp_path):
    """dpumesh(...) runs a verb in a folder of its own and returns (stdout, stderr)."""

    def run(*arguments, status=0, text=None, timeout=110, **options):
        done = subprocess.run(
            [bin_dir / "dpumesh", *map(str, arguments)],
            capture_output=True, text=True, input=text, cwd=tmp_path, timeout=timeout, check=False, **options,
        )  # fmt: skip
        assert done.returncode == status, done.stderr + done.stdout
        return done.stdout, done.stderr

    return run


@pytest.fixture
def imported(dpumesh, tmp_path):
    """imported(model) is (documents by name, lines on standard error) of a work model."""

    def run(model, *arguments, **options):
        path = tmp_path / "m.json"
        path.write_text(model if isinstance(model, str) else json.dumps(model))
        out, err = dpumesh("import", "m.json", *arguments, **options)
        documents = {one["metadata"]["name"]: one for one in yaml.safe_load_all(out) if one}
        return documents, err.replace("dpumesh: ", "").splitlines()

    return run


# What a work model means, by the contract: defaults filled in, old spellings in the new one.

LOADER = {
    "cpu_stress": {"run": False, "range_complexity": [100, 100], "thread_pool_size": 1, "trials": 1},
    "sleep_stress": {"run": True, "sleep_time": 0.01},
}


def function(given):
    ((name, parameters),) = given.items()
    parameters = dict(parameters)
    if "mean_bandwidth" in parameters:
        parameters["mean_response_size"] = parameters.pop("mean_bandwidth")
    if name == "compute_pi":
        return {name: {"range_complexity": [50, 100], "mean_response_size": 10, **parameters}}
    whole = {"mean_response_size": parameters.pop("mean_response_size", 11)}
    for part, defaults in LOADER.items():
        whole[part] = {**defaults, **parameters.pop(part, {})}
    for part in ("memory_stress", "disk_stress"):
        assert not parameters.pop(part, {"run": False})["run"]
    assert not parameters
    return {name: whole}


def call(group):
    """A group as what may happen: whom, how likely, and how many of them."""
    services = [name.split("__")[0] for name in group["services"]]
    chances = [group.get("probabilities", {}).get(name, 1) for name in group["services"]]
    return list(zip(services, chances)), min(group["seq_len"], len(services))


def meaning(model):
    means = {}
    for name, given in model.items():
        given = dict(given)
        one = {
            "internal_service": function(given.pop("internal_service")),
            "external_services": [
                call(group) for group in given.pop("external_services", []) if group["services"]
            ],
        }
        given.pop("url", None)
        defaults = {
            "path": "/api/v1", "request_method": "rest", "workers": 1, "threads": 4, "replicas": 1,
            "pod_antiaffinity": False,
        }  # fmt: skip
        means[name] = {**defaults, **given, **one}
    return means


def draw(dice):
    """A random work model whose calls go to later services."""

    def some(**values):
        return {key: value for key, value in values.items() if dice.random() < 0.5}

    def complexity():
        return sorted((dice.randint(1, 300), dice.randint(1, 300)))

    def size():
        return {dice.choice(("mean_response_size", "mean_bandwidth")): dice.randint(0, 400) / 8}

    names = [f"s{i}" for i in range(dice.randint(1, 9))]
    model = {}
    for i, name in enumerate(names):
        if dice.random() < 0.5:
            work = {"compute_pi": {**some(range_complexity=complexity()), **dice.choice(({}, size()))}}
        else:
            cpu = some(run=dice.random() < 0.5, range_complexity=complexity(),
                       thread_pool_size=dice.randint(1, 4), trials=dice.randint(1, 9))  # fmt: skip
            sleep = some(run=dice.random() < 0.5, sleep_time=dice.randint(0, 50) / 1000)
            parts = some(cpu_stress=cpu, sleep_stress=sleep, memory_stress={"run": False, "memory_size": 9},
                         disk_stress={"run": False})  # fmt: skip
            work = {"loader": {**parts, **dice.choice(({}, size()))}}
        groups = []
        for _ in range(dice.randint(0, 3) if i + 1 < len(names) else 0):
            called = [dice.choice(names[i + 1 :]) + dice.choice(("", f"__{j}")) for j in range(dice.randint(0, 5))]
            chances = {who: dice.randint(0, 8) / 8 for who in called if dice.random() < 0.5}
            groups.append({"seq_len": dice.choice((1, 2, 3, 100)), "services": called, **some(probabilities=chances)})
        model[name] = {
            "internal_service": work,
            **some(external_services=groups, workers=dice.randint(1, 8), threads=dice.randint(1, 128)),
            **some(replicas=dice.randint(0, 9), path="/a/b", request_method="rest", namespace="mub"),
            **{"cpu-requests": "100m", "memory-limits": "64Mi", "scheduler-name": "mine"},
            **some(pod_antiaffinity=dice.random() < 0.5, node_affinity=["n1", "n2"]),
            **some(url=f"{name}.default.svc.cluster.local"),
        }
    return model


@pytest.mark.slow
def test_round_trip_keeps_the_meaning(dpumesh, tmp_path):
    """Random work models, by a reading of the contract that knows nothing of how an import works."""
    for seed in range(25):
        model = draw(random.Random(seed))
        (tmp_path / "m.json").write_text(json.dumps(model))
        dpumesh("import", "m.json", "-o", "a.yaml")
        out, err = dpumesh("export", "-f", "a.yaml")
        assert meaning(json.loads(out)) == meaning(model), f"seed {seed}"
        assert err == "", f"seed {seed}"


def requests(service):
    """How many requests the service's replicas answered."""
    count = 0
    for replica in service["replicas"]:
        for line in fetch(replica["admin"] + "/metrics").splitlines():
            if line.startswith("mub_request_processing_latency_milliseconds_count{"):
                count += int(float(line.split()[-1]))
    return count


@pytest.mark.slow
def test_the_example_runs_and_answers_along_its_whole_graph(local, bin_dir, dpumesh, tmp_path):
    """Its services really call each other, as often as the work model says."""
    local.agent = bin_dir / "dpumesh-agent"
    arguments = (EXAMPLE / "workmodel.json", EXAMPLE / "K8sParameters.json")
    _, err = dpumesh("import", *arguments, "-o", "app.yaml")
    assert "/sdb1/sidecar: " in err and "/K8sParameters/nginx-gw: " in err
    out, _ = dpumesh("validate", "-f", "app.yaml")
    assert out == "5 services, no problems\n"
    process = local.up(tmp_path / "app.yaml")
    assert len(local.pids("s0")) == 2
    asked, entry = 60, local.service("s0")
    for _ in range(asked):
        assert ask(entry["bridge"][0], "/api/v1")["status"] == 200
    assert set(fetch(entry["http"][0])) == {"m"}
    count = {name: requests(local.service(name)) for name in ("s0", "s1", "s2", "s3", "sdb1")}
    assert count["s0"] == count["s1"] == asked + 1
    assert count["s3"] + count["sdb1"] == 2 * (asked + 1)  # s1 calls one of the two, s0 the latter
    # Half of 61, and half of 61: 4.5 standard deviations are 18 (7 of a million runs are further off).
    assert abs(count["s2"] - asked / 2) < 19 and abs(count["s3"] - asked / 2) < 19
    local.end(process)


@pytest.mark.slow
def test_callees_of_other_paths_are_found_here_too(local, bin_dir, dpumesh, tmp_path):
    """The URLs that an import writes are names in a cluster; here they mean what runs here."""
    local.agent = bin_dir / "dpumesh-agent"
    model = {
        "s0": {"external_services": [{"seq_len": 2, "services": ["s1", "s2"]}], "namespace": "a"},
        "s1": {"external_services": [{"seq_len": 1, "services": ["s2"]}], "path": "/work", "namespace": "a"},
        "s2": {"path": "/x/y", "namespace": "b"},
    }
    quiet = {"internal_service": {"loader": {"sleep_stress": {"run": False}, "mean_response_size": 0.01}}}
    (tmp_path / "m.json").write_text(json.dumps({name: {**one, **quiet} for name, one in model.items()}))
    dpumesh("import", "m.json", "-o", "app.yaml")
    urls = [to["url"] for one in yaml.safe_load_all((tmp_path / "app.yaml").read_text()) for to in one["spec"]["egress"].get("destinations", [])]
    assert urls == ["http://s1:8080/work", "http://s2.b.svc:8080/x/y", "http://s2.b.svc:8080/x/y"]
    process = local.up(tmp_path / "app.yaml")
    for _ in range(10):
        assert ask(local.service("s0")["bridge"][0], "/api/v1")["status"] == 200
    assert [requests(local.service(name)) for name in model] == [10, 10, 20]
    local.end(process)


def test_notes_are_comments_too(dpumesh, tmp_path):
    """Nothing is left out in silence: each line of standard error stands in the output."""
    _, err = dpumesh("import", EXAMPLE / "workmodel.json", EXAMPLE / "K8sParameters.json", "-o", "a.yaml")
    text = (tmp_path / "a.yaml").read_text()
    notes = err.splitlines()
    assert len(notes) == 13
    for note in notes:
        assert note.replace("dpumesh: ", "# ", 1) + "\n" in text
    before, after = text.split("name: s3")
    assert "/sdb1/sidecar" in after and "/s1/internal_service/loader/function_id" in before


@pytest.mark.slow
def test_more_than_a_file_may_have(dpumesh, tmp_path):
    """A small work model can make more documents than a file of them may have: then that is said."""
    names = ["s" * 50 + str(i) for i in range(400)]  # who are called at URLs, for their paths differ
    model = {
        name: {"path": f"/{i % 7}", **({"external_services": [{"services": names[i + 1 : i + 65]}]} if i < 399 else {})}
        for i, name in enumerate(names)
    }
    (tmp_path / "m.json").write_text(json.dumps(model))
    _, err = dpumesh("import", "m.json", "-o", "a.yaml")
    size = (tmp_path / "a.yaml").stat().st_size
    told = f'a.yaml: {size} bytes, and dpumesh reads files of 4 MiB; divide it at a "---" and give the parts'
    assert err.splitlines()[-1] == f"dpumesh: {told}"
    text = (tmp_path / "a.yaml").read_text()
    middle = text.index("\n---\n", size // 2)
    (tmp_path / "b.yaml").write_text(text[:middle])
    (tmp_path / "c.yaml").write_text(text[middle:])
    dpumesh("validate", "-f", "b.yaml", "-f", "c.yaml")


def test_import_takes_a_pipe_and_options(dpumesh):
    out, err = dpumesh("import", "-", "--image", "example.org/agent:1", text='{"s0": {"zip": 1}}')
    (document,) = yaml.safe_load_all(out)
    assert document["spec"] == {"image": "example.org/agent:1", "egress": {"mode": "forward"}}
    assert err == "dpumesh: standard input: /s0/zip: no counterpart, left out\n"
    for option, says in (("--image=a b", "--image: "), ("--egress=nowhere", "--egress: ")):
        _, err = dpumesh("import", "m.json", option, status=2)
        assert says in err


def test_keys_of_parameters_may_be_repeated_but_not_of_models(dpumesh, imported, tmp_path):
    """The K8sParameters.json that muBench comes with repeats two; the last counts, as for Python."""
    (tmp_path / "k.json").write_text('{"K8sParameters": {"replicas": 1,\n"replicas": 3}}')
    documents, err = imported({"s0": {}}, "k.json")
    assert documents["s0"]["spec"]["replicas"] == 3
    assert err == [
        "k.json:2: /K8sParameters/replicas: given before, in line 1; remove one of the two (the last counts)"
    ]
    _, err = imported('{"s0": {"path": "/a", "path": "/b"}, "s1": {"replicas": -1}, "s0": {}}', status=2)
    assert err == [
        "m.json:1: /s0/path: given before, in line 1; remove one of the two",
        "m.json:1: /s0: given before, in line 1; remove one of the two",
        "m.json: /s1/replicas: -1 is below 0; give 0 to 1000",
    ]


def test_all_errors_of_all_files_at_once(dpumesh, imported, tmp_path):
    (tmp_path / "k.json").write_text('{"K8sParameters": {"namespace": 5}}')
    (tmp_path / "g.json").write_text('{"s0": [{"services": ["s1", "s7"]}], "s9": []}')
    model = {
        "s0": {"workers": 0, "internal_service": {"loader": {"cpu_stress": {"run": 1}}}},
        "s1": {"external_services": [{"services": ["s2"]}], "threads": "many"},
        "s2": {"external_services": [{"services": ["s1"]}]},
    }
    _, err = imported(model, "k.json", "--mesh", "g.json", "-o", "out.yaml", status=2)
    places = sorted(line.split(": ")[0] + " " + line.split(": ")[1] for line in err)
    assert places == [
        "g.json /s0/0/services/1",
        "g.json /s9",
        "k.json /K8sParameters/namespace",
        "m.json /s0/internal_service/loader/cpu_stress/run",
        "m.json /s0/workers",
        "m.json /s1/threads",
        "m.json /s2/external_services/0/services/0",
    ]
    assert not (tmp_path / "out.yaml").exists()


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "m.json: the file is empty"),
        ("{", "m.json:1:2: the JSON ends in the middle; is the file complete?"),
        ('{"s0": {}} x', "m.json:1:13: not JSON"),
        ("[]", "m.json: must be an object of services, not a list"),
        ('{"s0": ' + "[" * 100000, "m.json:1:71: nested deeper than 64 levels"),
        ('{"s0": {"replicas": NaN}}', "m.json:1:"),
        ('{"s0": "\x00"}', "m.json:1:9: a NUL byte"),
    ],
    ids=["empty", "cut", "more", "list", "deep", "nan", "nul"],
)
def test_what_is_no_work_model(imported, text, says):
    _, err = imported(text, status=2)
    assert len(err) == 1 and err[0].startswith(says)


def test_files_that_cannot_be_read_or_written(dpumesh, tmp_path):
    _, err = dpumesh("import", "missing.json", status=2)
    assert err.startswith("dpumesh: missing.json: ")
    (tmp_path / "m.json").write_text('{"s0": {}}')
    for verb in (("import", "m.json"), ("export", "-f", GENERATED), ("generate",)):
        _, err = dpumesh(*verb, "-o", "no/folder", status=1)
        assert err.startswith("dpumesh: no/folder: ") and err.count("\n") == 1
    _, err = dpumesh("generate", "--graph", "no/folder.dot", status=1)
    assert err.startswith("dpumesh: no/folder.dot: ")
    _, err = dpumesh("export", status=2)
    assert "no file is given" in err


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", ["empty", "chain", "wrong", "cycle", "large"])
def test_a_hundred_thousand_services_take_bounded_time_and_memory(imported, kind):
    """They are refused, for a file of DpuServices holds a thousand; what else is wrong is told as well."""
    count = 100_000 if kind in ("empty", "large") else 5_000

    def service(i):
        calls = [{"services": [f"s{(i + 1) % count if kind == 'cycle' else i + 1}"]}]
        return {
            "empty": {},
            "chain": {"external_services": calls},
            "cycle": {"external_services": calls},
            "wrong": {"external_services": calls, "replicas": "x"},
            "large": {"external_services": calls, "internal_service": {"loader": LOADER}},
        }[kind]

    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    _, err = imported({f"s{i}": service(i) for i in range(count)}, status=2, timeout=390)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Under AddressSanitizer, which multiplies both: 1.4 s and 59 MiB become 20 s and 600 MiB.
    assert used.ru_utime - before < 100 and used.ru_maxrss / 1024 < 1500
    if kind == "large":
        assert err == ["m.json: larger than the 4M that are read at most"]
        return
    assert err[0] == f"m.json: {count} services; at most 1000"
    if kind == "cycle":
        assert err[1].endswith(", and 4992 more: a request would never end; remove a call")
    if kind == "chain":
        assert err[1:] == [f'm.json: /s4999/external_services/0/services/0: no service "s{count}" in the work model']
    if kind == "wrong":
        assert len(err) == 101 and err[-1] == f"... and {count + 2 - 100} more"


# dpumesh generate


def test_the_generated_example_is_what_its_command_makes(dpumesh):
    """The same on the machine that wrote it and on this one."""
    first = GENERATED.read_text().splitlines()[0]
    words = shlex.split(first.removeprefix("# Made by: "))
    assert words[:2] == ["dpumesh", "generate"]
    out, _ = dpumesh(*words[1:])
    assert out == GENERATED.read_text()


@pytest.mark.parametrize("shape", ["barabasi", "tree", "chain", "fan", "dag"])
def test_generated_applications_are_repeatable_and_valid(dpumesh, tmp_path, shape):
    arguments = ("generate", "--shape", shape, "--vertices", 20, "--edges-per-vertex", 2, "--groups", 2,
                 "--probability", "random", "--database", "sdb1=1", "--database", "nodb=1")  # fmt: skip
    one, _ = dpumesh(*arguments, "--seed", 5)
    two, _ = dpumesh(*arguments, "--seed", 5)
    other, _ = dpumesh(*arguments, "--seed", 6)
    assert one == two and one.splitlines()[1:] != other.splitlines()[1:]
    (tmp_path / "a.yaml").write_text(one)
    out, _ = dpumesh("validate", "-f", "a.yaml")
    count = 10 if shape == "dag" else 20
    assert out == f"{count + 1} services, no problems\n"


def test_mubench_files_mean_the_documents(dpumesh, tmp_path):
    arguments = ("--vertices", 15, "--seed", 3, "--groups", 2, "--seq-len", 1, "--replicas", 2, "--namespace", "mub",
                 "--database", "db=1", "--function", '1:{"loader": {}}', "--mubench", "out")  # fmt: skip
    out, _ = dpumesh("generate", *arguments)
    again, err = dpumesh("import", "out/workmodel.json")
    assert again.splitlines()[1:] == out.splitlines()[1:] and err == ""
    model = json.loads((tmp_path / "out/workmodel.json").read_text())
    graph = json.loads((tmp_path / "out/servicegraph.json").read_text())
    assert graph == {name: {"external_services": one["external_services"]} for name, one in model.items()}
    assert all(one["replicas"] == 2 and one["namespace"] == "mub" for one in model.values())


# muBench's own parameter files

GRAPH = {"vertices": 9, "power": 0.05, "zero_appeal": 0.01, "seq_len": 100, "external_service_groups": 2,
         "service_probability": {"model": "const", "params": {"value": 0.5}}, "dbs": {"sdb1": 0.7, "nodb": 0.3}}  # fmt: skip
PI = {"mean_response_size": 2, "range_complexity": [5, 9]}
IDLE = {"sleep_stress": {"run": False}}
FORMS = {
    "now": {
        "f0": {"type": "function", "value": {"name": "compute_pi", "recipient": "service", "probability": 2,
                                             "parameters": PI, "workers": 2, "cpu-requests": "10m"}},
        "f1": {"type": "function", "value": {"name": "colosseum", "recipient": "service", "probability": 0,
                                             "parameters": {}}},
        "f2": {"type": "function", "value": {"name": "loader", "recipient": "database", "probability": 1,
                                             "parameters": IDLE, "replicas": 3}},
        "request_method": {"type": "metadata", "value": "rest"},
        "databases_prefix": {"type": "metadata", "value": "sdb"},
        "override": {"type": "metadata", "value": {"s0": {"function_id": "f1"}, "sdb1": {"sidecar": "mongo"}}},
    },
    "before": {
        "f0": {"function": "compute_pi", "recipient": "service", "probability": 2, **PI},
        "f1": {"function": "colosseum", "recipient": "service", "probability": 0},
        "f2": {"function": "loader", "recipient": "database", "probability": 1, "replicas": 3, **IDLE},
        "request_method": "rest", "databases_prefix": "sdb",
        "override": {"s0": {"function_id": "f1"}, "sdb1": {"sidecar": "mongo"}},
    },
    "at first": {"compute_pi": {"probability": 1, **PI}, "colosseum": {"probability": 0}},
}  # fmt: skip


@pytest.fixture
def given(tmp_path):
    """given(name, object) writes a file and returns its name."""

    def write(name, value):
        (tmp_path / name).write_text(json.dumps(value))
        return name

    return write


@pytest.mark.parametrize("form", FORMS)
def test_mubench_parameters(dpumesh, given, tmp_path, form):
    graph = given("g.json", {"ServiceGraphParameters": GRAPH, "OutputPath": "x"})
    work = given("w.json", {"WorkModelParameters": FORMS[form], "ServiceGraphFilePath": "y"})
    _, err = dpumesh("generate", work, graph, "--seed", 4, "--mubench", "out", "-o", "a.yaml")
    assert err.splitlines()[:2] == [
        "dpumesh: w.json: /ServiceGraphFilePath: no file is opened that is not named; give the service graph beside "
        "this one",
        "dpumesh: g.json: /OutputPath: --output and --mubench say where; left out",
    ]
    model = json.loads((tmp_path / "out/workmodel.json").read_text())
    services = {name: one for name, one in model.items() if name != "sdb1"}
    assert set(services) == {f"s{i}" for i in range(9)} and "sdb1" in model
    if form == "at first":
        assert all(one["internal_service"] == {"compute_pi": PI} for one in model.values())
    else:
        assert model["s0"]["internal_service"] == {"colosseum": {}}
        assert all(services[f"s{i}"]["internal_service"] == {"compute_pi": PI} for i in range(1, 9))
        assert model["sdb1"]["internal_service"] == {"loader": IDLE}
        assert model["sdb1"]["replicas"] == 3 and model["sdb1"]["sidecar"] == "mongo"
    assert form != "now" or services["s1"]["workers"] == 2 and services["s1"]["cpu-requests"] == "10m"
    # The same as the options that say so.
    options = ("--vertices", 9, "--power", 0.05, "--zero-appeal", 0.01, "--groups", 2, "--probability", 0.5,
               "--database", "sdb1=0.7", "--database", "nodb=0.3", "--seed", 4, "--mubench", "same", "-o", "b.yaml")  # fmt: skip
    dpumesh("generate", *options)
    assert (tmp_path / "same/servicegraph.json").read_text() == (tmp_path / "out/servicegraph.json").read_text()
    alone = given("alone.json", GRAPH)
    dpumesh("generate", alone, "--seed", 4, "--mubench", "alone", "-o", "d.yaml")
    assert (tmp_path / "alone/servicegraph.json").read_text() == (tmp_path / "out/servicegraph.json").read_text()
    # An option that is given counts over the file.
    dpumesh("generate", graph, "--vertices", 3, "--database", "nodb=1", "--mubench", "small", "-o", "c.yaml")
    small = json.loads((tmp_path / "small/servicegraph.json").read_text())
    assert set(small) == {"s0", "s1", "s2"}


def test_the_example_of_mubench_parameters_runs(local, bin_dir, dpumesh, tmp_path):
    """s0 has the function that the file's override names."""
    local.agent = bin_dir / "dpumesh-agent"
    files = [EXAMPLE / f"{name}Parameters.json" for name in ("ServiceGraph", "WorkModel", "K8s")]
    dpumesh("generate", *files, "-o", "app.yaml")
    process = local.up(tmp_path / "app.yaml")
    answer = ask(local.service("s0")["bridge"][0], "/api/v1")
    assert answer["status"] == 200 and len(answer["body"]) > 1000 and "m" * 100 not in answer["body"]
    assert {requests(local.service(f"s{i}")) for i in range(6)} == {1}
    local.end(process)


def test_a_service_graph_in_place_of_a_drawn_one(dpumesh, given):
    calls = [{"seq_len": 100, "services": ["sdb1"]}]
    graph = given("g.json", {"sdb1": {"external_services": []}, "s0": {"external_services": calls}})
    old = given("old.json", {"sdb1": [], "s0": calls})
    work = given("w.json", {"WorkModelParameters": FORMS["now"]})
    deployer = given("k.json", {"K8sParameters": {"namespace": "shop"}})
    out, _ = dpumesh("generate", work, graph, deployer, "--node-port", 30005)
    again, _ = dpumesh("generate", deployer, old, work, "--node-port", 30005)
    assert again.splitlines()[1:] == out.splitlines()[1:]
    database, front = (one["spec"] | one["metadata"] for one in yaml.safe_load_all(out))
    assert front["name"] == "s0" and front["namespace"] == database["namespace"] == "shop"
    assert front["service"]["nodePorts"] == {"bridge": 30005} and "service" not in database
    assert front["workload"]["externalServices"] == [{"services": ["sdb1"]}]
    assert "loader" in database["workload"]["internalService"]


BAD_FILES = {
    '{"ServiceGraphParameters": {"vertices": 0}}': "/ServiceGraphParameters/vertices: 0 is below 1; give 1 to 1000",
    '{"ServiceGraphParameters": {"dbs": {"s3": 1}}}': "/ServiceGraphParameters/dbs: s3 is a service's name",
    '{"vertices": 3, "power": -1}': "/power: -1 is below 0; give 0 to 100",
    '{"ServiceMeshParameters": []}': "/ServiceMeshParameters: must be an object",
    '{"WorkModelParameters": {}}': "/WorkModelParameters: no function of a service; give one",
    '{"WorkModelParameters": {"f": {"function": "loader"}}}': "/WorkModelParameters/f/probability: must be a number",
    '{"WorkModelParameters": {"f": {"type": "function", "value": {}}}}': "/WorkModelParameters/f/value: has no name",
    '{"WorkModelParameters": {"f": {"type": "x", "value": 1}}}': "/WorkModelParameters/f/type: must be function or",
    '{"WorkModelParameters": {"loader": {"probability": 0}}}': "/WorkModelParameters/loader: all ratios are 0",
    '{"WorkModelParameters": {"f": {"function": "loader", "probability": 1, "mean_bandwidth": -1}}}': (
        "/WorkModelParameters/f: /s/internal_service/loader/mean_bandwidth: "
    ),
    '{"WorkModelParameters": {"loader": {"probability": 1}, "override": {"s0": {"function_id": "f"}}}}': (
        "/WorkModelParameters/override/s0/function_id: no function f"
    ),
    '{"s0": {"internal_service": {}}}': "/s0: has work; dpumesh import makes DpuServices of a work model",
    '{"RunnerParameters": {}}': "/RunnerParameters: no external_services; give parameters of muBench's generators",
    "{}": "an empty object",
    "[]": "must be an object of muBench's parameters",
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_parameters_that_are_refused(dpumesh, tmp_path, text):
    (tmp_path / "p.json").write_text(text)
    out, err = dpumesh("generate", "p.json", status=2)
    assert out == "" and err.startswith(f"dpumesh: p.json: {BAD_FILES[text]}")
    assert len(err.splitlines()) == 1


def test_a_generated_application_runs_and_answers(local, bin_dir, dpumesh, tmp_path):
    local.agent = bin_dir / "dpumesh-agent"
    small = '1:{"loader": {"sleep_stress": {"run": false}, "mean_response_size": 0.01}}'
    dpumesh("generate", "--shape", "dag", "--depth", 2, "--width", 2, "--function", small, "-o", "app.yaml")
    process = local.up(tmp_path / "app.yaml")
    assert ask(local.service("s0")["bridge"][0], "/api/v1")["status"] == 200
    assert {f"s{i}": requests(local.service(f"s{i}")) for i in range(5)} == {
        "s0": 1, "s1": 1, "s2": 1, "s3": 1, "s4": 1,
    }  # fmt: skip
    local.end(process)


def test_a_chain_of_more_calls_than_an_agent_takes_for_a_loop(local, bin_dir, dpumesh, tmp_path):
    local.agent = bin_dir / "dpumesh-agent"
    idle = '1:{"colosseum": {}}'
    dpumesh("generate", "--shape", "chain", "--vertices", 19, "--function", idle, "-o", "app.yaml")
    process = local.up(tmp_path / "app.yaml")
    assert ask(local.service("s0")["bridge"][0], "/api/v1")["status"] == 200
    assert requests(local.service("s18")) == 1
    local.end(process)


def test_pictures(dpumesh, tmp_path):
    arguments = ("generate", "--vertices", 7, "--seed", 2, "--database", "sdb1=1", "-o", "a.yaml")
    dpumesh(*arguments, "--graph", "a.dot")
    dot = (tmp_path / "a.dot").read_text()
    model = yaml.safe_load_all((tmp_path / "a.yaml").read_text())
    edges = {
        (one["metadata"]["name"], callee)
        for one in model
        for group in one["spec"]["workload"]["externalServices"]
        for callee in group["services"]
    }
    assert len(edges) == 6 + 7
    for caller, callee in edges:
        assert f'"{caller}" -> "{callee}"' in dot
    assert dot.count("->") == len(edges) and '"sdb1" [shape=cylinder' in dot

    dpumesh(*arguments, "--graph", "a.svg")
    root = xml.etree.ElementTree.parse(tmp_path / "a.svg").getroot()
    titles = {title.text for title in root.iter("{http://www.w3.org/2000/svg}title")}
    assert {f"{caller}->{callee}" for caller, callee in edges} | {f"s{i}" for i in range(7)} <= titles
    dpumesh(*arguments, "--graph", "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG\r\n")

    _, err = dpumesh(*arguments, "--graph", "b.svg", status=1, env={"PATH": "/nonexistent"})
    assert err == (
        "dpumesh: b.svg: graphviz's program dot is not there, which draws it; install graphviz, or give a name "
        "that ends in .dot\n"
    )


BAD = {
    ("--graph", "a.gif"): "--graph: a.gif does not end in .svg, .png or .dot",
    ("--node-port", "80"): "--node-port: 80 is below 30000",
    ("--egress", "never"): "--egress: ",
    ("--image", "a b"): "--image: ",
    ("--shape", "star"): "--shape",
    ("--vertices", "0"): "--vertices",
    ("--vertices", "1001"): "--vertices",
    ("--probability", "2"): "--probability: ",
    ("--database", "sdb1"): '--database: "sdb1" is not NAME=WEIGHT',
    ("--database", "sdb1=-1"): "--database: ",
    ("--database", "s3=1"): "--database: s3 is a service's name",
    ("--database", "S=1"): '--database: "S" is not a service name',
    ("--database", "a=0"): "--database: all weights are 0",
    ("--database", "a=1", "--database", "a=2"): "--database: a is given twice",
    ("--function", "{}"): '--function: "{}" is not RATIO:JSON',
    ("--function", "x:{}"): "--function: ",
    ("--function", "1:{"): "--function:1:2: the JSON ends",
    ("--function", '1:{"loader": {"mean_response_size": -1}}'): "--function: /s/internal_service/loader/mean_resp",
    ("--function", '0:{"loader": {}}'): "--function: all ratios are 0",
    ("--shape", "fan", "--vertices", "200"): "s0 calls 199 services, and a group has at most 128; give --groups 2",
    ("--shape", "fan", "--vertices", "100", "--probability", "0.5"): "s0 calls 99 services, and a group has at most 64 of",
    ("--shape", "dag", "--depth", "100", "--width", "10"): "100 layers of 10 services are more than 999",
    ("--namespace", "A"): "the generated work model: /s0/namespace: ",
    ("nowhere.json",): "nowhere.json: ",
}


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_options_that_are_refused(dpumesh, arguments):
    out, err = dpumesh("generate", *arguments, status=2)
    assert out == "" and BAD[arguments] in err.splitlines()[0]


def test_a_thousand_services(dpumesh, tmp_path):
    dpumesh("generate", "--vertices", 1000, "--groups", 8, "-o", "a.yaml")
    out, _ = dpumesh("validate", "-f", "a.yaml")
    assert out == "1000 services, no problems\n"
    _, err = dpumesh("generate", "--vertices", 1000, "--groups", 8, "--database", "db=1", status=2)
    assert err == "dpumesh: the generated work model: 1001 services; at most 1000\n"
