"""Chaos on a node: agents killed at random, once a second, under a load from a pod.

    load (a pod) ──► front (x3) ──┬──► middle (x2) ──► callee      middle, callee: killed at random; front: never, so
                                  └──────────────────► (x2)        that each request must be answered

A victim's process gets SIGKILL. Half of the victims, and each whose container was restarted before, lose their pod too: the
kubelet's back-off between restarts is 10 s and more, a new pod has none. In the middle there is an outage: all agents of
callee are killed and it is scaled to 0, until the breaker of each front has opened; then it comes back, and each closes.

tests/e2e/test_local_chaos.py is the same without a cluster, with killed fronts as well. DPUMESH_CHAOS_SECONDS=60 makes the
killing last that long; without it, 20 s. DPUMESH_CHAOS_SEED chooses who is killed when.
"""

import json
import os
import random
import re
import signal
import time
import urllib.request

import pytest
from nodekit import HTTP, burst, container_pid, dpu, load_pod
from processes import eventually

SECONDS = float(os.environ.get("DPUMESH_CHAOS_SECONDS", "20"))
SEED = os.environ.get("DPUMESH_CHAOS_SEED", "1")
KILLED = ("middle", "callee")
CLOSED, OPEN = 0, 2  # dpumesh_circuit_breaker_state


def application():
    quiet = {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 0.2}}

    def service(name, replicas, *groups, timeout="2s"):
        groups = [{"services": group} for group in groups]
        return dpu(
            name,
            replicas,
            workload={"internalService": quiet, "externalServices": groups},
            egress={
                "mode": "forward",
                "timeout": timeout,
                "circuitBreaker": {"failures": 3, "duration": "500ms", "probes": 2},
                "forward": {"connectTimeout": "500ms"},
            },
        )

    return (
        service("front", 3, ["middle"], ["callee"], timeout="5s"),
        service("middle", 2, ["callee"]),
        service("callee", 2),
    )


class Monkey:
    def __init__(self, space):
        self.space = space
        self.dice = random.Random(SEED)
        self.next_kill = time.monotonic()
        self.kills = dict.fromkeys(KILLED, 0)
        self.fronts = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in space.pods("front")}
        self.seen = {name: [] for name in self.fronts}  # states of the breaker for callee, without repetitions

    def delete(self, pod):
        path = f"/api/v1/namespaces/{self.space.name}/pods/{pod['metadata']['name']}"
        self.space.node.client.request("DELETE", f"{path}?gracePeriodSeconds=0")  # it may be gone

    def kill(self, service, pod, forever=False):
        """forever: its pod goes with it."""
        try:
            os.kill(container_pid(pod), signal.SIGKILL)
        except (AssertionError, ProcessLookupError):
            return  # it ended between two questions
        self.kills[service] += 1
        restarted = any(status["restartCount"] for status in pod["status"]["containerStatuses"])
        if self.dice.random() < 0.5 or restarted or forever:
            self.delete(pod)

    def running(self, service):
        names = self.space.ready(service)
        return [pod for pod in self.space.pods(service) if pod["metadata"]["name"] in names]

    def kill_one(self):
        """Once a second a random pod of those that are ready."""
        if time.monotonic() < self.next_kill:
            return
        self.next_kill = time.monotonic() + 1
        found = [(service, pod) for service in KILLED for pod in self.running(service)]
        if found:
            self.kill(*self.dice.choice(found))

    def pages(self):
        """{pod of front: its metrics}"""
        found = {}
        for name, address in self.fronts.items():
            with urllib.request.urlopen(f"http://{address}:{HTTP}/metrics", timeout=30) as answer:
                found[name] = answer.read().decode()
        return found

    def idle(self):
        """Whether nothing is under way in any front: a request that hangs would be."""
        gauges = "dpumesh_requests_in_flight|dpumesh_egress_in_flight|dpumesh_forward_waiting"
        found = [re.findall(rf"^({gauges})(?:{{.*}})? (\S+)$", text, re.M) for text in self.pages().values()]
        assert all({name for name, _ in one} == set(gauges.split("|")) for one in found)
        return all(float(value) == 0 for one in found for _, value in one)

    def states(self):
        """{pod of front: {destination: (state, times opened)}}"""
        found = {}
        for name, text in self.pages().items():
            state, opened = (
                {callee: float(value) for callee, value in re.findall(rf'^{family}{{destination="(\w+)"}} (\S+)$', text, re.M)}
                for family in ("dpumesh_circuit_breaker_state", "dpumesh_circuit_breaker_opened_total")
            )
            found[name] = {callee: (state[callee], opened[callee]) for callee in state}
        return found

    def look(self):
        for name, breakers in self.states().items():
            state, _ = breakers["callee"]
            if self.seen[name][-1:] != [state]:
                self.seen[name].append(state)

    def until(self, check, seconds, what):
        """Goes on killing and looking until check() holds."""
        end = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < end, f"{what}: {self.seen}"
            self.kill_one()
            self.look()
            time.sleep(0.1)

    def wait(self, seconds):
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, seconds + 60, "cannot happen")

    def outage(self):
        self.seen = {name: [] for name in self.fronts}
        before = self.states()
        self.space.scale(0, "callee")
        for pod in self.running("callee"):
            self.kill("callee", pod, forever=True)
        self.until(lambda: all(OPEN in states for states in self.seen.values()), 60, "a breaker did not open")
        after = self.states()
        for name in self.fronts:
            assert after[name]["callee"][1] > before[name]["callee"][1], (name, before, after)
        self.seen = {name: [] for name in self.fronts}
        self.space.scale(2, "callee")
        self.until(lambda: all(CLOSED in states for states in self.seen.values()), 120, "a breaker did not close")

    def heal(self):
        """Without kills: until all is there and all breakers are closed."""
        for service, count in (("middle", 2), ("callee", 2)):
            eventually(lambda service=service, count=count: len(self.space.ready(service)) == count, 90)

        def closed():
            return all(state == CLOSED for breakers in self.states().values() for state, _ in breakers.values())

        eventually(closed, 60, "a breaker stays open", every=0.5)


@pytest.mark.timeout(400 + 2 * SECONDS)
def test_agents_are_killed_at_random(node, space):
    space.apply(*application())
    for service in ("front", *KILLED):
        space.wait_ready(service, timeout=180)
    monkey = Monkey(space)
    space.apply(load_pod("load", "--rate", "100", "--concurrency", "8", "--duration", "1h", "--timeout", "60s", "tcp://front:5005"))

    def load():
        return node.api("GET", f"/api/v1/namespaces/{space.name}/pods/load")

    eventually(lambda: load()["status"]["phase"] == "Running", 60, "the load does not run")
    eventually(lambda: all("callee" in breakers for breakers in monkey.states().values()), 60, "not all fronts are asked")
    monkey.wait(SECONDS / 2)
    monkey.outage()
    monkey.wait(SECONDS / 2)
    monkey.heal()
    os.kill(container_pid(load(), "load"), signal.SIGINT)
    eventually(lambda: load()["status"]["phase"] not in ("Pending", "Running"), 90, "the load does not end")
    counted = json.loads(space.kubectl("logs", "load"))
    print(f"seed {SEED}: {monkey.kills} killed; {counted['requests']} requests, {counted['status']}")
    assert all(monkey.kills.values())
    assert counted["failed"] == counted["errors"]["doubled"] == 0, counted
    assert counted["requests"] > 100 * SECONDS / 2
    assert counted["requests"] - counted["answered"] <= 8, "one a client, under way when the load was told to end"
    eventually(monkey.idle, 60, "a request hangs")
    assert set(counted["status"]) <= {"200", "500", "504"}, counted["status"]
    assert counted["status"]["200"] and counted["status"]["500"], counted["status"]
    status, after = burst(space.target("front"), "--concurrency", "1", "--requests", "200")
    assert (status, after["status"]) == (0, {"200": 200}), after
    restarts = [s["restartCount"] for pod in space.pods("front") for s in pod["status"]["containerStatuses"]]
    assert restarts == [0, 0, 0] and {pod["metadata"]["name"] for pod in space.pods("front")} == set(monkey.fronts)
