/*
 * rings: which queue carries a descriptor from one thread to another soonest and cheapest, and what
 * a doorbell (an eventfd) costs when the other thread sleeps. The variants are in
 * ring_variants.h, the measuring in rings_measure.c.
 *
 * Three measures, each between two threads pinned to two cores:
 *   throughput  million descriptors a second, producer and consumer at full speed, order verified
 *   hop         a descriptor carries the time stamp counter of its push; the consumer subtracts it
 *               from its own at the pop. Both directions are recorded in one histogram, so that an
 *               offset between two cores' counters widens it but does not move its middle. Half
 *               the mean round trip needs no such clock and is printed beside it.
 *   doorbell    as hop, but the consumer sleeps in epoll_wait on an eventfd
 * Every measure is repeated --runs times, the variants in turn within a run, and the median
 * printed.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "bench/rings.h"

enum { RINGS_MAX = 24 };

static struct rings_options opt = {5000000, 200000, 5000, 5, {0, 1}, false};
static const char *json_path;
static const char *only[8]; /* names of rings, and no doorbells; none: everything */
static unsigned only_count;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, opt.runs, sizeof(*values), by_value);
    return opt.runs % 2 ? values[opt.runs / 2]
                        : (values[opt.runs / 2 - 1] + values[opt.runs / 2]) / 2;
}

static void print_bell(FILE *json, const char *name, struct rings_bell *r)
{
    double w50 = median(r->wake50), w99 = median(r->wake99);
    double k50 = median(r->write50), k99 = median(r->write99);
    printf("%-30s wake p50 %6.0f ns p99 %6.0f ns, write p50 %6.0f ns p99 %6.0f ns\n", name, w50,
           w99, k50, k99);
    if (json)
        fprintf(json,
                ",\n  \"%s\": {\"wake_p50_ns\": %.0f, \"wake_p99_ns\": %.0f, "
                "\"write_p50_ns\": %.0f, \"write_p99_ns\": %.0f}",
                name, w50, w99, k50, k99);
}

static bool wanted(const char *name)
{
    for (unsigned i = 0; i < only_count; i++)
        if (strcmp(only[i], name) == 0)
            return true;
    return only_count == 0;
}

static bool known(const char *name)
{
    for (unsigned i = 0; rings_name(i); i++)
        if (strcmp(name, rings_name(i)) == 0)
            return true;
    return false;
}

static void print_ring(FILE *json, const char *comma, const char *name, struct rings_result *r)
{
    double mps = median(r->mps), p50 = median(r->p50), p99 = median(r->p99);
    double p999 = median(r->p999), half = median(r->half);
    printf("%-24s %10.1f %7.0f ns %7.0f ns %7.0f ns %9.0f ns\n", name, mps, p50, p99, p999, half);
    if (json)
        fprintf(json,
                "%s\n    \"%s\": {\"million_per_s\": %.2f, \"hop_p50_ns\": %.0f, "
                "\"hop_p99_ns\": %.0f, \"hop_p999_ns\": %.0f, \"half_round_trip_ns\": %.0f}",
                comma, name, mps, p50, p99, p999, half);
}

static void measure_all(FILE *json)
{
    static struct rings_result results[RINGS_MAX];
    static struct rings_bell bells[2];
    const int one_core[2] = {opt.core[0], opt.core[0]};
    const char *comma = "";
    double clock_ns = rings_begin(&opt);

    for (unsigned run = 0; run < opt.runs; run++) {
        for (unsigned i = 0; i < RINGS_MAX && rings_name(i); i++)
            if (wanted(rings_name(i)))
                rings_measure(i, run, &results[i]);
        if (only_count)
            continue;
        rings_measure_bell(opt.core, run, &bells[0]);
        rings_measure_bell(one_core, run, &bells[1]);
    }
    printf("%-24s %10s %10s %10s %10s %12s\n", "ring", "M desc/s", "hop p50", "hop p99",
           "hop p99.9", "round trip/2");
    if (json)
        fprintf(json,
                "{\n  \"runs\": %u,\n  \"spin\": \"%s\",\n  \"clock_ns\": %.1f,\n  \"rings\": {",
                opt.runs, opt.pause ? "pause" : "bare", clock_ns);
    for (unsigned i = 0; i < RINGS_MAX && rings_name(i); i++) {
        if (!wanted(rings_name(i)))
            continue;
        print_ring(json, comma, rings_name(i), &results[i]);
        comma = ",";
    }
    if (json)
        fprintf(json, "\n  }");
    printf("(reading the clock is %.0f ns of each hop)\n", clock_ns);
    if (!only_count) {
        print_bell(json, "doorbell, two cores", &bells[0]);
        print_bell(json, "doorbell, one core", &bells[1]);
    }
    if (json)
        fprintf(json, "\n}\n");
}

static const char usage[] =
    "Usage: rings [OPTION]...\n"
    "Compare rings between two threads on two cores.\n\n"
    "      --runs N        repetitions whose median is printed, 1 to 31 (5)\n"
    "      --messages N    descriptors of a throughput run (5000000)\n"
    "      --hops N        descriptors of a hop run, each way (200000)\n"
    "      --bells N       wakes of a doorbell run (5000)\n"
    "      --cores A,B     the two cores (0,1)\n"
    "      --pause         spin with the pause instruction\n"
    "      --only NAME     this ring and no doorbells; may be repeated\n"
    "      --json FILE     write the medians to FILE as well\n"
    "      --help          print this\n";

static unsigned long number(const char *text, unsigned long min, unsigned long max)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || value < min || value > max) {
        fprintf(stderr, "rings: \"%s\" is not a number from %lu to %lu\n", text, min, max);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"runs", 1, NULL, 'r'},     {"messages", 1, NULL, 'm'},
                                            {"hops", 1, NULL, 'h'},     {"bells", 1, NULL, 'b'},
                                            {"cores", 1, NULL, 'c'},    {"pause", 0, NULL, 'p'},
                                            {"json", 1, NULL, 'j'},     {"only", 1, NULL, 'o'},
                                            {"help", 0, NULL, '?' + 1}, {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'r':
            opt.runs = (unsigned)number(optarg, 1, RINGS_RUNS_MAX);
            break;
        case 'm':
            opt.messages = number(optarg, 1, 1000000000);
            break;
        case 'h':
            opt.hops = number(optarg, 1, 1000000000);
            break;
        case 'b':
            opt.bells = number(optarg, 1, 1000000);
            break;
        case 'c':
            if (sscanf(optarg, "%d,%d", &opt.core[0], &opt.core[1]) != 2 || opt.core[0] < 0 ||
                opt.core[1] < 0 || opt.core[0] == opt.core[1]) {
                fprintf(stderr, "rings: --cores takes two different cores, such as 0,1\n");
                return 2;
            }
            break;
        case 'p':
            opt.pause = true;
            break;
        case 'o':
            if (!known(optarg)) {
                fprintf(stderr, "rings: there is no ring \"%s\"; a run without --only lists them\n",
                        optarg);
                return 2;
            }
            if (only_count < sizeof(only) / sizeof(only[0]))
                only[only_count++] = optarg;
            break;
        case 'j':
            json_path = optarg;
            break;
        case '?' + 1:
            fputs(usage, stdout);
            return 0;
        default:
            fputs("Try \"rings --help\".\n", stderr);
            return 2;
        }
    }
    cleanup_file FILE *json = NULL;
    if (json_path && !(json = fopen(json_path, "w"))) {
        fprintf(stderr, "rings: can't write %s: %m\n", json_path);
        return 2;
    }
    measure_all(json);
    return 0;
}
