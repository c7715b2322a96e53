#include "ctl/cluster/top_row.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/cluster/top_names.h"
#include "ctl/cluster/top_print.h"

/* A page at second t of an agent that answers 100 requests a second, all within (1, 10] ms. */
static struct top_agent *add(struct top_service *service, const char *key, double t)
{
    struct top_agent *agent = top_service_add(service, key, "/metrics");
    struct agent_figures *f = &agent->figures;
    agent->known = true;
    agent->taken_ns = (uint64_t)(t * 1e9);
    f->requests_total = 100 * t;
    f->in_flight = 4;
    f->queue_depth = 1;
    f->queue_capacity = 1024;
    f->host_cpu_seconds = 0.5 * t;
    f->dpu_busy_seconds[AGENT_UNIT_IO] = 0.25 * t;
    f->start_seconds = 7;
    f->latency = (struct agent_histogram){
        .bound_count = 3, .bounds = {1, 10, INFINITY}, .counts = {0, 100 * t, 100 * t}, .sum = 1};
    return agent;
}

static void expect(const struct top_figure *figure, double value, unsigned missing)
{
    if (isnan(value))
        cr_assert(isnan(figure->value), "%g", figure->value);
    else
        cr_assert_float_eq(figure->value, value, 1e-9);
    cr_assert_eq(figure->missing, missing);
}

Test(top_row, sums_replicas)
{
    cleanup_top_round struct top_round before = TOP_ROUND_INIT, now = TOP_ROUND_INIT;
    struct top_row row;
    struct top_service *old = top_round_add(&before, "shop", "s0");
    add(old, "a", 10);
    add(old, "b", 10);
    struct top_service *service = top_round_add(&now, "shop", "s0");
    add(service, "a", 12);
    add(service, "b", 14);
    top_row_make(service, &before, &row);
    expect(&row.requests_per_s, 200, 0);
    expect(&row.dpu_cores, 0.5, 0);
    expect(&row.host_cores, 1, 0);
    expect(&row.in_flight, 8, 0);
    expect(&row.queue_capacity, 2048, 0);
    /* 600 requests between 1 and 10 ms: half of them below 5.5. */
    expect(&row.p50_ms, 5.5, 0);
    expect(&row.p99_ms, 9.91, 0);
    cr_assert_eq(row.silent, 0);
}

/* A replica that does not keep the DPU model's time marks its service, in the table and in JSON. */
Test(top_row, a_busy_host_is_marked)
{
    cleanup_top_round struct top_round now = TOP_ROUND_INIT;
    struct top_row row;
    struct top_service *service = top_round_add(&now, "shop", "s0");
    add(service, "a", 12)->figures.host_busy = 1;
    add(service, "b", 12)->figures.host_busy = 0;
    add(service, "c", 12)->figures.host_busy = NAN;
    top_row_make(service, NULL, &row);
    cr_assert_eq(row.host_busy, 1);
    char text[1000] = "";
    FILE *file = fmemopen(text, sizeof text, "w");
    top_print_table(&now, NULL, false, file);
    fclose(file);
    cr_assert(strstr(text, "s0*") && strstr(text, "* the hosts of 1 replicas are too busy"), "%s",
              text);
    json_auto_t *json = top_print_json(&now, NULL, 2);
    const json_t *printed = json_array_get(json_object_get(json, "services"), 0);
    cr_assert_eq(json_integer_value(json_object_get(printed, "host_busy")), 1);
}

Test(top_row, what_is_not_known_is_missing_not_zero)
{
    cleanup_top_round struct top_round before = TOP_ROUND_INIT, now = TOP_ROUND_INIT;
    struct top_row row;
    struct top_service *old = top_round_add(&before, "shop", "s0");
    add(old, "a", 10);
    add(old, "b", 10);
    add(top_round_add(&before, "bank", "s0"), "c", 10);
    struct top_service *service = top_round_add(&now, "shop", "s0");
    add(service, "a", 12);
    top_service_add(service, "b", "/metrics"); /* does not answer */
    add(service, "c", 12);                     /* was not there: that of bank is another */
    top_row_make(service, &before, &row);
    cr_assert_eq(row.silent, 1);
    expect(&row.requests_per_s, 100, 2);
    expect(&row.in_flight, 8, 1);
    expect(&row.p50_ms, 5.5, 2);
    /* Without an earlier round there are no rates at all. */
    top_row_make(service, NULL, &row);
    expect(&row.requests_per_s, NAN, 3);
    expect(&row.p50_ms, NAN, 3);
    expect(&row.in_flight, 8, 1);
}

Test(top_row, first_requests_count_and_a_restart_does_not)
{
    cleanup_top_round struct top_round before = TOP_ROUND_INIT, now = TOP_ROUND_INIT;
    struct top_row row;
    struct top_service *old = top_round_add(&before, "", "s0");
    struct top_agent *idle = add(old, "a", 10);
    idle->figures.requests_total = 1100;
    idle->figures.latency.bound_count = 0; /* as before the first request */
    struct top_service *service = top_round_add(&now, "", "s0");
    struct top_agent *agent = add(service, "a", 12);
    top_row_make(service, &before, &row);
    expect(&row.requests_per_s, 50, 0);
    expect(&row.p50_ms, 5.5, 0);
    /* Idle still: nothing is missing, there is just nothing. */
    agent->figures.latency.bound_count = 0;
    top_row_make(service, &before, &row);
    expect(&row.p50_ms, NAN, 0);
    agent->figures.start_seconds = 11;
    top_row_make(service, &before, &row);
    expect(&row.requests_per_s, NAN, 1);
}

static char *print(const struct top_round *now, const struct top_round *before, bool namespaces)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    top_print_table(now, before, namespaces, file);
    fclose(file);
    return text;
}

Test(top_print, marks_what_is_unknown)
{
    cleanup_top_round struct top_round before = TOP_ROUND_INIT, now = TOP_ROUND_INIT;
    add(top_round_add(&before, "shop", "s0"), "a", 10);
    struct top_service *service = top_round_add(&now, "shop", "s0");
    service->ready = 1;
    service->wanted = 2;
    add(service, "a", 12);
    top_service_add(service, "b", "/metrics");
    top_service_add(top_round_add(&now, "shop", "s1"), "c", "/metrics");
    top_round_add(&now, "shop", "s2");
    cleanup_free char *text = print(&now, &before, true);
    cr_assert_str_eq(text, "NAMESPACE  NAME  READY  REQ/S  P50(ms)  P99(ms)  INFLIGHT    QUEUE  "
                           "DPU(m)  HOST(m)\n"
                           "shop       s0      1/2   100?    5.50?    9.91?        4?  1/1024?  "
                           "  250?     500?\n"
                           "shop       s1      0/0      ?        ?        ?         ?        ?  "
                           "     ?        ?\n"
                           "shop       s2      0/0      -        -        -         -        -  "
                           "     -        -\n");
    json_auto_t *object = top_print_json(&now, &before, 2);
    const json_t *s1 = json_array_get(json_object_get(object, "services"), 1);
    cr_assert(json_is_null(json_object_get(s1, "requests_per_s")));
    cr_assert_eq(json_integer_value(json_object_get(s1, "silent")), 1);
}

Test(top_names, say_which)
{
    char dpu[] = "dpu/s0", bare[] = "s1", *names[] = {dpu, bare};
    cleanup_top_round struct top_round round = TOP_ROUND_INIT;
    cleanup_error struct error *err = NULL;
    cr_assert(top_is_named(names, 0, "any"));
    cr_assert(top_is_named(names, 2, "s0") && top_is_named(names, 2, "s1"));
    cr_assert_not(top_is_named(names, 2, "s2"));
    top_round_add(&round, "", "s0");
    cr_assert_eq(top_all_found(&round, names, 1, &err), 0);
    cr_assert_lt(top_all_found(&round, names, 2, &err), 0);
    cr_assert_str_eq(error_message(err), "there is no DpuService s1");
}
