"""The kinds of PromQL that muBench's dashboards are made of, over its families."""

MEASURES = ("internal", "external", "request")
BUCKETS = ("0.5", "1.0", "10.0", "100.0", "1000.0", "10000.0", "+Inf")


def family(measure):
    return f"mub_{measure}_processing_latency_milliseconds"


def mean(name, window, by="app_name"):
    return f"sum by ({by}) (increase({name}_sum{{}}[{window}])) / sum by ({by}) (increase({name}_count{{}}[{window}]))"


def quantile(part, name, window, by="app_name"):
    return f"histogram_quantile({part}, sum by ({by}, le) (rate({name}_bucket_bucket[{window}])))"


def values(prometheus, query, *labels):
    """{(label values): value}; every series has these labels and no others. prometheus: a scraper.Prometheus."""
    found = {}
    for had, value in prometheus.query(query):
        assert set(had) == set(labels), (query, had)
        found[tuple(had[name] for name in labels)] = value
    return found
