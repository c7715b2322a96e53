#include "base/clock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

Test(clock, reads_durations)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"0", 0},
        {"0s", 0},
        {"0.0", 0},
        {"10ns", 10},
        {"200us", 200000},
        {"50ms", 50000000},
        {"1.5s", 1500000000},
        {".5s", 500000000},
        {"5.s", 5000000000},
        {"2m", 120 * NS_PER_S},
        {"1h", 3600 * NS_PER_S},
        {"0.1ns", 0},
        {"0.5ns", 1},
        {"0.0000015s", 1500},
        {"1.000000001s", 1000000001},
        {"0.123456789123456789s", 123456789},
        {"9223372036854775807ns", INT64_MAX},
        {"2562047h", UINT64_C(2562047) * 3600 * NS_PER_S},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cleanup_error struct error *err = NULL;
        uint64_t ns = 42;
        cr_assert_eq(duration_parse(good[i].text, &ns, &err), 0, "%s: %s", good[i].text,
                     error_message(err));
        cr_assert_eq(ns, good[i].ns, "%s: %" PRIu64, good[i].text, ns);
    }
}

Test(clock, refuses_other_text)
{
    static const struct {
        const char *text, *word;
    } bad[] = {
        {"", "is not a duration"},
        {"5", "has no unit"},
        {"0.5", "has no unit"},
        {"s", "is not a duration"},
        {".", "is not a duration"},
        {"-5s", "negative"},
        {"+5s", "is not a duration"},
        {" 5s", "is not a duration"},
        {"5 s", "unknown unit"},
        {"5s ", "unknown unit"},
        {"5S", "unknown unit"},
        {"5d", "unknown unit \"d\""},
        {"1e3s", "unknown unit"},
        {"1.5.5s", "unknown unit"},
        {"0x5s", "unknown unit"},
        {"inf", "is not a duration"},
        {"9223372036854775808ns", "too long"},
        {"99999999999999999999999s", "too long"},
        {"2562048h", "too long"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cleanup_error struct error *err = NULL;
        uint64_t ns = 42;
        cr_assert_eq(duration_parse(bad[i].text, &ns, &err), -EINVAL, "%s", bad[i].text);
        cr_assert_eq(ns, 42, "outputs stay untouched");
        cr_assert_not_null(strstr(error_message(err), bad[i].word), "%s: %s", bad[i].text,
                           error_message(err));
        cr_assert_eq(duration_parse(bad[i].text, &ns, NULL), -EINVAL);
    }
}

Test(clock, prints_durations)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {
        {0, "0"},
        {1, "1ns"},
        {999, "999ns"},
        {1000, "1us"},
        {1500, "1.5us"},
        {1001, "1.001us"},
        {1000001, "1000.001us"},
        {50 * NS_PER_MS, "50ms"},
        {1500 * NS_PER_MS, "1.5s"},
        {1050 * NS_PER_MS, "1.05s"},
        {60 * NS_PER_S, "1m"},
        {90 * NS_PER_S, "1.5m"},
        {100 * NS_PER_S, "100s"},
        {90 * 60 * NS_PER_S, "1.5h"},
        {UINT64_MAX, "18446744073709551.615us"},
    };
    char text[DURATION_TEXT_MAX];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_str_eq(duration_format(cases[i].ns, text), cases[i].text);

    /* What is printed is read back as the same. */
    srand(7);
    for (int i = 0; i < 20000; i++) {
        uint64_t ns = ((uint64_t)rand() << 31 | (uint64_t)rand()) >> (rand() % 62), back;
        cr_assert_eq(duration_parse(duration_format(ns, text), &back, NULL), 0, "%s", text);
        cr_assert_eq(back, ns, "%s", text);
    }
}

Test(clock, goes_forward)
{
    uint64_t before = clock_monotonic_ns(), cpu = clock_thread_cpu_ns();
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    cr_assert_geq(clock_monotonic_ns() - before, 2 * NS_PER_MS);
    cr_assert_lt(clock_thread_cpu_ns() - cpu, NS_PER_S);
}
