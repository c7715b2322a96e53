/* Many threads record while one sends, some flush, and it all stops in the middle of it. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api.h"
#include "base/clock.h"
#include "kube/event.h"

enum { WRITERS = 4, EACH = 3000, ROUNDS = 3, ALARM_S = 100 };

static struct api api;
static struct kube_client client = {.api = &api};
static struct kube_events *events;

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_event: %s\n", what);
    exit(1);
}

static void *record(void *context)
{
    char name[32];
    for (int i = 0; i < EACH; i++) {
        snprintf(name, sizeof(name), "object-%d", i % 97);
        const struct kube_reference about = {"v1", "Pod", "shop", name, name, NULL};
        kube_event(events, &about, "Normal", "Seen", "Looking", "%d", i % 5);
        if (i % 500 == 0)
            kube_events_flush(events, 10 * NS_PER_MS);
    }
    (void)context;
    return NULL;
}

int main(void)
{
    struct metrics *metrics = metrics_new();
    struct kube_event_options options = {
        .controller = "example.com/c", .instance = "c-1", .queue_max = 500, .metrics = metrics};
    alarm(ALARM_S);
    api_init(&api);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t writers[WRITERS];
        atomic_store(&client.lose_answers, 3);
        check(kube_events_start(&client, &options, &events, NULL) == 0, "no events");
        for (int i = 0; i < WRITERS; i++)
            check(pthread_create(&writers[i], NULL, record, NULL) == 0, "no thread");
        for (int i = 0; i < WRITERS; i++)
            pthread_join(writers[i], NULL);
        kube_events_stop(events);
    }
    printf("race_event: %zu Events of %d\n", json_object_size(api.objects),
           ROUNDS * WRITERS * EACH);
    check(json_object_size(api.objects) > 0, "nothing came through");
    metrics_free(metrics);
    api_free(&api);
    return 0;
}
