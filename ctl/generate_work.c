/* What the services do: functions by ratio. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "ctl/generate.h"
#include "model/random.h"
#include "spec/workmodel.h"

/* One --function: how many parts of the services have it, and what it says of them. */
struct function {
    double ratio;
    json_t *settings; /* a service's keys in a work model */
};

struct functions {
    size_t count;
    struct function *items;
};

static void functions_free(struct functions *functions)
{
    for (size_t i = 0; i < functions->count; i++)
        json_decref(functions->items[i].settings);
    free(functions->items);
}
#define cleanup_functions CLEANUP(functions_free)

/* What the settings would say of a service that has them, under the option's name. */
static void check_settings(const char *option, json_t *settings, struct problems *problems)
{
    json_auto_t *model = json_pack("{s:O}", "s", settings);
    struct workmodel_source source = {.model = {option, model}};
    cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;

    workmodel_import(&source, &made, problems);
}

/* settings is stolen. */
static void add_function(struct functions *functions, double ratio, json_t *settings)
{
    functions->items =
        xreallocarray(functions->items, functions->count + 1, sizeof(*functions->items));
    functions->items[functions->count++] = (struct function){ratio, settings};
}

/* "RATIO:JSON", where JSON is a work model's internal_service, or an object with one in it. */
static void read_function(const char *option, const char *text, struct functions *functions,
                          struct problems *problems)
{
    const char *mark = strchr(text, ':');
    cleanup_free char *number = mark ? xstrndup(text, (size_t)(mark - text)) : xstrdup("");
    cleanup_error struct error *why = NULL;
    json_t *root;
    double ratio;

    if (!mark) {
        problem_add(problems, "%s: \"%.64s\" is not RATIO:JSON, such as '3:{\"compute_pi\": {}}'",
                    option, text);
        return;
    }
    if (text_parse_double(number, 0, 1e9, &ratio, &why) < 0) {
        problem_add(problems, "%s: %s", option, error_message(why));
        return;
    }
    if (document_parse_json(mark + 1, strlen(mark + 1), option, &root, problems) < 0)
        return;
    json_auto_t *settings = json_object_get(root, "internal_service")
                                ? json_incref(root)
                                : json_pack("{s:O}", "internal_service", root);
    json_decref(root);
    check_settings(option, settings, problems);
    add_function(functions, ratio, STEAL_POINTER(settings));
}

static void check_ratios(const char *from, const struct functions *functions,
                         struct problems *problems)
{
    double sum = 0;

    for (size_t i = 0; i < functions->count; i++)
        sum += functions->items[i].ratio;
    if (functions->count > 0 && sum <= 0)
        problem_add(problems, "%s: all ratios are 0; give one of them more", from);
}

static void read_functions(const char *option, const struct option_list *list,
                           struct functions *functions, struct problems *problems)
{
    for (size_t i = 0; i < list->count; i++)
        read_function(option, list->items[i], functions, problems);
    check_ratios(option, functions, problems);
}

/* The same of muBench's file. */
static void take_functions(json_t *given, struct functions *functions, struct problems *problems)
{
    const char *origin = NULL;
    json_t *function;
    size_t i;

    json_array_foreach(given, i, function)
    {
        json_t *settings = json_object_get(function, "settings");
        origin = json_string_value(json_object_get(function, "origin"));
        check_settings(origin, settings, problems);
        add_function(functions, json_number_value(json_object_get(function, "ratio")),
                     json_incref(settings));
    }
    check_ratios(origin, functions, problems);
}

/*
 * How many of count services have each function: the whole parts of their shares, and one more for
 * those with the largest rests, the first of equal ones.
 */
static void share(const struct functions *functions, size_t count, size_t *ret_shares)
{
    cleanup_free double *rests = xcalloc(functions->count, sizeof(*rests));
    size_t given = 0;
    double sum = 0;

    for (size_t i = 0; i < functions->count; i++)
        sum += functions->items[i].ratio;
    for (size_t i = 0; i < functions->count; i++) {
        double part = (double)count * functions->items[i].ratio / sum;
        ret_shares[i] = (size_t)floor(part);
        rests[i] = part - floor(part);
        given += ret_shares[i];
    }
    for (; given < count; given++) {
        size_t most = 0;
        for (size_t i = 1; i < functions->count; i++)
            if (rests[i] > rests[most])
                most = i;
        rests[most] = -1;
        ret_shares[most]++;
    }
}

/* Which function each of count services has: the shares, shuffled. Owned by the caller. */
static size_t *deal(const struct functions *functions, size_t count, uint64_t seed,
                    uint64_t purpose)
{
    cleanup_free size_t *shares = xcalloc(functions->count, sizeof(*shares));
    size_t *deck = xcalloc(count + 1, sizeof(*deck)), filled = 0;
    struct random_stream stream;

    share(functions, count, shares);
    for (size_t i = 0; i < functions->count; i++)
        for (size_t j = 0; j < shares[i] && filled < count; j++)
            deck[filled++] = i;
    random_seed(&stream, seed, purpose);
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)random_range(&stream, 0, i - 1), card = deck[i - 1];
        deck[i - 1] = deck[other];
        deck[other] = card;
    }
    return deck;
}

/* The services of a kind get their functions. */
static void assign(const struct generate *generate, json_t *model, bool databases,
                   const struct functions *functions)
{
    const char *name;
    json_t *service;
    size_t count = 0, next = 0;

    if (functions->count == 0)
        return;
    json_object_foreach(model, name, service) count +=
        generate_is_database(generate, name) == databases;
    cleanup_free size_t *deck =
        deal(functions, count, generate->seed, databases ? PURPOSE_DATABASE_WORK : PURPOSE_WORK);
    json_object_foreach(model, name, service)
    {
        if (generate_is_database(generate, name) == databases)
            json_object_update(service, functions->items[deck[next++]].settings);
    }
}

/* What goes for all services; a function's settings come first. */
static void set_common(const struct generate *generate, json_t *model)
{
    const char *name;
    json_t *service;

    json_object_foreach(model, name, service)
    {
        const char *method = generate->parameters.request_method;
        json_t *own = json_pack("{s:s}", "request_method", method ? method : "rest");
        if (generate->replicas != 1)
            json_object_set_new(own, "replicas", json_integer(generate->replicas));
        if (generate->namespace)
            json_object_set_new(own, "namespace", json_string(generate->namespace));
        json_object_update_missing(service, own);
        json_decref(own);
    }
}

/* The function of this id in one of muBench's lists; NULL: none. */
static json_t *find_function(json_t *list, const char *id)
{
    json_t *function;
    size_t i;

    json_array_foreach(list, i, function)
    {
        if (strcmp(json_string_value(json_object_get(function, "id")), id) == 0)
            return function;
    }
    return NULL;
}

/* muBench's override: this service has that function, or a sidecar. */
static void override(const struct generate_parameters *parameters, json_t *model,
                     struct problems *problems)
{
    const char *name;
    json_t *entry;

    json_object_foreach(parameters->overrides, name, entry)
    {
        json_t *service = json_object_get(model, name),
               *sidecar = json_object_get(entry, "sidecar");
        const char *id = json_string_value(json_object_get(entry, "function_id"));
        json_t *function = id ? find_function(parameters->functions, id) : NULL;
        if (id && !function)
            function = find_function(parameters->database_functions, id);
        if (id && !function)
            problem_add(problems, "%s/%s/function_id: no function %.64s", parameters->overrider,
                        name, id);
        if (!service) {
            cleanup_free char *note = xasprintf("%s/%s: no such service in this graph; left out",
                                                parameters->overrider, name);
            json_array_append_new(parameters->notes, json_string_nocheck(note));
        }
        if (service && function)
            json_object_update(service, json_object_get(function, "settings"));
        if (service && sidecar)
            json_object_set(service, "sidecar", sidecar);
    }
}

int generate_work(const struct generate *generate, json_t *services, json_t **ret_model,
                  struct problems *problems)
{
    static const char *usual[] = {"1:{\"compute_pi\": {}}"};
    const struct option_list fallback = {1, usual};
    const struct generate_parameters *parameters = &generate->parameters;
    cleanup_functions struct functions functions = {0}, database_functions = {0};
    size_t before = problems->count;

    if (generate->functions.count || !parameters->functions)
        read_functions("--function", generate->functions.count ? &generate->functions : &fallback,
                       &functions, problems);
    else
        take_functions(parameters->functions, &functions, problems);
    if (generate->database_functions.count)
        read_functions("--database-function", &generate->database_functions, &database_functions,
                       problems);
    else
        take_functions(parameters->database_functions, &database_functions, problems);
    if (problems->count > before)
        return -EINVAL;
    json_auto_t *model = json_deep_copy(services);
    assign(generate, model, false, &functions);
    assign(generate, model, true, database_functions.count ? &database_functions : &functions);
    override(parameters, model, problems);
    if (problems->count > before)
        return -EINVAL;
    set_common(generate, model);
    *ret_model = json_incref(model);
    return 0;
}
