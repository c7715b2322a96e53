/*
 * The agent's internal work by itself: what a worker does for one request, over and over. work.py
 * does the same in Python, as muBench's own service cell would; bench/run --only work compares.
 *
 *     work pi DIGITS RUNS
 *     work memory KB OPERATIONS RUNS
 *     work disk DIRECTORY BLOCKS BLOCK_BYTES RUNS
 *
 * Prints {"cpu_us": CPU microseconds a run, "wall_us": ..., "check": what was computed}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/stress.h"
#include "model/pi.h"

static const bool stop = false;

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint32_t number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || end == text || value > UINT32_MAX) {
        fprintf(stderr, "work: \"%s\" is not a number\n", text);
        exit(2);
    }
    return (uint32_t)value;
}

/* One run; its result is negative when it failed. */
static int run(char **argv, uint32_t *ret_check)
{
    if (strcmp(argv[1], "pi") == 0) {
        *ret_check = pi_digits(number(argv[2]));
        return 0;
    }
    if (strcmp(argv[1], "memory") == 0)
        return stress_memory(number(argv[2]), number(argv[3]), &stop, ret_check);
    return stress_disk(argv[2], "work", number(argv[3]), number(argv[4]), 1, &stop);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
    } kinds[] = {{"pi", 4}, {"memory", 5}, {"disk", 6}};
    bool known = false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        known |= argc == kinds[i].arguments && strcmp(argv[1], kinds[i].name) == 0;
    if (!known) {
        fprintf(stderr, "usage: work pi DIGITS RUNS | memory KB OPERATIONS RUNS | disk DIRECTORY "
                        "BLOCKS BLOCK_BYTES RUNS\n");
        return 2;
    }
    uint32_t runs = number(argv[argc - 1]), check = 0;
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    for (uint32_t i = 0; i < runs; i++) {
        int result = run(argv, &check);
        if (result < 0) {
            fprintf(stderr, "work: %s\n", strerror(-result));
            return 1;
        }
    }
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds(CLOCK_MONOTONIC) - wall;
    printf("{\"cpu_us\": %.3f, \"wall_us\": %.3f, \"check\": %u}\n", cpu * 1e6 / runs,
           wall * 1e6 / runs, check);
    return 0;
}
