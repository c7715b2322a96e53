"""A whole Kubernetes node in its world: the control plane of tests/kube, and containerd, kubelet, kube-proxy, scheduler,
metrics-server and DNS. Runs where inside.py has prepared the ground.

    with Node() as node:
        node.import_image("build/images/mubench-dpu-agent.oci.tar")
        node.kubectl("apply", "-f", "-", input=yaml_text)
        node.kubelet.kill()
"""

import subprocess

import yaml

import containers
import place
from certs import Authority
from controlplane import ControlPlane
from processes import eventually
from world import TOP

NAME = "node"
MASTERS = "/O=system:masters/CN={}"
METRICS_PORT = 4443
PORTS = {"etcd": 2379, "etcd-peer": 2380, "apiserver": 6443}


class SlowNode(AssertionError):
    """The node did not come up in time; the text has the end of the logs."""


def find_programs():
    done = subprocess.run(
        ["bash", TOP / "tools/dev/kube.sh", "--find", "--node"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


class Node(ControlPlane):
    """Starts with start() or `with`. Of a world there is one; what is left when it closes goes with the world.

    host      the node's address: API server, NodePorts, DNS
    kubelet, kube_proxy, scheduler, containerd, ...   servers (processes.Server)"""

    def __init__(self, **options):
        super().__init__(
            programs=find_programs(), host=place.ADDRESS, ports=PORTS, folder=place.FOLDER / "node", **options
        )

    # ---- files ----

    def prepare(self):
        super().prepare()
        serving = self.authorities[0]
        self.kubelet_serving = serving.issue("kubelet", hosts=[NAME, self.host])
        self.metrics_serving = serving.issue("metrics-server", hosts=["localhost", self.host])
        self.containerd = self.servers.add("containerd", containers.containerd_command(self.folder, place.DATA, place.PODS))
        self.kubelet = self.servers.add("kubelet", self.kubelet_command())
        self.kube_proxy = self.servers.add("kube-proxy", self.kube_proxy_command())
        self.scheduler = self.servers.add("kube-scheduler", self.scheduler_command())
        self.dns = self.servers.add("coredns", self.dns_command())
        self.metrics_server = self.servers.add("metrics-server", self.metrics_server_command())

    def write(self, name, document):
        path = self.folder / name
        path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
        return path

    def apiserver_command(self):
        front = Authority(self.folder, "front-proxy-ca")
        kubelet = self.clients_authority.issue("kube-apiserver-kubelet-client", MASTERS.format("kube-apiserver"))
        proxy = front.issue("front-proxy-client", "/CN=front-proxy-client")
        return [
            *super().apiserver_command(),
            # Pods reach the API server through the Service kubernetes, whose endpoint it writes itself.
            "--endpoint-reconciler-type=lease",
            "--allow-privileged=true",
            f"--kubelet-client-certificate={kubelet.certificate}",
            f"--kubelet-client-key={kubelet.key}",
            f"--kubelet-certificate-authority={self.trusted}",
            "--kubelet-preferred-address-types=InternalIP",
            # For the API of metrics-server.
            f"--requestheader-client-ca-file={front.certificate}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={proxy.certificate}",
            f"--proxy-client-key-file={proxy.key}",
        ]

    def kubelet_command(self):
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.host,
            "containerRuntimeEndpoint": f"unix://{containers.SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": place.CGROUP,
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDomain": "cluster.local",
            "clusterDNS": [self.host],
            "resolvConf": "",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self.clients_authority.certificate)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(self.kubelet_serving.certificate),
            "tlsPrivateKeyFile": str(self.kubelet_serving.key),
            "serializeImagePulls": False,
            # The disk is the developer's, and images are here to stay.
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "makeIPTablesUtilChains": True,
            "podLogsDir": str(place.DATA / "pod-logs"),
        }
        path = self.client_kubeconfig("kubelet", f"/O=system:nodes/CN=system:node:{NAME}")
        return [
            # Or it asks a cloud's metadata service who it is.
            "env",
            "AWS_EC2_METADATA_DISABLED=true",
            self.programs["kubelet"],
            f"--config={self.write('kubelet.yaml', config)}",
            f"--kubeconfig={path}",
            f"--hostname-override={NAME}",
            f"--node-ip={self.host}",
            f"--root-dir={place.DATA / 'kubelet'}",
            f"--cert-dir={self.folder}",
        ]

    def kube_proxy_command(self):
        path = self.client_kubeconfig("kube-proxy", "/O=system:node-proxier/CN=system:kube-proxy")
        config = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "bindAddress": "0.0.0.0",
            "clientConnection": {"kubeconfig": str(path)},
            "clusterCIDR": place.PODS,
            "hostnameOverride": NAME,
            "nodePortAddresses": [f"{self.host}/32", "127.0.0.0/8"],
            # These would be the whole machine's.
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
            "oomScoreAdj": 0,
        }
        return [self.programs["kube-proxy"], f"--config={self.write('kube-proxy.yaml', config)}"]

    def scheduler_command(self):
        path = self.client_kubeconfig("kube-scheduler", "/CN=system:kube-scheduler")
        return [
            self.programs["kube-scheduler"],
            f"--kubeconfig={path}",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            "--leader-elect=false",
        ]

    def dns_command(self):
        """As a program beside the kubelet, not as pods: there is one node and no image of it."""
        path = self.client_kubeconfig("coredns", MASTERS.format("coredns"))
        corefile = f"""\
.:53 {{
    bind {self.host}
    errors
    kubernetes cluster.local {{
        kubeconfig {path}
        ttl 5
    }}
    cache 5
}}
"""
        return [self.programs["coredns"], "-conf", self.write("Corefile", corefile)]

    def metrics_server_command(self):
        path = self.client_kubeconfig("metrics-server", MASTERS.format("metrics-server"))
        return [
            self.programs["metrics-server"],
            f"--kubeconfig={path}",
            f"--authentication-kubeconfig={path}",
            f"--authorization-kubeconfig={path}",
            f"--bind-address={self.host}",
            f"--secure-port={METRICS_PORT}",
            f"--tls-cert-file={self.metrics_serving.certificate}",
            f"--tls-private-key-file={self.metrics_serving.key}",
            f"--kubelet-certificate-authority={self.trusted}",
            "--kubelet-preferred-address-types=InternalIP",
            "--metric-resolution=10s",
            "--kubelet-request-timeout=5s",
        ]

    # ---- start ----

    def start(self):
        try:
            super().start()
            self.containerd.start()
            containers.wait_ready()
            containers.import_pause(place.DATA)
            for server in (self.kubelet, self.kube_proxy, self.scheduler, self.dns):
                server.start()
            self.wait_node(60)
            self.start_metrics_server()
        except BaseException:
            self.close()
            raise
        return self

    def is_node_ready(self):
        for server in self.servers.all:
            assert server.process is None or server.alive(), self.complaint(f"{server.name} has ended")
        status, _, _ = self.client.request("GET", f"/api/v1/nodes/{NAME}")
        if status != 200:
            return False
        conditions = self.api("GET", f"/api/v1/nodes/{NAME}")["status"].get("conditions", [])
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def wait_node(self, timeout=60.0):
        eventually(self.is_node_ready, timeout, lambda: self.complaint("the node is not Ready"))

    def start_metrics_server(self):
        """The APIService comes when its Service's address answers: before kube-proxy knows that, the API server would
        connect to something else, and keep that connection."""
        self.metrics_server.start()
        space = "/namespaces/kube-system"
        service = {
            "metadata": {"name": "metrics-server"},
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": METRICS_PORT}]},
        }
        address = self.api("POST", f"/api/v1{space}/services", service)["spec"]["clusterIP"]
        labels = {"kubernetes.io/service-name": "metrics-server"}
        endpoints = {
            "metadata": {"name": "metrics-server", "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": METRICS_PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [self.host], "conditions": {"ready": True}}],
        }
        self.api("POST", f"/apis/discovery.k8s.io/v1{space}/endpointslices", endpoints)
        url = f"https://{address}/livez"
        answers = ["curl", "--silent", "--fail", "--insecure", "--max-time", "2", url]
        eventually(
            lambda: subprocess.run(answers, capture_output=True, check=False).returncode == 0,
            60,
            lambda: self.complaint("metrics-server does not answer"),
        )
        spec = {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "service": {"name": "metrics-server", "namespace": "kube-system"},
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        }
        service = {"metadata": {"name": "v1beta1.metrics.k8s.io"}, "spec": spec}
        self.api("POST", "/apis/apiregistration.k8s.io/v1/apiservices", service)

    def import_image(self, path):
        """An OCI archive, as `ctr -n k8s.io images import` takes it."""
        containers.ctr("images", "import", path)
