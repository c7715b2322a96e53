"""The fault proxy does what its plan says, byte by byte, and nothing else: seen by curl, kubectl and a
client of plain sockets."""

import collections
import contextlib
import http.client
import json
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from client import ApiError
from faultproxy import FaultProxy
from faults import (
    Answer,
    Delay,
    DropBookmarks,
    EndWatch,
    ErrorEvent,
    Reset,
    Rule,
    Stall,
    Truncate,
    everything,
    too_many_requests,
)
from processes import eventually

EVERYTHING = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]


class Tls:
    """A TLS connection that knows how it ended: "close" (TLS said so), "fin", "reset" or "" (it did not)."""

    def __init__(self, port, authority):
        context = ssl.create_default_context(cafile=authority)
        self.plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.end = ""
        try:
            self.until(self.tls.do_handshake)
        except ssl.SSLError:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.plain.close()

    def until(self, work):
        """Does work, feeding it what comes; None when the connection ended."""
        while True:
            try:
                return work()
            except ssl.SSLWantReadError:
                pass
            try:
                # Sending nothing would take the place of reading what came before a reset.
                if self.outgoing.pending:
                    self.plain.sendall(self.outgoing.read())
                data = self.plain.recv(65536)
            except ConnectionResetError:
                self.end = "reset"
                return None
            if not data:
                self.end = "fin"
                return None
            self.incoming.write(data)

    def send(self, data):
        self.tls.write(data)
        self.plain.sendall(self.outgoing.read())

    def receive(self):
        """Some bytes; none at the end."""
        try:
            data = self.until(lambda: self.tls.read(65536)) or b""
        except ssl.SSLZeroReturnError:
            data = b""
        self.end = self.end or ("" if data else "close")
        return data

    def everything(self, quiet=0.5):
        """All that comes, until nothing has come for so many seconds."""
        data = b""
        self.plain.settimeout(quiet)
        with contextlib.suppress(TimeoutError):
            while part := self.receive():
                data += part
        return data


class User:
    """A service account behind the proxy, and without it (direct)."""

    def __init__(self, cluster, namespace, proxy):
        self.proxy = proxy
        self.identity = cluster.kubeconfig_for("user", namespace, url=proxy.url)
        cluster.grant(self.identity, EVERYTHING, namespace)
        self.direct = cluster.client
        self.client = self.identity.client_of("127.0.0.1", proxy.port)
        self.path = f"/api/v1/namespaces/{namespace}/configmaps"
        eventually(lambda: self.identity.client.request("GET", self.path)[0] == 200, 10)

    def create(self, name, client=None, **options):
        body = {"metadata": {"name": name}, "data": {"text": "x" * 200}}
        return (client or self.client).api("POST", self.path, body, **options)

    def exists(self, name):
        return self.direct.request("GET", f"{self.path}/{name}")[0] == 200

    def watch(self, **query):
        found = self.direct.get(self.path)
        query = {"resourceVersion": found["metadata"]["resourceVersion"], **query}
        return self.client.watch(self.path, **query)

    def connect(self, port=None):
        return Tls(port or self.proxy.port, self.identity.folder / "ca.crt")

    def send(self, connection, path=None):
        connection.send(
            f"GET {path or self.path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self.identity.token}\r\n"
            "User-Agent: bytes\r\n\r\n".encode()
        )

    def bytes(self, path=None, port=None, quiet=0.5):
        """(every byte of one answer, how the connection ended; see Tls)."""
        with self.connect(port) as connection:
            self.send(connection, path)
            return connection.everything(quiet), connection.end


@pytest.fixture
def user(cluster, namespace, proxy):
    return User(cluster, namespace, proxy)


def without_date(data):
    return re.sub(rb"(Date|Audit-Id): [^\r]*", b"", data)


# ---- without harm ----


def test_without_a_plan_nothing_is_changed(cluster, namespace, proxy, user):
    assert "configmap/a created" in cluster.kubectl(
        "create", "configmap", "a", "--from-literal=a=1", kubeconfig=user.identity.path
    )
    assert cluster.kubectl_json("get", "configmap", "a", kubeconfig=user.identity.path)["data"] == {"a": "1"}
    cluster.kubectl("delete", "configmap", "a", kubeconfig=user.identity.path)
    assert not user.exists("a")
    (post,) = proxy.calls(method="POST")
    assert (post.status, post.performed, post.action, post.fired) == (201, True, "", False)
    assert "kubectl" in post.agent
    assert proxy.summary() == {}


def test_every_byte_of_an_answer_passes(cluster, user):
    for path in (user.path, "/api/v1/namespaces/default", "/apis/apps/v1", f"{user.path}/nothing"):
        # The API server's own answer may change in between: then both are asked for again.
        for _ in range(10):
            before, _ = user.bytes(path, port=cluster.client.port)
            through, end = user.bytes(path)
            after, _ = user.bytes(path, port=cluster.client.port)
            assert end == ""
            if without_date(before) == without_date(after):
                break
        assert without_date(through) == without_date(before)


def test_curl_negotiates_http_1_and_reuses_its_connection(proxy, user):
    command = ["curl", "-sS", "--cacert", user.identity.folder / "ca.crt", "--http2", "-w", "%{http_version}\n"]
    command += ["-H", f"Authorization: Bearer {user.identity.token}", "-o", "/dev/null", "-o", "/dev/null"]
    # A body that curl asks about first (Expect: 100-continue), in chunks.
    big = json.dumps({"metadata": {"name": "big"}, "data": {"a": "x" * 900_000}})
    more = ["-H", "Content-Type: application/json", "-H", "Expect: 100-continue"]
    more += ["-H", "Transfer-Encoding: chunked", "--data-binary", "@-"]
    url = proxy.url + user.path
    command += [*more, url, url + "?dryRun=All"]
    done = subprocess.run(command, input=big, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1.1", "1.1"], done.stderr
    first, second = proxy.calls(agent="curl")
    assert (first.status, second.status) == (201, 409)
    assert first.connection == second.connection


def test_a_client_that_leaves_ends_its_watch(cluster, proxy, user):
    with user.connect() as connection:
        user.send(connection, user.path + "?watch=1")
        assert b"200 OK" in connection.receive()
        assert proxy.calls(watch=True, over=False)
    eventually(lambda: proxy.calls(watch=True, over=True), 20, "the proxy held the watch open")


# ---- answers and connections ----


@pytest.mark.parametrize("status", [401, 403, 409, 410, 422, 500, 503, 504])
def test_an_answer_takes_the_place_of_the_api_servers(proxy, user, status):
    proxy.plan(Rule(Answer(status), method="POST", times=1))
    answer = user.create("a", status=status)
    assert (answer["kind"], answer["code"], answer["status"]) == ("Status", status, "Failure")
    assert answer["reason"] and not user.exists("a")
    user.create("a")
    first, second = proxy.calls(method="POST")
    assert (first.status, first.performed, first.fired) == (status, False, True)
    assert (second.status, second.action) == (201, "")
    assert proxy.summary() == {"Answer": 1}


def test_an_answer_may_lie_about_what_was_done(proxy, user):
    proxy.plan(Rule(Answer(504, performed=True), method="POST", times=1))
    user.create("a", status=504)
    assert user.exists("a")
    assert proxy.calls(method="POST")[0].performed


def test_too_many_requests_say_when_to_come_back(proxy, user):
    proxy.plan(Rule(too_many_requests(7), times=1))
    status, headers, text = user.client.request("GET", user.path)
    assert (status, headers["Retry-After"]) == (429, "7")
    assert json.loads(text)["reason"] == "TooManyRequests"


@pytest.mark.parametrize(("when", "there"), [("before", False), ("after", True)])
def test_a_reset_comes_before_or_after_the_request(proxy, user, when, there):
    proxy.plan(Rule(Reset(when), method="POST", times=1))
    with pytest.raises(ConnectionResetError):
        user.create("a")
    assert user.exists("a") == there
    (call,) = proxy.calls(method="POST")
    assert (call.fired, call.performed, call.status) == (True, there, 0)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delay_is_as_long_as_it_says(proxy, user, when):
    proxy.plan(Rule(Delay(0.5, when), times=1))
    began = time.monotonic()
    user.client.get(user.path)
    assert time.monotonic() - began >= 0.5
    assert proxy.calls(fired=True)[0].seconds >= 0.5


def test_a_stall_holds_the_rest_back(proxy, user):
    user.create("a")
    proxy.plan(Rule(Stall(5.0, after=50), times=1), Rule(Stall(0.3, after=10, then="reset"), times=1))
    with user.connect() as connection:
        user.send(connection)
        head, _, body = connection.everything(quiet=2).partition(b"\r\n\r\n")
        assert b"200 OK" in head and len(body) < 60
        connection.plain.settimeout(30)
        while b'"metadata"' not in body:
            body += connection.receive() or pytest.fail(f"the rest does not come: {body}")
    data, end = user.bytes()
    assert end == "reset" and len(data.partition(b"\r\n\r\n")[2]) < 20


def test_a_stalled_client_may_leave(proxy, user):
    proxy.plan(Rule(Stall(60), times=1))
    with user.connect() as connection:
        user.send(connection)
        time.sleep(0.2)
    eventually(lambda: proxy.calls(fired=True, over=True), 20, "the stall went on without its client")


# ---- bytes ----


def sizes(data):
    """Of one whole answer: {part: bytes}."""
    head, _, body = data.partition(b"\r\n\r\n")
    found = {"all": len(data), "head": len(head) + 4, "data": 0, "size": 0, "pad": 0, "last": 0}
    if b"chunked" not in head:
        return {**found, "data": len(body)}
    while True:
        line, _, body = body.partition(b"\r\n")
        if int(line, 16) == 0:
            return {**found, "last": 5}
        found["size"] += len(line) + 2
        found["data"] += int(line, 16)
        found["pad"] += 2
        body = body[int(line, 16) + 2 :]


def test_an_answer_is_cut_at_every_byte_of_every_part(proxy, user):
    path = f"{user.path}/a"
    user.create("a")
    whole = user.bytes(path)[0]
    size = sizes(whole)
    # In steps, with the first and the last byte of everything.
    for after in sorted({0, 1, *range(0, size["all"], 97), size["head"] - 1, size["head"], size["all"] - 1}):
        proxy.plan(Rule(Truncate("all", after), times=1))
        data, end = user.bytes(path)
        assert (len(data), end) == (after, "fin")
    for part, after, expected in [
        ("head", 0, 0),
        ("head", size["head"] - 2, size["head"] - 2),
        ("head", size["head"], size["head"]),
        ("data", size["data"] - 1, size["all"] - 1),
    ]:
        proxy.plan(Rule(Truncate(part, after), times=1))
        assert len(user.bytes(path)[0]) == expected, (part, after)
    # What never comes is not cut.
    proxy.plan(Rule(Truncate("last", 0), times=1))
    data, end = user.bytes(path)
    assert (len(data), end) == (len(whole), "")
    assert not proxy.calls()[-1].fired


def test_chunks_are_cut_in_each_of_their_parts(proxy, user):
    path = user.path + "?watch=1&timeoutSeconds=1&resourceVersion=0"
    user.create("a")
    for part, after, tail in [
        ("size", 0, rb"\r\n\r\n"),
        ("size", 1, rb"\r\n\r\n[0-9a-f]"),
        ("size", 4, rb"\r\n\r\n[0-9a-f]+\r\n?"),
        ("data", 0, rb"\r\n\r\n[0-9a-f]+\r\n"),
        ("data", 30, rb'\r\n\r\n[0-9a-f]+\r\n\{"type":"ADDED".{15}'),
        ("pad", 0, rb'\r\n\r\n[0-9a-f]+\r\n\{"type":[^\r]*'),
        ("pad", 1, rb'\r\n\r\n[0-9a-f]+\r\n\{"type":[^\r]*\r'),
    ]:
        proxy.plan(Rule(Truncate(part, after), times=1))
        data, end = user.bytes(path)
        assert end == "fin" and re.search(tail + rb"\Z", data, re.DOTALL), (part, after, data)
    for after in range(5):
        proxy.plan(Rule(Truncate("last", after), times=1))
        data, end = user.bytes(path, quiet=5)
        assert end == "fin" and data.endswith(b"\n\r\n" + b"0\r\n\r\n"[:after]), (after, data[-20:])
    # Not before the first event has passed.
    user.create("b")
    proxy.plan(Rule(Truncate("size", 1, payload=50), times=1))
    data, _ = user.bytes(path)
    assert data.count(b'"type":"ADDED"') >= 1 and proxy.calls()[-1].fired


@pytest.mark.parametrize("end", ["fin", "reset", "close"])
def test_a_cut_connection_ends_as_it_should(proxy, user, end):
    proxy.plan(Rule(Truncate("data", 10, end=end), times=1))
    assert user.bytes()[1] == end


# ---- watches ----


def test_bookmarks_are_dropped(proxy, user):
    query = {"sendInitialEvents": True, "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": True}
    query |= {"timeoutSeconds": 1, "resourceVersion": ""}

    def bookmarks():
        return sum(event["type"] == "BOOKMARK" for event in user.watch(**query))

    assert bookmarks() >= 1
    proxy.plan(Rule(DropBookmarks(initial=True), watch=True))
    assert bookmarks() == 0
    assert proxy.calls(watch=True)[-1].fired
    proxy.plan(Rule(DropBookmarks(), watch=True))
    assert bookmarks() == 1


def test_a_watch_ends_after_a_random_number_of_events(proxy, user):
    counts = collections.Counter()
    for _ in range(6):
        proxy.plan(Rule(EndWatch(0, 3), watch=True))
        events = user.watch(timeoutSeconds=20, resourceVersion=0)
        for name in ("a", "b", "c"):
            user.create(name, client=user.direct)
        counts[len(list(events))] += 1
        user.direct.api("DELETE", user.path)
    assert set(counts) <= {0, 1, 2, 3} and len(counts) > 1
    proxy.plan(Rule(EndWatch(1, 1, end="reset"), watch=True))
    data, end = user.bytes(user.path + "?watch=1&resourceVersion=0")
    assert (data.count(b'{"type":"'), end) == (1, "reset")


def test_a_watch_meets_an_error_event(proxy, user):
    user.create("a")
    proxy.plan(Rule(ErrorEvent(after=1), watch=True))
    *_, first, last = user.watch(resourceVersion=0)
    assert first["type"] == "ADDED"
    assert last["type"] == "ERROR"
    assert (last["object"]["code"], last["object"]["reason"]) == (410, "Expired")


# ---- plans ----


def test_a_rule_fits_what_it_says(proxy, user):
    proxy.plan(
        Rule(Answer(500), method=("PUT", "PATCH")),
        Rule(Answer(503), path=r"/configmaps/b$", skip=1, times=1),
        Rule(Answer(409), writes=True, agent="nobody"),
    )
    asked = [user.client.request("GET", f"{user.path}/{name}")[0] for name in "abbb"]
    assert asked == [404, 404, 503, 404]
    user.create("a")
    assert user.client.request("PATCH", f"{user.path}/a", {})[0] == 500
    proxy.plan()
    assert user.client.request("PATCH", f"{user.path}/a", {})[0] == 200


def test_the_same_seed_is_the_same_luck(cluster, user):
    def luck(seed):
        with FaultProxy(cluster, seed=seed) as proxy:
            proxy.plan(Rule(Answer(500), probability=0.5))
            client = user.identity.client_of("127.0.0.1", proxy.port)
            return [client.request("GET", user.path)[0] for _ in range(20)]

    first = luck(3)
    assert set(first) == {200, 500}
    assert luck(3) == first != luck(4)


def test_all_faults_at_once_break_nothing_but_the_client(proxy, user):
    proxy.plan(*everything(0.04, stall_seconds=0.2))
    outcomes = collections.Counter()
    for number in range(150):
        try:
            outcomes[user.client.request("GET", user.path, timeout=10)[0]] += 1
            if number % 25 == 0:
                list(user.client.watch(user.path, timeoutSeconds=1, resourceVersion=0))
        except (OSError, http.client.HTTPException, ApiError, ValueError) as error:
            outcomes[type(error).__name__] += 1
    assert outcomes[200] > 20 and len(outcomes) > 5, outcomes
    assert len(proxy.summary()) >= 5
    proxy.plan()
    assert user.client.request("GET", user.path)[0] == 200
    eventually(lambda: not proxy.links, 20, "connections were left open")


# ---- the network ----


def test_a_partition_holds_every_byte(proxy, user):
    events = user.watch(timeoutSeconds=30)
    seen = []
    reader = threading.Thread(target=lambda: seen.append(next(events)["object"]["metadata"]["name"]))
    reader.start()
    eventually(lambda: proxy.links, 20)
    proxy.partition()
    user.create("a", client=user.direct)
    with pytest.raises(TimeoutError):
        user.client.request("GET", user.path, timeout=0.5)
    assert not seen
    proxy.heal()
    reader.join(10)
    assert seen == ["a"]
    events.close()
    user.client.get(user.path)


def test_a_refused_connection_may_be_accepted_later(proxy, user):
    with user.connect() as connection:
        user.send(connection, user.path + "?watch=1")
        assert connection.everything()
        proxy.refuse()
        assert (connection.receive(), connection.end) == (b"", "reset")
    with pytest.raises(ConnectionRefusedError):
        user.client.get(user.path)
    proxy.accept()
    user.client.get(user.path)


def test_the_api_server_may_go_away_behind_it(cluster, proxy, user):
    cluster.stop_apiserver()
    try:
        with pytest.raises((ConnectionResetError, http.client.HTTPException)):
            user.client.get(user.path)
    finally:
        cluster.start_apiserver()
    eventually(lambda: user.client.request("GET", user.path)[0] == 200, 10)


def test_its_authority_can_be_another(cluster, proxy, user):
    first, second = cluster.authorities
    user.identity.trust(first)
    user.connect().close()
    proxy.present(second)
    with pytest.raises(ssl.SSLCertVerificationError):
        user.connect()
    user.identity.trust(second)
    user.connect().close()


# ---- kill points ----


def test_calls_are_announced_before_and_after_their_answer(proxy, user):
    points = []
    proxy.on_call(lambda point, call: points.append((point, call.method, call.status, user.exists("a"))))
    user.create("a")
    eventually(lambda: len(points) == 2, 20)
    assert points == [("performed", "POST", 0, True), ("answered", "POST", 201, True)]


CLIENT = """
set -eu
for name in a b c d; do
  curl -sS --fail --cacert "$1/ca.crt" -H "Authorization: Bearer $(cat "$1/token")" \
    -H 'Content-Type: application/json' -d '{"metadata": {"name": "'"$name"'"}}' "$2"
  echo "made $name"
done
"""


@pytest.mark.parametrize(("point", "said"), [("performed", 1), ("answered", 2)])
def test_a_client_is_killed_at_a_call(cluster, proxy, user, point, said, tmp_path):
    log = tmp_path / "log"
    command = ["bash", "-c", CLIENT, "client", user.identity.folder, proxy.url + user.path]
    # Held until the test knows the process.
    known = threading.Event()

    def kill():
        assert known.wait(10)
        if point == "answered":
            eventually(lambda: log.read_text().count("made") == 2, 10)
        process.send_signal(signal.SIGKILL)
        process.wait()

    killed = proxy.kill_at(2, kill, point=point, method="POST", path="/configmaps$")
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output)
    known.set()
    assert killed.hit.wait(20)
    assert process.returncode == -signal.SIGKILL
    assert killed.call.method == "POST"
    assert user.exists("a") and user.exists("b") and not user.exists("d")
    assert log.read_text().count("made") == said
