#include "ctl/cluster/trouble.h"

#include <string.h>

#include "base/memory.h"
#include "ctl/cluster/dig.h"

enum { EXIT_SIGNALS = 128 };

static char *sentence(const char *reason, const char *message)
{
    return *message ? xasprintf("%s: %s", reason, message) : xstrdup(reason);
}

/* How a container ended: "it ended with status 2", "it was killed by signal 9 (OOMKilled)". */
static char *how_it_ended(const json_t *ended)
{
    long long status = dig_number(ended, "exitCode", NULL);
    const char *reason = dig_text(ended, "reason", NULL);
    const char *message = dig_text(ended, "message", NULL);
    bool tells = *reason && strcmp(reason, "Error") != 0;
    cleanup_free char *how = status > EXIT_SIGNALS
                                 ? xasprintf("it was killed by signal %lld", status - EXIT_SIGNALS)
                                 : xasprintf("it ended with status %lld", status);
    return xasprintf("%s%s%s%s%s%s", how, tells ? " (" : "", tells ? reason : "", tells ? ")" : "",
                     *message ? ": " : "", message);
}

static char *trouble_of_container(const json_t *container)
{
    const json_t *waiting = dig(container, "state", "waiting", NULL);
    const json_t *ended = dig(container, "state", "terminated", NULL);
    const json_t *last = dig(container, "lastState", "terminated", NULL);
    const char *reason = dig_text(waiting, "reason", NULL);
    if (*reason && strcmp(reason, "ContainerCreating") != 0 &&
        strcmp(reason, "PodInitializing") != 0) {
        cleanup_free char *how = last ? how_it_ended(last) : NULL;
        return sentence(reason, how ? how : dig_text(waiting, "message", NULL));
    }
    return ended && dig_number(ended, "exitCode", NULL) != 0 ? how_it_ended(ended) : NULL;
}

char *trouble_of_pod(const json_t *pod)
{
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
    const json_t *scheduled = dig_condition(pod, "PodScheduled");
    const char *why = dig_text(scheduled, "reason", NULL);
    for (size_t i = 0; i < 2; i++) {
        size_t j;
        json_t *container;
        json_array_foreach(dig(pod, "status", lists[i], NULL), j, container)
        {
            char *trouble = trouble_of_container(container);
            if (trouble)
                return trouble;
        }
    }
    if (strcmp(why, "Unschedulable") == 0 || strcmp(why, "SchedulingGated") == 0)
        return sentence(why, dig_text(scheduled, "message", NULL));
    if (strcmp(dig_text(pod, "status", "phase", NULL), "Failed") == 0) {
        const char *reason = dig_text(pod, "status", "reason", NULL);
        return sentence(*reason ? reason : "Failed", dig_text(pod, "status", "message", NULL));
    }
    return NULL;
}

bool pod_is_ready(const json_t *pod)
{
    return dig_is_true(pod, "Ready") && !dig(pod, "metadata", "deletionTimestamp", NULL);
}

/* What is said of a pod that is not ready and of which nobody complains. */
static char *state_of_pod(const json_t *pod)
{
    const char *phase = dig_text(pod, "status", "phase", NULL);
    const char *node = dig_text(pod, "spec", "nodeName", NULL);
    if (strcmp(phase, "Running") == 0)
        return xstrdup("it runs and is not ready");
    if (!*node)
        return xstrdup("no node has taken it yet");
    return xasprintf("%s on node %s", phase, node);
}

json_t *troubles_of_deployment(const struct cluster *cluster, const json_t *deployment,
                               const char *selector)
{
    json_t *troubles = json_array();
    json_auto_t *pods = NULL;
    const json_t *failure = dig_condition(deployment, "ReplicaFailure");
    size_t i;
    json_t *pod;

    if (strcmp(dig_text(failure, "status", NULL), "True") == 0)
        json_array_append_new(
            troubles, json_sprintf("pods can't be made: %s", dig_text(failure, "message", NULL)));
    if (cluster_list(cluster, &cluster_pods, dig_text(deployment, "metadata", "namespace", NULL),
                     selector, &pods, NULL) < 0)
        return troubles;
    json_array_foreach(pods, i, pod)
    {
        if (pod_is_ready(pod) || dig(pod, "metadata", "deletionTimestamp", NULL))
            continue;
        char *trouble = trouble_of_pod(pod);
        cleanup_free char *text = trouble ? trouble : state_of_pod(pod);
        json_array_append_new(
            troubles, json_sprintf("pod %s: %s", dig_text(pod, "metadata", "name", NULL), text));
    }
    return troubles;
}
