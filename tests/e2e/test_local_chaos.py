"""Chaos: an application of real calls whose replicas are killed at random, once a second, while clients ask.

      front ──┬──► middle ───────────► callee        front, middle, callee: killed at random (SIGKILL)
      (x4)    └──► steady ──┬────────►   (x3)        steady, leaf: never killed, the survivors that are sure;
                     (x2)   └──► leaf (x2)           any other replica survives as long as luck has it
      front also calls callee itself

The supervisor starts a killed replica again after its back-off (100 ms, doubled with each death, docs/local-mode.md). Every few
seconds there is an *outage*: all replicas of callee are killed in one moment, and callee is scaled to 0 so that they
stay away for as long as breakers need; the sockets stay open, so calls are first reset and then time out. A replica of front and
one of middle whose breaker was seen open are then spared until it was seen closed: else it might be killed just before, and
nothing could be said. The claims:

    every request is answered, nothing hangs           Clients; what "answered" means: chaoskit.py
    statuses and messages are documented ones          Clients
    a connection ends only with its replica            Clients
    breakers open when a callee is away, and close     each outage, on the survivors' /metrics: opened_total rises, state is
                                                       seen 2, and later 0, in the same process
    the application recovers                           at the end every breaker is closed, 200 requests in a row are 200
    no process ends but by our kill, none is left      the supervisor's own words
    nothing is left in flight                          gauges are 0
    both ends of an edge agree                         see agree()

DPUMESH_CHAOS_SECONDS=60 makes it last that long; without it, 20 s. DPUMESH_CHAOS_SEED chooses who is killed when.
"""

import os
import random
import re
import time

import pytest

from agentkit import PATH, SANITIZER
from chaoskit import HANGS, Application, Breakers, Bridge, Clients, Web
from conftest import ask, eventually
from test_local_forward import edges, real, scrape  # noqa: F401  a fixture

SECONDS = float(os.environ.get("DPUMESH_CHAOS_SECONDS", "20"))
SEED = os.environ.get("DPUMESH_CHAOS_SEED", "1")
CLIENTS = 8
CALM = 3.0  # seconds before each outage, with kills
KILLED = ("front", "middle", "callee")
CALLERS = ("front", "middle", "steady")
BREAKER = {"failures": 3, "duration": "500ms", "probes": 2}


def application(breaker=BREAKER):
    def service(replicas, *groups, timeout="2s", destinations=()):
        return {
            "replicas": replicas,
            "workload": {
                "internalService": {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 0.2}},
                "externalServices": [{"services": group} for group in groups],
            },
            "datapath": {"mode": "direct"},
            "egress": {
                "mode": "forward",
                "timeout": timeout,
                "circuitBreaker": breaker,
                "forward": {"connectTimeout": "500ms"},
                "destinations": list(destinations),
            },
        }

    # leaf is never away: a call to it that is slow because the machine is must not make the books differ.
    patient = [{"name": "leaf", "mode": "forward", "timeout": "60s"}]
    return {
        "front": service(4, ["middle"], ["steady"], ["callee"], timeout="5s"),
        "middle": service(4, ["callee"]),
        "steady": service(2, ["callee"], ["leaf"], destinations=patient),
        "callee": service(3),
        "leaf": service(2),
    }


class Monkey:
    """Kills, looks at breakers, and does both in one thread, so that who is looked at lives."""

    def __init__(self, local):
        self.application = Application(local)
        self.dice = random.Random(SEED)
        self.breakers = Breakers("callee")
        self.spared = {}  # service: pid
        self.next_kill = time.monotonic()
        self.kills = dict.fromkeys(KILLED, 0)

    def kill(self, service, replica):
        self.kills[service] += self.application.kill(service, replica, "front")

    def kill_one(self):
        """Once a second a random replica that may be killed, ready or not."""
        if time.monotonic() < self.next_kill:
            return
        self.next_kill += 1
        found = [one for one in self.application.replicas(*KILLED) if one[1]["pid"] not in self.spared.values()]
        if found:
            self.kill(*self.dice.choice(found))

    def look(self):
        """{pid: state} of the callers that are ready."""
        return {
            pid: self.breakers.look(service, pid, metrics)
            for service, pid, metrics in self.application.metrics(*CALLERS)
        }

    def until(self, check, seconds, what):
        """Goes on killing and looking until check() holds."""
        end = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < end, f"{what}: {self.breakers.states}, spared {self.spared}"
            self.kill_one()
            self.look()
            time.sleep(0.1)

    def wait(self, seconds):
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, HANGS, "cannot happen")

    def opened(self):
        """Whether a breaker of each kind of caller opened; one of those that may be killed is spared from then on."""
        of = {service: self.breakers.opened(service) for service in CALLERS}
        for service in set(CALLERS) & set(KILLED):
            alive = [pid for pid in of[service] if pid not in self.application.killed]
            if alive:
                self.spared.setdefault(service, alive[0])
        return bool(of["steady"]) and all(service in self.spared for service in ("front", "middle"))

    def closed(self):
        """Whether those are closed again that survive for sure: all of steady that opened, and the spared ones."""
        of = {**self.breakers.opened("steady")}
        of |= {pid: self.breakers.opened(service)[pid] for service, pid in self.spared.items()}
        self.application.nudge(*[pid for pid, closed in of.items() if not closed])
        return all(of.values())

    def outage(self):
        """callee is away until breakers have opened; then it comes back, and they close."""
        self.look()
        self.breakers.begin()
        for service, replica in self.application.replicas("callee"):
            self.kill(service, replica)
        self.application.scale("callee", 0)
        self.until(self.opened, 2 * HANGS, "no breaker opened")
        self.application.scale("callee", 3)
        self.until(self.closed, 2 * HANGS, "a breaker did not close")
        self.spared = {}

    def heal(self, count):
        """Without kills: until all replicas are there, and all breakers of those that have called are closed."""
        eventually(lambda: len(self.application.replicas(ready=True)) == count, 2 * HANGS)

        def all_closed():
            bad = [pid for pid, state in self.look().items() if state]
            self.application.nudge(*bad)
            return not bad

        eventually(all_closed, 2 * HANGS, "a breaker stays open")


def calm(local, services):
    """200 requests in a row, one after the other: each is 200, and both ends of every edge count the same."""
    before = scrape(local)
    address = f"{local.address}:5005"
    answers = [ask(address, PATH, timeout=HANGS) for _ in range(200)]
    assert [a["status"] for a in answers] == [200] * 200, [a for a in answers if a["status"] != 200]
    asked = dict.fromkeys(services, 0)
    asked["front"] = 200
    now = scrape(local)
    delta = {name: now[name] - before[name] for name in services}
    for (caller, callee), times in edges(services).items():
        sent = delta[caller].total("dpumesh_forward_requests_total", destination=callee)
        assert sent == asked[caller] * times, (caller, callee)
        asked[callee] += sent
    for name in services:
        assert delta[name].total("dpumesh_requests_total") == asked[name], name


def agree(local, services):
    """What can be said of the whole run. A killed replica takes its counts with it, so the ends of an edge can be
    compared only where neither was killed: that is steady to leaf, whose only caller it is. What steady was asked by
    replicas that died meanwhile it did all the same. All edges: calm()."""
    now = scrape(local)
    sent = now["steady"].total("dpumesh_forward_requests_total", destination="leaf")
    assert sent == now["leaf"].total("dpumesh_requests_total", protocol="http") > 0
    assert sent == now["steady"].total("dpumesh_forward_calls_total", destination="leaf")
    for name in services:
        begun = now[name].total("dpumesh_forward_calls_total")
        assert begun == now[name].total("dpumesh_forward_calls_ended_total"), name


def idle(local):
    """Whether no gauge says that something is in flight."""
    gauges = ("dpumesh_requests_in_flight", "dpumesh_egress_in_flight", "dpumesh_forward_waiting")
    return all(metrics.total(gauge) == 0 for metrics in scrape(local).values() for gauge in gauges)


def ended_as_killed(told, kills):
    """The supervisor's words: every process that ended was killed by us, and none had a sanitizer's finding."""
    ends = re.findall(r"^dpumesh: \S+: (.*); starting it again in ", told, re.M)
    assert set(ends) == {"killed by signal 9 (Killed)"}, ends
    # Those of an outage are not started again but scaled away.
    assert len(ends) <= kills
    # Who was scaled away drained to a good end, unless a kill came first.
    assert told.count("while draining") == told.count("killed by signal 9 (Killed) while draining"), told
    assert not SANITIZER.search(told), told


@pytest.mark.slow
@pytest.mark.timeout(400 + 5 * SECONDS)
def test_replicas_are_killed_at_random(real, tmp_path):
    services = application()
    count = sum(spec["replicas"] for spec in services.values())
    with open(tmp_path / "up.log", "w") as log:
        process = real.up(real.write(services), stderr=log)
    monkey = Monkey(real)
    front = [lambda: Bridge(f"{real.address}:5005"), lambda: Web(f"{real.address}:8080")]
    clients = Clients(front * (CLIENTS // 2), monkey.application.front_kills, SEED)
    outages, end = 0, time.monotonic() + SECONDS
    try:
        while time.monotonic() < end or outages == 0:
            monkey.wait(CALM)
            monkey.outage()
            outages += 1
            back = time.monotonic()
            eventually(lambda back=back: clients.statuses(since=back)[200], HANGS, "nothing is 200 any more")
        monkey.heal(count)
    finally:
        clients.stop()
    statuses = clients.statuses()
    print(f"seed {SEED}: {monkey.kills} killed, {outages} outages; {clients.asked} requests, {dict(statuses)}, "
          f"{clients.cuts} cut by a kill and asked again")  # fmt: skip
    assert sum(statuses.values()) == clients.asked
    assert clients.cuts <= CLIENTS * monkey.kills["front"], "one request a client was under way"
    assert all(monkey.kills.values()) and statuses[200] and statuses[500]
    eventually(lambda: idle(real), HANGS)
    calm(real, services)
    eventually(lambda: idle(real), HANGS)
    agree(real, services)
    real.end(process)
    ended_as_killed((tmp_path / "up.log").read_text(), sum(monkey.kills.values()))
