"""Both autoscalers on a real node, side by side: load up, replicas up; load down, replicas down after the window; and not one
request lost or failed on the way."""

import time

import pytest
from nodekit import Load, dpu
from processes import eventually

WINDOW = 10
BEHAVIOR = {"scaleDown": {"stabilizationWindowSeconds": WINDOW}}
# Requests a second that a replica is to have in the mean.
EACH = 40


def by_rate():
    """The operator reads its agents' own metrics."""
    metrics = [{"signal": "requestsPerSecond", "averageValue": EACH}]
    return dpu(
        "by-rate",
        autoscaling={
            "engine": "builtin", "minReplicas": 1, "maxReplicas": 5, "metrics": metrics, "behavior": BEHAVIOR,
            "panic": {"stableWindowSeconds": 0},
        },
    )  # fmt: skip


def by_cpu():
    """A HorizontalPodAutoscaler of Kubernetes reads metrics-server. A request computes for some milliseconds."""
    stress = {"run": True, "rangeComplexity": [400, 400], "threadPoolSize": 1, "trials": 1}
    loader = {"cpuStress": stress, "sleepStress": {"run": False}, "meanResponseSize": 0.005}
    return dpu(
        "by-cpu",
        latency="0s",
        workload={"internalService": {"loader": loader}},
        resources={"requests": {"cpu": "50m"}},
        autoscaling={"engine": "hpa", "minReplicas": 1, "maxReplicas": 3, "targetCPUUtilization": 50, "behavior": BEHAVIOR},
    )


def without_count(document):
    """Whoever decides how many there are, it is not the document."""
    del document["spec"]["replicas"]
    return document


def messages(space, name, reason):
    found = space.node.kubectl_json("-n", space.name, "get", "events", "--field-selector", f"involvedObject.name={name}")
    return [one["message"] for one in found["items"] if one["reason"] == reason]


@pytest.mark.timeout(400)
def test_replicas_follow_the_load(space):
    space.deploy(without_count(by_rate()), without_count(by_cpu()))
    assert space.replicas("by-rate") == space.replicas("by-cpu") == 1

    with Load(space.target("by-cpu"), "--rate", 20, concurrency=10) as cpu:
        with Load(space.target("by-rate"), "--rate", 3.5 * EACH, concurrency=30) as rate:
            eventually(lambda: space.replicas("by-rate") == 4, 60, lambda: space.kubectl("get", "dpu/by-rate", "-o", "yaml"))
            eventually(lambda: len(space.ready("by-rate")) == 4, 30, "4 replicas are not ready")
            eventually(lambda: space.replicas("by-cpu") == 3, 120, lambda: space.kubectl("describe", "hpa"), every=0.5)
            eventually(lambda: len(space.ready("by-cpu")) == 3, 30, "3 replicas are not ready")
            # At once or in two steps, if the first look saw the load for a part of its time only.
            eventually(
                lambda: any(text.startswith("4 replicas instead of ") for text in messages(space, "by-rate", "SuccessfulRescale")),
                20,
                lambda: messages(space, "by-rate", "SuccessfulRescale"),
            )
        rate.assert_clean(least=EACH)

        # Less load, but some: what a replica that goes away would lose is seen.
        with Load(space.target("by-rate"), "--rate", EACH / 2, concurrency=10) as rate:
            began = time.monotonic()
            eventually(lambda: space.replicas("by-rate") == 1, 60, lambda: space.kubectl("get", "dpu/by-rate", "-o", "yaml"))
            assert time.monotonic() - began >= WINDOW - 6, "sooner than its window and a look or two"
            eventually(lambda: len(space.pods("by-rate")) == 1, 60, "the other pods stay")
        rate.assert_clean(least=EACH)
    cpu.assert_clean(least=20)

    with Load(space.target("by-cpu"), "--rate", 1, concurrency=2) as cpu:
        eventually(lambda: space.replicas("by-cpu") == 1, 150, lambda: space.kubectl("describe", "hpa"), every=0.5)
        eventually(lambda: len(space.pods("by-cpu")) == 1, 60, "the other pods stay")
    cpu.assert_clean(least=5)
