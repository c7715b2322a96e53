#include <criterion/criterion.h>
#include <string.h>

#include "agent/behavior.h"

static struct agent_config *config_of(const char *text)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct agent_config *config = NULL;
    cr_assert_eq(agent_config_parse(text, strlen(text), "test", &config, &problems), 0, "%s",
                 problems.count ? problems.texts[0] : "");
    return config;
}

#define HEAD                                                                                       \
    "{\"service\":\"s0\",\"workload\":{\"internalService\":{\"colosseum\":{}},"                    \
    "\"externalServices\":[{\"services\":[\"s1\"]}],\"alternativeBehaviors\":"

Test(behavior, what_is_not_given_is_the_workloads_own)
{
    cleanup_agent_config struct agent_config *config = config_of(
        HEAD "{\"a\":{},\"b\":{\"internalService\":{\"computePi\":{}}},"
             "\"c\":{\"externalServices\":[]},"
             "\"d\":{\"externalServices\":[{\"services\":[\"s2\",\"s3\"]},{\"services\":[\"s4\"]}],"
             "\"internalService\":{\"loader\":{}}}}}}");
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct behaviors all;
    cr_assert_eq(behaviors_make(config, "a.json", &all, &problems), 0);
    cr_assert_eq(all.count, 5);
    static const struct {
        enum internal_kind kind;
        unsigned groups, calls;
    } expected[] = {{INTERNAL_COLOSSEUM, 1, 1},
                    {INTERNAL_COLOSSEUM, 1, 1},
                    {INTERNAL_COMPUTE_PI, 1, 1},
                    {INTERNAL_COLOSSEUM, 0, 0},
                    {INTERNAL_LOADER, 2, 3}};
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(all.list[i].internal->kind, expected[i].kind, "%u", i);
        cr_assert_eq(all.list[i].plan->group_count, expected[i].groups, "%u", i);
        cr_assert_eq(all.list[i].plan->call_count, expected[i].calls, "%u", i);
        cr_assert(all.list[i].plan->shared);
    }
    behaviors_free(&all);
}

Test(behavior, a_plugin_that_cant_be_opened_is_a_problem)
{
    cleanup_agent_config struct agent_config *config = config_of(
        HEAD
        "{\"a\":{\"internalService\":{\"plugin\":{\"path\":\"/no.so\",\"function\":\"f\"}}},"
        "\"b\":{\"internalService\":{\"plugin\":{\"path\":\"/no.so\",\"function\":\"f\"}}}}}}");
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct behaviors all = {0};
    cr_assert_lt(behaviors_make(config, "a.json", &all, &problems), 0);
    cr_assert_eq(problems.count, 2);
    cr_assert_not_null(strstr(problems.texts[1],
                              "a.json: workload.alternativeBehaviors.b.internalService."
                              "plugin: /no.so: can't be loaded"));
    cr_assert_null(all.list);
}

/* One that is not given is the workload's own, and so is its plugin: a reference for each that was
 * opened, and no other. */
Test(behavior, plugins_are_dropped_once)
{
#define USE "{\"plugin\":{\"path\":\"" PLUGINS "/sample.so\",\"function\":\"nothing\"}}"
    cleanup_agent_config struct agent_config *config =
        config_of("{\"service\":\"s0\",\"workload\":{\"internalService\":" USE
                  ",\"alternativeBehaviors\":{\"a\":{\"internalService\":" USE "},\"b\":{}}}}");
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct behaviors all;
    cr_assert_eq(behaviors_make(config, "a.json", &all, &problems), 0);
    struct plugin *own = all.list[0].plugin, *other = all.list[1].plugin;
    cr_assert(own && other && own != other && all.list[2].plugin == own);
    plugin_take(own);
    plugin_take(other);
    behaviors_free(&all);
    cr_assert_eq(own->references, 1);
    cr_assert_eq(other->references, 1);
    plugin_drop(own);
    plugin_drop(other);
    plugin_reap();
}

Test(behavior, is_chosen_by_the_first_bid)
{
    cleanup_agent_config struct agent_config *config =
        config_of(HEAD "{\"b1\":{},\"b2\":{},\"a.b_c-D\":{},\"x\":{}}}}");
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct behaviors all;
    cr_assert_eq(behaviors_make(config, "a.json", &all, &problems), 0);
    static const char *const cases[][2] = {
        {"", NULL},
        {"bid=b1", "b1"},
        {"bid=b2&x=1", "b2"},
        {"x=1&bid=b2", "b2"},
        {"x&&=&bid=b2&", "b2"},
        {"bid=b1&bid=b2", "b1"},
        {"bid=no&bid=b2", NULL},
        {"bid", NULL},
        {"bid=", NULL},
        {"bid=b", NULL},
        {"bid=b11", NULL},
        {"bid=B1", NULL},
        {"BID=b1", NULL},
        {"xbid=b1", NULL},
        {"bidx=b1", NULL},
        {"bid =b1", NULL},
        {"bid=b1+", NULL},
        {"b%69d=b%31", "b1"},
        {"bid=a%2Eb%5fc%2dD", "a.b_c-D"},
        {"bid=a.b_c-D", "a.b_c-D"},
        {"bid=%", NULL},
        {"bid=b%3", NULL},
        {"bid=b%zz", NULL},
        {"bid==b1", NULL},
        {"bid=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct behavior *chosen = behavior_choose(&all, cases[i][0], strlen(cases[i][0]));
        if (cases[i][1])
            cr_assert_str_eq(chosen->id ? chosen->id : "", cases[i][1], "%s", cases[i][0]);
        else
            cr_assert_null(chosen->id, "%s chose %s", cases[i][0], chosen->id);
    }
    behaviors_free(&all);
}
