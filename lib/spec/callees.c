#include "spec/callees.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "spec/agent_config.h"
#include "spec/children.h"
#include "spec/url.h"

char *service_address(unsigned http_port, const char *path)
{
    return xasprintf(":%u%s", http_port, path);
}

char *callees_fallback(const struct dpuservice *service)
{
    return service_address(CHILD_HTTP_PORT, service->workload.path);
}

/* Names of services that a service calls, borrowed. */
struct names {
    const struct dpuservice *caller;
    size_t count, capacity;
    const char **items;
};

/* Adds the callee when calls to it are made, and where is not said. */
static void add(struct names *names, const char *name)
{
    const struct egress_settings *egress = &names->caller->egress;
    const struct egress_destination *special = egress_destination(egress, name, strlen(name));

    if ((special && special->url) || !egress_forwards(egress, special))
        return;
    if (names->count == names->capacity) {
        names->capacity = names->capacity * 2 + 8;
        names->items = xreallocarray(names->items, names->capacity, sizeof(*names->items));
    }
    names->items[names->count++] = name;
}

static void add_call(void *names, const struct external_call *call)
{
    add(names, call->service);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void find(struct names *names)
{
    const struct egress_settings *egress = &names->caller->egress;

    workload_each_call(&names->caller->workload, add_call, names);
    for (size_t i = 0; i < egress->destination_count; i++)
        add(names, egress->destinations[i].name);
    if (names->count > 0)
        qsort(names->items, names->count, sizeof(*names->items), compare);
}

void callees_resolve(struct dpuservice *service, char *(*look)(void *context, const char *name),
                     void *context)
{
    struct names names = {.caller = service};
    cleanup_free char *fallback = callees_fallback(service);

    json_decref(service->callees);
    service->callees = json_object();
    find(&names);
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.items[i];
        if (i > 0 && strcmp(name, names.items[i - 1]) == 0)
            continue;
        cleanup_free char *address = look(context, name);
        if (!address || strcmp(address, fallback) == 0)
            continue;
        cleanup_free char *url = xasprintf("http://%s%s", name, address);
        /* A DpuService that nobody checked may say anything; agents refuse what is no URL. */
        if (pattern_service_url.valid(url) && json_object_size(service->callees) < CALLEES_MAX)
            json_object_set_new(service->callees, name, json_string(url));
    }
    free(names.items);
}
