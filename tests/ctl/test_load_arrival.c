#include "ctl/load_arrival.h"

#include <math.h>

#include <criterion/criterion.h>

/* Paced: the threads' schedules together are one arrival every 1/rate seconds, exactly. */
Test(load_arrival, paced_threads_interleave)
{
    const struct load_plan plan = {.threads = 4, .rate = 1000, .arrivals = LOAD_ARRIVALS_PACED};
    for (unsigned index = 0; index < 4; index++) {
        struct load_arrival arrival;
        load_arrival_begin(&arrival, &plan, index, 5000);
        for (uint64_t i = 0; i < 100; i++, load_arrival_advance(&arrival))
            cr_assert_eq(load_arrival_due(&arrival), 5000 + (i * 4 + index) * 1000000);
    }
    /* A rate that does not divide a second does not drift. */
    const struct load_plan odd = {.threads = 1, .rate = 30000, .arrivals = LOAD_ARRIVALS_PACED};
    struct load_arrival arrival;
    load_arrival_begin(&arrival, &odd, 0, 0);
    for (int i = 0; i < 300000; i++)
        load_arrival_advance(&arrival);
    cr_assert_float_eq((double)load_arrival_due(&arrival), 1e10, 10);
}

/* Poisson: mean and standard deviation of the gaps are both 1/rate; the seed decides all of it. */
Test(load_arrival, poisson)
{
    enum { COUNT = 200000 };
    struct load_plan plan = {
        .threads = 2, .rate = 20000, .arrivals = LOAD_ARRIVALS_POISSON, .seed = 3};
    struct load_arrival a, b, other;
    double sum = 0, squares = 0;
    unsigned same = 0;

    load_arrival_begin(&a, &plan, 0, 0);
    load_arrival_begin(&b, &plan, 0, 0);
    load_arrival_begin(&other, &plan, 1, 0);
    uint64_t last = 0;
    for (int i = 0; i < COUNT; i++) {
        uint64_t due = load_arrival_due(&a);
        cr_assert_geq(due, last);
        cr_assert_eq(due, load_arrival_due(&b));
        same += due == load_arrival_due(&other);
        sum += (double)(due - last);
        squares += (double)(due - last) * (double)(due - last);
        last = due;
        load_arrival_advance(&a);
        load_arrival_advance(&b);
        load_arrival_advance(&other);
    }
    double mean = sum / COUNT, deviation = sqrt(squares / COUNT - mean * mean);
    cr_assert_float_eq(mean, 1e5, 1e3);
    cr_assert_float_eq(deviation, 1e5, 2e3);
    cr_assert_lt(same, 10);
}
