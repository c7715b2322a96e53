#include "kube/time.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static uint64_t parsed(const char *text)
{
    cleanup_error struct error *err = NULL;
    uint64_t ns = 1;
    cr_assert_eq(kube_time_parse(text, &ns, &err), 0, "%s: %s", text, error_message(err));
    return ns;
}

static void refused(const char *text)
{
    cleanup_error struct error *err = NULL;
    uint64_t ns = 4711;
    cr_assert_eq(kube_time_parse(text, &ns, &err), -EINVAL, "%s", text);
    cr_assert_eq(ns, 4711);
    cr_assert_not_null(strstr(error_message(err), "is not a timestamp; give one as 2026-"), "%s",
                       error_message(err));
}

/* A small generator, seeded: runs repeat. */
static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state ^ *state >> 29;
}

Test(time, reads_both_forms)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.000000001Z", 1},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T23:30:00-00:30", 0},
        {"2000-02-29T00:00:00Z", 951782400 * NS_PER_S},
        {"2000-03-01T00:00:00Z", 951868800 * NS_PER_S},
        {"2024-02-29T12:34:56.789Z", 1709210096 * NS_PER_S + 789 * NS_PER_MS},
        {"2026-11-23T10:00:00Z", 1795428000 * NS_PER_S},
        {"2026-11-23T10:00:00.123456Z", 1795428000 * NS_PER_S + 123456 * NS_PER_US},
        {"2026-11-23T10:00:00.5-23:59", 1795428000 * NS_PER_S + 86340 * NS_PER_S + NS_PER_S / 2},
        {"2026-11-23T10:00:00-00:00", 1795428000 * NS_PER_S},
        /* The leap second at the end of 2016. */
        {"2016-12-31T23:59:60Z", 1483228799 * NS_PER_S},
        /* Before and after what has a number. */
        {"0001-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59.999999999Z", 0},
        {"2554-07-21T23:34:33.709551615Z", UINT64_MAX},
        {"2554-07-21T23:34:33.709551616Z", UINT64_MAX},
        {"2554-07-21T23:34:33.709551614Z", UINT64_MAX - 1},
        {"9999-12-31T23:59:59Z", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_eq(parsed(cases[i].text), cases[i].ns, "%s: %lu, not %lu", cases[i].text,
                     (unsigned long)parsed(cases[i].text), (unsigned long)cases[i].ns);
}

Test(time, refuses_everything_else)
{
    static const char *const bad[] = {
        "",
        "now",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01 00:00:00Z",
        "2026-01-01t00:00:00Z",
        "2026-01-01T00:00:00z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00.0123456789Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+00:60",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T00:00:00+01",
        "2026-01-01T0:00:00Z",
        "2026-1-01T00:00:00Z",
        " 2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z ",
        "2026-01-01T00:00:00ZZ",
        "-026-01-01T00:00:00Z",
        "+2026-01-01T00:00:00Z",
        "2026-01-01T00:00:-1Z",
        "\xff\xfe a text that is long enough to be cut, and holds no time",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refused(bad[i]);
}

Test(time, a_long_text_is_cut_in_the_sentence)
{
    cleanup_error struct error *err = NULL;
    uint64_t ns;
    cr_assert_lt(
        kube_time_parse("\x01 a text of more than forty bytes, which is no time", &ns, &err), 0);
    cr_assert_str_eq(
        error_message(err),
        "\"\\u0001 a text of more than forty bytes, which\"... is not a timestamp; give "
        "one as 2026-11-23T10:00:00Z (RFC 3339)");
}

/* What is printed reads back; the C library's calendar is the oracle. */
Test(time, comes_back_as_printed)
{
    uint64_t state = 42;
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t ns = i == 0 ? UINT64_MAX : i == 1 ? 0 : next_random(&state) >> (i % 40);
        char text[KUBE_TIME_TEXT_MAX], expected[KUBE_TIME_TEXT_MAX];
        time_t seconds = (time_t)(ns / NS_PER_S);
        struct tm calendar;
        cr_assert_not_null(gmtime_r(&seconds, &calendar));
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%SZ", &calendar);
        cr_assert_str_eq(kube_time_format(ns, text), expected);
        cr_assert_eq(parsed(text), ns - ns % NS_PER_S);
        kube_micro_time_format(ns, text);
        cr_assert_eq(strlen(text), 27);
        cr_assert_eq(parsed(text), ns - ns % NS_PER_US);
    }
}

Test(time, every_day_is_the_day_after_the_one_before)
{
    uint64_t expected = 0;
    for (unsigned year = 1970; year < 2554; year++) {
        for (unsigned month = 1; month <= 12; month++) {
            for (unsigned day = 1; day <= 31; day++) {
                char text[64];
                uint64_t ns;
                snprintf(text, sizeof(text), "%04u-%02u-%02uT00:00:00Z", year, month, day);
                if (kube_time_parse(text, &ns, NULL) < 0) {
                    cr_assert(day > 28 && month != 1 && month != 12, "%s", text);
                    continue;
                }
                cr_assert_eq(ns, expected * 86400 * NS_PER_S, "%s", text);
                expected++;
            }
        }
    }
}

Test(time, every_truncation_is_refused)
{
    static const char *const whole[] = {"2026-11-23T10:00:00Z", "2026-11-23T10:00:00.123456Z",
                                        "2026-11-23T10:00:00.123456789+05:30"};
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        parsed(whole[i]);
        for (size_t length = 0; length < strlen(whole[i]); length++) {
            char cut[64] = {0};
            memcpy(cut, whole[i], length);
            refused(cut);
        }
    }
}

Test(time, now_is_now)
{
    uint64_t before = (uint64_t)time(NULL);
    uint64_t now = kube_time_now_ns() / NS_PER_S;
    cr_assert(now + 1 >= before && now <= before + 60);
}
