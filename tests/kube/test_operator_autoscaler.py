"""spec.autoscaling.engine builtin: the operator asks agents, decides, and sets spec.replicas. The agents are
a server of the test's on loopback, the cluster is real."""

import itertools
import json
import threading
import time

import pytest

import pods
from agents import Agents
from faults import Answer, Rule
from operatorkit import QUICK_LEASE
from processes import eventually
from specs import dpu_service

HPAS = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"
LOOK = 0.5
FLAGS = {"autoscale_interval": f"{LOOK}s", "scrape_timeout": "450ms"}
# Rates over half a second are coarse.
QUICK = {
    "scaleUp": {"tolerance": 0.3},
    "scaleDown": {"stabilizationWindowSeconds": 2, "tolerance": 0.3},
}


def scaled(name="s0", signal="requestsPerSecond", target=50, **more):
    """A DpuService that is scaled from 1 to 8."""
    percent = signal in ("queueOccupancy", "dpuUtilization")
    metric = {"signal": signal, "averageUtilization" if percent else "averageValue": target}
    scaling = {"maxReplicas": 8, "metrics": [metric], "behavior": QUICK, "panic": {"stableWindowSeconds": 0}}
    return dpu_service(name, autoscaling={**scaling, **more.pop("autoscaling", {})}, **more)


class World:
    """A system with agents that are as many as the Deployment wants."""

    def __init__(self, system, agents):
        self.system, self.agents = system, agents

    def replicas(self, name="s0"):
        return self.system.dpu(name)["spec"]["replicas"]

    def settle(self):
        """The agents of pods that are gone serve nothing any more."""
        found = self.system.client.get(f"/api/v1/namespaces/{self.system.namespace}/pods")["items"]
        self.agents.keep(one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"])

    def becomes(self, wanted, name="s0", timeout=30.0):
        """Waits until spec.replicas is so many, or in a range."""
        wanted = wanted if isinstance(wanted, range) else range(wanted, wanted + 1)

        def so():
            self.settle()
            return self.replicas(name) in wanted

        eventually(so, timeout, lambda: f"{self.replicas(name)} replicas, {self.system.conditions(name)}\n{self.said()}")

    def stays(self, wanted, seconds, name="s0"):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.settle()
            assert self.replicas(name) == wanted, self.system.conditions(name)
            time.sleep(0.1)

    def all_ready(self, name="s0"):
        """Waits until as many agents serve as are wanted, and status says so."""

        def so():
            self.settle()
            status = self.system.status(name)
            count = self.replicas(name)
            wanted = self.system.get("Deployment", f"{name}-dpu")["spec"]["replicas"]
            return status["desiredReplicas"] == status["readyReplicas"] == len(self.agents.counters) == wanted == count

        eventually(so, what=lambda: f"{self.system.status(name)}, {self.agents.counters}")

    def said(self):
        return self.system.said()[-4000:]

    def events(self, reason):
        path = f"/apis/events.k8s.io/v1/namespaces/{self.system.namespace}/events"
        return [one for one in self.system.client.get(path)["items"] if one["reason"] == reason]


@pytest.fixture
def world(system):
    with Agents(system.client, system.namespace) as agents:
        yield World(system, agents)
        # Before the agents go, so that no operator asks for them.
        system.stop()


def test_follows_the_load(world):
    """Up when load comes, and down when it goes and the window has passed; it is said why, in status and as an event."""
    system, agents = world.system, world.agents
    operator = system.operator(**FLAGS)
    agents.load = 40
    system.apply(scaled())
    found = system.condition("s0", "Autoscaling", "True", reason="DesiredWithinRange")
    assert "requestsPerSecond is" in found["message"] and "target 50" in found["message"]
    assert found["observedGeneration"] == system.dpu("s0")["metadata"]["generation"]
    agents.load = 200
    world.becomes(range(4, 6))
    reached = world.replicas()
    world.all_ready()
    assert eventually(lambda: world.events("SuccessfulRescale"))[0]["regarding"]["name"] == "s0"
    assert any("instead of 1; reason: " in one["note"] for one in world.events("SuccessfulRescale"))
    before = time.monotonic()
    agents.load = 40
    world.becomes(1)
    assert time.monotonic() - before >= 1.5, "the scale-down window is 2 s"
    assert reached <= 8
    metrics = operator.metrics()
    assert metrics['dpumesh_operator_rescales_total{direction="up"}'] >= 1
    assert metrics['dpumesh_operator_rescales_total{direction="down"}'] >= 1
    assert metrics["dpumesh_operator_autoscaled_services"] == 1
    assert metrics['dpumesh_operator_scrapes_total{result="ok"}'] > 0
    system.converged("s0")


def test_writes_nothing_when_nothing_changes(world):
    """Looks are many, writes none; figures that change do not change status with every look."""
    system, agents = world.system, world.agents
    system.operator(**FLAGS)
    agents.load = 90
    system.apply(scaled())
    world.becomes(2)
    system.condition("s0", "Ready", "True")
    system.condition("s0", "Autoscaling", "True")
    system.quiet(1.5)
    asked = agents.asked
    system.quiet(2)
    assert agents.asked - asked >= 2 * 2


@pytest.mark.parametrize(
    ("signal", "target", "say"),
    [
        ("inFlight", 10, {"in_flight": 40.0}),
        ("queueOccupancy", 10, {"depth": 512}),
        ("cpu", "500m", {"load": 200, "seconds": 0.01}),
    ],
)
def test_signals(world, signal, target, say):
    """The others: what is in flight, how full the queue is, processor use by value."""
    world.system.operator(**FLAGS)
    world.system.apply(scaled(signal=signal, target=target))
    world.system.condition("s0", "Autoscaling", "True")
    assert world.replicas() == 1
    for name, value in say.items():
        setattr(world.agents, name, value)
    world.becomes(range(4, 9))
    assert f"{signal} is" in world.system.condition("s0", "Autoscaling", "True")["message"]


def test_unknown_is_not_zero(world):
    """Agents that do not answer are not idle: nothing is taken away, and it is said."""
    system, agents = world.system, world.agents
    operator = system.operator(**FLAGS)
    agents.load = 200
    system.apply(scaled())
    world.becomes(range(4, 6))
    world.all_ready()
    count = world.replicas()
    agents.silent = set(agents.addresses.values())
    agents.load = 0
    system.condition("s0", "Autoscaling", "False", reason="FailedComputeMetricsReplicas")
    world.stays(count, 4)
    assert operator.metrics()['dpumesh_operator_scrapes_total{result="timeout"}'] > 0
    agents.silent = set()
    world.becomes(1)


def test_an_agent_without_the_figure(world):
    """No agent has modelled DPU units here: no opinion, no change."""
    world.system.operator(**FLAGS)
    document = scaled(signal="dpuUtilization", target=50, replicas=3)
    world.system.kubectl("apply", "-f", "-", input=json.dumps(document))
    found = world.system.condition("s0", "Autoscaling", "False", reason="FailedComputeMetricsReplicas")
    assert "dpuUtilization" in found["message"]
    world.stays(3, 4)


def test_bounds(world):
    """minReplicas and maxReplicas hold, whatever the load."""
    system, agents = world.system, world.agents
    system.operator(**FLAGS)
    agents.load = 4000
    system.apply(scaled(autoscaling={"minReplicas": 2, "maxReplicas": 3}))
    world.becomes(3)
    system.condition("s0", "Autoscaling", "True", reason="TooManyReplicas")
    agents.load = 0
    world.becomes(2)
    world.stays(2, 1)
    # Bounds that move.
    system.patch("DpuService", "s0", {"spec": {"autoscaling": {"minReplicas": 3}}})
    world.becomes(3)


def test_stopped_by_a_person(world):
    """replicas: 0 is somebody's will: it stays, and the reason is said. Started again, it is scaled again."""
    system, agents = world.system, world.agents
    system.operator(**FLAGS)
    agents.load = 200
    system.apply(scaled())
    world.becomes(range(4, 6))
    system.kubectl("scale", "dpu/s0", "--replicas=0")
    system.condition("s0", "Autoscaling", "False", reason="ScalingDisabled")
    world.stays(0, 2)
    system.condition("s0", "Ready", "True", reason="ScaledToZero")
    system.kubectl("scale", "dpu/s0", "--replicas=1")
    world.becomes(range(4, 6))


def test_a_persons_number_is_where_it_begins(world):
    """kubectl scale is no rival: the autoscaler goes on from there, as a HorizontalPodAutoscaler does."""
    system, agents = world.system, world.agents
    system.operator(**FLAGS)
    agents.load = 90
    system.apply(scaled())
    world.becomes(2)
    system.kubectl("scale", "dpu/s0", "--replicas=6")
    world.becomes(2)
    assert system.conditions("s0")["Autoscaling"]["status"] == "True"


def test_an_hpa_of_somebodys(world):
    """It is seen before it writes, is left alone, and when it goes the autoscaler is back."""
    system, agents = world.system, world.agents
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "mine"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "dpumesh.io/v1alpha1", "kind": "DpuService", "name": "s0"},
            "maxReplicas": 3,
        },
    }
    system.client.api("POST", HPAS.format(system.namespace), hpa)
    system.operator(**FLAGS)
    agents.load = 200
    mark = system.cluster.audit_mark()
    system.apply(scaled())
    found = system.condition("s0", "Autoscaling", "False", reason="ScaledByOthers")
    assert "the HorizontalPodAutoscaler mine scales it" in found["message"]
    time.sleep(2)
    assert not system.writes(mark, resource="dpuservices", subresource="scale")
    system.client.api("DELETE", f"{HPAS.format(system.namespace)}/mine")
    world.becomes(range(4, 6))


def test_another_controller(world):
    """One that scales the DpuService through its scale subresource owns the number until a person takes it."""
    system, agents = world.system, world.agents
    system.operator(**FLAGS)
    agents.load = 90
    system.kubectl("apply", "-f", "-", input=json.dumps(scaled(replicas=1)))
    world.becomes(2)
    scale = system.path("DpuService", "s0") + "/scale"
    system.client.api("PATCH", scale, {"spec": {"replicas": 7}}, fieldManager="my-scaler")
    found = system.condition("s0", "Autoscaling", "False", reason="ScaledByOthers")
    assert "my-scaler sets spec.replicas" in found["message"]
    world.stays(7, 2)
    system.kubectl("scale", "dpu/s0", "--replicas=6")
    world.becomes(2)


def test_a_rival_without_a_mark(world):
    """Nobody is recorded where no manager has spec.replicas. Who takes our number back three times is left alone,
    and that is said."""
    system, agents = world.system, world.agents
    system.operator(**FLAGS)
    agents.load = 90
    quick = {"scaleUp": {"tolerance": 0.3}, "scaleDown": {"stabilizationWindowSeconds": 0, "tolerance": 0.3}}
    system.apply(scaled(autoscaling={"behavior": quick}))
    scale = system.path("DpuService", "s0") + "/scale"
    for _ in range(3):
        world.becomes(2)
        system.client.api("PATCH", scale, {"spec": {"replicas": 7}}, fieldManager="silent-scaler")
    found = system.condition("s0", "Autoscaling", "False", reason="ScaledByOthers")
    assert "somebody else set spec.replicas 3 times" in found["message"]
    world.stays(7, 3)
    # 60 looks later it is tried again.
    world.becomes(2, timeout=60 * LOOK + 20)


def test_an_applier_with_replicas(world):
    """GitOps that applies spec.replicas says that the number is its own."""
    system, agents = world.system, world.agents
    document = scaled()
    document["spec"]["replicas"] = 3
    system.client.apply(system.path("DpuService", "s0"), document, manager="gitops")
    system.operator(**FLAGS)
    agents.load = 300
    found = system.condition("s0", "Autoscaling", "False", reason="ScaledByOthers")
    assert "gitops sets spec.replicas; leave it out there" in found["message"]
    world.stays(3, 2)


def test_the_leader_is_killed(world):
    """The next one goes on from what there is: nothing is taken away at once."""
    system, agents = world.system, world.agents
    slow = {"scaleUp": {"tolerance": 0.3}, "scaleDown": {"stabilizationWindowSeconds": 8, "tolerance": 0.3}}
    flags = {**FLAGS, **{name.replace("-", "_"): value for name, value in QUICK_LEASE.items()}}
    first = system.operator(**flags)
    second = system.prepared(**flags).start()
    agents.load = 200
    system.apply(scaled(autoscaling={"behavior": slow}))
    world.becomes(range(4, 6))
    count = world.replicas()
    system.condition("s0", "Autoscaling", "True")
    first.killed()
    agents.load = 40
    second.wait_leading()
    mark = time.monotonic()
    assert "Autoscaling" in system.conditions("s0"), "what was known stays until more is"
    world.stays(count, 3)
    world.becomes(1)
    assert time.monotonic() - mark >= 5, "the scale-down window is 8 s, and begins anew with the leader"


def test_engine_changes(world):
    """From builtin to hpa and back: one decision, one owner."""
    system, agents = world.system, world.agents
    system.operator(**FLAGS)
    agents.load = 200
    system.apply(scaled())
    world.becomes(range(4, 6))
    body = {"spec": {"autoscaling": {"engine": "hpa", "panic": None, "behavior": None}}}
    system.patch("DpuService", "s0", body)
    eventually(lambda: system.get("HorizontalPodAutoscaler", "s0-dpu"))
    # Nobody serves pods metrics here, and the HPA says so; so does the DpuService.
    system.condition("s0", "Autoscaling", "False", reason="FailedGetPodsMetric", timeout=60)
    count = world.replicas()
    agents.load = 400
    world.stays(count, 2)
    system.patch("DpuService", "s0", {"spec": {"autoscaling": {"engine": "builtin", "behavior": QUICK}}})
    eventually(lambda: system.get("HorizontalPodAutoscaler", "s0-dpu") is None)
    world.becomes(8)
    system.patch("DpuService", "s0", {"spec": {"autoscaling": None}})
    eventually(lambda: "Autoscaling" not in system.conditions("s0"))


def test_a_write_that_is_refused(world):
    """What the API server says is in the condition and in an event, and it is tried again."""
    system, agents = world.system, world.agents
    policy = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    binding = policy.replace("policies", "policybindings")
    name = f"no-scaling-{system.namespace}"
    match = {
        "apiGroups": ["dpumesh.io"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["dpuservices/scale"],
    }  # fmt: skip
    selector = {"matchLabels": {"kubernetes.io/metadata.name": system.namespace}}
    system.client.api("POST", policy, {
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [match], "namespaceSelector": selector},
            "validations": [{"expression": "false", "message": "not on a Friday"}],
        },
    })  # fmt: skip
    system.client.api("POST", binding, {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}})
    try:
        operator = system.operator(**FLAGS)
        system.apply(scaled())
        system.condition("s0", "Autoscaling", "True")
        scale = system.path("DpuService", "s0") + "/scale"
        eventually(lambda: system.client.request("PATCH", f"{scale}?dryRun=All", {"spec": {"replicas": 2}})[0] == 422)
        agents.load = 200
        found = system.condition("s0", "Autoscaling", "False", reason="FailedUpdateScale")
        assert "not on a Friday" in found["message"]
        assert eventually(lambda: world.events("FailedRescale"))
        assert operator.metrics()["dpumesh_operator_rescale_failures_total"] >= 1
        assert world.replicas() == 1
    finally:
        system.client.api("DELETE", f"{binding}/{name}")
        system.client.api("DELETE", f"{policy}/{name}")
    world.becomes(range(4, 6))


@pytest.fixture
def spoiled(system, proxy):
    """A world whose operator speaks to the API server through a proxy that can spoil answers."""
    proxy.plan()
    with Agents(system.client, system.namespace) as agents:
        system.prepared(url=proxy.url, **FLAGS).start()
        yield World(system, agents)
        system.stop()


FAST = [{"type": "Pods", "value": 8, "periodSeconds": 1}]
AT_ONCE = {"scaleUp": {"policies": FAST}, "scaleDown": {"stabilizationWindowSeconds": 0, "policies": FAST}}


def test_an_answer_that_is_lost(spoiled, proxy):
    """A write that was carried out is ours, whatever became of its answer: nobody is taken for a rival."""
    system, agents = spoiled.system, spoiled.agents
    agents.in_flight = 5
    system.apply(scaled(signal="inFlight", target=10, autoscaling={"behavior": AT_ONCE}))
    system.condition("s0", "Autoscaling", "True")
    for _ in range(3):
        proxy.plan()
        agents.in_flight = 40
        spoiled.becomes(4)
        spoiled.all_ready()
        proxy.plan(Rule(Answer(504, performed=True), method="PATCH", path="/scale", times=1))
        agents.in_flight = 5
        spoiled.becomes(1)
        spoiled.all_ready()
    spoiled.stays(1, 3 * LOOK)
    assert system.conditions("s0")["Autoscaling"]["status"] == "True", system.conditions("s0")


def test_owners_that_cannot_be_asked_for(spoiled, proxy):
    """As long as it is not known who else scales, nothing is decided, and that is said."""
    system, agents = spoiled.system, spoiled.agents
    # Those of everybody, which only the autoscaler lists.
    everybody = r"/horizontalpodautoscalers\?(?!.*labelSelector)"
    proxy.plan(Rule(Answer(403, "Forbidden", "no HPAs for you"), method="GET", path=everybody))
    agents.in_flight = 40
    system.apply(scaled(signal="inFlight", target=10, autoscaling={"behavior": AT_ONCE}))
    found = system.condition("s0", "Autoscaling", "False", reason="FailedGetScale")
    assert "no HPAs for you" in found["message"]
    spoiled.stays(1, 3 * LOOK)
    proxy.plan()
    spoiled.becomes(4)


def test_a_write_beside_others(world):
    """Status and labels that change all the time, as in a burst, do not keep the number from being set."""
    system, agents = world.system, world.agents
    system.operator(**FLAGS)
    system.apply(scaled(signal="inFlight", target=10, autoscaling={"behavior": AT_ONCE}))
    system.condition("s0", "Autoscaling", "True")
    # The look takes as long as its slowest agent, and is never older than what comes meanwhile.
    ending = threading.Event()

    def touch():
        for number in itertools.count():
            if ending.wait(0.02):
                return
            system.patch("DpuService", "s0", {"metadata": {"annotations": {"example.org/turn": str(number)}}})

    thread = threading.Thread(target=touch)
    thread.start()
    try:
        agents.in_flight = 40
        world.becomes(4)
    finally:
        ending.set()
        thread.join()


def test_silent_ones_of_others_take_no_time(world):
    """A DpuService whose agents are all silent, more of them than there is time for, and one that is scaled all the same."""
    system, agents = world.system, world.agents
    system.operator(**FLAGS, scrape_connections=1)
    many = scaled("mute", signal="inFlight", target=10, autoscaling={"minReplicas": 6})
    system.apply(many)
    eventually(lambda: len(agents.counters) == 6)
    agents.silent = set(agents.counters)
    system.condition("mute", "Autoscaling", "False", reason="FailedComputeMetricsReplicas")
    system.apply(scaled(signal="inFlight", target=10, autoscaling={"behavior": AT_ONCE}))
    system.condition("s0", "Autoscaling", "True")
    agents.in_flight = 280  # shared by seven
    world.becomes(4)
    world.stays(6, 2 * LOOK, "mute")


def test_pods_that_are_not_ready(world):
    """They get no requests: on the way down they count for nothing, and are not called silent."""
    system, agents = world.system, world.agents
    system.operator(**FLAGS)
    agents.in_flight = 60
    system.apply(scaled(signal="inFlight", target=10, autoscaling={"behavior": AT_ONCE}))
    world.becomes(6)
    world.all_ready()
    agents.only = lambda pod: False
    for pod in system.pods("s0", 6)[:3]:
        pods.make_waiting(system.client, pod, "CrashLoopBackOff", restarts=3)
    agents.in_flight = 20
    world.becomes(range(1, 3))
    assert "silent" not in system.conditions("s0")["Autoscaling"]["message"]


def test_made_anew_under_its_name(world):
    """A DpuService that was deleted and is here again is another one: nothing of its predecessor counts."""
    system, agents = world.system, world.agents
    system.operator(**FLAGS)
    agents.in_flight = 60
    document = scaled(signal="inFlight", target=10, autoscaling={"behavior": AT_ONCE})
    system.apply(document)
    world.becomes(6)
    system.delete("DpuService", "s0")
    system.gone("s0", timeout=60)
    world.settle()
    agents.in_flight = 5
    system.apply(document)
    system.condition("s0", "Autoscaling", "True")
    world.stays(1, 2 * LOOK)
    agents.in_flight = 40
    world.becomes(4)
