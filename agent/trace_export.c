#include "agent/trace_export.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/thread.h"
#include "agent/trace_otlp.h"
#include "agent/trace_post.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "model/random.h"

enum {
    EXPORT_STACK = 256 * 1024,
    EXPORT_NICE = 10, /* behind the threads that serve */
    BODY_BYTES_MAX = 4 * 1024 * 1024
};

/* The first wait before another attempt, and the longest. */
#define BACKOFF_NS     (500 * NS_PER_MS)
#define BACKOFF_MAX_NS (30 * NS_PER_S)

/* How long requests that are over in the same moment wait for the ring to take one back. */
#define RETURN_WAIT_NS NS_PER_MS

struct trace_exporter {
    struct trace *trace;
    struct agent *agent;
    pthread_t thread;
    struct config_ref *next;   /* atomic: a new configuration */
    struct config_ref *config; /* the thread's; NULL until there was one */
    struct trace_stop stop;
    struct trace_post *post;
    struct buffer body;
    struct random_stream random;
    unsigned spans;  /* in body */
    bool complained; /* since an attempt last succeeded */
};

static const struct tracing_settings *settings_of(const struct trace_exporter *e)
{
    return &e->config->config->tracing;
}

static bool stopping(const struct trace_exporter *e)
{
    return trace_stop_deadline_ns(&e->stop) != UINT64_MAX;
}

static void take_config(struct trace_exporter *e)
{
    struct config_ref *next = __atomic_exchange_n(&e->next, NULL, __ATOMIC_ACQ_REL);
    if (!next)
        return;
    config_ref_drop(e->config);
    e->config = next;
    trace_post_set(e->post, settings_of(e));
}

/* ---- waiting ---- */

/* Sleeps until the bell rings, it is told to stop, or the time has come. */
static void sleep_until(struct trace_exporter *e, uint64_t until_ns)
{
    uint64_t now_ns = clock_monotonic_ns(), left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec timeout = {(time_t)(left_ns / NS_PER_S), (long)(left_ns % NS_PER_S)};
    struct pollfd polled[2] = {{.fd = e->trace->bell.fd, .events = POLLIN},
                               {.fd = e->stop.fd, .events = POLLIN}};
    eventfd_t rung;
    ppoll(polled, 2, until_ns == UINT64_MAX ? NULL : &timeout, NULL);
    if (polled[0].revents)
        eventfd_read(e->trace->bell.fd, &rung);
}

/* Sleeps until so many records wait, there is a new configuration, it is told to stop, or the time
 * has come. */
static void await_records(struct trace_exporter *e, uint32_t wanted, uint64_t until_ns)
{
    struct trace *t = e->trace;
    while (!stopping(e) && !__atomic_load_n(&e->next, __ATOMIC_RELAXED) &&
           clock_monotonic_ns() < until_ns) {
        /* The other half is in trace_turn(). */
        __atomic_store_n(&t->wanted, wanted, __ATOMIC_RELAXED);
        doorbell_arm(&t->bell);
        bool enough = ring_depth(&t->finished) >= wanted;
        if (!enough && !__atomic_load_n(&e->next, __ATOMIC_RELAXED))
            sleep_until(e, until_ns);
        doorbell_disarm(&t->bell);
        if (enough)
            return;
    }
}

/* Sleeps, but not when it is told to stop. */
static void back_off(struct trace_exporter *e, uint64_t wait_ns)
{
    struct timespec timeout = {(time_t)(wait_ns / NS_PER_S), (long)(wait_ns % NS_PER_S)};
    struct pollfd polled = {.fd = e->stop.fd, .events = POLLIN};
    ppoll(&polled, 1, &timeout, NULL);
}

/* ---- a batch ---- */

static void give_back(struct trace_exporter *e, uint32_t index)
{
    struct descriptor *d;
    /* As many places as records can be on their way back at a time; the I/O thread only has to turn
     * once. When that has ended, nobody needs them. */
    while (!(d = ring_slot(&e->trace->returned)) && !stopping(e))
        back_off(e, RETURN_WAIT_NS);
    if (!d)
        return;
    d->tag = index;
    ring_submit(&e->trace->returned, d);
}

/* Makes a body of what waits, at most a batch; false when nothing did. */
static bool fill(struct trace_exporter *e)
{
    struct trace *t = e->trace;
    struct otlp otlp;
    const struct descriptor *d;
    e->spans = 0;
    if (!ring_peek(&t->finished))
        return false;
    otlp_begin(&otlp, &e->body, e->config->config, random_u64(&e->random));
    for (unsigned i = 0; i < settings_of(e)->batch && (d = ring_peek(&t->finished)); i++) {
        uint32_t index = d->tag;
        unsigned spans = otlp_request(&otlp, t, trace_request_at(t, index + 1));
        if (spans == 0) /* the body is full */
            break;
        e->spans += spans;
        ring_pop(&t->finished);
        give_back(e, index);
    }
    ring_release(&t->finished);
    otlp_end(&otlp);
    return true;
}

static void drop(struct trace_exporter *e, enum trace_drop reason, uint64_t spans)
{
    metric_add(e->trace->metrics->dropped[reason], (double)spans);
}

static void count(struct trace_exporter *e, enum trace_result result)
{
    metric_add(e->trace->metrics->exports[result], 1);
}

static void complain(struct trace_exporter *e, const char *reason)
{
    if (!e->complained)
        log_warn("spans can't be sent", LOG_STR("reason", reason), LOG_U64("spans", e->spans));
    e->complained = true;
}

static bool may_come_again(unsigned status)
{
    return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

static uint64_t backoff_ns(struct trace_exporter *e, unsigned attempts, unsigned retry_after_s)
{
    if (retry_after_s > EXPORT_RETRY_AFTER_MAX_S)
        retry_after_s = EXPORT_RETRY_AFTER_MAX_S;
    if (retry_after_s > 0)
        return retry_after_s * NS_PER_S;
    uint64_t most_ns = BACKOFF_NS << attempts;
    most_ns = most_ns < BACKOFF_MAX_NS ? most_ns : BACKOFF_MAX_NS;
    return random_range(&e->random, most_ns / 2, most_ns);
}

static void sent(struct trace_exporter *e, uint64_t rejected)
{
    rejected = rejected < e->spans ? rejected : e->spans;
    count(e, TRACE_RESULT_OK);
    metric_add(e->trace->metrics->exported, (double)(e->spans - rejected));
    drop(e, TRACE_DROP_REFUSED, rejected);
    if (e->complained)
        log_info("spans are sent again");
    e->complained = false;
}

/* One attempt. True: the batch is done with, whatever became of it; else *ret_wait_ns says how long
 * to wait. */
static bool attempt(struct trace_exporter *e, unsigned attempts, uint64_t *ret_wait_ns)
{
    cleanup_error struct error *err = NULL;
    struct trace_post_result result = {0};
    char reason[64];
    uint64_t deadline_ns = clock_monotonic_ns() + settings_of(e)->timeout_ns;
    trace_post_send(e->post, e->body.data, e->body.length, deadline_ns, &result, &err);
    if (result.status >= 200 && result.status < 300) {
        sent(e, result.rejected);
        return true;
    }
    snprintf(reason, sizeof reason, "the collector answered %u", result.status);
    complain(e, err ? error_message(err) : reason);
    if (!may_come_again(result.status)) {
        count(e, TRACE_RESULT_REFUSED);
        drop(e, TRACE_DROP_REFUSED, e->spans);
        return true;
    }
    bool late = clock_monotonic_ns() >= trace_stop_deadline_ns(&e->stop);
    if (late || attempts + 1 == EXPORT_ATTEMPTS) {
        count(e, TRACE_RESULT_FAILED);
        drop(e, late ? TRACE_DROP_END : TRACE_DROP_FAILED, e->spans);
        return true;
    }
    count(e, TRACE_RESULT_RETRIED);
    *ret_wait_ns = backoff_ns(e, attempts, result.retry_after_s);
    return false;
}

static void send_batch(struct trace_exporter *e)
{
    uint64_t wait_ns = 0;
    for (unsigned attempts = 0; !attempt(e, attempts, &wait_ns); attempts++) {
        /* While it is ending, it waits only if there is time for another attempt behind it. */
        uint64_t stop_ns = trace_stop_deadline_ns(&e->stop), now_ns = clock_monotonic_ns();
        if (stop_ns != UINT64_MAX && (now_ns >= stop_ns || wait_ns >= stop_ns - now_ns)) {
            drop(e, TRACE_DROP_END, e->spans);
            return;
        }
        if (stop_ns == UINT64_MAX)
            back_off(e, wait_ns);
        else
            nanosleep(&(struct timespec){(time_t)(wait_ns / NS_PER_S), (long)(wait_ns % NS_PER_S)},
                      NULL);
        /* The next attempt may be made elsewhere. */
        take_config(e);
    }
}

/* The rest when there is no time left. */
static void drop_rest(struct trace_exporter *e)
{
    const struct descriptor *d;
    uint64_t spans = 0;
    while ((d = ring_pop(&e->trace->finished)))
        spans += trace_span_count(e->trace, trace_request_at(e->trace, d->tag + 1));
    ring_release(&e->trace->finished);
    drop(e, TRACE_DROP_END, spans);
    if (spans > 0)
        log_warn("spans were not sent before the end", LOG_U64("spans", spans));
}

static void *run(void *argument)
{
    struct trace_exporter *e = argument;
    metrics_thread_attach(e->agent->registry);
    /* The I/O thread, which this was started by, has its timers exact; here that is a waste. */
    prctl(PR_SET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL);
    setpriority(PRIO_PROCESS, (id_t)gettid(), EXPORT_NICE);
    for (;;) {
        take_config(e);
        if (e->config) {
            await_records(e, 1, UINT64_MAX);
            take_config(e);
            if (ring_depth(&e->trace->finished) > 0)
                await_records(e, settings_of(e)->batch,
                              clock_monotonic_ns() + settings_of(e)->delay_ns);
        } else {
            await_records(e, UINT32_MAX, UINT64_MAX);
        }
        bool late = clock_monotonic_ns() >= trace_stop_deadline_ns(&e->stop);
        bool any = e->config && !late && fill(e);
        if (any)
            send_batch(e);
        else if (stopping(e))
            break;
    }
    drop_rest(e);
    metrics_thread_detach();
    return NULL;
}

static void free_exporter(struct trace_exporter *e)
{
    if (e->stop.fd >= 0)
        close(e->stop.fd);
    trace_post_free(e->post);
    buffer_free(&e->body);
    config_ref_drop(e->config);
    config_ref_drop(e->next);
    free(e);
}

int trace_exporter_start(struct trace *trace, struct agent *agent,
                         struct trace_exporter **ret_exporter, struct error **err)
{
    struct trace_exporter *e = xcalloc(1, sizeof *e);
    e->trace = trace;
    e->agent = agent;
    e->body = (struct buffer)BUFFER_INIT(BODY_BYTES_MAX);
    e->post = trace_post_new(&e->stop);
    /* Ids of inner spans: any other counter than those of the requests'. */
    random_seed(&e->random, trace->ids[0] ^ trace->ids[2], UINT64_C(0x7472616365)); /* "trace" */
    int result = trace_stop_init(&e->stop, err);
    if (result == 0) {
        int failed = thread_start(&e->thread, EXPORT_STACK, run, e);
        if (failed)
            result =
                error_make(err, failed, "can't start the exporter's thread: %s", strerror(failed));
    }
    if (result < 0) {
        free_exporter(e);
        return result;
    }
    *ret_exporter = e;
    return 0;
}

void trace_exporter_configure(struct trace_exporter *e, struct config_ref *config)
{
    config_ref_take(config);
    config_ref_drop(__atomic_exchange_n(&e->next, config, __ATOMIC_ACQ_REL));
    doorbell_ring(&e->trace->bell);
}

void trace_exporter_stop(struct trace_exporter *e, uint64_t deadline_ns)
{
    if (!e)
        return;
    trace_stop_set(&e->stop, deadline_ns);
    pthread_join(e->thread, NULL);
    free_exporter(e);
}
