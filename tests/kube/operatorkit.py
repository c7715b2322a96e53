"""What the tests of the whole operator share: the program as a child process with a service account of
its own, DpuServices and their children in the API server, and what must hold of them.

    def test_something(system):
        operator = system.operator()
        system.apply(dpu_service("s0", replicas=2))
        system.converged("s0")
        system.condition("s0", "Ready", "False", reason="RollingOut")

A system is the test's namespace and the operators in it. When the test ends, each must leave on SIGTERM
with status 0, without a word from a sanitizer."""

import http.client
import itertools
import json
import os
import re
import signal
import subprocess
import time
import urllib.request

import pods
import specs
from processes import eventually

SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:")
NAMESPACE = "dpumesh-system"
ACCOUNT = "dpumesh-operator"
MANAGER = "dpumesh-operator"
RBAC = specs.TOP / "deploy" / "base" / "rbac.yaml"
COUNTER = itertools.count(1)

# Short, so that tests are; --request-timeout is their difference.
LEASE = {"lease-duration": "9s", "lease-renew-deadline": "5s", "lease-retry": "500ms"}
QUICK_LEASE = {"lease-duration": "3s", "lease-renew-deadline": "2s", "lease-retry": "300ms"}
FLAGS = {"backoff-most": "1s", "metrics-address": "127.0.0.1:0", "log-level": "debug", "log-format": "json"}

DPUSERVICES = "/apis/dpumesh.io/v1alpha1/namespaces/{}/dpuservices"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
CHILDREN = {kind: plural for kind, (_, plural) in specs.RESOURCES.items()}


def program():
    path = specs.BIN / "dpumesh-operator"
    assert path.exists(), f"{path} is missing; build it, or set DPUMESH_BIN_DIR"
    return path


def words(flags):
    """{"workers": 3, "paged-lists": True, "namespace": ["a"]} as arguments."""
    found = []
    for name, value in flags.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is True:
                found.append(f"--{name}")
            elif one not in (False, None):
                found.append(f"--{name}={one}")
    return found


class Operator:
    """A process. Flags are the program's; None takes one of ours away."""

    def __init__(self, cluster, log, kubeconfig, **flags):
        self.cluster = cluster
        self.log = log
        self.flags = {**FLAGS, **LEASE, **{name.replace("_", "-"): value for name, value in flags.items()}}
        self.command = [program(), f"--kubeconfig={kubeconfig}", *words(self.flags)]
        self.process = None
        self.expected_status = 0

    def start(self):
        with open(self.log, "ab") as log:
            self.mark = log.tell()
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        return self

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def text(self):
        """What it has written since it was started last."""
        with open(self.log, errors="replace") as log:
            log.seek(self.mark)
            return log.read()

    def lines(self, **wanted):
        """Its log's lines that have these fields."""
        found = [json.loads(line) for line in self.text().splitlines() if line.endswith("}") and line[0] == "{"]
        return [line for line in found if all(line.get(key) == value for key, value in wanted.items())]

    def wait_line(self, timeout=20.0, **wanted):
        def said():
            assert self.alive() or self.lines(**wanted), self.text()
            return self.lines(**wanted)

        return eventually(said, timeout, lambda: f"no line {wanted} in\n{self.text()}")[0]

    def wait_leading(self, timeout=20.0):
        self.wait_line(timeout, msg="leading")
        return self

    # ---- its pages ----

    @property
    def address(self):
        return self.wait_line(msg="started")["pages"]

    def page(self, path, status=200):
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        assert status in (None, answer.status), f"{path}: {answer.status} {text}"
        return text

    def metrics(self):
        """{"name{labels}": value}"""
        lines = self.page("/metrics").splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")
        return {name: float(value) for name, value in pairs}

    def is_ready(self):
        return self.lines(msg="started") and self.page("/readyz", status=None).startswith("ok")

    # ---- its end ----

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)

    def killed(self):
        """Ends it at once and waits."""
        self.kill()
        self.process.wait(30)

    def stop(self, timeout=30.0):
        """SIGTERM; it must leave in time, in order, with nothing leaked."""
        if self.process is None:
            return
        killed = self.process.poll() == -signal.SIGKILL
        if self.alive():
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.killed()
            raise AssertionError(f"it did not end on SIGTERM:\n{self.text()[-4000:]}") from None
        finally:
            self.process, process = None, self.process
        text = open(self.log, errors="replace").read()
        assert not SANITIZER.search(text), text[-8000:]
        assert killed or status == self.expected_status, f"exit status {status}: {text[-4000:]}"
        del process


class System:
    """A namespace with DpuServices, and operators that look after it alone."""

    def __init__(self, cluster, namespace, folder):
        self.cluster = cluster
        self.client = cluster.client
        self.namespace = namespace
        self.folder = folder
        self.operators = []
        self.lease_name = f"operator-{namespace}"
        self.mark = cluster.audit_mark()

    # ---- operators ----

    def account(self, url=None):
        """A further token of the operator's service account."""
        return self.cluster.kubeconfig_for(ACCOUNT, NAMESPACE, url=url)

    def prepared(self, url=None, account=None, **flags):
        """An operator that is not started; its account is an Identity."""
        account = account or self.account(url)
        number = next(COUNTER)
        usual = {"namespace": self.namespace, "lease_name": self.lease_name, "identity": f"operator-{number}"}
        log = self.folder / f"operator-{number}.log"
        made = Operator(self.cluster, log, account.path, **{**usual, **flags})
        made.account = account
        self.operators.append(made)
        return made

    def operator(self, **options):
        """One that leads."""
        return self.prepared(**options).start().wait_leading()

    def stop(self):
        for operator in self.operators:
            operator.stop()

    # ---- DpuServices ----

    def kubectl(self, *arguments, **options):
        return self.cluster.kubectl("-n", self.namespace, *arguments, **options)

    def apply(self, *services):
        """DpuServices, or the path of a file."""
        if not isinstance(services[0], dict):
            return self.kubectl("apply", "-f", services[0])
        for service in services:
            path = f"{DPUSERVICES.format(self.namespace)}/{service['metadata']['name']}"
            self.client.apply(path, service, manager="user")
        return None

    def path(self, kind, name):
        if kind == "DpuService":
            return f"{DPUSERVICES.format(self.namespace)}/{name}"
        return specs.path_of(self.namespace, {"kind": kind, "metadata": {"name": name}})

    def get(self, kind, name):
        """The object, or None."""
        status, _, text = self.client.request("GET", self.path(kind, name))
        assert status in (200, 404), text
        return json.loads(text) if status == 200 else None

    def patch(self, kind, name, body, subresource=None, **options):
        path = self.path(kind, name) + (f"/{subresource}" if subresource else "")
        return self.client.api("PATCH", path, body, **options)

    def delete(self, kind, name, **options):
        return self.client.api("DELETE", self.path(kind, name), **options)

    def dpu(self, name):
        return self.get("DpuService", name)

    def status(self, name):
        return (self.dpu(name) or {}).get("status", {})

    def conditions(self, name):
        """{type: condition}"""
        return {one["type"]: one for one in self.status(name).get("conditions", [])}

    def condition(self, name, kind, status=None, timeout=30.0, **wanted):
        """Waits until a condition is so, and returns it. wanted: reason, message (part of it)."""

        def so():
            found = self.conditions(name).get(kind)
            return (
                found
                if found
                and status in (None, found["status"])
                and wanted.get("reason", found["reason"]) == found["reason"]
                and wanted.get("message", "") in found["message"]
                else None
            )

        return eventually(so, timeout, lambda: f"{name}: {self.conditions(name)}\n{self.said()}")

    def said(self):
        return "\n".join(operator.text()[-20000:] for operator in self.operators if operator.process)

    # ---- children ----

    def children(self, name):
        """{(kind, name): object} of what the DpuService of this name owns."""
        found = {}
        for kind, (base, plural) in specs.RESOURCES.items():
            for one in self.client.get(f"{base}/namespaces/{self.namespace}/{plural}")["items"]:
                owners = one["metadata"].get("ownerReferences", [])
                if any(owner["kind"] == "DpuService" and owner["name"] == name for owner in owners):
                    found[kind, one["metadata"]["name"]] = {**one, "kind": kind}
        return found

    def desired(self, name):
        """{(kind, name): object} as `dpumesh render` prints it, with the owner reference. All DpuServices
        of the namespace are rendered, because they may name each other."""
        items = self.client.get(DPUSERVICES.format(self.namespace))["items"]
        documents = [specs.dpu_service(one["metadata"]["name"], **one.get("spec", {})) for one in items]
        for document, one in zip(documents, items):
            document["metadata"]["namespace"] = self.namespace
            document["metadata"]["labels"] = one["metadata"].get("labels", {})
            if one["metadata"]["name"] != name:  # its profile need not be there
                document["spec"].pop("datapath", None)
        documents += self.profiles(name)
        uid = next(one["metadata"]["uid"] for one in items if one["metadata"]["name"] == name)
        owner = {
            "apiVersion": documents[0]["apiVersion"], "kind": "DpuService", "name": name,
            "uid": uid, "controller": True, "blockOwnerDeletion": True,
        }  # fmt: skip
        made = specs.render(text=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))
        ours = [one for one in made if one["metadata"]["labels"]["app.kubernetes.io/instance"] == name]
        for one in ours:
            one["metadata"]["ownerReferences"] = [owner]
        return {(one["kind"], one["metadata"]["name"]): one for one in ours}

    def profiles(self, name):
        """The ConfigMap of the profile that the DpuService names, if there is one."""
        own = self.dpu(name)["spec"].get("datapath", {}).get("profile")
        found = own and self.get("ConfigMap", own)
        return [{"apiVersion": "v1", "kind": "ConfigMap", **found}] if found else []

    def difference(self, name):
        """What keeps it from being converged, or None."""
        live = self.dpu(name)
        if live is None:
            return "the DpuService is not there"
        if live.get("status", {}).get("observedGeneration") != live["metadata"]["generation"]:
            return f"status is {live.get('status')} for generation {live['metadata']['generation']}"
        desired, children = self.desired(name), self.children(name)
        if desired.keys() != children.keys():
            return f"there are {sorted(children)} instead of {sorted(desired)}"
        wanted, found = specs.fingerprints(list(desired.values())), specs.fingerprints(list(children.values()))
        different = [key for key in wanted if wanted[key] != found[key]]
        return f"{different} differ" if different else None

    def converged(self, *names, timeout=30.0):
        """Waits until the children are as `dpumesh render` prints them, and nothing else is there."""
        for name in names:
            eventually(
                lambda name=name: self.difference(name) is None,
                timeout,
                lambda name=name: f"{name}: {self.difference(name)}\n{self.said()}",
            )

    def gone(self, name, timeout=30.0):
        """Waits until nothing of it is left."""
        eventually(
            lambda: self.dpu(name) is None and not self.children(name),
            timeout,
            lambda: f"{name} left {sorted(self.children(name))}",
        )

    def mark_ready(self, name, count=None):
        selector = f"app.kubernetes.io/instance={name}"
        return pods.mark_ready(self.client, self.namespace, selector, count)

    def pods(self, name, count=None):
        return pods.wait_for(self.client, self.namespace, f"app.kubernetes.io/instance={name}", count)

    # ---- writes ----

    def writes(self, mark=None, **wanted):
        """Accepted writes of the operator's service account in this namespace, oldest first."""
        user = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
        mark = self.mark if mark is None else mark
        return self.cluster.writes(mark, user=user, namespace=self.namespace, **wanted)

    def quiet(self, seconds=1.5, timeout=30.0):
        """Waits until nothing was written in this namespace for so long."""
        until = time.monotonic() + timeout
        while True:
            mark = self.cluster.audit_mark()
            time.sleep(seconds)
            found = self.writes(mark)
            if not found:
                return
            assert time.monotonic() < until, [describe(event) for event in found]


def describe(event):
    """A write of the audit log in a few words."""
    target = event.get("objectRef", {})
    resource = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
    return f"{event['requestReceivedTimestamp']} {event['verb']} {resource} {target.get('name')}"


def owned(live, desired, path=""):
    """Where live lacks something that desired has; "" when it has all. Lists of objects with names are
    compared by these."""
    if isinstance(desired, dict):
        if not isinstance(live, dict):
            return f"{path}: {live!r} instead of {desired!r}"
        for key, value in desired.items():
            if key not in live and value not in ({}, [], ""):
                return f"{path}.{key} is not there"
            found = owned(live.get(key, value), value, f"{path}.{key}")
            if found:
                return found
        return ""
    if isinstance(desired, list) and desired and isinstance(desired[0], dict) and "name" in desired[0]:
        by_name = {one.get("name"): one for one in live}
        for one in desired:
            if one["name"] not in by_name:
                return f"{path} has no {one['name']}"
            found = owned(by_name[one["name"]], one, f"{path}[{one['name']}]")
            if found:
                return found
        return ""
    return "" if live == desired else f"{path}: {live!r} instead of {desired!r}"


def as_kept(live, desired):
    """What desired asks for as the API server keeps it: "0.5" is "500m" there."""
    if isinstance(desired, dict) and isinstance(live, dict):
        return {key: as_kept(live[key], value) for key, value in desired.items() if key in live}
    if isinstance(desired, list) and desired and isinstance(desired[0], dict) and "name" in desired[0]:
        by_name = {one["name"]: one for one in live}
        return [as_kept(by_name[one["name"]], one) for one in desired]
    return live


def install(cluster):
    """The CRD, the operator's namespace and what it may do; once a control plane."""
    specs.install_crd(cluster)
    cluster.create_namespace(NAMESPACE)
    cluster.kubectl("apply", "-f", RBAC)
    # The garbage collector looks for new resources every half a minute, and when it starts.
    cluster.controller_manager.kill()
    cluster.controller_manager.start()


def fetch(url, timeout=10.0):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()
