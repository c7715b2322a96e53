"""The agent's configuration, from the outside.

    demand                                                   test
    every error, all at once, field named, right value said  test_all_errors_at_once
    one error: field, what is wrong, what would be right     test_a_wrong_field_is_named
    probability 2, negative sleep                            test_a_wrong_field_is_named
    unknown fields refused with the nearest known name       test_an_unknown_field_gets_the_nearest_name
    half-written or unreadable configuration                 test_a_file_that_is_no_document,
                                                             test_half_a_file, test_a_file_that_may_not_be_read
    duplicate keys                                           test_a_file_that_is_no_document
    exit 2, nothing served                                   all of them (refused())
    --check                                                  test_check_prints_what_would_be_in_force
    wrong usage                                              test_wrong_usage
    ports taken, by a second instance: one sentence, exit 2  test_a_taken_port
    an address that is not ours                              test_an_address_of_somebody_else
    inherited sockets with a wrong name                      test_inherited_sockets_with_a_wrong_name
"""

import json
import os
import shutil
import subprocess

import pytest

from agentkit import PATH, configuration, free_port, program, run_agent, short

PREFIX = "dpumesh-agent: "


def refused(path, *arguments):
    """Runs the agent on a file that it must refuse; the sentences."""
    status, out, err = run_agent("--config", path, *arguments)
    assert status == 2, (status, err)
    assert out == ""
    lines = err.splitlines()
    assert lines
    for line in lines:
        assert line.startswith(f"{PREFIX}{path}"), line
    return [line[len(PREFIX) + len(str(path)) :] for line in lines]


def put(tmp_path, document):
    path = tmp_path / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_all_errors_at_once(tmp_path):
    document = {
        "apiVersion": "dpumesh.io/agent/v1alpha2",
        "service": "S0",
        "egres": {"workers": 1},
        "listen": {"bridge": ["localhost"]},
        "workload": {
            "path": "api",
            "internalService": {"loader": {"sleepStress": {"sleepTime": -1}}},
            "externalServices": [{"services": ["s1", "s2"], "probabilities": {"s1": 2}}],
        },
        "egress": {"latency": {"distribution": "norman"}, "workers": -3},
        "queues": {"ingressSubmission": 100},
        "limits": {"frameByte": 1, "connections": "many", "frameTimeout": 5},
        "log": {"level": "loud"},
    }
    wanted = {
        "apiVersion",
        "service",
        "listen.bridge[0]",
        "workload.path",
        "workload.internalService.loader.sleepStress.sleepTime",
        "workload.externalServices[0].probabilities.s1",
        "egress.latency.distribution",
        "egress.workers",
        "queues.ingressSubmission",
        "limits.connections",
        "limits.frameTimeout",
        "limits.frameByte",
        "log.level",
        "egres",
    }
    path = put(tmp_path, document)
    for arguments in ([], ["--check"]):
        found = [line.removeprefix(": ").split(": ")[0] for line in refused(path, *arguments)]
        assert sorted(found) == sorted(wanted)


def change(document, place, value):
    """Sets document.a.b.c for "a.b.c"."""
    *way, last = place.split(".")
    for step in way:
        document = document.setdefault(step, {})
    document[last] = value


GROUP = "workload.externalServices"


@pytest.mark.parametrize(
    "place, value, where, says",
    [
        (GROUP, [{"services": ["s1"], "probabilities": {"s1": 2}}],
         f"{GROUP}[0].probabilities.s1", "2 is above 1; give 0 to 1"),
        (GROUP, [{"services": ["s1"], "probabilities": {"s1": -0.5}}],
         f"{GROUP}[0].probabilities.s1", "-0.5 is below 0"),
        (GROUP, [{"services": ["s1"], "probabilities": {"s2": 1}}],
         f"{GROUP}[0].probabilities.s2", "not one of this group's services"),
        (GROUP, [{"services": ["s1"], "seqLen": 2}], f"{GROUP}[0].seqLen", "give at most 1"),
        (GROUP, [{"services": []}], f"{GROUP}[0].services", ""),
        (GROUP, [{"services": ["S1"]}], f"{GROUP}[0].services[0]", '"S1"'),
        (GROUP, {"services": ["s1"]}, GROUP, "list"),
        ("workload.internalService", {"loader": {"sleepStress": {"sleepTime": -1}}},
         "workload.internalService.loader.sleepStress.sleepTime", "-1 is below 0"),
        ("workload.internalService", {"loader": {}, "computePi": {}},
         "workload.internalService", "one"),
        ("workload.internalService", {"computePi": {"rangeComplexity": [9, 3]}},
         "workload.internalService.computePi.rangeComplexity", "9"),
        ("workload.internalService", {"loader": {"memoryStress": {"memorySize": 0}}},
         "workload.internalService.loader.memoryStress.memorySize", "0 is below 1"),
        ("workload.internalService", {"loader": {"diskStress": {"tmpFileName": "../x"}}},
         "workload.internalService.loader.diskStress.tmpFileName", '"../x" is not a file'),
        ("workload.internalService", {"plugin": {"path": "/no/such.so", "function": "f"}},
         "workload.internalService.plugin", "/no/such.so: can't be loaded"),
        ("workload.alternativeBehaviors", {"b": {"externalServices": [{"services": []}]}},
         "workload.alternativeBehaviors.b.externalServices[0].services", "empty"),
        ("workload.scratch", "tmp", "workload.scratch", "absolute path"),
        ("workload.path", "api", "workload.path", "begins with /"),
        ("egress.latency", {"distribution": "uniform", "low": "9ms", "high": "3ms"},
         "egress.latency.low", "above high"),
        ("egress.latency", {"distribution": "exponential"}, "egress.latency.mean", "missing"),
        ("egress.latency", {"value": -1}, "egress.latency.value", "unit"),
        ("egress.latency", {"value": "-5ms"}, "egress.latency.value", "-5ms"),
        ("egress.timeout", 5, "egress.timeout", "5 has no unit"),
        ("egress.mode", "real", "egress.mode", "give simulate or forward"),
        ("egress.destinations", [{"name": "s1", "url": "s1"}], "egress.destinations[0].url", "URL"),
        ("egress.forward", {"connections": 0}, "egress.forward.connections", "give 1 to"),
        ("queues.egressSubmission", 100, "queues.egressSubmission", "give 64 or 128"),
        ("queues.ingressSubmission", 8, "queues.ingressSubmission", "below 16"),
        ("limits.frameBytes", "1Gi", "limits.frameBytes", ""),
        ("limits.arenaBytes", "1Mi", "limits.frameBytes", "half of arenaBytes"),
        ("limits.connections", 0, "limits.connections", "give 1 to"),
        ("limits.connections", 1.5, "limits.connections", "1.5 is not a whole number"),
        ("listen.http", ["0.0.0.0"], "listen.http[0]", "such as 0.0.0.0:5005"),
        ("listen.http", ["0.0.0.0:65536"], "listen.http[0]", "65536"),
        ("service", "", "service", "such as s0"),
        ("service", 7, "service", "7"),
        ("log.format", "xml", "log.format", "give logfmt or json"),
        ("peers", {"s1": {"bridge": "nowhere"}}, "peers.s1.bridge", "such as s1:5005"),
    ],
    ids=short,
)  # fmt: skip
def test_a_wrong_field_is_named(tmp_path, place, value, where, says):
    document = configuration()
    change(document, place, value)
    (line,) = refused(put(tmp_path, document))
    assert line.startswith(f": {where}: "), line
    assert says in line


@pytest.mark.parametrize(
    "place, value, nearest",
    [
        ("egres", {}, "egress"),
        ("limits.frameByte", 1, "frameBytes"),
        ("workload.externalService", [], "externalServices"),
        ("egress.latency.distributon", "constant", "distribution"),
        ("queues.ingressSubmision", 64, "ingressSubmission"),
        ("log.levle", "info", "level"),
    ],
)
def test_an_unknown_field_gets_the_nearest_name(tmp_path, place, value, nearest):
    document = configuration()
    change(document, place, value)
    (line,) = refused(put(tmp_path, document))
    assert line.startswith(f": {place}: unknown field"), line
    assert line.endswith(f"did you mean {nearest}?")


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "the file is empty"),
        ("[]", "must be an object"),
        ("service: s0\n", "not JSON"),
        ('{"service": "s0"} x', "not JSON"),
        ('{"service": "s0", "service": "s1"}', "duplicate"),
        ('{"service": "s\\u0000"}', ""),
        ("{}", "service: missing"),
        ('{"service": null}', "service: missing"),
        ("\0" * 64, ""),
        ("[" * 100_000, ""),
        (" " * (5 << 20), "4M"),
    ],
    ids=short,
)
def test_a_file_that_is_no_document(tmp_path, text, says):
    (line,) = refused(put(tmp_path, text))
    assert says in line
    assert len(line) < 400


def test_bad_utf8(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b'{"service": "s0", "zone": "\xff\xfe"}')
    (line,) = refused(path)
    assert "UTF-8" in line


def test_half_a_file(tmp_path):
    """However much of it was written when the agent looks."""
    text = json.dumps(configuration())
    cuts = [1, len('{"service'), *range(20, len(text), 37), len(text) - 1]
    for cut in cuts:
        (line,) = refused(put(tmp_path, text[:cut]))
        assert "JSON" in line and "complete?" in line, (cut, line)


def test_a_file_that_is_not_there(tmp_path):
    (line,) = refused(tmp_path / "nowhere.json")
    assert "No such file" in line
    (line,) = refused(tmp_path)
    assert "is a directory" in line


def test_a_file_that_may_not_be_read(tmp_path):
    path = put(tmp_path, configuration())
    path.chmod(0)
    # A copy: the build may lie where nobody but root may look.
    copy = shutil.copy(program(), tmp_path / "dpumesh-agent")
    command = [str(copy), "--config", str(path)]
    options = {}
    if os.geteuid() == 0:
        # To root nothing is unreadable: the agent runs as nobody. ASan needs no rights for that.
        for folder in path.parents:
            if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/pytest"):
                folder.chmod(0o755)
        options = {"user": 65534, "group": 65534, "extra_groups": []}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, **options)
    assert done.returncode == 2, done.stderr
    assert done.stderr == f"{PREFIX}{path}: can't open: Permission denied\n"


def test_check_prints_what_would_be_in_force(tmp_path):
    """All defaults filled in; and what it prints is a configuration that means the same."""
    path = put(tmp_path, {"service": "s7", "egress": {"workers": 4}})
    status, out, err = run_agent("--config", path, "--check")
    assert (status, err) == (0, "")
    document = json.loads(out)
    assert document["service"] == "s7"
    assert document["egress"]["workers"] == 4
    assert document["listen"] == {
        "bridge": ["0.0.0.0:5005"], "http": ["0.0.0.0:8080"], "admin": [],
    }  # fmt: skip
    assert document["workload"]["path"] == PATH
    assert document["limits"]["frameBytes"] == 1 << 20
    status, again, err = run_agent("--config", put(tmp_path, out), "--check")
    assert (status, again, err) == (0, out, "")


def test_check_agrees_with_config(start):
    agent = start(workload={"externalServices": calls_of_every_kind()})
    _, out, _ = run_agent("--config", agent.config_path, "--check")
    answer = agent.get("/config")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == json.loads(out)


def calls_of_every_kind():
    return [
        {"services": ["s1", "s1__2"]},
        {"services": ["s2", "s3"], "seqLen": 1, "probabilities": {"s2": 0.25}},
    ]


@pytest.mark.parametrize(
    "arguments, says",
    [
        ([], "--config FILE is needed"),
        (["--confg", "x"], "did you mean --config?"),
        (["--config"], "--config"),
        (["--config", "a", "b"], '"b"'),
    ],
)
def test_wrong_usage(arguments, says):
    status, out, err = run_agent(*arguments)
    assert (status, out) == (2, "")
    assert says in err.splitlines()[0]


@pytest.mark.parametrize("taken", ["bridge", "http", "admin"])
def test_a_taken_port(start, tmp_path, taken):
    """A second instance says whose port it is and goes; the first serves on."""
    first = start()
    host, port = first.address("bridge" if taken == "bridge" else "http")
    other = free_port()
    listen = {"bridge": [f"127.0.0.1:{other}"], "http": ["127.0.0.1:0"], "admin": []}
    listen[taken] = [f"{host}:{port}"]
    status, out, err = run_agent("--config", put(tmp_path, configuration(listen=listen)))
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert f"{host}:{port}" in line and "taken by another process" in line
    assert first.ask()["status"] == 200


def test_the_document_s_addresses_are_bound(start):
    """Without inherited sockets the agent binds what the document says, and lets go of it."""
    bridge, http = free_port(), free_port()
    listen = {"bridge": [f"127.0.0.1:{bridge}"], "http": [f"127.0.0.1:{http}"]}
    for _ in range(2):
        agent = start(inherit=False, listen=listen).wait_serving()
        assert agent.ask()["status"] == 200
        agent.stop()


def test_an_address_of_somebody_else(tmp_path):
    document = configuration(listen={"bridge": ["203.0.113.7:5005"], "http": ["127.0.0.1:0"]})
    status, out, err = run_agent("--config", put(tmp_path, document))
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert "203.0.113.7:5005: can't listen" in line


def test_inherited_sockets_with_a_wrong_name(tmp_path):
    path = put(tmp_path, configuration())
    script = 'exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=ftp exec "$@"'
    done = subprocess.run(
        ["bash", "-c", script, "bash", str(program()), "--config", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert "LISTEN_FDNAMES" in done.stderr and "bridge, http and admin" in done.stderr
