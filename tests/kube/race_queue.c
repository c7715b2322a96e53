/* A queue between adders and workers: never two workers on one key, no add lost, also of those that
 * are delayed or fail, and everybody is woken. ThreadSanitizer watches; an alarm ends a lost
 * wake-up. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kube/queue.h"
#include "tests/kube/dice.h"

enum { KEYS = 50, ADDERS = 3, WORKERS = 4, ROUNDS = 20000, ALARM_S = 100 };

struct key {
    atomic_uint added; /* counts adds, before each */
    atomic_uint seen;  /* added, as the last worker on it read it */
    atomic_bool busy;
};

static struct key keys[KEYS];
static struct kube_queue *queue;
static atomic_uint taken;

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_queue: %s\n", what);
    exit(1);
}

static void *add(void *context)
{
    struct dice dice = {.state = (uintptr_t)context};
    char text[16];
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned key = dice_below(&dice, KEYS);
        snprintf(text, sizeof(text), "%u", key);
        atomic_fetch_add(&keys[key].added, 1);
        unsigned what = dice_below(&dice, 20);
        if (what == 0)
            kube_queue_add_after(queue, text, dice_below(&dice, 3) * NS_PER_MS);
        else
            kube_queue_add(queue, text, what % 2 ? KUBE_LANE_LOW : KUBE_LANE_HIGH);
        /* Now and then the workers get to sleep. */
        if (dice_once_in(&dice, 500))
            usleep(2000);
    }
    return NULL;
}

static void *work(void *context)
{
    struct dice dice = {.state = 100 + (uintptr_t)context};
    for (;;) {
        cleanup_free char *text = kube_queue_take(queue);
        if (!text)
            return NULL;
        struct key *key = &keys[strtoul(text, NULL, 10)];
        check(!atomic_exchange(&key->busy, true), "two workers on one key");
        unsigned added = atomic_load(&key->added);
        atomic_fetch_add(&taken, 1);
        atomic_store(&key->busy, false);
        if (dice_once_in(&dice, 50)) {
            kube_queue_retry(queue, text); /* it failed: as if it had not seen anything */
        } else {
            atomic_store(&key->seen, added);
            kube_queue_forget(queue, text);
        }
        kube_queue_done(queue, text);
    }
}

static bool all_seen(void)
{
    for (unsigned i = 0; i < KEYS; i++)
        if (atomic_load(&keys[i].seen) != atomic_load(&keys[i].added))
            return false;
    return true;
}

static void *ask(void *context)
{
    (void)context;
    for (unsigned i = 0; i < ROUNDS; i++) {
        kube_queue_depth(queue);
        kube_queue_failures(queue, "1");
    }
    return NULL;
}

int main(void)
{
    pthread_t adders[ADDERS], workers[WORKERS], asker;
    const struct kube_queue_options options = {
        .name = "race", .backoff_first_ns = NS_PER_MS, .backoff_most_ns = 4 * NS_PER_MS};
    alarm(ALARM_S);
    for (unsigned round = 0; round < 2; round++) {
        if (round == 0)
            queue = kube_queue_new(&options);
        else
            kube_queue_reopen(queue);
        for (uintptr_t i = 0; i < WORKERS; i++)
            check(pthread_create(&workers[i], NULL, work, (void *)i) == 0, "no thread");
        for (uintptr_t i = 0; i < ADDERS; i++)
            check(pthread_create(&adders[i], NULL, add, (void *)i) == 0, "no thread");
        check(pthread_create(&asker, NULL, ask, NULL) == 0, "no thread");
        for (unsigned i = 0; i < ADDERS; i++)
            pthread_join(adders[i], NULL);
        pthread_join(asker, NULL);
        while (!all_seen())
            usleep(1000);
        kube_queue_stop(queue);
        for (unsigned i = 0; i < WORKERS; i++)
            pthread_join(workers[i], NULL);
    }
    kube_queue_free(queue);
    printf("%u keys taken of %u added\n", atomic_load(&taken), 2U * ADDERS * ROUNDS);
    return 0;
}
