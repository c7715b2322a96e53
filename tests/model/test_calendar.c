#include <criterion/criterion.h>
#include <math.h>

#include "model/calendar.h"
#include "model/random.h"

/* Times come in order, equal ones as they were added; what is added meanwhile finds its place. */
Test(calendar, order)
{
    struct calendar calendar = {.count = 0};
    struct random_stream stream;
    double last_ns = -1;
    uint32_t last_index = 0, index = 0, taken = 0;

    random_seed(&stream, 3, 0);
    cr_assert_eq(calendar_next_ns(&calendar), INFINITY);
    for (; index < 5000; index++)
        calendar_add(&calendar, (double)random_range(&stream, 0, 99), 7, index, index + 1);
    while (calendar.count > 0) {
        double next_ns = calendar_next_ns(&calendar);
        struct calendar_event event = calendar_take(&calendar);
        cr_assert_eq(event.at_ns, next_ns);
        cr_assert_eq(event.kind, 7);
        cr_assert_eq(event.stamp, event.index + 1);
        cr_assert(event.at_ns > last_ns || (event.at_ns == last_ns && event.index > last_index));
        last_ns = event.at_ns;
        last_index = event.index;
        if (++taken % 4 == 0 && index < 8000) {
            double later_ns = event.at_ns + (double)random_range(&stream, 0, 20);
            calendar_add(&calendar, later_ns, 7, index, index + 1);
            index++;
        }
    }
    cr_assert_eq(taken, index);
    calendar_release(&calendar);
    cr_assert_eq(calendar_next_ns(&calendar), INFINITY);
}
