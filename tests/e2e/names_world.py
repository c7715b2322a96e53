"""Run by test_agent_forward_names.py in a world of its own: a name server at 127.0.0.53, search domain apps.test.

    demand                                               test
    http://NAME:8080 and the caller's path               test_the_default_url
    an address is kept for its time to live              test_kept_and_looked_up_again,
                                                         test_kept_connections_follow_the_name
    no such name, no server that answers                 test_no_such_name, test_a_silent_server
    the I/O thread does not wait for DNS                 test_a_silent_server
    one address of two is dead                           test_one_address_refuses
    an address that fails is left alone for a while      test_ejection, test_the_last_address_is_not_ejected
"""

import socket
import struct
import threading
import time

import pytest

from agentkit import calls, eventually, start  # noqa: F401  a fixture
from cellkit import Callee, Cell, head
from test_agent_forward import QUIET, ask_many, results

TYPE_A, NXDOMAIN = 1, 3


class Names:
    """A name server: {name: [address, ...]}, None: it does not answer; other names do not exist."""

    def __init__(self, ttl=60):
        self.names, self.ttl, self.asked = {}, ttl, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.53", 53))
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.53", 53))
        self.thread.join()
        self.socket.close()

    def run(self):
        while True:
            question, client = self.socket.recvfrom(2048)
            if not question:
                return
            answer = self.answer(question)
            if answer:
                self.socket.sendto(answer, client)

    def answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += 1 + question[at]
        name, (kind,) = ".".join(labels), struct.unpack("!H", question[at + 1 : at + 3])
        self.asked.append((name, kind))
        if name in self.names and self.names[name] is None:
            return None
        addresses = self.names.get(name, []) if kind == TYPE_A else []
        code = 0 if name in self.names else NXDOMAIN
        # In full, for c-ares looks at each part: the header, the question, the answers.
        records = b"".join(
            struct.pack("!HHHIH", 0xC00C, TYPE_A, 1, self.ttl, 4) + socket.inet_aton(address) for address in addresses
        )
        return question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(addresses), 0, 0) + question[12 : at + 5] + records


@pytest.fixture
def names():
    with Names() as made:
        yield made


def by_name(start, **egress):  # noqa: F811
    return start(
        workload={"internalService": QUIET, "externalServices": calls(["s1"])}, egress={"mode": "forward", **egress}
    ).wait_serving()


def lookups(agent, result="found"):
    return agent.metrics().total("dpumesh_forward_lookups_total", result=result)


def test_the_default_url(start, names):  # noqa: F811
    """As in a pod: no peers are known, the resolver's search domain makes s1 a service of this namespace."""
    names.names["s1.apps.test"] = ["127.0.0.3"]
    with Cell("s1", address="127.0.0.3", port=8080) as cell:
        s0 = by_name(start)
        assert s0.ask(query_string="x=1")["status"] == 200
        assert cell.requests[0].path == "/api/v1?x=1"
        assert cell.requests[0].headers["Host"] == "s1:8080"
        assert ("s1.apps.test", TYPE_A) in names.asked
        # A trace may name any service.
        names.names["s9.apps.test"] = ["127.0.0.3"]
        assert s0.ask(method="POST", body='{"s0": [{"s9": [{}]}]}')["status"] in (200, 500)
        assert len(cell.requests) == 2


def test_etc_hosts(start):  # noqa: F811
    with Cell("s1", address="127.0.0.77", port=8080) as cell:
        s0 = start(
            workload={"externalServices": calls(["s1"])},
            egress={"destinations": [{"name": "s1", "url": "http://by-file:8080/api/v1"}]},
        )
        assert s0.ask()["status"] == 200
        assert len(cell.requests) == 1


def test_kept_and_looked_up_again(start, names):  # noqa: F811
    """Within the time to live nobody asks; after it, calls move to where the name points now."""
    names.ttl = 1
    names.names["s1.apps.test"] = ["127.0.0.3"]
    with Cell("s1", address="127.0.0.3", port=8080) as old, Cell("s1", address="127.0.0.4", port=8080) as new:
        s0 = by_name(start, forward={"idleTimeout": "10ms"})
        begun = time.monotonic()
        statuses = [s0.ask()["status"] for _ in range(10)]
        if time.monotonic() - begun < 0.9:
            assert lookups(s0) == 1
        names.names["s1.apps.test"] = ["127.0.0.4"]
        statuses += [eventually(lambda: new.requests or s0.ask()["status"] != 200) and 200]
        assert set(statuses) == {200}
        assert len(old.requests) >= 10


def test_kept_connections_follow_the_name(start, names):  # noqa: F811
    """A connection that lies idle for half a minute is not used when the name points elsewhere."""
    names.ttl = 1
    names.names["s1.apps.test"] = ["127.0.0.3"]
    with Cell("s1", address="127.0.0.3", port=8080) as old, Cell("s1", address="127.0.0.4", port=8080) as new:
        s0 = by_name(start)
        assert s0.ask()["status"] == 200
        names.names["s1.apps.test"] = ["127.0.0.4"]
        time.sleep(1.1)
        assert s0.ask()["status"] == 200  # whichever: it makes the agent look again
        eventually(lambda: lookups(s0) >= 2)
        seen = len(old.requests)
        assert [s0.ask()["status"] for _ in range(5)] == [200] * 5
        assert (len(old.requests), len(new.requests)) >= (seen, 5)
        assert len(old.requests) == seen


def test_no_such_name(start, names):  # noqa: F811
    s0 = by_name(start)
    assert set(ask_many(s0, 40, clients=4)) == {500}
    assert results(s0) == {"dns": 40}
    # One lookup serves all that wait, and a name that is not there is not asked for at once again.
    assert 1 <= lookups(s0, "failed") <= 4
    s0.wait_log("can't be looked up")
    names.names["s1.apps.test"] = ["127.0.0.3"]
    with Cell("s1", address="127.0.0.3", port=8080):
        eventually(lambda: s0.ask()["status"] == 200)


def test_a_silent_server(start, names):  # noqa: F811
    """The call times out; all else is answered at once meanwhile."""
    names.names["s1.apps.test"] = None
    s0 = by_name(start, timeout="3s")
    with s0.lines() as client:
        client.send(b'{"path": "/api/v1"}')
        eventually(lambda: s0.metrics().total("dpumesh_egress_in_flight") == 1)
        slowest = 0
        for _ in range(20):
            begun = time.monotonic()
            assert s0.get("/healthz", "http").status == 200
            slowest = max(slowest, time.monotonic() - begun)
        assert s0.metrics().total("dpumesh_egress_in_flight") == 1
        assert slowest < 1.5
        assert client.receive()[0]["status"] == 504
    assert results(s0) == {"timeout": 1}


def test_a_server_that_never_answers_ends_the_lookup(start, names):  # noqa: F811
    """c-ares gives up by itself, and the next lookup finds the name."""
    names.names["s1.apps.test"] = None
    s0 = by_name(start, timeout="20s")
    begun = time.monotonic()
    assert s0.ask()["status"] == 500
    assert 1 < time.monotonic() - begun < 15
    assert results(s0) == {"dns": 1}
    assert lookups(s0, "failed") == 1


def test_one_address_refuses(start, names):  # noqa: F811
    """Each call that meets it goes on to the other at once, without a retry of the budget."""
    names.names["s1.apps.test"] = ["127.0.0.3", "127.0.0.4"]
    with Cell("s1", address="127.0.0.4", port=8080) as cell:
        s0 = by_name(start, retries={"most": 0}, forward={"idleTimeout": "1ms", "ejection": {"failures": 5}})
        for _ in range(30):
            assert s0.ask()["status"] == 200
            time.sleep(0.003)
        assert len(cell.requests) == 30
        now = s0.metrics()
        assert now.total("dpumesh_forward_retries_total", cause="address") == 5
        assert now.total("dpumesh_forward_ejections_total") == 1


def test_ejection(start, names):  # noqa: F811
    """An address whose calls end in a reset is left alone after three of them, and tried again when its time is over."""
    names.names["s1.apps.test"] = ["127.0.0.3", "127.0.0.4"]
    with Callee(lambda c, _: head(c), address="127.0.0.3", port=8080) as bad, Cell("s1", address="127.0.0.4", port=8080):
        forward = {"idleTimeout": "1ms", "ejection": {"failures": 3, "duration": "3s"}}
        s0 = by_name(start, forward=forward)

        def some(count):
            found = []
            for _ in range(count):
                found.append(s0.ask()["status"])
                time.sleep(0.003)
            return found

        first = some(30)
        assert first.count(500) == bad.accepted == 3
        assert first[-20:] == [200] * 20
        assert s0.metrics().total("dpumesh_forward_ejections_total") == 1
        eventually(lambda: 500 in some(10))
        assert bad.accepted > 3


def test_the_last_address_is_not_ejected(start, names):  # noqa: F811
    names.names["s1.apps.test"] = ["127.0.0.3"]
    with Callee(lambda c, _: head(c), address="127.0.0.3", port=8080) as bad:
        s0 = by_name(start)
        assert [s0.ask()["status"] for _ in range(20)] == [500] * 20
        assert bad.accepted == 20
        assert s0.metrics().total("dpumesh_forward_ejections_total") == 0
