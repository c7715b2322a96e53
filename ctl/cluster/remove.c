#include "ctl/cluster/remove.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/cluster/dig.h"
#include "ctl/terminal.h"
#include "spec/children.h"

static int delete_services(const struct cluster *cluster, const json_t *services,
                           struct error **err)
{
    size_t i;
    json_t *service;
    json_array_foreach(services, i, service)
    {
        cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
        const char *namespace = dig_text(service, "metadata", "namespace", NULL);
        const char *name = dig_text(service, "metadata", "name", NULL);
        int r = kube_delete(cluster->client, &cluster_dpuservices, namespace, name,
                            dig_text(service, "metadata", "uid", NULL), &result);
        if (r < 0 && r != -ENOENT)
            return cluster_error(cluster, r, &result, err);
        printf("dpuservices/%s -n %s deleted\n", name, namespace);
    }
    fflush(stdout);
    return 0;
}

static bool is_owned(const json_t *child)
{
    size_t i;
    json_t *owner;
    json_array_foreach(dig(child, "metadata", "ownerReferences", NULL), i, owner)
    {
        if (strcmp(dig_text(owner, "kind", NULL), cluster_dpuservices.kind) == 0)
            return true;
    }
    return false;
}

/* Adds how many children of a kind there are. 0, or -errno and a sentence. */
static int count_children(const struct cluster *cluster, enum child_kind kind, size_t *count,
                          struct error **err)
{
    struct child_identity identity = spec_child_identity(kind);
    struct kube_resource resource = {identity.group, identity.version, identity.plural,
                                     identity.kind, true};
    json_auto_t *children = NULL;
    size_t i;
    json_t *child;
    int r = cluster_list(cluster, &resource, NULL, CLUSTER_AGENT_SELECTOR, &children, err);
    json_array_foreach(children, i, child)
    {
        if (is_owned(child))
            ++*count;
    }
    return r;
}

static int wait_children_gone(const struct cluster *cluster, uint64_t deadline_ns,
                              struct error **err)
{
    static const struct timespec look = {.tv_nsec = 500 * NS_PER_MS};
    size_t told = 0;
    for (;;) {
        size_t count = 0;
        for (int kind = 0; kind < CHILD_KINDS; kind++) {
            int r = count_children(cluster, (enum child_kind)kind, &count, err);
            if (r < 0)
                return r;
        }
        if (count == 0)
            return 0;
        if (clock_monotonic_ns() >= deadline_ns)
            return error_make(
                err, ETIMEDOUT,
                "the garbage collector has not deleted %zu objects of the DpuServices "
                "in time; the CRD and the operator stay. Run this again",
                count);
        if (count != told)
            say("waiting until what the DpuServices had is gone: %zu objects", count);
        told = count;
        nanosleep(&look, NULL);
    }
}

int remove_services(const struct cluster *cluster, const json_t *services, uint64_t deadline_ns,
                    struct error **err)
{
    int r = delete_services(cluster, services, err);
    return r < 0 ? r : wait_children_gone(cluster, deadline_ns, err);
}
