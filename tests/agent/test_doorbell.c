#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "agent/doorbell.h"
#include "base/clock.h"

/* What an eventfd has counted since it was last asked. */
static uint64_t counted(const struct doorbell *bell)
{
    uint64_t count = 0;
    if (read(bell->fd, &count, sizeof count) < 0)
        cr_assert_eq(errno, EAGAIN);
    return count;
}

/* Rings that find the consumer awake cost no system call; the first that finds it asleep wakes it.
 */
Test(doorbell, is_rung_only_for_a_sleeper)
{
    struct doorbell bell;
    cr_assert_eq(doorbell_init(&bell, true, NULL), 0);
    cr_assert_geq(bell.fd, 0);
    cr_assert_not(doorbell_ring(&bell));
    cr_assert_eq(counted(&bell), 0);

    doorbell_arm(&bell);
    cr_assert(doorbell_ring(&bell));
    cr_assert_not(doorbell_ring(&bell));
    cr_assert_eq(counted(&bell), 1);

    doorbell_arm(&bell);
    doorbell_disarm(&bell);
    cr_assert_not(doorbell_ring(&bell));
    cr_assert_eq(counted(&bell), 0);
    doorbell_destroy(&bell);
    cr_assert_eq(bell.fd, -1);
    doorbell_destroy(&bell); /* harmless */
}

Test(doorbell, waits_until_its_deadline)
{
    struct doorbell bell;
    cr_assert_eq(doorbell_init(&bell, false, NULL), 0);
    cr_assert_eq(bell.fd, -1);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t deadline = clock_monotonic_ns() + i * 5 * NS_PER_MS;
        doorbell_arm(&bell);
        cr_assert_not(doorbell_wait(&bell, deadline));
        cr_assert_geq(clock_monotonic_ns(), deadline);
        cr_assert_not(doorbell_ring(&bell), "it is awake after the deadline");
    }
    doorbell_arm(&bell);
    cr_assert_not(doorbell_wait(&bell, 0), "a deadline in the past");
    doorbell_destroy(&bell);
}

static void *ring_late(void *bell)
{
    usleep(20000);
    return doorbell_ring(bell) ? bell : NULL;
}

Test(doorbell, a_ring_ends_the_wait, .timeout = 30)
{
    struct doorbell bell;
    cr_assert_eq(doorbell_init(&bell, false, NULL), 0);
    /* Between arming and sleeping: the wait does not begin. */
    doorbell_arm(&bell);
    cr_assert(doorbell_ring(&bell));
    cr_assert(doorbell_wait(&bell, UINT64_MAX));

    pthread_t thread;
    void *rang;
    doorbell_arm(&bell);
    cr_assert_eq(pthread_create(&thread, NULL, ring_late, &bell), 0);
    bool rung = doorbell_wait(&bell, UINT64_MAX);
    pthread_join(thread, &rang);
    cr_assert(rung);
    cr_assert_eq(rang, &bell, "the ringer did not know that it woke somebody");
    doorbell_destroy(&bell);
}
