"""What the tests of an operator in trouble share: worlds of their own that run side by side, operators
behind a FaultProxy each, and what must hold after every trouble.

    with World(cluster, folder) as world:
        operator = world.proxied().start().wait_leading()
        operator.proxy.plan(Rule(Answer(500), method="PATCH", times=3))
        world.apply(dpu_service("s0"))
        world.settled()
        world.wrote_once()

./dev campaign sets DPUMESH_CAMPAIGN=1: then waits are those of production, and what is marked LONG
runs too."""

import concurrent.futures
import contextlib
import itertools
import json
import os
import threading
import time

import pytest

import audit
import operatorkit
import specs
from faultproxy import FaultProxy
from operatorkit import DPUSERVICES, LEASES, MANAGER, describe
from processes import eventually

CAMPAIGN = os.environ.get("DPUMESH_CAMPAIGN") == "1"
COUNTER = itertools.count(1)
OURS = "app.kubernetes.io/managed-by=dpumesh"
ONE_AT_A_TIME = threading.Lock()  # openssl counts an authority's certificates in a file
NOT_LEASES = r"^(?!.*/leases)"

# As flags, and in seconds.
DURATION, DEADLINE, RETRY = (15.0, 10.0, 2.0) if CAMPAIGN else (3.0, 2.0, 0.3)
LEASE = {"lease_duration": f"{DURATION}s", "lease_renew_deadline": f"{DEADLINE}s", "lease_retry": f"{RETRY}s"}


# A test that takes minutes; ./dev campaign runs it.
LONG = [pytest.mark.slow, pytest.mark.skipif(not CAMPAIGN, reason="takes minutes: ./dev campaign runs it")]


class SideBySide:
    """Runs cases in threads: a few at a time, all that were chosen, in the order in which they are asked
    for. A case fails where it is asked for."""

    def __init__(self, cases, work, workers):
        self.pool = concurrent.futures.ThreadPoolExecutor(workers)
        self.running = {case: self.pool.submit(work, case) for case in cases}

    def result(self, case):
        return self.running[case].result()

    def close(self):
        self.pool.shutdown(cancel_futures=True)


def side_by_side(request, work, workers, argument="case"):
    """As SideBySide, of the cases of this module that pytest was asked to run."""
    items = [item for item in request.session.items if item.module is request.module and hasattr(item, "callspec")]
    chosen = [item.callspec.params[argument] for item in items if argument in item.callspec.params]
    made = SideBySide(chosen, work, workers)
    request.addfinalizer(made.close)
    return made


class World(operatorkit.System):
    """A namespace of its own with a kubelet, and operators in it that must end well."""

    def __init__(self, cluster, folder, kubelet=True):
        number = next(COUNTER)
        self.stack = contextlib.ExitStack()
        folder = folder / f"world-{number}"
        folder.mkdir(parents=True)
        super().__init__(cluster, cluster.create_namespace(f"trouble-{number}"), folder)
        self.stack.callback(cluster.delete_namespace, self.namespace)
        self.rendered, self.seen = {}, {}
        if kubelet:
            self.stack.enter_context(cluster.kubelet(self.namespace))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        with self.stack:
            for operator in self.operators:
                if proxy := getattr(operator, "proxy", None):
                    proxy.on_call(None)
                    proxy.plan()
                    proxy.accept_again()
                    proxy.heal()
            if kind is None:
                self.stop()
                return
            for operator in self.operators:
                if operator.alive():
                    operator.killed()

    def proxied(self, seed=1, **flags):
        """An operator behind a proxy (.proxy) and with a token of its own; it is not started."""
        with ONE_AT_A_TIME:
            proxy = self.stack.enter_context(Proxy(self.cluster, seed))
        made = self.prepared(url=proxy.url, **{**LEASE, **flags})
        made.proxy = proxy
        return made

    # ---- what must hold ----

    def services(self):
        return self.client.get(DPUSERVICES.format(self.namespace))["items"]

    def labelled(self):
        """{(kind, name): object} of all that says it is a child of a DpuService."""
        found = {}
        for kind, (base, plural) in specs.RESOURCES.items():
            path = f"{base}/namespaces/{self.namespace}/{plural}"
            for one in self.client.get(path, labelSelector=OURS)["items"]:
                found[kind, one["metadata"]["name"]] = {**one, "kind": kind}
        return found

    def wanted(self, services):
        """{(kind, name): fingerprint} of what `dpumesh render` makes of them."""
        documents, owners = [], {}
        for one in services:
            name, metadata = one["metadata"]["name"], one["metadata"]
            document = specs.dpu_service(name, **one.get("spec", {}))
            document["metadata"].update(namespace=self.namespace, labels=metadata.get("labels", {}))
            documents.append(document)
            owners[name] = {
                "apiVersion": document["apiVersion"], "kind": "DpuService", "name": name,
                "uid": metadata["uid"], "controller": True, "blockOwnerDeletion": True,
            }  # fmt: skip
        key = json.dumps([documents, owners], sort_keys=True)
        if key not in self.rendered:
            made = specs.render(text=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))
            for one in made:
                name = one["metadata"]["labels"]["app.kubernetes.io/instance"]
                one["metadata"]["ownerReferences"] = [owners[name]]
            self.rendered = {key: specs.fingerprints(made)}
        return self.rendered[key]

    def trouble(self):
        """What is not as it should be, a sentence each: children are what `dpumesh render` prints, no
        other one is there, every status is of the newest generation and tells what the Deployment does."""
        services = self.services()
        if said := [f"{one['metadata']['name']}: {why}" for one in services for why in unfinished(one)]:
            return said
        live = self.labelled()
        if said := [f"{one['metadata']['name']}: {why}" for one in services for why in untrue(one, live)]:
            return said
        wanted = self.wanted(services) if services else {}
        if wanted.keys() != live.keys():
            return [f"there are {sorted(live)} instead of {sorted(wanted)}"]
        return [f"{key} differs" for key, digest in self.fingerprints(live).items() if digest != wanted[key]]

    def fingerprints(self, live):
        """Of what is there; only what has changed is looked at again."""
        keys = {key: (one["metadata"]["uid"], one["metadata"]["resourceVersion"]) for key, one in live.items()}
        new = [one for key, one in live.items() if keys[key] not in self.seen]
        if new:
            found = specs.fingerprints(new)
            self.seen.update({keys[key]: digest for key, digest in found.items()})
        return {key: self.seen[identity] for key, identity in keys.items()}

    def settled(self, timeout=60.0):
        """Waits until nothing is wrong."""
        eventually(lambda: not self.trouble(), timeout, self.trouble_in_full, every=0.1)

    def trouble_in_full(self):
        """And what the Deployments really are, and what the operators say."""
        found = self.labelled()
        real = {name: one.get("status") for (kind, name), one in found.items() if kind == "Deployment"}
        return f"{self.namespace}: {self.trouble()}; in truth {json.dumps(real)}\n{self.said()}"

    def own_writes(self, mark=None):
        """Accepted writes of our operators, but of events."""
        return [event for event in self.writes(mark) if event["objectRef"]["resource"] != "events"]

    def wrote_once(self, mark=None):
        """No object was written twice with the same content: a repetition changed nothing."""
        last = {}
        for event in self.own_writes(mark):
            if event["verb"] != "patch" or event.get("requestObject") is None:
                continue
            target, answer = event["objectRef"], event.get("responseObject", {})
            key = target["resource"], target.get("subresource"), answer["metadata"]["uid"]
            now = content(event["requestObject"]), written_state(answer, target.get("subresource"))
            before = last.get(key)
            assert before is None or before[0] != now[0] or before[1] == now[1], (
                f"{describe(event)} was written twice: {before[1]}, then {now[1]}"
            )
            last[key] = now

    def at_rest(self, operator, seconds=1.0, timeout=20.0):
        """Waits until the operator asks for nothing but its lease, and watches."""

        def quiet():
            before = len(calls(operator))
            time.sleep(seconds)
            return len(calls(operator)) == before

        eventually(quiet, timeout, lambda: f"it goes on: {calls(operator)[-5:]}\n{self.said()}")

    # ---- who leads ----

    def holder(self):
        """The identity in the lease; "" for nobody."""
        status, _, text = self.client.request("GET", f"{LEASES}/{self.lease_name}")
        return json.loads(text)["spec"].get("holderIdentity", "") if status == 200 else ""

    def leader(self):
        """The operator whose identity that is, or None."""
        holder = self.holder()
        return next((one for one in self.operators if one.flags["identity"] == holder and one.alive()), None)


class Proxy(FaultProxy):
    """Is what it was after refuse(), also when there was none."""

    def accept_again(self):
        if self.acceptor is None:
            self.accept()


def calls(operator, **wanted):
    """What the operator asked, but for its lease and for watches."""
    return operator.proxy.calls(**{"path": NOT_LEASES, "watch": False, **wanted})


def rename(operator, identity):
    """From its next start on."""
    old, operator.flags["identity"] = operator.flags["identity"], identity
    operator.command = [
        f"--identity={identity}" if word == f"--identity={old}" else word for word in operator.command
    ]


def conditions_of(service):
    return {one["type"]: one for one in service.get("status", {}).get("conditions", [])}


def unfinished(service):
    """What a status says that is not the end."""
    generation, conditions = service["metadata"]["generation"], conditions_of(service)
    observed = service.get("status", {}).get("observedGeneration")
    if observed != generation or not conditions:
        yield f"status is of generation {observed}, not {generation}"
        return
    old = [one["type"] for one in conditions.values() if one["observedGeneration"] != generation]
    if old:
        yield f"{old} are not of generation {generation}"
    said = {kind: conditions[kind]["status"] for kind in ("Ready", "Reconciling", "Stalled")}
    if said != {"Ready": "True", "Reconciling": "False", "Stalled": "False"}:
        yield f"conditions are {said}: {conditions['Ready']['message']}"


def untrue(service, live):
    """What a status says that is not so."""
    status, deployment = service["status"], live.get(("Deployment", f"{service['metadata']['name']}-dpu"))
    if deployment is None:
        yield "there is no Deployment"
        return
    real, asked = deployment.get("status", {}), deployment["spec"]["replicas"]
    for field in ("replicas", "readyReplicas"):
        if status.get(field, 0) != real.get(field, 0):
            yield f"{field} is {status.get(field)} and in truth {real.get(field, 0)}"
    numbers = [real.get(field, 0) for field in ("replicas", "readyReplicas", "updatedReplicas")]
    if real.get("observedGeneration") != deployment["metadata"]["generation"] or numbers != [asked] * 3:
        yield f"it says Ready, and {numbers} of {asked} replicas are there, ready and new"


def content(sent):
    """What was asked for, without whom it was asked of."""
    metadata = {k: v for k, v in sent["metadata"].items() if k not in ("uid", "resourceVersion")}
    return json.dumps({**sent, "metadata": metadata}, sort_keys=True)


def written_state(answer, subresource):
    """What a write of ours would have moved: the time of our entry in the managed fields, the generation,
    and where nobody else writes the version."""
    metadata = answer["metadata"]
    times = [
        entry["time"]
        for entry in metadata.get("managedFields", [])
        if entry["manager"] == MANAGER and entry.get("subresource") == subresource
    ]
    alone = answer["kind"] in ("ConfigMap", "Service")
    # A generation that moves between two writes of status is the user's doing.
    generation = None if subresource else metadata.get("generation")
    return times, generation, metadata["resourceVersion"] if alone else None


def cpu_seconds(process):
    """What a process has used of the processors."""
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Mover(threading.Thread):
    """Changes DpuServices one after the other, so that there is always something to write; for a
    `with`."""

    def __init__(self, world, names, every=0.1):
        super().__init__(daemon=True)
        self.world = world
        self.names = names
        self.every = every
        self.ending = threading.Event()
        self.error = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.ending.set()
        self.join(30)
        if self.error and kind is None:
            raise self.error

    def run(self):
        try:
            for number, name in enumerate(itertools.cycle(self.names)):
                if self.ending.wait(self.every):
                    return
                spec = {"replicas": number % 3 + 1, "egress": {"latency": {"value": f"{number % 90 + 1}ms"}}}
                self.world.patch("DpuService", name, {"spec": spec})
        except Exception as error:  # pylint: disable=broad-except  # told when the context is left
            self.error = error


# ---- one writer, from the audit log ----


def interval(event):
    """When the API server had a request: (received, answered), as texts that sort."""
    return event["requestReceivedTimestamp"], event["stageTimestamp"]


def one_writer(world, mark):
    """Proves that there were never two writers, and that who wrote held the lease; {writes, terms}."""
    user = f"system:serviceaccount:{operatorkit.NAMESPACE}:{operatorkit.ACCOUNT}"
    everything = world.cluster.audit(mark, user=user, writes=True)
    # Refused ones too: they were sent.
    writes = [event for event in everything if event["objectRef"].get("namespace") == world.namespace]
    writes.sort(key=interval)
    takings = taken_leases(world, everything)
    last = {}  # credential: when its last write was answered
    for event in writes:
        ours = audit.credential(event)
        for other, until in last.items():
            assert other == ours or until < interval(event)[0], (
                f"two writers at a time: {describe(event)} of {ours} began before {until}, when {other} ended"
            )
        last[ours] = max(last.get(ours, ""), interval(event)[1])
        held = [taking for taking in takings if interval(taking)[1] <= interval(event)[1]]
        holder = audit.credential(held[-1]) if held else None
        assert holder == ours, f"{describe(event)} is of {ours}, when {holder} held the lease"
    terms = [credential for credential, _ in itertools.groupby(writes, audit.credential)]
    return {"writes": len(writes), "terms": len(terms)}


def taken_leases(world, events):
    """Accepted writes by which somebody became the holder of the lease, oldest first."""
    found, holder = [], None
    for event in events:
        target, answer = event["objectRef"], event.get("responseObject", {})
        if target["resource"] != "leases" or target.get("name", world.lease_name) != world.lease_name:
            continue
        if event["responseStatus"]["code"] >= 300 or answer.get("metadata", {}).get("name") != world.lease_name:
            continue
        identity = answer["spec"].get("holderIdentity", "")
        if identity and identity != holder:
            found.append(event)
        holder = identity
    return sorted(found, key=lambda event: int(event["responseObject"]["metadata"]["resourceVersion"]))
