/* The texts of settings for people. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "spec/settings.h"

Test(settings, latency_for_people)
{
    static const struct {
        struct distribution latency;
        const char *text;
    } cases[] = {
        {{.kind = DISTRIBUTION_CONSTANT, .value_ns = 50 * NS_PER_MS}, "50ms"},
        {{.kind = DISTRIBUTION_CONSTANT}, "0"},
        {{.kind = DISTRIBUTION_UNIFORM, .low_ns = 10 * NS_PER_MS, .high_ns = 1500 * NS_PER_MS},
         "uniform 10ms to 1.5s"},
        {{.kind = DISTRIBUTION_EXPONENTIAL, .value_ns = 8 * NS_PER_MS}, "exponential, mean 8ms"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct egress_settings egress = {.latency = cases[i].latency};
        char text[EGRESS_LATENCY_TEXT_MAX];
        cr_expect_str_eq(egress_latency_format(&egress, text), cases[i].text);
    }
}

/* The longest durations there are fit. */
Test(settings, longest_latency)
{
    struct egress_settings egress = {
        .latency = {.kind = DISTRIBUTION_UNIFORM, .low_ns = UINT64_MAX, .high_ns = UINT64_MAX}};
    char text[EGRESS_LATENCY_TEXT_MAX], one[DURATION_TEXT_MAX];
    size_t length = strlen(duration_format(UINT64_MAX, one));
    cr_expect_eq(strlen(egress_latency_format(&egress, text)), strlen("uniform  to ") + 2 * length);
}
