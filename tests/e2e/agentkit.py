"""What the whole-program tests of dpumesh-agent share: an agent on inherited sockets, clients of the
bridge's three modes and of HTTP, and the accounts that must balance (every request has one answer).

    def test_something(start):
        agent = start(egress={"latency": {"value": "5ms"}})
        before = agent.metrics()
        with agent.lines() as client:
            client.send(request(), request())
            assert [a["status"] for a in client.receive(2)] == [200, 200]
        balance(before, agent.metrics(), {200: 2})

The fixtures check for every agent that it left as it was told to, and that no sanitizer spoke.
"""

import collections
import copy
import fcntl
import json
import os
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:")
PATH = "/api/v1"

# Status by reason, as docs/wire.md has it.
REASONS = {
    "malformed": (400, 431, 501, 505),
    "not_found": (404,),
    "method": (405,),
    "frame_timeout": (408,),
    "frame_too_large": (413,),
    "rate_limited": (429,),
    "concurrency_limited": (429, 503),
    "fault": tuple(range(400, 600)),
    "external_error": (500,),
    "internal_error": (500,),
    "ingress_queue_full": (503,),
    "datapath_full": (503,),
    "egress_queue_full": (503,),
    "memory_full": (503,),
    "too_many_requests": (503,),
    "too_many_connections": (503,),
    "draining": (503,),
    "external_timeout": (504,),
    "hop_limit": (508,),
}


def program():
    """The agent under test."""
    folder = pathlib.Path(os.environ.get("DPUMESH_BIN_DIR", TOP / "build" / "asan" / "bin"))
    path = folder.resolve() / "dpumesh-agent"
    if not path.exists():
        pytest.fail(f"{path} is missing; build it, or set DPUMESH_BIN_DIR")
    return path


def calls(*groups):
    """externalServices: groups run in parallel, the calls of one group in sequence."""
    return [{"services": list(group)} for group in groups]


def configuration(**parts):
    """A whole configuration; egress takes no time unless told otherwise."""
    document = {
        "apiVersion": "dpumesh.io/agent/v1alpha1",
        "service": "s0",
        "replica": "s0-0",
        "listen": {"bridge": ["127.0.0.1:0"], "http": ["127.0.0.1:0"]},
        "egress": {"latency": {"distribution": "constant", "value": "0s"}},
        "datapath": {"mode": "direct"},
        # Only with sockets of its own does an agent serve on for a while after SIGTERM.
        "limits": {"shutdownDelay": "0s"},
    }
    for name, part in parts.items():
        if isinstance(part, dict) and name in document and name != "listen":
            document[name] = {**document[name], **part}
        else:
            document[name] = part
    return document


def request(**fields):
    """One request of the bridge, as JSON text."""
    return json.dumps({"path": PATH, **fields}).encode()


def listener(backlog=4096, host="127.0.0.1", port=0):
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    made.listen(backlog)
    return made


def free_port():
    """A port that was free a moment ago, for the few tests that can't inherit a socket."""
    with listener() as made:
        return made.getsockname()[1]


def eventually(check, timeout=20.0, what=None):
    """Calls check until it returns something true, and returns that."""
    until = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < until, what or f"{check.__name__} stayed {value!r}"
        time.sleep(0.01)


def short(value):
    """Names a case of a parametrized test by the beginning of its value."""
    return repr(value)[:32]


# ---- metrics ----

SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Metrics(dict):
    """Samples of a scrape: {(name, ((label, value), ...)): number}."""

    @classmethod
    def parse(cls, text):
        samples = cls()
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, labels, value = SAMPLE.match(line).groups()
                key = (name, tuple(sorted(LABEL.findall(labels or ""))))
                assert key not in samples, f"{line} stands there twice"
                samples[key] = float(value)
        return samples

    def total(self, name, **labels):
        """Sum over the series of a name that have these labels."""
        wanted = set(labels.items())
        return sum(v for (n, found), v in self.items() if n == name and wanted <= set(found))

    def __sub__(self, earlier):
        return Metrics({key: value - earlier.get(key, 0) for key, value in self.items()})

    def names(self):
        return {name for name, _ in self}


def memory_returned(agent):
    """Waits until registered memory is free again. What one side gives back the other collects with
    its next work, so small requests make it look; theirs may be in use."""

    def returned():
        assert agent.ask(path="/nowhere")["status"] == 404
        return agent.metrics().total("dpumesh_arena_used_bytes") <= 1024

    eventually(returned)


def rejected(delta):
    """{reason: count} of what a difference of two scrapes refused."""
    return {
        reason: int(delta.total("dpumesh_rejected_requests_total", reason=reason))
        for reason in REASONS
        if delta.total("dpumesh_rejected_requests_total", reason=reason)
    }


def balance(before, after, answers):
    """The agent's books against the client's: answers is {status: how many the client got}."""
    delta = after - before
    answers = collections.Counter({k: v for k, v in dict(answers).items() if v})
    total = sum(answers.values())
    refused = rejected(delta)
    assert delta.total("dpumesh_requests_total") == total, (answers, refused)
    assert sum(refused.values()) == total - answers[200], (answers, refused)
    for reason, count in refused.items():
        assert sum(answers[status] for status in REASONS[reason]) >= count, (answers, refused)


# ---- clients ----


class Client:
    """A connection to the bridge."""

    def __init__(self, address, timeout=30.0, receive_buffer=None, source=None):
        self.socket = socket.socket(socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(address)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def raw(self, data):
        self.socket.sendall(data)
        return self

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def more(self):
        """Reads once; False at the end."""
        part = self.socket.recv(1 << 18)
        self.buffer += part
        return bool(part)

    def rest(self):
        """Reads to the end; a reset after the answers counts as one."""
        try:
            while self.more():
                pass
        except ConnectionResetError:
            pass
        data, self.buffer = self.buffer, b""
        return data

    def answers(self):
        """All answers up to the end of the connection."""
        return objects(self.rest())

    def ended(self):
        """Whether the agent closed without a further byte."""
        return not self.buffer and not self.more()


class Lines(Client):
    """Newline-delimited frames; the leading newline is sent at once."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.raw(b"\n")

    def send(self, *frames):
        return self.raw(b"".join(frame + b"\n" for frame in frames))

    def receive(self, count=1):
        found = []
        while len(found) < count:
            line, newline, rest = self.buffer.partition(b"\n")
            if newline:
                self.buffer = rest
                found.append(json.loads(line))
            else:
                assert self.more(), f"closed after {len(found)} of {count} answers"
        return found


class Prefixed(Client):
    """Frames with a 32-bit length in network byte order."""

    def send(self, *frames):
        return self.raw(b"".join(struct.pack("!I", len(frame)) + frame for frame in frames))

    def receive(self, count=1):
        found = []
        while len(found) < count:
            length = struct.unpack("!I", self.buffer[:4])[0] if len(self.buffer) >= 4 else None
            if length is not None and len(self.buffer) >= 4 + length:
                found.append(json.loads(self.buffer[4 : 4 + length]))
                self.buffer = self.buffer[4 + length :]
            else:
                assert self.more(), f"closed after {len(found)} of {count} answers"
        return found


Response = collections.namedtuple("Response", "status phrase headers body")


class Http(Client):
    """HTTP/1.1 by hand, so that every byte is ours."""

    def receive(self, head=False):
        while b"\r\n\r\n" not in self.buffer:
            assert self.more(), f"closed in the middle of {self.buffer!r}"
        top, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        version, status, phrase = first.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {}
        for line in lines:
            name, colon, value = line.partition(": ")
            assert colon and name.lower() not in headers, line
            headers[name.lower()] = value
        if head or status == "100":
            return Response(int(status), phrase, headers, b"")
        length = int(headers["content-length"])
        while len(self.buffer) < length:
            assert self.more(), "closed in the middle of a body"
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Response(int(status), phrase, headers, body)


def http_request(target=PATH, method="GET", body=None, headers=(), version="1.1", host="s0"):
    lines = [f"{method} {target} HTTP/{version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in dict(headers).items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def objects(data):
    """The JSON objects that stand one behind the other in data."""
    text, found, at = data.decode(), [], 0
    decoder = json.JSONDecoder()
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        while at < len(text) and text[at] in " \r\n\t":
            at += 1
    return found


def message(answer):
    """The sentence in the body of an answer that is no 200; there is exactly one."""
    body = json.loads(answer["body"])
    assert set(body) == {"message"}
    assert body["message"] and "\n" not in body["message"]
    return body["message"]


# ---- the agent ----


class Agent:
    """dpumesh-agent with sockets that we made: no port is ever raced for."""

    def __init__(self, folder, config, inherit=True, descriptors=None, count=0):
        self.folder = folder
        self.config_path = folder / f"agent{count}.json"
        self.error_path = folder / f"agent{count}.stderr"
        self.write(config)
        self.sockets = {}
        self.inherit = inherit
        command = [str(program()), "--config", str(self.config_path)]
        environment = {
            **os.environ,
            "ASAN_OPTIONS": "exitcode=99:" + os.environ.get("ASAN_OPTIONS", ""),
            "UBSAN_OPTIONS": "print_stacktrace=1:" + os.environ.get("UBSAN_OPTIONS", ""),
        }
        passed = []
        if inherit:
            self.sockets = {name: listener() for name in ("bridge", "http", "admin")}
            # High numbers, so that the shell can lay them at 3, 4, 5 in any order.
            passed = [fcntl.fcntl(s, fcntl.F_DUPFD, 100) for s in self.sockets.values()]
            environment |= {"LISTEN_FDS": "3", "LISTEN_FDNAMES": ":".join(self.sockets)}
            moves = " ".join(f"{3 + i}<&{fd} {fd}<&-" for i, fd in enumerate(passed))
            limit = f"ulimit -n {descriptors}; " if descriptors else ""
            script = f'{limit}exec {moves}; LISTEN_PID=$$ exec "$@"'
            command = ["bash", "-c", script, "bash", *command]
        with open(self.error_path, "wb") as errors:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=passed,
            )
        for fd in passed:
            os.close(fd)
        self.over = False
        self.expected = 0

    # files

    def write(self, config):
        """Replaces the configuration file at once, as people should."""
        text = config if isinstance(config, str) else json.dumps(config, indent=2)
        beside = self.config_path.with_suffix(".new")
        beside.write_text(text)
        os.replace(beside, self.config_path)
        self.config = copy.deepcopy(config)

    def errors(self):
        return self.error_path.read_text(errors="replace")

    def wait_log(self, text):
        """Waits until the log says so: who counts does not wait for the line to be written."""
        eventually(lambda: text in self.errors().replace('\\"', '"'), what=f"the log does not say {text}")

    # addresses and clients

    def address(self, name):
        if self.inherit:
            return self.sockets[name].getsockname()
        host, port = self.config["listen"][name][0].rsplit(":", 1)
        return host, int(port)

    def one_shot(self, **options):
        return Client(self.address("bridge"), **options)

    def lines(self, **options):
        return Lines(self.address("bridge"), **options)

    def prefixed(self, **options):
        return Prefixed(self.address("bridge"), **options)

    def http(self, name="http", **options):
        return Http(self.address(name), **options)

    def ask(self, data=None, **fields):
        """One request as the original's clients send it; its only answer."""
        with self.one_shot() as client:
            (answer,) = client.raw(request(**fields) if data is None else data).answers()
        return answer

    def get(self, target, name=None, method="GET", **options):
        name = name or ("admin" if self.inherit else "http")
        with self.http(name) as client:
            client.raw(http_request(target, method, **options))
            return client.receive(head=method == "HEAD")

    def metrics(self):
        answer = self.get("/metrics")
        assert answer.status == 200
        return Metrics.parse(answer.body.decode())

    def reloads(self, result):
        return int(self.metrics().total("dpumesh_config_reloads_total", result=result))

    # the process

    def alive(self):
        return self.process.poll() is None

    def status_of(self, field):
        """A number from /proc/PID/status."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+)", text, re.M).group(1))

    def resident_bytes(self):
        return self.status_of("VmRSS") * 1024

    def wait_serving(self):
        def serving():
            assert self.alive(), self.errors()
            try:
                return self.get("/readyz").status == 200
            except (ConnectionError, AssertionError):
                return False

        eventually(serving)
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, timeout=30):
        """Waits for the process to end by itself; its exit status."""
        return self.process.wait(timeout)

    def stop(self):
        """Drains, and fails when that goes other than expected."""
        if self.over:
            return
        self.over = True
        try:
            if self.alive():
                self.signal(signal.SIGTERM)
            status = self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"the agent did not end after SIGTERM: {self.errors()[-4000:]}")
        finally:
            for made in self.sockets.values():
                made.close()
        errors = self.errors()
        assert not SANITIZER.search(errors), errors[-8000:]
        assert status == self.expected, (status, errors[-4000:])


class Starter:
    def __init__(self, folder):
        self.folder = folder
        self.agents = []

    def __call__(self, *, inherit=True, descriptors=None, **parts):
        config = configuration(**parts)
        agent = Agent(self.folder, config, inherit, descriptors, len(self.agents))
        self.agents.append(agent)
        return agent

    def stop(self):
        failed = []
        for agent in self.agents:
            try:
                agent.stop()
            except BaseException as error:  # every agent must be stopped
                failed.append(error)
        if failed:
            raise failed[0]


@pytest.fixture
def start(tmp_path):
    """Starts agents for one test: start(egress={...}, limits={...}) -> Agent."""
    starter = Starter(tmp_path)
    yield starter
    starter.stop()


@pytest.fixture(scope="module")
def starter(tmp_path_factory):
    """The same for agents that a whole file shares."""
    made = Starter(tmp_path_factory.mktemp("agents"))
    yield made
    made.stop()


def run_agent(*arguments, timeout=30, **options):
    """Runs the agent to its end: (status, stdout, stderr)."""
    done = subprocess.run(
        [str(program()), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        **options,
    )
    assert not SANITIZER.search(done.stderr), done.stderr
    return done.returncode, done.stdout, done.stderr


def raise_descriptors(count):
    """Room for that many sockets in this process, or the test is skipped with the reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"{count} descriptors are needed, the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
