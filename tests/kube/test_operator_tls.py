"""Certificates of Secrets and ConfigMaps: the operator names them in the pods, and reads none of them."""

from specs import dpu_service

TLS = {"secretName": "s0-client", "caFrom": {"configMapKeyRef": {"name": "our-ca"}}}


def service(**tls):
    return dpu_service("s0", replicas=1, egress={"mode": "forward", "forward": {"tls": {**TLS, **tls}}})


def sources(pod):
    """{volume: {kind: object's name}} of a pod's projected volumes."""
    return {
        volume["name"]: {kind: source[kind]["name"] for source in volume["projected"]["sources"] for kind in source}
        for volume in pod["spec"]["volumes"]
        if "projected" in volume
    }


def test_another_secret_makes_other_pods(system):
    """The operator may not read Secrets (its role is the shipped one), and need not."""
    system.operator()
    system.apply(service())
    (pod,) = system.pods("s0", 1)
    assert sources(pod) == {"forward-tls": {"secret": "s0-client", "configMap": "our-ca"}}
    waits = "; a pod waits until there are Secret s0-client and ConfigMap our-ca"
    system.condition("s0", "Reconciling", "True", reason="RollingOut", message=waits)
    system.patch("DpuService", "s0", {"spec": {"egress": {"forward": {"tls": {"secretName": "renamed"}}}}})
    both = system.pods("s0", 2)
    assert sorted(sources(one)["forward-tls"]["secret"] for one in both) == ["renamed", "s0-client"]
    system.condition("s0", "Reconciling", "True", message="Secret renamed and ConfigMap our-ca")


def test_they_come_and_go(system):
    """What a document no longer names is no longer in the pods."""
    system.operator()
    for tls in ({}, TLS, {"caFrom": TLS["caFrom"]}, {}):
        forward = {"forward": {"tls": tls}} if tls else {}
        system.apply(dpu_service("s0", replicas=1, egress={"mode": "forward", **forward}))
        system.converged("s0")
        pod = system.get("Deployment", "s0-dpu")["spec"]["template"]["spec"]
        named = {"secret": "s0-client"} if "secretName" in tls else {}
        named |= {"configMap": "our-ca"} if "caFrom" in tls else {}
        assert sources({"spec": pod}) == ({"forward-tls": named} if named else {})
        assert len(pod["volumes"]) == len(pod["containers"][0]["volumeMounts"]) == (2 if named else 1)
