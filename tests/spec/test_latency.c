/* Every distribution in a document: read, written again, for people, and refused. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "bad.h"
#include "spec/latency.h"

/* The DpuService whose spec.egress.latency is this flow mapping. */
static struct dpuservice *parse(const char *latency)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct dpuservice *service = NULL;
    char text[4096];

    snprintf(text, sizeof(text),
             "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\nmetadata: {name: s0}\n"
             "spec:\n  egress:\n    latency: %s\n",
             latency);
    cr_assert_eq(documents_parse(text, strlen(text), "app.yaml", &documents, &problems), 0);
    int ret = dpuservice_parse(&documents.items[0], &service, &problems);
    cr_assert_eq(ret, 0, "%s: %s", latency, problems.count ? problems.texts[0] : "no sentence");
    return service;
}

static const json_t *latency_of(const json_t *emitted)
{
    const json_t *spec = json_object_get(emitted, "spec");
    return json_object_get(json_object_get(spec, "egress"), "latency");
}

/* What is written, what it says to people, and its mean and 90 % quantile, known otherwise. */
static const struct {
    const char *document;
    const char *text;
    double mean_ms, p90_ms;
} cases[] = {
    {"{}", "50ms", 50, 50},
    {"{value: 0s}", "0", 0, 0},
    {"{value: 50ms, shift: 2ms}", "50ms, plus 2ms", 52, 52},
    {"{distribution: uniform, low: 10ms, high: 1.5s}", "uniform 10ms to 1.5s", 755, 1351},
    {"{distribution: exponential, mean: 8ms, seed: 3}", "exponential, mean 8ms", 8, 18.4207},
    {"{distribution: normal, mean: 50ms, deviation: 10ms}", "normal, mean 50ms, deviation 10ms", 50,
     62.8155},
    {"{distribution: normal, mean: 0s, deviation: 10ms}", "normal, mean 0, deviation 10ms", 7.97885,
     16.4485},
    {"{distribution: lognormal, median: 20ms, sigma: 0.5}", "lognormal, median 20ms, sigma 0.5",
     22.6630, 37.9590},
    {"{distribution: pareto, scale: 10ms, shape: 2.5}", "pareto, scale 10ms, shape 2.5", 16.6667,
     25.1189},
    {"{distribution: weibull, scale: 10ms, shape: 2}", "weibull, scale 10ms, shape 2", 8.86227,
     15.1743},
    {"{distribution: gamma, scale: 10ms, shape: 2}", "gamma, scale 10ms, shape 2", 20, 38.8972},
    {"{distribution: empirical, quantiles: [{fraction: 0, delay: 1ms}, {fraction: 0.5, delay: 3ms},"
     " {fraction: 1, delay: 13ms}]}",
     "empirical, median 3ms, 99 % within 12.8ms", 5, 11},
    {"{distribution: mixture, parts: [{weight: 3, value: 1ms}, {distribution: uniform, low: 10ms,"
     " high: 20ms}], shift: 1ms, cap: 19ms}",
     "mixture of 2, plus 1ms, at most 19ms", 5.45, 17},
    {"{distribution: mixture, parts: [{distribution: empirical, quantiles: [{fraction: 0, delay: "
     "0s}, {fraction: 1, delay: 10ms}], cap: 5ms}]}",
     "mixture of 1", 3.75, 5},
};

Test(latency, every_distribution)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_dpuservice struct dpuservice *service = parse(cases[i].document);
        const struct distribution *latency = &service->egress.latency;
        char text[LATENCY_TEXT_MAX];

        cr_expect_str_eq(latency_format(latency, text), cases[i].text);
        cr_expect_eq(distribution_check(latency, NULL), 0, "%s", cases[i].document);
        cr_expect_float_eq(distribution_mean_ns(latency) / 1e6, cases[i].mean_ms,
                           1e-4 * cases[i].mean_ms, "%s: mean %g", cases[i].document,
                           distribution_mean_ns(latency) / 1e6);
        cr_expect_float_eq(distribution_quantile_ns(latency, 0.9) / 1e6, cases[i].p90_ms,
                           1e-5 * cases[i].p90_ms, "%s: p90 %g", cases[i].document,
                           distribution_quantile_ns(latency, 0.9) / 1e6);
    }
}

/* The JSON with defaults is read again and means the same. */
Test(latency, round_trip)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_dpuservice struct dpuservice *service = parse(cases[i].document), *again = NULL;
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        json_auto_t *emitted = dpuservice_emit(service);
        struct document document = {.file = service->file, .root = emitted};

        cr_assert_eq(dpuservice_parse(&document, &again, &problems), 0, "%s",
                     problems.count ? problems.texts[0] : "");
        json_auto_t *emitted_again = dpuservice_emit(again);
        cr_expect(json_equal(emitted, emitted_again), "%s", cases[i].document);
        cr_expect_eq(distribution_mean_ns(&service->egress.latency),
                     distribution_mean_ns(&again->egress.latency), "%s", cases[i].document);
    }
}

/* What was written before there were more distributions: another text would restart every pod. */
Test(latency, older_documents_emit_what_they_did)
{
    static const char *const written[][2] = {
        {"{}", "{\"distribution\": \"constant\", \"value\": \"50ms\", \"seed\": 0}"},
        {"{distribution: uniform, low: 1ms, high: 2ms}",
         "{\"distribution\": \"uniform\", \"low\": \"1ms\", \"high\": \"2ms\", \"seed\": 0}"},
        {"{distribution: exponential, mean: 5ms, seed: 9}",
         "{\"distribution\": \"exponential\", \"mean\": \"5ms\", \"seed\": 9}"},
    };
    for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
        cleanup_dpuservice struct dpuservice *service = parse(written[i][0]);
        json_auto_t *emitted = dpuservice_emit(service);
        cleanup_free char *text = json_dumps(latency_of(emitted), 0);
        cr_expect_str_eq(text, written[i][1]);
    }
}

#define AT   "app.yaml:6: s0: spec.egress.latency"
#define RISE "they must rise, fractions from 0 to 1 and delays with them"

static const struct bad bad_latencies[] = {
    {"{distribution: paretto}",
     AT ".distribution: \"paretto\" is not constant, uniform, exponential, normal, lognormal, "
        "pareto, weibull, gamma, empirical or mixture; did you mean pareto?"},
    {"{distribution: normal, mean: 5ms}", AT ".deviation: missing; distribution normal needs it: "
                                             "give a value such as 10ms"},
    {"{distribution: normal, mean: 5ms, deviation: 0s}",
     AT ".deviation: 0s is below 1ns; give 1ns to 1h"},
    {"{distribution: lognormal, median: 5ms}",
     AT ".sigma: missing; distribution lognormal needs it: give a value such as 0.5"},
    {"{distribution: lognormal, mean: 5ms, sigma: 1}",
     AT ".mean: only with distribution exponential or normal; here it is lognormal\n" AT
        ".median: missing; distribution lognormal needs it: give a value such as 50ms"},
    {"{distribution: pareto, scale: 5ms, shape: 0}",
     AT ".shape: 0 is below 0.05; give 0.05 to 1000"},
    {"{distribution: weibull, scale: 0s, shape: 1}", AT ".scale: 0s is below 1ns; give 1ns to 1h"},
    {"{distribution: gamma, scale: 5ms, shape: 2, parts: []}",
     AT ".parts: only with distribution mixture; here it is gamma"},
    {"{distribution: uniform, low: 9ms, high: 1ms}",
     AT ".low: 9ms is above high, which is 1ms; give low <= high"},
    {"{value: 5ms, shift: 2s, cap: 2s}",
     AT ".cap: 2s is not above shift, which is 2s; every delay would be the cap"},
    {"{value: 5ms, cap: 0s}", AT ".cap: 0s is below 1ns; give 1ns to 1h"},
    {"{distribution: empirical}",
     AT ".quantiles: missing; distribution empirical needs it: give a value such as [{fraction: 0, "
        "delay: 1ms}, {fraction: 1, delay: 9ms}]"},
    {"{distribution: empirical, quantiles: []}",
     AT ".quantiles: empty; give at least 1, or remove it"},
    {"{distribution: empirical, quantiles: [{fraction: 0, delay: 1ms}]}",
     AT ".quantiles: a quantile table has 1 points; give 2 to 1000002: " RISE},
    {"{distribution: empirical, quantiles: [{fraction: 0, delay: 1ms}, {fraction: 0.9, delay: "
     "2ms}]}",
     AT ".quantiles: a quantile table goes from 0 to 0.9; begin at 0, end at 1: " RISE},
    {"{distribution: empirical, quantiles: [{fraction: 0, delay: 3ms}, {fraction: 1, delay: 2ms}]}",
     AT ".quantiles: a quantile table falls at point 1; it must rise: " RISE},
    {"{distribution: empirical, quantiles: [{fraction: 0, delay: 3ms}, {fraction: 2, delay: 4ms}]}",
     AT ".quantiles[1].fraction: 2 is above 1; give 0 to 1"},
    {"{distribution: mixture, parts: []}", AT ".parts: empty; give at least 1, or remove it"},
    {"{distribution: mixture, parts: [{weight: 0}]}",
     AT ".parts[0].weight: 0 is below 0.001; give 0.001 to 1000000"},
    {"{distribution: mixture, parts: [{distribution: mixture, parts: [{}]}]}",
     AT ".parts[0].distribution: \"mixture\" is not known here; give constant, uniform, "
        "exponential, normal, lognormal, pareto, weibull, gamma or empirical\n" AT
        ".parts[0].parts: unknown field; known are distribution, value, low, high, mean, "
        "deviation, median, sigma, scale, shape, quantiles, shift, cap, weight"},
    {"{distribution: mixture, parts: [{value: 1ms}, {distribution: uniform, low: 2ms, high: 1ms}]}",
     AT ".parts[1].low: 2ms is above high, which is 1ms; give low <= high"},
};

Test(latency, bad_ones_are_refused)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < sizeof(bad_latencies) / sizeof(bad_latencies[0]); i++) {
        char text[4096];
        snprintf(text, sizeof(text),
                 "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\nmetadata: {name: s0}\n"
                 "spec:\n  egress:\n    latency: %s\n",
                 bad_latencies[i].text);
        bad_check(text, bad_latencies[i].sentences, &wrong);
    }
    cr_assert_eq(wrong, 0);
}

/* The longest texts that there are fit. */
Test(latency, longest_text)
{
    struct distribution latency = {.kind = DISTRIBUTION_NORMAL,
                                   .value_ns = UINT64_MAX,
                                   .deviation_ns = UINT64_MAX,
                                   .shift_ns = UINT64_MAX,
                                   .cap_ns = UINT64_MAX};
    char text[LATENCY_TEXT_MAX], one[DURATION_TEXT_MAX];
    size_t length = strlen(duration_format(UINT64_MAX, one));

    cr_expect_eq(strlen(latency_format(&latency, text)),
                 strlen("normal, mean , deviation , plus , at most ") + 4 * length);
}
