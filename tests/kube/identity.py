"""Service accounts as clients: a folder laid out as pods see it (token, ca.crt, namespace) and a
kubeconfig that names these files."""

import base64
import json
import os
import ssl

import yaml

from client import Client


def kubeconfig(url, authority, user, namespace):
    """The text of a kubeconfig with one context."""
    cluster = {"server": url, "certificate-authority": str(authority)}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
            "contexts": [
                {"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}
            ],
            "current-context": "test",
        }
    )


def replace(path, text):
    """At once, as the kubelet does: nobody reads half a file."""
    beside = path.with_name(path.name + ".new")
    beside.touch(mode=0o600)
    beside.write_text(text)
    os.replace(beside, path)


class Identity:
    """A service account with a token of its own; two Identities of one account have two tokens, which the
    audit log tells apart by credential.

    path        kubeconfig with tokenFile and certificate-authority
    folder      token, ca.crt and namespace, as in /var/run/secrets/kubernetes.io/serviceaccount
    credential  what the audit log calls the current token
    client      a Client that is this service account

    url: another server to name in the kubeconfig, such as a FaultProxy's. seconds: how long a token is
    valid, at least 600."""

    def __init__(self, cluster, service_account, namespace="default", url=None, seconds=3600):
        self.cluster = cluster
        self.service_account = service_account
        self.namespace = namespace
        self.seconds = seconds
        self.username = f"system:serviceaccount:{namespace}:{service_account}"
        self.folder = cluster.folder / f"{namespace}-{service_account}-{next(cluster.counter)}"
        self.folder.mkdir()
        self.base = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.make_account()
        self.rotate()
        self.trust(*cluster.authorities)
        (self.folder / "namespace").write_text(namespace)
        self.path = self.folder / "kubeconfig"
        self.point_at(url or cluster.url)
        self.client = self.client_of(cluster.client.host, cluster.client.port)

    def client_of(self, host, port):
        """A Client that is this service account at another address."""
        context = ssl.create_default_context(cafile=self.cluster.trusted)
        return Client(host, port, context, lambda: self.token)

    def make_account(self):
        status, _, text = self.cluster.client.request(
            "POST", self.base, {"metadata": {"name": self.service_account}}
        )
        assert status in (201, 409), text

    def rotate(self):
        """Puts a new token into the file, and returns the old one, which goes on being valid."""
        old = getattr(self, "token", None)
        answer = self.cluster.api(
            "POST", f"{self.base}/{self.service_account}/token", {"spec": {"expirationSeconds": self.seconds}}
        )
        self.write_token(answer["status"]["token"])
        return old

    def write_token(self, token):
        """Any text; a wrong one makes the API server answer 401."""
        self.token = token
        replace(self.folder / "token", token)

    def revoke(self):
        """Every token of this account stops being valid (within ten seconds, says the API server's
        cache): the account is made anew. rotate() makes a token of the new one."""
        self.cluster.api("DELETE", f"{self.base}/{self.service_account}")
        self.make_account()

    def trust(self, *authorities):
        """Writes ca.crt; more than one is a bundle."""
        replace(self.folder / "ca.crt", "".join(authority.pem() for authority in authorities))

    def point_at(self, url):
        """Rewrites the kubeconfig for another server."""
        user = {"tokenFile": str(self.folder / "token")}
        replace(self.path, kubeconfig(url, self.folder / "ca.crt", user, self.namespace))

    @property
    def credential(self):
        part = self.token.split(".")[1]
        return "JTI=" + json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["jti"]
