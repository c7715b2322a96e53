#include "ctl/generate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "ctl/local/supervisor.h"
#include "ctl/terminal.h"
#include "ctl/verb.h"
#include "ctl/workmodel_file.h"

enum { OUTPUT_BYTES_MAX = 64 << 20, TITLE_BYTES_MAX = 1 << 20 };

/* In the order of enum generate_shape. */
static const char *const shapes[] = {"barabasi", "tree", "chain", "fan", "dag", NULL};

static const struct option_entry entries[] = {
    {0, "shape", OPTION_TO_CHOICE(struct generate, shape), .argument = "SHAPE",
     .fallback = "barabasi", .choices = shapes,
     .help = "barabasi: each further service is called by one that is there, rather by one that "
             "calls many. tree: each calls --arity others. chain: each calls the next. fan: s0 "
             "calls all others. dag: layers; each service is called by some of the layer above."},
    {'n', "vertices", OPTION_TO_UNSIGNED(struct generate, vertices), .argument = "N",
     .fallback = "10", .min = 1, .max = 1000,
     .help = "Services, databases not counted. A dag has 1 + --depth times --width."},
    {0, "power", OPTION_TO_DOUBLE(struct generate, power), .argument = "X", .fallback = "0.9",
     .low = 0, .high = 100, .help = "barabasi: how much callers of many are preferred."},
    {0, "zero-appeal", OPTION_TO_DOUBLE(struct generate, zero_appeal), .argument = "X",
     .fallback = "3.25", .low = 0.000001, .high = 1000000,
     .help = "barabasi: the appeal of a service that calls nobody yet."},
    {0, "edges-per-vertex", OPTION_TO_UNSIGNED(struct generate, edges_per_vertex), .argument = "N",
     .fallback = "1", .min = 1, .max = 1000,
     .help = "barabasi and dag: how many services call each one, as far as there are so many."},
    {0, "arity", OPTION_TO_UNSIGNED(struct generate, arity), .argument = "N", .fallback = "2",
     .min = 1, .max = 1000, .help = "tree: how many services each one calls."},
    {0, "depth", OPTION_TO_UNSIGNED(struct generate, depth), .argument = "N", .fallback = "3",
     .min = 1, .max = 999, .help = "dag: layers below s0."},
    {0, "width", OPTION_TO_UNSIGNED(struct generate, width), .argument = "N", .fallback = "3",
     .min = 1, .max = 999, .help = "dag: services a layer."},
    {0, "seed", OPTION_TO_UINT64(struct generate, seed), .argument = "N", .fallback = "1",
     .max = UINT32_MAX, .help = "The same seed makes the same application on every machine."},
    {'g', "groups", OPTION_TO_UNSIGNED(struct generate, groups), .argument = "N", .fallback = "1",
     .min = 1, .max = 127,
     .help = "Groups over which a service's calls are spread evenly. Groups run in parallel, the "
             "calls of one group one after the other."},
    {0, "seq-len", OPTION_TO_UNSIGNED(struct generate, seq_len), .argument = "N", .fallback = "0",
     .max = 128, .help = "How many of a group are called, drawn at each request; 0: all."},
    {0, "probability", OPTION_TO_STRING(struct generate, probability), .argument = "P|random",
     .fallback = "1", .help = "How likely each call is made; random: each its own."},
    {0, "database", OPTION_TO_LIST(struct generate, databases), .argument = "NAME=WEIGHT",
     .help = "A database, and how many services use it in proportion to other weights. "
             "The name nodb stands for none."},
    {0, "function", OPTION_TO_LIST(struct generate, functions), .argument = "RATIO:JSON",
     .help = "A work model's internal_service, and the part of the services that have it. With "
             "internal_service as one of its keys, the object may say "
             "more, such as replicas. By default all compute_pi."},
    {0, "database-function", OPTION_TO_LIST(struct generate, database_functions),
     .argument = "RATIO:JSON",
     .help = "The same for databases; by default what the services have."},
    {0, "replicas", OPTION_TO_UNSIGNED(struct generate, replicas), .argument = "N", .fallback = "1",
     .max = 1000, .help = "Replicas of each service."},
    {0, "namespace", OPTION_TO_STRING(struct generate, namespace), .argument = "NAME",
     .help = "The namespace of all services."},
    {0, "node-port", OPTION_TO_UNSIGNED(struct generate, node_port), .argument = "PORT",
     .fallback = "0", .max = 32767,
     .help = "Makes s0 of type NodePort, its bridge at this port of every node; 0: it is not."},
    {0, "image", OPTION_TO_STRING(struct generate, image), .argument = "IMAGE",
     .help = "The agents' image."},
    {0, "egress", OPTION_TO_STRING(struct generate, egress), .argument = "MODE",
     .fallback = "forward",
     .help = "What becomes of calls to other services, for all: spec.egress.mode."},
    {'o', "output", OPTION_TO_STRING(struct generate, output), .argument = "FILE.yaml",
     .help = "Where the DpuServices go; by default to standard output."},
    {0, "graph", OPTION_TO_STRING(struct generate, picture), .argument = "FILE",
     .help = "Draw the graph, as FILE.svg or FILE.png (by graphviz) or FILE.dot."},
    {0, "mubench", OPTION_TO_STRING(struct generate, mubench), .argument = "DIRECTORY",
     .help = "Also write muBench's own files there: servicegraph.json and workmodel.json."},
};

static const char *const description[] = {
    "Makes an application: a graph of services that call each other, databases that they use, and "
    "work for each. Clients call s0. Graphs of the shape barabasi are those of muBench's "
    "generator, by the same library, igraph.",
    "FILEs are muBench's own: ServiceGraphParameters.json, WorkModelParameters.json, "
    "K8sParameters.json, and a servicegraph.json in place of a graph that is made. What they say "
    "counts where no option is given; each is known by its keys.",
    NULL,
};

static const struct option_example examples[] = {
    {"dpumesh generate --vertices 20 --seed 7 -o app.yaml --graph app.svg",
     "twenty services, and their picture"},
    {"dpumesh generate --shape dag --depth 3 --width 4 --edges-per-vertex 2 | dpumesh up -f -",
     "layers, at once run"},
    {"dpumesh generate --database sdb1=0.8 --database nodb=0.2 --function '3:{\"compute_pi\": {}}' "
     "--function '1:{\"loader\": {}}'",
     "a database for most services, and two functions, three to one"},
    {"dpumesh generate ServiceGraphParameters.json WorkModelParameters.json -o app.yaml",
     "what muBench's generators make of these files"},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "written"},
    {STATUS_FAILED, "a file could not be written or drawn"},
    {STATUS_USAGE, "usage, a bad file, or a dpumesh built without igraph was asked for its shape"},
};

/* Options that can't be together, or can't be so. */
static int check(const struct generate *generate, struct error **err)
{
    if (generate->shape == SHAPE_DAG &&
        (uint64_t)generate->depth * generate->width >= DOCUMENTS_MAX)
        return error_make(err, EINVAL, "%u layers of %u services are more than %d; lower one",
                          generate->depth, generate->width, DOCUMENTS_MAX - 1);
    if (generate->node_port && generate->node_port < 30000)
        return error_make(err, EINVAL, "--node-port: %u is below 30000; give 30000 to 32767",
                          generate->node_port);
    if (generate->picture && !generate_draws(generate->picture))
        return error_make(err, EINVAL, "--graph: %.64s does not end in .svg, .png or .dot",
                          generate->picture);
    return workmodel_check_options(generate->image, generate->egress, err);
}

/* s0, where requests come in; the first where a given graph has none. */
static json_t *front(const struct workmodel_documents *made)
{
    for (size_t i = 0; i < made->count; i++) {
        const json_t *metadata = json_object_get(made->items[i].object, "metadata");
        if (strcmp(json_string_value(json_object_get(metadata, "name")), "s0") == 0)
            return made->items[i].object;
    }
    return made->items[0].object;
}

/* s0 can be reached from outside. */
static void open_port(const struct generate *generate, json_t *document)
{
    json_t *spec = json_object_get(document, "spec");

    if (!generate->node_port)
        return;
    json_t *with = json_pack("{s:{s:s, s:{s:i}}}", "service", "type", "NodePort", "nodePorts",
                             "bridge", (int)generate->node_port);
    json_object_update_missing(with, spec);
    json_object_set_new(document, "spec", with);
}

static int write_json(const char *directory, const char *name, const json_t *value,
                      struct error **err)
{
    cleanup_free char *path = xasprintf("%s/%s", directory, name);
    cleanup_free char *json = json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    cleanup_buffer struct buffer text = BUFFER_INIT(OUTPUT_BYTES_MAX);

    if (buffer_printf(&text, "%s\n", json) < 0)
        return error_make(err, EFBIG, "%s: larger than %d MiB", path, OUTPUT_BYTES_MAX >> 20);
    return workmodel_file_write(path, &text, err);
}

static int write_mubench(const struct generate *generate, json_t *services, json_t *model,
                         struct error **err)
{
    int ret = file_make_directory(generate->mubench, 0777, err);

    if (ret == 0)
        ret = write_json(generate->mubench, "servicegraph.json", services, err);
    if (ret == 0)
        ret = write_json(generate->mubench, "workmodel.json", model, err);
    return ret;
}

/* An argument as a shell reads it. */
static void put_argument(const char *argument, struct buffer *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_@%+=:,./-";

    buffer_puts(out, " ");
    if (*argument && argument[strspn(argument, plain)] == '\0') {
        buffer_puts(out, argument);
        return;
    }
    buffer_puts(out, "'");
    for (const char *c = argument; *c; c++)
        if (*c == '\'')
            buffer_puts(out, "'\\''");
        else
            buffer_append(out, c, 1);
    buffer_puts(out, "'");
}

/* The command, which makes the same again. argv[0] is the verb. Owned by the caller. */
static char *title(int argc, char **argv)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(TITLE_BYTES_MAX);

    buffer_puts(&text, "Made by: dpumesh generate");
    for (int i = 1; i < argc; i++)
        put_argument(argv[i], &text);
    return xstrdup(buffer_terminate(&text));
}

/* The documents of the model; the exit status. */
static int write_documents(const struct generate *generate, json_t *model, const char *first)
{
    struct workmodel_source source = {.model = {"the generated work model", model},
                                      .parameters = generate->parameters.deployer,
                                      .image = generate->image,
                                      .egress = generate->egress};
    cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;

    int status = workmodel_make(&source, &made);
    if (status != STATUS_OK)
        return status;
    open_port(generate, front(&made));
    json_array_extend(generate->parameters.notes, made.notes);
    json_decref(made.notes);
    made.notes = json_incref(generate->parameters.notes);
    return workmodel_write(&made, generate->output, first);
}

static int generate_all(const struct generate *generate, const char *first, struct error **err)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_graph struct service_graph graph = {0};
    json_auto_t *services = NULL, *model = NULL;

    int ret = 0;
    if (generate->parameters.graph)
        services = json_incref(generate->parameters.graph);
    else
        ret = graph_make(generate, &graph, err);
    if (ret == 0 && !services)
        ret = generate_calls(generate, &graph, &services, err);
    if (ret < 0)
        return complain(STATUS_USAGE, "%s", error_message(*err));
    if (generate_work(generate, services, &model, &problems) < 0) {
        problems_print(&problems, stderr, "dpumesh: ");
        return STATUS_USAGE;
    }
    int status = write_documents(generate, model, first);
    if (status == STATUS_OK && generate->mubench)
        ret = write_mubench(generate, services, model, err);
    if (status == STATUS_OK && ret == 0 && generate->picture)
        ret = generate_draw(generate, model, generate->picture, err);
    return ret < 0 ? complain(STATUS_FAILED, "%s", error_message(*err)) : status;
}

static void generate_free(struct generate *generate)
{
    option_list_free(&generate->databases);
    option_list_free(&generate->functions);
    option_list_free(&generate->database_functions);
    generate_parameters_free(&generate->parameters);
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct generate generate CLEANUP(generate_free) = {0};
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_error struct error *err = NULL;

    int r = options_parse(command, argc, argv, &generate, &options, &err);
    if (r == 0 && generate_parameters_read(&generate, &options, &problems) < 0) {
        problems_print(&problems, stderr, "dpumesh: ");
        return STATUS_USAGE;
    }
    if (r == 0)
        r = check(&generate, &err);
    if (r != 0)
        return options_exit(command, r, err);
    cleanup_free char *first = title(argc, argv);
    return generate_all(&generate, first, &err);
}

const struct option_command verb_generate = {
    .name = "generate",
    .parent = "dpumesh",
    .summary = "make an application: a graph of services with work",
    .description = description,
    OPTION_ENTRIES(entries),
    .operands = "[FILE]...",
    .operands_max = 4,
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = run,
};
