/* How takers of a work queue sleep and are woken, and how it keeps time. */
#include "kube/queue.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kube/queue_private.h"
#include "tests/kube/dice.h"

enum { HEAP_ENTRIES = 500, HEAP_STEPS = 20000, TAKERS = 2, ROUNDS = 300, WAIT_S = 20 };

static struct kube_queue *queue_new(void)
{
    const struct kube_queue_options options = {.name = "q"};
    return kube_queue_new(&options);
}

static void sleep_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * (long)NS_PER_MS};
    nanosleep(&pause, NULL);
}

/* What a taker saw. */
struct taker {
    struct kube_queue *queue;
    char *key;
    long switches; /* times it gave the processor away while it waited */
};

static void *take_one(void *context)
{
    struct taker *taker = context;
    struct rusage before, after;
    getrusage(RUSAGE_THREAD, &before);
    taker->key = kube_queue_take(taker->queue);
    getrusage(RUSAGE_THREAD, &after);
    taker->switches = after.ru_nvcsw - before.ru_nvcsw;
    return NULL;
}

Test(queue_wait, sleeps_until_there_is_something)
{
    struct kube_queue *queue = queue_new();
    struct taker takers[3] = {0};
    pthread_t threads[3];
    kube_queue_add_after(queue, "timed", 300 * NS_PER_MS);
    for (int i = 0; i < 3; i++) {
        takers[i].queue = queue;
        pthread_create(&threads[i], NULL, take_one, &takers[i]);
    }
    /* One keeps the time and takes what was timed; the next takes what is added; the last is told
     * to end. None of them wakes up in between. */
    sleep_ms(400);
    kube_queue_add(queue, "added", KUBE_LANE_HIGH);
    sleep_ms(400);
    kube_queue_stop(queue);
    int timed = 0, added = 0, ended = 0;
    long switches = 0;
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        timed += takers[i].key && strcmp(takers[i].key, "timed") == 0;
        added += takers[i].key && strcmp(takers[i].key, "added") == 0;
        ended += !takers[i].key;
        switches += takers[i].switches;
        free(takers[i].key);
    }
    cr_assert(timed == 1 && added == 1 && ended == 1);
    cr_assert_lt(switches, 20, "%ld", switches);
    kube_queue_free(queue);
}

/* Takes keys and holds on to each until all takers have one. */
struct crew {
    struct kube_queue *queue;
    atomic_uint taken, done;
};

static void *take_together(void *context)
{
    struct crew *crew = context;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        cleanup_free char *key = kube_queue_take(crew->queue);
        if (!key)
            break;
        atomic_fetch_add(&crew->taken, 1);
        while (atomic_load(&crew->taken) < round * TAKERS)
            sched_yield();
        kube_queue_done(crew->queue, key);
        atomic_fetch_add(&crew->done, 1);
    }
    return NULL;
}

/* Two keys that come one right after the other wake two takers, though one of them keeps the time
 * and the other may not have got up yet when the second key comes. */
Test(queue_wait, wakes_as_many_as_there_are_keys)
{
    struct crew crew = {.queue = queue_new()};
    pthread_t threads[TAKERS];
    kube_queue_add_after(crew.queue, "far", 1000 * NS_PER_S);
    for (int i = 0; i < TAKERS; i++)
        pthread_create(&threads[i], NULL, take_together, &crew);
    uint64_t deadline_ns = clock_monotonic_ns() + WAIT_S * NS_PER_S;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        if (round % 16 == 1)
            sleep_ms(2); /* both sleep by now */
        kube_queue_add(crew.queue, "a", KUBE_LANE_HIGH);
        kube_queue_add(crew.queue, "b", KUBE_LANE_HIGH);
        while (atomic_load(&crew.taken) < round * TAKERS) {
            cr_assert_lt(clock_monotonic_ns(), deadline_ns, "a key waits, and so does a taker");
            sched_yield();
        }
        while (atomic_load(&crew.done) < round * TAKERS)
            sched_yield();
    }
    for (int i = 0; i < TAKERS; i++)
        pthread_join(threads[i], NULL);
    kube_queue_free(crew.queue);
}

/* Starts takers of one key each, makes delays meanwhile, and returns how many got one in time. */
static unsigned takers_served(const uint64_t early_ms[2], const uint64_t late_ms[2])
{
    struct kube_queue *queue = queue_new();
    struct taker takers[TAKERS] = {0};
    pthread_t threads[TAKERS];
    static const char *const early[] = {"a", "b"}, *const late[] = {"c", "d"};
    unsigned served = 0;
    for (int i = 0; i < 2; i++)
        if (early_ms[i])
            kube_queue_add_after(queue, early[i], early_ms[i] * NS_PER_MS);
    for (int i = 0; i < TAKERS; i++) {
        takers[i].queue = queue;
        pthread_create(&threads[i], NULL, take_one, &takers[i]);
    }
    sleep_ms(30);
    for (int i = 0; i < 2; i++)
        if (late_ms[i])
            kube_queue_add_after(queue, late[i], late_ms[i] * NS_PER_MS);
    sleep_ms(400);
    kube_queue_stop(queue);
    for (int i = 0; i < TAKERS; i++) {
        pthread_join(threads[i], NULL);
        served += takers[i].key != NULL;
        free(takers[i].key);
    }
    kube_queue_free(queue);
    return served;
}

Test(queue_wait, somebody_always_keeps_the_time)
{
    static const uint64_t none[2] = {0}, two[2] = {60, 120}, far[2] = {100000, 200000};
    static const uint64_t same[2] = {70, 70};
    cr_assert_eq(takers_served(two, none), 2, "who keeps the time hands it on when it takes a key");
    cr_assert_eq(takers_served(same, none), 2);
    cr_assert_eq(takers_served(none, two), 2, "who sleeps without a time gets one");
    cr_assert_eq(takers_served(far, two), 2, "an earlier time counts from now on");
    cr_assert_eq(takers_served(far, none), 0);
}

Test(queue_wait, heap_gives_the_earliest)
{
    static struct queue_entry entries[HEAP_ENTRIES];
    struct queue_heap heap = {0};
    struct dice dice = {.state = 3};
    for (int i = 0; i < HEAP_ENTRIES; i++)
        entries[i].heap_place = QUEUE_NOT_DELAYED;
    for (int step = 0; step < HEAP_STEPS; step++) {
        struct queue_entry *entry = &entries[dice_below(&dice, HEAP_ENTRIES)];
        if (entry->heap_place != QUEUE_NOT_DELAYED)
            queue_heap_remove(&heap, entry);
        if (dice_below(&dice, 4)) {
            entry->due_ns = dice_below(&dice, 1000);
            queue_heap_add(&heap, entry);
        }
        for (size_t i = 0; i < heap.count; i++) {
            cr_assert_eq(heap.entries[i]->heap_place, i);
            cr_assert_geq(heap.entries[i]->due_ns, heap.entries[i ? (i - 1) / 2 : 0]->due_ns);
        }
    }
    cr_assert_gt(heap.count, HEAP_ENTRIES / 2);
    free(heap.entries);
}
