#include "ctl/cluster/top_local.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/cluster/dig.h"
#include "ctl/cluster/top_names.h"
#include "ctl/local/control.h"
#include "ctl/local/fetch.h"
#include "ctl/local/pick.h"

static void add_replicas(const json_t *service, struct top_service *row)
{
    size_t i;
    json_t *replica;
    json_array_foreach(json_object_get(service, "replicas"), i, replica)
    {
        long long pid = dig_number(replica, "pid", NULL);
        /* One that waits for its next start has no page. */
        if (pid <= 0)
            continue;
        cleanup_free char *key = xasprintf("%s %lld", dig_text(replica, "name", NULL), pid);
        top_service_add(row, key, dig_text(replica, "admin", NULL));
    }
}

static int list(void *context, struct top_round *round, struct error **err)
{
    struct top_local *local = context;
    json_auto_t *answer = NULL;
    size_t i;
    json_t *service;
    int r = control_call(&local->dir, json_pack("{s:s}", "verb", "ps"), CONTROL_TIMEOUT_NS, false,
                         &answer, err);
    if (r < 0)
        return error_prefix(err, r, "the application does not answer any more");
    json_array_foreach(dig(answer, "application", "services", NULL), i, service)
    {
        const char *name = dig_text(service, "name", NULL);
        if (!top_is_named(local->names, local->name_count, name))
            continue;
        struct top_service *row = top_round_add(round, "", name);
        row->ready = dig_number(service, "ready", NULL);
        row->wanted = dig_number(service, "desired", NULL);
        add_replicas(service, row);
    }
    return top_all_found(round, local->names, local->name_count, err);
}

static int fetch(void *context, const struct top_agent *agent, struct buffer *page,
                 struct error **err)
{
    const struct top_local *local = context;
    return fetch_page(agent->page, "/metrics", local->timeout_ns, &local->stopped, page, err);
}

static void cancel(void *context)
{
    struct top_local *local = context;
    __atomic_store_n(&local->stopped, true, __ATOMIC_RELEASE);
}

int top_local_open(const char *name, struct top_local *local, struct top_source *ret_source,
                   struct error **err)
{
    int status = pick_application(name, &local->dir, err);
    *ret_source =
        (struct top_source){.list = list, .fetch = fetch, .cancel = cancel, .context = local};
    return status;
}
