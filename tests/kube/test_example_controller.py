"""examples/controller on a real API server, and docs/controller.md, whose code is that controller's."""

import os
import pathlib
import re
import signal
import subprocess

import pytest
import yaml

from client import ApiError
from processes import eventually

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("DPUMESH_BIN_DIR", TOP / "build" / "asan" / "bin"))
PROGRAM = BIN.parent / "examples" / "controller" / "pod-quota"
LABEL = "example.dpumesh.io/pods"
PAGE = (TOP / "docs" / "controller.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


class Replica:
    """A running pod-quota with a service account of its own."""

    def __init__(self, cluster, namespace, account):
        self.identity = cluster.kubeconfig_for(account, namespace)
        # What the page says, and nothing else.
        everywhere, here = yaml.safe_load_all(blocks("yaml")[0])
        cluster.grant(self.identity, everywhere["rules"])
        cluster.grant(self.identity, here["rules"], namespace=namespace)
        self.log_path = self.identity.folder / "log"
        environment = {**os.environ, "KUBECONFIG": str(self.identity.path)}
        environment["ASAN_OPTIONS"] = "exitcode=99:" + os.environ.get("ASAN_OPTIONS", "")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([PROGRAM], stdin=subprocess.DEVNULL, stderr=log, env=environment)

    def log(self):
        return self.log_path.read_text()

    def leads(self):
        assert self.process.poll() is None, self.log()
        return "msg=leading" in self.log()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def replicas(cluster, namespace):
    started = []

    def start(account="one"):
        started.append(Replica(cluster, namespace, account))
        return started[-1]

    yield start
    for replica in started:
        if replica.process.poll() is None:
            replica.end(signal.SIGKILL)


def label(cluster, namespace, pods):
    body = {"metadata": {"labels": {LABEL: pods}}}
    path = f"/api/v1/namespaces/{namespace}"
    cluster.api("PATCH", path, body, content_type="application/merge-patch+json")


def quota_path(namespace):
    return f"/api/v1/namespaces/{namespace}/resourcequotas/pod-quota"


def quota(cluster, namespace):
    try:
        return cluster.api("GET", quota_path(namespace))
    except ApiError as error:
        assert error.status == 404
        return None


def pods(cluster, namespace):
    found = quota(cluster, namespace)
    return found and found["spec"]["hard"].get("pods")


def holder(cluster, namespace):
    lease = cluster.api("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/pod-quota")
    return lease["spec"]["holderIdentity"]


def test_quota_follows_label(cluster, namespace, replicas):
    label(cluster, namespace, "5")
    replica = replicas()
    eventually(lambda: pods(cluster, namespace) == "5", what=replica.log)
    made = quota(cluster, namespace)
    (owner,) = made["metadata"]["ownerReferences"]
    assert owner["kind"] == "Namespace" and owner["name"] == namespace
    label(cluster, namespace, "7")
    eventually(lambda: pods(cluster, namespace) == "7", what=replica.log)
    # Drift is repaired; what others add is left alone.
    patch = {"spec": {"hard": {"pods": "900", "services": "3"}}}
    cluster.api("PATCH", quota_path(namespace), patch, content_type="application/merge-patch+json")
    eventually(lambda: pods(cluster, namespace) == "7", what=replica.log)
    assert quota(cluster, namespace)["spec"]["hard"]["services"] == "3"
    cluster.api("DELETE", quota_path(namespace))
    eventually(lambda: pods(cluster, namespace) == "7", what=replica.log)
    label(cluster, namespace, None)
    eventually(lambda: quota(cluster, namespace) is None, what=replica.log)
    # A value that the API server does not take is said.
    label(cluster, namespace, "many")
    eventually(lambda: "msg=failed" in replica.log(), what=replica.log)
    assert "quantities must match" in replica.log()
    label(cluster, namespace, "1")
    eventually(lambda: pods(cluster, namespace) == "1", what=replica.log)
    # At rest it writes nothing but its lease.
    mark = cluster.audit_mark()
    eventually(lambda: len(cluster.writes(mark, user=replica.identity.username)) >= 2, timeout=15)
    written = cluster.writes(mark, user=replica.identity.username)
    assert {event["objectRef"]["resource"] for event in written} == {"leases"}
    assert replica.end() == 0, replica.log()
    assert holder(cluster, namespace) == ""


def test_one_of_two_leads(cluster, namespace, replicas):
    one = replicas("one")
    eventually(one.leads, what=one.log)
    two = replicas("two")
    label(cluster, namespace, "5")
    eventually(lambda: pods(cluster, namespace) == "5", what=one.log)
    assert not two.leads()
    assert one.end() == 0, one.log()
    eventually(two.leads, timeout=10, what=two.log)
    label(cluster, namespace, "6")
    eventually(lambda: pods(cluster, namespace) == "6", what=two.log)
    assert two.end(signal.SIGINT) == 0, two.log()


def test_page_has_the_code():
    """Every block of C in the page is in main.c as it stands, and together they are all of it."""
    source = (TOP / "examples" / "controller" / "main.c").read_text()
    at = 0
    for block in blocks("c"):
        found = source.find(block, at)
        assert found >= 0, f"this is not in main.c after the block before it:\n{block}"
        assert not source[at:found].strip(), f"not in the page:\n{source[at:found]}"
        at = found + len(block)
    assert not source[at:].strip(), f"not in the page:\n{source[at:]}"


@pytest.mark.slow
def test_page_starts_from_nothing(tmp_path):
    """A stranger's project of what the page shows, outside of the tree, becomes a program."""
    (cmake,) = blocks("cmake")
    (tmp_path / "CMakeLists.txt").write_text(cmake)
    (tmp_path / "main.c").write_bytes((TOP / "examples" / "controller" / "main.c").read_bytes())
    (tmp_path / "muBench-DPU").symlink_to(TOP)
    for command in (["cmake", "-G", "Ninja", "-B", "build"], ["ninja", "-C", "build"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "none")}
    done = subprocess.run([tmp_path / "build" / "pod-quota"], env=environment, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"can't start" in done.stderr
