#include "ctl/cluster/top_remote.h"

#include <string.h>

#include "base/memory.h"
#include "ctl/cluster/dig.h"
#include "ctl/cluster/top_names.h"
#include "spec/children.h"

static void add_service(struct top_round *round, const json_t *service)
{
    const json_t *status = dig(service, "status", NULL);
    struct top_service *row = top_round_add(round, dig_text(service, "metadata", "namespace", NULL),
                                            dig_text(service, "metadata", "name", NULL));
    row->ready = dig_number(status, "readyReplicas", NULL);
    row->wanted = dig(status, "desiredReplicas", NULL)
                      ? dig_number(status, "desiredReplicas", NULL)
                      : dig_number(service, "spec", "replicas", NULL);
}

/* Whether a pod has an agent that runs: one that drains still works. */
static bool runs(const json_t *pod)
{
    return strcmp(dig_text(pod, "status", "phase", NULL), "Running") == 0;
}

static void add_pod(struct top_round *round, const json_t *pod)
{
    const char *namespace = dig_text(pod, "metadata", "namespace", NULL);
    const char *service = dig_label(pod, "app.kubernetes.io/instance");
    cleanup_free char *page = cluster_page_path(pod, CHILD_HTTP_PORT);
    for (size_t i = 0; i < round->count && runs(pod); i++)
        if (strcmp(round->services[i].name, service) == 0 &&
            strcmp(round->services[i].namespace, namespace) == 0)
            top_service_add(&round->services[i], dig_text(pod, "metadata", "uid", NULL), page);
}

static int list(void *context, struct top_round *round, struct error **err)
{
    const struct top_remote *remote = context;
    json_auto_t *services = NULL, *pods = NULL;
    size_t i;
    json_t *one;
    int r =
        cluster_list(&remote->lists, &cluster_dpuservices, remote->namespace, NULL, &services, err);
    if (r == 0)
        r = cluster_list(&remote->lists, &cluster_pods, remote->namespace, CLUSTER_AGENT_SELECTOR,
                         &pods, err);
    if (r < 0)
        return r;
    json_array_foreach(services, i, one)
    {
        if (top_is_named(remote->names, remote->name_count,
                         dig_text(one, "metadata", "name", NULL)))
            add_service(round, one);
    }
    json_array_foreach(pods, i, one) add_pod(round, one);
    return top_all_found(round, remote->names, remote->name_count, err);
}

static int fetch(void *context, const struct top_agent *agent, struct buffer *page,
                 struct error **err)
{
    const struct top_remote *remote = context;
    return cluster_read_page(&remote->pages, agent->page, page, err);
}

static void cancel(void *context)
{
    const struct top_remote *remote = context;
    kube_client_cancel(remote->lists.client);
    kube_client_cancel(remote->pages.client);
}

int top_remote_open(const struct cluster_options *options, bool all_namespaces, uint64_t page_ns,
                    struct top_remote *remote, struct top_source *ret_source, struct error **err)
{
    int r = cluster_open(options, 0, &remote->lists, err);
    if (r == 0)
        r = cluster_open(options, page_ns, &remote->pages, err);
    if (r < 0)
        return r;
    remote->namespace = all_namespaces ? NULL : remote->lists.config->namespace;
    *ret_source =
        (struct top_source){.list = list, .fetch = fetch, .cancel = cancel, .context = remote};
    return 0;
}

void top_remote_close(struct top_remote *remote)
{
    cluster_close(&remote->lists);
    cluster_close(&remote->pages);
}
