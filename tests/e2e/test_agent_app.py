"""What a request does: muBench's vocabulary (contract, section 2), each rule with its test. Where no file is
named, it is this one.

    what a service has: path, workers, threads, replicas,
    cpu-*, memory-*, scheduler-name, url                  tests/spec/test_workmodel.c: a_whole_service
    ... pod_antiaffinity, node_affinity                   tests/spec/test_workmodel.c: where_pods_run
    ... namespace                                         tests/spec/test_workmodel.c: parameters_count_for_all_services
    ... sidecar, image, request_method: noted             tests/spec/test_workmodel.c: what_has_no_counterpart_is_noted
    ... its defaults                                      tests/spec/test_dpuservice.c: defaults
    path, GET and POST over HTTP                          test_agent_http.py: test_the_application_answers_get_and_post
    ... another path                                      test_agent_http.py: test_a_path_of_the_application_s_own
    workers times threads compute at once                 tests/spec/test_children.c: the_agent_takes_its_configuration;
                                                          test_agent_stress.py: test_threads_cap_memory
    external_services: groups run in parallel             test_groups_run_in_parallel
    ... services of a group one after another             test_services_of_a_group_run_one_after_another
    ... seq_len: a random sample of that size             test_a_sample_of_a_group,
                                                          test_agent_forward.py: test_a_whole_group_keeps_its_order,
                                                          tests/agent/test_plan.c: samples_are_uniform_and_ordered_at_random
    ... probabilities, 1 by default                       test_probabilities, test_probabilities_of_each_call
    ... s1__2 means s1                                    test_a_service_called_twice
    ... any failed call makes the answer 500              test_an_unknown_callee,
                                                          test_agent_forward_faults.py: test_another_status
    ... and the rest of its group is called               test_a_group_goes_on_after_a_failed_call,
                                                          test_agent_forward_faults.py: test_the_first_failure_counts
    ... and one that times out 504                        test_agent_egress.py: test_a_call_that_takes_too_long
    internal_service: none                                test_nothing_to_do
    ... one function                                      tests/spec/test_workmodel.c: each_field_with_a_wrong_type_or_value
    ... the defaults of each function                     tests/spec/test_agent_config.c: defaults
    ... compute_pi: range_complexity, digits of pi        test_compute_pi, test_agent_stress.py: test_range_complexity_is_uniform;
                                                          the digits: tests/model/test_pi.c: gives_the_digits_of_pi
    ... loader: cpu_stress, threads x trials              test_loader_computes, test_many_trials, test_more_jobs_than_threads
    ... loader: memory_stress                             test_agent_stress.py: test_memory_stress;
                                                          tests/agent/test_stress.c: memory_is_read_and_written_so_often
    ... loader: disk_stress, tmp_file_name                test_agent_stress.py: test_disk_stress, test_a_killed_agent_leaves_no_file;
                                                          tests/agent/test_stress.c: disk_writes_what_is_asked_and_leaves_nothing
    ... loader: sleep_stress, on by default with 10 ms    test_loader_sleeps
    ... loader: one after another                         test_agent_stress.py: test_all_of_the_loader
    ... colosseum                                         test_agent_stress.py: test_colosseum
    ... fails: 500 {"message": "Error"}                   test_agent_stress.py: test_work_that_fails
    size of the answer: max(1, 1000 * Exp(mean))          test_the_size_of_answers
    ... 10 and 11 kB by default                           test_the_size_by_default
    ... mean_bandwidth is an old alias                    test_the_size_of_answers
    alternative_behaviors, ?bid=                          test_agent_behavior.py: test_bid_chooses,
                                                          test_what_is_not_given_is_the_workloads_own
    a trace replaces the call graph                       test_a_trace_replaces_the_calls
    ... exactly one key, the service's own name           test_agent_input.py: test_bad_traces
    ... its groups run in parallel                        test_the_groups_of_a_trace_run_in_parallel
    ... newer cells' "dummy" and request-type             test_what_newer_cells_send
    ... the subtree is POSTed on                          test_agent_forward.py: test_a_trace_is_posted_on
    query and headers travel on with every call           test_agent_forward.py: test_what_travels
    headers come back, in any case                        test_headers_come_back
    the query string                                      test_a_query_string
    a muBench cell calls us, and we call it               test_agent_forward.py: test_a_cell_calls_us_and_we_call_it
    a service that calls itself                           test_a_service_that_calls_itself
    the event loop never waits                            test_computing_stops_nobody_else

./dev lint refuses a name in such a table that is no test.

Statistical tests state how often they would fail by chance; seeds are not fixed, so that the
distribution is tested and not one draw.
"""

import json
import math
import threading
import time

import pytest

from agentkit import PATH, balance, calls, eventually, http_request, message, request

# Five and a half standard deviations: a normal variable is further out once in 26 million draws.
SIGMAS = 5.5

HEADERS = [
    "x-request-id", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags",
    "x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority", "x-ot-span-context",
    "grpc-trace-bin", "traceparent", "x-cloud-trace-context",
]  # fmt: skip


def loader(**parts):
    """An internal service that does nothing but what is given."""
    return {"loader": {"sleepStress": {"run": False}, "meanResponseSize": 0, **parts}}


def ask_many(agent, count, frame=None):
    with agent.lines(timeout=60) as client:
        sender = threading.Thread(target=client.send, args=[frame or request()] * count)
        sender.start()
        answers = client.receive(count)
        sender.join()
    return answers


def wrong_by_chance(count, probability):
    """How far a binomial count may lie from its mean."""
    return SIGMAS * math.sqrt(count * probability * (1 - probability))


def trace(tree):
    return request(method="POST", body=json.dumps(tree))


# ---- internal service ----


def test_nothing_to_do(start):
    agent = start()
    answer = agent.ask()
    assert (answer["status"], answer["body"]) == (200, "m")
    now = agent.metrics()
    assert now.total("dpumesh_egress_calls_total") == 0
    assert now.total("dpumesh_cpu_jobs_total") == 0
    # As in muBench, a request without calls has a latency of them: what divides sum by count finds both.
    external = "mub_external_processing_latency_milliseconds"
    assert now.total(external + "_count") == now.total(external + "_bucket_bucket", le="+Inf") == 1


@pytest.mark.parametrize(
    "service, least",
    [
        ({"loader": {}}, 0.010),
        ({"loader": {"sleepStress": {"sleepTime": 0.4}}}, 0.400),
        ({"loader": {"sleepStress": {"run": True, "sleepTime": "70ms"}}}, 0.070),
    ],
    ids=["default", "number", "duration"],
)
def test_loader_sleeps(start, service, least):
    agent = start(workload={"internalService": service})
    with agent.lines() as client:
        begun = time.monotonic()
        client.send(*[request()] * 20)
        client.receive(20)
        took = time.monotonic() - begun
    assert least <= took < 20 * max(least, 0.4)  # asleep all at once, not one after another
    name = "mub_internal_processing_latency_milliseconds"
    now = agent.metrics()
    assert now.total(name + "_count") == 20
    assert now.total(name + "_sum") >= 20 * least * 1000
    assert now.total("dpumesh_cpu_jobs_total") == 0


def test_loader_computes(start):
    """threadPoolSize jobs, each of which computes `trials` times."""
    stress = {"run": True, "rangeComplexity": [20, 30], "threadPoolSize": 2, "trials": 3}
    agent = start(workload={"internalService": loader(cpuStress=stress)})
    for answer in ask_many(agent, 5):
        assert answer["status"] == 200
    assert agent.metrics().total("dpumesh_cpu_jobs_total") == 5 * 2 * 3


def test_more_jobs_than_threads(start):
    """A request's jobs wait for each other where there are more of them than threads; each is done."""
    stress = {"run": True, "rangeComplexity": [20, 30], "threadPoolSize": 7, "trials": 2}
    agent = start(workload={"threads": 2, "internalService": loader(cpuStress=stress)})
    assert {answer["status"] for answer in ask_many(agent, 20)} == {200}
    assert agent.metrics().total("dpumesh_cpu_jobs_total") == 20 * 7 * 2


def test_many_trials(start):
    """As many as may be asked for: each is done."""
    stress = {"run": True, "rangeComplexity": [1, 1], "trials": 65535}
    agent = start(workload={"internalService": loader(cpuStress=stress)})
    assert agent.ask()["status"] == 200
    assert agent.metrics().total("dpumesh_cpu_jobs_total") == 65535


def test_compute_pi(start):
    agent = start(
        workload={
            "threads": 2,
            "internalService": {"computePi": {"rangeComplexity": [100, 100], "meanResponseSize": 0}},
        }
    )
    answers = ask_many(agent, 50)
    assert {(answer["status"], answer["body"]) for answer in answers} == {(200, "m")}
    assert agent.metrics().total("dpumesh_cpu_jobs_total") == 50


def test_compute_pi_takes_longer_the_more_digits(start):
    """The work is real: fifty times the digits, in quadratic time, takes far longer."""
    took = []
    for digits in (30, 1500):
        agent = start(workload={"internalService": {"computePi": {
            "rangeComplexity": [digits, digits], "meanResponseSize": 0}}})  # fmt: skip
        answers = ask_many(agent, 2)
        assert {answer["status"] for answer in answers} == {200}
        took.append(agent.metrics().total("mub_internal_processing_latency_milliseconds_sum"))
    assert took[1] > 5 * took[0]


@pytest.mark.parametrize("name", ["meanResponseSize", "meanBandwidth"])
def test_the_size_of_answers(start, name):
    """Exponential with mean 300, cut below at 1. 4000 draws: the mean's deviation is 4.8, and the
    share above the mean is exp(-1); both bounds are wrong by chance less than once in 10 million."""
    agent = start(workload={"internalService": {"loader": {"sleepStress": {"run": False}, name: 0.3}}})
    count = 4000
    answers = ask_many(agent, count)
    sizes = [len(answer["body"]) for answer in answers]
    assert min(sizes) >= 1
    assert abs(sum(sizes) / count - 300) < SIGMAS * 300 / math.sqrt(count) + 1
    above = sum(size > 300 for size in sizes)
    assert abs(above - count * math.exp(-1)) < wrong_by_chance(count, math.exp(-1)) + 5
    assert {body for answer in answers for body in set(answer["body"])} == {"m"}
    now = agent.metrics()
    assert now.total("mub_response_size_count") == count
    assert now.total("mub_response_size_sum") == sum(sizes)


@pytest.mark.parametrize("service, mean", [
    ({"loader": {"sleepStress": {"run": False}}}, 11000),
    ({"computePi": {"rangeComplexity": [1, 1]}}, 10000),
], ids=["loader", "compute_pi"])  # fmt: skip
def test_the_size_by_default(start, service, mean):
    """2500 draws: their mean deviates by mean / 50, and 5.5 times as much once in 26 million runs."""
    agent = start(workload={"internalService": service})
    count = 2500
    assert {answer["status"] for answer in ask_many(agent, count)} == {200}
    now = agent.metrics()
    assert now.total("mub_response_size_count") == count
    assert abs(now.total("mub_response_size_sum") / count - mean) < SIGMAS * mean / math.sqrt(count)


# ---- calls ----


def test_services_of_a_group_run_one_after_another(start):
    agent = start(
        workload={"externalServices": calls(["s1", "s2", "s3"], ["s1"])},
        egress={"latency": {"value": "60ms"}},
    )
    begun = time.monotonic()
    assert agent.ask()["status"] == 200
    assert time.monotonic() - begun >= 0.180
    now = agent.metrics()
    assert now.total("dpumesh_egress_calls_total") == 4
    # Measured from turn to turn of the application's loop, so a little less is possible.
    assert now.total("mub_external_processing_latency_milliseconds_sum") >= 175


def test_groups_run_in_parallel(start):
    agent = start(
        workload={"externalServices": calls(*[[f"s{n}"] for n in range(1, 61)])},
        egress={"latency": {"value": "200ms"}},
    )
    begun = time.monotonic()
    assert agent.ask()["status"] == 200
    took = time.monotonic() - begun
    assert 0.2 <= took < 6  # one after another they would take 12 s
    assert agent.metrics().total("dpumesh_egress_calls_total") == 60


@pytest.mark.parametrize("unknown", [0, 1, 2])
def test_a_sample_of_a_group(start, unknown):
    """Two of three; one of the three is no service, so what is drawn shows: it is left out in a third of the requests."""
    services = ["s1", "s2", "s3"]
    peers = {name: {} for i, name in enumerate(services) if i != unknown}
    agent = start(
        workload={"externalServices": [{"services": services, "seqLen": 2}]}, peers=peers
    )
    count = 1500
    before = agent.metrics()
    answers = ask_many(agent, count)
    delta = agent.metrics() - before
    good = [answer["status"] for answer in answers].count(200)
    assert abs(good - count / 3) < wrong_by_chance(count, 1 / 3)
    assert delta.total("dpumesh_egress_calls_total") == count + good
    assert delta.total("dpumesh_egress_unknown_service_total") == count - good
    balance(before, agent.metrics(), {200: good, 500: count - good})


def test_probabilities(start):
    """s1 in a quarter of the requests, s2 never, s3 always (it has none given)."""
    group = {"services": ["s1", "s2", "s3"], "probabilities": {"s1": 0.25, "s2": 0}}
    agent = start(workload={"externalServices": [group]}, peers={"s1": {}, "s3": {}})
    count = 3000
    assert {answer["status"] for answer in ask_many(agent, count)} == {200}
    made = agent.metrics().total("dpumesh_egress_calls_total")
    assert abs(made - count - count / 4) < wrong_by_chance(count, 0.25)


def test_probabilities_of_each_call(start):
    """A service that is called twice has a probability for each: never the first time, and in half of the
    requests the second time."""
    group = {"services": ["s1", "s1__2"], "probabilities": {"s1": 0, "s1__2": 0.5}}
    agent = start(workload={"externalServices": [group]}, peers={"s1": {}})
    count = 2000
    assert {answer["status"] for answer in ask_many(agent, count)} == {200}
    made = agent.metrics().total("dpumesh_egress_calls_total")
    assert abs(made - count / 2) < wrong_by_chance(count, 0.5)


def test_a_service_called_twice(start):
    agent = start(
        workload={"externalServices": calls(["s1", "s1__2", "s1__3"])},
        egress={"latency": {"value": "20ms"}},
        peers={"s1": {}},
    )
    begun = time.monotonic()
    assert agent.ask()["status"] == 200
    assert time.monotonic() - begun >= 0.06
    assert agent.metrics().total("dpumesh_egress_calls_total") == 3


def test_an_unknown_callee(start):
    agent = start(
        workload={"externalServices": calls(["s1"], ["s9"])},
        egress={"latency": {"value": "20ms"}},
        peers={"s1": {}},
    )
    before = agent.metrics()
    begun = time.monotonic()
    answer = agent.ask()
    assert time.monotonic() - begun >= 0.02  # the good group ends as it would have
    assert answer["status"] == 500
    assert answer["headers"]["Content-Type"] == "application/json"
    assert json.loads(answer["body"]) == {"message": "Error in external services request"}
    over_http = agent.get(PATH, "http")
    assert over_http.status == 500
    assert json.loads(over_http.body) == {"message": "Error in external services request"}
    delta = agent.metrics() - before
    assert delta.total("dpumesh_egress_unknown_service_total") == 2
    assert delta.total("dpumesh_egress_calls_failed_total") == 2
    assert delta.total("dpumesh_egress_calls_total") == 2
    balance(before, agent.metrics(), {500: 2})


@pytest.mark.parametrize("body", [None, {"s0": [{"s9": [], "s1": [], "s9__2": [], "s1__2": [], "s2": []}]}])
def test_a_group_goes_on_after_a_failed_call(start, body):
    """Of unknown name, and of a callee that answers an error; from the work model, or from a trace."""
    agent = start(
        workload={"externalServices": calls(["s9", "s1", "s9", "s1", "s2"])},
        egress={"destinations": [{"name": "s1", "faults": {"errors": [{"status": 503, "fraction": 1}]}}]},
        peers={"s1": {}, "s2": {}},
    )
    answer = agent.ask(trace(body)) if body else agent.ask()
    assert (answer["status"], json.loads(answer["body"])) == (500, {"message": "Error in external services request"})
    now = agent.metrics()
    assert now.total("dpumesh_egress_simulated_calls_total", destination="s1", result="503") == 2
    assert now.total("dpumesh_egress_simulated_calls_total", destination="s2", result="200") == 1
    assert now.total("dpumesh_egress_unknown_service_total") == 2
    assert now.total("dpumesh_egress_calls_failed_total") == 4


def test_a_service_that_calls_itself(start):
    """Simulated, that is a call as any other; the trace may say so too, at any depth."""
    agent = start(
        workload={"externalServices": calls(["s0", "s0__2"])},
        egress={"latency": {"value": "5ms"}},
        peers={"s0": {}},
    )
    assert agent.ask()["status"] == 200
    assert agent.metrics().total("dpumesh_egress_calls_total") == 2
    answer = agent.ask(trace({"s0": [{"s0__1": [{"s0__2": [{"s0__3": []}]}]}]}))
    assert answer["status"] == 200
    assert agent.metrics().total("dpumesh_egress_calls_total") == 3


# ---- traces ----


@pytest.mark.parametrize(
    "tree, made",
    [
        ({"s0": []}, 0),
        ({"s0": {}}, 0),
        ({"s0": [{}]}, 0),
        ({"s0__12": [{"s1__2": [{}]}, {"s2__3": [{}]}]}, 2),
        ({"s0": [{"s1": {}, "s2": {}}]}, 2),
        ({"s0": [{"s1": [{"s3": [{"s4": []}]}]}]}, 1),
        ({"s0": [{"s1": [], "s1__2": [], "s1__3": []}, {}, {"s2": []}]}, 4),
        ({"s0": [{f"s1__{n}": []} for n in range(300)]}, 300),
    ],
    ids=range(8),
)
def test_a_trace_replaces_the_calls(start, tree, made):
    agent = start(workload={"externalServices": calls(["s1"] * 7)}, peers={"s1": {}, "s2": {}})
    assert agent.ask(trace(tree))["status"] == 200
    assert agent.metrics().total("dpumesh_egress_calls_total") == made
    assert agent.get(PATH, "http", "POST", body=json.dumps(tree).encode()).status == 200
    assert agent.metrics().total("dpumesh_egress_calls_total") == 2 * made
    # Without a trace, the configuration's calls: GET, POST with nothing, GET with a body.
    agent.ask(method="GET", body="{")
    agent.ask(method="POST")
    agent.ask(method="POST", body="")
    assert agent.metrics().total("dpumesh_egress_calls_total") == 2 * made + 3 * 7


def test_a_trace_with_an_unknown_callee(start):
    agent = start(peers={"s1": {}})
    answer = agent.ask(trace({"s0": [{"s1": []}, {"s9__2": []}]}))
    assert answer["status"] == 500
    # What lies deeper is its callee's to know.
    assert agent.ask(trace({"s0": [{"s1": [{"s9": []}]}]}))["status"] == 200


def test_the_groups_of_a_trace_run_in_parallel(start):
    agent = start(egress={"latency": {"value": "100ms"}})
    begun = time.monotonic()
    assert agent.ask(trace({"s0": [{"s1": [], "s2": [], "s3": []}, {"s4": []}]}))["status"] == 200
    assert time.monotonic() - begun >= 0.3
    begun = time.monotonic()
    assert agent.ask(trace({"s0": [{f"s{n}": []} for n in range(1, 101)]}))["status"] == 200
    assert 0.1 <= time.monotonic() - begun < 8, "one after another they would take 10 s"


def test_what_newer_cells_send(start):
    """muBench's later cells fill a trace up with a key "dummy", and POST over HTTP bytes that are no trace with a header
    that says so."""
    agent = start(workload={"externalServices": calls(["s1"], ["s2"])}, peers={"s1": {}, "s2": {}})
    filled = json.dumps({"s0__3": [{"s1__4": []}], "dummy": "M" * 3000})
    filler = json.dumps("M" * 3000)
    assert agent.ask(method="POST", body=filled)["status"] == 200
    assert agent.metrics().total("dpumesh_egress_calls_total") == 1
    for body, kind, status, made in (
        (filled, None, 200, 1),
        (filled, "tracedriven", 200, 1),
        (filled, "iot", 200, 2),
        (filler, "IoT", 200, 2),
        (filler, "tracedriven", 400, 0),
        (filler, None, 400, 0),
    ):
        before = agent.metrics()
        headers = {"Request-Type": kind} if kind else {}
        answer = agent.get(PATH, "http", "POST", body=body.encode(), headers=headers)
        assert answer.status == status and "request-type" not in answer.headers, (body[:20], kind)
        assert (agent.metrics() - before).total("dpumesh_egress_calls_total") == made, (body[:20], kind)


# ---- what travels on ----


def test_headers_come_back(start):
    agent = start(workload={"externalServices": calls(["s1"])}, peers={})
    for answer_status, peers in ((500, {}), (200, {"s1": {}})):
        agent = start(workload={"externalServices": calls(["s1"])}, peers=peers)
        values = {name: f"{name} is \"ü\\/\" {i}" for i, name in enumerate(HEADERS)}
        mixed = {
            (name.upper() if i % 2 else name.title()): value
            for i, (name, value) in enumerate(values.items())
        }
        others = {"Accept": "x", "Cookie": "secret", "x-request-idx": "no", "x-b3": "no"}
        answer = agent.ask(headers={**mixed, **others})
        assert answer["status"] == answer_status
        found = answer["headers"]
        assert found.pop("Content-Type")
        assert found == values
        plain = {name: f"value {i}" for i, name in enumerate(HEADERS)}
        over_http = agent.get(
            PATH, "http", headers={**{n.upper(): v for n, v in plain.items()}, **others}
        )
        assert over_http.status == answer_status
        assert {n: v for n, v in over_http.headers.items() if n in HEADERS} == plain
        assert not set(over_http.headers) & {"cookie", "accept", "x-request-idx"}


def test_a_query_string(start):
    agent = start(workload={"externalServices": calls(["s1"])})
    assert agent.ask(query_string="bid=1&x=%20")["status"] == 200
    assert agent.get(PATH + "?bid=1&x=%20&y=?", "http").status == 200
    # On the bridge the query has a field of its own, the path is taken as it is.
    answer = agent.ask(path=PATH + "?bid=1")
    assert answer["status"] == 404
    assert PATH in message(answer)


def test_other_methods(start):
    agent = start()
    for method in ("PUT", "DELETE", "get", "", "x" * 100):
        answer = agent.ask(method=method)
        assert answer["status"] == 405, method
        assert "GET and POST" in message(answer)
    assert agent.ask(method="HEAD")["status"] == 200


# ---- the event loop ----


@pytest.mark.parametrize("digits", [3000, pytest.param(9000, marks=pytest.mark.slow)])
def test_computing_stops_nobody_else(start, digits):
    """While pi is computed on the only worker thread, both threads of the data path answer: the I/O
    thread its pages, the application what needs no computing."""
    agent = start(
        limits={"drainTimeout": "100s"},
        workload={
            "threads": 1,
            "internalService": {"computePi": {"rangeComplexity": [digits, digits],
                                              "meanResponseSize": 0}},
        },
    )  # fmt: skip
    with agent.lines(timeout=100) as busy, agent.lines() as other, agent.http() as pages:
        busy.send(request())
        eventually(lambda: agent.metrics().total("dpumesh_queue_submitted_total",
                                                 queue="ingress_submission") == 1)  # fmt: skip
        answered = 0
        while answered < 10:
            found = other.send(request(path="/no"), request(method="POST", body="{")).receive(2)
            assert [answer["status"] for answer in found] == [404, 400]
            assert pages.raw(http_request("/healthz")).receive().status == 200
            answered += 1
        # All that came while the computation was still going on.
        assert agent.metrics().total("dpumesh_cpu_jobs_total") == 0
        assert busy.receive()[0]["status"] == 200
    assert agent.metrics().total("dpumesh_cpu_jobs_total") == 1
