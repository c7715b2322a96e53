/* The pod of a load test in the cluster: that it starts, what it prints, and how it ends. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/cluster/dig.h"
#include "ctl/cluster/load_job.h"
#include "ctl/cluster/load_private.h"
#include "ctl/cluster/log_lines.h"
#include "ctl/cluster/trouble.h"
#include "ctl/terminal.h"

enum {
    TOLD_STATUS_MAX = 3, /* with these dpumesh load has told why itself */
    FOLLOWS_MAX = 100    /* of the pod's log, one after the other */
};

#define LOOK_NS  (300 * NS_PER_MS)
#define START_NS (120 * NS_PER_S) /* that the pod may take until it runs */
#define END_NS   (40 * NS_PER_S)  /* that its end may take to be known */
#define TELL_NS  (3 * NS_PER_S)   /* after which it is said what is waited for */

/* Sleeps until it is time to look again, or an interrupt comes. */
static void pause_a_little(struct load_run *run)
{
    uint64_t until_ns = clock_monotonic_ns() + LOOK_NS;
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                             .tv_nsec = (long)(until_ns % NS_PER_S)};
    pthread_mutex_lock(&run->lock);
    bool was = run->interrupted;
    int waited = 0;
    while (waited == 0 && run->interrupted == was && !run->ended)
        waited = pthread_cond_timedwait(&run->changed, &run->lock, &until);
    pthread_mutex_unlock(&run->lock);
}

/* Gets the Job's pod, an object owned by the caller; NULL while there is none. */
static int find_pod(struct load_run *run, json_t **ret_pod, struct error **err)
{
    cleanup_free char *selector = xasprintf("batch.kubernetes.io/job-name=%s", run->job);
    json_auto_t *pods = NULL;
    int r = cluster_list(&run->cluster, &cluster_pods, run->namespace, selector, &pods, err);
    if (r < 0)
        return r;
    *ret_pod = json_incref(json_array_get(pods, 0));
    pthread_mutex_lock(&run->lock);
    if (*ret_pod && !run->pod)
        run->pod = xstrdup(dig_text(*ret_pod, "metadata", "name", NULL));
    pthread_mutex_unlock(&run->lock);
    return 0;
}

/* Why the Job has no pod, as the last event about it tells; "" when none does. Owned by the caller.
 */
static char *tell_job(struct load_run *run)
{
    static const struct kube_resource events = {"", "v1", "events", "Event", true};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    cleanup_free char *path = kube_path(&events, run->namespace, NULL, NULL);
    cleanup_free char *query = xasprintf(
        "fieldSelector=involvedObject.kind%%3DJob%%2CinvolvedObject.name%%3D%s", run->job);
    if (kube_request(run->cluster.client, "GET", path, query, NULL, NULL, &result) < 0)
        return xstrdup("");
    const json_t *items = dig(result.object, "items", NULL);
    const json_t *last = json_array_get(items, json_array_size(items) - 1);
    return xstrdup(dig_text(last, "message", NULL));
}

static const json_t *container_state(const json_t *pod, const char *state)
{
    return dig(json_array_get(dig(pod, "status", "containerStatuses", NULL), 0), "state", state,
               NULL);
}

static bool has_started(const json_t *pod)
{
    return container_state(pod, "running") || container_state(pod, "terminated");
}

static int never_started(struct load_run *run, const json_t *pod, struct error **err)
{
    cleanup_free char *trouble = pod ? trouble_of_pod(pod) : tell_job(run);
    return error_make(err, ETIMEDOUT, "the pod of the Job %s does not run: %s", run->job,
                      trouble && *trouble ? trouble
                      : pod               ? "no node has started it in time"
                                          : "it was not made in time");
}

/* Whether waiting would change nothing: the image can't be had, the Job made no pod. */
static bool is_hopeless(const json_t *pod)
{
    const char *reason = dig_text(container_state(pod, "waiting"), "reason", NULL);
    return strcmp(reason, "ErrImageNeverPull") == 0 || strcmp(reason, "InvalidImageName") == 0 ||
           strcmp(reason, "CreateContainerConfigError") == 0;
}

int load_pod_wait_started(struct load_run *run, struct error **err)
{
    uint64_t begun_ns = clock_monotonic_ns(), tell_ns = begun_ns + TELL_NS;
    for (;;) {
        json_auto_t *pod = NULL;
        uint64_t now_ns = clock_monotonic_ns();
        if (load_is_interrupted(run))
            return -EINTR;
        int r = find_pod(run, &pod, err);
        if (r < 0)
            return r;
        if (pod && has_started(pod))
            return 0;
        if (now_ns >= begun_ns + START_NS || (pod && is_hopeless(pod)))
            return never_started(run, pod, err);
        if (now_ns >= tell_ns) {
            cleanup_free char *trouble = pod ? trouble_of_pod(pod) : tell_job(run);
            say("waiting for the pod of the Job %s%s%s", run->job, trouble && *trouble ? ": " : "",
                trouble ? trouble : "");
            tell_ns = now_ns + 10 * TELL_NS;
        }
        pause_a_little(run);
    }
}

/* The pod's log as far as it was read. A connection in between may give up before the test does:
 * then the log is asked for again from its beginning, and what was printed is skipped. */
struct follower {
    struct log_lines lines;
    uint64_t seen, skip; /* bytes */
};

static int take_log(void *context, const char *data, size_t size)
{
    struct follower *follower = context;
    size_t skipped = follower->skip < size ? (size_t)follower->skip : size;
    follower->skip -= skipped;
    follower->seen += size - skipped;
    return log_lines_feed(&follower->lines, data + skipped, size - skipped);
}

/* Whether the container has ended, as far as is known: who does not get an answer does not know. */
static bool has_ended(const struct load_run *run)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    int r = kube_get(run->cluster.client, &cluster_pods, run->namespace, run->pod, &result);
    if (r < 0)
        return r == -ENOENT;
    const char *phase = dig_text(result.object, "status", "phase", NULL);
    return container_state(result.object, "terminated") || strcmp(phase, "Succeeded") == 0 ||
           strcmp(phase, "Failed") == 0;
}

static int follow_log(struct load_run *run, struct error **err)
{
    struct kube_read_options options = {.query = "container=" LOAD_JOB_CONTAINER "&follow=true",
                                        .stream = true};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct follower follower = {.lines = LOG_LINES_INIT(stdout, stderr)};
    cleanup_free char *path = kube_path(&cluster_pods, run->namespace, run->pod, "log");
    int r = 0;
    for (unsigned tries = 0; tries < FOLLOWS_MAX; tries++) {
        follower.skip = follower.seen;
        r = kube_read(run->cluster.client, path, &options, take_log, &follower, &result);
        if (r == -EPIPE || (r < 0 && result.status >= 400) || has_ended(run))
            break;
        pause_a_little(run);
    }
    log_lines_end(&follower.lines);
    log_lines_free(&follower.lines);
    if (r == -EPIPE)
        return error_make(err, EPIPE, "nobody reads what is printed");
    /* What failed after the first line is told by how the pod ended. */
    return r < 0 && follower.seen == 0 ? cluster_error(&run->cluster, r, &result, err) : 0;
}

/* A pod that was told to end may be gone before it is asked for: its last state is taken from a
 * watch.
 */
static int take_event(void *context, const char *type, json_t *object)
{
    struct load_run *run = context;
    json_t *ended = (json_t *)(uintptr_t)container_state(object, "terminated");
    (void)type;
    if (!ended)
        return 0;
    pthread_mutex_lock(&run->lock);
    json_decref(run->ended);
    run->ended = json_deep_copy(ended);
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->lock);
    return -ECANCELED;
}

/* A thread, until the end is seen or run->stop is set. Without the right to watch it does nothing:
 * then the pod is asked for. */
static void *watch_pod(void *context)
{
    struct load_run *run = context;
    cleanup_free char *fields = xasprintf("metadata.name=%s", run->pod);
    struct kube_watch_options options = {.field_selector = fields, .strip_managed_fields = true};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    while (kube_watch(run->cluster.client, &cluster_pods, run->namespace, &options, take_event, run,
                      &run->stop, &result) == 0)
        continue;
    return NULL;
}

/* The exit status that a container ended with; what dpumesh load did not tell itself is told. */
static int judge_end(const struct load_run *run, const json_t *ended)
{
    long long status = dig_number(ended, "exitCode", NULL);
    const char *reason = dig_text(ended, "reason", NULL);
    if (status > TOLD_STATUS_MAX)
        say("dpumesh in the pod %s ended with status %lld%s%s", run->pod, status,
            *reason ? ": " : "", reason);
    return (int)(status & 0xff);
}

/* The exit status of dpumesh in the pod, once that has ended; LOAD_POD_GONE, or another -errno and
 * a sentence. */
static int wait_ended(struct load_run *run, struct error **err)
{
    uint64_t deadline_ns = clock_monotonic_ns() + END_NS;
    bool gone = false;
    while (clock_monotonic_ns() < deadline_ns) {
        cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
        pthread_mutex_lock(&run->lock);
        json_auto_t *seen = json_incref(run->ended);
        pthread_mutex_unlock(&run->lock);
        if (seen)
            return judge_end(run, seen);
        if (gone)
            return LOAD_POD_GONE;
        int r = kube_get(run->cluster.client, &cluster_pods, run->namespace, run->pod, &result);
        if (r < 0 && r != -ENOENT)
            return cluster_error(&run->cluster, r, &result, err);
        const json_t *ended = r == 0 ? container_state(result.object, "terminated") : NULL;
        if (ended)
            return judge_end(run, ended);
        gone = r == -ENOENT;
        pause_a_little(run);
    }
    return error_make(err, ETIMEDOUT, "the pod %s printed its last line and does not end",
                      run->pod);
}

int load_pod_see(struct load_run *run, struct error **err)
{
    pthread_t watcher;
    int number = pthread_create(&watcher, NULL, watch_pod, run);
    int r = follow_log(run, err);
    if (r == 0)
        r = wait_ended(run, err);
    __atomic_store_n(&run->stop, true, __ATOMIC_RELEASE);
    kube_client_wake(run->cluster.client);
    if (number == 0)
        pthread_join(watcher, NULL);
    return r;
}
