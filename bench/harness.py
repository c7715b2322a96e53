"""What the cases of bench/run share: programs pinned to a core, what the kernel says of them, load."""

import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request


class Unmeasured(Exception):
    """Why a case can't be measured, in one sentence."""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def two_cores():
    """The core of the server and the core of the load."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise Unmeasured("this needs two cores: one for the server, one for the load")
    return cores[0], cores[1]


def raise_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Process:
    """A program on one core, or on a set of cores; its output goes to a file. A context manager: it ends with its block."""

    def __init__(self, command, core, directory, environment=None):
        self.name = pathlib.Path(command[0]).name
        self.output = pathlib.Path(directory) / f"{self.name}-{time.monotonic_ns()}.out"
        with open(self.output, "wb") as out:
            self.child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment,
                preexec_fn=lambda: os.sched_setaffinity(0, core if isinstance(core, set) else {core}),
            )
        self.pid = self.child.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def words(self):
        """The end of its output, for a message."""
        lines = self.output.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "without a word"

    def wait_until(self, ready, what, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.child.poll() is not None:
                raise Unmeasured(f"{self.name} ended with status {self.child.returncode}: {self.words()}")
            if ready():
                return
            time.sleep(0.02)
        raise Unmeasured(f"{self.name} was not {what} within {seconds} s")

    def pids(self):
        """This process and its children (nginx's workers), not theirs."""
        found = [self.pid]
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{self.pid}/task"):
                text = pathlib.Path(f"/proc/{self.pid}/task/{task}/children").read_text()
                found += [int(pid) for pid in text.split()]
        return found

    def cpu_ns(self):
        """CPU time of all its threads so far, by the scheduler's own account."""
        total = 0
        for pid in self.pids():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    total += int((task / "schedstat").read_text().split()[0])
        return total

    def waited_ns(self):
        """How long its threads could have run and had no core."""
        return sum(waited_ns(pid) for pid in self.pids())

    def switches(self):
        """How often its threads went to sleep."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            total += status_field(task / "status", "voluntary_ctxt_switches")
        return total

    def memory_kib(self):
        """Resident memory now, and the most there ever was."""
        path = pathlib.Path(f"/proc/{self.pid}/status")
        return status_field(path, "VmRSS"), status_field(path, "VmHWM")


def waited_ns(pid):
    """The scheduler's run delay of all threads of a process; 0 when it is gone."""
    total = 0
    with contextlib.suppress(OSError):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[1])
    return total


class Watched:
    """A command run to its end: output, status, seconds, CPU, and the share of its time that it waited for a core."""

    def __init__(self, command, timeout=180):
        before, started, waited = children_cpu(), time.monotonic(), 0
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            with subprocess.Popen([str(part) for part in command], stdout=out, stderr=err) as child:
                while child.poll() is None:
                    waited = max(waited, waited_ns(child.pid))
                    if time.monotonic() - started > timeout:
                        child.kill()
                        child.wait()
                        raise Unmeasured(f"{pathlib.Path(command[0]).name} took more than {timeout} s")
                    time.sleep(0.05)
            self.seconds = time.monotonic() - started
            out.seek(0)
            err.seek(0)
            self.stdout, self.stderr = out.read(), err.read()
        self.returncode = child.returncode
        self.cpu_s = children_cpu() - before
        self.waited = waited / 1e9 / self.seconds


# A program that waited for its core longer than this share of the time was not alone there.
DISTURBED = 0.1


def calm_pairs(ours, control):
    """The pairs of runs in which the load, and the control, had their cores to themselves.

    A control has one thread, so its waiting is other programs' doing; an agent's threads also wait for each other.
    Returns (pairs, sentence): with fewer than half of the pairs left, all of them, and why not to believe them.
    """
    pairs = list(zip(ours, control))
    calm = [
        (a, b)
        for a, b in pairs
        if max(a["load_waited"], b["load_waited"], b["server_waited"]) <= DISTURBED
    ]
    if 2 * len(calm) >= len(pairs):
        return calm, ""
    return pairs, f"other programs used these cores in {len(pairs) - len(calm)} of {len(pairs)} pairs; run it again"


def status_field(path, name):
    for line in path.read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


class Bench:
    """One run: where the programs are, how long things take, and what was measured."""

    def __init__(self, build, quick):
        self.build = pathlib.Path(build)
        self.quick = quick
        self.core, self.load_core = two_cores()
        self.directory = tempfile.mkdtemp(prefix="dpumesh-bench-")
        self.raw = {}
        raise_descriptors()

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def program(self, *parts):
        path = self.build.joinpath(*parts)
        if not os.access(path, os.X_OK):
            raise Unmeasured(f"{path} is not there; ./dev build makes it")
        return path

    def pick(self, full, quick):
        return quick if self.quick else full

    def agent(self, egress="50ms", calls=True, cores=None, datapath=None, parts=None):
        """A running dpumesh-agent on the server's core; with `calls` each request makes one simulated call of
        `egress`. Without a proxy, unless a data path is given. parts: more of the configuration, or other."""
        config = {
            "apiVersion": "dpumesh.io/agent/v1alpha1",
            "service": "s0",
            "listen": {"bridge": [f"127.0.0.1:{free_port()}"], "http": [f"127.0.0.1:{free_port()}"]},
            "workload": {"path": "/api/v1"},
            "egress": {"latency": {"distribution": "constant", "value": egress}},
            "log": {"level": "warn"},
            "datapath": datapath or {"mode": "direct"},
        }
        if calls:
            config["workload"]["externalServices"] = [{"services": ["s1"]}]
        config |= parts or {}
        path = pathlib.Path(self.directory) / f"agent-{time.monotonic_ns()}.json"
        path.write_text(json.dumps(config))
        command = [self.program("bin", "dpumesh-agent"), "--config", path]
        process = Process(command, cores or self.core, self.directory)
        process.config = path
        process.bridge = "tcp://" + config["listen"]["bridge"][0]
        process.http = "http://" + config["listen"]["http"][0]
        try:
            process.wait_until(lambda: fetch(process.http + "/readyz") is not None, "ready")
        except Unmeasured:
            process.__exit__()
            raise
        return process

    def echo(self, delay_us=0):
        command = [self.program("bench", "echo"), "--delay", delay_us]
        process = Process(command, self.core, self.directory)
        try:
            process.wait_until(lambda: "listening" in process.words(), "listening")
        except Unmeasured:
            process.__exit__()
            raise
        process.bridge = "tcp://" + process.words().split()[-1]
        return process

    def load_command(self, target, *arguments):
        command = [self.program("bin", "dpumesh"), "load", target, "--json", "--threads", "1", *arguments]
        return ["taskset", "-c", str(self.load_core), *(str(part) for part in command)]

    def load(self, server, target, *arguments):
        """Runs dpumesh load on its core. The report, with what it cost the server and the client."""
        server_before, waited_before = server.cpu_ns(), server.waited_ns()
        run = Watched(self.load_command(target, *arguments))
        if not run.stdout:
            raise Unmeasured(f"dpumesh load ended with status {run.returncode}: {last_line(run.stderr)}")
        report = json.loads(run.stdout)
        done = report["answered"] + report["warmup"]
        spent = server.cpu_ns() - server_before
        report["server_us_per_request"] = spent / 1e3 / done if done else None
        report["server_busy"] = spent / 1e9 / run.seconds
        report["server_waited"] = (server.waited_ns() - waited_before) / 1e9 / run.seconds
        report["load_busy"] = run.cpu_s / run.seconds
        report["load_waited"] = run.waited
        bad = report["failed"] + sum(n for code, n in report["status"].items() if int(code) >= 400)
        report["failures"] = bad + report["errors"]["doubled"]
        return report


def children_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else "without a word"


def fetch(url):
    """The body of a page, or None."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.read().decode()
    except (urllib.error.URLError, OSError):
        return None


def metrics(agent):
    """{series name: sum over its label values} of a running agent."""
    text = fetch(agent.http + "/metrics")
    if text is None:
        raise Unmeasured("the agent does not answer on /metrics")
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            if "{" in line:
                name, _, rest = line.partition("{")
                rest = rest.rpartition("} ")[2]
            found[name] = found.get(name, 0.0) + float(rest.split()[0])
    return found


def metric(values, name):
    if name not in values:
        raise Unmeasured(f"the agent has no metric {name}")
    return values[name]


def interrupt(child):
    child.send_signal(signal.SIGINT)
    return child.communicate(timeout=60)[0]


median = statistics.median


def row(what, ours, control, ratio, goal, met, note="", disturbed=""):
    """A line of the table. goal: in words; met: whether it is, None without one; disturbed: why that can't be said."""
    if disturbed:
        met, note = "disturbed", f"{disturbed}; {note}"
    return {"what": what, "ours": ours, "control": control, "ratio": ratio, "goal": goal, "met": met, "note": note}


def run_pinned(bench, command, *arguments):
    """Runs a program on the server's core; the JSON that it prints."""
    run = subprocess.run(
        ["taskset", "-c", str(bench.core), *map(str, command), *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if run.returncode:
        raise Unmeasured(f"{command[-1]}: {run.stderr.strip()}")
    return json.loads(run.stdout)
