"""Real calls over TLS: the callee is verified, we show a certificate where one is given, and renewed files are taken
up without a restart."""

import shutil
import subprocess
import time

import pytest

from agentkit import calls, eventually
from agentkit import request as frame
from cellkit import Cell, server_tls
from test_agent_forward import QUIET, results

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.certificate, self.key = folder / f"{name}.crt", folder / f"{name}.key"
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    @staticmethod
    def run(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def issue(self, name, alternative=None):
        """(certificate, key) of that common name and alternative name."""
        certificate, key, request = (self.folder / f"{name}.{end}" for end in ("crt", "key", "csr"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n" if alternative else "basicConstraints=CA:FALSE\n")
        self.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", key, "-out", request)
        self.run("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                 "-days", "2", "-extfile", extensions, "-out", certificate)
        return certificate, key


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("other"), "theirs")


def agent(start, cell, idle="1h", **tls):
    files = {name: str(path) for name, path in tls.items()}
    return start(
        workload={"internalService": QUIET, "externalServices": calls(["s1"])},
        egress={
            "destinations": [{"name": "s1", "url": cell.url}],
            "forward": {"tls": files, "idleTimeout": idle, "connectTimeout": "60s"},
            "retries": {"most": 0},
        },
    )


def cell(pair, client_ca=None):
    return Cell("s1", tls=server_tls(*pair, client_ca))


def test_a_verified_callee(start, authority):
    with cell(authority.issue("good", "IP:127.0.0.1")) as callee:
        s0 = agent(start, callee, ca=authority.certificate)
        body = '{"s0": [{"s1": []}]}'
        assert s0.ask()["status"] == s0.ask(method="POST", body=body)["status"] == 200
        assert [r.method for r in callee.requests] == ["GET", "POST"]
        assert results(s0) == {"ok": 2}


def test_a_large_answer(start, authority):
    with cell(authority.issue("large", "IP:127.0.0.1")) as callee:
        callee.mean_kb = 3000
        s0 = agent(start, callee, ca=authority.certificate)
        assert [s0.ask()["status"] for _ in range(5)] == [200] * 5
        assert s0.metrics().total("dpumesh_forward_received_bytes_total") > sum(callee.sizes)


@pytest.mark.parametrize("name", ["IP:127.0.0.2", "DNS:s1", None])
def test_another_name(start, authority, name):
    with cell(authority.issue(f"other-{name}".replace(":", "-"), name)) as callee:
        s0 = agent(start, callee, ca=authority.certificate)
        assert s0.ask()["status"] == 500
        assert results(s0) == {"tls": 1}
        assert callee.requests == []
        s0.wait_log("no TLS with a callee")


def test_another_authority(start, authority, stranger):
    with cell(stranger.issue("stranger", "IP:127.0.0.1")) as callee:
        s0 = agent(start, callee, ca=authority.certificate)
        assert s0.ask()["status"] == 500
        assert results(s0) == {"tls": 1}
        assert callee.requests == []


def test_the_systems_authorities_do_not_know_it(start, authority):
    with cell(authority.issue("system", "IP:127.0.0.1")) as callee:
        s0 = agent(start, callee)
        assert s0.ask()["status"] == 500
        assert results(s0) == {"tls": 1}


def test_a_client_certificate(start, authority):
    with cell(authority.issue("mutual", "IP:127.0.0.1"), client_ca=authority.certificate) as callee:
        certificate, key = authority.issue("s0")
        s0 = agent(start, callee, ca=authority.certificate, certificate=certificate, key=key)
        assert s0.ask()["status"] == 200
        bare = agent(start, callee, ca=authority.certificate)
        assert bare.ask()["status"] == 500
        assert set(results(bare)) <= {"tls", "reset", "cut"} and sum(results(bare).values()) == 1
        # The callee says why after the handshake, and now and then resets the connection before we have read it.
        eventually(lambda: bare.ask()["status"] == 500 and "alert certificate required" in bare.errors())


def test_no_such_file(start, authority, tmp_path):
    with cell(authority.issue("nofile", "IP:127.0.0.1")) as callee:
        s0 = agent(start, callee, ca=tmp_path / "none.crt")
        assert s0.ask()["status"] == 500
        assert results(s0) == {"tls": 1}
        s0.wait_log("none.crt: No such file or directory")


# A client that never lets its connection go, and one whose connection is closed between any two calls: the files are
# looked at under both.
PACES = {"busy": ("1h", 0), "idle": ("1ms", 0.05)}


@pytest.fixture(params=PACES)
def pace(request):
    return PACES[request.param]


def put(text, path):
    """Replaces a file at once."""
    beside = path.with_suffix(".new")
    beside.write_bytes(text)
    beside.rename(path)


@pytest.mark.slow
def test_renewed_authority(start, authority, stranger, tmp_path, pace):
    """The authorities' file is replaced by another, which counts for kept connections too; a bad one changes nothing."""
    ca = tmp_path / "ca.crt"
    ours, theirs = authority.certificate.read_bytes(), stranger.certificate.read_bytes()
    idle, pause = pace
    with cell(authority.issue("renewed", "IP:127.0.0.1")) as callee:
        ca.write_bytes(ours)
        s0 = agent(start, callee, idle, ca=ca)

        def status():
            time.sleep(pause)
            return s0.ask()["status"]

        assert status() == 200
        put(theirs, ca)
        eventually(lambda: status() == 500)
        assert set(results(s0)) == {"ok", "tls"}
        put(ours, ca)
        eventually(lambda: status() == 200)
        put(b"no certificate", ca)
        failed = results(s0)["tls"]
        eventually(lambda: status() == 200 and "the old ones stay" in s0.errors())
        s0.wait_log("section=egress.forward.tls")
        # Tried again each second, and told once.
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            assert status() == 200
        s0.wait_log("the old ones stay")
        assert s0.errors().count("the old ones stay") == 1
        assert results(s0)["tls"] == failed


def test_renewed_certificate_under_load(start, authority, tmp_path):
    """A certificate and its key are swapped as the kubelet does it, by one link: no call is lost by it, each connection
    is made anew once, and a busy one after its answer."""
    for name in ("before", "after"):
        certificate, key = authority.issue(name)
        folder = tmp_path / f"..{name}"
        folder.mkdir()
        certificate.rename(folder / "tls.crt")
        key.rename(folder / "tls.key")
    data = tmp_path / "..data"
    data.symlink_to("..before")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    with cell(authority.issue("loaded", "IP:127.0.0.1"), client_ca=authority.certificate) as callee:
        s0 = agent(start, callee, ca=authority.certificate, certificate=tmp_path / "tls.crt", key=tmp_path / "tls.key")
        with s0.lines() as client:
            asked = 0

            def ask():
                nonlocal asked
                client.send(*[frame()] * 16)
                assert {answer["status"] for answer in client.receive(16)} == {200}
                asked += 16
                return callee.clients[-1]

            ask()
            assert set(callee.clients) == {"before"}
            (tmp_path / "..link").symlink_to("..after")
            (tmp_path / "..link").rename(data)
            eventually(lambda: ask() == "after")
            before = callee.connections
            for _ in range(20):
                ask()
            # Those that were busy when it was noticed have been closed, so that all speak for the new one.
            assert set(callee.clients[-160:]) == {"after"}
        assert results(s0) == {"ok": asked} and len(callee.requests) == asked
        assert callee.connections <= before + 16


def test_plain_http_at_the_port(start, authority):
    with Cell("s1") as callee:
        callee.url = callee.url.replace("http:", "https:")
        s0 = agent(start, callee, ca=authority.certificate)
        assert s0.ask()["status"] == 500
        assert set(results(s0)) <= {"tls", "reset"}
