"""examples/keda: what KEDA reads there is valid, exists, and is what agents and Prometheus really tell; and, where KEDA's
programs are (KEDA_ASSETS), that it scales a DpuService by it."""

import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

import keda
import manifests
import operatorkit
import pods
import specs
from application import Application
from controlplane import ControlPlane
from manifests import TOP
from processes import eventually
from scraper import Prometheus, agents_job

EXAMPLES = sorted((TOP / "examples" / "keda").glob("*.yaml"))
# The same names as in the examples; a request takes a tenth of a second.
SERVICE = specs.dpu_service("s0", workload={"internalService": {"loader": {"sleepStress": {"sleepTime": "100ms"}}}})


def document(name):
    (path,) = [one for one in EXAMPLES if one.stem == name]
    return yaml.safe_load(path.read_text())


def triggers(kind):
    return [one["metadata"] for path in EXAMPLES for one in document(path.stem)["spec"]["triggers"] if one["type"] == kind]


def pod_monitor(renderer):
    return manifests.of_kind(renderer.kustomize("deploy/overlays/prometheus"), "PodMonitor")[0]


def test_they_are_valid(cluster):
    """By KEDA's CRD; and the object that they name has a scale subresource."""
    specs.install_crd(cluster)
    crd = keda.CRDS / "scaledobjects.yaml"
    cluster.kubectl("apply", "--server-side", "-f", crd)
    cluster.kubectl("wait", "--for=condition=Established", "crd/scaledobjects.keda.sh", "--timeout=30s")
    cluster.kubectl("apply", "-f", TOP / "examples" / "scale.yaml")
    for path in EXAMPLES:
        command = ("apply", "--dry-run=server", "--validate=strict", "-f")
        eventually(lambda path=path: cluster.run_kubectl(*command, path).returncode == 0, 20, path.name)
        target = document(path.stem)["spec"]["scaleTargetRef"]
        assert target["apiVersion"] == "dpumesh.io/v1alpha1" and target["kind"] == "DpuService"
        scale = cluster.api("GET", f"/apis/{target['apiVersion']}/namespaces/default/dpuservices/{target['name']}/scale")
        assert scale["kind"] == "Scale"
        bad = document(path.stem)
        bad["spec"]["maxReplicas"] = bad["spec"].pop("maxReplicaCount")
        refused = cluster.kubectl_refused(*command, "-", input=json.dumps(bad))
        assert 'unknown field "spec.maxReplicas"' in refused


@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")
def test_queries_and_values(renderer, tmp_path):
    """Each query has one answer, and each place on an agent's page one gauge."""
    with Application(tmp_path, [SERVICE]) as application:
        application.ask("s0", "--concurrency", "8", "--duration", "60s")
        with Prometheus(tmp_path, [agents_job(application.targets, "default", pod_monitor(renderer))]) as prometheus:
            for trigger in triggers("prometheus"):
                query = trigger["query"].replace("[1m]", "[10s]")
                (answer,) = eventually(lambda query=query: prometheus.query(query), 20, query)
                eventually(lambda query=query: prometheus.query(query)[0][1] > 0, 20, f"{query} stays {answer}")
        page = application.page("s0")
    gauges = re.findall(r"^# TYPE (\S+) gauge$", page, re.M)
    for trigger in triggers("metrics-api"):
        assert trigger["valueLocation"] in gauges
        assert len(re.findall(rf"^{trigger['valueLocation']} \d+$", page, re.M)) == 1
        # KEDA asks the pods at the URL's port: it must be the container's, not only the Service's.
        port = int(re.search(r":(\d+)/metrics$", trigger["url"])[1])
        (deployment,) = manifests.of_kind(specs.render(text=json.dumps(SERVICE)), "Deployment")
        ports = deployment["spec"]["template"]["spec"]["containers"][0]["ports"]
        assert {"name": "http", "containerPort": port, "protocol": "TCP"} in ports


# ---- with KEDA itself ----


def own_address():
    """An address of this machine that an EndpointSlice takes, or None."""
    said = subprocess.run(["ip", "-4", "-json", "addr"], capture_output=True, text=True, check=False).stdout
    found = [one["local"] for link in json.loads(said or "[]") for one in link["addr_info"]]
    return next((address for address in found if not address.startswith("127.")), None)


def quick(document, address, prometheus):
    """The example with what is different here: addresses, and times so that a test can wait for them."""
    spec = document["spec"]
    spec["pollingInterval"] = 2
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 4}}
    spec["advanced"] = {"horizontalPodAutoscalerConfig": {"behavior": behavior}}
    for trigger in spec["triggers"]:
        metadata = trigger["metadata"]
        if trigger["type"] == "prometheus":
            metadata.update(serverAddress=prometheus, query=metadata["query"].replace("[1m]", "[10s]"))
    return document


@pytest.mark.skipif(not os.environ.get("KEDA_ASSETS"), reason="KEDA_ASSETS is not set: docs/autoscaling.md")
@pytest.mark.parametrize("example", ["prometheus", "metrics-api"])
def test_keda_scales_a_dpuservice(kube_programs, renderer, tmp_path, example):
    """Up with the load, down without it, by the HPA that KEDA makes on the scale subresource; the operator follows,
    and gives the replicas to whoever else wants them when the ScaledObject is gone."""
    programs, address = keda.find_programs(), own_address()
    if not address:
        pytest.skip("an EndpointSlice takes no loopback address, and this machine has no other")
    with (
        ControlPlane(programs=kube_programs, apiserver_flags=keda.aggregation_flags(tmp_path)) as cluster,
        Application(tmp_path, [SERVICE], host=address) as application,
        Prometheus(tmp_path, [agents_job(application.targets, "default", pod_monitor(renderer))]) as prometheus,
    ):
        operatorkit.install(cluster)
        system = operatorkit.System(cluster, "default", tmp_path)
        system.operator()
        system.apply(SERVICE)
        slice_of_agents(cluster, address)
        with keda.Keda(cluster, tmp_path, programs) as running, cluster.kubelet("default"):
            try:
                follow(system, application, quick(document(example), address, prometheus.url))
            except AssertionError as error:
                raise AssertionError(f"{error}\n{running.text('keda-operator')[-4000:]}") from None
        system.stop()


def slice_of_agents(cluster, address):
    """Of the Service s0, as the cluster would make it: pods here have no node, so they are in none."""
    cluster.api("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
        "metadata": {"name": "s0-here", "labels": {"kubernetes.io/service-name": "s0"}}, "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    })  # fmt: skip


def follow(system, application, scaled_object):
    def replicas():
        return system.dpu("s0")["spec"].get("replicas")

    system.kubectl("apply", "-f", "-", input=json.dumps(scaled_object))
    hpa = eventually(lambda: autoscalers(system), 30)[0]
    assert hpa["spec"]["scaleTargetRef"] == {"apiVersion": "dpumesh.io/v1alpha1", "kind": "DpuService", "name": "s0"}
    # 1000 requests a second at most; 60 in flight, of which each replica is to have 20: three or more.
    load = application.ask("s0", "--concurrency", "60", "--duration", "300s")
    eventually(lambda: replicas() >= 3 and system.status("s0").get("replicas") == replicas(), 60, system.said)
    load.kill()
    eventually(lambda: replicas() == 1 and system.status("s0").get("replicas") == 1, 90, system.said)
    assert pods.living(system.client, "default")
    system.kubectl("delete", "scaledobject", "s0", "--wait=false")
    # The garbage collector takes it; it looks for new kinds of owners every half a minute.
    eventually(lambda: not autoscalers(system), 90)
    system.kubectl("scale", "dpu/s0", "--replicas=2")
    eventually(lambda: system.status("s0").get("replicas") == 2, 30, system.said)


def autoscalers(system):
    return system.client.api("GET", "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers")["items"]
