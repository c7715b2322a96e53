"""Calls take as long as the document's distribution says, whichever of them it is.

The agent counts what it asked for in buckets. Each bucket's count is binomial: it is held against the
distribution's closed form here, within 5.5 standard deviations, which a right agent misses once in 26
million comparisons: with some 110 of them, once in 230,000 runs.
"""

import math

import pytest

from test_agent_egress import ASKED, DELIVERED, SIGMAS, ask_many, one_call

DRAWS = 3000


def normal(x):
    return (1 + math.erf(x / math.sqrt(2))) / 2


def truncated(t, mean, deviation):
    cut = normal(-mean / deviation)
    return max(0.0, (normal((t - mean) / deviation) - cut) / (1 - cut))


def table(t):
    """Straight between (0, 2 ms), (0.5, 8 ms), (0.9, 20 ms) and (1, 60 ms)."""
    points = [(0, 0.002), (0.5, 0.008), (0.9, 0.02), (1, 0.06)]
    for (q, a), (r, b) in zip(points, points[1:]):
        if t < b:
            return q + (r - q) * max(0.0, t - a) / (b - a)
    return 1.0


QUANTILES = [
    {"fraction": 0, "delay": "2ms"},
    {"fraction": 0.5, "delay": "8ms"},
    {"fraction": 0.9, "delay": "20ms"},
    {"fraction": 1, "delay": "60ms"},
]

# What is asked for, and the part of all delays that is at most t seconds long.
CASES = {
    "normal": ({"mean": "6ms", "deviation": "4ms"}, lambda t: truncated(t, 0.006, 0.004)),
    "lognormal": (
        {"median": "6ms", "sigma": 1.0, "cap": "300ms"},
        lambda t: 1 if t >= 0.3 else normal(math.log(t / 0.006)),
    ),
    "pareto": (
        {"scale": "2ms", "shape": 0.9, "cap": "60ms"},
        lambda t: 1 if t >= 0.06 else 0 if t < 0.002 else 1 - (0.002 / t) ** 0.9,
    ),
    "weibull": (
        {"scale": "8ms", "shape": 0.7, "shift": "1ms"},
        lambda t: 0 if t < 0.001 else 1 - math.exp(-(((t - 0.001) / 0.008) ** 0.7)),
    ),
    "gamma": ({"scale": "5ms", "shape": 2}, lambda t: 1 - math.exp(-t / 0.005) * (1 + t / 0.005)),
    "empirical": ({"quantiles": QUANTILES}, table),
    "mixture": (
        {
            "parts": [
                {"weight": 3, "distribution": "exponential", "mean": "4ms"},
                {"weight": 1, "distribution": "uniform", "low": "20ms", "high": "60ms"},
            ]
        },
        lambda t: 0.75 * (1 - math.exp(-t / 0.004)) + 0.25 * min(1.0, max(0.0, (t - 0.02) / 0.04)),
    ),
}


def buckets(metrics):
    """[(edge in seconds, how many were asked to be at most so long)]."""
    edges = (dict(labels)["le"] for name, labels in metrics if name == ASKED + "_bucket")
    return [(float(le), metrics.total(ASKED + "_bucket", le=le)) for le in edges if le != "+Inf"]


@pytest.mark.parametrize("name", CASES)
def test_delays_follow_what_was_asked(start, name):
    parameters, at_most = CASES[name]
    agent = one_call(start, {"distribution": name, **parameters})
    assert set(ask_many(agent, DRAWS)) == {200}
    now = agent.metrics()
    found = buckets(now)
    assert len(found) >= 12
    for edge, count in found:
        # A delay that falls on the very edge is counted below it, and a continuous one never does.
        expected = at_most(edge)
        bound = SIGMAS * math.sqrt(DRAWS * expected * (1 - expected)) + 0.5
        assert abs(count - DRAWS * expected) <= bound, (edge, count, DRAWS * expected)
    # And none was answered before its time: to a microsecond.
    assert now.total(DELIVERED + "_sum") >= now.total(ASKED + "_sum") - DRAWS * 1e-6


@pytest.mark.parametrize("name", CASES)
def test_a_seed_repeats_every_distribution(start, name):
    parameters, _ = CASES[name]

    def asked(seed):
        agent = one_call(start, {"distribution": name, **parameters, "seed": seed})
        assert set(ask_many(agent, 50)) == {200}
        return agent.metrics().total(ASKED + "_sum")

    assert asked(7) == pytest.approx(asked(7), rel=1e-12)
    assert asked(7) != pytest.approx(asked(8), rel=1e-9)
