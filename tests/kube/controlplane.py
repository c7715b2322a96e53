#!/usr/bin/env python3
"""A real Kubernetes control plane for tests: etcd, kube-apiserver and kube-controller-manager on free
ports of 127.0.0.1, in a temporary folder with certificates of its own.

    with ControlPlane() as cluster:
        cluster.kubectl("apply", "-f", "-", input=yaml_text)
        cluster.api("GET", "/api/v1/namespaces/default/configmaps/a")

No scheduler, no kubelet: pods stay Pending until cluster.mark_pods_ready() or cluster.kubelet() (pods.py)
says otherwise. Run as a program (./dev cluster) it is a cluster to try things on.
"""

import argparse
import contextlib
import itertools
import json
import os
import pathlib
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import yaml

import audit
import pods
from certs import Authority, new_key_pair
from client import ApiError, Client
from identity import Identity, kubeconfig
from processes import Servers, eventually, free_port

TOP = pathlib.Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
SERVICE_RANGE = "10.96.0.0/16"
SERVER_NAMES = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", HOST, "10.96.0.1"]
SERVERS = ("etcd", "etcd-peer", "apiserver")


class NoKubernetes(Exception):
    """Kubernetes' programs are not on this machine."""


def find_programs():
    """{name: path} of the programs, as ./dev setup --kube finds or builds them."""
    command = ["bash", TOP / "tools" / "dev" / "kube.sh", "--find"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoKubernetes(f"Kubernetes' programs are not here; run ./dev setup --kube {done.stderr}".strip())
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


class ControlPlane:
    """Starts with start() or `with`; close() leaves nothing. Flags are further ones for the servers,
    such as apiserver_flags=["--min-request-timeout=5"]. host, ports, folder: where the API server listens, the ports
    of all servers by name, and a folder that is not there yet; by default free ones of this machine."""

    def __init__(
        self, apiserver_flags=(), controller_manager_flags=(), programs=None, host=HOST, ports=None, folder=None
    ):
        self.programs = programs or find_programs()
        self.extra_flags = {"apiserver": apiserver_flags, "controller_manager": controller_manager_flags}
        self.host = host
        self.ports = ports or {name: free_port() for name in SERVERS}
        if folder:
            folder.mkdir()
        self.folder = folder or pathlib.Path(tempfile.mkdtemp(prefix="dpumesh-kube."))
        self.servers = Servers(self.folder)
        self.identities = []
        self.counter = itertools.count(1)
        try:
            self.prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    # ---- files ----

    def prepare(self):
        """Certificates, kubeconfigs and command lines."""
        folder = self.folder
        # Two that may sign the API server's certificate, for tests that rotate them.
        self.authorities = [Authority(folder, "serving-ca-1"), Authority(folder, "serving-ca-2")]
        self.clients_authority = Authority(folder, "client-ca")
        self.token_key, self.token_public = new_key_pair(folder, "service-account")
        self.trusted = folder / "both-serving-cas.crt"
        self.trusted.write_text("".join(authority.pem() for authority in self.authorities))
        self.serving = folder / "serving.crt", folder / "serving.key"
        self.place_serving(self.authorities[0])
        self.url = f"https://{self.host}:{self.ports['apiserver']}"
        self.kubeconfig = self.client_kubeconfig("admin", "/O=system:masters/CN=admin")
        self.client = Client(self.host, self.ports["apiserver"], self.admin_context)
        self.audit_path = folder / "audit.log"
        self.etcd = self.servers.add("etcd", self.etcd_command())
        self.apiserver = self.servers.add("kube-apiserver", self.apiserver_command())
        self.controller_manager = self.servers.add(
            "kube-controller-manager", self.controller_manager_command()
        )

    def client_kubeconfig(self, name, subject):
        """A kubeconfig of a client certificate; it goes on across serve_with()."""
        pair = self.clients_authority.issue(name, subject)
        if name == "admin":
            self.admin_context = ssl.create_default_context(cafile=self.trusted)
            self.admin_context.load_cert_chain(*pair)
        user = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(kubeconfig(self.url, self.trusted, user, "default"))
        return path

    def etcd_command(self):
        client = f"http://{HOST}:{self.ports['etcd']}"
        peer = f"http://{HOST}:{self.ports['etcd-peer']}"
        return [
            self.programs["etcd"],
            "--name=test",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=test={peer}",
            "--unsafe-no-fsync",
            "--quota-backend-bytes=4294967296",
            "--log-level=warn",
        ]

    def apiserver_command(self):
        certificate, key = self.serving
        policy = self.folder / "audit-policy.yaml"
        policy.write_text(yaml.safe_dump(audit.POLICY))
        return [
            self.programs["kube-apiserver"],
            f"--etcd-servers=http://{HOST}:{self.ports['etcd']}",
            f"--bind-address={self.host}",
            f"--advertise-address={self.host}",
            f"--secure-port={self.ports['apiserver']}",
            # An Endpoints object may not hold a loopback address.
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self.clients_authority.certificate}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={self.token_key}",
            f"--service-account-key-file={self.token_public}",
            "--service-account-extend-token-expiration=false",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            f"--cert-dir={self.folder}",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_path}",
            "--audit-log-maxsize=100000",
            "--profiling=false",
            *self.extra_flags["apiserver"],
        ]

    def controller_manager_command(self):
        path = self.client_kubeconfig(
            "kube-controller-manager", "/O=system:kube-controller-manager/CN=system:kube-controller-manager"
        )
        return [
            self.programs["kube-controller-manager"],
            f"--kubeconfig={path}",
            f"--bind-address={HOST}",
            "--secure-port=0",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={self.token_key}",
            f"--root-ca-file={self.trusted}",
            "--horizontal-pod-autoscaler-sync-period=2s",
            # Tests create a thousand things at once, and the operator is what they measure.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            "--concurrent-deployment-syncs=20",
            "--concurrent-replicaset-syncs=20",
            "--concurrent-gc-syncs=20",
            "--profiling=false",
            *self.extra_flags["controller_manager"],
        ]

    # ---- start and stop ----

    def start(self):
        try:
            self.etcd.start()
            self.apiserver.start()
            self.wait_ready(60)
            self.controller_manager.start()
            eventually(self.has_service_accounts, 60, lambda: self.complaint("no service accounts"))
        except BaseException:
            self.close()
            raise
        return self

    def close(self):
        self.servers.close()

    def complaint(self, what):
        return "\n".join([what, *(server.tail() for server in self.servers.all)])

    def is_ready(self):
        for server in (self.etcd, self.apiserver):
            assert server.alive(), self.complaint(f"{server.name} has ended")
        try:
            return self.client.request("GET", "/readyz", timeout=10)[0] == 200
        except OSError:
            return False

    def wait_ready(self, timeout=60.0):
        """Until the API server answers and can reach etcd."""
        eventually(self.is_ready, timeout, lambda: self.complaint("the API server is not ready"))

    def has_service_accounts(self, namespace="default"):
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        return self.client.request("GET", path)[0] == 200

    def stop_apiserver(self, graceful=False):
        """Its port refuses connections from here on. Ended at once: being graceful takes it a minute
        as long as anybody watches."""
        if graceful:
            self.apiserver.stop(timeout=90)
        else:
            self.apiserver.kill()

    def start_apiserver(self):
        """On the same port; returns when it is ready."""
        self.apiserver.start()
        self.wait_ready()

    def restart_etcd(self, down=0.0):
        """Ends etcd, and starts it again after so many seconds; returns when the API server is ready."""
        self.etcd.kill()
        time.sleep(down)
        self.etcd.start()
        self.wait_ready()

    # ---- certificate authorities ----

    def place_serving(self, authority):
        """Puts a new certificate in place, the key first: the API server reads both when one changes."""
        pair = authority.issue(f"kube-apiserver-{time.monotonic_ns()}", hosts=[*SERVER_NAMES, self.host])
        certificate, key = self.serving
        os.replace(pair.key, key)
        os.replace(pair.certificate, certificate)

    def is_served_by(self, authority):
        """Whether a new connection meets a certificate of this authority."""
        context = ssl.create_default_context(cafile=authority.certificate)
        try:
            with socket.create_connection((self.host, self.ports["apiserver"]), timeout=10) as plain:
                with context.wrap_socket(plain, server_hostname=HOST):
                    return True
        except ssl.SSLCertVerificationError:
            return False

    def serve_with(self, authority, timeout=90.0):
        """Gives the API server a certificate of this authority and waits until it presents that. Its
        open connections go on. The administrator trusts both authorities, an Identity what trust() says."""
        self.place_serving(authority)
        eventually(lambda: self.is_served_by(authority), timeout, "the API server kept its old certificate")

    # ---- clients ----

    def api(self, method, path, body=None, **options):
        """One request as the administrator; see Client.api."""
        return self.client.api(method, path, body, **options)

    def run_kubectl(self, *arguments, input=None, kubeconfig=None, timeout=60):
        """The finished process; kubectl's own files stay in our folder."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "KUBECONFIG": str(kubeconfig or self.kubeconfig),
        }
        return subprocess.run(
            [self.programs["kubectl"], *map(str, arguments)],
            env=environment,
            input=input if input is not None else "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def kubectl(self, *arguments, **options):
        """What kubectl prints; it must succeed. Options: input, kubeconfig, timeout."""
        done = self.run_kubectl(*arguments, **options)
        assert done.returncode == 0, f"kubectl {shlex.join(map(str, arguments))}: {done.stderr}"
        return done.stdout

    def kubectl_refused(self, *arguments, **options):
        """What kubectl complains about; it must fail."""
        done = self.run_kubectl(*arguments, **options)
        assert done.returncode != 0, f"kubectl {shlex.join(map(str, arguments))} succeeded: {done.stdout}"
        return done.stderr

    def kubectl_json(self, *arguments, **options):
        return json.loads(self.kubectl(*arguments, "-o", "json", **options))

    def create_namespace(self, name, labels=None):
        """Returns when pods can be made in it, which takes its default service account."""
        self.api("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels or {}}})
        eventually(lambda: self.has_service_accounts(name), 30, f"{name} got no service account")
        return name

    def delete_namespace(self, name):
        """Begins to; the controller manager empties it later."""
        with contextlib.suppress(ApiError, OSError):
            self.api("DELETE", f"/api/v1/namespaces/{name}")

    def kubeconfig_for(self, service_account, namespace="default", **options):
        """An Identity (identity.py): a service account, made when it is not there, with a token and
        a kubeconfig. It may do nothing until grant()."""
        made = Identity(self, service_account, namespace, **options)
        self.identities.append(made)
        return made

    def grant(self, identity, rules, namespace=None):
        """Lets an identity do what these RBAC rules say, in a namespace or everywhere; replaces what was
        granted to it there before."""
        name = f"{identity.namespace}-{identity.service_account}"
        group = "rbac.authorization.k8s.io"
        base = f"/apis/{group}/v1" + (f"/namespaces/{namespace}" if namespace else "")
        kind = "Role" if namespace else "ClusterRole"
        document = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}, "rules": rules}
        self.client.apply(f"{base}/{kind.lower()}s/{name}", document)
        subject = {
            "kind": "ServiceAccount", "name": identity.service_account, "namespace": identity.namespace,
        }  # fmt: skip
        binding = {
            **document,
            "kind": f"{kind}Binding",
            "roleRef": {"apiGroup": group, "kind": kind, "name": name},
            "subjects": [subject],
        }
        del binding["rules"]
        self.client.apply(f"{base}/{kind.lower()}bindings/{name}", binding)

    # ---- audit log ----

    def audit_mark(self):
        """A place in the audit log; what audit(mark) returns came after it."""
        return self.audit_path.stat().st_size if self.audit_path.exists() else 0

    def audit(self, mark=0, **wanted):
        """Events of the audit log; see audit.matches for what can be wanted. An answer may reach its
        client a moment before it is in the log."""
        return audit.read(self.audit_path, mark, **wanted)

    def writes(self, mark=0, **wanted):
        """Of these, the writes that the API server accepted."""
        return audit.read(self.audit_path, mark, accepted=True, writes=True, **wanted)

    # ---- pods ----

    def mark_pods_ready(self, namespace, selector="", count=None, timeout=30.0):
        """Waits until so many pods are there (any number above 0 when None) and marks them ready; the
        names of these pods."""
        return pods.mark_ready(self.client, namespace, selector, count, timeout)

    def kubelet(self, namespace=None):
        """A context in which every pod (of a namespace) becomes ready when it is made; see pods.Kubelet."""
        return pods.Kubelet(self.client, namespace)


# ---- ./dev cluster ----


def options():
    parser = argparse.ArgumentParser(
        prog="./dev cluster",
        usage="./dev cluster [--pods-ready] [COMMAND [ARGUMENT]...]",
        description="Starts a control plane of its own, and runs until Ctrl-C, or a command with KUBECONFIG set.",
    )
    parser.add_argument("--pods-ready", action="store_true", help="mark pods ready, as a kubelet would")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="a command to run with it")
    return parser.parse_args()


def say(cluster, pods_ready):
    print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)
    state = "ready as soon as they are made" if pods_ready else "Pending for ever: no scheduler, no kubelet"
    print(f"# {cluster.url}; kubectl is {cluster.programs['kubectl']}; pods are {state}", file=sys.stderr)
    print("# Ctrl-C takes it down", file=sys.stderr, flush=True)


def main():
    chosen = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with ControlPlane() as cluster, contextlib.ExitStack() as stack:
            if chosen.pods_ready:
                stack.enter_context(cluster.kubelet())
            if chosen.command:
                environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
                return subprocess.run(chosen.command, env=environment, check=False).returncode
            say(cluster, chosen.pods_ready)
            while True:
                signal.pause()
    except NoKubernetes as error:
        print(f"./dev cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
