"""docs/wire.md: its examples are run as they stand, and its lists are compared with the program."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from agentkit import PATH, REASONS, request, run_agent

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "wire.md"


def examples():
    """(command, output) of each "    $ command" with the lines under it."""
    found = []
    for block in re.findall(r"(?:^    .*\n)+", PAGE.read_text(), re.M):
        for part in re.split(r"^    \$ ", block, flags=re.M)[1:]:
            command, *output = part.splitlines()
            found.append((command, [line.removeprefix("    ") for line in output]))
    return found


@pytest.mark.skipif(not shutil.which("nc"), reason="nc (netcat-openbsd) is not installed")
def test_the_examples(start):
    """All of them one after another on a new agent, so that even the numbers agree."""
    agent = start().wait_serving()
    host, port = agent.address("bridge")
    assert len(examples()) >= 7
    for command, output in examples():
        assert output, f"{command} shows no output"
        ours = command.replace("127.0.0.1 5005", f"{host} {port}")
        assert ours != command
        done = subprocess.run(["bash", "-c", ours], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout.splitlines() == output, command


def test_the_clients(start):
    """Each is a program of its own; what it prints stands under it. A new agent, for the numbers."""
    agent = start().wait_serving()
    clients = re.findall(r"^```python\n(.*?)^```\n\n```\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert len(clients) == 3
    for program, output in clients:
        ours = program.replace('("127.0.0.1", 5005)', repr(agent.address("bridge")))
        assert ours != program
        command = [sys.executable, "-W", "error", "-c", ours]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (0, ""), program
        assert done.stdout == output, program


def test_the_statuses_are_all_there_are():
    statuses = {int(status) for status in re.findall(r"^\| (\d{3}) \|", PAGE.read_text(), re.M)}
    bridge = {status for reason, known in REASONS.items() if reason != "fault" for status in known} - {431, 501, 505}  # HTTP's
    assert statuses == bridge


def test_the_messages(start):
    """Every message of the table that takes no queue or drain to provoke; those are tested there."""
    page = PAGE.read_text()
    agent = start(
        limits={"frameBytes": 1024, "frameTimeout": "50ms", "connections": 4},
        workload={"externalServices": [{"services": ["s1"]}]},
        egress={"latency": {"value": "1s"}, "timeout": "10ms"},
        peers={"s1": {}},
    )
    unknown = request(method="POST", body='{"s0": [{"s9": []}]}')
    no_trace = request(method="POST", body="[]")
    cases = [(b"[]", 400), (no_trace, 400), (request(path="/"), 404), (request(method="PUT"), 405),
             (b"{", 408), (b'{"a":"' + b"x" * 2000, 413), (unknown, 500), (request(), 504)]  # fmt: skip
    for frame, status in cases:
        answer = agent.ask(frame)
        sentence = json.loads(answer["body"])["message"]
        row = re.sub(r": .*(, at byte )\d+", r": ...\1N", sentence)
        assert answer["status"] == status
        assert re.search(rf"^\| {status} \| .* \| .*`{re.escape(row)}`.* \|$", page, re.M), row
    with agent.one_shot() as client:
        (answer,) = client.raw(b"{").half_close().answers()
    assert json.loads(answer["body"])["message"] in page


def test_the_headers_that_travel(start):
    paragraph = re.search(r"^These headers(.*?)\n\n", PAGE.read_text(), re.M | re.S).group(1)
    names = re.findall(r"`([a-z0-9-]+)`", paragraph)
    assert len(names) == 13
    agent = start()
    answer = agent.ask(headers={name.title(): name for name in names}, path=PATH)
    assert {k: v for k, v in answer["headers"].items() if k != "Content-Type"} == {n: n for n in names}


def test_the_defaults(tmp_path):
    """`limits.name` (value) on the page is what --check prints for an empty document."""
    path = tmp_path / "config.json"
    path.write_text('{"service": "s0"}')
    _, out, _ = run_agent("--config", path, "--check")
    limits = json.loads(out)["limits"]
    named = re.findall(r"`limits\.(\w+)` \((\w+)\)", PAGE.read_text())
    assert len(named) >= 7
    for name, value in named:
        known = limits[name]
        assert value in (str(known), "1Mi" if known == 1 << 20 else None), name
