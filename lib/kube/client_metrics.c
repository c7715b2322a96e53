/* The names, labels and buckets of k8s.io/component-base/metrics/prometheus/restclient, as far as
 * controller-runtime's dashboards know them. */
#include <stdio.h>

#include "kube/client_private.h"

static const double bounds[] = {0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60};

#define BOUND_COUNT (sizeof(bounds) / sizeof(bounds[0]))

void kube_metrics_declare(struct kube_client *client, struct metrics *metrics)
{
    static const struct metric_spec requests = {
        .name = "rest_client_requests_total",
        .help = "Number of HTTP requests, by status code, method and host.",
        .kind = METRIC_COUNTER,
        .labels = {"code", "method", "host"}};
    static const struct metric_spec durations = {
        .name = "rest_client_request_duration_seconds",
        .help = "Request latency in seconds, retries included, by verb and host.",
        .kind = METRIC_HISTOGRAM,
        .labels = {"verb", "host"},
        .buckets = bounds,
        .bucket_count = BOUND_COUNT};
    static const struct metric_spec limits = {
        .name = "rest_client_rate_limiter_duration_seconds",
        .help = "Client side rate limiter latency in seconds, by verb and host.",
        .kind = METRIC_HISTOGRAM,
        .labels = {"verb", "host"},
        .buckets = bounds,
        .bucket_count = BOUND_COUNT};
    static const struct metric_spec retries = {
        .name = "rest_client_request_retries_total",
        .help = "Number of request retries, by status code, verb and host.",
        .kind = METRIC_COUNTER,
        .labels = {"code", "verb", "host"}};

    client->requests = metrics_family(metrics, &requests);
    client->durations = metrics_family(metrics, &durations);
    client->limit_durations = metrics_family(metrics, &limits);
    client->retries = metrics_family(metrics, &retries);
}

void kube_metrics_attempt(struct kube_client *client, const struct kube_attempt *attempt,
                          bool again)
{
    char code[24];

    if (!client->requests || attempt->heard_ns == 0)
        return;
    if (attempt->status > 0)
        snprintf(code, sizeof(code), "%ld", attempt->status);
    else
        snprintf(code, sizeof(code), "<error>");
    const char *const labels[] = {code, attempt->call->method, client->host};
    metric_add(metric_series(client->requests, labels), 1);
    if (again)
        metric_add(metric_series(client->retries, labels), 1);
}

static void observe(struct kube_client *client, struct metric_family *family, const char *method,
                    uint64_t duration_ns)
{
    const char *const labels[] = {method, client->host};

    if (family)
        metric_observe(metric_series(family, labels), (double)duration_ns / (double)NS_PER_S);
}

void kube_metrics_call(struct kube_client *client, const char *method, uint64_t took_ns)
{
    observe(client, client->durations, method, took_ns);
}

void kube_metrics_limit(struct kube_client *client, const char *method, uint64_t waited_ns)
{
    observe(client, client->limit_durations, method, waited_ns);
}
