/* From the graph to muBench's external_services: groups, databases, probabilities. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "ctl/generate.h"
#include "model/random.h"
#include "spec/pattern.h"

enum { CALLS_MAX = 128, UNSURE_CALLS_MAX = 64 /* of a group, as a DpuService has them */ };

#define NO_DATABASE "nodb" /* muBench's word for a service that uses none */

struct database {
    char *name;
    double weight;
};

/* What is drawn while calls are made. */
struct calls {
    const struct generate *generate;
    struct random_stream probability_stream, database_stream;
    double probability; /* below 0: drawn for each call */
    struct database *databases;
    size_t database_count;
    double weights; /* of all */
    json_t *services;
};

int generate_weight(const char *text, char **ret_name, double *ret_weight, struct error **err)
{
    const char *mark = strchr(text, '=');
    double weight;

    if (!mark || mark == text)
        return error_make(err, EINVAL, "--database: \"%.64s\" is not NAME=WEIGHT, such as sdb1=0.8",
                          text);
    cleanup_error struct error *why = NULL;
    if (text_parse_double(mark + 1, 0, 1e9, &weight, &why) < 0)
        return error_make(err, EINVAL, "--database: %s", error_message(why));
    *ret_name = xstrndup(text, (size_t)(mark - text));
    *ret_weight = weight;
    return 0;
}

bool generate_is_database(const struct generate *generate, const char *name)
{
    const char *prefix = generate->parameters.database_prefix;
    size_t length = strlen(name);

    if (prefix)
        return strncmp(name, prefix, strlen(prefix)) == 0;
    for (size_t i = 0; i < generate->databases.count; i++) {
        const char *text = generate->databases.items[i];
        if (strncmp(text, name, length) == 0 && text[length] == '=')
            return true;
    }
    return false;
}

static void calls_free(struct calls *calls)
{
    for (size_t i = 0; i < calls->database_count; i++)
        free(calls->databases[i].name);
    free(calls->databases);
    json_decref(calls->services);
}
#define cleanup_calls CLEANUP(calls_free)

/* Who says which databases there are. */
static const char *speaker(const struct calls *calls)
{
    const char *file = calls->generate->parameters.databases_from;
    return file ? file : "--database";
}

/* A database is a service, and must not take another's name. */
static int check_database(const struct calls *calls, size_t index, struct error **err)
{
    const char *name = calls->databases[index].name, *from = speaker(calls);

    if (!pattern_service_name.valid(name) || strlen(name) > SERVICE_NAME_MAX)
        return error_make(err, EINVAL, "%s: \"%.64s\" is not %s", from, name,
                          pattern_service_name.says);
    if (name[0] == 's' && name[1] && name[1 + strspn(name + 1, "0123456789")] == '\0')
        return error_make(err, EINVAL, "%s: %.64s is a service's name; give another", from, name);
    for (size_t i = 0; i < index; i++)
        if (strcmp(calls->databases[i].name, name) == 0)
            return error_make(err, EINVAL, "%s: %.64s is given twice", from, name);
    return 0;
}

static int read_databases(struct calls *calls, struct error **err)
{
    const struct option_list *list = &calls->generate->databases;

    calls->databases = xcalloc(list->count + 1, sizeof(*calls->databases));
    for (size_t i = 0; i < list->count; i++) {
        struct database *database = &calls->databases[calls->database_count];
        int ret = generate_weight(list->items[i], &database->name, &database->weight, err);
        if (ret < 0)
            return ret;
        calls->database_count++;
        calls->weights += database->weight;
        ret = check_database(calls, i, err);
        if (ret < 0)
            return ret;
    }
    if (list->count > 0 && calls->weights <= 0)
        return error_make(err, EINVAL, "%s: all weights are 0; give one of them more",
                          speaker(calls));
    return 0;
}

static int read_probability(struct calls *calls, struct error **err)
{
    cleanup_error struct error *why = NULL;

    calls->probability = -1;
    if (strcmp(calls->generate->probability, "random") == 0)
        return 0;
    if (text_parse_double(calls->generate->probability, 0, 1, &calls->probability, &why) < 0)
        return error_make(err, EINVAL, "--probability: %s, or \"random\"", error_message(why));
    return 0;
}

/* In thousandths, as muBench's are. */
static double draw_probability(struct calls *calls)
{
    if (calls->probability >= 0)
        return calls->probability;
    return (double)random_range(&calls->probability_stream, 1, 1000) / 1000;
}

/* The database that a service uses; NULL: none. */
static const char *draw_database(struct calls *calls)
{
    if (calls->database_count == 0)
        return NULL;
    double left = random_unit(&calls->database_stream) * calls->weights;
    size_t i = 0;
    while (i + 1 < calls->database_count && left >= calls->databases[i].weight)
        left -= calls->databases[i++].weight;
    /* Rounding must not end at one that nobody may use. */
    while (calls->databases[i].weight <= 0)
        i--;
    return strcmp(calls->databases[i].name, NO_DATABASE) == 0 ? NULL : calls->databases[i].name;
}

/* The k-th call goes into the group k modulo their number, so that they are filled evenly. */
static json_t *make_groups(struct calls *calls, const struct service_edge *edges, size_t count)
{
    const struct generate *generate = calls->generate;
    json_t *groups = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *group = json_array_get(groups, i % generate->groups);
        cleanup_free char *name = xasprintf("s%u", edges[i].callee);
        if (!group) {
            group = json_pack("{s:i, s:[], s:{}}", "seq_len", 0, "services", "probabilities");
            json_array_append_new(groups, group);
        }
        json_array_append_new(json_object_get(group, "services"), json_string(name));
        json_object_set_new(json_object_get(group, "probabilities"), name,
                            json_real(draw_probability(calls)));
    }
    for (size_t i = 0; i < json_array_size(groups); i++) {
        json_t *group = json_array_get(groups, i);
        size_t all = json_array_size(json_object_get(group, "services"));
        size_t called = generate->seq_len && generate->seq_len < all ? generate->seq_len : all;
        json_object_set_new(group, "seq_len", json_integer((json_int_t)called));
    }
    return groups;
}

static void add_service(struct calls *calls, unsigned vertex, const struct service_edge *edges,
                        size_t count)
{
    cleanup_free char *name = xasprintf("s%u", vertex);
    json_t *groups = make_groups(calls, edges, count);
    const char *database = draw_database(calls);

    if (database)
        json_array_append_new(groups,
                              json_pack("{s:i, s:[s]}", "seq_len", 1, "services", database));
    json_object_set_new(calls->services, name, json_pack("{s:o}", "external_services", groups));
}

/* A database comes into being when somebody uses it; behind the services, in the options' order. */
static void add_databases(struct calls *calls)
{
    for (size_t i = 0; i < calls->database_count; i++) {
        const char *name = calls->databases[i].name, *key;
        json_t *service;
        bool used = false;
        json_object_foreach(calls->services, key, service)
        {
            json_t *groups = json_object_get(service, "external_services");
            json_t *last = json_array_get(groups, json_array_size(groups) - 1);
            const char *called =
                json_string_value(json_array_get(json_object_get(last, "services"), 0));
            used |= called && strcmp(called, name) == 0;
        }
        if (used)
            json_object_set_new(calls->services, name, json_pack("{s:[]}", "external_services"));
    }
}

int generate_calls(const struct generate *generate, const struct service_graph *graph,
                   json_t **ret_services, struct error **err)
{
    cleanup_calls struct calls calls = {.generate = generate, .services = json_object()};
    size_t first = 0;

    random_seed(&calls.probability_stream, generate->seed, PURPOSE_PROBABILITY);
    random_seed(&calls.database_stream, generate->seed, PURPOSE_DATABASE);
    int ret = read_probability(&calls, err);
    if (ret == 0)
        ret = read_databases(&calls, err);
    if (ret < 0)
        return ret;
    bool sure = calls.probability >= 1;
    size_t most = sure ? CALLS_MAX : UNSURE_CALLS_MAX;
    for (unsigned vertex = 0; vertex < graph->vertices; vertex++) {
        size_t end = first;
        while (end < graph->edge_count && graph->edges[end].caller == vertex)
            end++;
        size_t group = (end - first + generate->groups - 1) / generate->groups;
        if (group > most)
            return error_make(err, EINVAL,
                              "s%u calls %zu services, and a group has at most %zu%s; give "
                              "--groups %zu or more",
                              vertex, end - first, most, sure ? "" : " of a probability below 1",
                              (end - first + most - 1) / most);
        add_service(&calls, vertex, &graph->edges[first], end - first);
        first = end;
    }
    add_databases(&calls);
    *ret_services = STEAL_POINTER(calls.services);
    return 0;
}
