#include "ctl/cluster/load.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "ctl/cluster/dig.h"
#include "ctl/cluster/load_job.h"
#include "ctl/cluster/load_private.h"
#include "ctl/terminal.h"

enum { INTERRUPTED = 130 };

#define DEFAULT_IMAGE "mubench-dpu-agent:latest"

/* ---- interrupts ---- */

static void delete_job(struct load_run *run)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    int r =
        kube_delete(run->cluster.client, &cluster_jobs, run->namespace, run->job, NULL, &result);
    if (r < 0 && r != -ENOENT)
        say("the Job %s could not be deleted, and goes by itself: %s", run->job, result.message);
}

/* Has the pod told to end, so that it prints what it has; its Job must not make another. */
static void end_test(struct load_run *run)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    cleanup_free char *pod = NULL;
    pthread_mutex_lock(&run->lock);
    run->interrupted = true;
    bool made = run->job != NULL;
    pod = run->pod ? xstrdup(run->pod) : NULL;
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->lock);
    if (made)
        delete_job(run);
    if (pod)
        kube_delete(run->cluster.client, &cluster_pods, run->namespace, pod, NULL, &result);
}

/* A thread: the first interrupt ends the test, the second this program. SIGUSR1 ends the thread. */
static void *watch_signals(void *context)
{
    struct load_run *run = context;
    bool again = false;
    for (int which; sigwait(&run->signals, &which) == 0 && which != SIGUSR1; again = true) {
        if (again)
            _exit(INTERRUPTED);
        end_test(run);
    }
    return NULL;
}

bool load_is_interrupted(struct load_run *run)
{
    pthread_mutex_lock(&run->lock);
    bool interrupted = run->interrupted;
    pthread_mutex_unlock(&run->lock);
    return interrupted;
}

/* ---- the whole ---- */

static int make_job(struct load_run *run, const struct load_job *job, struct error **err)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    json_auto_t *object = load_job_make(job);
    int r = kube_create(run->cluster.client, &cluster_jobs, run->namespace, object, &result);
    if (r < 0)
        return cluster_error(&run->cluster, r, &result, err);
    pthread_mutex_lock(&run->lock);
    run->job = xstrdup(dig_text(result.object, "metadata", "name", NULL));
    pthread_mutex_unlock(&run->lock);
    return 0;
}

static int begin_watching(struct load_run *run, struct error **err)
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

static void end_watching(struct load_run *run)
{
    pthread_kill(run->watcher, SIGUSR1);
    pthread_join(run->watcher, NULL);
    pthread_sigmask(SIG_SETMASK, &run->old_signals, NULL);
}

/* The Job from its making to its end; an interrupt may come at any time. The exit status, or -errno
 * and a sentence. */
static int see_through(struct load_run *run, const struct load_job *job, struct error **err)
{
    int r = begin_watching(run, err);
    if (r < 0)
        return r;
    r = make_job(run, job, err);
    if (r == 0)
        r = load_pod_wait_started(run, err);
    if (r == 0)
        r = load_pod_see(run, err);
    if (run->job)
        delete_job(run);
    bool interrupted = load_is_interrupted(run);
    end_watching(run);
    if (r == -EINTR || (r == LOAD_POD_GONE && interrupted))
        return INTERRUPTED;
    return r == LOAD_POD_GONE
               ? error_make(err, ECHILD, "the pod %s was deleted by somebody else", run->pod)
               : r;
}

/* Settles what is run. 0, or -errno and a sentence. */
static int aim(struct load_run *run, const struct load_cluster_test *test, struct load_job *job,
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

static void init_run(struct load_run *run)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&run->lock, NULL);
    pthread_cond_init(&run->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void free_run(struct load_run *run)
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
    __attribute__((cleanup(free_run))) struct load_run run = {.cluster = CLUSTER_INIT};
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
        r = see_through(&run, &job, &err);
    return r < 0 ? complain(CLUSTER_FAILED, "%s", error_message(err)) : r;
}
