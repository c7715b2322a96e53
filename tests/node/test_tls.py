"""Calls to a callee outside the cluster that asks for a certificate: both sides' come from a Secret and a ConfigMap, which
the kubelet puts into the pod and renews there."""

import json
import pathlib
import stat
import sys

import place
import pytest
from certs import Authority
from nodekit import TOP, Load, container_pid, dpu
from processes import eventually

sys.path.insert(0, str(TOP / "tests" / "e2e"))

from cellkit import Cell, server_tls  # noqa: E402

# Below /run: in the image /var/run is a link to it, which would lead out of the container here.
FILES = "run/secrets/dpumesh.io/forward"
# The kubelet looks at a pod's volumes once a minute or so, at once when the pod itself changes.
RENEWED_S = 150


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "our-ca")


@pytest.fixture
def callee(authority):
    """On the node's own network; calls that show no certificate of the authority don't come through."""
    pair = authority.issue("stock", hosts=[place.ADDRESS])
    with Cell("stock", tls=server_tls(*pair, authority.certificate), address=place.ADDRESS) as made:
        yield made


def caller(callee):
    """s0, which calls it."""
    workload = {"externalServices": [{"services": ["stock"]}]}
    workload["internalService"] = {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 0.005}}
    tls = {"secretName": "s0-client", "caFrom": {"configMapKeyRef": {"name": "our-ca"}}}
    egress = {"mode": "forward", "destinations": [{"name": "stock", "url": callee.url}], "forward": {"tls": tls}}
    return dpu(workload=workload, egress=egress)


def put_secret(space, pair):
    command = ["create", "secret", "tls", "s0-client", f"--cert={pair.certificate}", f"--key={pair.key}"]
    made = space.kubectl(*command, "--dry-run=client", "-o", "json")
    space.kubectl("apply", "--server-side", "-f", "-", input=made)


def complaints(space):
    events = json.loads(space.kubectl("get", "events", "-o", "json"))["items"]
    return [one["message"] for one in events if one["reason"] == "FailedMount"]


def waits(space):
    dpu = json.loads(space.kubectl("get", "dpu/s0", "-o", "json"))
    conditions = dpu.get("status", {}).get("conditions", [])
    return [one["message"] for one in conditions if one["type"] == "Reconciling" and one["status"] == "True"]


def test_certificates_come_from_a_secret_and_are_renewed(space, authority, callee):
    # Nothing is there yet: the pod waits, and both the kubelet and the DpuService say for what.
    space.apply(caller(callee))
    eventually(lambda: any('"s0-client" not found' in one for one in complaints(space)), 60, "the kubelet mounts nothing")
    eventually(lambda: any("Secret s0-client and ConfigMap our-ca" in one for one in waits(space)), 20)
    assert space.ready() == []
    put_secret(space, authority.issue("first"))
    space.kubectl("create", "configmap", "our-ca", f"--from-file=ca.crt={authority.certificate}")
    space.wait_ready(timeout=150)
    assert set(callee.clients) == {"first"}

    # What is in the container, and who may read it.
    (pod,) = space.pods()
    folder = pathlib.Path(f"/proc/{container_pid(pod)}/root") / FILES
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == ["ca.crt", "tls.crt", "tls.key"]
    assert stat.S_IMODE((folder / "tls.key").stat().st_mode) == 0o444

    # Another certificate, under load: no restart, and no request is lost.
    with Load(space.target(), concurrency=4) as load:
        put_secret(space, authority.issue("second"))
        space.kubectl("annotate", f"pod/{pod['metadata']['name']}", "tests/renewed=yes")
        eventually(lambda: callee.clients[-1] == "second", RENEWED_S, "the renewed certificate does not arrive")
        eventually(lambda: set(callee.clients[-50:]) == {"second"}, 30)
    load.assert_clean(least=50)
    (after,) = space.pods()
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert [one["restartCount"] for one in after["status"]["containerStatuses"]] == [0]
