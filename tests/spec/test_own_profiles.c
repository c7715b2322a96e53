#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/application.h"

static int parse(const char *text, struct application *application, struct problems *problems)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    int ret = documents_parse(text, strlen(text), "app.yaml", &documents, problems);
    return ret < 0 ? ret : application_parse(&documents, "app.yaml", application, problems);
}

#define PARAMETER(name, value, unit)                                                               \
    "\"" name "\": {\"value\": " value ", \"unit\": \"" unit "\", \"source\": \"s\"}"
#define PROFILE(kind, unit)                                                                        \
    "{\"name\": \"mine\", \"kind\": \"" kind                                                       \
    "\", \"parameters\": {" PARAMETER("message", "1", "us") ", " PARAMETER(                        \
        "byte", "2", "ns/B") ", " PARAMETER("wake", "3", unit) ", " PARAMETER("path", "4",         \
                                                                              "us") "}}"
#define CONFIG_MAP(metadata, data)                                                                 \
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {" metadata                                        \
    ", labels: {dpumesh.io/profile: 'true'}}\ndata: {" data "}\n---\n"
#define OWN(name, kind) CONFIG_MAP("name: " name, "profile.json: '" PROFILE(kind, "us") "'")
#define SERVICE(metadata, datapath)                                                                \
    "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\nmetadata: {" metadata                      \
    "}\nspec: {datapath: {" datapath "}}\n---\n"

static const char *own_name(const struct dpuservice *service)
{
    return json_string_value(json_object_get(service->datapath.own, "name"));
}

/* Before and behind the services that name them; a ConfigMap without the label is none of ours. */
Test(own_profiles, among_the_documents)
{
    static const char text[] = SERVICE("name: s0", "mode: sidecar, profile: a") OWN("a", "sidecar")
        SERVICE("name: s1", "mode: direct, profile: b") OWN("b", "direct")
            SERVICE("name: s2", "profile: ideal")
                SERVICE("name: s3, namespace: shop",
                        "mode: sidecar, profile: a") "apiVersion: v1\nkind: ConfigMap\nmetadata: "
                                                     "{name: other}\n";
    cleanup_application struct application app = APPLICATION_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;

    cr_assert_eq(parse(text, &app, &problems), 0, "%s", problems.count ? problems.texts[0] : "");
    cr_assert_eq(app.count, 4);
    cr_assert_str_eq(own_name(app.services[0]), "mine");
    cr_assert_str_eq(own_name(app.services[1]), "mine");
    cr_assert_null(app.services[2]->datapath.own);
    cr_assert_str_eq(own_name(app.services[3]), "mine");
    cr_assert_eq(app.skipped.count, 1);
    cr_assert_str_eq(app.skipped.texts[0] + strlen("app.yaml:"), "31: other: ConfigMap");
}

Test(own_profiles, refused)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {SERVICE("name: s0", "profile: mine"),
         "app.yaml:4: s0: spec.datapath.profile: no profile is called \"mine\"; there are "
         "bluefield3-native, bluefield3-preload, direct, envoy-permissive, envoy-strict, ideal, "
         "or add a ConfigMap mine with the label dpumesh.io/profile: \"true\" to these documents"},
        {CONFIG_MAP("name: mine, namespace: a", "profile.json: '" PROFILE("sidecar", "us") "'")
             SERVICE("name: s0, namespace: b", "mode: sidecar, profile: mine"),
         "app.yaml:9: s0: spec.datapath.profile: no profile is called \"mine\"; there are "
         "bluefield3-native, bluefield3-preload, direct, envoy-permissive, envoy-strict, ideal, "
         "or add a ConfigMap mine with the label dpumesh.io/profile: \"true\" to these documents"},
        {OWN("mine", "sidecar") SERVICE("name: s0", "mode: dpu, profile: mine"),
         "app.yaml:9: s0: spec.datapath.profile: mine is a profile of kind sidecar, but mode is "
         "dpu; name one of kind dpu, or change the mode"},
        {CONFIG_MAP("name: mine", "profile: x") SERVICE("name: s0", "mode: dpu, profile: mine"),
         "app.yaml:4: mine: data[\"profile.json\"]: missing; put the profile there, as text"},
        {CONFIG_MAP("name: mine", "profile.json: '{'") SERVICE("name: s0", ""),
         "app.yaml:1: ConfigMap mine, profile.json:1:2: the JSON ends in the middle; is the file "
         "complete?"},
        {CONFIG_MAP("name: mine", "profile.json: '" PROFILE("sidecar", "B") "'")
             SERVICE("name: s0", ""),
         "app.yaml:1: ConfigMap mine, profile.json: parameters.wake.unit: not a unit of this "
         "parameter; give \"ns\""},
        {OWN("ideal", "direct") SERVICE("name: s0", ""),
         "app.yaml:3: ideal: metadata.name: a shipped profile has this name and would be taken "
         "instead; rename it"},
        {OWN("mine", "sidecar") OWN("mine", "sidecar") SERVICE("name: s0", ""),
         "app.yaml:8: mine: metadata.name: a second profile of this name; rename one"},
        {CONFIG_MAP("generateName: x", "profile.json: '{}'") SERVICE("name: s0", ""),
         "app.yaml:3: metadata.name: missing or no name; give an object's name (lower-case "
         "letters, digits, - and .), such as my-name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup_application struct application app = APPLICATION_INIT;
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        cr_expect_lt(parse(cases[i].text, &app, &problems), 0, "%s", cases[i].text);
        cr_assert_eq(problems.count, 1, "%zu: %zu problems, %s", i, problems.count,
                     problems.count ? problems.texts[0] : "");
        cr_expect_str_eq(problems.texts[0], cases[i].sentence, "%s", problems.texts[0]);
    }
}

/* What a command line says, over a service with this datapath and an own profile "mine" of kind
 * sidecar. */
Test(own_profiles, overridden)
{
    static const struct {
        const char *datapath;
        struct datapath_override override;
        enum datapath_mode mode;
        const char *profile; /* NULL: none */
        const char *own, *sentence;
    } cases[] = {
        {"", {.mode_given = false}, DATAPATH_DPU, "bluefield3-native", NULL, NULL},
        {"", {true, DATAPATH_SIDECAR, NULL}, DATAPATH_SIDECAR, "envoy-permissive", NULL, NULL},
        {"", {true, DATAPATH_DIRECT, NULL}, DATAPATH_DIRECT, NULL, NULL, NULL},
        {"mode: direct", {true, DATAPATH_DPU, NULL}, DATAPATH_DPU, "bluefield3-native", NULL, NULL},
        {"profile: ideal", {true, DATAPATH_DPU, NULL}, DATAPATH_DPU, "ideal", NULL, NULL},
        {"profile: ideal",
         {true, DATAPATH_SIDECAR, NULL},
         DATAPATH_SIDECAR,
         "envoy-permissive",
         NULL,
         NULL},
        {"mode: sidecar, profile: mine",
         {true, DATAPATH_SIDECAR, NULL},
         DATAPATH_SIDECAR,
         "mine",
         "mine",
         NULL},
        {"mode: sidecar, profile: mine",
         {true, DATAPATH_DPU, NULL},
         DATAPATH_DPU,
         "bluefield3-native",
         NULL,
         NULL},
        {"mode: sidecar, profile: mine",
         {false, 0, "envoy-strict"},
         DATAPATH_SIDECAR,
         "envoy-strict",
         NULL,
         NULL},
        {"", {true, DATAPATH_SIDECAR, "mine"}, DATAPATH_SIDECAR, "mine", "mine", NULL},
        {"", {false, 0, "ideal"}, DATAPATH_DPU, "ideal", NULL, NULL},
        {"",
         {false, 0, "mine"},
         0,
         NULL,
         NULL,
         "--profile mine: of kind sidecar, but the mode of s0 is dpu; give --mode sidecar too, or "
         "another profile"},
        {"mode: sidecar, profile: missing",
         {true, DATAPATH_DPU, NULL},
         0,
         NULL,
         NULL,
         "app.yaml:9: s0: spec.datapath.profile: no profile is called \"missing\"; there are "
         "bluefield3-native, bluefield3-preload, direct, envoy-permissive, envoy-strict, ideal, "
         "or add a ConfigMap missing with the label dpumesh.io/profile: \"true\" to these "
         "documents"},
        {"",
         {false, 0, "nope"},
         0,
         NULL,
         NULL,
         "--profile: no profile is called nope; there are bluefield3-native, bluefield3-preload, "
         "direct, envoy-permissive, envoy-strict, ideal, or give a file, or a ConfigMap with the "
         "label dpumesh.io/profile: \"true\" among the documents"},
        {"",
         {false, 0, "/nowhere/x.json"},
         0,
         NULL,
         NULL,
         "--profile: /nowhere/x.json: can't open: No such file or directory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup_application struct application app = APPLICATION_INIT;
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        char path[] = "/tmp/dpumesh-own-profiles-XXXXXX.yaml", text[2048];
        const char *paths[] = {path};
        int fd = mkstemps(path, 5);
        /* A wrong profile of the command line is told once, however many have it. */
        snprintf(text, sizeof text,
                 OWN("mine", "sidecar") SERVICE("name: s0", "%s") SERVICE("name: s1", "%s"),
                 cases[i].datapath, cases[i].override.profile ? cases[i].datapath : "");
        cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
        int ret = application_load_with(paths, 1, &cases[i].override, &app, &problems);
        unlink(path);
        if (cases[i].sentence) {
            cr_assert_lt(ret, 0, "%zu", i);
            cr_assert_eq(problems.count, 1, "%zu: %s", i, problems.texts[0]);
            const char *at = strstr(problems.texts[0], ".yaml:");
            cr_expect_str_eq(at ? at : problems.texts[0],
                             at ? strstr(cases[i].sentence, ".yaml:") : cases[i].sentence, "%s",
                             problems.texts[0]);
            continue;
        }
        cr_assert_eq(ret, 0, "%zu: %s", i, problems.count ? problems.texts[0] : "");
        const struct datapath_choice *choice = &app.services[0]->datapath;
        cr_expect_eq(choice->mode, cases[i].mode, "%zu", i);
        cr_expect_eq(choice->profile != NULL, cases[i].profile != NULL, "%zu", i);
        if (choice->profile && cases[i].profile)
            cr_expect_str_eq(choice->profile, cases[i].profile, "%zu: %s", i, choice->profile);
        cr_expect_eq(choice->own != NULL, cases[i].own != NULL, "%zu", i);
    }
}
