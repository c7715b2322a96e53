#include "ctl/generate_parameters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/generate.h"
#include "ctl/generate_parameters_private.h"
#include "ctl/workmodel_file.h"
#include "spec/field.h"
#include "spec/pattern.h"

enum { SEQ_LEN_MAX = 1000000 /* muBench's files say 100 for all of a group */ };

static const char *const models[] = {"const", "random", NULL};

struct probability_parameters {
    int model; /* of models */
    double value;
};

struct graph_parameters {
    unsigned vertices, groups, seq_len, edges_per_vertex;
    double power, zero_appeal;
    struct probability_parameters probability;
};

static const struct field value_fields[] = {
    {.name = "value",
     .type = FIELD_NUMBER,
     FIELD_AT(struct probability_parameters, value),
     .fallback = "1",
     .max = 1,
     .help = "How likely a call is made."},
};
static const struct record value_record = {FIELDS(value_fields),
                                           .size = sizeof(struct probability_parameters)};

static const struct field probability_fields[] = {
    {.name = "model",
     .type = FIELD_ENUM,
     FIELD_AT(struct probability_parameters, model),
     .fallback = "const",
     .names = models,
     .help = "One value for all calls, or one drawn for each."},
    {.name = "params",
     .type = FIELD_RECORD,
     .record = &value_record,
     .help = "Parameters of the model."},
};
static const struct record probability_record = {FIELDS(probability_fields),
                                                 .size = sizeof(struct probability_parameters)};

/* muBench's names, with the bounds of the options. */
static const struct field graph_fields[] = {
    {.name = "vertices",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct graph_parameters, vertices),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = 1000,
     .help = "Services, databases not counted."},
    {.name = "external_service_groups",
     .alias = "services_groups",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct graph_parameters, groups),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = 127,
     .help = "Groups of calls."},
    {.name = "seq_len",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct graph_parameters, seq_len),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = SEQ_LEN_MAX,
     .help = "How many of a group are called."},
    {.name = "power",
     .type = FIELD_NUMBER,
     FIELD_AT(struct graph_parameters, power),
     .flags = FIELD_OPTIONAL,
     .max = 100,
     .help = "How much callers of many are preferred."},
    {.name = "zero_appeal",
     .type = FIELD_NUMBER,
     FIELD_AT(struct graph_parameters, zero_appeal),
     .flags = FIELD_OPTIONAL,
     .min = 0.000001,
     .max = 1000000,
     .help = "The appeal of a service that calls nobody yet."},
    {.name = "edges_per_vertex",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct graph_parameters, edges_per_vertex),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = 1000,
     .help = "How many services call each one."},
    {.name = "service_probability",
     .type = FIELD_RECORD,
     FIELD_AT(struct graph_parameters, probability),
     .flags = FIELD_OPTIONAL,
     .record = &probability_record,
     .help = "How likely a call is made."},
    {.name = "dbs",
     .type = FIELD_NUMBER_MAP,
     .flags = FIELD_OPTIONAL,
     .max = 1e9,
     .pattern = &pattern_service_name,
     .help = "Databases, and how many services use each."},
};
static const struct record graph_record = {FIELDS(graph_fields),
                                           .size = sizeof(struct graph_parameters)};

void parameters_note(const struct reading *reading, const struct place *at, const char *sentence)
{
    cleanup_free char *origin = place_origin(at);
    cleanup_free char *note = xasprintf("%s: %s", origin, sentence);

    json_array_append_new(reading->parameters->notes, json_string_nocheck(note));
}

const char *parameters_keep(const struct reading *reading, char *text)
{
    json_t *kept = json_string_nocheck(text);

    free(text);
    json_array_append_new(reading->parameters->roots, kept);
    return json_string_value(kept);
}

/* Whether the file says it and no option does. */
static bool counts(const struct reading *reading, const json_t *object, const char *key,
                   const char *option)
{
    return json_object_get(object, key) && !options_given(reading->options, option);
}

static void take_databases(const struct reading *reading, json_t *dbs)
{
    struct option_list *list = &reading->generate->databases;
    const char *name;
    json_t *weight;

    option_list_free(list);
    list->items = xcalloc(json_object_size(dbs) + 1, sizeof(*list->items));
    json_object_foreach(dbs, name, weight) list->items[list->count++] =
        parameters_keep(reading, xasprintf("%s=%.17g", name, json_number_value(weight)));
}

static void read_graph(const struct reading *reading, json_t *object, const struct place *at)
{
    struct generate *generate = reading->generate;
    struct graph_parameters given = {0};
    size_t before = reading->problems->count;

    record_parse(&graph_record, object, &given, at, reading->problems);
    if (reading->problems->count > before)
        return;
    if (counts(reading, object, "vertices", "vertices"))
        generate->vertices = given.vertices;
    if (given.groups && !options_given(reading->options, "groups"))
        generate->groups = given.groups;
    if (counts(reading, object, "seq_len", "seq-len"))
        generate->seq_len = given.seq_len;
    if (counts(reading, object, "power", "power"))
        generate->power = given.power;
    if (counts(reading, object, "zero_appeal", "zero-appeal"))
        generate->zero_appeal = given.zero_appeal;
    if (counts(reading, object, "edges_per_vertex", "edges-per-vertex"))
        generate->edges_per_vertex = given.edges_per_vertex;
    if (counts(reading, object, "service_probability", "probability"))
        generate->probability =
            given.probability.model == 1
                ? models[1]
                : parameters_keep(reading, xasprintf("%.17g", given.probability.value));
    if (counts(reading, object, "dbs", "database")) {
        struct place dbs = PLACE_KEY(at, "dbs");
        reading->parameters->databases_from = parameters_keep(reading, place_origin(&dbs));
        take_databases(reading, json_object_get(object, "dbs"));
    }
}

/* A servicegraph.json, or a servicemesh.json, whose calls were a list. */
static void read_services(const struct reading *reading, json_t *root, const struct place *at)
{
    struct generate_parameters *parameters = reading->parameters;
    json_auto_t *graph = json_object();
    const char *name, *key;
    json_t *service, *value;

    json_object_foreach(root, name, service)
    {
        struct place place = PLACE_KEY(at, name);
        json_t *calls =
            json_is_object(service) ? json_object_get(service, "external_services") : service;
        if (json_object_get(service, "internal_service")) {
            place_problem(&place, reading->problems,
                          "has work; dpumesh import makes DpuServices of a work model");
            return;
        }
        if (!json_is_array(calls)) {
            place_problem(&place, reading->problems,
                          "no external_services; give parameters of muBench's generators, or a "
                          "service graph");
            return;
        }
        json_object_foreach(service, key, value)
        {
            struct place inner = PLACE_KEY(&place, key);
            if (value != calls)
                parameters_note(reading, &inner, "not of a service graph; left out");
        }
        json_object_set_new(graph, name, json_pack("{s:O}", "external_services", calls));
    }
    if (parameters->graph || json_object_size(graph) == 0) {
        place_problem(at, reading->problems, "%s",
                      parameters->graph ? "a second service graph; give one" : "an empty object");
        return;
    }
    parameters->graph = json_incref(graph);
}

void parameters_note_rest(const struct reading *reading, const char *key, const struct place *at)
{
    const char *sentence = "no counterpart, left out";

    if (strstr(key, "GraphFile") || strstr(key, "MeshFile"))
        sentence = "no file is opened that is not named; give the service graph beside this one";
    else if (strncmp(key, "Output", strlen("Output")) == 0)
        sentence = "--output and --mubench say where; left out";
    parameters_note(reading, at, sentence);
}

/* Takes what is a generator's out of the file's object; whether there was something. */
static bool read_generators(const struct reading *reading, json_t *root, const struct place *at)
{
    static const char *const graphs[] = {"ServiceGraphParameters", "ServiceMeshParameters"};
    static const char work[] = "WorkModelParameters";
    size_t before = json_object_size(root);

    for (size_t i = 0; i < 2; i++) {
        struct place place = PLACE_KEY(at, graphs[i]);
        json_t *value = json_object_get(root, graphs[i]);
        if (value)
            read_graph(reading, value, &place);
        json_object_del(root, graphs[i]);
    }
    struct place place = PLACE_KEY(at, work);
    if (json_object_get(root, work))
        parameters_read_work(reading, json_object_get(root, work), &place);
    json_object_del(root, work);
    return json_object_size(root) < before;
}

static void read_root(const struct reading *reading, const char *name, json_t *root)
{
    struct source source = {.file = name, .pointers = true};
    struct place at = PLACE_ROOT(&source);
    struct workmodel_file *deployer = &reading->parameters->deployer;
    const char *key;
    json_t *value;

    if (!json_is_object(root)) {
        place_problem(&at, reading->problems, "must be an object of muBench's parameters");
        return;
    }
    json_t *rest = json_copy(root);
    json_array_append_new(reading->parameters->roots, rest);
    bool any = read_generators(reading, rest, &at);
    if (json_object_get(rest, "K8sParameters")) {
        if (deployer->root)
            place_problem(&at, reading->problems, "a second K8sParameters; give one");
        *deployer = (struct workmodel_file){name, rest};
    } else if (!any && json_is_number(json_object_get(rest, "vertices"))) {
        read_graph(reading, rest, &at); /* muBench's first generator had them alone */
    } else if (!any) {
        read_services(reading, rest, &at);
    } else {
        json_object_foreach(rest, key, value)
        {
            struct place place = PLACE_KEY(&at, key);
            parameters_note_rest(reading, key, &place);
        }
    }
}

/* With a service graph there is nothing to draw. */
static void check_options(const struct reading *reading)
{
    static const char *const drawn[] = {"shape",  "vertices", "power",       "zero-appeal",
                                        "groups", "seq-len",  "probability", "database"};

    for (size_t i = 0; reading->parameters->graph && i < sizeof(drawn) / sizeof(drawn[0]); i++)
        if (options_given(reading->options, drawn[i]))
            problem_add(reading->problems, "--%s: a service graph is given, which says it",
                        drawn[i]);
}

int generate_parameters_read(struct generate *generate, const struct options *options,
                             struct problems *problems)
{
    struct generate_parameters *parameters = &generate->parameters;
    struct reading reading = {generate, parameters, options, problems};
    size_t before = problems->count;

    parameters->notes = json_array();
    parameters->roots = json_array();
    for (size_t i = 0; i < options->operand_count; i++) {
        cleanup_problems struct problems repeated = PROBLEMS_INIT;
        struct workmodel_file file;
        if (workmodel_file_read(options->operands[i], &file, &repeated, problems) < 0)
            continue;
        json_array_append_new(parameters->roots, file.root);
        workmodel_note_repeated(&repeated, parameters->notes);
        read_root(&reading, file.name, file.root);
    }
    check_options(&reading);
    return problems->count > before ? -EINVAL : 0;
}

void generate_parameters_free(struct generate_parameters *parameters)
{
    json_decref(parameters->graph);
    json_decref(parameters->functions);
    json_decref(parameters->database_functions);
    json_decref(parameters->overrides);
    json_decref(parameters->notes);
    json_decref(parameters->roots);
    *parameters = (struct generate_parameters){0};
}
