"""Functions of a user's own (internalService.plugin; docs/plugins.md).

    demand                                                  test
    a function is told the request, and answers             test_a_function_answers
    the examples of the documentation                       test_the_example, test_the_page_s_plugin
    what is no plugin is refused, at start and at reload    test_refused_at_start, test_refused_at_reload
    a function that fails, or answers no text: 500          test_a_function_that_fails
    bounds of what it returns                               test_as_much_as_it_may
    a time cap, whatever the function does                  test_a_function_that_is_late
    ... while others are served                             test_late_functions_keep_their_threads_only
    ... and the agent ends                                  test_a_function_that_never_returns
    open and close                                          test_opened_and_closed
    a file that changes while open() lasts                  test_a_change_at_the_start, test_a_bad_change_at_the_start,
                                                            test_no_change_at_the_start
"""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from agentkit import PATH, TOP, calls, eventually, program, request, run_agent

BUILT = program().parent.parent


def plugin(function, name="sample", **parts):
    path = BUILT / "tests" / "agent" / "plugins" / f"{name}.so"
    return {"internalService": {"plugin": {"path": str(path), "function": function, **parts}}}


def jobs(agent, result):
    return agent.metrics().total("dpumesh_worker_jobs_total", kind="plugin", result=result)


def test_a_function_answers(start):
    agent = start(workload={**plugin("echo", params={"x": "ü\"\\"}), "externalServices": calls(["s1"])})
    body = json.dumps({"s0": [{"s1": []}]})
    answer = agent.ask(method="POST", body=body, query_string="a=%20&bid=x")
    assert answer["status"] == 200
    assert answer["headers"]["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["body"].splitlines() == [
        "service=s0", "method=POST", f"path={PATH}", "query=a=%20&bid=x", f"body={body}",
        'params={"x":"ü\\"\\\\"}', f"numbers={len(body)} {1 << 20}",
    ]  # fmt: skip
    over_http = agent.get(PATH + "?q=1", "http")
    assert over_http.status == 200 and b"\nquery=q=1\n" in over_http.body and b"method=GET" in over_http.body
    assert agent.get(PATH, "http", "HEAD").status == 200
    now = agent.metrics()
    assert jobs(agent, "done") == 3
    assert now.total("dpumesh_egress_calls_total") == 3
    assert now.total("mub_response_size_count") == 3
    assert now.total("mub_response_size_sum") > len(answer["body"].encode()) + len(over_http.body)

    def workers_worked():
        agent.ask()
        return agent.metrics().total("dpumesh_host_cpu_seconds_total", stage="workers") > 0

    eventually(workers_worked)  # three short calls may be less than the clock shows


def test_many_at_once(start):
    agent = start(workload={"threads": 3, **plugin("echo")})
    with agent.lines(timeout=60) as client:
        client.send(*[request(query_string=f"n={n}") for n in range(500)])
        bodies = [answer["body"] for answer in client.receive(500)]
    assert [body.splitlines()[3] for body in bodies] == [f"query=n={n}" for n in range(500)]


def test_nothing_to_say(start):
    agent = start(workload=plugin("nothing"))
    answer = agent.ask()
    assert (answer["status"], answer["body"]) == (200, "")
    assert agent.get(PATH, "http").body == b""


def test_the_example(start):
    """examples/plugin, as docs/plugins.md builds and uses it."""
    path = str(BUILT / "examples" / "plugin" / "wordcount.so")
    use = {"path": path, "function": "wordcount", "params": {"least": 3}}
    agent = start(
        workload={
            "internalService": {"plugin": use},
            "alternativeBehaviors": {"all": {"internalService": {"plugin": {**use, "params": {}}}}},
        }
    )
    body = json.dumps({"s0": [{}, {}, {}]})  # three words, two of them short
    assert body.split() == ['{"s0":', "[{},", "{},", "{}]}"]
    assert agent.ask(method="POST", body=body)["body"] == "4\n"
    assert agent.ask(method="POST", body='{"s0": [ {} ] }', query_string="bid=all")["body"] == "5\n"
    assert agent.ask(method="POST", body='{"s0": [ {} ] }')["body"] == "1\n"
    bad = {**use, "params": {"least": 0}}
    agent.write({**agent.config, "workload": {"internalService": {"plugin": bad}}})
    eventually(lambda: agent.reloads("refused") == 1)
    agent.wait_log("least: must be a whole number of at least 1")


def test_the_page_s_plugin(start, tmp_path):
    """docs/plugins.md shows a whole plugin and how it is built: both are right."""
    page = (TOP / "docs" / "plugins.md").read_text()
    (source,) = re.findall(r"```c\n(.*?)```", page, re.S)
    (command,) = re.findall(r"^cc .* hello.c$", page, re.M)
    (tmp_path / "hello.c").write_text(source)
    subprocess.run([*command.split(), "-I", TOP / "agent", "-Werror"], cwd=tmp_path, check=True)
    use = {"path": str(tmp_path / "hello.so"), "function": "hello"}
    assert start(workload={"internalService": {"plugin": use}}).ask()["body"] == "hello\n"


REFUSED = [
    ("echo", "other_api", "it was built for plugin API 999, and this agent has API 1"),
    ("echo", "no_plugin", "it is no plugin: it has no symbol dpumesh_plugin"),
    ("echo", "not_there", "can't be loaded: cannot open shared object file"),
    ("ecko", "sample", 'it has no function "ecko"; it has echo, '),
    ("note", "sample", "function note refuses its params: params.file: missing"),
]


@pytest.mark.parametrize("function, name, sentence", REFUSED, ids=[case[1] + "-" + case[0] for case in REFUSED])
@pytest.mark.parametrize("how", [["--check"], []], ids=["check", "start"])
def test_refused_at_start(tmp_path, function, name, sentence, how):
    path = tmp_path / "agent.json"
    workload = {"alternativeBehaviors": {"b": plugin(function, name)}}
    listen = {"bridge": ["127.0.0.1:0"], "http": ["127.0.0.1:0"]}
    path.write_text(json.dumps({"service": "s0", "listen": listen, "workload": workload}))
    status, out, err = run_agent("--config", path, *how)
    assert status == 2 and not out
    (line,) = err.splitlines()
    assert line.startswith(f"dpumesh-agent: {path}: workload.alternativeBehaviors.b.internalService.plugin: /")
    assert sentence in line


def test_refused_at_reload(start):
    agent = start(workload=plugin("echo")).wait_serving()
    for count, (function, name, sentence) in enumerate(REFUSED, 1):
        agent.write({**agent.config, "workload": plugin(function, name)})
        eventually(lambda count=count: agent.reloads("refused") == count)
        agent.wait_log(sentence)
    assert agent.ask()["status"] == 200
    agent.write({**agent.config, "workload": plugin("nothing")})
    eventually(lambda: agent.reloads("accepted") == 1)
    assert agent.ask()["body"] == ""


@pytest.mark.parametrize("function", ["fail", "not_utf8", "take_and_fail"])
def test_a_function_that_fails(start, function):
    agent = start(workload={**plugin(function), "externalServices": calls(["s1"])})
    answer = agent.ask()
    assert (answer["status"], json.loads(answer["body"])) == (500, {"message": "Error"})
    over_http = agent.get(PATH, "http")
    assert (over_http.status, json.loads(over_http.body)) == (500, {"message": "Error"})
    now = agent.metrics()
    assert jobs(agent, "failed") == 2
    assert now.total("dpumesh_rejected_requests_total", reason="internal_error") == 2
    assert now.total("dpumesh_egress_calls_total") == now.total("mub_response_size_count") == 0


@pytest.mark.parametrize("most, arena", [(1, 1 << 20), (5000, 1 << 20), (1 << 26, 1 << 20), (1 << 20, 1 << 26)])
def test_as_much_as_it_may(start, most, arena):
    """No more than responseBytes, and than a sixteenth of the arena; whatever it holds is escaped."""
    agent = start(workload=plugin("fill", responseBytes=most), limits={"arenaBytes": arena, "frameBytes": 65536})
    answer = agent.ask()
    assert answer["status"] == 200
    assert answer["body"] == '"' * min(most, arena // 16)


def test_a_full_arena(start):
    """Answers that find no room are 503, and all memory comes back."""
    agent = start(
        workload=plugin("fill", responseBytes=65536),
        limits={"arenaBytes": 1 << 20, "frameBytes": 65536},
    )
    with agent.lines(timeout=60) as client:
        client.send(*[request()] * 300)
        statuses = {answer["status"] for answer in client.receive(300)}
    assert 200 in statuses and statuses <= {200, 503}
    assert agent.ask()["status"] == 200


def test_an_answer_is_kept_for_the_calls(start):
    """A call that fails makes it nobody's, and its memory comes back."""
    agent = start(
        workload={**plugin("fill", responseBytes=60000), "externalServices": calls(["s9"])},
        limits={"arenaBytes": 1 << 20, "frameBytes": 65536},
        peers={"s1": {}},
    )
    for _ in range(100):
        assert agent.ask()["status"] == 500
    assert jobs(agent, "done") == 100


@pytest.mark.parametrize("function", ["patient", "stubborn"])
def test_a_function_that_is_late(start, function):
    agent = start(workload=plugin(function, params={"ms": 3000}, timeout="100ms"))
    begun = time.monotonic()
    answer = agent.ask()
    took = time.monotonic() - begun
    assert (answer["status"], json.loads(answer["body"])) == (500, {"message": "Error"})
    assert took >= 0.1
    if function == "stubborn":
        assert took < 2.5, "the answer waited for the function"
    assert jobs(agent, "late") == 1
    eventually(lambda: agent.metrics().total("dpumesh_plugin_calls_late") == 0)
    assert jobs(agent, "done") == 0, "an answer that nobody waits for counts once"


def test_late_functions_keep_their_threads_only(start):
    """Two threads, and far more calls than they can serve: each is answered in time; what has not
    begun by then never does; the data path goes on."""
    agent = start(
        workload={"threads": 2, **plugin("stubborn", params={"ms": 4000}, timeout="200ms"),
                  "alternativeBehaviors": {"other": {"internalService": {"colosseum": {}}}}},
    )  # fmt: skip
    with agent.lines(timeout=30) as busy, agent.lines() as other:
        begun = time.monotonic()
        busy.send(*[request()] * 100)
        answered = other.send(request(query_string="bid=other")).receive()[0]
        assert answered["status"] == 200 and time.monotonic() - begun < 3
        assert [answer["status"] for answer in busy.receive(100)] == [500] * 100
        assert time.monotonic() - begun < 3.5
        now = agent.metrics()
        assert now.total("dpumesh_worker_jobs_total", kind="plugin", result="late") == 100
        assert now.total("dpumesh_plugin_calls_late") == 2
        eventually(lambda: agent.errors().count("a plugin's function is late") == 2)
        eventually(lambda: agent.metrics().total("dpumesh_plugin_calls_late") == 0)
    # The threads are back.
    agent.write({**agent.config, "workload": {"threads": 2, **plugin("nothing")}})
    eventually(lambda: agent.reloads("accepted") == 1)
    assert agent.ask()["status"] == 200


def test_a_function_that_never_returns(start):
    """The agent drains, says so, and leaves."""
    agent = start(workload=plugin("stubborn", params={"ms": 3600000}, timeout="50ms"))
    assert agent.ask()["status"] == 500
    begun = time.monotonic()
    agent.stop()
    assert time.monotonic() - begun < 10
    agent.wait_log("does not return")


def test_opened_and_closed(start, tmp_path):
    """Once for each place that names it; closed when a new configuration came and none runs it."""
    notes = tmp_path / "notes"
    notes.write_text("")
    use = plugin("note", params={"file": str(notes)})
    agent = start(workload={**use, "alternativeBehaviors": {"a": use, "b": {}}})
    assert [agent.ask(query_string=f"bid={bid}")["status"] for bid in "xab"] == [200] * 3
    assert notes.read_text().split() == ["run"] * 3
    agent.write({**agent.config, "workload": {}})
    eventually(lambda: agent.reloads("accepted") == 1)
    assert agent.ask()["status"] == 200
    agent.stop()
    assert notes.read_text().split() == ["run"] * 3 + ["close"] * 2
    assert os.path.exists(notes)


class Gate:
    """An agent whose start waits in a plugin's open(): its file was read, and nobody watches it yet."""

    def __init__(self, start, folder):
        self.notes = folder / "notes"
        self.notes.write_text("")
        self.workload = plugin("gate", params={"file": str(self.notes)})
        self.agent = start(workload=self.workload)
        eventually(lambda: self.opened() == 1)

    def opened(self):
        return self.notes.read_text().split().count("open")

    def go(self):
        self.notes.with_name("notes.go").touch()
        return self.agent.wait_serving()


def test_a_change_at_the_start(start, tmp_path):
    """Between the first reading of the file and the watch on it: in force all the same, once, or refused."""
    gate = Gate(start, tmp_path)
    gate.agent.write({**gate.agent.config, "workload": {**gate.workload, "path": "/v2"}})
    agent = gate.go()
    eventually(lambda: agent.reloads("accepted") == 1)
    assert agent.ask(path="/v2")["status"] == 200 and agent.ask()["status"] == 404
    assert (gate.opened(), agent.reloads("refused")) == (2, 0)


def test_a_bad_change_at_the_start(start, tmp_path):
    gate = Gate(start, tmp_path)
    gate.agent.write("{")
    agent = gate.go()
    eventually(lambda: agent.reloads("refused") == 1)
    agent.wait_log("configuration refused, the old one stays")
    assert agent.ask()["status"] == 200
    assert (gate.opened(), agent.reloads("accepted")) == (1, 0)


def test_no_change_at_the_start(start, tmp_path):
    """Written anew as it was: nobody need know."""
    gate = Gate(start, tmp_path)
    gate.agent.config_path.write_text(json.dumps(gate.agent.config))
    agent = gate.go()
    time.sleep(0.5)
    assert (gate.opened(), agent.reloads("accepted"), agent.reloads("refused")) == (1, 0, 0)
    gate.agent.config_path.write_text(json.dumps(gate.agent.config, indent=3))
    time.sleep(0.5)
    assert (gate.opened(), agent.reloads("accepted"), agent.reloads("refused")) == (1, 0, 0)
    assert "configuration re" not in agent.errors()
    agent.signal(signal.SIGHUP)
    eventually(lambda: agent.reloads("accepted") == 1)
    assert gate.opened() == 2
