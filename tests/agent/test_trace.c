#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/targets.h"
#include "agent/trace.h"
#include "agent/trace_otlp.h"
#include "agent/trace_post.h"
#include "base/clock.h"

struct world {
    struct metrics *registry;
    struct trace_metrics metrics;
    struct trace *trace;
    struct tracing_settings settings;
};

static void begin(struct world *w)
{
    *w = (struct world){
        .registry = metrics_new(),
        .settings = {
            .given = true, .ratio = 1, .errors = true, .pending = 4, .queue = 2, .batch = 1}};
    trace_metrics_declare(w->registry, &w->metrics);
    metrics_thread_attach(w->registry);
    cr_assert_eq(trace_new(&w->metrics, &w->trace, NULL), 0);
    trace_set(w->trace, &w->settings);
}

static void end(struct world *w)
{
    metrics_thread_detach();
    trace_free(w->trace);
    metrics_free(w->registry);
}

static uint32_t request(struct world *w, enum trace_decision decision)
{
    struct trace_headers headers = {0};
    if (decision != TRACE_DECIDE) {
        headers.text[TRACE_B3_SAMPLED] = decision == TRACE_SAMPLED ? "1" : "0";
        headers.length[TRACE_B3_SAMPLED] = 1;
    }
    return trace_request_new(w->trace, &headers, 100);
}

static double dropped(const struct world *w, enum trace_drop reason)
{
    return metric_value(w->metrics.dropped[reason]);
}

Test(trace, a_ratio_is_a_threshold_of_the_last_seven_bytes)
{
    const uint64_t lowest[] = {UINT64_MAX, (uint64_t)0xff << 56};
    const uint64_t highest[] = {0, (UINT64_C(1) << 56) - 1};
    const uint64_t middle[] = {1, UINT64_C(1) << 55};
    const uint64_t below[] = {1, (UINT64_C(1) << 55) - 1};
    cr_assert(trace_id_sampled(lowest, 1) && trace_id_sampled(highest, 1));
    cr_assert(!trace_id_sampled(lowest, 0) && !trace_id_sampled(highest, 0));
    cr_assert(!trace_id_sampled(lowest, 0.5) && trace_id_sampled(highest, 0.5));
    cr_assert(trace_id_sampled(middle, 0.5) && !trace_id_sampled(below, 0.5));
}

/* 100,000 ids at 0.01, 0.3 and 0.9: within 5.5 standard deviations, which chance passes once in ten
 * million runs. */
Test(trace, ids_are_sampled_at_the_ratio)
{
    static const double ratios[] = {0.01, 0.3, 0.9};
    struct world w;
    begin(&w);
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
        w.settings.ratio = ratios[i];
        trace_set(w.trace, &w.settings);
        double n = 100000, sampled = 0;
        uint64_t last = 0;
        for (int j = 0; j < (int)n; j++) {
            uint32_t number = request(&w, TRACE_DECIDE);
            const struct trace_request *r = trace_request_at(w.trace, number);
            cr_assert(r->context.trace_id[0] && r->context.trace_id[1] && r->context.span_id);
            cr_assert(r->context.trace_id[1] != last);
            last = r->context.trace_id[1];
            cr_assert_eq(r->context.parent_id, 0);
            sampled += r->context.decision == TRACE_SAMPLED;
            /* Free again, whatever was decided: the collector is off. */
            trace_set(w.trace, NULL);
            trace_request_end(w.trace, number, 200);
            trace_set(w.trace, &w.settings);
        }
        double sigma = sqrt(n * ratios[i] * (1 - ratios[i]));
        cr_assert_lt(fabs(sampled - n * ratios[i]), 5.5 * sigma, "%g", ratios[i]);
    }
    cr_assert_eq(w.trace->requests.used, 0);
    end(&w);
}

Test(trace, bounds_are_kept_and_counted)
{
    struct world w;
    uint32_t numbers[7];
    begin(&w);
    for (int i = 0; i < 7; i++)
        numbers[i] = request(&w, TRACE_SAMPLED);
    cr_assert(numbers[5] != TRACE_NONE && numbers[6] == TRACE_NONE);
    cr_assert_eq(dropped(&w, TRACE_DROP_MEMORY), 1);
    for (int i = 0; i < 6; i++)
        trace_request_end(w.trace, numbers[i], 200);
    cr_assert_eq(ring_depth(&w.trace->finished), 2);
    cr_assert_eq(dropped(&w, TRACE_DROP_QUEUE), 4);
    cr_assert_eq(w.trace->requests.used, 2);
    cr_assert_eq(metric_value(w.metrics.requests[TRACE_OUTCOME_SAMPLED]), 6);
    /* What the exporter gives back is free. */
    for (int i = 0; i < 2; i++) {
        struct descriptor *d = ring_pop(&w.trace->finished), *back = ring_slot(&w.trace->returned);
        back->tag = d->tag;
        ring_submit(&w.trace->returned, back);
    }
    ring_release(&w.trace->finished);
    trace_turn(w.trace);
    cr_assert_eq(w.trace->requests.used, 0);
    end(&w);
}

Test(trace, errors_are_sent_and_what_nobody_wants_is_free_at_once)
{
    struct world w;
    begin(&w);
    uint32_t good = request(&w, TRACE_NOT_SAMPLED), bad = request(&w, TRACE_NOT_SAMPLED);
    trace_request_at(w.trace, good)->status = 404;
    trace_request_at(w.trace, bad)->status = 503;
    trace_request_end(w.trace, good, 200);
    cr_assert_eq(w.trace->requests.used, 1);
    trace_request_end(w.trace, bad, 200);
    cr_assert_eq(ring_depth(&w.trace->finished), 1);
    cr_assert_eq(metric_value(w.metrics.requests[TRACE_OUTCOME_ERROR]), 1);
    cr_assert_eq(metric_value(w.metrics.requests[TRACE_OUTCOME_NOT]), 1);
    w.settings.errors = false;
    trace_set(w.trace, &w.settings);
    bad = request(&w, TRACE_NOT_SAMPLED);
    trace_request_at(w.trace, bad)->status = 503;
    trace_request_end(w.trace, bad, 200);
    cr_assert_eq(metric_value(w.metrics.requests[TRACE_OUTCOME_NOT]), 2);
    end(&w);
}

Test(trace, calls_are_capped_a_request_and_go_with_it)
{
    struct world w;
    begin(&w);
    uint32_t number = request(&w, TRACE_SAMPLED);
    const struct trace_request *r = trace_request_at(w.trace, number);
    for (int i = 0; i < TRACE_CALLS_MAX; i++) {
        uint32_t call = trace_call_new(w.trace, number, 150);
        cr_assert_neq(call, TRACE_NONE);
        const struct trace_call *c = trace_call_at(w.trace, call);
        cr_assert_eq(c->context.parent_id, r->context.span_id);
        cr_assert_eq(c->context.trace_id[1], r->context.trace_id[1]);
        cr_assert_neq(c->context.span_id, r->context.span_id);
    }
    cr_assert_eq(trace_call_new(w.trace, number, 150), TRACE_NONE);
    cr_assert_eq(r->calls_lost, 1);
    cr_assert_eq(trace_span_count(w.trace, r), 1 + 2 * TRACE_CALLS_MAX);
    trace_set(w.trace, NULL);
    trace_request_end(w.trace, number, 200);
    cr_assert_eq(dropped(&w, TRACE_DROP_OFF), 1 + 2 * TRACE_CALLS_MAX);
    cr_assert(w.trace->requests.used == 0 && w.trace->calls.used == 0);
    end(&w);
}

/* The count that drops are counted by, and the spans that are sent, for every set of steps. */
Test(trace, as_many_spans_are_written_as_are_counted)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(1 << 22);
    char service[] = "s\"0", replica[] = "r\n0", zone[] = "z";
    struct agent_config config = {.service = service, .replica = replica, .zone = zone};
    struct world w;
    begin(&w);
    for (unsigned steps = 0; steps < 64; steps++) {
        uint32_t number = request(&w, TRACE_SAMPLED);
        struct trace_request *r = trace_request_at(w.trace, number);
        r->in.over_ns = steps & 1 ? 110 : 0;
        r->queued_ns = steps & 2 ? 110 : 0;
        r->application.taken_ns = steps & 2 ? 105 : 0; /* a clock that is a little behind */
        r->application.worked_ns = steps & 4 ? 120 : 0;
        r->application.answered_ns = steps & 8 ? 130 : 0;
        r->returned_ns = 140;
        r->out.over_ns = steps & 16 ? 150 : 0;
        r->status = 500;
        r->reason = REJECT_EXTERNAL_ERROR;
        r->path_length = 3;
        memcpy(r->path, "/\xff\"", 3);
        if (steps & 32) {
            struct trace_call *call = trace_call_at(w.trace, trace_call_new(w.trace, number, 125));
            call->target = steps & 1 ? TARGET_NONE : target_number("s1", 2);
            call->submitted_ns = 121;
            call->out.over_ns = steps & 2 ? 126 : 0;
            call->in.over_ns = steps & 4 ? 128 : 0;
            call->ended_ns = 129;
            call->status = 504;
        }
        struct otlp otlp;
        otlp_begin(&otlp, &body, &config, 1);
        unsigned spans = otlp_request(&otlp, w.trace, r);
        otlp_end(&otlp);
        json_error_t error;
        json_auto_t *json = json_loadb(body.data, body.length, JSON_REJECT_DUPLICATES, &error);
        cr_assert_not_null(json, "%s", error.text);
        const json_t *listed = json_object_get(
            json_array_get(
                json_object_get(json_array_get(json_object_get(json, "resourceSpans"), 0),
                                "scopeSpans"),
                0),
            "spans");
        cr_assert_eq(json_array_size(listed), spans);
        cr_assert_eq(trace_span_count(w.trace, r), spans, "steps %u", steps);
        cr_assert_leq(body.length, OTLP_FRAME_BYTES + OTLP_REQUEST_BYTES + OTLP_CALL_BYTES);
        const json_t *path = json_object_get(
            json_array_get(json_object_get(json_array_get(listed, 0), "attributes"), 0), "value");
        cr_assert_str_eq(json_string_value(json_object_get(path, "stringValue")), "/?\"");
        trace_set(w.trace, NULL);
        trace_request_end(w.trace, number, 200);
        trace_set(w.trace, &w.settings);
    }
    end(&w);
}

/* The I/O thread read its clock at 100 and was off the processor while the application worked. */
Test(trace, what_came_later_is_not_earlier)
{
    struct world w;
    begin(&w);
    uint32_t number = request(&w, TRACE_SAMPLED);
    struct trace_request *r = trace_request_at(w.trace, number);
    struct trace_call *call = trace_call_at(w.trace, trace_call_new(w.trace, number, 100));
    r->queued_ns = r->returned_ns = 100;
    r->application.taken_ns = 300;
    r->application.answered_ns = 350;
    call->submitted_ns = 310;
    call->begun_ns = call->answered_ns = 100;
    call->ended_ns = 400;
    trace_request_end(w.trace, number, 100);
    cr_expect(r->begun_ns == 100 && r->in.over_ns == 0 && r->queued_ns == 100);
    cr_expect(r->application.taken_ns == 300 && r->application.worked_ns == 0);
    cr_expect(call->submitted_ns == 310 && call->taken_ns == 310 && call->out.over_ns == 0);
    cr_expect(call->begun_ns == 310 && call->answered_ns == 310 && call->ended_ns == 400);
    cr_expect(r->application.answered_ns == 400 && r->returned_ns == 400 && r->ended_ns == 400);
    end(&w);
}

Test(trace, a_body_that_is_full_is_as_before)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(OTLP_REQUEST_BYTES + OTLP_FRAME_BYTES + 600);
    char name[] = "s0";
    struct agent_config config = {.service = name, .replica = name, .zone = name};
    struct world w;
    begin(&w);
    uint32_t number = request(&w, TRACE_SAMPLED);
    struct otlp otlp;
    otlp_begin(&otlp, &body, &config, 1);
    cr_assert_eq(otlp_request(&otlp, w.trace, trace_request_at(w.trace, number)), 1);
    size_t length = body.length;
    cr_assert_eq(otlp_request(&otlp, w.trace, trace_request_at(w.trace, number)), 0);
    cr_assert_eq(body.length, length);
    otlp_end(&otlp);
    json_auto_t *json = json_loadb(body.data, body.length, 0, NULL);
    cr_assert_not_null(json);
    end(&w);
}

Test(trace, what_an_answer_says_besides_its_status)
{
    static const struct {
        const char *text;
        unsigned retry_after_s;
        uint64_t rejected;
    } cases[] = {
        {"", 0, 0},
        {"HTTP/1.1 200 OK\r\n\r\n", 0, 0},
        {"HTTP/1.1 429 No\r\nRETRY-after:  7\r\n\r\n", 7, 0},
        {"HTTP/1.1 429 No\r\nRetry-After: Fri, 27 Nov 2026 18:00:00 GMT\r\n\r\n", 0, 0},
        {"HTTP/1.1 429 No\r\nRetry-After: 99999999999999999999\r\n\r\n", 3600, 0},
        {"HTTP/1.1 200 OK\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"12\"}}", 0, 12},
        {"HTTP/1.1 200 OK\r\n\r\n{\"partialSuccess\":{ \"rejectedSpans\" : 3 }}", 0, 3},
        {"HTTP/1.1 200 OK\r\n\r\n{\"partialSuccess\":{}}", 0, 0},
        {"HTTP/1.1 200 OK\r\n\r\nretry-after: 5 \"rejectedSpans\"", 0, 0},
        {"HTTP/1.1 200 OK\r\nx: \"rejectedSpans\":\"3\"\r\n\r\n", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trace_post_result result = {.status = 200};
        trace_post_read(cases[i].text, &result);
        cr_assert_eq(result.retry_after_s, cases[i].retry_after_s, "%zu", i);
        cr_assert_eq(result.rejected, cases[i].rejected, "%zu", i);
    }
}
