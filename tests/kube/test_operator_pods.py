"""Pods that do not run: status names the cause."""

import pods
from processes import eventually
from specs import dpu_service

LATE = {"spec": {"progressDeadlineSeconds": 1}}


def test_reasons(system):
    system.operator()
    system.apply(dpu_service("s0", replicas=1))
    (pod,) = system.pods("s0", 1)
    name = pod["metadata"]["name"]

    def stalled(reason, message):
        found = system.condition("s0", "Stalled", "True", reason=reason, message=message)
        assert found["message"].startswith("0 of 1 replicas are ready; "), found
        assert system.conditions("s0")["Ready"]["reason"] == reason
        assert system.conditions("s0")["Reconciling"]["status"] == "False"

    pods.make_unschedulable(system.client, pod)
    stalled("Unschedulable", f"pod {name}: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.")
    pods.make_waiting(system.client, pod, "ErrImagePull", "not found")
    stalled("ErrImagePull", f"pod {name}: ErrImagePull: not found")
    pods.make_waiting(system.client, pod, "ImagePullBackOff", "Back-off pulling image")
    stalled("ImagePullBackOff", f"pod {name}: ImagePullBackOff: Back-off pulling image")
    pods.make_waiting(system.client, pod, "CreateContainerConfigError", 'configmap "s0-dpu" not found')
    stalled("CreateContainerConfigError", 'configmap "s0-dpu" not found')
    pods.make_waiting(system.client, pod, "CrashLoopBackOff", "back-off 10s restarting", restarts=3)
    stalled("CrashLoopBackOff", f"pod {name}: CrashLoopBackOff: back-off 10s restarting")
    pods.make_waiting(system.client, pod, "SomethingNew", "of a runtime")
    stalled("PodFailed", f"pod {name}: SomethingNew: of a runtime")
    pods.make_waiting(system.client, pod, "ContainerCreating")
    system.condition("s0", "Reconciling", "True", reason="RollingOut")
    pods.make_ready(system.client, pod)
    system.condition("s0", "Ready", "True")
    # A pod that fails later.
    pods.make_waiting(system.client, pod, "CrashLoopBackOff", "back-off 10s restarting", restarts=4)
    stalled("CrashLoopBackOff", "back-off 10s restarting")
    pods.make_ready(system.client, pod)
    system.condition("s0", "Ready", "True")


def test_several_pods_and_the_first_by_name(system):
    system.operator()
    system.apply(dpu_service("s0", replicas=3))
    found = sorted(system.pods("s0", 3), key=lambda pod: pod["metadata"]["name"])
    pods.make_waiting(system.client, found[2], "ImagePullBackOff", "c")
    system.condition("s0", "Stalled", "True", message=f"pod {found[2]['metadata']['name']}: ImagePullBackOff: c")
    pods.make_waiting(system.client, found[1], "ErrImagePull", "b")
    message = f"pod {found[1]['metadata']['name']}: ErrImagePull: b (and others)"
    system.condition("s0", "Stalled", "True", reason="ErrImagePull", message=message)
    pods.make_ready(system.client, found[0])
    pods.make_ready(system.client, found[1])
    system.condition("s0", "Stalled", "True", message="2 of 3 replicas are ready; ")
    pods.make_ready(system.client, found[2])
    system.condition("s0", "Ready", "True")


def test_a_fix_is_a_rollout_and_no_standstill(system):
    """Pods of the version before fail, those of the new one start: Reconciling."""
    system.operator()
    system.apply(dpu_service("s0", replicas=1, image="bad:1"))
    (bad,) = system.pods("s0", 1)
    pods.make_waiting(system.client, bad, "ImagePullBackOff", "no such image")
    system.condition("s0", "Stalled", "True", reason="ImagePullBackOff")
    system.patch("DpuService", "s0", {"spec": {"image": "good:1"}})
    system.pods("s0", 2)
    system.condition("s0", "Reconciling", "True", reason="RollingOut", message="1 of the current version")
    assert system.conditions("s0")["Stalled"]["status"] == "False"
    good = next(pod for pod in system.pods("s0", 2) if pod["spec"]["containers"][0]["image"] == "good:1")
    pods.make_ready(system.client, good)
    system.condition("s0", "Ready", "True")


def test_evicted(system):
    """A pod that has ended is replaced: its cause is told while the next one starts."""
    system.operator()
    system.apply(dpu_service("s0", replicas=1))
    (pod,) = system.pods("s0", 1)
    status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    pods.patch_status(system.client, pod, status)
    found = system.condition("s0", "Reconciling", "True", reason="Evicted")
    assert "low on resource: memory" in found["message"]
    assert system.conditions("s0")["Stalled"]["status"] == "False"
    new = [one for one in system.pods("s0", 2) if one["status"]["phase"] == "Pending"]
    pods.make_ready(system.client, new[0])
    system.condition("s0", "Ready", "True")


def quota(system, **hard):
    path = f"/api/v1/namespaces/{system.namespace}/resourcequotas"
    system.client.api("POST", path, {"metadata": {"name": "few"}, "spec": {"hard": hard}})
    eventually(lambda: "hard" in system.client.get(f"{path}/few").get("status", {}), what="the quota is not in force")
    return f"{path}/few"


def test_no_quota_for_pods(system):
    system.operator()
    path = quota(system, pods="1")
    system.apply(dpu_service("s0", replicas=2))
    found = system.condition("s0", "Stalled", "True", reason="QuotaExceeded")
    assert "exceeded quota: few" in found["message"] and found["message"].startswith("pods can't be made: ")
    # The refusal is told as soon as the Deployment says so, the pod that could be made when it is counted.
    eventually(lambda: system.status("s0")["replicas"] == 1, what=lambda: system.status("s0"))
    system.client.api("DELETE", path)
    system.patch("DpuService", "s0", {"spec": {"replicas": 3}})
    system.mark_ready("s0", 3)
    system.condition("s0", "Ready", "True")


def test_no_quota_for_children(system):
    system.operator()
    path = quota(system, **{"count/deployments.apps": "0"})
    system.apply(dpu_service("s0"))
    found = system.condition("s0", "Stalled", "True", reason="QuotaExceeded")
    assert found["message"].startswith("Deployment s0-dpu is refused: ") and "exceeded quota: few" in found["message"]
    system.client.api("DELETE", path)
    system.converged("s0")
    system.condition("s0", "Stalled", "False")


def test_pods_that_admission_refuses(system):
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    system.client.api("PATCH", f"/api/v1/namespaces/{system.namespace}", {"metadata": {"labels": labels}})
    system.operator()
    system.apply(dpu_service("s0"))  # ours meet it
    system.mark_ready("s0", 1)
    system.condition("s0", "Ready", "True")
    sidecar = {"name": "sidecar", "image": "proxy"}
    template = {"spec": {"template": {"spec": {"containers": [sidecar]}}}}
    system.patch("Deployment", "s0-dpu", template, content_type="application/strategic-merge-patch+json")
    found = system.condition("s0", "Stalled", "True", reason="PodsRefused")
    assert "violates PodSecurity" in found["message"]


def test_the_progress_deadline(system):
    system.operator()
    system.apply(dpu_service("s0"))
    system.converged("s0")
    system.patch("Deployment", "s0-dpu", LATE)
    found = system.condition("s0", "Stalled", "True", reason="ProgressDeadlineExceeded")
    assert "has timed out progressing" in found["message"]
    system.mark_ready("s0", 1)
    system.condition("s0", "Ready", "True")


def test_a_namespace_that_goes(system, installed):
    """Whatever is deleted first, nothing is made again for ever."""
    name = installed.create_namespace(f"{system.namespace}-going")
    system.operator(namespace=[system.namespace, name])
    base = f"/apis/dpumesh.io/v1alpha1/namespaces/{name}/dpuservices"
    for number in range(10):
        system.client.apply(f"{base}/s{number}", dpu_service(f"s{number}"))
    path = f"/apis/apps/v1/namespaces/{name}/deployments"
    eventually(lambda: len(system.client.get(path)["items"]) == 10, what="no Deployments")
    installed.delete_namespace(name)
    gone = f"/api/v1/namespaces/{name}"
    eventually(lambda: system.client.request("GET", gone)[0] == 404, 60, "the namespace stays")
    system.apply(dpu_service("s0"))  # and elsewhere it goes on
    system.converged("s0")
