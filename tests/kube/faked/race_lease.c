/* Three replicas with one lease on an API server in memory, while their ways to it break and mend,
 * processes come and go, and readers ask who leads. Never two at one instant, in real time;
 * ThreadSanitizer watches the rest. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api.h"
#include "base/clock.h"
#include "kube/hash.h"
#include "kube/lease.h"

enum { REPLICAS = 3, ALARM_S = 100 };

#define RUN_NS (6 * NS_PER_S)

struct replica {
    struct kube_client client;
    struct kube_lease *lease; /* changed by its keeper, under guard */
    pthread_rwlock_t guard;
    pthread_t keeper;
    int number;
    char identity[32];
};

static struct api api;
static struct replica replicas[REPLICAS];
static struct metrics *metrics;
static _Atomic bool ending;
static _Atomic unsigned changes, instants;

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_lease: %s\n", what);
    exit(1);
}

static void changed(void *context, bool leading)
{
    (void)context;
    (void)leading;
    atomic_fetch_add(&changes, 1);
}

/* The life of a replica: started, troubled, stopped, over and over. */
static void *keep(void *context)
{
    struct replica *replica = context;
    unsigned life = 0;
    while (!atomic_load(&ending)) {
        struct kube_lease *lease = NULL;
        struct kube_lease_options options = {.namespace = "system",
                                             .name = "op",
                                             .identity = replica->identity,
                                             .duration_ns = 900 * NS_PER_MS,
                                             .renew_deadline_ns = 500 * NS_PER_MS,
                                             .retry_ns = 30 * NS_PER_MS,
                                             .changed = changed,
                                             .metrics = metrics};
        snprintf(replica->identity, sizeof(replica->identity), "%d-%u", replica->number, life++);
        check(kube_lease_start(&replica->client, &options, &lease, NULL) == 0, "no lease");
        pthread_rwlock_wrlock(&replica->guard);
        replica->lease = lease;
        pthread_rwlock_unlock(&replica->guard);
        for (int i = 0; i < 8 && !atomic_load(&ending); i++) {
            uint64_t drawn = kube_hash_random();
            atomic_store(&replica->client.unreachable, drawn % 4 == 0);
            atomic_store(&replica->client.lose_answers, (int)(drawn >> 8) % 3);
            atomic_store(&replica->client.delay_ns, (drawn >> 16) % 40 * NS_PER_MS);
            sleep_ms(100 + (unsigned)((drawn >> 32) % 200));
        }
        atomic_store(&replica->client.unreachable, kube_hash_random() % 2);
        pthread_rwlock_wrlock(&replica->guard);
        replica->lease = NULL;
        pthread_rwlock_unlock(&replica->guard);
        kube_lease_stop(lease);
    }
    return NULL;
}

static bool leads(struct replica *replica)
{
    pthread_rwlock_rdlock(&replica->guard);
    bool leading = replica->lease && kube_lease_leading(replica->lease);
    pthread_rwlock_unlock(&replica->guard);
    return leading;
}

int main(void)
{
    uint64_t end = clock_monotonic_ns() + RUN_NS;
    alarm(ALARM_S);
    api_init(&api);
    metrics = metrics_new();
    for (int i = 0; i < REPLICAS; i++) {
        replicas[i].client.api = &api;
        replicas[i].number = i;
        pthread_rwlock_init(&replicas[i].guard, NULL);
        check(pthread_create(&replicas[i].keeper, NULL, keep, &replicas[i]) == 0, "no thread");
    }
    while (clock_monotonic_ns() < end) {
        for (int i = 0; i < REPLICAS; i++)
            for (int j = 0; j < REPLICAS; j++) {
                /* i led before and after j did, and a term can't end and begin again meanwhile
                 * unless j's did: so both led at one instant. */
                if (i != j && leads(&replicas[i]) && leads(&replicas[j]))
                    check(!leads(&replicas[i]), "two lead at one instant");
                else
                    atomic_fetch_add(&instants, 1);
            }
        sleep_ms(1);
    }
    atomic_store(&ending, true);
    for (int i = 0; i < REPLICAS; i++) {
        pthread_join(replicas[i].keeper, NULL);
        pthread_rwlock_destroy(&replicas[i].guard);
    }
    printf("race_lease: %u changes of leading, %u looks at who leads\n", changes, instants);
    check(changes >= 4, "hardly anything happened");
    metrics_free(metrics);
    api_free(&api);
    return 0;
}
