#include "ctl/cluster/top_round.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/memory.h"

struct top_service *top_round_add(struct top_round *round, const char *namespace, const char *name)
{
    round->services = xreallocarray(round->services, round->count + 1, sizeof *round->services);
    struct top_service *service = &round->services[round->count++];
    *service = (struct top_service){.namespace = xstrdup(namespace), .name = xstrdup(name)};
    return service;
}

struct top_agent *top_service_add(struct top_service *service, const char *key, const char *page)
{
    service->agents =
        xreallocarray(service->agents, service->agent_count + 1, sizeof *service->agents);
    struct top_agent *agent = &service->agents[service->agent_count++];
    *agent = (struct top_agent){.key = xstrdup(key), .page = xstrdup(page)};
    agent_figures_clear(&agent->figures);
    return agent;
}

void top_round_free(struct top_round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        struct top_service *service = &round->services[i];
        for (size_t j = 0; j < service->agent_count; j++) {
            free(service->agents[j].key);
            free(service->agents[j].page);
            free(service->agents[j].why);
        }
        free(service->agents);
        free(service->namespace);
        free(service->name);
    }
    free(round->services);
    *round = (struct top_round)TOP_ROUND_INIT;
}

char *top_round_silence(const struct top_round *round)
{
    const char *first = NULL;
    size_t count = 0;
    for (size_t i = 0; i < round->count; i++)
        for (size_t j = 0; j < round->services[i].agent_count; j++) {
            const struct top_agent *agent = &round->services[i].agents[j];
            first = first || agent->known ? first : agent->why;
            count += !agent->known;
        }
    return count > 0 ? xasprintf("%zu replica%s not answer: %s", count,
                                 count == 1 ? " does" : "s do", first ? first : "unknown")
                     : NULL;
}

/* What the reading threads share: each takes the next replica until there is none. */
struct readers {
    const struct top_source *source;
    struct top_agent **agents;
    size_t count;
    atomic_size_t next;
};

static void read_one(const struct readers *readers, struct top_agent *agent, struct buffer *page)
{
    cleanup_error struct error *err = NULL;
    buffer_clear(page);
    int r = readers->source->fetch(readers->source->context, agent, page, &err);
    agent->taken_ns = clock_monotonic_ns();
    if (r == 0)
        r = agent_figures_read(page->data, page->length, &agent->figures, &err);
    agent->known = r == 0;
    if (r < 0)
        agent->why = xstrdup(error_message(err));
}

static void *read_some(void *context)
{
    struct readers *readers = context;
    cleanup_buffer struct buffer page = BUFFER_INIT(TOP_PAGE_BYTES);
    for (size_t i; (i = atomic_fetch_add(&readers->next, 1)) < readers->count;)
        read_one(readers, readers->agents[i], &page);
    return NULL;
}

static void read_all(struct readers *readers)
{
    pthread_t threads[TOP_CONNECTIONS];
    unsigned started = 0;
    /* This thread is one of them: should no other start, it takes longer. */
    while (started + 1 < TOP_CONNECTIONS && started + 1 < readers->count &&
           pthread_create(&threads[started], NULL, read_some, readers) == 0)
        started++;
    read_some(readers);
    while (started > 0)
        pthread_join(threads[--started], NULL);
}

int top_round_make(const struct top_source *source, struct top_round *ret_round, struct error **err)
{
    cleanup_top_round struct top_round round = TOP_ROUND_INIT;
    size_t count = 0;
    int r = source->list(source->context, &round, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < round.count; i++)
        count += round.services[i].agent_count;
    cleanup_free struct top_agent **agents = xcalloc(count, sizeof *agents);
    struct readers readers = {.source = source, .agents = agents};
    for (size_t i = 0; i < round.count; i++)
        for (size_t j = 0; j < round.services[i].agent_count; j++)
            agents[readers.count++] = &round.services[i].agents[j];
    read_all(&readers);
    *ret_round = round;
    round = (struct top_round)TOP_ROUND_INIT;
    return 0;
}
