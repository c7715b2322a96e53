#include "ctl/cluster/load.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/cluster/cluster.h"
#include "ctl/cluster/dig.h"
#include "ctl/cluster/load_job.h"
#include "ctl/cluster/log_lines.h"
#include "ctl/cluster/trouble.h"
#include "ctl/terminal.h"

enum {
    INTERRUPTED = 130,
    TOLD_STATUS_MAX = 3, /* with these dpumesh load has told why itself */
    POD_GONE = -ECHILD
};

#define DEFAULT_IMAGE "mubench-dpu-agent:latest"
#define LOOK_NS       (300 * NS_PER_MS)
#define START_NS      (120 * NS_PER_S) /* that the pod may take until it runs */
#define END_NS        (40 * NS_PER_S)  /* that its end may take to be known */
#define TELL_NS       (3 * NS_PER_S)   /* after which it is said what is waited for */

struct run {
    struct cluster cluster;
    const char *namespace;
    char *job, *pod; /* pod: NULL until it is known; under lock, as what follows */
    bool interrupted;
    json_t *ended; /* of the pod's container: state.terminated; NULL: not seen */
    bool stop;     /* atomic: ends the watch of the pod */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t watcher;
    sigset_t signals, old_signals;
};

/* ---- interrupts ---- */

static void delete_job(struct run *run)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    int r =
        kube_delete(run->cluster.client, &cluster_jobs, run->namespace, run->job, NULL, &result);
    if (r < 0 && r != -ENOENT)
        say("the Job %s could not be deleted, and goes by itself: %s", run->job, result.message);
}

/* Has the pod told to end, so that it prints what it has; its Job must not make another. */
static void end_test(struct run *run)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    cleanup_free char *pod = NULL;
    pthread_mutex_lock(&run->lock);
    run->interrupted = true;
    pod = run->pod ? xstrdup(run->pod) : NULL;
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->lock);
    delete_job(run);
    if (pod)
        kube_delete(run->cluster.client, &cluster_pods, run->namespace, pod, NULL, &result);
}

/* A thread: the first interrupt ends the test, the second this program. SIGUSR1 ends the thread. */
static void *watch_signals(void *context)
{
    struct run *run = context;
    bool again = false;
    for (int which; sigwait(&run->signals, &which) == 0 && which != SIGUSR1; again = true) {
        if (again)
            _exit(INTERRUPTED);
        end_test(run);
    }
    return NULL;
}

static bool is_interrupted(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    bool interrupted = run->interrupted;
    pthread_mutex_unlock(&run->lock);
    return interrupted;
}

/* Sleeps until it is time to look again, or an interrupt comes. */
static void pause_a_little(struct run *run)
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

/* ---- the pod ---- */

/* Gets the Job's pod, an object owned by the caller; NULL while there is none. */
static int find_pod(struct run *run, json_t **ret_pod, struct error **err)
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
static char *tell_job(struct run *run)
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

static int never_started(struct run *run, const json_t *pod, struct error **err)
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

/* Waits until dpumesh runs in the pod. 0; -EINTR after an interrupt; or -errno and a sentence. */
static int wait_started(struct run *run, struct error **err)
{
    uint64_t begun_ns = clock_monotonic_ns(), tell_ns = begun_ns + TELL_NS;
    for (;;) {
        json_auto_t *pod = NULL;
        uint64_t now_ns = clock_monotonic_ns();
        if (is_interrupted(run))
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

static int take_log(void *context, const char *data, size_t size)
{
    return log_lines_feed(context, data, size);
}

static int follow_log(struct run *run, struct error **err)
{
    struct kube_read_options options = {.query = "container=" LOAD_JOB_CONTAINER "&follow=true",
                                        .stream = true};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    cleanup_log_lines struct log_lines lines = LOG_LINES_INIT(stdout, stderr);
    cleanup_free char *path = kube_path(&cluster_pods, run->namespace, run->pod, "log");
    int r = kube_read(run->cluster.client, path, &options, take_log, &lines, &result);
    log_lines_end(&lines);
    return r < 0 ? cluster_error(&run->cluster, r, &result, err) : 0;
}

/* A pod that was told to end may be gone before it is asked for: its last state is taken from a
 * watch.
 */
static int take_event(void *context, const char *type, json_t *object)
{
    struct run *run = context;
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
    struct run *run = context;
    cleanup_free char *fields = xasprintf("metadata.name=%s", run->pod);
    struct kube_watch_options options = {.field_selector = fields, .strip_managed_fields = true};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    while (kube_watch(run->cluster.client, &cluster_pods, run->namespace, &options, take_event, run,
                      &run->stop, &result) == 0)
        continue;
    return NULL;
}

/* The exit status that a container ended with; what dpumesh load did not tell itself is told. */
static int judge_end(const struct run *run, const json_t *ended)
{
    long long status = dig_number(ended, "exitCode", NULL);
    const char *reason = dig_text(ended, "reason", NULL);
    if (status > TOLD_STATUS_MAX)
        say("dpumesh in the pod %s ended with status %lld%s%s", run->pod, status,
            *reason ? ": " : "", reason);
    return (int)(status & 0xff);
}

/* The exit status of dpumesh in the pod, once that has ended; POD_GONE, or another -errno and a
 * sentence. */
static int wait_ended(struct run *run, struct error **err)
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
            return POD_GONE;
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

/* From the pod that runs to its end. As wait_ended(). */
static int see_pod(struct run *run, struct error **err)
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

/* ---- the whole ---- */

static int make_job(struct run *run, const struct load_job *job, struct error **err)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    json_auto_t *object = load_job_make(job);
    int r = kube_create(run->cluster.client, &cluster_jobs, run->namespace, object, &result);
    if (r < 0)
        return cluster_error(&run->cluster, r, &result, err);
    run->job = xstrdup(dig_text(result.object, "metadata", "name", NULL));
    return 0;
}

static int begin_watching(struct run *run, struct error **err)
{
    sigemptyset(&run->signals);
    sigaddset(&run->signals, SIGINT);
    sigaddset(&run->signals, SIGTERM);
    sigaddset(&run->signals, SIGHUP);
    sigaddset(&run->signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &run->signals, &run->old_signals);
    int number = pthread_create(&run->watcher, NULL, watch_signals, run);
    if (number != 0)
        return error_make(err, number, "can't start a thread: %s", strerror(number));
    return 0;
}

static void end_watching(struct run *run)
{
    pthread_kill(run->watcher, SIGUSR1);
    pthread_join(run->watcher, NULL);
    pthread_sigmask(SIG_SETMASK, &run->old_signals, NULL);
}

/* From the Job that was made to its end. The exit status, or -errno and a sentence. */
static int see_through(struct run *run, struct error **err)
{
    int r = begin_watching(run, err);
    if (r < 0)
        return r;
    r = wait_started(run, err);
    if (r == 0)
        r = see_pod(run, err);
    bool interrupted = is_interrupted(run);
    end_watching(run);
    if (r == -EINTR || (r == POD_GONE && interrupted))
        return INTERRUPTED;
    return r == POD_GONE
               ? error_make(err, ECHILD, "the pod %s was deleted by somebody else", run->pod)
               : r;
}

/* Settles what is run. 0, or -errno and a sentence. */
static int aim(struct run *run, const struct load_cluster_test *test, struct load_job *job,
               struct error **err)
{
    static const char prefix[] = "dpu/";
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    const char *image = test->options->image;
    job->image = image ? xstrdup(image) : NULL;
    if (strncmp(test->target, prefix, sizeof prefix - 1) != 0) {
        job->target = xstrdup(test->target);
        job->image = job->image ? job->image : xstrdup(DEFAULT_IMAGE);
        return 0;
    }
    const char *name = test->target + sizeof prefix - 1;
    int r = kube_get(run->cluster.client, &cluster_dpuservices, run->namespace, name, &result);
    if (r == -ENOENT)
        return error_make(err, ENOENT,
                          "there is no DpuService \"%s\" in namespace %s; --namespace "
                          "says where else it is",
                          name, run->namespace);
    return r < 0 ? cluster_error(&run->cluster, r, &result, err)
                 : load_job_aim(job, result.object, err);
}

static void init_run(struct run *run)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&run->lock, NULL);
    pthread_cond_init(&run->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void free_run(struct run *run)
{
    free(run->job);
    free(run->pod);
    json_decref(run->ended);
    pthread_cond_destroy(&run->changed);
    pthread_mutex_destroy(&run->lock);
    cluster_close(&run->cluster);
}

int cluster_load(const struct load_cluster_test *test)
{
    __attribute__((cleanup(free_run))) struct run run = {.cluster = CLUSTER_INIT};
    cleanup_error struct error *err = NULL;
    cleanup_load_job struct load_job job = {.arguments = test->arguments,
                                            .longest_ns = test->longest_ns};
    struct cluster_options where = {.kubeconfig = test->options->kubeconfig,
                                    .context = test->options->context,
                                    .namespace = test->options->namespace};
    init_run(&run);
    /* Who reads us may go; the Job must go then, too. */
    signal(SIGPIPE, SIG_IGN);
    int r = cluster_open(&where, 0, &run.cluster, &err);
    if (r < 0)
        return complain(CLUSTER_USAGE, "%s", error_message(err));
    run.namespace = run.cluster.config->namespace;
    r = aim(&run, test, &job, &err);
    if (r == 0)
        r = make_job(&run, &job, &err);
    if (r == 0)
        r = see_through(&run, &err);
    if (run.job)
        delete_job(&run);
    return r < 0 ? complain(CLUSTER_FAILED, "%s", error_message(err)) : r;
}
