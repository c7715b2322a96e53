"""Alternative behaviours (contract, section 2): chosen by ?bid=id.

    demand                                                  test
    ?bid=id chooses, on the bridge and over HTTP            test_bid_chooses
    internal_service? external_services?                    test_what_is_not_given_is_the_workloads_own
    an unknown id, or none: the service as it is            test_an_unknown_bid
    a trace in the body replaces the calls of any           test_a_trace_replaces_the_calls_of_a_behavior
    a sample and probabilities work as in the workload      test_a_behavior_draws_too
    a new configuration                                     test_behaviors_are_reloaded
"""

import json
import math

from agentkit import PATH, calls, eventually, request

SIGMAS = 5.5  # a normal variable is further out once in 26 million draws

QUIET = {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 0}}
WORKLOAD = {
    "internalService": QUIET,
    "externalServices": calls(["s1"], ["s2", "s3"]),
    "alternativeBehaviors": {
        "page": {"internalService": {"colosseum": {}}},
        "alone": {"externalServices": []},
        "both": {"internalService": {"computePi": {"meanResponseSize": 0}}, "externalServices": calls(["s1"] * 5)},
        "same": {},
        "Odd.name_-1": {"externalServices": calls(["s1"])},
    },
}


def calls_made(agent, ask):
    """How many calls an action makes, and its answer."""
    before = agent.metrics().total("dpumesh_egress_calls_total")
    answer = ask()
    return agent.metrics().total("dpumesh_egress_calls_total") - before, answer


def test_bid_chooses(start):
    agent = start(workload=WORKLOAD)
    for query, made in [
        ("", 3), ("bid=alone", 0), ("bid=both", 5), ("bid=same", 3), ("bid=Odd.name_-1", 1),
        ("x=1&bid=alone&y=2", 0), ("bid=alone&bid=both", 0), ("b%69d=%61lone", 0),
    ]:  # fmt: skip
        count, answer = calls_made(agent, lambda query=query: agent.ask(query_string=query))
        assert (answer["status"], count) == (200, made), query
        target = f"{PATH}?{query}" if query else PATH
        count, answer = calls_made(agent, lambda target=target: agent.get(target, "http"))
        assert (answer.status, count) == (200, made), query


def test_what_is_not_given_is_the_workloads_own(start):
    agent = start(workload=WORKLOAD)
    count, answer = calls_made(agent, lambda: agent.ask(query_string="bid=page"))
    assert count == 3 and len(answer["body"]) > 500
    count, answer = calls_made(agent, lambda: agent.ask(query_string="bid=alone"))
    assert count == 0 and answer["body"] == "m"
    assert agent.metrics().total("dpumesh_cpu_jobs_total") == 0
    agent.ask(query_string="bid=both")
    assert agent.metrics().total("dpumesh_cpu_jobs_total") == 1


def test_an_unknown_bid(start):
    agent = start(workload=WORKLOAD)
    for query in ("bid=nobody", "bid=", "bid", "bid=ALONE", "bid=alone%20", "bid=" + "a" * 500, "x=alone"):
        count, answer = calls_made(agent, lambda query=query: agent.ask(query_string=query))
        assert (answer["status"], count, answer["body"]) == (200, 3, "m"), query
    # Without any behaviour, the query means nothing.
    assert start().ask(query_string="bid=alone")["status"] == 200


def test_a_trace_replaces_the_calls_of_a_behavior(start):
    agent = start(workload=WORKLOAD)
    body = json.dumps({"s0": [{"s1": []}, {"s2": []}]})
    count, answer = calls_made(agent, lambda: agent.ask(method="POST", body=body, query_string="bid=page"))
    assert (answer["status"], count) == (200, 2) and len(answer["body"]) > 500
    count, answer = calls_made(agent, lambda: agent.ask(method="POST", body=body, query_string="bid=alone"))
    assert (answer["status"], count) == (200, 2) and answer["body"] == "m"


def test_a_behavior_draws_too(start):
    """A sample of two of three, of which the first is called in one of four cases: 2000 requests make
    2000 * (4/3 + 2/3 * 1/4) calls, each request's count having a variance below 1. False alarms: fewer
    than one in 10 million."""
    group = {"services": ["s1", "s2", "s3"], "seqLen": 2, "probabilities": {"s1": 0.25}}
    agent = start(workload={**WORKLOAD, "alternativeBehaviors": {"b": {"externalServices": [group]}}})
    count = 2000
    with agent.lines(timeout=60) as client:
        client.send(*[request(query_string="bid=b")] * count)
        assert {answer["status"] for answer in client.receive(count)} == {200}
    made = agent.metrics().total("dpumesh_egress_calls_total")
    assert abs(made - count * 1.5) < SIGMAS * math.sqrt(count)


def test_behaviors_are_reloaded(start):
    agent = start(workload=WORKLOAD)
    assert calls_made(agent, lambda: agent.ask(query_string="bid=alone"))[0] == 0
    changed = {**WORKLOAD, "alternativeBehaviors": {"alone": {"externalServices": calls(["s1", "s1"])}}}
    agent.write({**agent.config, "workload": changed})
    eventually(lambda: agent.reloads("accepted") == 1)
    assert calls_made(agent, lambda: agent.ask(query_string="bid=alone"))[0] == 2
    assert calls_made(agent, lambda: agent.ask(query_string="bid=page"))[0] == 3
