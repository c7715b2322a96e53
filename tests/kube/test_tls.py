"""What a client and a server say to each other before any request: certificates, names, protocols."""

import errno
import json
import os
import shutil
import time

import pytest

from certs import Authority
from processes import eventually
from tlskit import Asker, ConnectProxy, TlsServer, kubeconfig

HOST = "127.0.0.1"
MISMATCH = "SSL: no alternative certificate subject name matches target host name"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    """Two, for servers."""
    folder = tmp_path_factory.mktemp("authorities")
    return Authority(folder, "one"), Authority(folder, "two")


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    """One for clients' certificates."""
    return Authority(tmp_path_factory.mktemp("clients"), "clients")


def place(source, target):
    """At once, with a time of its own."""
    beside = target.with_name(target.name + ".new")
    shutil.copyfile(source, beside)
    os.replace(beside, target)


# ---- what is replaced while a client runs ----


def test_a_renewed_client_certificate_is_used(authorities, clients, tmp_path):
    alice, bob = (clients.issue(name, subject=f"/CN={name}") for name in ("alice", "bob"))
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    place(alice.certificate, certificate)
    place(alice.key, key)
    user = {"client-certificate": "tls.crt", "client-key": "tls.key"}
    server_pair = authorities[0].issue("server", hosts=[HOST])
    with TlsServer(server_pair, clients=clients.certificate) as server:
        with Asker(kubeconfig(tmp_path, server, authorities[0].certificate, user)) as asker:
            assert asker.works() and asker.works()
            # Half of a renewal: the old pair stays in force, and its connection.
            place(bob.certificate, certificate)
            time.sleep(1.1)
            assert asker.works()
            assert {(said.user, said.connection) for said in server.requests} == {("alice", 1)}
            place(bob.key, key)
            eventually(lambda: asker.works() and server.requests[-1].user == "bob", 5)
            assert asker.works()
            assert server.requests[-1].connection == 2 == server.accepted


PLUGIN = """#!/bin/sh
echo '{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {'
echo "  \\"expirationTimestamp\\": \\"$(date -u -d '+2 seconds' +%FT%TZ)\\","
cat "$1"
echo '}}'
"""


def test_a_renewed_certificate_of_a_plugin_is_used(authorities, clients, tmp_path):
    for name in ("alice", "bob"):
        pair = clients.issue(name, subject=f"/CN={name}")
        text = {"clientCertificateData": pair.certificate.read_text(), "clientKeyData": pair.key.read_text()}
        (tmp_path / name).write_text(json.dumps(text).strip("{}"))
    place(tmp_path / "alice", tmp_path / "now")
    plugin = tmp_path / "plugin"
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "interactiveMode": "Never",
        "command": str(plugin),
        "args": [str(tmp_path / "now")],
    }
    with TlsServer(authorities[0].issue("server", hosts=[HOST]), clients=clients.certificate) as server:
        with Asker(kubeconfig(tmp_path, server, authorities[0].certificate, {"exec": command})) as asker:
            assert asker.works()
            time.sleep(2)
            assert asker.works(), "the same certificate again"
            assert {(said.user, said.connection) for said in server.requests} == {("alice", 1)}
            place(tmp_path / "bob", tmp_path / "now")
            eventually(lambda: asker.works() and server.requests[-1].user == "bob", 5)
            assert server.requests[-1].connection == 2 == server.accepted


@pytest.mark.parametrize("in_cluster", [False, True])
def test_the_authority_of_the_server_rotates(authorities, tmp_path, in_cluster):
    one, two = authorities
    trusted = tmp_path / "ca.crt"
    place(one.certificate, trusted)
    with TlsServer(one.issue("server", hosts=[HOST])) as server:
        if in_cluster:
            (tmp_path / "token").write_text("t0ken")
            config = tmp_path
        else:
            config = kubeconfig(tmp_path, server, "ca.crt")
        asking = Asker(config, KUBERNETES_SERVICE_HOST=HOST, KUBERNETES_SERVICE_PORT=str(server.port))
        with asking as asker:
            assert asker.works()
            server.present(two.issue("server", hosts=[HOST]))
            assert asker.works(), "a connection that is there goes on"
            server.hang_up()
            assert "certificate" in asker.get()["message"]
            # Both for a while, as it is done; then the new one alone.
            (tmp_path / "both").write_text(one.pem() + two.pem())
            place(tmp_path / "both", trusted)
            assert asker.works()
            place(two.certificate, trusted)
            server.hang_up()
            assert asker.works()
        assert len(server.requests) == 4


# ---- whom to trust ----


def refusal(server, config):
    """The sentence about a server that gets no request, and that the client does not try again."""
    with Asker(config) as asker:
        answer = asker.get()
    assert (answer["status"], answer["ret"]) == (0, -errno.EKEYREJECTED), answer["message"]
    assert server.requests == [] and server.accepted == 1
    start = f"GET /version: 127.0.0.1:{server.port} is not trusted: "
    assert answer["message"].startswith(start) and "\n" not in answer["message"]
    return answer["message"].removeprefix(start)


def test_a_server_of_another_authority_gets_no_request(authorities, tmp_path):
    one, two = authorities
    user = {"token": "s3cret"}
    with TlsServer(one.issue("server", hosts=[HOST])) as server:
        told = refusal(server, kubeconfig(tmp_path, server, two.certificate, user))
        assert told == f"its certificate is of none of the authorities of {two.certificate}"
    with TlsServer(one.issue("server", hosts=[HOST])) as server:
        told = refusal(server, kubeconfig(tmp_path, server))
        assert told == "its certificate is of none of the authorities of the system"


def test_a_server_whose_certificate_expired_gets_no_request(authorities, tmp_path):
    authority = authorities[0]
    with TlsServer(authority.issue("expired", hosts=[HOST], days="-1")) as server:
        told = refusal(server, kubeconfig(tmp_path, server, authority.certificate))
        assert told == "SSL certificate problem: certificate has expired"


def test_a_server_of_another_name_gets_no_request(authorities, tmp_path):
    authority = authorities[0]
    with TlsServer(authority.issue("elsewhere", hosts=["127.0.0.2", "api.example"])) as server:
        told = refusal(server, kubeconfig(tmp_path, server, authority.certificate))
        assert told == f"{MISMATCH} '127.0.0.1'"
    with TlsServer(authority.issue("elsewhere", hosts=["api.example"])) as server:
        told = refusal(server, kubeconfig(tmp_path, server, authority.certificate, tls_server_name="db.example"))
        assert told == f"{MISMATCH} 'db.example'"


def test_an_insecure_client_trusts_anybody(authorities, tmp_path):
    with TlsServer(authorities[0].issue("expired", hosts=["api.example"], days="-1")) as server:
        with Asker(kubeconfig(tmp_path, server, insecure_skip_tls_verify=True)) as asker:
            assert asker.works()


def test_a_server_may_go_by_another_name(authorities, tmp_path):
    authority = authorities[0]
    with TlsServer(authority.issue("named", hosts=["api.example"])) as server:
        config = kubeconfig(tmp_path, server, authority.certificate, tls_server_name="api.example")
        with Asker(config) as asker:
            assert asker.works() and asker.works()
        assert {(said.name, said.connection) for said in server.requests} == {("api.example", 1)}
        assert f"\nHost: 127.0.0.1:{server.port}\r\n" in server.requests[0].head


def test_a_client_without_the_certificate_that_is_wanted(authorities, clients, tmp_path):
    authority = authorities[0]
    with TlsServer(authority.issue("server", hosts=[HOST]), clients=clients.certificate) as server:
        with Asker(kubeconfig(tmp_path, server, authority.certificate)) as asker:
            answer = asker.get()
        assert answer["status"] == 0 and server.requests == []
        assert "alert certificate required" in answer["message"]


# ---- what they speak ----


@pytest.mark.parametrize("protocols", [("h2", "http/1.1"), ("h2",), ("http/1.1",)])
def test_the_best_protocol_that_both_speak(authorities, tmp_path, protocols):
    authority = authorities[0]
    with TlsServer(authority.issue("server", hosts=[HOST]), protocols=protocols) as server:
        with Asker(kubeconfig(tmp_path, server, authority.certificate)) as asker:
            assert all(asker.works() for _ in range(3))
        assert [(said.protocol, said.connection) for said in server.requests] == [(protocols[0], 1)] * 3


# ---- through a proxy ----


def test_a_proxy_learns_nothing_but_the_address(authorities, tmp_path):
    authority = authorities[0]
    user = {"token": "s3cret", "as": "alice"}
    with TlsServer(authority.issue("named", hosts=["api.example"])) as server, ConnectProxy() as proxy:
        url = proxy.url.replace("//", "//me:pass@")
        config = kubeconfig(
            tmp_path, server, authority.certificate, user, proxy_url=url, tls_server_name="api.example"
        )
        with Asker(config) as asker:
            first = asker.get()
            assert first["status"] == 200 and first["warnings"] == []
            assert asker.works()
        assert server.accepted == 1 and len(server.requests) == 2
        assert "\nAuthorization: Bearer s3cret\r\n" in server.requests[0].head
        assert "\nImpersonate-User: alice\r\n" in server.requests[0].head
        (head,) = proxy.heads
        assert head.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n")
        assert "\nProxy-Authorization: Basic " in head
        assert not any(word in head for word in ("s3cret", "alice", "api.example"))


def test_a_proxy_may_refuse(authorities, tmp_path):
    authority = authorities[0]
    with TlsServer(authority.issue("server", hosts=[HOST])) as server:
        with ConnectProxy(refuse="403 Forbidden") as proxy:
            config = kubeconfig(tmp_path, server, authority.certificate, proxy_url=proxy.url)
            with Asker(config) as asker:
                answer = asker.get()
        assert server.accepted == 0
        where = f"GET /version: 127.0.0.1:{server.port} can't be reached: "
        assert answer["status"] == 0 and answer["message"] == where + "CONNECT tunnel failed, response 403"
    with Asker(config) as asker:  # the proxy is gone
        assert asker.get()["message"].startswith(where + "Failed to connect to 127.0.0.1 port ")


def test_proxies_of_the_environment_count_but_not_for_this_machine(authorities, tmp_path):
    authority = authorities[0]
    with TlsServer(authority.issue("server", hosts=[HOST])) as server, ConnectProxy() as proxy:
        config = kubeconfig(tmp_path, server, authority.certificate)
        with Asker(config, https_proxy=proxy.url) as asker:
            assert asker.works()
        assert proxy.heads == []
