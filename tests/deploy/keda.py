"""KEDA's own programs as processes beside a control plane: what its Deployments run, with its own rights. There is no
download of them that is no image; where they come from, docs/autoscaling.md tells.

    with Keda(cluster, folder, programs):
        cluster.kubectl("apply", "-f", "examples/keda/prometheus.yaml")
"""

import base64
import os
import pathlib
import subprocess

import yaml

from certs import Authority, new_key, openssl
from processes import eventually, free_port

NAMESPACE = "keda"
ADAPTER = "keda-metrics-apiserver"
GROUP = "v1beta1.external.metrics.k8s.io"
CRDS = pathlib.Path(__file__).parent / "crds"


def find_programs():
    """{name: path} in the directory KEDA_ASSETS, or None: keda-operator, keda-adapter, and config/ of its sources."""
    folder = os.environ.get("KEDA_ASSETS")
    if not folder:
        return None
    found = {name: pathlib.Path(folder) / name for name in ("keda-operator", "keda-adapter", "config")}
    missing = [name for name, path in found.items() if not path.exists()]
    assert not missing, f"KEDA_ASSETS={folder} has no {' and no '.join(missing)}"
    return found


def aggregation_flags(folder):
    """What an API server needs that hands requests on to another."""
    authority = Authority(folder, "front-proxy-ca")
    pair = authority.issue("front-proxy", "/CN=front-proxy")
    return [
        f"--requestheader-client-ca-file={authority.certificate}", "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pair.certificate}", f"--proxy-client-key-file={pair.key}",
    ]  # fmt: skip


class Keda:
    """The operator and the metrics adapter; the adapter answers for external.metrics.k8s.io when it is entered."""

    def __init__(self, cluster, folder, programs):
        self.cluster, self.folder, self.programs = cluster, folder, programs
        self.processes = []

    def __enter__(self):
        try:
            self.install()
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def text(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def certificates(self):
        """One pair for both, each of which is a server and the other's client."""
        folder = self.folder / "keda-certs"
        folder.mkdir()
        authority = Authority(self.folder, "keda-ca")
        key, extensions = new_key(folder / "tls.key"), self.folder / "keda.ext"
        names = f"IP:127.0.0.1,DNS:{ADAPTER}.{NAMESPACE}.svc"
        extensions.write_text(f"extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName={names}\n")
        request = openssl("req", "-new", "-key", key, "-subj", "/CN=keda")
        openssl(
            "x509", "-req", "-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial", "-days", "5",
            "-extfile", extensions, "-out", folder / "tls.crt", text=request,
        )  # fmt: skip
        (folder / "ca.crt").write_text(authority.pem())
        return folder, authority

    def start(self, name, kubeconfig, *flags):
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "KUBECONFIG": str(kubeconfig), "WATCH_NAMESPACE": "",
            "POD_NAMESPACE": NAMESPACE, "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE,
        }  # fmt: skip
        with open(self.folder / f"{name}.log", "wb") as log:
            self.processes.append(
                subprocess.Popen(
                    [self.programs[name], f"--kubeconfig={kubeconfig}", *flags],
                    env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )
            )  # fmt: skip

    def install(self):
        cluster, config = self.cluster, self.programs["config"]
        cluster.create_namespace(NAMESPACE)
        cluster.kubectl("apply", "--server-side", "-f", config / "crd" / "bases")
        rights = ("service_account/service_account", "rbac/role", "rbac/role_binding")
        rights += ("metrics-server/role", "metrics-server/role_binding")
        cluster.kubectl("apply", *(word for name in rights for word in ("-f", config / f"{name}.yaml")))
        certificates, authority = self.certificates()
        account = cluster.kubeconfig_for("keda-operator", NAMESPACE).path
        grpc, adapter = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.start(
            "keda-operator", account, f"--cert-dir={certificates}", f"--metrics-service-bind-address={grpc}",
            "--enable-prometheus-metrics=false", f"--health-probe-bind-address=127.0.0.1:{free_port()}",
        )  # fmt: skip
        self.start(
            "keda-adapter", account, f"--cert-dir={certificates}", f"--tls-cert-file={certificates / 'tls.crt'}",
            f"--tls-private-key-file={certificates / 'tls.key'}", f"--client-ca-file={certificates / 'ca.crt'}",
            *(f"--{what}-kubeconfig={account}" for what in ("lister", "authentication", "authorization")),
            "--bind-address=127.0.0.1", f"--secure-port={adapter.rpartition(':')[2]}", f"--port={free_port()}",
            f"--metrics-service-address={grpc}",
        )  # fmt: skip
        self.register(int(adapter.rpartition(":")[2]), authority)

    def register(self, port, authority):
        """The API server hands the group's requests to this machine: a Service's endpoints may not be loopback
        addresses, but its external name may be localhost."""
        service = {"type": "ExternalName", "externalName": "localhost"}
        spec = {
            "group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": {"name": ADAPTER, "namespace": NAMESPACE, "port": port},
            "caBundle": base64.b64encode(authority.pem().encode()).decode(),
        }  # fmt: skip
        objects = [
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": ADAPTER, "namespace": NAMESPACE}, "spec": service},
            {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": GROUP}, "spec": spec},
        ]
        self.cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(objects))
        eventually(self.answers, 60, lambda: self.text("keda-adapter")[-3000:])

    def answers(self):
        assert all(process.poll() is None for process in self.processes), self.text("keda-operator")[-3000:]
        one = self.cluster.api("GET", f"/apis/apiregistration.k8s.io/v1/apiservices/{GROUP}")
        conditions = one.get("status", {}).get("conditions", [])
        return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)
