"""The agents' pods on a real node: what they may do, what their metrics say, and that services find each other by
name."""

import contextlib
import json
import pathlib
import subprocess
import urllib.parse
import urllib.request

import pytest
import yaml
from mubenchkit import ask, page
from nodekit import SYSTEM, TOP, burst, container_pid, dpu, load_pod, process_status
from processes import eventually, free_port

AGENT_USER = "65532"


def mounts(pid):
    """{place: options} of a process's mounts."""
    lines = pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    return {line.split()[4]: line.split()[5].split(",") for line in lines}


def refused_pod(node, namespace):
    """What the API server says to a pod that asks for no security at all."""
    pod = {"metadata": {"name": "bad"}, "spec": {"containers": [{"name": "a", "image": "mubench-dpu-agent:latest"}]}}
    status, _, text = node.client.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod)
    return status, text


def assert_confined(pid, user):
    status = process_status(pid)
    assert status["Uid"].split() == status["Gid"].split() == [user] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2", "a filter"
    assert "ro" in mounts(pid)["/"]


def test_agents_are_confined(node, space):
    space.deploy(dpu())
    status, text = refused_pod(node, space.name)
    assert status == 403 and "violates PodSecurity" in text, "Pod Security is not enforced"
    (pod,) = space.pods()
    pid = container_pid(pod)
    assert_confined(pid, AGENT_USER)
    assert "/etc/dpumesh" in mounts(pid)
    # No token: neither asked for in the pod nor there in the container.
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert not [v for v in pod["spec"]["volumes"] if "projected" in v]
    assert not [place for place in mounts(pid) if "serviceaccount" in place]
    # /var/run is a link to /run, which would lead out of the container here.
    assert not pathlib.Path(f"/proc/{pid}/root/run/secrets").exists()


def test_a_disk_is_stressed_in_a_volume(node, space):
    """The root file system can't be written to, so the files lie in a volume of their own, which is empty again
    after the requests."""
    loader = {"loader": {"sleepStress": {"run": False}, "diskStress": {"run": True}}}
    space.deploy(dpu(workload={"threads": 2, "internalService": loader}))
    (pod,) = space.pods()
    pid = container_pid(pod)
    assert "ro" in mounts(pid)["/"] and "rw" in mounts(pid)["/var/lib/dpumesh"]
    (volume,) = [one for one in pod["spec"]["volumes"] if "emptyDir" in one]
    assert volume == {"name": "scratch", "emptyDir": {"sizeLimit": "4Mi"}}
    status, counted = burst(space.target(), "--requests", "50", "--concurrency", "4")
    assert (status, counted["status"]) == (0, {"200": 50})
    assert list(pathlib.Path(f"/proc/{pid}/root/var/lib/dpumesh").iterdir()) == []


def test_operators_are_confined(node, operator):
    status, text = refused_pod(node, SYSTEM)
    assert status == 403 and "violates PodSecurity" in text
    for pod in operator.pods():
        pid = container_pid(pod, "operator")
        assert_confined(pid, AGENT_USER)
        # These do have a token: it is what they talk to the API server with.
        assert [place for place in mounts(pid) if place.endswith("/secrets/kubernetes.io/serviceaccount")]


def test_network_policies_are_there(node, operator, space):
    """This node's network does not enforce any; that they are taken and select the pods is what can be seen here."""
    del operator
    node.kubectl("-n", space.name, "apply", "-f", TOP / "deploy/agents-network-policy.yaml")
    space.deploy(dpu())
    for namespace, kind in ((SYSTEM, "operator"), (space.name, "agent")):
        policies = node.kubectl_json("-n", namespace, "get", "networkpolicies")["items"]
        (labels,) = [one["spec"]["podSelector"]["matchLabels"] for one in policies]
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        selected = node.kubectl_json("-n", namespace, "get", "pods", "-l", selector)["items"]
        assert selected and all(kind in one["spec"]["containers"][0]["image"] for one in selected)


def test_services_are_found_by_name_across_pods(node, space):
    """From a pod, by the short name, with the namespace and in full, on the bridge and over HTTP. Agents themselves do
    not call each other yet, their egress is simulated: this is the ground that forwarding will stand on."""
    space.deploy(dpu("s0"), dpu("s1", replicas=2))
    targets = {
        "short": "tcp://s1:5005",
        "namespace": f"tcp://s0.{space.name}.svc:5005",
        "full": f"tcp://s1.{space.name}.svc.cluster.local:5005",
        "http": "http://s0:8080/api/v1",
    }
    pods = [load_pod(name, "--concurrency", "4", "--requests", "40", target) for name, target in targets.items()]
    nowhere = load_pod("nowhere", "--requests", "1", "tcp://s9:5005")
    space.apply(*pods, nowhere)

    def phase(name):
        return node.api("GET", f"/api/v1/namespaces/{space.name}/pods/{name}")["status"]["phase"]

    def ended():
        return all(phase(name) in ("Succeeded", "Failed") for name in [*targets, "nowhere"])

    eventually(ended, 40, lambda: space.kubectl("get", "pods", "-o", "wide"))
    for name in targets:
        text = space.kubectl("logs", name)
        assert phase(name) == "Succeeded", text
        assert json.loads(text)["status"] == {"200": 40}
    assert phase("nowhere") == "Failed"


def test_a_callee_with_a_port_and_a_path_of_its_own(space):
    """The operator tells the caller's agents of it, also when it moves, and no pod is replaced for it. The kubelet looks
    at ConfigMaps once a minute, and at once when the pod's object changes."""
    quiet = {"internalService": {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 0.005}}}
    caller = dpu("s0", egress={"mode": "forward"}, workload={"externalServices": [{"services": ["s1"]}], **quiet})
    space.apply(caller)
    space.kubectl("wait", "--for=condition=Ready", "dpu/s0", "--timeout=60s", timeout=70)
    url = space.target("s0", port=8080)

    def status(body=None):
        with contextlib.suppress(OSError):  # kube-proxy needs a moment
            return ask(url, "POST", body)[0]

    eventually(lambda: status() == 500, 20, lambda: f"there is no s1, and it says {status()}")
    (pod,) = space.pods()
    name = pod["metadata"]["name"]

    def reached(path):
        space.apply(dpu("s1", service={"ports": {"http": 9090}}, workload={"path": path, **quiet}))
        space.kubectl("wait", "--for=condition=Ready", "dpu/s1", "--timeout=60s", timeout=70)
        space.kubectl("annotate", "--overwrite", "pod", name, f"looked-at-for={path[1:]}")
        eventually(lambda: f"http://s1:9090{path}" in page(space.node, pod, "/config"), 100, f"{path} is not told")
        eventually(lambda: status() == 200, 30, lambda: f"{path} is not reached: {status()}")

    reached("/foo")
    assert status({"s0": [{"s1": {}}]}) == 200, "a trace"
    reached("/bar")
    assert space.ready() == [name]


class Prometheus:
    """Debian's, in the node's network. Its build knows no Kubernetes, so it is told the pods' addresses."""

    def __init__(self, folder, targets):
        self.url = f"127.0.0.1:{free_port()}"
        job = {"job_name": "agents", "static_configs": [{"targets": targets}]}
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self.log = (folder / "prometheus.log").open("w")
        command = [
            "prometheus", f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self.url}",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()

    def query(self, expression):
        """{instance: value}; {} as long as it starts."""
        address = f"http://{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            found = json.load(answer)["data"]["result"]
            return {one["metric"]["instance"]: float(one["value"][1]) for one in found}
        return {}


def test_prometheus_sees_every_pod(space, tmp_path):
    space.deploy(dpu("s0", replicas=3), dpu("s1"))
    pods = [*space.pods("s0"), *space.pods("s1")]
    targets = [f"{pod['status']['podIP']}:8080" for pod in pods]
    assert len(targets) == 4
    with Prometheus(tmp_path, [*targets, "127.0.0.1:1"]) as prometheus:
        up = {**dict.fromkeys(targets, 1.0), "127.0.0.1:1": 0.0}
        eventually(lambda: prometheus.query("up") == up, 30, lambda: prometheus.query("up"))
        ready = dict.fromkeys(targets, 1.0)
        eventually(lambda: prometheus.query("dpumesh_ready") == ready, 10, lambda: prometheus.query("dpumesh_ready"))


def test_top(node, space):
    """metrics-server has figures of our pods, which an autoscaler on CPU needs."""
    space.deploy(dpu())
    (name,) = space.ready()

    def figures():
        done = node.run_kubectl("-n", space.name, "top", "pod", name, "--no-headers")
        return done.returncode == 0 and done.stdout.split()

    words = eventually(figures, 60, "kubectl top pod says nothing", every=1)
    assert words[0] == name and words[1].endswith("m") and words[2].endswith("Mi")


pytestmark = pytest.mark.timeout(180)
