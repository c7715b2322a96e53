/* Calls of a plugin, and an application that waits for some of them no longer: each call is either
 * given up or comes back to be answered, never both, and the count of those that run on although
 * nobody waits comes back to none. ThreadSanitizer watches. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/job.h"
#include "base/clock.h"
#include "base/memory.h"
#include "model/random.h"

enum { CALLS = 20000, EACH = 50, WINDOW = 32, ALARM_S = 100 };

static struct random_stream dice; /* of the application's thread */

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_plugin: %s\n", what);
    exit(1);
}

/* Works for a moment, and looks whether anybody waits as well-behaved functions do. */
static int work(struct dpumesh_call *call)
{
    unsigned long turns = strtoul(call->query, NULL, 10);
    for (unsigned long i = 0; i < turns && !call->stopped(call); i++)
        if (call->answer(call, "x", 1) < 0)
            return -1;
    return 0;
}

static const struct dpumesh_function function = {.name = "work", .run = work};

static struct plugin_job *make(struct plugin *plugin, uint32_t number)
{
    char query[16];
    snprintf(query, sizeof query, "%u", (unsigned)random_range(&dice, 0, 200));
    struct request_draft draft = {.path = {.data = "/", .length = 1},
                                  .query = {.data = query, .length = strlen(query)},
                                  .body = {.data = "", .length = 0}};
    cleanup_free struct request_message *message = xmalloc(draft_length(&draft));
    draft_write(&draft, 0, message);
    return plugin_job_new(number, plugin, "s0", message, 1000, clock_monotonic_ns() + NS_PER_S);
}

struct outcome {
    unsigned answered, cancelled, abandoned, returned_late;
};

static void collect(struct workers *workers, struct plugin_job **running, struct outcome *outcome)
{
    for (struct worker_job *job = workers_finished(workers), *next; job; job = next) {
        struct plugin_job *call = (struct plugin_job *)job;
        next = job->next;
        if (call->abandoned) {
            outcome->returned_late++;
        } else {
            check(running[job->owner % WINDOW] == call, "a call came back that was given up");
            check(call->result == 0, "a call failed");
            running[job->owner % WINDOW] = NULL;
            outcome->answered++;
        }
        job->free(job);
    }
}

/* The application's thread at a deadline. */
static void give_up(struct workers *workers, struct plugin_job **place, uint32_t *late,
                    struct outcome *outcome)
{
    struct plugin_job *call = *place;
    if (workers_cancel(workers, &call->job)) {
        call->job.free(&call->job);
        outcome->cancelled++;
    } else if (plugin_job_abandon(call, late)) {
        call->abandoned = true;
        outcome->abandoned++;
    } else {
        return; /* it is on its way back */
    }
    *place = NULL;
}

/* Each way was gone often; how often, the load of the machine decides. */
static bool enough(const struct outcome *o)
{
    return o->answered + o->cancelled + o->abandoned >= CALLS && o->answered >= EACH &&
           o->cancelled >= EACH && o->abandoned >= EACH;
}

int main(void)
{
    static char params[] = "{}";
    struct plugin plugin = {.function = &function, .params = params, .references = 1};
    struct plugin_job *running[WINDOW] = {NULL};
    struct outcome outcome = {0, 0, 0, 0};
    struct metrics *registry = metrics_new();
    struct cpu_account cpu;
    struct doorbell bell;
    struct workers workers;
    uint32_t late = 0, made = 0;

    alarm(ALARM_S);
    random_seed(&dice, 1, 0);
    cpu_account_init(&cpu);
    check(doorbell_init(&bell, false, NULL) == 0, "no doorbell");
    workers_init(&workers, 3, &bell, registry, &cpu);
    while (!enough(&outcome)) {
        if (made % 16 == 0) /* as the application does: on one processor, workers work then */
            usleep(20);
        uint32_t place = (uint32_t)random_range(&dice, 0, WINDOW - 1);
        collect(&workers, running, &outcome);
        if (running[place] && random_range(&dice, 0, 9) == 0) {
            give_up(&workers, &running[place], &late, &outcome);
        } else if (!running[made % WINDOW]) {
            running[made % WINDOW] = make(&plugin, made);
            check(workers_submit(&workers, &running[made % WINDOW]->job) == 0, "no thread");
            made++;
        }
    }
    for (unsigned i = 0; i < WINDOW; i++)
        while (running[i]) {
            give_up(&workers, &running[i], &late, &outcome);
            collect(&workers, running, &outcome);
        }
    while (outcome.returned_late < outcome.abandoned)
        collect(&workers, running, &outcome);
    check(late == 0, "a call that returned still counts as late");
    workers_stop(&workers);
    check(__atomic_load_n(&plugin.references, __ATOMIC_RELAXED) == 1, "a reference is lost");
    printf("%u answered, %u taken back, %u given up\n", outcome.answered, outcome.cancelled,
           outcome.abandoned);
    doorbell_destroy(&bell);
    cpu_account_destroy(&cpu);
    metrics_free(registry);
    return 0;
}
