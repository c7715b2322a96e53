"""The agent's life: start, reload, drain, end.

    demand                                                 test
    SIGTERM and SIGINT: exit 0                             test_an_idle_agent_ends_at_once
    readiness false first, 503 for new work, in-flight     test_a_drain
      answered, exit 0
    connections that come during a drain                   test_a_drain_with_sockets_of_its_own,
                                                           test_replicas_share_inherited_sockets
    a half received request is told, not cut               test_a_half_received_request_is_told
    deadline: exit 1 with a sentence                       test_the_drain_timeout
      ... while a worker computes                          test_the_drain_timeout_while_a_worker_computes
      ... while an answer is not taken                     test_the_drain_timeout_while_a_client_does_not_read
    SIGHUP reloads                                         test_sighup
    a changed file reloads, however it is changed          test_a_changed_file, test_a_config_map
    a configuration through a pipe                         test_a_pipe_is_read_once
    requests in flight keep what they began with           test_requests_in_flight_keep_their_configuration
    a bad, half-written or missing file is refused         test_a_bad_file_is_refused, test_a_half_written_file,
                                                           test_a_missing_file_is_refused
    fields that need a restart are refused                 test_fields_that_need_a_restart, test_all_reasons_at_once
    other fields take effect                               test_what_a_reload_changes
    a second instance on a taken port                      test_a_second_instance; more in test_agent_config.py
    LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES                 test_inherited_sockets_replace_the_addresses,
                                                           test_sockets_meant_for_another_process
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

import agentkit
from agentkit import (
    PATH,
    Agent,
    calls,
    configuration,
    eventually,
    free_port,
    http_request,
    message,
    program,
    request,
    run_agent,
    short,
)

NOWHERE = request(path="/nowhere")


def answers_after(latency, **parts):
    """Parts of a configuration whose answers take this long."""
    return {"workload": {"externalServices": calls(["s1"])}, "egress": {"latency": {"value": latency}}, **parts}


def lines_of(agent, text):
    return [line for line in agent.errors().splitlines() if text in line]


def in_flight(agent, count):
    """Waits until so many calls are outstanding."""
    eventually(lambda: agent.metrics().total("dpumesh_egress_in_flight") == count)


def accepted(agent, count, protocol="bridge"):
    """Waits until the agent has taken so many connections: from then on they are its own."""
    eventually(lambda: agent.metrics().total("dpumesh_connections_total", protocol=protocol) >= count)


def own_addresses():
    return {"bridge": [f"127.0.0.1:{free_port()}"], "http": [f"127.0.0.1:{free_port()}"]}


# ---- draining ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_agent_ends_at_once(start, number):
    agent = start().wait_serving()
    begun = time.monotonic()
    agent.signal(number)
    assert agent.end() == 0
    assert time.monotonic() - begun < 15, "an idle agent has nothing to wait for"
    (line,) = lines_of(agent, "msg=draining")
    assert number.name in line
    assert lines_of(agent, "msg=drained")


def test_a_drain(start):
    agent = start(**answers_after("1s")).wait_serving()
    with agent.lines() as busy, agent.lines() as idle, agent.http("admin") as admin, agent.one_shot() as one:
        # The first request of a connection that came just before the drain is no new work.
        for client in (busy, idle):
            assert client.send(NOWHERE).receive()[0]["status"] == 404
        assert admin.raw(http_request("/healthz")).receive().status == 200
        before = agent.metrics()
        busy.send(*[request()] * 10)
        one.raw(request())
        in_flight(agent, 11)
        agent.signal(signal.SIGTERM)
        eventually(lambda: agent.get("/readyz").status == 503)
        assert b"draining" in agent.get("/readyz").body
        assert agent.get("/healthz").status == 200, "it lives, it is only not ready"

        (refused,) = idle.send(request()).receive()
        assert refused["status"] == 503
        assert refused["headers"]["Retry-After"] == "1"
        assert "shutting down" in message(refused)
        answer = admin.raw(http_request(PATH)).receive()
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["connection"] == "close"
        busy.send(request())
        eventually(lambda: agent.metrics().total("dpumesh_rejected_requests_total", reason="draining") == 3)
        metrics = agent.metrics()
        assert metrics.total("dpumesh_ready") == 0
        assert (metrics - before).total("dpumesh_requests_total") == 14

        # What was in flight is answered, and the refusal waits for its turn behind it.
        assert [a["status"] for a in busy.receive(11)] == [200] * 10 + [503]
        assert [a["status"] for a in one.answers()] == [200]
        assert busy.ended() and idle.ended()
    assert agent.end() == 0


def test_a_drain_with_sockets_of_its_own(start):
    """Nobody else could take a connection that comes now, so it is told."""
    agent = start(inherit=False, listen=own_addresses(), **answers_after("700ms")).wait_serving()
    with agent.one_shot() as old:
        old.raw(request())
        in_flight(agent, 1)
        agent.signal(signal.SIGTERM)
        eventually(lambda: agent.get("/readyz").status == 503)
        assert agent.ask()["status"] == 503
        assert agent.get(PATH).status == 503
        assert [a["status"] for a in old.answers()] == [200]
    assert agent.end() == 0
    with pytest.raises(ConnectionRefusedError):
        agent.one_shot()


def test_leaving(start):
    """While nodes are told that it goes, it serves what they still send; then it drains."""
    agent = start(inherit=False, listen=own_addresses(), limits={"shutdownDelay": "3s"}).wait_serving()
    with agent.lines() as kept, agent.http() as http:
        assert kept.send(request()).receive()[0]["status"] == 200
        begun = time.monotonic()
        agent.signal(signal.SIGTERM)
        eventually(lambda: agent.get("/readyz").status == 503)
        assert b"leaving" in agent.get("/readyz").body
        assert agent.get("/healthz").status == 200
        assert agent.ask()["status"] == 200, "a new connection"
        assert kept.send(request()).receive()[0]["status"] == 200, "one that was there"
        answer = http.raw(http_request(PATH)).receive()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert http.ended()
        assert "draining" not in agent.errors(), "too slow to tell anything"
    assert agent.end() == 0
    assert 3 <= time.monotonic() - begun < 13
    (line,) = lines_of(agent, "leaving")
    assert "delay=3s" in line and "drained" in agent.errors()


@pytest.mark.parametrize("numbers", [[signal.SIGTERM, signal.SIGTERM], [signal.SIGTERM, signal.SIGINT], [signal.SIGINT]])
def test_who_will_not_wait_need_not(start, numbers):
    agent = start(inherit=False, listen=own_addresses(), limits={"shutdownDelay": "20s"}).wait_serving()
    begun = time.monotonic()
    agent.signal(numbers[0])
    for number in numbers[1:]:
        eventually(lambda: lines_of(agent, "leaving"))
        agent.signal(number)
    assert agent.end() == 0
    assert time.monotonic() - begun < 15
    (line,) = lines_of(agent, "msg=draining")
    assert numbers[-1].name in line


def test_replicas_that_share_their_sockets_do_not_wait(start):
    """What comes next is for the others."""
    agent = start(limits={"shutdownDelay": "20s"}).wait_serving()
    begun = time.monotonic()
    agent.signal(signal.SIGTERM)
    assert agent.end() == 0
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("mode", ["one_shot", "lines", "prefixed", "http"])
def test_a_half_received_request_is_told(start, mode):
    agent = start().wait_serving()
    with getattr(agent, mode)() as client:
        whole = http_request(PATH, "POST", body=b"{}") if mode == "http" else request()
        if mode == "prefixed":
            whole = len(whole).to_bytes(4, "big") + whole
        client.raw(whole[: len(whole) // 2])
        accepted(agent, 1, "http" if mode == "http" else "bridge")
        agent.signal(signal.SIGTERM)
        answer = client.receive() if mode != "one_shot" else client.answers()
        if mode == "http":
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.headers["connection"] == "close"
        else:
            assert [a["status"] for a in answer] == [503]
            assert "shutting down" in message(answer[0])
        assert client.ended()
    assert agent.end() == 0


def test_the_drain_timeout(start):
    agent = start(**answers_after("60s", limits={"drainTimeout": "300ms"})).wait_serving()
    agent.expected = 1
    with agent.lines() as client:
        client.send(*[request()] * 3)
        in_flight(agent, 3)
        begun = time.monotonic()
        agent.signal(signal.SIGTERM)
        assert agent.end() == 1
        took = time.monotonic() - begun
        assert client.rest() == b"", "closed without an answer, rather than left waiting"
    assert 0.3 <= took < 15
    (line,) = lines_of(agent, "the drain timeout has passed")
    assert "level=error" in line and "unanswered_requests=3" in line
    assert not lines_of(agent, "msg=drained")


def test_the_drain_timeout_while_a_worker_computes(start):
    work = {"loader": {"cpuStress": {"run": True, "rangeComplexity": [100000, 100000]}}}
    agent = start(workload={"internalService": work}, limits={"drainTimeout": "300ms"}).wait_serving()
    agent.expected = 1
    with agent.lines() as client:
        client.send(request())
        eventually(lambda: agent.metrics().total("dpumesh_queue_submitted_total", queue="ingress_submission") == 1)
        eventually(lambda: agent.metrics().total("dpumesh_queue_depth", queue="ingress_submission") == 0)
        begun = time.monotonic()
        agent.signal(signal.SIGTERM)
        assert agent.end() == 1
        assert time.monotonic() - begun < 15, "100,000 digits take minutes, the drain must not"
    assert "unanswered_requests=1" in lines_of(agent, "the drain timeout has passed")[0]


def test_the_drain_timeout_while_a_client_does_not_read(start):
    work = {"computePi": {"rangeComplexity": [1, 1], "meanResponseSize": 3000}}
    agent = start(workload={"internalService": work}, limits={"drainTimeout": "300ms"}).wait_serving()
    agent.expected = 1
    with agent.lines(receive_buffer=4096) as client:
        client.send(*[request()] * 20)
        eventually(lambda: agent.metrics().total("dpumesh_cpu_jobs_total") == 20)
        agent.signal(signal.SIGTERM)
        assert agent.end() == 1
    assert lines_of(agent, "the drain timeout has passed")


# ---- reloading ----


def in_force(agent):
    return json.loads(agent.get("/config").body)


def changed(agent, **parts):
    """The agent's configuration with other parts."""
    document = json.loads(json.dumps(agent.config))
    for name, part in parts.items():
        document[name] = {**document.get(name, {}), **part} if isinstance(part, dict) else part
    return document


def reload(agent, result="accepted", **parts):
    """Writes a changed configuration and waits for what becomes of it."""
    count = agent.reloads(result)
    agent.write(changed(agent, **parts))
    eventually(lambda: agent.reloads(result) == count + 1)


def test_sighup(start):
    agent = start().wait_serving()
    for count in (1, 2):
        agent.signal(signal.SIGHUP)
        eventually(lambda: agent.reloads("accepted") == count)
    assert agent.reloads("refused") == 0
    assert len(lines_of(agent, "configuration reloaded")) == 2
    assert agent.ask()["status"] == 200


def rename_over(path, text):
    beside = path.with_name("beside")
    beside.write_text(text)
    os.replace(beside, path)


def write_in_place(path, text):
    path.write_text(text)


def remove_and_write(path, text):
    path.unlink()
    path.write_text(text)


@pytest.mark.parametrize("put", [rename_over, write_in_place, remove_and_write], ids=lambda f: f.__name__)
def test_a_changed_file(start, put):
    agent = start().wait_serving()
    for number, path in enumerate(["/v2", "/v3"]):
        put(agent.config_path, json.dumps(changed(agent, workload={"path": path})))
        eventually(lambda: agent.reloads("accepted") == number + 1)
        assert in_force(agent)["workload"]["path"] == path
        assert agent.ask(path=path)["status"] == 200
        assert agent.ask(path=PATH)["status"] == 404
    # The same again is no change, and other files of the folder are none of ours.
    put(agent.config_path, json.dumps(changed(agent, workload={"path": "/v3"}), indent=1))
    agent.config_path.with_name("other.json").write_text("{")
    time.sleep(0.4)
    assert (agent.reloads("accepted"), agent.reloads("refused")) == (2, 0)


def test_a_pipe_is_read_once(tmp_path):
    """There is no changed file behind it, and reading it again would wait for a writer for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    document = configuration(listen={"bridge": [f"127.0.0.1:{free_port()}"], "http": [f"127.0.0.1:{free_port()}"]})
    agent = subprocess.Popen([program(), "--config", pipe], stderr=subprocess.PIPE, text=True)
    try:
        pipe.write_text(json.dumps(document))
        line = agent.stderr.readline()
        assert "starting" in line, line
        agent.send_signal(signal.SIGTERM)
        _, errors = agent.communicate(timeout=30)
    finally:
        agent.kill()
    assert agent.returncode == 0 and "refused" not in errors, errors


class MountedAgent(Agent):
    """Its file lies as kubelet mounts a ConfigMap: agent.json -> ..data/agent.json, ..data -> ..VERSION."""

    version = 0

    def write(self, config):
        self.config, name = config, self.config_path.name
        self.version += 1
        made = self.folder / f"..version{self.version}"
        made.mkdir()
        (made / name).write_text(json.dumps(config))
        beside = self.folder / "..data_tmp"
        beside.symlink_to(made.name)
        os.replace(beside, self.folder / "..data")
        if not self.config_path.is_symlink():
            self.config_path.symlink_to(f"..data/{name}")
        if self.version > 1:
            shutil.rmtree(self.folder / f"..version{self.version - 1}")


def test_a_config_map(tmp_path):
    agent = MountedAgent(tmp_path, configuration())
    try:
        agent.wait_serving()
        for path in ("/v2", "/v3"):
            reload(agent, workload={"path": path})
            assert agent.ask(path=path)["status"] == 200
        reload(agent, "refused", workload={"path": "no slash"})
        assert agent.ask(path="/v3")["status"] == 200
        assert agent.reloads("accepted") == 2
    finally:
        agent.stop()


def test_requests_in_flight_keep_their_configuration(start):
    agent = start(**answers_after("1s")).wait_serving()
    with agent.lines() as client:
        client.send(*[request()] * 5)
        in_flight(agent, 5)
        reload(agent, workload={"path": "/v2"}, egress={"latency": {"value": "0s"}})
        client.send(request(), request(path="/v2"))
        assert [a["status"] for a in client.receive(7)] == [200] * 5 + [404, 200]


GOOD = configuration()

BAD_FILES = [
    ("", "the file is empty"),
    ("{", "JSON"),
    ("[]", "object"),
    (json.dumps(GOOD)[:-20], "JSON"),
    (json.dumps({**GOOD, "egres": {}}), 'egres: '),
    (json.dumps({**GOOD, "egress": {"workers": -1}}), "egress.workers: -1"),
    (json.dumps({**GOOD, "workload": {"externalServices": [{"services": ["s1"], "probabilities": {"s1": 2}}]}}),
     "workload.externalServices[0].probabilities.s1: 2 is above 1"),
]  # fmt: skip


@pytest.fixture(scope="module")
def steady(starter):
    """An agent whose reloads are all refused, so that its configuration stays."""
    return starter(inherit=True, limits={"frameBytes": 4096}).wait_serving()


def refuse(agent, write):
    """Does write(), which must be refused: the log's lines about it. The old configuration stays."""
    before, log = in_force(agent), len(agent.errors())
    counts = agent.reloads("accepted"), agent.reloads("refused")
    write()
    eventually(lambda: agent.reloads("refused") == counts[1] + 1)
    assert agent.reloads("accepted") == counts[0]
    assert in_force(agent) == before
    assert agent.ask()["status"] == 200
    assert agent.get("/readyz").status == 200
    lines = agent.errors()[log:].splitlines()
    assert lines
    for line in lines:
        assert "configuration refused, the old one stays" in line and "level=error" in line
        assert str(agent.config_path) in line
    return lines


@pytest.mark.parametrize("text, reason", BAD_FILES, ids=short)
def test_a_bad_file_is_refused(steady, text, reason):
    lines = refuse(steady, lambda: steady.write(text))
    assert any(reason in line for line in lines), lines


def test_a_missing_file_is_refused(start):
    agent = start().wait_serving()
    aside = agent.config_path.with_suffix(".aside")
    os.rename(agent.config_path, aside)
    (line,) = refuse(agent, lambda: agent.signal(signal.SIGHUP))
    assert "No such file or directory" in line
    os.rename(aside, agent.config_path)
    assert agent.reloads("refused") == 1, "coming back unchanged is no change"


def test_a_half_written_file(start):
    """Somebody writes slowly and without a rename: refused at first, in force when it is whole."""
    agent = start().wait_serving()
    text = json.dumps(changed(agent, workload={"path": "/v2"}))
    refuse(agent, lambda: agent.config_path.write_text(text[:50]))
    with open(agent.config_path, "a") as out:
        out.write(text[50:])
    eventually(lambda: agent.reloads("accepted") == 1)
    assert agent.ask(path="/v2")["status"] == 200
    assert agent.reloads("refused") == 1


FIXED = {
    "service": "other",
    "listen.bridge": ["127.0.0.1:1"],
    "listen.http": ["127.0.0.1:1"],
    "listen.admin": ["127.0.0.1:1"],
    "queues.ingressSubmission": 32,
    "queues.ingressCompletion": 32,
    "queues.egressSubmission": 32,
    "queues.egressCompletion": 32,
    "limits.arenaBytes": "32Mi",
    "limits.requests": 7,
    "limits.connections": 7,
    "limits.sources": 7,
    "workload.threads": 7,
}


def with_field(document, place, value):
    section, _, field = place.partition(".")
    if field:
        document.setdefault(section, {})[field] = value
    else:
        document[section] = value


def with_fields(document, places):
    made = json.loads(json.dumps(document))
    for place in places:
        with_field(made, place, FIXED[place])
    return made


def refused_fields(agent, places):
    """Writes one file that changes all these fields; the fields that the log names."""
    lines = refuse(agent, lambda: agent.write(with_fields(configuration(), places)))
    pattern = r'(?:reason="|; )([A-Za-z.]+): can\'t change from'
    return sorted(name for line in lines for name in re.findall(pattern, line))


@pytest.mark.parametrize("section", ["service", "listen", "queues", "limits", "workload"])
def test_fields_that_need_a_restart(start, section):
    agent = start().wait_serving()
    places = sorted(place for place in FIXED if place.split(".")[0] == section)
    assert refused_fields(agent, places) == places
    for count, place in enumerate(places, 2):
        agent.write(with_fields(configuration(), [place]))
        eventually(lambda: agent.reloads("refused") == count)
    assert agent.reloads("accepted") == 0


def test_all_reasons_at_once(start):
    agent = start().wait_serving()
    assert refused_fields(agent, FIXED) == sorted(FIXED)


def test_what_a_reload_changes(start):
    agent = start(**answers_after("0s"), peers={"s1": {}}).wait_serving()
    assert agent.ask()["status"] == 200
    # Calls, their latency and their cap.
    reload(agent, egress={"latency": {"value": "150ms"}, "workers": 1})
    begun = time.monotonic()
    with agent.lines() as client:
        client.send(request(), request())
        assert [a["status"] for a in client.receive(2)] == [200, 200]
    assert time.monotonic() - begun >= 0.3, "two calls one after the other"
    reload(agent, egress={"latency": {"value": "10s"}, "timeout": "10ms", "workers": 0})
    assert agent.ask()["status"] == 504
    # Who may be called.
    reload(agent, peers={"s2": {}}, workload={"externalServices": calls(["s3"])})
    assert agent.ask()["status"] == 500
    # The work inside, and the labels.
    reload(agent, zone="north", workload={"externalServices": [], "internalService": {"computePi": {}}})
    jobs = agent.metrics().total("dpumesh_cpu_jobs_total")
    assert len(agent.ask()["body"]) >= 1
    metrics = agent.metrics()
    assert metrics.total("dpumesh_cpu_jobs_total") == jobs + 1
    assert metrics.total("mub_response_size_count", zone="north") == 1
    # Limits, also of a connection that is there already.
    with agent.lines() as client:
        assert client.send(request(body="x" * 2000)).receive()[0]["status"] != 413
        reload(agent, limits={"frameBytes": 1024})
        assert client.send(request(body="x" * 2000)).receive()[0]["status"] == 413
    # The log.
    reload(agent, log={"format": "json"})
    agent.signal(signal.SIGHUP)
    eventually(lambda: agent.errors().splitlines()[-1].startswith("{"))
    eventually(lambda: json.loads(agent.errors().splitlines()[-1])["msg"] == "configuration reloaded")


# ---- sockets ----


def test_a_second_instance(start, tmp_path):
    agent = start(inherit=False, listen=own_addresses()).wait_serving()
    other = tmp_path / "second.json"
    for taken in ("bridge", "http"):
        listen = {**own_addresses(), taken: agent.config["listen"][taken]}
        other.write_text(json.dumps(configuration(listen=listen)))
        status, out, err = run_agent("--config", other)
        assert (status, out) == (2, "")
        (line,) = err.splitlines()
        assert listen[taken][0] in line and "taken" in line
    assert agent.ask()["status"] == 200, "the first one does not care"


def test_inherited_sockets_replace_the_addresses(start):
    listen = own_addresses()
    agent = start(listen=listen).wait_serving()
    assert agent.ask()["status"] == 200
    assert agent.get(PATH, "http").status == 200
    assert agent.get(PATH, "admin").status == 200
    for (address,) in listen.values():
        host, port = address.split(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))


def test_sockets_meant_for_another_process(start, monkeypatch):
    """LISTEN_PID is not ours: a parent of ours was meant, and the numbers say nothing to us."""
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_FDNAMES", "bridge:http")
    agent = start(inherit=False, listen=own_addresses()).wait_serving()
    assert agent.ask()["status"] == 200


def test_replicas_share_inherited_sockets(start, monkeypatch):
    """One of two replicas goes while clients come: each client gets an answer, none a reset."""
    first = start(**answers_after("5ms")).wait_serving()
    shared = [first.sockets["bridge"].dup(), first.sockets["http"].dup(), agentkit.listener()]
    monkeypatch.setattr(agentkit, "listener", lambda: shared.pop(0))
    second = start(**answers_after("5ms")).wait_serving()
    answers, stop = [], threading.Event()

    def come():
        while not stop.is_set():
            answers.append(first.ask()["status"])

    clients = [threading.Thread(target=come) for _ in range(4)]
    for client in clients:
        client.start()
    eventually(lambda: all(a.metrics().total("dpumesh_requests_total") > 10 for a in (first, second)))
    first.signal(signal.SIGTERM)
    assert first.end() == 0
    gone = len(answers)
    eventually(lambda: len(answers) > gone + 50)
    stop.set()
    for client in clients:
        client.join()
    assert set(answers[gone + len(clients) :]) == {200}
    assert set(answers) <= {200, 503}
    assert second.ask()["status"] == 200
