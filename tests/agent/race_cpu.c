/* Threads begin and end while others read what they cost: no reading touches a thread that is gone,
 * and none is less than the one before. ThreadSanitizer watches; AddressSanitizer would see a read
 * of a stack that was unmapped. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/cpu.h"
#include "base/clock.h"

enum { PLAYERS = 3, ROUNDS = 300, READERS = 2, ALARM_S = 100 };

static struct cpu_account account;
static uint32_t over;

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_cpu: %s\n", what);
    exit(1);
}

static void *play(void *argument)
{
    struct cpu_thread self;
    cpu_enter(&account, &self, *(const enum cpu_stage *)argument);
    for (uint64_t until = clock_thread_cpu_ns() + 200 * NS_PER_US; clock_thread_cpu_ns() < until;)
        ;
    cpu_leave(&account, &self);
    return NULL;
}

/* Starts one thread after the other, each of which ends at once. */
static void *begin_and_end(void *argument)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        pthread_t thread;
        check(pthread_create(&thread, NULL, play, argument) == 0, "no thread could be started");
        pthread_join(thread, NULL);
    }
    return NULL;
}

static void *read_on(void *argument)
{
    double last[CPU_STAGES] = {0};
    uint64_t *readings = argument;
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        for (unsigned i = 0; i < CPU_STAGES; i++) {
            double now = cpu_seconds(&account, (enum cpu_stage)i);
            check(now >= last[i], "a counter fell");
            last[i] = now;
        }
        ++*readings;
        usleep(1000);
    }
    return NULL;
}

int main(void)
{
    enum cpu_stage stages[PLAYERS] = {CPU_IO, CPU_APPLICATION, CPU_WORKERS};
    pthread_t players[PLAYERS], readers[READERS];
    uint64_t readings[READERS] = {0};
    alarm(ALARM_S);
    cpu_account_init(&account);
    for (unsigned i = 0; i < READERS; i++)
        check(pthread_create(&readers[i], NULL, read_on, &readings[i]) == 0, "no reader");
    for (unsigned i = 0; i < PLAYERS; i++)
        check(pthread_create(&players[i], NULL, begin_and_end, &stages[i]) == 0, "no player");
    for (unsigned i = 0; i < PLAYERS; i++)
        pthread_join(players[i], NULL);
    __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    usleep(10000);
    double least = ROUNDS * 200e-6;
    for (unsigned i = 0; i < PLAYERS; i++)
        check(cpu_seconds(&account, stages[i]) >= least, "a thread that ended was forgotten");
    check(!account.threads, "a thread that ended is still in the list");
    printf("%d threads came and went, read %" PRIu64 " times\n", PLAYERS * ROUNDS,
           readings[0] + readings[1]);
    cpu_account_destroy(&account);
    return 0;
}
