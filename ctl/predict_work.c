#include "ctl/predict_work.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/pi.h"

enum {
    DIGITS_MAX = 100000, /* of a document */
    MEASURED_MAX = 3000, /* beyond it the slope is known: one run would take seconds */
    RUNS_MIN = 3
};
static const uint64_t run_ns = 20 * NS_PER_MS; /* of CPU for each number of digits */

static int parse_point(char *text, struct work_point *ret, struct error **err)
{
    char *time = strchr(text, '=');
    uint64_t digits, cpu_ns;

    if (!time)
        return error_make(err, EINVAL, "\"%s\" is not DIGITS=TIME, such as 100=15us", text);
    *time++ = '\0';
    if (text_parse_unsigned(text, 1, DIGITS_MAX, &digits, err) < 0 ||
        duration_parse(time, &cpu_ns, err) < 0)
        return -EINVAL;
    if (cpu_ns == 0)
        return error_make(err, EINVAL, "%s digits in no time; give a time above 0", text);
    *ret = (struct work_point){(double)digits, (double)cpu_ns};
    return 0;
}

int predict_parse_work(const char *text, struct work_cost *ret, struct error **err)
{
    cleanup_free char *copy = xstrdup(text);
    struct work_cost cost = {.count = 0};
    char *rest = copy, *item;

    while ((item = strsep(&rest, ","))) {
        struct work_point *point = &cost.point[cost.count];
        if (cost.count == WORK_POINTS_MAX)
            return error_make(err, EINVAL, "more than %d points", WORK_POINTS_MAX);
        int r = parse_point(item, point, err);
        if (r < 0)
            return r;
        if (cost.count > 0 && point->digits <= point[-1].digits)
            return error_make(err, EINVAL, "%g digits stand behind %g; let them rise",
                              point->digits, point[-1].digits);
        cost.count++;
    }
    *ret = cost;
    return 0;
}

/* The fastest of some runs: what disturbs only adds. */
static double measure(unsigned digits)
{
    /* Kept, so that the compiler can't leave the work out. */
    static volatile uint32_t sink;
    double best_ns = INFINITY;
    uint64_t spent_ns = 0;

    for (unsigned run = 0; run < RUNS_MIN || spent_ns < run_ns; run++) {
        uint64_t begin_ns = clock_thread_cpu_ns();
        sink = pi_digits(digits);
        uint64_t took_ns = clock_thread_cpu_ns() - begin_ns;
        spent_ns += took_ns;
        best_ns = fmin(best_ns, fmax(1, (double)took_ns));
    }
    (void)sink;
    return best_ns;
}

void predict_measure_work(unsigned digits_max, struct work_cost *ret)
{
    static const unsigned steps[] = {1, 10, 30, 100, 300, 1000, MEASURED_MAX};
    struct work_cost cost = {.count = 0};

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        /* Two points at least, and the first that reaches what is asked for. */
        if (i > 1 && steps[i - 1] >= digits_max)
            break;
        cost.point[cost.count++] = (struct work_point){steps[i], measure(steps[i])};
    }
    *ret = cost;
}
