#include "ctl/load_stats.h"

#include <criterion/criterion.h>

Test(load_stats, merge_adds_and_judges)
{
    cleanup_load_stats struct load_stats *a = load_stats_new(), *b = load_stats_new();
    cr_assert_eq(load_stats_bad(a), 0);
    cr_assert_eq(load_stats_seconds(a), 0);

    a->started = a->answered = a->status[200] = 3;
    a->first_ns = 2000000000;
    a->last_ns = 3000000000;
    histogram_record(a->latency, 10);
    load_stats_merge(b, a);
    cr_assert_eq(load_stats_bad(b), 0, "a good run stays good");
    cr_assert_float_eq(load_stats_seconds(b), 1, 1e-9);

    b->status[399]++;
    cr_assert_eq(load_stats_bad(b), 0);
    b->status[400]++;
    b->failures[LOAD_DOUBLED]++;
    b->failed = b->failures[LOAD_LOST] = 2;
    b->warmup_failed = 1;
    b->first_ns = 1000000000;
    b->last_ns = 2500000000;
    b->connect_errno = 5;
    load_stats_merge(a, b);
    cr_assert_eq(load_stats_bad(a), 5);
    cr_assert_eq(a->status[200], 6);
    cr_assert_eq(a->failures[LOAD_LOST], 2);
    cr_assert_eq(a->latency->count, 2);
    cr_assert_eq(a->connect_errno, 5);
    cr_assert_float_eq(load_stats_seconds(a), 2, 1e-9);
    for (int i = 0; i < LOAD_FAILURES; i++)
        cr_assert_not_null(load_failure_name((enum load_failure)i));
}
