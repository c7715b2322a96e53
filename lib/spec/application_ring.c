#include "spec/application_ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

enum {
    STEPS_MAX = 50000000, /* calls looked at in all: a file of many names must not take long */
    RING_BYTES_MAX = 400  /* of a ring in its sentence */
};

#define NOBODY SIZE_MAX

/* One service on the way from the start of the search. */
struct step {
    size_t service;     /* number in the application */
    size_t group, call; /* the next one to look at; the one before leads to the next step */
};

struct entry {
    const char *name;
    size_t number; /* of the service in the application */
};

struct search {
    const struct application *application;
    struct entry *sorted; /* by name */
    unsigned char *state; /* of each service: 0 not seen, 1 on the way, 2 done */
    struct step *way;
    size_t length;
    const char *behavior; /* NULL: the workload's own */
    size_t steps;
};

/* What a service calls under the behaviour that the search is about. */
struct calls {
    const struct external_group *groups;
    size_t count;
    const char *behavior; /* whose list it is; NULL: the workload's own */
};

static const struct alternative_behavior *behavior_of(const struct workload_settings *workload,
                                                      const char *id)
{
    for (size_t i = 0; id && i < workload->behavior_count; i++)
        if (strcmp(workload->behaviors[i].id, id) == 0)
            return &workload->behaviors[i];
    return NULL;
}

static struct calls calls_of(const struct search *search, size_t service)
{
    const struct workload_settings *workload = &search->application->services[service]->workload;
    const struct alternative_behavior *behavior = behavior_of(workload, search->behavior);

    if (behavior && behavior->groups_given)
        return (struct calls){behavior->groups, behavior->group_count, behavior->id};
    return (struct calls){workload->groups, workload->group_count, NULL};
}

static size_t number_of(const struct search *search, const char *name)
{
    size_t low = 0, high = search->application->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(search->sorted[middle].name, name);
        if (order == 0)
            return search->sorted[middle].number;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NOBODY;
}

/* The next service that the one at the end of the way always calls, or NOBODY. */
static size_t next_callee(struct search *search, struct step *step)
{
    struct calls calls = calls_of(search, step->service);

    for (; step->group < calls.count; step->group++, step->call = 0) {
        const struct external_group *group = &calls.groups[step->group];
        bool whole = group->seq_len >= group->call_count;
        while (whole && step->call < group->call_count && search->steps++ < STEPS_MAX) {
            const struct external_call *call = &group->calls[step->call++];
            size_t callee =
                call->service && call->probability >= 1 ? number_of(search, call->service) : NOBODY;
            if (callee != NOBODY && callee != step->service)
                return callee;
        }
    }
    return NOBODY;
}

/* The end of the way calls `first`, which is on it. */
static void tell(const struct search *search, size_t first, struct problems *problems)
{
    const struct step *last = &search->way[search->length - 1];
    const struct dpuservice *service = search->application->services[last->service];
    struct calls calls = calls_of(search, last->service);
    cleanup_buffer struct buffer ring = BUFFER_INIT((size_t)2 * RING_BYTES_MAX);
    struct source source = dpuservice_source(service);
    struct place root = PLACE_ROOT(&source), spec = PLACE_KEY(&root, "spec");
    struct place workload = PLACE_KEY(&spec, "workload");
    struct place behaviors = PLACE_KEY(&workload, "alternativeBehaviors");
    struct place behavior = PLACE_KEY(&behaviors, calls.behavior ? calls.behavior : "");
    struct place list = PLACE_KEY(calls.behavior ? &behavior : &workload, "externalServices");
    struct place group = PLACE_INDEX(&list, last->group), services = PLACE_KEY(&group, "services");
    struct place call = PLACE_INDEX(&services, last->call - 1);
    size_t i = 0;

    while (search->way[i].service != first)
        i++;
    for (; i < search->length; i++) {
        if (ring.length > RING_BYTES_MAX) {
            buffer_printf(&ring, "%zu more, ", search->length - i);
            break;
        }
        buffer_printf(&ring, "%s, ", search->application->services[search->way[i].service]->name);
    }
    place_problem(&call, problems,
                  "%sand %s again call one another without end; remove a call, or give it a "
                  "probability below 1",
                  buffer_terminate(&ring), search->application->services[first]->name);
}

/* Goes depth first from a service; true when a ring was found and told. */
static bool search_from(struct search *search, size_t start, struct problems *problems)
{
    search->length = 0;
    search->way[search->length++] = (struct step){.service = start};
    search->state[start] = 1;
    while (search->length > 0) {
        struct step *step = &search->way[search->length - 1];
        size_t callee = next_callee(search, step);
        if (callee == NOBODY) {
            search->state[step->service] = 2;
            search->length--;
        } else if (search->state[callee] == 1) {
            tell(search, callee, problems);
            return true;
        } else if (search->state[callee] == 0) {
            search->state[callee] = 1;
            search->way[search->length++] = (struct step){.service = callee};
        }
    }
    return false;
}

/* A ring that the behaviour alone makes goes through a service that has it. */
static void search_behavior(struct search *search, struct problems *problems)
{
    const struct application *application = search->application;

    memset(search->state, 0, application->count);
    search->steps += application->count / 8;
    for (size_t i = 0; i < application->count && search->steps < STEPS_MAX; i++)
        if (search->state[i] == 0 &&
            (!search->behavior ||
             behavior_of(&application->services[i]->workload, search->behavior)) &&
            search_from(search, i, problems))
            return;
}

static int compare_names(const void *a, const void *b)
{
    const struct entry *one = a, *other = b;
    return strcmp(one->name, other->name);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Once for each name of a behaviour. */
static void search_behaviors(struct search *search, struct problems *problems)
{
    const struct application *application = search->application;
    size_t count = 0;

    for (size_t i = 0; i < application->count; i++)
        count += application->services[i]->workload.behavior_count;
    cleanup_free const char **ids = xcalloc(count + 1, sizeof(*ids));
    count = 0;
    for (size_t i = 0; i < application->count; i++) {
        const struct workload_settings *workload = &application->services[i]->workload;
        for (size_t j = 0; j < workload->behavior_count; j++)
            ids[count++] = workload->behaviors[j].id;
    }
    qsort(ids, count, sizeof(*ids), compare_texts);
    for (size_t i = 0; i < count && search->steps < STEPS_MAX; i++) {
        if (i > 0 && strcmp(ids[i], ids[i - 1]) == 0)
            continue;
        search->behavior = ids[i];
        search_behavior(search, problems);
    }
}

void application_check_rings(const struct application *application, struct problems *problems)
{
    size_t count = application->count, before = problems->count;
    cleanup_free struct entry *sorted = xcalloc(count + 1, sizeof(*sorted));
    cleanup_free unsigned char *state = xcalloc(count + 1, 1);
    cleanup_free struct step *way = xcalloc(count + 1, sizeof(*way));
    struct search search = {application, sorted, state, way, 0, NULL, 0};

    for (size_t i = 0; i < count; i++) {
        sorted[i] = (struct entry){application->services[i]->name, i};
        if (!sorted[i].name)
            return;
    }
    qsort(sorted, count, sizeof(*sorted), compare_names);
    search_behavior(&search, problems);
    /* A ring of the workloads' own would be told again for each behaviour. */
    if (problems->count == before)
        search_behaviors(&search, problems);
}
