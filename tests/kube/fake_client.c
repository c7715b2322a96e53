#include "tests/kube/fake_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "tests/kube/fake_private.h"

static void append(struct entries *entries, const struct entry *entry)
{
    if (entries->count == entries->capacity) {
        entries->capacity = entries->capacity * 2 + 16;
        entries->entries = xreallocarray(entries->entries, entries->capacity, sizeof(*entry));
    }
    entries->entries[entries->count++] = *entry;
}

struct entries entries_copy(const struct entries *entries)
{
    struct entries copy = {0};
    for (size_t i = 0; i < entries->count; i++)
        append(&copy, &entries->entries[i]);
    return copy;
}

void entries_free(struct entries *entries)
{
    free(entries->entries);
}

struct kube_client *fake_new(void)
{
    struct kube_client *server = xcalloc(1, sizeof(*server));
    kube_bell_init(&server->bell);
    server->version = 100;
    return server;
}

void fake_free(struct kube_client *server)
{
    entries_free(&server->objects);
    entries_free(&server->events);
    kube_bell_destroy(&server->bell);
    free(server);
}

static struct entry *find(struct entries *objects, const char *plural, const char *namespace,
                          const char *name)
{
    for (size_t i = 0; i < objects->count; i++) {
        struct entry *entry = &objects->entries[i];
        if (strcmp(entry->plural, plural) == 0 && strcmp(entry->namespace, namespace) == 0 &&
            strcmp(entry->name, name) == 0)
            return entry;
    }
    return NULL;
}

unsigned fake_put(struct kube_client *server, const char *plural, const char *namespace,
                  const char *name, const char *spec)
{
    kube_bell_lock(&server->bell);
    struct entry entry = {.version = ++server->version};
    struct entry *there = find(&server->objects, plural, namespace, name);
    snprintf(entry.type, TEXT, "%s", there ? "MODIFIED" : "ADDED");
    snprintf(entry.plural, TEXT, "%s", plural);
    snprintf(entry.namespace, TEXT, "%s", namespace);
    snprintf(entry.name, TEXT, "%s", name);
    snprintf(entry.spec, TEXT, "%s", spec);
    if (there)
        *there = entry;
    else
        append(&server->objects, &entry);
    append(&server->events, &entry);
    kube_bell_ring(&server->bell);
    kube_bell_unlock(&server->bell);
    return entry.version;
}

void fake_delete(struct kube_client *server, const char *plural, const char *namespace,
                 const char *name)
{
    kube_bell_lock(&server->bell);
    struct entry *there = find(&server->objects, plural, namespace, name);
    if (there) {
        struct entry event = *there;
        snprintf(event.type, TEXT, "DELETED");
        event.version = ++server->version;
        *there = server->objects.entries[--server->objects.count];
        append(&server->events, &event);
        kube_bell_ring(&server->bell);
    }
    kube_bell_unlock(&server->bell);
}

void fake_compact(struct kube_client *server)
{
    kube_bell_lock(&server->bell);
    server->compacted = server->version;
    kube_bell_unlock(&server->bell);
}

void fake_restore(struct kube_client *server)
{
    kube_bell_lock(&server->bell);
    server->version = server->compacted = 50;
    server->events.count = 0;
    for (size_t i = 0; i < server->objects.count; i++)
        server->objects.entries[i].version = 50;
    kube_bell_unlock(&server->bell);
}

void fake_bookmark(struct kube_client *server)
{
    kube_bell_lock(&server->bell);
    server->bookmarks++;
    kube_bell_ring(&server->bell);
    kube_bell_unlock(&server->bell);
}

void fake_cut(struct kube_client *server, struct fake_fault fault)
{
    kube_bell_lock(&server->bell);
    server->cut = fault;
    server->epoch++;
    kube_bell_ring(&server->bell);
    kube_bell_unlock(&server->bell);
}

void fake_order(struct kube_client *server, enum fake_call call, struct fake_fault fault)
{
    kube_bell_lock(&server->bell);
    struct orders *orders = &server->orders[call];
    if (orders->count < ORDERS_MAX)
        orders->faults[orders->count++] = fault;
    kube_bell_unlock(&server->bell);
}

void fake_always(struct kube_client *server, enum fake_call call, struct fake_fault fault)
{
    kube_bell_lock(&server->bell);
    server->orders[call].always = fault;
    kube_bell_unlock(&server->bell);
}

void fake_random(struct kube_client *server, uint64_t seed, unsigned once_in)
{
    kube_bell_lock(&server->bell);
    server->dice.state = seed;
    server->once_in = once_in;
    kube_bell_unlock(&server->bell);
}

unsigned fake_calls(struct kube_client *server, enum fake_call call)
{
    kube_bell_lock(&server->bell);
    unsigned calls = server->orders[call].calls;
    kube_bell_unlock(&server->bell);
    return calls;
}

unsigned fake_watching(struct kube_client *server)
{
    kube_bell_lock(&server->bell);
    unsigned watching = server->watching;
    kube_bell_unlock(&server->bell);
    return watching;
}

void fake_each(struct kube_client *server, const char *plural,
               void (*visit)(void *context, const char *namespace, const char *name,
                             unsigned version, const char *spec),
               void *context)
{
    kube_bell_lock(&server->bell);
    for (size_t i = 0; i < server->objects.count; i++) {
        const struct entry *entry = &server->objects.entries[i];
        if (strcmp(entry->plural, plural) == 0)
            visit(context, entry->namespace, entry->name, entry->version, entry->spec);
    }
    kube_bell_unlock(&server->bell);
}

/* What may happen to any call, and how a stream may end. */
static struct fake_fault draw_fault(struct dice *dice, enum fake_call call)
{
    static const int errors[] = {-EIO, -ECONNREFUSED, -EREMOTEIO, -EBUSY, -ETIMEDOUT, -EPROTO};
    static const int statuses[] = {0, 0, 503, 429, 0, 200};
    struct fake_fault fault = {.after = dice_below(dice, 3) ? dice_below(dice, 12) : 0};
    unsigned error = dice_below(dice, sizeof(errors) / sizeof(errors[0]));
    fault.error = errors[error];
    fault.status = statuses[error];
    switch (dice_below(dice, 8)) {
    case 0:
        return (struct fake_fault){.after = fault.after, .error = -ESTALE, .status = 410};
    case 1:
        return (struct fake_fault){.after = fault.after, .error_code = 410};
    case 2:
        return (struct fake_fault){.after = fault.after, .error_code = 500};
    case 3:
        return (struct fake_fault){.no_bookmarks = true, .error = -EIO, .after = fault.after * 4};
    case 4:
        return call == FAKE_LIST ? fault : (struct fake_fault){.after = fault.after, .mute = true};
    case 5:
        return (struct fake_fault){
            .after = fault.after, .error = call == FAKE_LIST ? -EIO : 0, .ends = true};
    case 6:
        return (struct fake_fault){.after = fault.after, .error = -EMSGSIZE, .status = 200};
    default:
        return fault;
    }
}

/* Under the lock. */
struct fake_fault fake_begin_call(struct kube_client *server, enum fake_call call)
{
    struct orders *orders = &server->orders[call];
    struct fake_fault fault = orders->always;
    orders->calls++;
    if (orders->count) {
        fault = orders->faults[0];
        memmove(orders->faults, orders->faults + 1, --orders->count * sizeof(fault));
    } else if (server->once_in && dice_once_in(&server->dice, server->once_in)) {
        fault = draw_fault(&server->dice, call);
    }
    return fault;
}
