"""What the tests that kill replicas share: clients that count only whole answers, a monkey that kills, and an eye on
breakers.

A request counts as *answered* when the client has read one whole answer that carries the request's own id, has a status
of ANSWERS, and the message which that status has in docs/wire.md. A connection on which no whole answer came was cut; that is
allowed only when a front replica was killed between the connection's opening and its end, since nothing else may
cost a client its connection. The request is then asked again on a new connection, as any load balancer's client
would, and must be answered there, or be cut by a kill again. An answer that takes longer than HANGS counts as none.
"""

import contextlib
import json
import os
import random
import select
import signal
import socket
import threading
import time
import urllib.error
from collections import Counter

from agentkit import PATH, Metrics, http_request
from conftest import fetch

HANGS = 60.0  # seconds; a replica's back-off is 10 at most, plus a start on a busy machine

# Status to message, from docs/wire.md: what a caller may be told of callees that die. 503 is not among them: no
# queue fills under this load, and nobody who serves clients drains.
ANSWERS = {
    200: None,
    500: "Error in external services request",
    504: "an external service did not answer in time",
}

OPEN, CLOSED = 2, 0  # dpumesh_circuit_breaker_state


class Cut(Exception):
    """The connection ended before a whole answer."""


class Connection:
    """A kept connection; what ends it before an answer is whole is a Cut, what is slow a TimeoutError."""

    def __init__(self, address):
        self.opened = time.monotonic()
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=HANGS)
        self.stream = self.socket.makefile("rb")

    def ask(self, identity):
        """(id that came back, status, body)."""
        try:
            return self.exchange(identity)
        except ConnectionError as error:
            raise Cut from error

    def whole(self, wanted, got):
        if not wanted(got):
            raise Cut
        return got

    def line(self):
        return self.whole(lambda got: got.endswith(b"\n"), self.stream.readline())

    def bytes(self, count):
        return self.whole(lambda got: len(got) == count, self.stream.read(count))

    def close(self):
        self.stream.close()
        self.socket.close()


class Bridge(Connection):
    """To the bridge, in frames that end in a newline."""

    def __init__(self, address):
        super().__init__(address)
        self.before = b"\n"

    def exchange(self, identity):
        frame = json.dumps({"path": PATH, "headers": {"X-Request-Id": identity}}).encode()
        self.socket.sendall(self.before + frame + b"\n")
        self.before = b""
        answer = json.loads(self.line())
        assert set(answer) == {"req_id", "status", "headers", "body"}, answer
        return answer["headers"].get("x-request-id"), answer["status"], answer["body"]


class Web(Connection):
    """HTTP/1.1."""

    def exchange(self, identity):
        self.socket.sendall(http_request(headers={"X-Request-Id": identity}))
        version, status, _ = self.line().decode().split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {}
        while (line := self.line()) != b"\r\n":
            name, _, value = line.decode().strip().partition(": ")
            headers[name.lower()] = value
        assert headers.get("connection", "keep-alive") == "keep-alive", headers
        body = self.bytes(int(headers["content-length"]))
        return headers.get("x-request-id"), int(status), body.decode()


def check(identity, returned, status, body):
    assert returned == identity, f"{identity} was given the answer to {returned}"
    assert status in ANSWERS, (status, body)
    if ANSWERS[status] is None:
        assert body and set(body) == {"m"}, body[:80]
    else:
        assert json.loads(body) == {"message": ANSWERS[status]}, (status, body)


class Clients:
    """Threads that ask, each one request at a time with a short pause after it, until they are stopped."""

    def __init__(self, connect, kills, seed, pause=(0.02, 0.06)):
        """connect: functions that open a connection, one a thread. kills: [[before, after], ...] of front
        replicas, on the monotonic clock, appended to before it happens."""
        self.kills, self.pause = kills, pause
        self.asked = 0
        self.cuts = 0
        self.answers = []  # (when, status)
        self.problems = []
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.threads = [
            threading.Thread(target=self.run, args=(f"{seed}-{number}", one), daemon=True)
            for number, one in enumerate(connect)
        ]
        for thread in self.threads:
            thread.start()

    def was_killed(self, opened, ended):
        return any(before <= ended and after >= opened for before, after in list(self.kills))

    def answered(self, connection, connect, identity):
        """Asks until there is an answer; the connection to go on with."""
        while True:
            connection = connection or connect()
            try:
                answer = connection.ask(identity)
            except Cut as cut:
                connection.close()
                if not self.was_killed(connection.opened, time.monotonic()):
                    raise AssertionError(f"{identity} was cut off, and no front replica was killed") from cut
                with self.lock:
                    self.cuts += 1
                connection = None
                continue
            check(identity, *answer)
            with self.lock:
                self.answers.append((time.monotonic(), answer[1]))
            return connection

    def run(self, name, connect):
        dice, connection, number = random.Random(name), None, 0
        try:
            while not self.stopping.wait(dice.uniform(*self.pause)):
                number += 1
                with self.lock:
                    self.asked += 1
                connection = self.answered(connection, connect, f"{name}-{number}")
        except Exception as error:  # noqa: BLE001  whatever it was, the test must hear of it
            self.problems.append(f"client {name}, request {number}: {error!r}")
        finally:
            if connection:
                connection.close()

    def stop(self):
        """Until the last request is answered."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(2 * HANGS)
            assert not thread.is_alive(), f"{thread.name} waits for an answer still"
        assert not self.problems, self.problems
        return self

    def statuses(self, since=0.0):
        with self.lock:
            return Counter(status for when, status in self.answers if when >= since)


class Breakers:
    """What was seen of the circuit breakers for one destination since begin(), by (service, pid)."""

    def __init__(self, destination):
        self.destination = destination
        self.states = {}  # without repetitions
        self.times = {}  # that it opened, the latest count
        self.before = {}

    def begin(self):
        self.states, self.before = {}, dict(self.times)

    def look(self, service, pid, metrics):
        """The state, or None as long as nothing was called."""
        labels = (("destination", self.destination),)
        state = metrics.get(("dpumesh_circuit_breaker_state", labels))
        if state is not None:
            states = self.states.setdefault((service, pid), [])
            if not states or states[-1] != state:
                states.append(state)
            self.times[service, pid] = metrics[("dpumesh_circuit_breaker_opened_total", labels)]
        return state

    def opened(self, service):
        """{pid: whether it was seen closed after it was last seen open} of those that were seen open, and whose count
        says that they opened since begin()."""
        return {
            pid: CLOSED in states[len(states) - states[::-1].index(OPEN) :]
            for (caller, pid), states in self.states.items()
            if caller == service
            and OPEN in states
            and self.times[caller, pid] > self.before.get((caller, pid), 0)
        }


class Application:
    """A running `dpumesh up`, asked over its control socket: cheaper than a program a question."""

    def __init__(self, local):
        (running,) = local.applications()
        self.local = local
        self.control = os.path.join(running["runDirectory"], "control.sock")
        self.killed = set()  # pids: the supervisor may not have noticed yet
        self.front_kills = []

    def replicas(self, *services, ready=False):
        """[(service, replica)] whose process lives."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(self.control)
            connection.sendall(b'{"verb":"ps"}\n')
            answer = json.loads(connection.makefile().readline())
        assert answer["ok"], answer
        return [
            (service["name"], replica)
            for service in answer["application"]["services"]
            if not services or service["name"] in services
            for replica in service["replicas"]
            if replica["pid"] and replica["pid"] not in self.killed and (replica["ready"] or not ready)
        ]

    def metrics(self, *services):
        """[(service, pid, metrics)] of the ready ones."""
        return [
            (name, replica["pid"], Metrics.parse(fetch(replica["admin"] + "/metrics", timeout=60)))
            for name, replica in self.replicas(*services, ready=True)
        ]

    def kill(self, service, replica, front):
        """SIGKILL, and its end: until then it may take a connection. Whether it lived; one that drains ends by itself."""
        try:
            process = os.pidfd_open(replica["pid"])
        except ProcessLookupError:
            return False
        moment = [time.monotonic(), float("inf")]
        if service == front:
            self.front_kills.append(moment)
        self.killed.add(replica["pid"])
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGKILL)
        ended, _, _ = select.select([process], [], [], HANGS)
        os.close(process)
        assert ended, f"{replica['name']} survives SIGKILL"
        moment[1] = time.monotonic()
        return True

    def nudge(self, *pids):
        """Asks these replicas themselves, at their admin endpoints: nobody else may happen to call them."""
        for _, replica in self.replicas(ready=True):
            if replica["pid"] in pids:
                with contextlib.suppress(urllib.error.HTTPError):
                    fetch(replica["admin"] + PATH, timeout=HANGS)

    def scale(self, service, count):
        self.local.run("scale", service, count, "--no-wait")
