/* The queue of events and the thread that sends them. */
#include "kube/event.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kube/event_series.h"
#include "kube/event_text.h"
#include "kube/hash.h"
#include "kube/thread.h"
#include "kube/time.h"

enum { QUEUE_MAX_DEFAULT = 1000, TRIES = 4 };

#define RETRY_DEFAULT_NS (500 * NS_PER_MS)
#define STOP_NS          NS_PER_S
/* How long an event may wait for more urgent requests, and how often they are asked for. */
#define HELD_NS          (10 * NS_PER_S)
#define HELD_LOOK_NS     (100 * NS_PER_MS)

static const struct kube_resource event_resource = {"events.k8s.io", "v1", "events", "Event", true};

static const struct metric_spec sent_spec = {
    .name = "events_sent_total",
    .help = "Events created, and counts of events that repeat patched.",
    .kind = METRIC_COUNTER};
static const struct metric_spec dropped_spec = {.name = "events_dropped_total",
                                                .help = "Events that were not sent, and why.",
                                                .kind = METRIC_COUNTER,
                                                .labels = {"reason"}};

enum drop { DROP_QUEUE_FULL, DROP_SPAM, DROP_NOT_ALLOWED, DROP_FAILED, DROP_STOPPED, DROPS };

static const char *const drop_names[DROPS] = {"queue_full", "spam", "not_allowed", "failed",
                                              "stopped"};

struct kube_events {
    struct kube_client *client;
    struct kube_event_options options;
    char *controller, *instance;
    pthread_t thread;
    struct kube_bell bell; /* guards what follows, up to the next comment */
    struct event_occurrence *first, **end;
    unsigned waiting;     /* length of the queue */
    unsigned overflowed;  /* dropped because the queue was full; not in the metrics yet */
    unsigned flushing;    /* callers of kube_events_flush() */
    unsigned idle_times;  /* how often the thread found nothing to do */
    uint64_t deadline_ns; /* when the thread must end; UINT64_MAX: it goes on */
    /* The thread's. */
    struct event_table table;
    uint64_t last_number; /* in the name of an Event */
    struct metric *sent, *dropped[DROPS];
};

static void count_dropped(const struct kube_events *events, enum drop why, unsigned count)
{
    if (events->dropped[why] && count)
        metric_add(events->dropped[why], count);
}

static bool is_allowed(const struct kube_events *events)
{
    return !events->options.allowed || events->options.allowed(events->options.context);
}

/* Whether a call that came back with r may work later. */
static bool is_passing(int r, const struct kube_result *result)
{
    return r != -ECANCELED && (result->status == 0 || result->status == 429 ||
                               result->status == 408 || result->status >= 500);
}

/* Sleeps before a further try; false when there is no time left for one. */
static bool pause_for(struct kube_events *events, uint64_t pause_ns)
{
    bool left;
    uint64_t until = clock_monotonic_ns() + pause_ns;
    kube_bell_lock(&events->bell);
    while (clock_monotonic_ns() < until && until < events->deadline_ns)
        kube_bell_wait(&events->bell, until);
    left = until < events->deadline_ns;
    kube_bell_unlock(&events->bell);
    return left;
}

/* One request of a series: the patch of its count, or (occurrence known) the Event itself. */
struct request {
    struct event_series *series;
    const struct event_occurrence *occurrence; /* NULL: there is only the count */
    bool create;
};

static int send_once(struct kube_events *events, struct request *request,
                     struct kube_result *result)
{
    const struct event_series *series = request->series;
    static const struct kube_write_options options = {.answer = KUBE_ANSWER_NONE};
    json_auto_t *body = NULL;
    json_t *count =
        series->count > 1 ? event_series_body(series->count, series->observed_unix_ns) : NULL;
    if (!request->create) {
        body = json_pack("{s:o}", "series", count);
        return kube_patch(events->client, &event_resource, series->namespace, series->name,
                          KUBE_PATCH_MERGE, body, &options, result);
    }
    body = event_body(request->occurrence, series->name, events->controller, events->instance);
    if (count)
        json_object_set_new(body, "series", count);
    return kube_create_with(events->client, &event_resource, series->namespace, body, &options,
                            result);
}

/* Sends it, several times if need be. 0, or a negative value and result. */
static int send_request(struct kube_events *events, struct request *request,
                        struct kube_result *result)
{
    uint64_t pause_ns = events->options.retry_ns;
    for (int try = 1;; try++) {
        int r = send_once(events, request, result);
        if (r == -ENOENT && !request->create && request->occurrence) {
            /* Somebody deleted it, or it ran out: made anew, with the count that it had. */
            request->create = true;
            r = send_once(events, request, result);
        }
        /* Our own earlier try, whose answer was lost: names are not used twice. */
        if (r == -EEXIST)
            return 0;
        if (r == 0 || !is_passing(r, result) || try == TRIES || !is_allowed(events))
            return r;
        /* Half to one and a half, so that replicas do not come together. */
        uint64_t jittered = pause_ns / 2 + kube_hash_random() % (pause_ns + 1);
        if (!pause_for(events, jittered))
            return r;
        pause_ns *= 2;
    }
}

static void tell(struct kube_events *events, struct request *request)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct event_series *series = request->series;
    int r;
    if (!request->create)
        event_series_told(series, clock_monotonic_ns());
    if (!is_allowed(events)) {
        count_dropped(events, DROP_NOT_ALLOWED, 1);
        /* Whoever may write makes its own Events. */
        event_series_forget(&events->table, series);
        return;
    }
    r = send_request(events, request, &result);
    if (r == 0) {
        if (events->sent)
            metric_add(events->sent, 1);
        return;
    }
    count_dropped(events, DROP_FAILED, 1);
    if (events->options.failed && r != -ECANCELED)
        events->options.failed(events->options.context,
                               result.message ? result.message : "an event was not answered");
    if (request->create || r == -ENOENT)
        event_series_forget(&events->table, series);
}

/* A number for a name: the time, but never twice the same. */
static uint64_t next_number(struct kube_events *events, uint64_t unix_ns)
{
    events->last_number = unix_ns > events->last_number ? unix_ns : events->last_number + 1;
    return events->last_number;
}

static void handle(struct kube_events *events, const struct event_occurrence *occurrence)
{
    struct kube_lru_key key = event_occurrence_key(occurrence);
    struct kube_lru_key object = event_occurrence_object(occurrence);
    struct request request = {.occurrence = occurrence};
    switch (event_table_record(&events->table, &key, &object, occurrence->at_ns,
                               occurrence->unix_ns, &request.series)) {
    case EVENT_NEW:
        request.create = true;
        request.series->namespace = xstrdup(event_occurrence_namespace(occurrence));
        request.series->name =
            event_name(occurrence->fields[EVENT_NAME], next_number(events, occurrence->unix_ns));
        tell(events, &request);
        break;
    case EVENT_TELL:
        tell(events, &request);
        break;
    case EVENT_SPAM:
        count_dropped(events, DROP_SPAM, 1);
        break;
    case EVENT_COUNTED:
        break;
    }
}

/* Takes the first out of the queue; NULL when it is empty. With the lock held. */
static struct event_occurrence *take(struct kube_events *events)
{
    struct event_occurrence *occurrence = events->first;
    if (!occurrence)
        return NULL;
    events->first = occurrence->next;
    if (!events->first)
        events->end = &events->first;
    events->waiting--;
    return occurrence;
}

/* Does one thing that is to be done; false when there is none. With the lock held, and given up
 * meanwhile. */
static bool work_once(struct kube_events *events)
{
    unsigned overflowed = events->overflowed;
    bool stopping = events->deadline_ns != UINT64_MAX;
    bool all = stopping || events->flushing;
    struct event_occurrence *occurrence = take(events);
    struct request request = {.series = NULL};
    events->overflowed = 0;
    count_dropped(events, DROP_QUEUE_FULL, overflowed);
    if (!occurrence)
        request.series = event_table_due(&events->table, clock_monotonic_ns(), all);
    if (!occurrence && !request.series)
        return false;
    kube_bell_unlock(&events->bell);
    if (occurrence)
        handle(events, occurrence);
    else
        tell(events, &request);
    free(occurrence);
    kube_bell_lock(&events->bell);
    return true;
}

/* Whether the first in the queue waits for more urgent requests. With the lock held. */
static bool is_held(const struct kube_events *events)
{
    const struct kube_event_options *options = &events->options;
    return options->busy && events->first && events->waiting < options->queue_max / 2 &&
           events->deadline_ns == UINT64_MAX && !events->flushing &&
           clock_monotonic_ns() < events->first->at_ns + HELD_NS && options->busy(options->context);
}

static void drop_rest(struct kube_events *events)
{
    struct event_occurrence *occurrence;
    unsigned count = 0;
    while ((occurrence = take(events))) {
        free(occurrence);
        count++;
    }
    count_dropped(events, DROP_STOPPED, count);
}

static void *run(void *context)
{
    struct kube_events *events = context;
    if (events->options.metrics)
        metrics_thread_attach(events->options.metrics);
    kube_bell_lock(&events->bell);
    while (clock_monotonic_ns() < events->deadline_ns) {
        if (is_held(events)) {
            kube_bell_wait(&events->bell, clock_monotonic_ns() + HELD_LOOK_NS);
            continue;
        }
        if (work_once(events))
            continue;
        if (events->deadline_ns != UINT64_MAX)
            break;
        events->idle_times++;
        if (events->flushing)
            kube_bell_ring(&events->bell);
        kube_bell_wait(&events->bell, events->table.due_ns);
    }
    drop_rest(events);
    kube_bell_unlock(&events->bell);
    if (events->options.metrics)
        metrics_thread_detach();
    return NULL;
}

void kube_event(struct kube_events *events, const struct kube_reference *about, const char *type,
                const char *reason, const char *action, const char *format, ...)
{
    cleanup_free char *note = NULL;
    va_list arguments;
    if (!events)
        return;
    va_start(arguments, format);
    note = xvasprintf(format, arguments);
    va_end(arguments);
    const char *const fields[EVENT_FIELDS] = {[EVENT_API_VERSION] = about->api_version,
                                              [EVENT_KIND] = about->kind,
                                              [EVENT_NAMESPACE] = about->namespace,
                                              [EVENT_NAME] = about->name,
                                              [EVENT_UID] = about->uid,
                                              [EVENT_TYPE] = type,
                                              [EVENT_REASON] = reason,
                                              [EVENT_ACTION] = action,
                                              [EVENT_NOTE] = note,
                                              [EVENT_RESOURCE_VERSION] = about->resource_version};
    struct event_occurrence *occurrence =
        event_occurrence_new(fields, clock_monotonic_ns(), kube_time_now_ns());
    kube_bell_lock(&events->bell);
    if (events->waiting < events->options.queue_max) {
        *events->end = occurrence;
        events->end = &occurrence->next;
        events->waiting++;
        occurrence = NULL;
        kube_bell_ring(&events->bell);
    } else {
        events->overflowed++;
    }
    kube_bell_unlock(&events->bell);
    free(occurrence);
}

bool kube_events_flush(struct kube_events *events, uint64_t timeout_ns)
{
    uint64_t deadline = clock_monotonic_ns() + timeout_ns;
    unsigned before;
    bool done;
    kube_bell_lock(&events->bell);
    before = events->idle_times;
    events->flushing++;
    kube_bell_ring(&events->bell);
    while (!(done = events->idle_times != before) && clock_monotonic_ns() < deadline)
        kube_bell_wait(&events->bell, deadline);
    events->flushing--;
    kube_bell_unlock(&events->bell);
    return done;
}

static void events_free(struct kube_events *events)
{
    event_table_free(&events->table);
    kube_bell_destroy(&events->bell);
    free(events->controller);
    free(events->instance);
    free(events);
}

static void declare_metrics(struct kube_events *events)
{
    struct metrics *metrics = events->options.metrics;
    if (!metrics)
        return;
    events->sent = metric_series(metrics_family(metrics, &sent_spec), NULL);
    struct metric_family *dropped = metrics_family(metrics, &dropped_spec);
    for (int i = 0; i < DROPS; i++)
        events->dropped[i] = metric_series(dropped, (const char *[]){drop_names[i]});
}

int kube_events_start(struct kube_client *client, const struct kube_event_options *options,
                      struct kube_events **ret_events, struct error **err)
{
    if (!options->controller || !options->controller[0] || !options->instance ||
        !options->instance[0])
        return error_make(err, EINVAL, "events need the names of a controller and of an instance");
    struct kube_events *events = xcalloc(1, sizeof(*events));
    events->client = client;
    events->options = *options;
    if (!events->options.queue_max)
        events->options.queue_max = QUEUE_MAX_DEFAULT;
    if (!events->options.retry_ns)
        events->options.retry_ns = RETRY_DEFAULT_NS;
    events->controller = event_clean(options->controller, EVENT_FIELD_MAX);
    events->instance = event_clean(options->instance, EVENT_WORD_MAX);
    events->end = &events->first;
    events->deadline_ns = UINT64_MAX;
    event_table_init(&events->table);
    kube_bell_init(&events->bell);
    declare_metrics(events);
    int r = kube_thread_start(&events->thread, "events", run, events, err);
    if (r < 0) {
        events_free(events);
        return r;
    }
    *ret_events = events;
    return 0;
}

void kube_events_stop(struct kube_events *events)
{
    if (!events)
        return;
    kube_bell_lock(&events->bell);
    events->deadline_ns = clock_monotonic_ns() + STOP_NS;
    kube_bell_ring(&events->bell);
    kube_bell_unlock(&events->bell);
    pthread_join(events->thread, NULL);
    events_free(events);
}
