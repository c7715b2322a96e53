/* Callees: where they answer, which of their addresses is next, and which calls wait for them. */
#include <stdlib.h>
#include <string.h>

#include "agent/forward_private.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

enum {
    SERVICE_PORT = 8080,   /* of the Service that the operator makes */
    TTL_MIN_S = 1,         /* names are looked up no more often */
    TTL_MAX_S = 300,       /* nor more rarely */
    EJECTIONS_COUNTED = 10 /* the ban grows no further */
};

/* How long a name that could not be looked up is not looked up again. */
#define LOOKUP_PAUSE_NS NS_PER_S

/* Where a peer answers, or NULL. */
static const char *peer_url(const struct agent_config *config, const char *name)
{
    for (size_t i = 0; config->peers_known && i < config->peer_count; i++)
        if (strcmp(config->peers[i].name, name) == 0)
            return config->peers[i].http;
    return NULL;
}

/* Where a callee answers as the configuration has it; owned by the caller. A URL that is but the
 * callee's name in a cluster means a peer where that runs. */
static char *url_of(const struct agent_config *config, const char *name)
{
    const struct egress_destination *special =
        egress_destination(&config->egress, name, strlen(name));
    const char *given = special ? special->url : NULL, *peer = peer_url(config, name);
    struct url url;
    if (given && !(peer && url_parse(given, &url) && url_names_service(&url, name)))
        return xstrdup(given);
    const char *told = peer ? peer : json_string_value(json_object_get(config->callees, name));
    if (told)
        return xstrdup(told);
    /* The pod's resolver searches its own namespace first. */
    return xasprintf("http://%s:%d%s", name, SERVICE_PORT, config->workload.path);
}

static void set_port(union resolver_address *address, unsigned port)
{
    if (address->any.sa_family == AF_INET6)
        address->v6.sin6_port = htons((uint16_t)port);
    else
        address->v4.sin_port = htons((uint16_t)port);
}

static bool same_address(const union resolver_address *a, const union resolver_address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    return a->any.sa_family == AF_INET6
               ? memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0 &&
                     a->v6.sin6_port == b->v6.sin6_port
               : a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr && a->v4.sin_port == b->v4.sin_port;
}

/* The place of an address that has one, or a place for it, or NULL. */
static struct address *place_of(struct destination *d, const union resolver_address *socket)
{
    struct address *free_place = NULL;
    for (unsigned i = 0; i < RESOLVER_ADDRESSES_MAX; i++) {
        struct address *a = &d->addresses[i];
        bool known = a->present || a->links > 0;
        if (known && same_address(&a->socket, socket))
            return a;
        if (!known && !free_place)
            free_place = a;
    }
    if (free_place)
        *free_place = (struct address){.socket = *socket};
    return free_place;
}

static void set_addresses(struct destination *d, const union resolver_address *addresses,
                          size_t count)
{
    for (unsigned i = 0; i < RESOLVER_ADDRESSES_MAX; i++)
        d->addresses[i].present = false;
    for (size_t i = 0; i < count; i++) {
        union resolver_address socket = addresses[i];
        set_port(&socket, d->url.port);
        struct address *a = place_of(d, &socket);
        if (a)
            a->present = true;
    }
}

static void set_url(struct forward *f, struct destination *d, char *text)
{
    free(d->text);
    free(d->host);
    free(d->tail);
    d->text = text;
    /* What the configuration's tables let through, and what is made of names, is a URL. */
    if (!url_parse(d->text, &d->url))
        abort();
    d->host = xstrndup(d->url.host, d->url.host_length);
    d->tail =
        xasprintf(" HTTP/1.1\r\nHost: %.*s\r\n", (int)d->url.authority_length, d->url.authority);
    d->generation++;
    d->lookup_again_ns = 0;
    union resolver_address literal;
    d->literal = resolver_literal(d->host, &literal);
    set_addresses(d, &literal, d->literal);
    link_close_idle(f, d, true);
}

void destination_configure(struct forward *f, struct destination *d)
{
    const char *name = target_name(d->target);
    const struct egress_destination *special =
        egress_destination(&f->config->egress, name, strlen(name));
    d->real = egress_forwards(&f->config->egress, special);
    d->retries = egress_retries(&f->config->egress, special);
    char *text = url_of(f->config, name);
    if (d->text && strcmp(d->text, text) == 0)
        free(text);
    else
        set_url(f, d, text);
}

struct destination *destination_of(struct forward *f, uint16_t target)
{
    struct destination *d = f->destinations[target];
    if (d)
        return d;
    d = f->destinations[target] = xcalloc(1, sizeof *d);
    const char *labels[] = {target_name(target)};
    d->target = target;
    d->idle = d->waiting = FORWARD_LIST_INIT;
    d->calls = metric_series(f->setup.metrics->calls, labels);
    d->requests = metric_series(f->setup.metrics->requests, labels);
    destination_configure(f, d);
    return d;
}

/* ---- names ---- */

static void looked_up(void *context, uint32_t owner, const char *reason,
                      const union resolver_address *addresses, size_t count, unsigned ttl_s)
{
    struct forward *f = context;
    struct destination *d = f->destinations[owner];
    bool of_old = d->looking_generation != d->generation; /* its URL has changed meanwhile */
    d->looking = false;
    if (of_old) {
        d->lookup_again_ns = 0;
    } else if (reason) {
        metric_add(f->setup.metrics->lookups[FORWARD_LOOKUP_FAILED], 1);
        log_warn("a callee's name can't be looked up", LOG_STR("name", d->host),
                 LOG_STR("reason", reason));
        d->lookup_again_ns = f->now_ns + LOOKUP_PAUSE_NS;
    } else {
        ttl_s = ttl_s < TTL_MIN_S ? TTL_MIN_S : ttl_s > TTL_MAX_S ? TTL_MAX_S : ttl_s;
        metric_add(f->setup.metrics->lookups[FORWARD_LOOKUP_FOUND], 1);
        set_addresses(d, addresses, count);
        link_close_idle(f, d, false);
        d->lookup_again_ns = f->now_ns + ttl_s * NS_PER_S;
    }
    destination_pump(f, d);
}

void destination_look_up(struct forward *f, struct destination *d)
{
    if (d->literal || d->looking || f->now_ns < d->lookup_again_ns)
        return;
    cleanup_error struct error *err = NULL;
    if (!f->resolver && resolver_new(f->setup.epoll, FORWARD_EVENT | FORWARD_EVENT_NAMES, looked_up,
                                     f, &f->resolver, &err) < 0) {
        log_error("no callee can be looked up", LOG_STR("reason", error_message(err)));
        d->lookup_again_ns = f->now_ns + LOOKUP_PAUSE_NS;
        return;
    }
    d->looking = true;
    d->looking_generation = d->generation;
    resolver_lookup(f->resolver, d->host, d->target);
}

/* ---- addresses ---- */

unsigned destination_present(const struct destination *d)
{
    unsigned count = 0;
    for (unsigned i = 0; i < RESOLVER_ADDRESSES_MAX; i++)
        count += d->addresses[i].present;
    return count;
}

static bool ejected(const struct forward *f, const struct address *a)
{
    return f->now_ns < a->ejected_until_ns;
}

/* Whether another address of the name is in use. */
static bool has_other(const struct forward *f, const struct destination *d, unsigned address)
{
    for (unsigned i = 0; i < RESOLVER_ADDRESSES_MAX; i++)
        if (i != address && d->addresses[i].present && !ejected(f, &d->addresses[i]))
            return true;
    return false;
}

/* One after the other; an ejected one only when there is no other. */
static int next_address(const struct forward *f, struct destination *d)
{
    int last_resort = -1;
    for (unsigned i = 0; i < RESOLVER_ADDRESSES_MAX; i++) {
        unsigned at = (d->turn + i) % RESOLVER_ADDRESSES_MAX;
        if (!d->addresses[at].present)
            continue;
        if (!ejected(f, &d->addresses[at])) {
            d->turn = (at + 1) % RESOLVER_ADDRESSES_MAX;
            return (int)at;
        }
        if (last_resort < 0)
            last_resort = (int)at;
    }
    return last_resort;
}

int destination_address(struct forward *f, struct destination *d)
{
    destination_look_up(f, d);
    return next_address(f, d);
}

bool destination_keeps(const struct forward *f, const struct destination *d, const struct link *l)
{
    const struct address *a = &d->addresses[l->address];
    return l->generation == d->generation && a->present &&
           !(ejected(f, a) && has_other(f, d, l->address)) && link_current(f, l);
}

void destination_failed(struct forward *f, struct destination *d, unsigned address)
{
    struct address *a = &d->addresses[address];
    const struct forward_settings *settings = settings_of(f);
    if (settings->ejection_failures == 0 || ++a->failures < settings->ejection_failures ||
        !a->present || ejected(f, a) || !has_other(f, d, address))
        return;
    a->failures = 0;
    if (a->ejections < EJECTIONS_COUNTED)
        a->ejections++;
    a->ejected_until_ns = f->now_ns + a->ejections * settings->ejection_ns;
    metric_add(f->setup.metrics->ejections, 1);
    link_close_idle(f, d, false);
}

void destination_served(struct destination *d, unsigned address)
{
    d->addresses[address].failures = 0;
    d->addresses[address].ejections = 0;
}

/* ---- who waits ---- */

void destination_wait(struct forward *f, struct destination *d, uint32_t index)
{
    struct call *call = call_at(f, index);
    call->waiting = (struct forward_links){POOL_NONE, d->waiting.last};
    if (d->waiting.last == POOL_NONE)
        d->waiting.first = index;
    else
        call_at(f, d->waiting.last)->waiting.next = index;
    d->waiting.last = index;
    d->waiting_count++;
    metric_add(f->setup.metrics->waiting, 1);
    destination_pump(f, d); /* nobody may be about to come and do it */
}

void destination_leave(struct forward *f, struct destination *d, uint32_t index)
{
    struct forward_links links = call_at(f, index)->waiting;
    if (links.previous == POOL_NONE)
        d->waiting.first = links.next;
    else
        call_at(f, links.previous)->waiting.next = links.next;
    if (links.next == POOL_NONE)
        d->waiting.last = links.previous;
    else
        call_at(f, links.next)->waiting.previous = links.previous;
    d->waiting_count--;
    metric_add(f->setup.metrics->waiting, -1);
}

/* Whether the name has no address, and nobody is asking for one. */
static bool hopeless(struct forward *f, struct destination *d)
{
    if (destination_present(d) > 0)
        return false;
    destination_look_up(f, d);
    return destination_present(d) == 0 && !d->looking;
}

/* Whether the first that waits can be placed. */
static bool has_room(const struct forward *f, const struct destination *d)
{
    return d->idle.first != POOL_NONE ||
           (d->links < settings_of(f)->connections && destination_present(d) > 0);
}

void destination_pump(struct forward *f, struct destination *d)
{
    if (d->pumping)
        return; /* it is under way, further up */
    d->pumping = true;
    while (d->waiting.first != POOL_NONE) {
        uint32_t index = d->waiting.first;
        bool lost = hopeless(f, d);
        if (!lost && !has_room(f, d))
            break;
        destination_leave(f, d, index);
        if (lost)
            call_end(f, index, FORWARD_DNS, 0, 0);
        else
            call_place(f, index);
    }
    d->pumping = false;
}

void destination_free(struct destination *d)
{
    if (!d)
        return;
    free(d->text);
    free(d->host);
    free(d->tail);
    free(d);
}
