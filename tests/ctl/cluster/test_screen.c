#include "ctl/cluster/screen.h"

#include <criterion/criterion.h>

#include "ctl/cluster/age.h"

Test(screen, keeps_within_rows_and_columns)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(1000);
    cr_assert_eq(screen_compose("one\ntwo is long\n\nfour\nfive\n", 1, 4, 5, &out), 0);
    cr_assert_str_eq(buffer_terminate(&out), "\033[Hone\033[K\r\n\033[1mtwo i\033[0m\033[K\r\n"
                                             "\033[K\r\nfour\033[K\033[J");
    buffer_clear(&out);
    cr_assert_eq(screen_compose("one\n", 9, 24, 80, &out), 0);
    cr_assert_str_eq(buffer_terminate(&out), "\033[Hone\033[K\033[J");
}

static void expect_age(uint64_t seconds, const char *text)
{
    char age[AGE_TEXT_MAX];
    cr_assert_str_eq(age_format(seconds * 1000000000, age), text);
}

Test(age, reads_as_kubectls)
{
    char age[AGE_TEXT_MAX];
    expect_age(0, "0s");
    expect_age(119, "119s");
    expect_age(120, "2m");
    expect_age(330, "5m30s");
    expect_age(600, "10m");
    expect_age(179 * 60, "179m");
    expect_age(3 * 3600, "3h");
    expect_age(47 * 3600, "47h");
    expect_age(48 * 3600, "2d");
    cr_assert_str_eq(age_since("1970-01-01T00:00:10Z", 15000000000, age), "5s");
    cr_assert_str_eq(age_since("1970-01-01T00:00:20Z", 15000000000, age), "0s");
    cr_assert_str_eq(age_since("", 15000000000, age), "?");
}
