/* A ring and a doorbell of either kind between two threads: nothing lost, nothing out of order, and
 * a consumer that sleeps is always woken. ThreadSanitizer watches; an alarm ends a lost wake-up. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/doorbell.h"
#include "agent/ring.h"

enum { ROUNDS = 200000, CAPACITY = 64, ALARM_S = 60 };

struct pair {
    struct ring ring;
    struct doorbell bell;
    unsigned sleeps, wakes;
};

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_ring: %s\n", what);
    exit(1);
}

static void *produce(void *argument)
{
    struct pair *p = argument;
    for (uint32_t i = 0; i < ROUNDS;) {
        struct descriptor *d = ring_slot(&p->ring);
        if (!d)
            continue;
        d->tag = i;
        d->offset = ~i;
        ring_submit(&p->ring, d);
        i++;
        /* Often one at a time, so that the consumer sleeps in between; sometimes a burst. */
        if (i % 3 != 2 || i == ROUNDS)
            p->wakes += doorbell_ring(&p->bell);
    }
    doorbell_ring(&p->bell);
    return NULL;
}

static void sleep_on(struct pair *p, int epoll)
{
    struct epoll_event event;
    doorbell_arm(&p->bell);
    if (ring_peek(&p->ring)) {
        doorbell_disarm(&p->bell);
        return;
    }
    p->sleeps++;
    if (p->bell.fd < 0)
        doorbell_wait(&p->bell, UINT64_MAX);
    else
        check(epoll_wait(epoll, &event, 1, -1) == 1, "epoll_wait failed");
    doorbell_disarm(&p->bell);
}

static void run(bool use_eventfd)
{
    static struct pair p;
    pthread_t producer;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    p = (struct pair){0};
    check(ring_init(&p.ring, CAPACITY, NULL) == 0, "no ring");
    check(doorbell_init(&p.bell, use_eventfd, NULL) == 0, "no doorbell");
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    if (use_eventfd)
        check(epoll_ctl(epoll, EPOLL_CTL_ADD, p.bell.fd, &event) == 0, "epoll_ctl failed");
    check(pthread_create(&producer, NULL, produce, &p) == 0, "no thread");
    for (uint32_t next = 0; next < ROUNDS;) {
        const struct descriptor *d = ring_pop(&p.ring);
        if (!d) {
            ring_release(&p.ring);
            sleep_on(&p, epoll);
            continue;
        }
        check(d->tag == next && d->offset == ~next, "a descriptor is lost, doubled or torn");
        next++;
        if (next % 16 == 0)
            ring_release(&p.ring);
    }
    pthread_join(producer, NULL);
    check(!ring_pop(&p.ring), "a descriptor too many");
    printf("%s: %u descriptors, slept %u times, was rung %u times\n",
           use_eventfd ? "eventfd" : "futex", (unsigned)ROUNDS, p.sleeps, p.wakes);
    doorbell_destroy(&p.bell);
    ring_destroy(&p.ring);
    close(epoll);
}

int main(void)
{
    alarm(ALARM_S);
    run(false);
    run(true);
    return 0;
}
