#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bad.h"
#include "base/cleanup.h"
#include "spec/agent_config.h"
#include "spec/children.h"
#include "spec/profile.h"

#define PARAMETER(name, value, unit)                                                               \
    "\"" name "\":{\"value\":" value ",\"unit\":\"" unit "\",\"source\":\"s\"}"
#define PROFILE(kind)                                                                              \
    "{\"name\":\"mine\",\"kind\":\"" kind                                                          \
    "\",\"parameters\":{" PARAMETER("message", "1", "us") "," PARAMETER(                           \
        "byte", "2", "ns/B") "," PARAMETER("wake", "3", "us") "," PARAMETER("path", "4",           \
                                                                            "us") "}}"

/* The API server's rule and our table know what is compiled in, and nothing else. */
Test(datapath, shipped_profiles_have_their_kinds)
{
    size_t named = 0;

    cr_assert_eq(datapath_shipped_kind_count, profile_file_count);
    for (size_t i = 0; i < profile_file_count; i++) {
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        struct profile profile;
        char entry[128];
        cr_assert_eq(profile_load(profile_files[i].name, &profile, &problems), 0);
        cr_assert_str_eq(datapath_shipped_kinds[i].name, profile.name);
        cr_assert_eq(datapath_shipped_kinds[i].kind, profile.kind, "%s", profile.name);
        snprintf(entry, sizeof entry, "'%s': '%s'", profile.name, profile_kinds[profile.kind]);
        cr_assert(strstr(datapath_rule, entry), "%s", entry);
        cr_assert(strstr(datapath_rule_says, entry), "%s", entry);
    }
    for (const char *c = datapath_rule; *c && *c != '}'; c++)
        named += *c == ':';
    cr_assert_eq(named, profile_file_count);
    for (int mode = DATAPATH_DIRECT; mode <= DATAPATH_DPU; mode++)
        cr_assert_str_eq(profile_kinds[datapath_kind((enum datapath_mode)mode)],
                         datapath_mode_names[mode]);
}

static struct dpuservice *service_with(const char *datapath)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct dpuservice *service = NULL;
    char text[512];

    snprintf(text, sizeof text,
             "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\nmetadata: {name: s0}\n"
             "spec: {datapath: {%s}}\n",
             datapath);
    int ret = documents_parse(text, strlen(text), "app.yaml", &documents, &problems);
    if (ret == 0)
        ret = dpuservice_parse(&documents.items[0], &service, &problems);
    cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "no sentence");
    return service;
}

/* The child's datapath as JSON, and what an agent makes of it. */
static void expect_child(const struct dpuservice *service, const char *json,
                         enum datapath_mode mode, const char *profile)
{
    json_auto_t *config = spec_agent_config(service);
    json_auto_t *choice = json_copy(json_object_get(config, "datapath"));
    cr_assert_eq(json_object_del(choice, "policy"), 0, "all its defaults, of which test_policy.c");
    cleanup_free char *datapath = json_dumps(choice, JSON_SORT_KEYS | JSON_COMPACT);
    cleanup_free char *text = spec_json_text(config);
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_agent_config struct agent_config *read = NULL;

    if (json)
        cr_expect_str_eq(datapath, json);
    int ret = agent_config_parse(text, strlen(text), "agent.json", &read, &problems);
    cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "no sentence");
    cr_expect_eq(read->datapath.mode, mode);
    cr_expect_eq(read->datapath.profile.kind, datapath_kind(mode));
    cr_expect_str_eq(read->datapath.profile.name, profile);
}

Test(datapath, children_say_mode_and_profile)
{
    static const struct {
        const char *spec, *child;
        enum datapath_mode mode;
        const char *profile;
    } cases[] = {
        {"", "{\"mode\":\"dpu\",\"profile\":\"bluefield3-native\"}", DATAPATH_DPU,
         "bluefield3-native"},
        {"mode: sidecar", "{\"mode\":\"sidecar\",\"profile\":\"envoy-permissive\"}",
         DATAPATH_SIDECAR, "envoy-permissive"},
        {"mode: sidecar, profile: envoy-strict",
         "{\"mode\":\"sidecar\",\"profile\":\"envoy-strict\"}", DATAPATH_SIDECAR, "envoy-strict"},
        {"profile: ideal", "{\"mode\":\"dpu\",\"profile\":\"ideal\"}", DATAPATH_DPU, "ideal"},
        {"mode: direct", "{\"mode\":\"direct\"}", DATAPATH_DIRECT, ""},
        {"mode: direct, profile: direct", "{\"mode\":\"direct\",\"profile\":\"direct\"}",
         DATAPATH_DIRECT, "direct"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup_dpuservice struct dpuservice *service = service_with(cases[i].spec);
        cr_expect_null(datapath_own_name(&service->datapath));
        expect_child(service, cases[i].child, cases[i].mode, cases[i].profile);
    }
}

/* A profile of one's own is found by name, and travels whole. */
Test(datapath, own_profiles)
{
    static const char sidecar[] = PROFILE("sidecar"), direct[] = PROFILE("direct");
    cleanup_dpuservice struct dpuservice *service = service_with("mode: sidecar, profile: mine.v2");
    cleanup_problems struct problems problems = PROBLEMS_INIT;

    cr_assert_str_eq(datapath_own_name(&service->datapath), "mine.v2");
    cr_assert_lt(datapath_take(&service->datapath, "{", 1, "ConfigMap mine.v2", &problems), 0);
    cr_assert_str_eq(problems.texts[0],
                     "ConfigMap mine.v2:1:2: the JSON ends in the middle; is the file complete?");
    cr_assert_lt(datapath_take(&service->datapath, "{}", 2, "x", &problems), 0);
    cr_assert_lt(datapath_take(&service->datapath, direct, strlen(direct), "x", &problems), 0);
    cr_assert_str_eq(problems.texts[problems.count - 1],
                     "x: mine is a profile of kind direct, but mode is sidecar; name one of kind "
                     "sidecar, or change the mode");
    cr_assert_str_eq(datapath_own_name(&service->datapath), "mine.v2", "none of them was taken");

    cr_assert_eq(datapath_take(&service->datapath, sidecar, strlen(sidecar), "x", &problems), 0);
    cr_assert_null(datapath_own_name(&service->datapath));
    expect_child(service, NULL, DATAPATH_SIDECAR, "mine");
    cr_assert_eq(datapath_take(&service->datapath, sidecar, strlen(sidecar), "x", &problems), 0,
                 "another takes its place");
}

/* The agent's own reading of datapath; JSON of it, and what is said. */
Test(datapath, refused_by_the_agent)
{
    static const char deep[] = PROFILE("dpu");
    static const struct {
        const char *datapath, *sentence;
    } cases[] = {
        {"{\"mode\":\"fpga\"}",
         "a.json: datapath.mode: \"fpga\" is not known here; give direct, sidecar or dpu"},
        {"{\"profile\":\"bluefield4\"}",
         "a.json: datapath.profile: no profile is called \"bluefield4\"; there are "
         "bluefield3-native, bluefield3-preload, direct, envoy-permissive, envoy-strict, ideal, "
         "or give a whole profile"},
        {"{\"profile\":\"/etc/passwd\"}",
         "a.json: datapath.profile: no profile is called \"/etc/passwd\"; there are "
         "bluefield3-native, bluefield3-preload, direct, envoy-permissive, envoy-strict, ideal, "
         "or give a whole profile"},
        {"{\"profile\":5}", "a.json: datapath.profile: must be a profile's name or a whole "
                            "profile, not 5"},
        {"{\"profile\":\"envoy-strict\"}",
         "a.json: datapath.profile: envoy-strict is a profile of kind sidecar, but mode is dpu; "
         "name one of kind dpu, or change the mode"},
        {"{\"mode\":\"direct\",\"profile\":\"ideal\"}",
         "a.json: datapath.profile: ideal is a profile of kind dpu, but mode is direct; name one "
         "of kind direct, or change the mode"},
        {"{\"mode\":\"sidecar\",\"profile\":" PROFILE("direct") "}",
         "a.json: datapath.profile: mine is a profile of kind direct, but mode is sidecar; name "
         "one of kind sidecar, or change the mode"},
        {deep, "a.json: datapath.profile.parameters.armWorkers: missing; give the Arm workers of "
               "a DPU; 0: none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        struct agent_config *config = NULL;
        char text[1024];
        bool whole = cases[i].datapath == deep;
        snprintf(text, sizeof text, "{\"service\":\"s0\",\"datapath\":%s%s%s}",
                 whole ? "{\"profile\":" : "", cases[i].datapath, whole ? "}" : "");
        cr_expect_eq(agent_config_parse(text, strlen(text), "a.json", &config, &problems), -EINVAL);
        cr_assert_geq(problems.count, 1);
        cr_expect_str_eq(problems.texts[0], cases[i].sentence, "%s", problems.texts[0]);
        cr_assert_null(config);
    }
}

/* Without a word of it an agent takes the DPU, and says so in what is in force. */
Test(datapath, the_agents_default)
{
    static const char text[] = "{\"service\":\"s0\"}";
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_agent_config struct agent_config *config = NULL;

    cr_assert_eq(agent_config_parse(text, strlen(text), "a.json", &config, &problems), 0);
    cr_assert_eq(config->datapath.mode, DATAPATH_DPU);
    cr_assert_str_eq(config->datapath.profile.name, "bluefield3-native");
    cr_assert_gt(config->datapath.profile.value[PROFILE_ARM_WORKERS], 0);
    json_auto_t *expected = json_pack("{s:s, s:s}", "mode", "dpu", "profile", "bluefield3-native");
    json_auto_t *choice = json_copy(json_object_get(config->document, "datapath"));
    json_object_del(choice, "policy");
    cr_assert(json_equal(choice, expected));
}

Test(datapath, refused_in_a_dpuservice)
{
    static const char head[] = "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\n"
                               "metadata: {name: s0}\nspec:\n  datapath:\n";
    static const struct bad cases[] = {
        {"    mode: side-car\n",
         "app.yaml:6: s0: spec.datapath.mode: \"side-car\" is not direct, sidecar or dpu; did you "
         "mean sidecar?"},
        {"    mode: dpu\n    profile: envoy-strict\n",
         "app.yaml:7: s0: spec.datapath.profile: envoy-strict is a profile of kind sidecar, but "
         "mode is dpu; name one of kind dpu, or change the mode"},
        {"    mode: direct\n    profile: ideal\n",
         "app.yaml:7: s0: spec.datapath.profile: ideal is a profile of kind dpu, but mode is "
         "direct; name one of kind direct, or change the mode"},
        {"    profile: My_DPU\n",
         "app.yaml:6: s0: spec.datapath.profile: \"My_DPU\" is not an object's name (lower-case "
         "letters, digits, - and .), such as my-name"},
        {"    profile: {name: mine}\n",
         "app.yaml:6: s0: spec.datapath.profile: must be text, not an object"},
    };
    unsigned wrong = 0;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, "%s%s", head, cases[i].text);
        bad_check(text, cases[i].sentences, &wrong);
    }
    cr_assert_eq(wrong, 0);
}
