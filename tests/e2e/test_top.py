"""`dpumesh top` against what `dpumesh up` runs: real agents, real requests, a terminal."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from conftest import eventually, fetch

SERVICES = {
    "s0": {
        "replicas": 2,
        "workload": {
            "externalServices": [{"services": ["s1"]}],
            "internalService": {"loader": {"sleepStress": {"run": False}}},
        },
        "egress": {"latency": {"distribution": "constant", "value": "20ms"}},
    },
    "s1": {},
}


@pytest.fixture
def real(local, bin_dir):
    local.agent = bin_dir / "dpumesh-agent"
    if not local.agent.exists():
        pytest.fail(f"{local.agent} is missing; build it, or set DPUMESH_BIN_DIR")
    local.up(local.write(SERVICES))
    return local


def rows(text):
    """{service: {column: cell}} of a table."""
    # "*" marks a service whose host is too busy, and the line that says so.
    lines = [line.split() for line in text.splitlines() if not line.startswith("*")]
    return {line[0].rstrip("*"): dict(zip(lines[0], line, strict=True)) for line in lines[1:]}


def load(local, seconds):
    """Starts one, and returns when it has begun."""
    target = f"tcp://{local.address}:5005"
    local.popen("load", target, "-k", "-c", "8", "-p", "8", "--rate", "200", "-d", f"{seconds}s", "-q")
    pages = [replica["admin"] + "/metrics" for replica in local.service()["replicas"]]
    eventually(lambda: any(re.search(r'^dpumesh_requests_total{protocol="bridge"} [1-9]', fetch(page), re.M) for page in pages))


@pytest.mark.slow
def test_tells_what_is_going_on(real):
    load(real, 60)
    table = rows(real.run("top", "--once", "-i", "2s")[0])
    s0 = table["s0"]
    assert s0["READY"] == "2/2" and s0["QUEUE"].endswith("/8192"), s0
    assert 150 < float(s0["REQ/S"]) < 250
    # Each takes 20 ms and a little; its histogram knows that it is between 10 and 100.
    assert 10 < float(s0["P50(ms)"]) < 100 and 10 < float(s0["P99(ms)"]) <= 1000
    assert (table["s1"]["REQ/S"], table["s1"]["P50(ms)"]) == ("0", "-")
    out = json.loads(real.run("top", "s0", "-o", "json", "-i", "1s")[0])
    (service,) = out["services"]
    assert (service["name"], service["replicas"], service["silent"]) == ("s0", 2, 0)
    assert 150 < service["requests_per_s"] < 250


def test_a_replica_that_hangs_is_unknown(real):
    os.kill(real.pids("s1")[0], signal.SIGSTOP)
    os.kill(real.pids("s0")[0], signal.SIGSTOP)
    try:
        began = time.monotonic()
        table = rows(real.run("top", "--once", "-i", "500ms", "--timeout", "300ms")[0])
        assert time.monotonic() - began < 15
        assert table["s0"]["REQ/S"] == "0?" and table["s0"]["READY"] == "2/2"
        assert set(list(table["s1"].values())[2:]) == {"?"}
    finally:
        os.kill(real.pids("s1")[0], signal.SIGCONT)
        os.kill(real.pids("s0")[0], signal.SIGCONT)


def test_goes_with_the_application(real):
    """A replica that is new, one that has gone, and in the end the whole application."""
    process = real.popen("top", "s0", "--watch", "-i", "200ms", "-o", "json")

    def replicas():
        return json.loads(process.stdout.readline())["services"][0]["replicas"]

    assert replicas() == 2
    real.run("scale", "s0", "1")
    eventually(lambda: replicas() == 1)
    real.run("down")
    assert "does not answer any more" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_refusals(local):
    err = local.run("top", status=3)[1]
    assert "no application is running" in err and "--cluster looks at the cluster" in err
    assert "nosuch" in local.run("top", "--name", "nosuch", status=3)[1]
    assert "too short" in local.run("top", "-i", "1ms", status=2)[1]


class Terminal:
    """A program on a terminal of 12 rows and 60 columns; screen() is what a person sees."""

    def __init__(self, command, environment):
        self.ours, theirs = pty.openpty()
        self.resize(12, 60)
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.process = subprocess.Popen(
            command, env={**environment, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        self.seen = b""

    def resize(self, rows_, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows_, columns, 0, 0))

    def read(self):
        while select.select([self.ours], [], [], 0.05)[0]:
            self.seen += os.read(self.ours, 65536)
        return self.seen.decode()

    def picture(self):
        """The last whole page that was painted: its lines, without control sequences."""
        pages = self.read().split("\033[H")[1:]
        whole = [page for page in pages if page.endswith("\033[J") or "\033[J" in page]
        if not whole:
            return []
        text = whole[-1].partition("\033[J")[0]
        for sequence in ("\033[K", "\033[1m", "\033[0m", "\r"):
            text = text.replace(sequence, "")
        return text.split("\n")

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


@pytest.mark.parametrize("end", ["q", "interrupt"])
def test_on_a_terminal(real, end):
    terminal = Terminal([real.program, "top", "-i", "300ms"], real.environment)
    try:
        picture = eventually(lambda: len(terminal.picture()) == 5 and terminal.picture(), 20)
        assert "app, every 300ms  (q quits)" in picture[0] and picture[1] == ""
        assert picture[2].split()[:3] == ["NAME", "READY", "REQ/S"] and picture[3].split()[:2] == ["s0", "2/2"]
        # Cut to the terminal, not wrapped.
        assert all(len(line) <= 60 for line in picture)
        assert terminal.seen.startswith(b"\033[?1049h\033[?25l")
        terminal.resize(4, 20)
        terminal.process.send_signal(signal.SIGWINCH)
        small = eventually(lambda: len(terminal.picture()) == 4 and terminal.picture(), 20)
        assert all(len(line) <= 20 for line in small)
        # What is typed is not shown, and is taken without Enter.
        os.write(terminal.ours, b"xyz")
        if end == "q":
            os.write(terminal.ours, b"q")
        else:
            terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(20) == 0
        assert terminal.read().endswith("\033[?25h\033[?1049l") and "xyz" not in terminal.read()
        assert termios.tcgetattr(terminal.theirs)[3] == terminal.before[3]
    finally:
        terminal.process.kill()
        terminal.process.wait()
        terminal.close()
