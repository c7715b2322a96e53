#include "operator/callers.h"

#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "operator/trim.h"
#include "operator/written.h"
#include "spec/callees.h"

/* Digests of addresses; ABSENT stands for a DpuService that is not there, UNSETTLED for none. */
enum { UNSETTLED = 0, ABSENT = 1 };

struct node;

/* One service was told of another: in the array of the caller, in a list of the callee. */
struct call {
    struct node *caller, *callee;
    struct call *next, **place; /* in callee->callers */
    uint64_t told;
};

/* A DpuService that calls, is called, or both. */
struct node {
    struct node *next; /* in its bucket */
    uint64_t id;
    char *key; /* of one that calls: "namespace/name" */
    size_t call_count;
    struct call *calls;
    uint64_t fallback;    /* where its agents look for those of whom they are told nothing */
    struct call *callers; /* who calls it */
    uint64_t settled;     /* what all of them were told, or are about to be */
};

enum { BUCKETS = 4096 };

struct callers {
    pthread_mutex_t lock;
    size_t count;
    struct node *buckets[BUCKETS];
};

struct callers *callers_new(void)
{
    struct callers *callers = xcalloc(1, sizeof *callers);
    pthread_mutex_init(&callers->lock, NULL);
    return callers;
}

/* Where the node is linked, or would be. Lock held, here and below. */
static struct node **place_of(struct callers *callers, uint64_t id)
{
    struct node **at = &callers->buckets[(id ^ id >> 32) % BUCKETS];
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static struct node *node_of(struct callers *callers, uint64_t id)
{
    struct node **at = place_of(callers, id);
    if (!*at) {
        *at = xcalloc(1, sizeof **at);
        (*at)->id = id;
        callers->count++;
    }
    return *at;
}

static void node_free(struct node *node)
{
    free(node->key);
    free(node->calls);
    free(node);
}

static void drop_when_empty(struct callers *callers, struct node *node)
{
    if (node->call_count || node->callers)
        return;
    *place_of(callers, node->id) = node->next;
    callers->count--;
    node_free(node);
}

/* The node calls nobody any more, but stays. */
static void drop_calls(struct callers *callers, struct node *node)
{
    size_t count = node->call_count;
    node->call_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct call *call = &node->calls[i];
        *call->place = call->next;
        if (call->next)
            call->next->place = call->place;
        if (call->callee != node)
            drop_when_empty(callers, call->callee);
    }
    free(node->calls);
    free(node->key);
    node->calls = NULL;
    node->key = NULL;
}

void callers_free(struct callers *callers)
{
    if (!callers)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (callers->buckets[i]) {
            struct node *node = callers->buckets[i];
            callers->buckets[i] = node->next;
            node_free(node);
        }
    pthread_mutex_destroy(&callers->lock);
    free(callers);
}

/* ---- telling ---- */

/* What the store has of a DpuService. */
static char *look_up(struct kube_store *store, const char *namespace, const char *name)
{
    cleanup_kube_object const struct kube_object *kept = kube_store_get(store, namespace, name);
    const char *address = kept ? trim_dpuservice_address(kept) : "";
    return *address ? xstrdup(address) : NULL;
}

static uint64_t state_of(const char *address)
{
    return address ? trim_uid(address) : ABSENT;
}

/* What one service is told of others, in the order of their names. */
struct telling {
    struct kube_store *store;
    const char *namespace, *name;
    size_t count, capacity;
    struct told {
        uint64_t id, state;
    } *items;
};

static char *tell(void *context, const char *name)
{
    struct telling *telling = context;
    char *address = look_up(telling->store, telling->namespace, name);
    if (telling->count == telling->capacity) {
        telling->capacity = telling->capacity * 2 + 8;
        telling->items = xreallocarray(telling->items, telling->capacity, sizeof *telling->items);
    }
    telling->items[telling->count++] =
        (struct told){written_name(telling->namespace, name), state_of(address)};
    return address;
}

static bool same_callees(const struct node *node, const struct telling *telling)
{
    bool same = node->call_count == telling->count;
    for (size_t i = 0; same && i < telling->count; i++)
        same = node->calls[i].callee->id == telling->items[i].id;
    return same;
}

/* Makes the node call those of whom it is told. */
static void set_callees(struct callers *callers, struct node *node, const struct telling *telling)
{
    drop_calls(callers, node);
    if (telling->count == 0)
        return;
    node->key = xasprintf("%s/%s", telling->namespace, telling->name);
    node->calls = xcalloc(telling->count, sizeof *node->calls);
    node->call_count = telling->count;
    for (size_t i = 0; i < telling->count; i++) {
        struct node *callee = node_of(callers, telling->items[i].id);
        struct call *call = &node->calls[i];
        *call = (struct call){node, callee, callee->callers, &callee->callers, 0};
        if (call->next)
            call->next->place = &call->next;
        else
            callee->settled = telling->items[i].state; /* the first */
        callee->callers = call;
    }
}

void callers_resolve(struct callers *callers, struct kube_store *store, uint64_t id,
                     const char *namespace, struct dpuservice *service)
{
    struct telling telling = {.store = store, .namespace = namespace, .name = service->name};
    cleanup_free char *fallback = callees_fallback(service);
    pthread_mutex_lock(&callers->lock);
    callees_resolve(service, tell, &telling);
    struct node *node = node_of(callers, id);
    if (!same_callees(node, &telling))
        set_callees(callers, node, &telling);
    node->fallback = trim_uid(fallback);
    for (size_t i = 0; i < telling.count; i++) {
        struct call *call = &node->calls[i];
        uint64_t state = telling.items[i].state;
        call->told = state == ABSENT ? node->fallback : state;
        if (call->callee->settled != state)
            call->callee->settled = UNSETTLED;
    }
    drop_when_empty(callers, node);
    pthread_mutex_unlock(&callers->lock);
    free(telling.items);
}

void callers_forget(struct callers *callers, uint64_t id)
{
    pthread_mutex_lock(&callers->lock);
    struct node *node = *place_of(callers, id);
    if (node) {
        drop_calls(callers, node);
        drop_when_empty(callers, node);
    }
    pthread_mutex_unlock(&callers->lock);
}

/* ---- who was told otherwise ---- */

void callers_each(struct callers *callers, struct kube_store *store, uint64_t id,
                  const char *namespace, const char *name, kube_key_add *add, void *adding)
{
    pthread_mutex_lock(&callers->lock);
    struct node *node = *place_of(callers, id);
    if (node && node->callers) {
        cleanup_free char *address = look_up(store, namespace, name);
        uint64_t state = state_of(address);
        bool settled = node->settled == state;
        node->settled = state;
        for (const struct call *call = settled ? NULL : node->callers; call; call = call->next)
            if (call->told != (state == ABSENT ? call->caller->fallback : state))
                add(adding, call->caller->key);
    }
    pthread_mutex_unlock(&callers->lock);
}

size_t callers_count(struct callers *callers)
{
    pthread_mutex_lock(&callers->lock);
    size_t count = callers->count;
    pthread_mutex_unlock(&callers->lock);
    return count;
}
