"""What a scheduler and a kubelet would say about pods, said by the test: the status subresource is
patched, nothing runs. Pods are never bound to a node, so that the API server deletes them at once.

    pods.mark_ready(client, "ns", "app=a", count=2)
    pods.waiting(client, "ns", name, "ImagePullBackOff", "Back-off pulling image nowhere/image")
    with pods.Kubelet(client, "ns"):
        ...     # every pod becomes ready when it is made
"""

import http.client
import itertools
import threading
import time

from client import ApiError
from processes import eventually

CONDITIONS = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
ADDRESSES = itertools.count(1)


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def conditions(**states):
    """Conditions of a pod's status; those that are not named are True."""
    return [
        {"type": kind, "lastTransitionTime": now(), "status": "True", **states.get(kind, {})}
        for kind in CONDITIONS
    ]


def container(spec, ready, state, restarts=0, **more):
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": spec["image"] if ready else "",
        "ready": ready,
        "started": ready,
        "restartCount": restarts,
        "state": state,
        **more,
    }


def containers(pod, ready, state, **more):
    return [container(spec, ready, state, **more) for spec in pod["spec"]["containers"]]


def patch_status(client, pod, status):
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    return client.api("PATCH", f"/api/v1/namespaces/{namespace}/pods/{name}/status", {"status": status})


def is_ready(pod):
    states = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in states)


def an_address():
    """One that no other pod has, and that nobody answers on."""
    number = next(ADDRESSES)
    return f"10.244.{number // 250 % 250}.{number % 250 + 1}"


def make_ready(client, pod, address=None):
    """Running, each container ready, with an address (which EndpointSlices want), else one of its own."""
    address = address or an_address()
    status = {
        "phase": "Running",
        "startTime": now(),
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": conditions(),
        "containerStatuses": containers(pod, True, {"running": {"startedAt": now()}}),
    }
    return patch_status(client, pod, status)


def make_waiting(client, pod, reason, message="", restarts=0):
    """Its containers wait for such a reason: ImagePullBackOff, CrashLoopBackOff (with restarts),
    CreateContainerConfigError."""
    more = {"restarts": restarts}
    if restarts:
        more["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": now()}}
    not_ready = {"status": "False", "reason": "ContainersNotReady", "message": "containers with unready status"}
    state = {"waiting": {"reason": reason, "message": message}}
    status = {
        "phase": "Running" if restarts else "Pending",
        "conditions": conditions(ContainersReady=not_ready, Ready=not_ready),
        "containerStatuses": containers(pod, False, state, **more),
    }
    return patch_status(client, pod, status)


def make_unschedulable(client, pod, message="0/1 nodes are available: 1 Insufficient cpu."):
    """As the scheduler says it: nothing but this condition."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    status = {"conditions": [{**condition, "message": message, "lastTransitionTime": now()}]}
    return patch_status(client, pod, status)


def living(client, namespace, selector=""):
    """Pods that are not being deleted."""
    query = {"labelSelector": selector} if selector else {}
    items = client.get(f"/api/v1/namespaces/{namespace}/pods", **query)["items"]
    return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]


def wait_for(client, namespace, selector="", count=None, timeout=30.0):
    """Waits until there are exactly so many pods (or one at least), and returns them."""

    def there():
        found = living(client, namespace, selector)
        return found if found and len(found) == (count or len(found)) else None

    return eventually(there, timeout, f"{namespace} has not {count or 'any'} pods with {selector!r}")


def mark_ready(client, namespace, selector="", count=None, timeout=30.0):
    found = wait_for(client, namespace, selector, count, timeout)
    for pod in found:
        if not is_ready(pod):
            make_ready(client, pod)
    return [pod["metadata"]["name"] for pod in found]


class Kubelet:
    """Makes every pod ready when it appears, in one namespace or all, from a thread of its own, until
    the context is left. only: a function of a pod that says whether it shall become ready; address: one
    that gives it an address."""

    def __init__(self, client, namespace=None, only=None, address=None):
        self.client = client
        self.path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        self.only = only or (lambda pod: True)
        self.address = address or (lambda pod: None)
        self.count = 0
        self.error = None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.ending.set()
        self.thread.join(30)
        if self.error and kind is None:
            raise self.error

    def run(self):
        try:
            while not self.ending.is_set():
                self.look()
        except Exception as error:  # pylint: disable=broad-except  # told when the context is left
            self.error = error

    def look(self):
        """One list and the watch behind it; the API server may go away meanwhile."""
        try:
            found = self.client.get(self.path)
            for pod in found["items"]:
                self.pod(pod)
            query = {"resourceVersion": found["metadata"]["resourceVersion"], "timeoutSeconds": 1}
            while not self.ending.is_set():
                for event in self.client.watch(self.path, allowWatchBookmarks=True, **query):
                    if event["type"] == "ERROR":
                        return
                    query["resourceVersion"] = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] in ("ADDED", "MODIFIED"):
                        self.pod(event["object"])
        except (OSError, http.client.HTTPException, ApiError) as error:
            if isinstance(error, ApiError) and error.status < 429:
                raise
            self.ending.wait(0.2)

    def pod(self, pod):
        if is_ready(pod) or "deletionTimestamp" in pod["metadata"] or not self.only(pod):
            return
        try:
            make_ready(self.client, pod, self.address(pod))
            self.count += 1
        except ApiError as error:
            if error.status != 404:
                raise
