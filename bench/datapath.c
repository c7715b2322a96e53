/*
 * What the modelled data path costs the agent, by itself: two crossings a request, in and out, by
 * model/pod.h as crossing.c drives it.
 *
 *     datapath PROFILE BYTES RATE RUNS
 *
 * RATE requests a second of the model's time, whatever the clock says; 0: as many at once as fit a
 * batch of 64. Prints {"ns": CPU nanoseconds a request, "messages": how many crossed}.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "model/pod.h"
#include "spec/profile.h"

enum { BATCH = 64 };

static double number(const char *text, double low)
{
    char *end;
    double value = strtod(text, &end);
    if (*end || end == text || !(value >= low)) {
        fprintf(stderr, "datapath: \"%s\" is no number from %g on\n", text, low);
        exit(2);
    }
    return value;
}

/* Turns one after the other: what came in goes out at once. Returns messages that crossed. */
static uint64_t run(struct pod *pod, double bytes, double rate, uint64_t requests)
{
    double gap_ns = rate > 0 ? 1e9 / rate : 0, now_ns = 0;
    uint64_t crossed = 0;
    struct pod_message message;

    for (uint64_t sent = 0; sent < requests || pod->inside > 0;) {
        for (unsigned i = 0; i < (gap_ns > 0 ? 1 : BATCH) && sent < requests; i++)
            pod_begin(pod, POD_IN, (uint32_t)sent++, now_ns, bytes);
        pod_advance(pod, now_ns);
        while (pod_pop(pod, &message)) {
            crossed++;
            if (message.direction == POD_IN)
                pod_begin(pod, POD_OUT, message.id, now_ns, bytes);
        }
        double next_ns = pod_next_ns(pod);
        now_ns = gap_ns > 0 && sent < requests ? now_ns + gap_ns : fmax(now_ns + 1, next_ns);
    }
    return crossed;
}

int main(int argc, char **argv)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct profile profile;
    struct pod pod;
    if (argc != 5) {
        fputs("usage: datapath PROFILE BYTES RATE RUNS\n", stderr);
        return 2;
    }
    double bytes = number(argv[2], 1), rate = number(argv[3], 0), runs = number(argv[4], 1);
    if (profile_load(argv[1], &profile, &problems) < 0) {
        problems_print(&problems, stderr, "datapath: ");
        return 2;
    }
    pod_init(&pod, &profile,
             &(struct pod_options){.seed = 1, .connections = 8, .host_elsewhere = true});
    run(&pod, bytes, rate, 1000);
    uint64_t begin_ns = clock_thread_cpu_ns();
    uint64_t crossed = run(&pod, bytes, rate, (uint64_t)runs);
    double ns = (double)(clock_thread_cpu_ns() - begin_ns) / runs;
    printf("{\"ns\": %.1f, \"messages\": %llu}\n", ns, (unsigned long long)crossed);
    pod_release(&pod);
    return 0;
}
