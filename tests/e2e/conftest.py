"""What all whole-program tests share: where the programs are, addresses and run directories of their
own, and the certainty that nothing is left behind."""

import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

pytest.register_assert_rewrite("agentkit", "chaoskit")

from agentkit import eventually, start, starter  # noqa: E402,F401  for test_*.py; fixtures of test_agent_*.py

TOP = pathlib.Path(__file__).resolve().parents[2]
FAKE_AGENT = pathlib.Path(__file__).with_name("fake_agent.py")
COUNTER = itertools.count()


def send(address, path="/", timeout=10.0, **request):
    """Sends one request on the bridge; the connection, for answer()."""
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=timeout)
    connection.sendall(json.dumps({"method": "GET", "path": path, **request}).encode())
    return connection


def answer(connection):
    """Reads the connection to its end: one object."""
    with connection:
        data = b""
        while part := connection.recv(65536):
            data += part
    return json.loads(data)


def ask(address, path="/", timeout=10.0, **request):
    """One request on the bridge, as the original's clients send it: one object, read to the end."""
    return answer(send(address, path, timeout, **request))


def fetch(url, timeout=10.0):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


def alive(pid):
    """Whether a process lives; a zombie does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="session")
def bin_dir():
    """The directory that holds dpumesh and dpumesh-agent."""
    folder = pathlib.Path(os.environ.get("DPUMESH_BIN_DIR", TOP / "build" / "asan" / "bin"))
    if not (folder / "dpumesh").exists():
        pytest.fail(f"{folder}/dpumesh is missing; build it, or set DPUMESH_BIN_DIR")
    return folder


@pytest.fixture
def address():
    """A loopback address that no other test uses, with room for more services above it."""
    number = os.getpid() * 16 + next(COUNTER)
    return f"127.{64 + number // 250 % 128}.{number % 250 + 1}.1"


class Local:
    """dpumesh in a run directory of its own, with the fake agent unless told otherwise."""

    def __init__(self, program, folder, address):
        self.program = program
        self.folder = folder
        self.address = address
        self.agent = FAKE_AGENT
        self.runtime = folder / "run"
        self.runtime.mkdir(mode=0o700)
        self.commands = folder / "commands"
        self.commands.mkdir()
        self.children = []
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(self.runtime),
            "FAKE_AGENT_DIR": str(self.commands),
        }

    def command(self, target, text):
        """Tells fake agents how to behave from their next start on."""
        (self.commands / target).write_text(text)

    def write(self, services, name="app.yaml"):
        """Writes DpuServices ({name: spec}) to a file and returns its path."""
        documents = [
            {
                "apiVersion": "dpumesh.io/v1alpha1",
                "kind": "DpuService",
                "metadata": {"name": service},
                "spec": spec,
            }
            for service, spec in services.items()
        ]
        path = self.folder / name
        path.write_text("\n---\n".join(json.dumps(document) for document in documents))
        return path

    def popen(self, *arguments, **options):
        process = subprocess.Popen(
            [self.program, *map(str, arguments)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )
        self.children.append(process)
        return process

    def run(self, *arguments, status=0, timeout=60):
        """Runs a verb to its end and returns (stdout, stderr); its exit status must be as given, None: any."""
        process = self.popen(*arguments)
        out, err = process.communicate(timeout=timeout)
        assert status in (None, process.returncode), (process.returncode, out, err)
        return out, err

    def up_arguments(self, path, *arguments):
        return ("up", "-f", path, "--agent", self.agent, "--address", self.address, *arguments)

    def up(self, path, *arguments, **options):
        """Starts `up` and returns when it has printed its table; .table holds the lines."""
        process = self.popen(*self.up_arguments(path, *arguments), **options)
        process.table = []
        while not process.table or not process.table[-1].startswith("metrics:"):
            line = process.stdout.readline()
            if not line:
                told = process.stderr.read() if process.stderr else "see its file"
                pytest.fail(f"up ended with {process.wait()}: {told}")
            process.table.append(line.rstrip("\n"))
        return process

    def applications(self):
        return json.loads(self.run("ps", "--json")[0])["applications"]

    def service(self, name="s0"):
        """A service of the only application."""
        (application,) = self.applications()
        return next(s for s in application["services"] if s["name"] == name)

    def pids(self, name="s0"):
        return [r["pid"] for r in self.service(name)["replicas"]]

    def end(self, process, signal_number=signal.SIGINT, status=0, timeout=40):
        """Stops `up` and returns what it printed on standard error."""
        process.send_signal(signal_number)
        _, err = process.communicate(timeout=timeout)
        assert process.returncode == status, (process.returncode, err)
        return err

    def leftovers(self):
        """Living processes that run with our run directory."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or not alive(entry.name):
                continue
            try:
                if str(self.runtime) in (entry / "cmdline").read_text():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def close(self):
        for process in self.children:
            if process.poll() is None:
                process.kill()
                process.communicate()
        left = self.leftovers()
        deadline = time.monotonic() + 5
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = self.leftovers()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return left


@pytest.fixture
def local(bin_dir, tmp_path, address):
    local = Local(bin_dir / "dpumesh", tmp_path, address)
    yield local
    left = local.close()
    assert not left, f"processes {left} were left behind"
