#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/app_private.h"
#include "agent/colosseum.h"
#include "agent/reply.h"
#include "base/clock.h"
#include "base/memory.h"

static uint16_t *places(struct app_request *r)
{
    return r->plan->group_count > INLINE_GROUPS ? r->many : r->at;
}

/* The calls are over: what only they needed goes. */
static void drop_plan(struct app *app, struct app_request *r)
{
    if (!r->plan)
        return;
    if (r->plan->group_count > INLINE_GROUPS)
        free(r->many);
    if (!r->plan->shared)
        plan_free(r->plan, &app->agent->reverse);
    r->plan = NULL;
}

/* Hands the answer to the I/O thread; false when the completion queue is full. */
static bool complete(struct app *app, uint32_t index)
{
    struct app_request *r = app_request_at(app, index);
    struct descriptor *d = ring_slot(&app->agent->ingress_cq);
    if (!d) {
        metric_add(app->agent->metrics.queue_full[QUEUE_INGRESS_CQ], 1);
        return false;
    }
    d->offset = r->answer.offset;
    d->length = r->answer.length;
    d->tag = r->exchange;
    d->status = (uint16_t)reject_status(r->reason);
    d->flags = (uint16_t)(r->reason | r->form << 8);
    hostwork_message(&app->hostwork, &app->config->config->datapath, POD_OUT,
                     d->offset == ARENA_NONE ? 0 : d->length, false);
    ring_submit(&app->agent->ingress_cq, d);
    metric_add(app->agent->metrics.queue_submitted[QUEUE_INGRESS_CQ], 1);
    config_ref_drop(r->config);
    pool_give(&app->requests, index);
    return true;
}

static void answer(struct app *app, uint32_t index, uint32_t offset, uint32_t length)
{
    struct app_request *r = app_request_at(app, index);
    struct trace_request *trace = app_trace_of(app, r);
    if (trace)
        trace->application.answered_ns = app->now_ns;
    drop_plan(app, r);
    r->answer.offset = offset;
    r->answer.length = length;
    /* Answers that wait keep their order. */
    if (app->answered_first == POOL_NONE && complete(app, index))
        return;
    r->node.next = POOL_NONE;
    if (app->answered_first == POOL_NONE)
        app->answered_first = index;
    else
        app_request_at(app, app->answered_last)->node.next = index;
    app->answered_last = index;
}

/* A plugin's answer that nobody gets. */
static void drop_body(struct app *app, struct app_request *r)
{
    uint32_t offset, length;
    if (app_take_body(r, &offset, &length))
        arena_release(&app->agent->reverse, offset);
}

void app_refuse(struct app *app, uint32_t index, enum reject_reason reason)
{
    struct app_request *r = app_request_at(app, index);
    r->reason = (uint8_t)reason;
    r->form = DESCRIPTOR_JSON >> 8;
    drop_body(app, r);
    answer(app, index, ARENA_NONE, 0);
}

/* Answers with a sentence of the moment, or with the reason's own when there is no memory. */
static void refuse_with(struct app *app, uint32_t index, enum reject_reason reason,
                        const char *sentence)
{
    struct app_request *r = app_request_at(app, index);
    size_t length = strlen(sentence);
    uint32_t offset = arena_alloc(&app->agent->reverse, json_escaped_length(sentence, length) + 16);
    if (offset == ARENA_NONE) {
        app_refuse(app, index, reason);
        return;
    }
    char *begin = arena_at(&app->agent->reverse, offset), *end = begin;
    end = mempcpy(end, "{\"message\":\"", 12);
    end = json_escape(sentence, length, end);
    end = mempcpy(end, "\"}", 2);
    r->reason = (uint8_t)reason;
    r->form = DESCRIPTOR_JSON >> 8;
    answer(app, index, offset, (uint32_t)(end - begin));
}

static struct mub_series *series_of(struct app *app, const struct request_message *m)
{
    uint32_t source = m->source < app->source_limit ? m->source : 0;
    bool post = m->method == METHOD_POST;
    struct mub_series *s = &app->series[2 * source + post];
    if (!s->size)
        agent_metrics_mub(app->agent, app->config->config, post ? "POST" : "GET",
                          app->agent->sources[source], s);
    return s;
}

/* Size of the answer's body: max(1, 1000 * Exp(mean)) characters (contract section 2), cut at a
 * sixteenth of the registered memory so that one draw can't take it all. */
static uint32_t draw_size(const struct app *app, uint32_t index,
                          const struct internal_service *internal)
{
    if (internal->response_kb == 0)
        return 1;
    struct random_stream dice = app_dice(app, index, CHANCE_SIZE, 0);
    double size = random_exponential(&dice, 1000 * internal->response_kb);
    double most = (double)app->agent->reverse.size / 16;
    return size < 1 ? 1 : (uint32_t)(size > most ? most : size);
}

/* Writes the body of a good answer into the reverse arena; false when that is full. */
static bool make_body(struct app *app, uint32_t index, uint32_t *ret_offset, uint32_t *ret_length)
{
    struct app_request *r = app_request_at(app, index);
    const struct internal_service *internal = app_behavior_of(r)->internal;
    struct arena *reverse = &app->agent->reverse;
    if (app_take_body(r, ret_offset, ret_length)) {
        r->form = DESCRIPTOR_TEXT >> 8;
        return true;
    }
    bool colosseum = internal->kind == INTERNAL_COLOSSEUM;
    uint32_t size = colosseum ? (uint32_t)colosseum_length : draw_size(app, index, internal);
    uint32_t offset = arena_alloc(reverse, size);
    if (offset == ARENA_NONE)
        return false;
    if (colosseum)
        memcpy(arena_at(reverse, offset), colosseum_page, size);
    else
        memset(arena_at(reverse, offset), 'm', size);
    r->form = colosseum ? DESCRIPTOR_TEXT >> 8 : 0;
    *ret_offset = offset;
    *ret_length = size;
    return true;
}

/* All calls are done and none failed, or some did. */
static void finish(struct app *app, uint32_t index)
{
    struct app_request *r = app_request_at(app, index);
    const struct request_message *m = app_message_of(app, r);
    struct mub_series *s = series_of(app, m);
    uint64_t external_ns = r->start_ns + r->internal_us * NS_PER_US;
    double external_ms = external_ns < app->now_ns ? (double)(app->now_ns - external_ns) / 1e6 : 0;
    metric_observe(s->internal, (double)r->internal_us / 1e3);
    metric_observe(s->external, external_ms); /* as muBench does, also of nobody */
    metric_observe(s->request, (double)(app->now_ns - r->start_ns) / 1e6);
    if (r->reason) {
        app_refuse(app, index, r->reason);
        return;
    }
    uint32_t offset, length;
    if (!make_body(app, index, &offset, &length)) {
        app_refuse(app, index, REJECT_MEMORY_FULL);
        return;
    }
    metric_observe(s->size, length);
    answer(app, index, offset, length);
}

/* Writes one call into a slot of the egress queue. */
static void submit_call(struct app *app, struct descriptor *d, uint32_t tag)
{
    struct app_request *r = app_request_at(app, tag & TAG_REQUEST_MASK);
    uint32_t group = tag >> TAG_REQUEST_BITS;
    const struct request_message *m = app_message_of(app, r);
    const struct plan_call *call =
        &plan_calls(r->plan)[plan_groups(r->plan)[group].first + places(r)[group]++];
    d->offset = r->node.user;
    d->length = m->length;
    d->tag = tag;
    d->status = 0;
    d->flags = call->target;
    d->body_offset = call->body_length ? (uint32_t)(message_body(m) - (const char *)m) +
                                             r->node.user + call->body_offset
                                       : ARENA_NONE;
    d->body_length = call->body_length;
    d->stamp_us = (uint32_t)(app->now_ns / NS_PER_US);
    hostwork_message(&app->hostwork, &app->config->config->datapath, POD_OUT, d->length, false);
    ring_submit(&app->agent->egress_sq, d);
    metric_add(app->agent->metrics.queue_submitted[QUEUE_EGRESS_SQ], 1);
}

static void group_done(struct app *app, uint32_t index)
{
    if (--app_request_at(app, index)->groups_left == 0)
        finish(app, index);
}

static void fail_call(struct app *app, struct app_request *r, enum reject_reason reason)
{
    if (!r->reason)
        r->reason = (uint8_t)reason;
    metric_add(app->agent->metrics.calls_failed, 1);
}

static bool is_drawn(const struct app *app, uint32_t index, uint32_t call, double probability)
{
    struct random_stream dice = app_dice(app, index, CHANCE_CALL, call);
    return random_unit(&dice) < probability;
}

/* Whether the group has a call to make now; steps over those that the dice rule out, and those that
 * fail for their name. As in muBench, the group goes on after a failed call. */
static bool has_call(struct app *app, uint32_t index, uint32_t group)
{
    struct app_request *r = app_request_at(app, index);
    const struct plan_group *g = &plan_groups(r->plan)[group];
    for (uint16_t *at = &places(r)[group]; *at < g->count; (*at)++) {
        const struct plan_call *call = &plan_calls(r->plan)[g->first + *at];
        if (call->probability < 1 && !is_drawn(app, index, g->first + *at, call->probability))
            continue;
        if (call->known)
            return true;
        metric_add(app->agent->metrics.calls_unknown, 1);
        fail_call(app, r, REJECT_EXTERNAL_ERROR);
    }
    return false;
}

/* Makes the group's next call, or ends the group. */
static void step(struct app *app, uint32_t index, uint32_t group)
{
    if (!has_call(app, index, group)) {
        group_done(app, index);
        return;
    }
    uint32_t tag = index | group << TAG_REQUEST_BITS;
    struct descriptor *d = app->blocked.count ? NULL : ring_slot(&app->agent->egress_sq);
    if (d) {
        submit_call(app, d, tag);
        return;
    }
    metric_add(app->agent->metrics.queue_full[QUEUE_EGRESS_SQ], 1);
    tag_fifo_push(&app->blocked, tag);
}

void app_begin_calls(struct app *app, uint32_t index)
{
    struct app_request *r = app_request_at(app, index);
    uint32_t groups = r->plan->group_count;
    uint64_t internal_us = (app->now_ns - r->start_ns) / NS_PER_US;
    r->internal_us = internal_us < UINT32_MAX ? (uint32_t)internal_us : UINT32_MAX;
    struct trace_request *trace = app_trace_of(app, r);
    if (trace)
        trace->application.worked_ns = app->now_ns;
    if (groups == 0) {
        finish(app, index);
        return;
    }
    if (groups > INLINE_GROUPS)
        r->many = xcalloc(groups, sizeof *r->many);
    else
        memset(r->at, 0, sizeof r->at);
    /* One more than there are, so that a group that ends at once can't finish the request while the
     * others have not begun. */
    r->groups_left = (uint16_t)(groups + 1);
    for (uint32_t group = 0; group < groups; group++)
        step(app, index, group);
    group_done(app, index);
}

void app_call_done(struct app *app, const struct descriptor *completion)
{
    uint32_t index = completion->tag & TAG_REQUEST_MASK;
    struct app_request *r = app_request_at(app, index);
    hostwork_message(&app->hostwork, &app->config->config->datapath, POD_IN, completion->length,
                     completion->flags & DESCRIPTOR_WAKE);
    if (completion->status != 200)
        fail_call(app, r,
                  completion->status == 504   ? REJECT_EXTERNAL_TIMEOUT
                  : completion->status == 503 ? REJECT_EGRESS_QUEUE_FULL
                                              : REJECT_EXTERNAL_ERROR);
    step(app, index, completion->tag >> TAG_REQUEST_BITS);
}

/* Gives the request its behaviour and its plan; REJECT_NONE, or why there is none (malformed: the
 * sentence says more). */
static enum reject_reason choose_plan(struct app *app, uint32_t index,
                                      const struct request_message *m,
                                      char sentence[PLAN_SENTENCE_MAX])
{
    struct app_request *r = app_request_at(app, index);
    struct arena *arena = &app->agent->reverse;
    const struct behaviors *behaviors = &app->config->behaviors;
    const struct behavior *chosen = behavior_choose(behaviors, message_query(m), m->query_length);
    r->behavior = (uint8_t)(chosen - behaviors->list);
    r->plan = chosen->plan;
    if (m->method == METHOD_POST && message_body_length(m) > 0) {
        r->plan = NULL;
        int result = plan_of_trace(app->config->config, message_body(m), message_body_length(m),
                                   arena, &r->plan, sentence);
        return result == -EINVAL ? REJECT_MALFORMED : result < 0 ? REJECT_MEMORY_FULL : REJECT_NONE;
    }
    if (r->plan->sampling) {
        struct random_stream dice = app_dice(app, index, CHANCE_SAMPLE, 0);
        r->plan = plan_sampled(r->plan, &dice, arena);
    }
    return r->plan ? REJECT_NONE : REJECT_MEMORY_FULL;
}

/* Whether the request is one for the application; answers it otherwise. */
static bool admit(struct app *app, uint32_t index)
{
    struct app_request *r = app_request_at(app, index);
    const struct request_message *m = app_message_of(app, r);
    const char *path = app->config->config->workload.path;
    char sentence[PLAN_SENTENCE_MAX];
    if (m->path_length != strlen(path) || memcmp(message_path(m), path, m->path_length) != 0) {
        snprintf(sentence, sizeof sentence, "no such path; this service answers at %.128s", path);
        refuse_with(app, index, REJECT_NOT_FOUND, sentence);
        return false;
    }
    if (m->method == METHOD_OTHER) {
        app_refuse(app, index, REJECT_METHOD);
        return false;
    }
    if (m->hops > app->config->config->egress.forward.hops) {
        app_refuse(app, index, REJECT_HOP_LIMIT);
        return false;
    }
    enum reject_reason reason = choose_plan(app, index, m, sentence);
    if (reason == REJECT_MALFORMED) {
        refuse_with(app, index, reason, sentence);
        return false;
    }
    if (reason) {
        app_refuse(app, index, reason);
        return false;
    }
    /* Refused while nothing is done yet; a request that was admitted waits for room instead. */
    uint32_t groups = r->plan->group_count, least = groups < 16 ? groups : 16;
    if (groups > 0 && __atomic_load_n(&app->agent->egress_capped, __ATOMIC_RELAXED) &&
        (app->blocked.count || ring_room(&app->agent->egress_sq, least) < least)) {
        metric_add(app->agent->metrics.queue_full[QUEUE_EGRESS_SQ], 1);
        if (!r->plan->shared)
            plan_free(r->plan, &app->agent->reverse);
        r->plan = NULL;
        app_refuse(app, index, REJECT_EGRESS_QUEUE_FULL);
        return false;
    }
    return true;
}

void app_begin(struct app *app, const struct descriptor *submission)
{
    hostwork_message(&app->hostwork, &app->config->config->datapath, POD_IN, submission->length,
                     submission->flags & DESCRIPTOR_WAKE);
    /* As many as exchanges, so there always is one. */
    uint32_t index = pool_take(&app->requests);
    struct app_request *r = app_request_at(app, index);
    *r = (struct app_request){.node.user = submission->offset,
                              .exchange = submission->tag,
                              .start_ns = app->now_ns,
                              .config = app->config};
    config_ref_take(r->config);
    app->numbers[index] = app->begun++;
    struct trace_request *trace = app_trace_of(app, r);
    if (trace)
        trace->application.taken_ns = app->now_ns;
    if (admit(app, index))
        app_begin_internal(app, index);
}

bool app_retry(struct app *app)
{
    bool any = false;
    while (app->answered_first != POOL_NONE) {
        uint32_t index = app->answered_first, next = app_request_at(app, index)->node.next;
        if (!complete(app, index))
            break;
        app->answered_first = next;
        any = true;
    }
    struct tag_fifo *blocked = &app->blocked;
    struct descriptor *d;
    while (blocked->count && (d = ring_slot(&app->agent->egress_sq))) {
        submit_call(app, d, tag_fifo_head(blocked));
        tag_fifo_pop(blocked);
        any = true;
    }
    return any;
}
