"""Changes under load, with one-shot clients as the original has: each connection may reach any pod, so every moment counts in
which a node still sends to one that is gone. Every request must be answered, unless the agent that had it was killed."""

import json
import os
import signal
import time

import pytest
from containers import ctr
from mubenchkit import books
from nodekit import OPERATOR, SYSTEM, Load, burst, container_pid, dpu
from processes import eventually

# So many clients, each of which has a request under way at any time.
CLIENTS = 20


def generation(space, name="s0"):
    return space.kubectl("get", f"deployment/{name}-dpu", "-o", "jsonpath={.metadata.generation}")


def pods_gone(space, names):
    return not set(names) & {pod["metadata"]["name"] for pod in space.pods()}


def asked(space, count):
    """Waits until the pods that are there have answered so many more requests."""

    def answered():
        return books(space.node, {"s0": space.name})["s0"].total("dpumesh_requests_total")

    before = answered()
    eventually(lambda: answered() >= before + count, 60, f"{count} requests are not answered")


@pytest.fixture
def three(space):
    """A namespace with three replicas of s0."""
    return space.deploy(dpu(replicas=3))


def test_scaling_down_loses_nothing(space):
    space.deploy(dpu(replicas=5))
    before = space.ready()
    with Load(space.target(), concurrency=CLIENTS) as load:
        asked(space, 1000)
        space.scale(1)
        eventually(lambda: len(space.pods()) == 1, 60, "the other pods stay")
        asked(space, 500)
    load.assert_clean(least=1500)
    assert len(before) == 5 and len(space.ready()) == 1


def test_the_load_sees_what_is_lost(space):
    """Agents that drain at once, as ours did: the same change must fail, or the other tests tell nothing."""
    space.deploy(dpu(replicas=5, limits={"shutdownDelay": "0s"}))
    lost = 0
    for _ in range(4):  # once in a while the node is quick enough
        with Load(space.target(), concurrency=CLIENTS) as load:
            asked(space, 1000)
            space.scale(1)
            eventually(lambda: len(space.pods()) == 1, 60, "the other pods stay")
        lost += sum(load.refusals().values())
        if lost >= 5:
            return
        space.scale(5, settle=60)
    raise AssertionError(f"{lost} lost: {load.result}")


def test_scaling_down_loses_nothing_over_http(space):
    """Kept connections: an agent that leaves tells its clients with an answer that it closes them."""
    space.deploy(dpu(replicas=3))
    with Load(space.target(port=8080), concurrency=CLIENTS) as load:
        asked(space, 1000)
        space.scale(1)
        eventually(lambda: len(space.pods()) == 1, 60, "the other pods stay")
        asked(space, 500)
    load.assert_clean(least=1500)
    assert CLIENTS < load.result["connections_made"] < 10 * CLIENTS, "kept connections"


def test_a_rolling_update_loses_nothing(three):
    """Another configuration makes other pods."""
    before = three.ready()
    with Load(three.target(), concurrency=CLIENTS) as load:
        asked(three, 1000)
        latency = {"latency": {"distribution": "constant", "value": "30ms"}}
        three.kubectl("patch", "dpu/s0", "--type=merge", "-p", json.dumps({"spec": {"egress": latency}}))
        eventually(lambda: pods_gone(three, before) and len(three.ready()) == 3, 90, "the old pods stay")
        asked(three, 500)
    load.assert_clean(least=1500)
    # All answers of now come from the new pods.
    status, result = burst(three.target(), "--concurrency", CLIENTS, "--requests", "200")
    assert status == 0 and result["latency_us"]["p50"] > 30000


def test_a_deleted_pod_loses_nothing(three):
    victim, *others = three.ready()
    with Load(three.target(), concurrency=CLIENTS) as load:
        asked(three, 1000)
        three.kubectl("delete", "pod", victim, "--timeout=60s", timeout=70)
        eventually(lambda: len(three.ready()) == 3, 30, "no new pod came")
        asked(three, 500)
    load.assert_clean(least=1500)
    assert set(others) < set(three.ready())


def test_a_killed_agent_costs_what_it_had(three):
    """Its requests under way are lost, and until the kubelet has it running again its address refuses connections. Nobody
    answers wrongly, nobody waits, and after that all is well."""
    pod = three.pods()[0]
    with Load(three.target(), concurrency=CLIENTS) as load:
        asked(three, 1000)
        os.kill(container_pid(pod), signal.SIGKILL)
        eventually(lambda: three.pods()[0] and restarts(three) == 1, 30, "the container was not restarted")
        eventually(lambda: len(three.ready()) == 3, 30, "it did not become ready again")
    refusals = load.refusals()
    assert set(refusals) <= {"refused", "reset", "lost"}, load.result
    assert 1 <= refusals.get("reset", 0) + refusals.get("lost", 0) <= CLIENTS, load.result
    # A third of the connections, of clients that wait longer after each refusal.
    assert refusals.get("refused", 0) < load.result["answered"] / 4, load.result
    status, result = burst(three.target(), "--concurrency", CLIENTS, "--duration", "2s")
    assert status == 0 and result["failed"] == 0, result


def restarts(space):
    return sum(one["restartCount"] for pod in space.pods() for one in pod["status"]["containerStatuses"])


def test_a_restarted_kubelet_loses_nothing(node, three):
    """While it is away nobody notices. When it comes back, Kubernetes (before 1.35) calls every container with a probe not
    ready until its first probe, a second or two: a Service whose pods are all on this node refuses connections for so long,
    whatever runs in them. No agent notices that either, which a load on one pod's own address shows."""
    before = sorted(three.ready())
    with Load(f"tcp://{three.endpoints()[0]}:5005", concurrency=CLIENTS) as pod:
        with Load(three.target(), concurrency=CLIENTS) as load:
            asked(three, 1000)
            node.kubelet.kill()
            time.sleep(3)
            asked(three, 500)
        load.assert_clean(least=1500)
        with Load(three.target(), concurrency=CLIENTS) as load:
            node.kubelet.start()
            eventually(lambda: heartbeat(node), 30, "the kubelet did not come back")
            time.sleep(6)  # two to five seconds after its start it has probed them all
            eventually(lambda: len(three.ready()) == 3 and three.in_force(), 30, "the pods stay not ready")
    pod.assert_clean(least=2000)
    assert set(load.refusals()) <= {"refused"}, load.result
    # Seconds of refusals of clients that wait longer after each, up to 1.3 s.
    assert load.refusals().get("refused", 0) <= 20 * CLIENTS, load.result
    assert sorted(three.ready()) == before and restarts(three) == 0
    assert burst(three.target(), "--concurrency", CLIENTS, "--duration", "1s")[0] == 0
    # And it works: a fourth replica starts.
    three.scale(4, settle=30)


def heartbeat(node):
    """Whether a kubelet that is alive answers on its port."""
    return node.kubelet.alive() and node.run_kubectl("get", "--raw", "/api/v1/nodes/node/proxy/healthz").stdout == "ok"


def test_a_killed_leader_of_the_operators_loses_nothing(operator, three):
    leader = eventually(operator.leader, 30, "nobody leads")
    pod = next(p for p in operator.pods() if p["metadata"]["name"] == leader)
    with Load(three.target(), concurrency=CLIENTS) as load:
        asked(three, 500)
        os.kill(container_pid(pod, "operator"), signal.SIGKILL)
        three.kubectl("patch", "dpu/s0", "--type=merge", "-p", '{"spec": {"replicas": 4}}')
        eventually(lambda: len(three.ready()) == 4, 60, "nobody took over")
        assert operator.leader() is not None
        asked(three, 500)
    load.assert_clean(least=1000)
    assert restarts(three) == 0
    operator.wait_ready()


def test_an_upgraded_operator_loses_nothing(node, operator, three):
    """A new tag of its image: two new operators, the same agents."""
    before, agents = {p["metadata"]["name"] for p in operator.pods()}, generation(three)
    ctr("images", "tag", "--force", "docker.io/library/mubench-dpu-operator:latest",
        "docker.io/library/mubench-dpu-operator:next")  # fmt: skip
    with Load(three.target(), concurrency=CLIENTS) as load:
        asked(three, 1000)
        node.kubectl("-n", SYSTEM, "set", "image", OPERATOR, "operator=mubench-dpu-operator:next")
        operator.wait_ready()
        eventually(lambda: not before & {p["metadata"]["name"] for p in operator.pods()}, 60, "the old operators stay")
        three.kubectl("patch", "dpu/s0", "--type=merge", "-p", '{"spec": {"replicas": 2}}')
        eventually(lambda: len(three.pods()) == 2, 60, "the new operators do nothing")
        asked(three, 500)
    load.assert_clean(least=1500)
    assert restarts(three) == 0 and int(generation(three)) == int(agents) + 1, "only its replicas changed"


pytestmark = pytest.mark.timeout(180)
