#include "agent/plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/targets.h"
#include "base/memory.h"

/* arena NULL: from the heap, which does not fail. */
static struct plan *plan_new(struct arena *arena, uint32_t groups, uint32_t calls)
{
    struct plan *plan;
    size_t size =
        sizeof *plan + groups * sizeof(struct plan_group) + calls * sizeof(struct plan_call);
    uint32_t offset = arena ? arena_alloc(arena, size) : ARENA_NONE;
    if (arena && offset == ARENA_NONE)
        return NULL;
    plan = arena ? arena_at(arena, offset) : xmalloc(size);
    *plan = (struct plan){
        .offset = offset, .call_count = (uint16_t)calls, .group_count = groups & PLAN_GROUPS_MASK};
    return plan;
}

struct plan *plan_of_groups(const struct agent_config *config, const struct external_group *groups,
                            size_t group_count)
{
    uint32_t calls = 0;
    for (size_t i = 0; i < group_count; i++)
        calls += (uint32_t)groups[i].call_count;
    struct plan *plan = plan_new(NULL, (uint32_t)group_count, calls);
    plan->shared = 1;
    calls = 0;
    for (uint32_t i = 0; i < plan->group_count; i++) {
        const struct external_group *group = &groups[i];
        uint32_t count = (uint32_t)group->call_count;
        plan_groups(plan)[i] = (struct plan_group){
            .first = (uint16_t)calls, .count = (uint16_t)count, .sample = (uint16_t)group->seq_len};
        if (group->seq_len < count)
            plan->sampling = 1;
        for (uint32_t j = 0; j < count; j++) {
            const struct external_call *call = &group->calls[j];
            plan_calls(plan)[calls++] = (struct plan_call){
                .probability = (float)call->probability,
                .known = agent_config_peer(config, call->service, strlen(call->service)),
                .target = target_number(call->service, strlen(call->service))};
        }
    }
    return plan;
}

struct plan *plan_sampled(struct plan *plan, struct random_stream *stream, struct arena *arena)
{
    struct plan *own = plan_new(arena, plan->group_count, plan->call_count);
    if (!own)
        return NULL;
    memcpy(plan_groups(own), plan_groups(plan), plan->group_count * sizeof(struct plan_group));
    memcpy(plan_calls(own), plan_calls(plan), plan->call_count * sizeof(struct plan_call));
    for (uint32_t i = 0; i < own->group_count; i++) {
        struct plan_group *group = &plan_groups(own)[i];
        struct plan_call *calls = plan_calls(own) + group->first;
        if (group->sample >= group->count)
            continue;
        /* Fisher and Yates, only as far as the sample goes. */
        for (uint32_t j = 0; j < group->sample; j++) {
            uint64_t other = random_range(stream, j, group->count - 1);
            struct plan_call call = calls[j];
            calls[j] = calls[other];
            calls[other] = call;
        }
        group->count = group->sample;
    }
    return own;
}

/* Every character of the longest name and a "__n" as an escape takes no more. */
enum { ESCAPED_NAME_MAX = 6 * (SERVICE_NAME_MAX + 16) };

/* The name with its escapes resolved, in the buffer if it has any. What is longer is nobody's. */
static struct json_text plain_name(const struct json_text *name, char buffer[ESCAPED_NAME_MAX])
{
    if (!name->escaped)
        return *name;
    size_t length = name->length <= ESCAPED_NAME_MAX ? json_unescape(name, buffer) : 0;
    return (struct json_text){.data = buffer, .length = length};
}

/* Length of a call's name without its "__n". */
static size_t name_length(const struct json_text *name)
{
    for (size_t i = 0; i + 1 < name->length; i++)
        if (name->data[i] == '_' && name->data[i + 1] == '_')
            return i;
    return name->length;
}

struct trace_reader {
    struct json_cursor cursor;
    const struct agent_config *config;
    struct plan *plan; /* NULL in the first pass, which only counts */
    uint32_t groups, calls;
};

/* A subtree is a list of objects or an empty object; what lies deeper is the callee's to read. */
static int skip_subtree(struct json_cursor *c)
{
    char first = json_peek(c);
    if (first == '{') {
        int more = json_object_begin(c);
        return more > 0 ? json_fail(c, "a service's value must be a list of groups") : more;
    }
    if (first != '[')
        return json_fail(c, "a service's value must be a list of groups");
    return json_skip(c);
}

static int read_group(struct trace_reader *r)
{
    struct json_cursor *c = &r->cursor;
    uint32_t first = r->calls;
    if (json_peek(c) != '{')
        return json_fail(c, "a group must be an object of services");
    int more;
    for (more = json_object_begin(c); more > 0; more = json_object_next(c)) {
        struct json_text written;
        char buffer[ESCAPED_NAME_MAX];
        json_peek(c);
        const char *begin = c->at;
        if (json_key(c, &written) < 0 || skip_subtree(c) < 0)
            return -1;
        if (r->calls == PLAN_CALLS_MAX)
            return json_fail(c, "the trace makes more than 16384 calls");
        if (r->plan) {
            struct json_text name = plain_name(&written, buffer);
            plan_calls(r->plan)[r->calls] = (struct plan_call){
                .probability = 1,
                .known = agent_config_peer(r->config, name.data, name_length(&name)),
                .target = target_number(name.data, name_length(&name)),
                .body_offset = (uint32_t)(begin - c->begin),
                .body_length = (uint32_t)(c->at - begin)};
        }
        r->calls++;
    }
    if (more < 0 || r->calls == first)
        return more; /* {} is a group without calls */
    if (r->groups == PLAN_GROUPS_MAX)
        return json_fail(c, "the trace has more than 4095 groups");
    if (r->plan)
        plan_groups(r->plan)[r->groups] =
            (struct plan_group){.first = (uint16_t)first,
                                .count = (uint16_t)(r->calls - first),
                                .sample = (uint16_t)(r->calls - first)};
    r->groups++;
    return 0;
}

/* The groups of this service, or {} for none. */
static int read_groups(struct trace_reader *r)
{
    struct json_cursor *c = &r->cursor;
    int more;
    if (json_peek(c) == '{')
        return skip_subtree(c);
    for (more = json_array_begin(c); more > 0; more = json_array_next(c))
        if (read_group(r) < 0)
            return -1;
    return more;
}

static bool is_name(const struct json_text *name, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(name->data, text, length) == 0;
}

/* muBench's newer cells send a second key, whose text only fills the request. */
#define FILLER "dummy"

static int read_trace(struct trace_reader *r)
{
    static const char more_keys[] = "it must have one key only, the service's name";
    struct json_cursor *c = &r->cursor;
    bool found = false;
    int more;
    if (json_peek(c) != '{')
        return json_fail(c, "it must be an object with one key, the service's name");
    for (more = json_object_begin(c); more > 0; more = json_object_next(c)) {
        struct json_text name;
        char buffer[ESCAPED_NAME_MAX];
        const char *begin = c->at;
        if (json_key(c, &name) < 0)
            return -1;
        name = plain_name(&name, buffer);
        size_t length = name_length(&name);
        bool own = is_name(&name, length, r->config->service);
        if (!own && is_name(&name, name.length, FILLER)) {
            if (json_skip(c) < 0)
                return -1;
            continue;
        }
        if (found) {
            c->at = begin;
            return json_fail(c, more_keys);
        }
        if (!own)
            return json_fail(c, "its key must name this service");
        if (read_groups(r) < 0)
            return -1;
        found = true;
    }
    if (more == 0 && !found)
        return json_fail(c, "it must have one key, the service's name");
    return more < 0 ? -1 : json_finish(c);
}

int plan_of_trace(const struct agent_config *config, const char *body, size_t length,
                  struct arena *arena, struct plan **ret_plan, char sentence[PLAN_SENTENCE_MAX])
{
    struct trace_reader r = {.cursor = json_cursor(body, length), .config = config};
    if (read_trace(&r) < 0) {
        snprintf(sentence, PLAN_SENTENCE_MAX,
                 "the body is no trace for service %.64s: %s, at byte %zu of the body",
                 config->service, r.cursor.error, (size_t)(r.cursor.at - r.cursor.begin));
        return -EINVAL;
    }
    /* The same text a second time, now that its size is known. */
    struct plan *plan = plan_new(arena, r.groups, r.calls);
    if (!plan)
        return -ENOMEM;
    r = (struct trace_reader){.cursor = json_cursor(body, length), .config = config, .plan = plan};
    read_trace(&r);
    *ret_plan = plan;
    return 0;
}

void plan_free(struct plan *plan, struct arena *arena)
{
    if (!plan)
        return;
    if (plan->offset == ARENA_NONE)
        free(plan);
    else
        arena_release(arena, plan->offset);
}
