/* The shapes of generated graphs; Barabasi-Albert ones where igraph is. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/generate.h"

#ifdef DPUMESH_GRAPH
#define INIT graph_barabasi = graph_barabasi_igraph
#else
#define INIT graph_barabasi = NULL
#endif

static struct generate usual(unsigned shape, unsigned vertices)
{
    return (struct generate){.shape = shape,
                             .vertices = vertices,
                             .edges_per_vertex = 1,
                             .arity = 2,
                             .depth = 2,
                             .width = 3,
                             .power = 0.9,
                             .zero_appeal = 3.25,
                             .seed = 1,
                             .groups = 1,
                             .replicas = 1,
                             .probability = "1"};
}

static struct service_graph make(const struct generate *generate)
{
    struct service_graph graph;
    cleanup_error struct error *err = NULL;

    INIT;
    cr_assert_eq(graph_make(generate, &graph, &err), 0, "%s", err ? error_message(err) : "");
    return graph;
}

/* "0-1 0-2", of the whole graph. */
static void expect(const struct generate *generate, const char *edges)
{
    cleanup_graph struct service_graph graph = make(generate);
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16);

    for (size_t i = 0; i < graph.edge_count; i++)
        buffer_printf(&text, "%s%u-%u", i ? " " : "", graph.edges[i].caller, graph.edges[i].callee);
    cr_assert_str_eq(buffer_terminate(&text), edges);
}

/* Every service but the first is called, by services of lower numbers, none twice by one. */
static void check_sound(const struct service_graph *graph)
{
    cleanup_free unsigned *callers = xcalloc(graph->vertices, sizeof(*callers));

    for (size_t i = 0; i < graph->edge_count; i++) {
        const struct service_edge *edge = &graph->edges[i];
        cr_assert_lt(edge->caller, edge->callee);
        cr_assert_lt(edge->callee, graph->vertices);
        callers[edge->callee]++;
        cr_assert(i == 0 || edge[-1].caller < edge->caller ||
                  (edge[-1].caller == edge->caller && edge[-1].callee < edge->callee));
    }
    cr_assert_eq(callers[0], 0);
    for (unsigned i = 1; i < graph->vertices; i++)
        cr_assert_geq(callers[i], 1, "%u", i);
}

Test(generate, shapes_without_chance)
{
    struct generate generate = usual(SHAPE_TREE, 6);
    expect(&generate, "0-1 0-2 1-3 1-4 2-5");
    generate.arity = 3;
    expect(&generate, "0-1 0-2 0-3 1-4 1-5");
    generate.shape = SHAPE_CHAIN;
    expect(&generate, "0-1 1-2 2-3 3-4 4-5");
    generate.shape = SHAPE_FAN;
    expect(&generate, "0-1 0-2 0-3 0-4 0-5");
    for (unsigned shape = SHAPE_TREE; shape <= SHAPE_FAN; shape++) {
        generate = usual(shape, 1);
        expect(&generate, "");
    }
}

/* The same on every machine: these were written down. */
Test(generate, the_same_seed_makes_the_same_graph)
{
    struct generate generate = usual(SHAPE_DAG, 0);
    generate.depth = 3;
    generate.edges_per_vertex = 2;
    generate.seed = 7;
    expect(&generate, "0-1 0-2 0-3 1-6 2-4 2-5 2-6 3-4 3-5 4-7 4-9 5-8 6-7 6-8 6-9");
    INIT;
    if (!graph_barabasi)
        return;
    generate = usual(SHAPE_BARABASI, 12);
    generate.seed = 7;
    expect(&generate, "0-1 0-2 0-9 1-4 2-3 2-10 3-5 3-7 3-8 4-11 5-6");
    generate.edges_per_vertex = 2;
    generate.seed = 4294967295;
    expect(
        &generate,
        "0-1 0-2 0-3 0-5 0-6 0-9 1-2 2-3 2-4 2-7 2-8 2-9 3-4 3-6 3-11 4-5 6-7 6-10 7-8 9-10 9-11");
}

Test(generate, every_graph_is_sound)
{
    INIT;
    for (uint64_t seed = 0; seed < 40; seed++) {
        for (unsigned edges = 1; edges <= 4; edges++) {
            struct generate generate = usual(graph_barabasi ? SHAPE_BARABASI : SHAPE_TREE, 30);
            generate.seed = seed;
            generate.edges_per_vertex = edges;
            cleanup_graph struct service_graph grown = make(&generate);
            check_sound(&grown);
            generate.shape = SHAPE_DAG;
            generate.depth = 1 + (unsigned)seed % 5;
            generate.width = 1 + (unsigned)seed % 7;
            cleanup_graph struct service_graph layers = make(&generate);
            check_sound(&layers);
            cr_assert_eq(layers.vertices, 1 + generate.depth * generate.width);
            for (size_t i = 0; i < layers.edge_count; i++) {
                unsigned from = (layers.edges[i].caller + generate.width - 1) / generate.width;
                unsigned to = (layers.edges[i].callee + generate.width - 1) / generate.width;
                cr_assert_eq(from + 1, to);
            }
        }
    }
}

/*
 * Who calls the third and the fourth service, against the formula d^power + zero_appeal, d being
 * how many a service calls already. 4000 graphs; a share is wrong by more than 4.5 of its standard
 * deviations in 7 of a million runs with other seeds.
 */
Test(generate, preferential_attachment_is_as_the_formula_says)
{
    enum { GRAPHS = 4000 };
    static const double powers[] = {0.05, 1, 2}, appeals[] = {0.01, 1, 3.25};

    INIT;
    for (unsigned i = 0; graph_barabasi && i < 9; i++) {
        struct generate generate = usual(SHAPE_BARABASI, 4);
        double power = generate.power = powers[i % 3];
        double appeal = generate.zero_appeal = appeals[i / 3];
        unsigned third = 0, fourth = 0;
        for (uint64_t seed = 0; seed < GRAPHS; seed++) {
            generate.seed = seed * 7919 + i;
            cleanup_graph struct service_graph graph = make(&generate);
            cr_assert_eq(graph.edge_count, 3);
            bool by_first = graph.edges[1].caller == 0 && graph.edges[1].callee == 2;
            third += by_first;
            fourth += by_first && graph.edges[2].caller == 0;
        }
        double p = (1 + appeal) / (1 + 2 * appeal),
               q = (pow(2, power) + appeal) / (pow(2, power) + 3 * appeal);
        cr_assert_lt(fabs(third - GRAPHS * p), 4.5 * sqrt(GRAPHS * p * (1 - p)) + 0.5,
                     "power %g, appeal %g: %u of %g", power, appeal, third, GRAPHS * p);
        cr_assert_lt(fabs(fourth - third * q), 4.5 * sqrt(third * q * (1 - q)) + 0.5,
                     "power %g, appeal %g: %u of %g", power, appeal, fourth, third * q);
    }
}

static json_t *calls(const struct generate *generate, const struct service_graph *graph)
{
    cleanup_error struct error *err = NULL;
    json_t *services;

    cr_assert_eq(generate_calls(generate, graph, &services, &err), 0, "%s",
                 err ? error_message(err) : "");
    return services;
}

/* The calls go round the groups; a sample is no longer than its group. */
Test(generate, groups_are_filled_evenly)
{
    struct generate generate = usual(SHAPE_FAN, 6);
    cleanup_graph struct service_graph graph = make(&generate);

    generate.groups = 3;
    generate.seq_len = 1;
    json_auto_t *services = calls(&generate, &graph);
    json_auto_t *wanted = json_loads(
        "[{\"seq_len\": 1, \"services\": [\"s1\", \"s4\"], \"probabilities\": {\"s1\": 1.0, "
        "\"s4\": "
        "1.0}}, {\"seq_len\": 1, \"services\": [\"s2\", \"s5\"], \"probabilities\": {\"s2\": 1.0, "
        "\"s5\": 1.0}}, {\"seq_len\": 1, \"services\": [\"s3\"], \"probabilities\": {\"s3\": "
        "1.0}}]",
        0, NULL);
    cr_assert(
        json_equal(json_object_get(json_object_get(services, "s0"), "external_services"), wanted));
    cr_assert_eq(json_object_size(services), 6);
}

/* Weights 1, 2 and 1 of 1000 services: within 4.5 standard deviations of their shares; a database
 * of weight 0 does not come into being. */
Test(generate, databases_are_used_by_weight)
{
    const char *weights[] = {"sdb1=1", "sdb2=2", "nodb=1", "sdb3=0"};
    struct generate generate = usual(SHAPE_CHAIN, 1000);
    cleanup_graph struct service_graph graph = make(&generate);
    unsigned used[2] = {0};
    const char *name;
    json_t *service;

    generate.databases = (struct option_list){4, weights};
    json_auto_t *services = calls(&generate, &graph);
    cr_assert_eq(json_object_size(services), 1002);
    json_object_foreach(services, name, service)
    {
        json_t *groups = json_object_get(service, "external_services");
        json_t *last = json_array_get(groups, json_array_size(groups) - 1);
        const char *called =
            json_string_value(json_array_get(json_object_get(last, "services"), 0));
        used[0] += called && strcmp(called, "sdb1") == 0;
        used[1] += called && strcmp(called, "sdb2") == 0;
    }
    cr_assert_lt(fabs(used[0] - 250.0), 4.5 * sqrt(1000 * 0.25 * 0.75), "%u", used[0]);
    cr_assert_lt(fabs(used[1] - 500.0), 4.5 * sqrt(1000 * 0.5 * 0.5), "%u", used[1]);
    cr_assert_eq(
        json_array_size(json_object_get(json_object_get(services, "sdb1"), "external_services")),
        0);
}

/* Exactly in the ratio, rests to the largest. */
Test(generate, work_is_dealt_by_ratio)
{
    const char *functions[] = {"3:{\"compute_pi\": {}}", "1:{\"loader\": {}}",
                               "0:{\"compute_pi\": {\"mean_response_size\": 1}}",
                               "1:{\"internal_service\": {\"loader\": {}}, \"replicas\": 2}"};
    static const struct {
        unsigned services, pi, loader, more;
    } rows[] = {{5, 3, 1, 1}, {10, 6, 2, 2}, {1, 1, 0, 0},
                {4, 2, 1, 1}, {7, 4, 2, 1},  {999, 599, 200, 200}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct generate generate = usual(SHAPE_CHAIN, rows[i].services);
        cleanup_graph struct service_graph graph = make(&generate);
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        unsigned pi = 0, loader = 0, more = 0;
        const char *name;
        json_t *service, *model;
        generate.functions = (struct option_list){4, functions};
        json_auto_t *services = calls(&generate, &graph);
        cr_assert_eq(generate_work(&generate, services, &model, &problems), 0);
        json_auto_t *owned = model;
        json_object_foreach(owned, name, service)
        {
            json_t *internal = json_object_get(service, "internal_service");
            bool replicas = json_object_get(service, "replicas") != NULL;
            more += replicas;
            loader += !replicas && json_object_get(internal, "loader");
            pi += json_object_size(json_object_get(internal, "compute_pi")) == 0 &&
                  json_object_get(internal, "compute_pi");
        }
        cr_assert_eq(pi, rows[i].pi, "%u services: %u", rows[i].services, pi);
        cr_assert_eq(loader, rows[i].loader, "%u services: %u", rows[i].services, loader);
        cr_assert_eq(more, rows[i].more, "%u services: %u", rows[i].services, more);
    }
}
