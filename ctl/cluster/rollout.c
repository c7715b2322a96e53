#include "ctl/cluster/rollout.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/cluster/dig.h"
#include "ctl/cluster/trouble.h"
#include "ctl/terminal.h"

#define LOOK_NS (500 * NS_PER_MS)

/* False at the deadline. */
static bool pause_until(uint64_t deadline_ns)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (now_ns >= deadline_ns)
        return false;
    uint64_t left_ns = deadline_ns - now_ns, pause_ns = left_ns < LOOK_NS ? left_ns : LOOK_NS;
    struct timespec pause = {.tv_sec = (time_t)(pause_ns / NS_PER_S),
                             .tv_nsec = (long)(pause_ns % NS_PER_S)};
    nanosleep(&pause, NULL);
    return true;
}

int rollout_wait_crd(const struct cluster *cluster, const char *name, uint64_t deadline_ns,
                     struct error **err)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    do {
        int r = kube_get(cluster->client, &cluster_crds, NULL, name, &result);
        if (r < 0)
            return cluster_error(cluster, r, &result, err);
        if (dig_is_true(result.object, "Established"))
            return 0;
    } while (pause_until(deadline_ns));
    const json_t *names = dig_condition(result.object, "NamesAccepted");
    return error_make(err, ETIMEDOUT, "the API server does not serve %s: %s", name,
                      *dig_text(names, "message", NULL) ? dig_text(names, "message", NULL)
                                                        : "it is not Established");
}

static long long wanted_of(const json_t *deployment)
{
    return dig(deployment, "spec", "replicas", NULL)
               ? dig_number(deployment, "spec", "replicas", NULL)
               : 1;
}

bool rollout_is_complete(const json_t *deployment)
{
    const json_t *status = dig(deployment, "status", NULL);
    long long wanted = wanted_of(deployment);
    return dig_number(status, "observedGeneration", NULL) >=
               dig_number(deployment, "metadata", "generation", NULL) &&
           dig_number(status, "updatedReplicas", NULL) == wanted &&
           dig_number(status, "replicas", NULL) == wanted &&
           dig_number(status, "availableReplicas", NULL) == wanted;
}

static int give_up(const struct cluster *cluster, const json_t *deployment, const char *selector,
                   struct error **err)
{
    json_auto_t *troubles = troubles_of_deployment(cluster, deployment, selector);
    size_t i;
    json_t *trouble;
    json_array_foreach(troubles, i, trouble) say("%s", json_string_value(trouble));
    return error_make(err, ETIMEDOUT,
                      "%s is not available in time: %lld of %lld pods of this version are "
                      "available",
                      dig_text(deployment, "metadata", "name", NULL),
                      dig_number(deployment, "status", "availableReplicas", NULL),
                      wanted_of(deployment));
}

int rollout_wait_deployment(const struct cluster *cluster, const char *namespace, const char *name,
                            const char *selector, uint64_t deadline_ns, struct error **err)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    long long told_updated = -1, told_available = -1;
    do {
        int r = kube_get(cluster->client, &cluster_deployments, namespace, name, &result);
        if (r < 0)
            return cluster_error(cluster, r, &result, err);
        if (rollout_is_complete(result.object))
            return 0;
        long long updated = dig_number(result.object, "status", "updatedReplicas", NULL);
        long long available = dig_number(result.object, "status", "availableReplicas", NULL);
        if (updated != told_updated || available != told_available)
            say("waiting for %s: %lld of %lld pods are of this version, %lld available", name,
                updated, wanted_of(result.object), available);
        told_updated = updated;
        told_available = available;
    } while (pause_until(deadline_ns));
    return give_up(cluster, result.object, selector, err);
}
