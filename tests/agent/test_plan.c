#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/plan.h"
#include "base/buffer.h"
#include "base/memory.h"

static struct agent_config *config_of(const char *text)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct agent_config *config;
    int result = agent_config_parse(text, strlen(text), "test", &config, &problems);
    cr_assert_eq(result, 0, "%s", problems.count ? problems.texts[0] : "");
    return config;
}

/* Where the plans of requests lie; every test gives all of it back. */
static struct arena arena;

static void setup(void)
{
    cr_assert_eq(arena_init(&arena, 8 << 20, NULL), 0);
}

static void teardown(void)
{
    cr_assert_eq(arena.used_bytes, 0, "a plan was not given back");
    arena_free(&arena);
}

TestSuite(plan, .init = setup, .fini = teardown);

static struct agent_config *trace_config(void)
{
    return config_of("{\"service\":\"s0\",\"peers\":{\"s1\":{},\"s2\":{}}}");
}

/* The plan in words: groups in brackets, "?" behind a call that names nobody, "=" and what is
 * POSTed. */
static char *words(struct plan *plan, const char *body, struct buffer *out)
{
    for (uint32_t i = 0; i < plan->group_count; i++) {
        const struct plan_group *group = &plan_groups(plan)[i];
        cr_assert_eq(group->sample, group->count);
        buffer_puts(out, "[");
        for (uint32_t j = 0; j < group->count; j++) {
            const struct plan_call *call = &plan_calls(plan)[group->first + j];
            cr_assert_eq(call->probability, 1.0f);
            buffer_printf(out, "%s%.*s%s", j ? " " : "", (int)call->body_length,
                          body + call->body_offset, call->known ? "" : "?");
        }
        buffer_puts(out, "]");
    }
    return buffer_terminate(out);
}

Test(plan, of_a_trace)
{
    static const struct {
        const char *body, *words;
    } cases[] = {
        {"{\"s0__1\": []}", ""},
        {"{\"s0\": []}", ""},
        {"{\"s0__1\": {}}", ""},
        {"{\"s0__1\": [{}]}", ""},
        {"{\"s0__1\": [{}, {}, {\"s1\": []}, {}]}", "[\"s1\": []]"},
        {"{\"s0__1\": [{\"s1__2\": [{}]}, {\"s2\": {}, \"s1\": []}]}",
         "[\"s1__2\": [{}]][\"s2\": {} \"s1\": []]"},
        {" {\"s0__99__x\" :\n[ { \"s1__1\" : [{\"s2\":[]}] } ] } ", "[\"s1__1\" : [{\"s2\":[]}]]"},
        /* Nobody is called s3, "", or s1_: the calls fail, the others are made. */
        {"{\"s0\": [{\"s3\": [], \"s1\": []}, {\"\": [], \"s1_\": []}]}",
         "[\"s3\": []? \"s1\": []][\"\": []? \"s1_\": []?]"},
        /* The same service twice in a group, under two numbers, and under one. */
        {"{\"s0\": [{\"s1__1\": [], \"s1__2\": [], \"s1__2\": []}]}",
         "[\"s1__1\": [] \"s1__2\": [] \"s1__2\": []]"},
        /* Names are compared, not how they are written. */
        {"{\"s\\u0030_\\u005f1\": [{\"\\u0073\\u0031__2\": [], \"s\\u0033\": [], \"s1\\/\": []}]}",
         "[\"\\u0073\\u0031__2\": [] \"s\\u0033\": []? \"s1\\/\": []?]"},
        /* What lies deeper is for the one who is called. */
        {"{\"s0\": [{\"s1\": [1, \"x\", {\"s9\": null}]}]}",
         "[\"s1\": [1, \"x\", {\"s9\": null}]]"},
        /* What muBench's newer cells fill requests with. */
        {"{\"s0\": [{\"s1\": []}], \"dummy\": \"MMMM\"}", "[\"s1\": []]"},
        {"{\"dummy\": \"\", \"s0\": [{\"s1\": []}]}", "[\"s1\": []]"},
    };
    cleanup_agent_config struct agent_config *config = trace_config();
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct plan *plan;
        char sentence[PLAN_SENTENCE_MAX] = "";
        cleanup_buffer struct buffer out = BUFFER_INIT(4096);
        int result =
            plan_of_trace(config, cases[i].body, strlen(cases[i].body), &arena, &plan, sentence);
        cr_assert_eq(result, 0, "%s", sentence);
        cr_assert_str_eq(words(plan, cases[i].body, &out), cases[i].words);
        cr_assert_not(plan->shared || plan->sampling);
        plan_free(plan, &arena);
    }
}

Test(plan, of_no_trace)
{
    static const struct {
        const char *body, *error;
        unsigned at;
    } cases[] = {
        /* The byte is the one behind what was read and is wrong. */
        {"", "it must be an object with one key, the service's name", 0},
        {"[]", "it must be an object with one key, the service's name", 0},
        {"{}", "it must have one key, the service's name", 2},
        {"{\"s1\": []}", "its key must name this service", 6},
        {"{\"s\": []}", "its key must name this service", 5},
        {"{\"s00\": []}", "its key must name this service", 7},
        {"{\"s0_1\": []}", "its key must name this service", 8},
        {"{\"s\\u0031\": []}", "its key must name this service", 11},
        {"{\"s\\u00300\": []}", "its key must name this service", 12},
        {"{\"s0\\u0000\": []}", "its key must name this service", 12},
        {"{\"s0\": [], \"s0__2\": []}", "it must have one key only, the service's name", 10},
        {"{\"dummy\": \"M\"}", "it must have one key, the service's name", 14},
        {"{\"s0\": [], \"dummy\": M}", "a value is expected", 20},
        {"{\"s0\": [], \"dummy\": \"\", \"s1\": []}",
         "it must have one key only, the service's name", 23},
        {"{\"dummy__2\": [], \"s0\": []}", "its key must name this service", 12},
        {"{\"s0\": 1}", "an array is expected", 7},
        {"{\"s0\": {\"s1\": []}}", "a service's value must be a list of groups", 8},
        {"{\"s0\": [1]}", "a group must be an object of services", 8},
        {"{\"s0\": [[]]}", "a group must be an object of services", 8},
        {"{\"s0\": [{\"s1\": 1}]}", "a service's value must be a list of groups", 15},
        {"{\"s0\": [{\"s1\": {\"s2\": []}}]}", "a service's value must be a list of groups", 16},
        {"{\"s0\": [{\"s1\": [}]}", "a value is expected", 16},
        {"{\"s0\": [{\"s1\": []}", "',' or ']' is expected", 18},
        {"{\"s0\": []} x", "something follows the object", 11},
        {"{\"s0\": [{\"s1\xff\": []}]}", "a string is not valid UTF-8", 12},
    };
    cleanup_agent_config struct agent_config *config = trace_config();
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct plan *plan = NULL;
        char sentence[PLAN_SENTENCE_MAX], expected[PLAN_SENTENCE_MAX];
        cr_assert_eq(
            plan_of_trace(config, cases[i].body, strlen(cases[i].body), &arena, &plan, sentence),
            -EINVAL, "%s", cases[i].body);
        cr_assert_null(plan);
        snprintf(expected, sizeof expected,
                 "the body is no trace for service s0: %s, at byte %u of the body", cases[i].error,
                 cases[i].at);
        cr_assert_str_eq(sentence, expected, "%s: %s", cases[i].body, sentence);
    }
}

/* A name of which each character is an escape is read as long as a service's name can be; a longer
 * one is nobody's, and a name of which nothing is an escape is read however long its number is. */
Test(plan, of_a_trace_with_long_names)
{
    static const struct {
        const char *character;
        unsigned zeros;
        bool known;
    } cases[] = {{"\\u0030", 14, true}, {"\\u0030", 1000, false}, {"0", 100000, true}};
    char service[SERVICE_NAME_MAX + 1], text[256];
    memset(service, 'a', SERVICE_NAME_MAX);
    service[SERVICE_NAME_MAX] = '\0';
    snprintf(text, sizeof text, "{\"service\":\"s0\",\"peers\":{\"%s\":{}}}", service);
    cleanup_agent_config struct agent_config *config = config_of(text);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup_buffer struct buffer body = BUFFER_INIT(1 << 20);
        char sentence[PLAN_SENTENCE_MAX] = "";
        struct plan *plan;
        bool escaped = cases[i].character[0] == '\\';
        buffer_puts(&body, "{\"s0\":[{\"");
        for (unsigned j = 0; j < SERVICE_NAME_MAX; j++)
            buffer_puts(&body, escaped ? "\\u0061" : "a");
        buffer_puts(&body, escaped ? "\\u005f\\u005f" : "__");
        for (unsigned j = 0; j < cases[i].zeros; j++)
            buffer_puts(&body, cases[i].character);
        cr_assert_eq(buffer_puts(&body, "\":[]}]}"), 0);
        cr_assert_eq(plan_of_trace(config, body.data, body.length, &arena, &plan, sentence), 0,
                     "%s", sentence);
        cr_assert_eq(plan_calls(plan)[0].known, cases[i].known, "%u", i);
        plan_free(plan, &arena);
    }
}

/* A trace cut anywhere is none. */
Test(plan, of_a_trace_that_was_cut)
{
    static const char body[] = "{\"s0__1\": [{\"s1__2\": [{\"s2\": []}]}, {\"s2\": {}}]}";
    cleanup_agent_config struct agent_config *config = trace_config();
    char sentence[PLAN_SENTENCE_MAX];
    struct plan *plan;
    for (size_t length = 0; length < sizeof body - 1; length++) {
        char *cut = xmalloc(length + 1);
        memcpy(cut, body, length);
        cr_assert_eq(plan_of_trace(config, cut, length, &arena, &plan, sentence), -EINVAL, "%zu",
                     length);
        free(cut);
    }
    cr_assert_eq(plan_of_trace(config, body, sizeof body - 1, &arena, &plan, sentence), 0);
    plan_free(plan, &arena);
}

/* Plans lie in registered memory: when it is full there is none, and nothing is left behind. */
Test(plan, without_memory)
{
    static const char body[] = "{\"s0\": [{\"s1\": []}]}";
    cleanup_agent_config struct agent_config *config = trace_config();
    struct plan *plan = NULL;
    char sentence[PLAN_SENTENCE_MAX];
    struct random_stream r;
    random_seed(&r, 1, 0);
    uint32_t all = arena_alloc(&arena, arena.size);
    cr_assert_eq(plan_of_trace(config, body, sizeof body - 1, &arena, &plan, sentence), -ENOMEM);
    cr_assert_null(plan);
    struct plan *shared =
        plan_of_groups(config, config->workload.groups, config->workload.group_count);
    cr_assert_null(plan_sampled(shared, &r, &arena));
    plan_free(shared, NULL);
    plan_free(NULL, NULL);
    arena_release(&arena, all);
}

/* A trace of so many groups of so many calls; error NULL when it is read. */
static void check_size(const struct agent_config *config, unsigned groups, unsigned calls,
                       const char *error)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(1 << 20);
    char sentence[PLAN_SENTENCE_MAX] = "";
    struct plan *plan;
    buffer_puts(&body, "{\"s0\":[{}");
    for (unsigned i = 0; i < groups; i++) {
        buffer_puts(&body, ",{\"s1\":[]");
        for (unsigned j = 1; j < calls; j++)
            buffer_puts(&body, ",\"s1\":[]");
        cr_assert_eq(buffer_puts(&body, "}"), 0);
    }
    cr_assert_eq(buffer_puts(&body, "]}"), 0);
    int result = plan_of_trace(config, body.data, body.length, &arena, &plan, sentence);
    cr_assert_eq(result, error ? -EINVAL : 0, "%s", sentence);
    if (error) {
        cr_assert_not_null(strstr(sentence, error), "%s", sentence);
        return;
    }
    cr_assert_eq(plan->group_count, groups);
    cr_assert_eq(plan->call_count, groups * calls);
    plan_free(plan, &arena);
}

Test(plan, caps)
{
    cleanup_agent_config struct agent_config *config = trace_config();
    check_size(config, PLAN_GROUPS_MAX, 1, NULL);
    check_size(config, PLAN_GROUPS_MAX + 1, 1, "the trace has more than 4095 groups");
    check_size(config, 1, PLAN_CALLS_MAX, NULL);
    check_size(config, 1, PLAN_CALLS_MAX + 1, "the trace makes more than 16384 calls");
    check_size(config, PLAN_GROUPS_MAX, 4, NULL);
    check_size(config, PLAN_GROUPS_MAX, 5, "the trace makes more than 16384 calls");
}

Test(plan, of_the_configuration)
{
    cleanup_agent_config struct agent_config *none = config_of("{\"service\":\"s0\"}");
    struct plan *plan = plan_of_groups(none, none->workload.groups, none->workload.group_count);
    cr_assert_eq(plan->group_count, 0);
    cr_assert(plan->shared && !plan->sampling);
    plan_free(plan, NULL);

    cleanup_agent_config struct agent_config *config =
        config_of("{\"service\":\"s0\",\"peers\":{\"s1\":{},\"s2\":{}},\"workload\":{"
                  "\"externalServices\":[{\"services\":[\"s1\",\"s2\"],"
                  "\"probabilities\":{\"s2\":0.25}},{\"services\":[\"s2\"]}]}}");
    plan = plan_of_groups(config, config->workload.groups, config->workload.group_count);
    cr_assert_eq(plan->group_count, 2);
    cr_assert_eq(plan->call_count, 3);
    cr_assert(plan->shared);
    cr_assert(plan_groups(plan)[0].first == 0 && plan_groups(plan)[0].count == 2);
    cr_assert(plan_groups(plan)[1].first == 2 && plan_groups(plan)[1].count == 1);
    static const float expected[] = {1, 0.25f, 1};
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(plan_calls(plan)[i].probability, expected[i]);
        cr_assert(plan_calls(plan)[i].known);
        cr_assert_eq(plan_calls(plan)[i].body_length, 0);
    }
    plan_free(plan, NULL);
}

enum { CALLS = 5, SAMPLE = 3, SAMPLES = 60000, ORDERS = 60 };

/* A group of five calls of which three are made, and one that is called as a whole. The calls are
 * told apart by their probability. */
static struct plan *sampling_plan(void)
{
    struct plan *plan = xmalloc(sizeof *plan + 2 * sizeof(struct plan_group) +
                                (CALLS + 2) * sizeof(struct plan_call));
    *plan = (struct plan){
        .offset = ARENA_NONE, .group_count = 2, .call_count = CALLS + 2, .sampling = true};
    plan_groups(plan)[0] = (struct plan_group){.count = CALLS, .sample = SAMPLE};
    plan_groups(plan)[1] = (struct plan_group){.first = CALLS, .count = 2, .sample = 2};
    for (unsigned i = 0; i < CALLS + 2; i++)
        plan_calls(plan)[i] = (struct plan_call){.probability = (float)i, .known = true};
    return plan;
}

/*
 * The 5 * 4 * 3 ordered samples are equally likely: Pearson's statistic over 60 cells has 59
 * degrees of freedom. It lies outside of 20.5 to 132.5 for fewer than one seed in 10^6 (by the
 * chi-square distribution 7.2e-7 below, as a mere cycle would be, and 1.4e-7 above). The seed is
 * fixed, so a failure is a change of the code.
 */
Test(plan, samples_are_uniform_and_ordered_at_random)
{
    struct plan *plan = sampling_plan();
    unsigned seen[CALLS][CALLS][CALLS] = {{{0}}};
    struct random_stream r;
    random_seed(&r, 2026, 0);
    for (unsigned i = 0; i < SAMPLES; i++) {
        struct plan *own = plan_sampled(plan, &r, &arena);
        cr_assert_not(own->shared);
        cr_assert(plan_groups(own)[0].count == SAMPLE && plan_groups(own)[0].sample == SAMPLE);
        cr_assert(plan_groups(own)[1].first == CALLS && plan_groups(own)[1].count == 2);
        cr_assert_eq(plan_calls(own)[CALLS].probability, (float)CALLS,
                     "a whole group keeps its order");
        const struct plan_call *c = plan_calls(own) + plan_groups(own)[0].first;
        seen[(int)c[0].probability][(int)c[1].probability][(int)c[2].probability]++;
        plan_free(own, &arena);
    }
    cr_assert_eq(plan_groups(plan)[0].count, CALLS, "the plan itself stays as it was");
    plan_free(plan, NULL);
    const double expected = (double)SAMPLES / ORDERS;
    double statistic = 0;
    for (int a = 0; a < CALLS; a++)
        for (int b = 0; b < CALLS; b++)
            for (int c = 0; c < CALLS; c++) {
                double n = seen[a][b][c];
                if (a == b || b == c || a == c)
                    cr_assert_eq(n, 0, "a call is made twice");
                else
                    statistic += (n - expected) * (n - expected) / expected;
            }
    cr_assert_lt(statistic, 132.5);
    cr_assert_gt(statistic, 20.5);
}
