#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "spec/profile.h"

#define HEAD "{\"name\":\"x\",\"kind\":\"sidecar\",\"description\":\"d\",\"parameters\":{"
#define PARAMETER(name, value, unit)                                                               \
    "\"" name "\":{\"value\":" value ",\"unit\":\"" unit "\",\"source\":\"s\"}"
#define REST                                                                                       \
    PARAMETER("message", "1", "ns")                                                                \
    "," PARAMETER("byte", "2", "ns/B") "," PARAMETER("path", "3", "us")

/* Every compiled-in profile is whole, consistent, and each fitted value has error and source. */
Test(profile, shipped_ones_load)
{
    static const char *const expected[] = {"bluefield3-native", "bluefield3-preload", "direct",
                                           "envoy-permissive",  "envoy-strict",       "ideal"};

    cr_assert_eq(profile_file_count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < profile_file_count; i++) {
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        struct profile profile;
        int r = profile_load(expected[i], &profile, &problems);
        cr_assert_eq(r, 0, "%s: %s", expected[i], problems.count ? problems.texts[0] : "");
        cr_assert_str_eq(profile.name, expected[i]);
        unsigned fitted = 0;
        for (int p = 0; p < PROFILE_PARAMETERS; p++)
            fitted += profile.error[p] > 0;
        cr_assert_leq(fitted, 10, "at most ten parameters a configuration are fitted");
        cr_assert_eq(fitted > 0, profile.fitted_count > 0);
    }
}

/* What is written reads back as the same, up to the four digits that are written. */
Test(profile, round_trip)
{
    for (size_t i = 0; i < profile_file_count; i++) {
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        const char *sources[PROFILE_PARAMETERS] = {NULL};
        struct profile before, after;
        cr_assert_eq(profile_load(profile_files[i].name, &before, &problems), 0);
        json_auto_t *root = profile_json(&before, "again", sources);
        cleanup_free char *text = json_dumps(root, 0);
        cr_assert_eq(profile_parse(text, strlen(text), "x", &after, &problems), 0, "%s: %s", text,
                     problems.count ? problems.texts[0] : "");
        cr_assert_str_eq(after.name, before.name);
        cr_assert_eq(after.kind, before.kind);
        cr_assert_eq(after.fitted_count, before.fitted_count);
        for (int p = 0; p < PROFILE_PARAMETERS; p++) {
            cr_assert_float_eq(after.value[p], before.value[p], 1e-3 * fabs(before.value[p]));
            cr_assert_float_eq(after.error[p], before.error[p], 1e-3 * fabs(before.error[p]));
        }
    }
}

Test(profile, units_are_converted)
{
    static const char text[] =
        HEAD REST "," PARAMETER("wake", "1.5", "ms") "," PARAMETER("buffer", "2", "MiB") "}}";
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct profile profile;

    cr_assert_eq(profile_parse(text, strlen(text), "f", &profile, &problems), 0, "%s",
                 problems.count ? problems.texts[0] : "");
    cr_assert_float_eq(profile.value[PROFILE_WAKE_NS], 1.5e6, 1e-6);
    cr_assert_float_eq(profile.value[PROFILE_PATH_NS], 3000, 1e-9);
    cr_assert_eq(profile.value[PROFILE_BUFFER_BYTES], 2 << 20);
    cr_assert_eq(profile.value[PROFILE_HOST_SHARE], 1, "left out: its default");
}

/* Each mistake is one sentence that names the field and what would be right. */
Test(profile, bad_ones_are_refused)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"[]", "f: not an object; give a profile with name, kind and parameters"},
        {"{", NULL},
        {"{\"name\":\"a<b\",\"kind\":\"direct\",\"parameters\":{" REST
         "," PARAMETER("wake", "1", "ns") "}}",
         "f: name: missing or no name; give 1 to 63 letters, digits, '.', '_' and '-'"},
        {"{\"name\":\"a\",\"kind\":\"fpga\",\"parameters\":{" REST
         "," PARAMETER("wake", "1", "ns") "}}",
         "f: kind: missing or unknown; give dpu, sidecar or direct"},
        {HEAD REST "}}", "f: parameters.wake: missing; give the CPU of a wake-up of the client's "
                         "core, in ns"},
        {HEAD REST ",\"wake\":{\"value\":1,\"source\":\"s\"}}}",
         "f: parameters.wake.unit: missing; give \"ns\""},
        {HEAD REST "," PARAMETER("wake", "1", "B") "}}",
         "f: parameters.wake.unit: not a unit of this parameter; give \"ns\""},
        {HEAD REST "," PARAMETER("wake", "-1", "ns") "}}",
         "f: parameters.wake.value: -1 ns is outside of 0 to 1e+09 ns"},
        {HEAD REST "," PARAMETER("wake", "\"1\"", "ns") "}}",
         "f: parameters.wake.value: \"1\" is not a number"},
        {HEAD REST ",\"wake\":{\"unit\":\"ns\",\"source\":\"s\"}}}",
         "f: parameters.wake.value: missing; give a number"},
        {HEAD REST ",\"wake\":{\"value\":1,\"unit\":\"ns\"}}}",
         "f: parameters.wake.source: missing; say where the value comes from"},
        {HEAD REST "," PARAMETER("wake", "1", "ns") "," PARAMETER("armWorkers", "1.5", "1") "}}",
         "f: parameters.armWorkers.value: 1.5 is not a whole number"},
        {HEAD REST "," PARAMETER("wake", "1", "ns") "," PARAMETER("armWorkers", "2", "1") "}}",
         "f: armWorkers and dmaUnits belong to kind dpu, and this is sidecar"},
        {HEAD REST "," PARAMETER("wake", "1", "ns") "," PARAMETER(
             "hostShare", "0.9", "1") "," PARAMETER("smallShare", "0.95", "1") "}}",
         "f: smallShare (0.95) is not between 0.01 and hostShare (0.9)"},
        {HEAD REST "," PARAMETER("wake", "1", "ns") "," PARAMETER("stall", "2", "us") "}}",
         "f: stall is given, but hostShare 1 leaves no time for it"},
        {HEAD REST "," PARAMETER("wake", "1", "ns") "," PARAMETER("coalesce", "2", "KiB") "}}",
         "f: coalesce without keepAlive would hold the last message for ever"},
        {HEAD REST "," PARAMETER("wake", "1", "ns") "," PARAMETER("dmaCopy", "2", "us") "}}",
         "f: dmaCopy is given without dmaUnits to do the copies"},
        {HEAD REST "," PARAMETER("wake", "1", "ns") "," PARAMETER("wakes", "2", "us") "}}",
         "f: parameters.wakes: unknown parameter; did you mean wake?"},
        {HEAD REST "," PARAMETER("wake", "1", "ns") "," PARAMETER(
             "segment", "9", "KiB") "," PARAMETER("largestCopy", "8", "KiB") "}}",
         "f: segment (9216 B) is larger than largestCopy (8192 B)"},
        {HEAD REST ",\"wake\":{\"value\":1,\"unit\":\"ns\",\"source\":\"s\",\"error\":1e300}}}",
         "f: parameters.wake.error: 1e+300 is too large; give a standard error"},
        {"{\"name\":\"x\",\"kind\":\"sidecar\",\"description\":5,\"parameters\":{" REST
         "," PARAMETER("wake", "1", "ns") "}}",
         "f: description: not a text"},
        {HEAD REST "," PARAMETER("wake", "1", "ns") "},\"fitted\":[[64,5],[1e24,5]]}",
         "f: fitted[1]: [1e+24, 5] is outside of 1 to 1.67772e+07 bytes, 0 to 1e+12 a second"},
        {HEAD REST "," PARAMETER("wake", "1", "ns") "},\"fitted\":[[64,-1]]}",
         "f: fitted[0]: [64, -1] is outside of 1 to 1.67772e+07 bytes, 0 to 1e+12 a second"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        struct profile profile = {.name = "untouched"};
        cr_assert_lt(profile_parse(cases[i].text, strlen(cases[i].text), "f", &profile, &problems),
                     0, "%s", cases[i].text);
        cr_assert_eq(problems.count, 1, "%s: %zu problems, %s", cases[i].text, problems.count,
                     problems.count ? problems.texts[0] : "");
        if (cases[i].sentence)
            cr_assert_str_eq(problems.texts[0], cases[i].sentence);
        cr_assert_str_eq(profile.name, "untouched");
    }
}

Test(profile, unknown_names_and_files)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct profile profile;

    cr_assert_lt(profile_load("bluefield4", &profile, &problems), 0);
    cr_assert_str_eq(problems.texts[0],
                     "no profile is called bluefield4; there are bluefield3-native, "
                     "bluefield3-preload, direct, envoy-permissive, envoy-strict, ideal, or give "
                     "a file");
    cr_assert_lt(profile_load("/nowhere/x.json", &profile, &problems), 0);
    cr_assert(strstr(problems.texts[1], "/nowhere/x.json: can't open: No such file"));
}
