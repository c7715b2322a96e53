"""What a client and a server say to each other before any request: certificates, names, protocols."""

import json
import os
import shutil
import time

import pytest

from certs import Authority
from processes import eventually
from tlskit import Asker, TlsServer, kubeconfig

HOST = "127.0.0.1"


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
    version = "client.authentication.k8s.io/v1"
    command = {"apiVersion": version, "command": str(plugin), "args": [str(tmp_path / "now")], "interactiveMode": "Never"}
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
