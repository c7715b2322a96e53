"""dpumesh load against small servers that behave, and that do not."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

BIN = pathlib.Path(os.environ.get("DPUMESH_BIN_DIR", "build/debug/bin"))
FAILURES = ("refused", "unreachable", "reset", "timeout", "bad_answer", "lost", "doubled")


def answer(req_id=1, status=200, body="mmmmm"):
    head = {"req_id": req_id, "status": status, "headers": {"Content-Type": "text/plain"}, "body": body}
    return json.dumps(head).encode()


class Server:
    """Runs `serve(connection, number)` in a thread for each connection; what it raises is kept."""

    def __init__(self, serve, backlog=512):
        self.serve = serve
        self.errors = []
        self.requests = []
        self.count = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port = self.listener.getsockname()[1]
        self.threads = []
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            thread = threading.Thread(target=self.run, args=(connection, self.count), daemon=True)
            self.threads.append(thread)
            thread.start()

    def run(self, connection, number):
        with connection:
            try:
                self.serve(connection, number)
            except (ConnectionError, TimeoutError):
                pass
            except Exception as error:  # a server that breaks would look like a finding
                self.errors.append(error)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.accepting.join(5)
        for thread in self.threads:
            thread.join(5)
        assert not self.errors


@contextlib.contextmanager
def serving(serve, **options):
    server = Server(serve, **options)
    try:
        yield server
    finally:
        server.close()


def load(target, *arguments, timeout=60):
    return subprocess.run(
        [BIN / "dpumesh", "load", target, *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )


def load_json(target, *arguments):
    """The report and the exit status, after the checks that hold for every run."""
    run = load(target, "--json", *arguments)
    assert run.returncode in (0, 1, 3), run.stderr
    report = json.loads(run.stdout)
    assert set(report["errors"]) == set(FAILURES)
    assert report["answered"] == sum(report["status"].values())
    failed = sum(count for kind, count in report["errors"].items() if kind != "doubled")
    assert report["failed"] == failed
    assert report["requests"] == report["answered"] + report["failed"] + report["unfinished"]
    return report, run.returncode


def errors(report):
    return {kind: count for kind, count in report["errors"].items() if count}


def read_object(connection):
    """One JSON object, as the original's server reads it: until it parses."""
    text = b""
    while True:
        part = connection.recv(65536)
        if not part:
            return None
        text += part
        with contextlib.suppress(ValueError):
            return json.loads(text)


def one_shot(connection, number):
    if read_object(connection):
        connection.sendall(answer(number))


def frames(connection, reply):
    """Calls reply(n) with the count of each newline frame, and sends what it returns."""
    stream = connection.makefile("rb")
    n = 0
    for line in stream:
        if not line.strip():
            continue
        json.loads(line)
        n += 1
        data = reply(n)
        if data is None:
            return
        connection.sendall(data)


def test_original_client():
    """Without options: 50 clients, one object each, a line for each, then the result."""
    seen = []

    def serve(connection, number):
        seen.append(read_object(connection))
        time.sleep(0.05)
        connection.sendall(answer(300 + number))

    with serving(serve) as server:
        run = load(f"tcp://127.0.0.1:{server.port}", "--method", "POST", "--body", '{"s0": [{"s1": {}, "s2": {}}]}')
        assert run.returncode == 0, run.stdout + run.stderr
        assert server.count == 50
        port = server.port
    assert seen == 50 * [
        {
            "method": "POST",
            "path": "/api/v1",
            "headers": {"Content-Type": "application/json"},
            "body": '{"s0": [{"s1": {}, "s2": {}}]}',
            "query_string": "",
        }
    ]
    lines = run.stdout.splitlines()
    assert lines[0] == "=== Starting Load Test with 50 Concurrent Requests ==="
    assert lines[1] == f"Target: 127.0.0.1:{port}"
    form = re.compile(r"\[Client (\d\d)\] ✅ Status: 200 \| ReqID: (\d+) \| Latency: (\d+\.\d\d)ms")
    clients = [form.fullmatch(line) for line in lines[2:52]]
    assert all(clients)
    assert sorted(int(match[1]) for match in clients) == list(range(1, 51))
    assert sorted(int(match[2]) for match in clients) == list(range(301, 351))
    assert all(float(match[3]) >= 50 for match in clients)
    rest = "\n".join(lines[52:])
    assert re.search(r"^Requests: +50 in .*50 answered", rest, re.M)
    assert re.search(r"^Status: +200: 50$", rest, re.M)
    assert re.search(r"^Errors: +none$", rest, re.M)
    assert re.search(r"^Latency: +p50 .*ms  p90 .*ms  p99 .*ms  p99\.9 .*ms  max .*ms$", rest, re.M)
    assert run.stderr == "", "no progress where no terminal is"


def test_one_shot_counts():
    with serving(one_shot) as server:
        report, status = load_json(f"tcp://127.0.0.1:{server.port}", "-c", "8", "-n", "200")
        assert status == 0
        assert report["requests"] == report["answered"] == report["connections_made"] == 200
        assert report["status"] == {"200": 200}
        assert not errors(report)
        assert server.count == 200


@pytest.mark.parametrize("depth", [1, 16])
def test_keep_alive_counts(depth):
    """Pipelined frames: each is sent once and each answer is counted once."""
    counts = []

    def serve(connection, _):
        last = 0

        def reply(n):
            nonlocal last
            last = n
            return answer(n) + b"\n"

        frames(connection, reply)
        counts.append(last)

    with serving(serve) as server:
        report, status = load_json(
            f"tcp://127.0.0.1:{server.port}", "-k", "-c", "4", "-n", "1001", "--depth", str(depth), "--body", "x" * 999
        )
        assert status == 0
        assert report["answered"] == 1001 and not errors(report)
        assert report["connections_made"] == 4
        assert report["bytes_sent"] > 1001 * 999
    assert sum(counts) == 1001


def test_answers_in_pieces_and_other_order():
    """Answers byte by byte, keys in any order, white space, and a body that looks like an answer."""
    odd = {"headers": {"status": 500, "x": ["}", {"status": 1}]}, "body": '{"status": 404}\\"', "status": 201, "req_id": 7}
    text = json.dumps(odd, indent=None).encode() + b" \r\n"

    def serve(connection, _):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def reply(n):
            for i in range(len(text)):
                connection.sendall(text[i : i + 1])
            return b"\n" * n

        frames(connection, reply)

    with serving(serve) as server:
        report, status = load_json(f"tcp://127.0.0.1:{server.port}", "-k", "-c", "2", "-n", "20", "-p", "3")
        assert status == 0 and report["status"] == {"201": 20}


def test_statuses_fail_the_run():
    statuses = [200, 404, 503, 500]

    def serve(connection, number):
        read_object(connection)
        connection.sendall(answer(number, statuses[number % 4]))

    with serving(serve) as server:
        report, status = load_json(f"tcp://127.0.0.1:{server.port}", "-c", "2", "-n", "40")
        assert status == 1
        assert report["status"] == {str(code): 10 for code in statuses}
        run = load(f"tcp://127.0.0.1:{server.port}", "-c", "4")
        assert run.returncode == 1
        assert "❌ Status: 503" in run.stdout and "✅ Status: 200" in run.stdout


BAD = {
    "closes early": (lambda c: read_object(c) and None, "lost"),
    "garbage": (lambda c: read_object(c) and c.sendall(b"hello"), "bad_answer"),
    "an array": (lambda c: read_object(c) and c.sendall(b"[1, 2]"), "bad_answer"),
    "half an answer": (lambda c: read_object(c) and c.sendall(answer()[:40]), "bad_answer"),
    "no status": (lambda c: read_object(c) and c.sendall(b'{"req_id": 1}'), "bad_answer"),
    "status in a string": (lambda c: read_object(c) and c.sendall(b'{"status": "200"}'), "bad_answer"),
    "garbage behind it": (lambda c: read_object(c) and c.sendall(answer() + b"x"), "bad_answer"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_shot_failures(name):
    serve, kind = BAD[name]
    with serving(lambda connection, _: serve(connection)) as server:
        report, status = load_json(f"tcp://127.0.0.1:{server.port}", "-c", "3", "-n", "9")
        assert status == 1
        assert errors(report) == {kind: 9} and report["answered"] == 0
        assert report["latency_us"] is None


def test_reset():
    def serve(connection, _):
        read_object(connection)
        # SO_LINGER with 0 seconds: close() sends a reset
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with serving(serve) as server:
        report, status = load_json(f"tcp://127.0.0.1:{server.port}", "-c", "3", "-n", "9")
        assert status == 1 and errors(report) == {"reset": 9}


def test_doubled():
    """A second answer is seen: behind a one-shot answer, and at the end of a kept connection."""

    def twice(connection, _):
        read_object(connection)
        connection.sendall(answer() + answer())

    with serving(twice) as server:
        report, status = load_json(f"tcp://127.0.0.1:{server.port}", "-c", "2", "-n", "6")
        assert status == 1 and report["answered"] == 6 and errors(report) == {"doubled": 6}

    def line_twice(connection, _):
        frames(connection, lambda n: 2 * (answer(n) + b"\n"))

    with serving(line_twice) as server:
        report, status = load_json(f"tcp://127.0.0.1:{server.port}", "-k", "-c", "1", "-n", "10")
        assert status == 1 and report["answered"] == 10 and errors(report) == {"doubled": 10}


def test_lost_in_the_middle():
    """A server that leaves after three of a pipeline's answers: those are counted, the rest is lost."""
    sent = []

    def serve(connection, number):
        def reply(n):
            if number == 1 and n > 3:
                return None
            sent.append(n)
            return answer(n) + b"\n"

        frames(connection, reply)

    with serving(serve) as server:
        report, status = load_json(f"tcp://127.0.0.1:{server.port}", "-k", "-c", "1", "-p", "8", "-n", "30")
        assert status == 1
        kinds = errors(report)
        # Closing with unread requests resets the connection, and that may overtake the answers.
        assert set(kinds) <= {"lost", "reset"} and report["failed"] >= 5
        assert report["connections_made"] == 2
        assert report["answered"] <= len(sent)


def test_never_answers():
    started = time.monotonic()
    with serving(lambda connection, _: connection.recv(65536) and connection.recv(1)) as server:
        report, status = load_json(f"tcp://127.0.0.1:{server.port}", "-c", "5", "--timeout", "300ms")
        assert status == 1 and errors(report) == {"timeout": 5}
        run = load(f"tcp://127.0.0.1:{server.port}", "-c", "1", "--timeout", "100ms")
        latency = re.search(r"\[Client 01\] ❌ Error: no answer in time \| Latency: (\S+)ms", run.stdout)
        assert latency and float(latency[1]) >= 100, run.stdout
    assert time.monotonic() - started < 25, "without --timeout it is 30 s"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize("options", [[], ["-k"], ["-k", "-d", "30s"], ["-d", "30s"], ["--rate", "1000", "-d", "30s"]])
def test_nobody_there(options):
    """Status 3, one sentence, and no waiting for --duration when nobody ever listened."""
    port = free_port()
    started = time.monotonic()
    run = load(f"tcp://127.0.0.1:{port}", "--quiet", *options)
    assert run.returncode == 3
    assert f"can't reach 127.0.0.1 port {port}: Connection refused" in run.stderr
    assert "refused:" in run.stdout
    assert time.monotonic() - started < 20


def test_server_goes_away_and_comes_back():
    """Kept connections are made again; the requests in between fail and are counted."""
    gate = threading.Event()

    def serve(connection, _):
        connection.settimeout(5)
        frames(connection, lambda n: None if n == 50 and not gate.is_set() else answer(n) + b"\n")
        gate.set()

    with serving(serve) as server:
        report, status = load_json(f"tcp://127.0.0.1:{server.port}", "-k", "-c", "1", "-n", "200")
        assert status == 1 and report["answered"] == 199 and report["failed"] == 1
        assert report["connections_made"] == 2


HTTP = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Other: y\r\n\r\nhello",
    "no body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nT: u\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n",
    "bare newlines": b"HTTP/1.1 200\nContent-Length: 2\n\nok",
}


def http_requests(connection, reply):
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                return
            data += part
        head, _, data = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.I)
        size = int(length[1]) if length else 0
        while len(data) < size:
            data += connection.recv(65536)
        body, data = data[:size], data[size:]
        out = reply(head.decode(), body)
        if out is None:
            return
        connection.sendall(out)


@pytest.mark.parametrize("name", HTTP)
@pytest.mark.parametrize("pieces", [False, True])
def test_http_framings(name, pieces):
    response = HTTP[name]

    def serve(connection, _):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def reply(head, _):
            if not pieces:
                return response
            for i in range(len(response)):
                connection.sendall(response[i : i + 1])
            return b""

        http_requests(connection, reply)

    with serving(serve) as server:
        report, status = load_json(f"http://127.0.0.1:{server.port}", "-c", "2", "-n", "20", "-p", "4")
        assert status == 0, errors(report)
        assert report["answered"] == 20 and report["connections_made"] == 2


def test_http_request_and_close():
    heads = []

    def reply(head, body):
        heads.append((head, body))
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end"

    def serve(connection, _):
        http_requests(connection, lambda head, body: reply(head, body))

    def once(connection, _):
        def only(head, body):
            connection.sendall(reply(head, body))

        http_requests(connection, only)

    with serving(once) as server:
        target = f"http://127.0.0.1:{server.port}/work?bid=3"
        report, status = load_json(
            target, "--one-shot", "-c", "2", "-n", "10", "-H", "X-Request-Id: abc", "-b", '{"a": 1}'
        )
        assert status == 0, errors(report)
        assert report["answered"] == 10 and report["connections_made"] == 10
        report, status = load_json(target, "-c", "2", "-n", "10")
        assert status == 0, errors(report)
        assert report["answered"] == 10 and report["connections_made"] >= 10
    head, body = heads[0]
    assert head.startswith("POST /work?bid=3 HTTP/1.1\r\n") and body == b'{"a": 1}'
    for line in ("Connection: close", "X-Request-Id: abc", "Content-Type: application/json", "Content-Length: 8"):
        assert line in head.split("\r\n")
    assert heads[-1][0].startswith("GET /work?bid=3 HTTP/1.1\r\n") and "Connection" not in heads[-1][0]


GARBAGE = [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"\0" * 100]


@pytest.mark.parametrize("response", GARBAGE, ids=["ssh", "length", "zeros"])
def test_http_garbage(response):
    with serving(lambda c, _: http_requests(c, lambda head, body: response)) as server:
        report, status = load_json(f"http://127.0.0.1:{server.port}", "-c", "2", "-n", "2", "--timeout", "1s")
        assert status == 1 and report["answered"] == 0
        assert set(errors(report)) <= {"bad_answer", "timeout"}


def test_open_loop_counts_the_wait():
    """A server that stops for a while delays what was due meanwhile, and the latencies say so."""
    stalled = threading.Event()

    def serve(connection, _):
        def reply(n):
            if n == 100 and not stalled.is_set():
                stalled.set()
                time.sleep(0.5)
            return answer(n) + b"\n"

        frames(connection, reply)

    with serving(serve) as server:
        target = f"tcp://127.0.0.1:{server.port}"
        report, status = load_json(target, "-k", "-c", "1", "--rate", "400", "-d", "1500ms")
        assert status == 0
        # The last may fall due while it is kept from the processor until the end.
        assert report["requests"] + report["unsent"] == 600 and report["offered_per_s"] == 400
        # 200 requests fell due in the half second; half of them waited longer than a quarter of it.
        assert report["latency_us"]["max"] >= 480_000
        assert report["latency_us"]["p90"] >= 200_000
        assert stalled.is_set()

    with serving(serve) as server:
        stalled.clear()
        closed, _ = load_json(f"tcp://127.0.0.1:{server.port}", "-k", "-c", "1", "-n", "600")
        assert closed["latency_us"]["p90"] < 200_000, "a closed loop sees one slow answer"


def test_open_loop_says_what_it_could_not_send():
    def serve(connection, _):
        def reply(n):
            time.sleep(0.05)
            return answer(n) + b"\n"

        frames(connection, reply)

    with serving(serve) as server:
        target = f"tcp://127.0.0.1:{server.port}"
        report, _ = load_json(target, "-k", "-c", "1", "--rate", "200", "--arrivals", "poisson", "-d", "1s")
        assert report["unsent"] > 100
        assert 0.8 * 200 < report["unsent"] + report["requests"] < 1.2 * 200


def test_duration_and_warmup():
    with serving(lambda c, _: frames(c, lambda n: answer(n) + b"\n")) as server:
        target = f"tcp://127.0.0.1:{server.port}"
        report, status = load_json(target, "-k", "-c", "2", "-d", "500ms", "--warmup", "300ms")
        assert status == 0
        assert 0.45 < report["duration_s"] < 5
        assert report["warmup"] > 0 and report["warmup_failed"] == 0
        assert report["rate_per_s"] == pytest.approx(report["answered"] / report["duration_s"], rel=0.01)


def test_interrupt_prints_the_result():
    begun = threading.Event()

    def reply(n):
        if n > 10:
            begun.set()  # ten have been answered, and counted
        return answer(n) + b"\n"

    with serving(lambda c, _: frames(c, reply)) as server:
        command = [BIN / "dpumesh", "load", f"tcp://127.0.0.1:{server.port}", "-k", "-c", "2", "-d", "1h", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
            begun.wait(30)
            run.send_signal(signal.SIGINT)
            out, _ = run.communicate(timeout=30)
        report = json.loads(out)
        assert run.returncode == 0 and report["answered"] > 0


def test_localhost_takes_the_address_that_answers():
    with serving(one_shot) as server:
        report, status = load_json(f"tcp://localhost:{server.port}", "-c", "2")
        assert status == 0 and report["answered"] == 2


USAGE = {
    "no scheme": (["127.0.0.1:5005"], "has no scheme; give tcp://HOST:5005"),
    "https": (["https://x"], "TLS is not supported"),
    "no host": (["tcp://:5005"], "names no host"),
    "port": (["tcp://h:70000"], "port"),
    "port word": (["tcp://h:http"], "port"),
    "IPv6": (["tcp://::1:5005"], "an IPv6 host is written [::1]:5005"),
    "space": (["tcp://h/a b"], "%20"),
    "depth": (["tcp://127.0.0.1:1", "-p", "4"], "needs --keep-alive"),
    "both": (["tcp://127.0.0.1:1", "-k", "-1"], "exclude each other"),
    "header": (["tcp://127.0.0.1:1", "-H", "nonsense"], 'give "Name: value"'),
    "header newline": (["http://127.0.0.1:1", "-H", "A: b\r\nC: d"], 'give "Name: value"'),
    "path": (["tcp://127.0.0.1:1", "--path", "api"], "begins with /"),
    "body file": (["tcp://127.0.0.1:1", "-b", "@/no/such/file"], "/no/such/file"),
    "concurrency": (["tcp://127.0.0.1:1", "-c", "0"], "give 1 to 100000"),
    "duration": (["tcp://127.0.0.1:1", "-d", "10"], "duration"),
    "nothing": ([], "TARGET"),
    "unknown option": (["tcp://127.0.0.1:1", "--concurency", "3"], "concurrency"),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage(name):
    arguments, sentence = USAGE[name]
    run = subprocess.run([BIN / "dpumesh", "load", *arguments], capture_output=True, text=True, timeout=20, check=False)
    assert run.returncode == 2, run.stderr
    assert sentence in run.stderr
    assert run.stdout == ""


def test_unknown_host():
    run = load("tcp://no-such-host.invalid:5005", "--quiet")
    assert run.returncode == 3 and 'can\'t find the host "no-such-host.invalid"' in run.stderr


@pytest.mark.slow
def test_ten_thousand_connections():
    """Against the echo control, when it was built: no thread a connection, no answer lost."""
    echo = next((path for path in (BIN.parent / "bench" / "echo",) if path.exists()), None)
    if not echo:
        pytest.skip("bench/echo was not built")
    with subprocess.Popen([echo], stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().rpartition(":")[2].strip()
            run = load(
                f"tcp://127.0.0.1:{port}", "-k", "--any-answer", "-c", "10000", "-n", "50000", "-p", "2", "--json"
            )
        finally:
            server.terminate()
    if run.returncode == 2 and "file descriptors" in run.stderr:
        pytest.skip(run.stderr)
    report = json.loads(run.stdout)
    assert run.returncode == 0 and report["requests"] == 50000
    assert report["connections_made"] == 10000 and not errors(report)
