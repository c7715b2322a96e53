#include <criterion/criterion.h>
#include <string.h>

#include "given.h"
#include "spec/callees.h"
#include "spec/children.h"

/* What look was asked for, "s1 s2 ", and what it answers to each. */
struct asked {
    char names[256];
    const char *address;
};

static char *look(void *context, const char *name)
{
    struct asked *asked = context;
    size_t length = strlen(asked->names);
    snprintf(asked->names + length, sizeof(asked->names) - length, "%s ", name);
    return asked->address ? xstrdup(asked->address) : NULL;
}

static void expect_asked(const char *spec, const char *names)
{
    struct asked asked = {"", NULL};
    cleanup_dpuservice struct dpuservice *service = read_service(spec);
    callees_resolve(service, look, &asked);
    cr_expect_str_eq(asked.names, names, "%s", spec);
    cr_expect_eq(json_object_size(service->callees), 0);
}

#define CALLS "  workload: {externalServices: [{services: [s2, s1, s2]}, {services: [s1]}]}\n"

Test(callees, who_is_looked_for)
{
    expect_asked("  egress: {mode: forward}\n", "");
    expect_asked(CALLS, ""); /* simulated */
    expect_asked(CALLS "  egress: {mode: forward}\n", "s1 s2 ");
    expect_asked(CALLS "  egress: {destinations: [{name: s2}]}\n", "s2 ");
    expect_asked(CALLS "  egress: {mode: forward, destinations: [{name: s2, mode: simulate}]}\n",
                 "s1 ");
    expect_asked(CALLS "  egress: {mode: forward, destinations: [{name: s2, url: 'http://x/y'}]}\n",
                 "s1 ");
    expect_asked("  egress: {destinations: [{name: s9}, {name: s3, timeout: 1s}]}\n", "s3 s9 ");
    expect_asked("  workload: {alternativeBehaviors: {b: {externalServices: [{services: [s7]}]}}}\n"
                 "  egress: {mode: forward}\n",
                 "s7 ");
}

/* address NULL: not known; callees NULL: nothing is told. */
static void expect_told(const char *path, const char *address, const char *url)
{
    struct asked asked = {"", address};
    cleanup_free char *spec = xasprintf("  workload: {path: %s, externalServices: [{services: "
                                        "[s1]}]}\n  egress: {mode: forward}\n",
                                        path);
    cleanup_dpuservice struct dpuservice *service = read_service(spec);
    callees_resolve(service, look, &asked);
    const char *told = json_string_value(json_object_get(service->callees, "s1"));
    cr_expect_str_eq(told ? told : "nothing", url, "%s", address);
}

Test(callees, what_is_told)
{
    cleanup_free char *elsewhere = service_address(9090, "/foo");
    cr_assert_str_eq(elsewhere, ":9090/foo");
    expect_told("/api/v1", NULL, "nothing");
    expect_told("/api/v1", ":8080/api/v1", "nothing");
    expect_told("/api/v1", ":9090/api/v1", "http://s1:9090/api/v1");
    expect_told("/api/v1", ":8080/foo", "http://s1:8080/foo");
    expect_told("/foo", ":8080/foo", "nothing");
    expect_told("/foo", ":8080/api/v1", "http://s1:8080/api/v1");
    /* What no API server would have let pass. */
    expect_told("/api/v1", ":70000/x", "nothing");
    expect_told("/api/v1", ":8080/a b", "nothing");
    expect_told("/api/v1", "", "http://s1");
}

/* The configuration that the agent reads; its owner frees it. */
static struct agent_config *agent_with(struct dpuservice *service, uint64_t *ret_deployment)
{
    cleanup_children struct children children = CHILDREN_INIT;
    spec_children(service, &children);
    *ret_deployment = spec_child_fingerprint(CHILD_DEPLOYMENT, children.objects[CHILD_DEPLOYMENT]);
    return agent_of(json_string_value(json_object_get(
        json_object_get(children.objects[CHILD_CONFIG_MAP], "data"), CHILD_CONFIG_KEY)));
}

/* A running agent takes it over, so that the pods stay. */
Test(callees, reach_the_agents_and_leave_the_pods)
{
    uint64_t without, with;
    struct asked asked = {"", ":9090/foo"};
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_dpuservice struct dpuservice *service =
        read_service(CALLS "  egress: {mode: forward}\n");
    cleanup_agent_config struct agent_config *before = agent_with(service, &without);
    cr_expect_null(json_object_get(before->document, "callees"));
    callees_resolve(service, look, &asked);
    cleanup_agent_config struct agent_config *after = agent_with(service, &with);
    cr_expect_eq(with, without);
    cr_expect_eq(json_object_size(after->callees), 2);
    cr_expect_str_eq(json_string_value(json_object_get(after->callees, "s2")),
                     "http://s2:9090/foo");
    cr_expect_eq(agent_config_reloadable(before, after, &problems), 0);
    asked.address = NULL; /* and back */
    callees_resolve(service, look, &asked);
    cleanup_agent_config struct agent_config *again = agent_with(service, &with);
    cr_expect(json_equal(before->document, again->document));
}
