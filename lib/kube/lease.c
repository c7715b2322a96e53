/* The thread that does what lease_state.c decides. */
#include "kube/lease.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kube/hash.h"
#include "kube/lease_record.h"
#include "kube/lease_state.h"
#include "kube/thread.h"
#include "kube/time.h"

static const struct kube_resource leases = {"coordination.k8s.io", "v1", "leases", "Lease", true};

static const struct metric_spec status_spec = {
    .name = "leader_election_master_status",
    .help = "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, "
            "1 indicates master.",
    .kind = METRIC_GAUGE,
    .labels = {"name"}};
static const struct metric_spec transitions_spec = {
    .name = "leader_election_transitions_total",
    .help = "How often this replica began or ended to lead.",
    .kind = METRIC_COUNTER,
    .labels = {"name"}};

struct kube_lease {
    struct kube_client *client;
    struct kube_lease_options options;
    char *namespace, *name, *identity; /* copies for the options */
    pthread_t thread;
    /* What others read: we lead before this instant of lease_clock_ns(). The thread writes. */
    _Atomic uint64_t until_ns;
    struct kube_bell bell; /* guards stopping */
    bool stopping;
    /* The thread's. */
    struct lease_state state;
    json_t *object; /* the Lease as last seen; NULL: none */
    bool unsure;    /* a write was sent after that and nobody knows what became of it */
    bool told;      /* what changed() was told last */
    struct metric *status, *transitions;
};

/* The time since boot, suspension included: a machine that slept has not led meanwhile. */
static uint64_t lease_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static struct lease_times times_of(const struct kube_lease_options *options)
{
    struct lease_times times = {options->duration_ns, options->renew_deadline_ns,
                                options->retry_ns};
    if (!times.duration_ns)
        times.duration_ns = 15 * NS_PER_S;
    if (!times.renew_deadline_ns)
        times.renew_deadline_ns = 10 * NS_PER_S;
    if (!times.retry_ns)
        times.retry_ns = 2 * NS_PER_S;
    return times;
}

uint64_t kube_lease_timeout_ns(const struct kube_lease_options *options)
{
    struct lease_times times = times_of(options);
    return times.renew_deadline_ns > times.retry_ns ? (times.renew_deadline_ns - times.retry_ns) / 2
                                                    : times.renew_deadline_ns;
}

bool kube_lease_leading(const struct kube_lease *lease)
{
    uint64_t until = atomic_load_explicit(&lease->until_ns, memory_order_acquire);
    return until && lease_clock_ns() < until;
}

uint64_t kube_lease_until_ns(const struct kube_lease *lease)
{
    uint64_t until = atomic_load_explicit(&lease->until_ns, memory_order_acquire);
    uint64_t now = lease_clock_ns();
    return now < until ? clock_monotonic_ns() + (until - now) : 0;
}

static double status_now(void *context)
{
    return kube_lease_leading(context);
}

/* Lets others see the state's instant, and tells the owner of a change. */
static void report(struct kube_lease *lease)
{
    bool leading;
    atomic_store_explicit(&lease->until_ns, lease->state.until_ns, memory_order_release);
    leading = kube_lease_leading(lease);
    if (leading == lease->told)
        return;
    lease->told = leading;
    if (lease->transitions)
        metric_add(lease->transitions, 1);
    if (lease->options.changed)
        lease->options.changed(lease->options.context, leading);
}

static void complain(struct kube_lease *lease, const char *message)
{
    if (lease->options.failed)
        lease->options.failed(lease->options.context, message ? message : "no answer");
}

/* Keeps what the server just told as the lease. */
static void keep(struct kube_lease *lease, struct kube_result *result)
{
    json_decref(lease->object);
    lease->object = STEAL_POINTER(result->object);
    lease->unsure = false;
}

static void look(struct kube_lease *lease, struct kube_result *result)
{
    const struct kube_lease_options *o = &lease->options;
    struct lease_record record;
    int r = kube_get(lease->client, &leases, o->namespace, o->name, result);
    if (r == -ENOENT) {
        json_decref(STEAL_POINTER(lease->object));
        lease_state_missing(&lease->state, lease_clock_ns());
        return;
    }
    if (r == 0 && lease_record_read(result->object, &record) == 0) {
        lease_state_saw(&lease->state, &record, lease_clock_ns());
        keep(lease, result);
        return;
    }
    complain(lease, r < 0 ? result->message : "the answer to GET is no Lease");
    lease_state_failed(&lease->state, false, lease_clock_ns());
}

static void write_ours(struct kube_lease *lease, bool create, struct kube_result *result)
{
    const struct kube_lease_options *o = &lease->options;
    uint64_t unix_ns = kube_time_now_ns();
    struct lease_record record;
    json_auto_t *body = NULL;
    int r;
    if (create) {
        body = lease_record_new(o->namespace, o->name, o->identity, o->duration_ns, unix_ns);
        r = kube_create(lease->client, &leases, o->namespace, body, result);
    } else {
        body = lease_record_held(lease->object, o->identity, o->duration_ns, unix_ns);
        r = kube_update(lease->client, &leases, o->namespace, o->name, body, result);
    }
    if (r == 0) {
        bool known = lease_record_read(result->object, &record) == 0;
        lease_state_wrote(&lease->state, known ? record.version : NULL, lease_clock_ns());
        if (known)
            keep(lease, result);
        return;
    }
    /* Somebody else was faster, which is no failure; what there is now will be seen. */
    if (r != -ESTALE && r != -EEXIST && r != -ENOENT)
        complain(lease, result->message);
    /* No answer, or one of a proxy on the way. */
    bool unknown = result->status == 0 || result->status >= 500;
    lease->unsure = lease->unsure || unknown;
    lease_state_failed(&lease->state, unknown, lease_clock_ns());
}

/* Sleeps until there is something to do; false when it is to end. */
static bool rest(struct kube_lease *lease)
{
    bool stopping;
    kube_bell_lock(&lease->bell);
    if (!lease->stopping) {
        uint64_t now = lease_clock_ns();
        uint64_t wake = lease_state_wake_ns(&lease->state, now);
        if (wake > now)
            kube_bell_wait(&lease->bell, clock_monotonic_ns() + (wake - now));
    }
    stopping = lease->stopping;
    kube_bell_unlock(&lease->bell);
    return !stopping;
}

/* Whether the lease as last seen names us. */
static bool is_ours(const struct kube_lease *lease)
{
    struct lease_record record;
    return lease->object && lease_record_read(lease->object, &record) == 0 &&
           strcmp(record.holder, lease->options.identity) == 0;
}

/* Gives back a lease that is ours. A conflict is looked into once: it may be our own write whose
 * answer was lost, or an annotation. */
static void release(struct kube_lease *lease)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    const struct kube_lease_options *o = &lease->options;
    int r = lease->unsure && !is_ours(lease) ? -ESTALE : 0;
    for (int i = 0; i < 2; i++) {
        if (r == -ESTALE) {
            r = kube_get(lease->client, &leases, o->namespace, o->name, &result);
            if (r < 0)
                break;
            keep(lease, &result);
        }
        if (!is_ours(lease))
            return;
        json_auto_t *body = lease_record_released(lease->object, kube_time_now_ns());
        r = kube_update(lease->client, &leases, o->namespace, o->name, body, &result);
        if (r != -ESTALE)
            break;
    }
    if (r < 0 && r != -ENOENT)
        complain(lease, result.message);
}

static void *run(void *context)
{
    struct kube_lease *lease = context;
    if (lease->options.metrics)
        metrics_thread_attach(lease->options.metrics);
    while (rest(lease)) {
        cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
        uint64_t now = lease_clock_ns();
        enum lease_step step = lease_state_step(&lease->state, now);
        if (step != LEASE_WAIT)
            lease_state_sent(&lease->state, now);
        if (step == LEASE_LOOK)
            look(lease, &result);
        else if (step != LEASE_WAIT)
            write_ours(lease, step == LEASE_CREATE, &result);
        report(lease);
    }
    lease_state_resign(&lease->state);
    report(lease);
    if (lease_state_releasable(&lease->state, lease_clock_ns()))
        release(lease);
    if (lease->options.metrics)
        metrics_thread_detach();
    return NULL;
}

static void declare_metrics(struct kube_lease *lease)
{
    struct metrics *metrics = lease->options.metrics;
    const char *values[] = {lease->options.name};
    if (!metrics)
        return;
    lease->status = metric_series(metrics_family(metrics, &status_spec), values);
    lease->transitions = metric_series(metrics_family(metrics, &transitions_spec), values);
    metric_callback(lease->status, status_now, lease);
}

static void lease_free(struct kube_lease *lease)
{
    if (lease->status)
        metric_callback(lease->status, NULL, NULL);
    lease_state_free(&lease->state);
    json_decref(lease->object);
    kube_bell_destroy(&lease->bell);
    free(lease->namespace);
    free(lease->name);
    free(lease->identity);
    free(lease);
}

static int check_times(const struct lease_times *times, struct error **err)
{
    char longer[DURATION_TEXT_MAX], shorter[DURATION_TEXT_MAX];
    if (times->duration_ns <= times->renew_deadline_ns)
        return error_make(err, EINVAL,
                          "a lease duration of %s must be longer than the renew deadline, %s",
                          duration_format(times->duration_ns, longer),
                          duration_format(times->renew_deadline_ns, shorter));
    /* A candidate's pause is up to 2.2 retry periods (client-go asks for 1.2). */
    if (times->renew_deadline_ns / 12 * 10 <= times->retry_ns)
        return error_make(err, EINVAL,
                          "a renew deadline of %s must be more than 1.2 times the retry period, %s",
                          duration_format(times->renew_deadline_ns, longer),
                          duration_format(times->retry_ns, shorter));
    if (times->duration_ns > INT32_MAX * NS_PER_S)
        return error_make(err, EINVAL, "a lease duration of %s is too long; give at most %d s",
                          duration_format(times->duration_ns, longer), INT32_MAX);
    return 0;
}

int kube_lease_start(struct kube_client *client, const struct kube_lease_options *options,
                     struct kube_lease **ret_lease, struct error **err)
{
    struct lease_times times = times_of(options);
    int r = check_times(&times, err);
    if (r < 0)
        return r;
    if (!options->namespace || !options->name || !options->identity || !options->namespace[0] ||
        !options->name[0] || !options->identity[0])
        return error_make(err, EINVAL, "a lease needs a namespace, a name and an identity");
    struct kube_lease *lease = xcalloc(1, sizeof(*lease));
    lease->client = client;
    lease->options = *options;
    lease->options.namespace = lease->namespace = xstrdup(options->namespace);
    lease->options.name = lease->name = xstrdup(options->name);
    lease->options.identity = lease->identity = xstrdup(options->identity);
    lease->options.duration_ns = times.duration_ns;
    uint64_t now = lease_clock_ns();
    lease_state_init(&lease->state, &times, lease->options.identity, kube_hash_random(), now);
    kube_bell_init(&lease->bell);
    declare_metrics(lease);
    /* The thread's first look is for this lock: *ret_lease is there before changed() is called. */
    kube_bell_lock(&lease->bell);
    r = kube_thread_start(&lease->thread, "the lease", run, lease, err);
    if (r == 0)
        *ret_lease = lease;
    kube_bell_unlock(&lease->bell);
    if (r < 0)
        lease_free(lease);
    return r;
}

void kube_lease_stop(struct kube_lease *lease)
{
    if (!lease)
        return;
    kube_bell_lock(&lease->bell);
    lease->stopping = true;
    kube_bell_ring(&lease->bell);
    kube_bell_unlock(&lease->bell);
    pthread_join(lease->thread, NULL);
    lease_free(lease);
}
