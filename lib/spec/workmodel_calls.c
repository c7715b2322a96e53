/* The graph of calls: everybody who is called exists, and no request calls itself for ever. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/text.h"
#include "spec/workmodel_private.h"

enum {
    SHOWN_MAX = 8, /* services of a cycle that a sentence names */
    SENTENCE_BYTES_MAX = 2048,
    NEAR_SERVICES_MAX = 1000, /* of so many a near name is searched */
    NONE = -1
};

/* Calls by their callers: those of caller i are calls[first[i]] to calls[first[i + 1] - 1]. */
struct graph {
    size_t services;
    const char **names;
    json_t *index; /* name to number */
    size_t *first;
    const struct workmodel_call **calls;
    ssize_t *callee; /* of calls[i]; NONE: there is none, or the call is never made */
};

static void graph_free(struct graph *graph)
{
    free(graph->names);
    free(graph->first);
    free(graph->calls);
    free(graph->callee);
    json_decref(graph->index);
}

static ssize_t find(const struct graph *graph, const struct workmodel_call *call)
{
    const json_t *number = json_object_getn(graph->index, call->callee, call->length);
    return number ? (ssize_t)json_integer_value(number) : NONE;
}

/* By counting: callers come in order, but K8sParameters and the mesh may not matter to that. */
static void graph_make(const struct workmodel_calls *calls, json_t *model, struct graph *graph)
{
    const char *name;
    json_t *service;

    *graph = (struct graph){.services = json_object_size(model), .index = json_object()};
    graph->names = xcalloc(graph->services + 1, sizeof(*graph->names));
    graph->first = xcalloc(graph->services + 2, sizeof(*graph->first));
    graph->calls = xcalloc(calls->count + 1, sizeof(struct workmodel_call *));
    graph->callee = xcalloc(calls->count + 1, sizeof(*graph->callee));
    size_t i = 0;
    json_object_foreach(model, name, service)
    {
        graph->names[i] = name;
        json_object_set_new(graph->index, name, json_integer((json_int_t)i++));
    }
    for (i = 0; i < calls->count; i++)
        graph->first[calls->items[i].caller + 2]++;
    for (i = 2; i < graph->services + 2; i++)
        graph->first[i] += graph->first[i - 1];
    for (i = 0; i < calls->count; i++) {
        size_t at = graph->first[calls->items[i].caller + 1]++;
        graph->calls[at] = &calls->items[i];
        graph->callee[at] = find(graph, &calls->items[i]);
    }
}

static void check_callees(const struct graph *graph, size_t count, struct problems *problems)
{
    for (size_t i = 0; i < count; i++) {
        if (graph->callee[i] != NONE)
            continue;
        const struct workmodel_call *call = graph->calls[i];
        cleanup_free char *name = xstrndup(call->callee, call->length);
        char shown[PLACE_VALUE_MAX];
        json_auto_t *text = json_string(name);
        const char *near = graph->services <= NEAR_SERVICES_MAX && problems->count < PROBLEMS_MAX
                               ? text_nearest(name, graph->names, graph->services)
                               : NULL;
        cleanup_free char *hint =
            near && call->length > 3 ? xasprintf("; did you mean %s?", near) : xstrdup("");
        problem_add(problems, "%s: no service %s in the work model%s", call->origin,
                    text ? place_value(text, shown) : "", hint);
    }
}

/* A depth-first walk without recursion: on[] is the way from its start, at[] the next call of each
 * service on it. */
struct walk {
    const struct graph *graph;
    bool certain; /* along calls alone that every request makes */
    enum { UNSEEN, ON_THE_WAY, DONE } * state;
    size_t *on, *at, depth;
};

/* A service's name as a sentence shows it. */
static void put_name(const struct graph *graph, size_t service, struct buffer *out)
{
    char shown[PLACE_VALUE_MAX];
    json_auto_t *name = json_string(graph->names[service]);

    buffer_puts(out, name ? place_value(name, shown) : "?");
}

static void tell_cycle(const struct walk *walk, size_t call, size_t begin, struct buffer *out)
{
    const struct graph *graph = walk->graph;
    size_t length = walk->depth - begin;

    buffer_printf(out, "%s: ", graph->calls[call]->origin);
    put_name(graph, walk->on[walk->depth - 1], out);
    for (size_t i = 0; i < length && i < SHOWN_MAX; i++) {
        buffer_puts(out, i ? ", which calls " : " calls ");
        put_name(graph, walk->on[begin + i], out);
    }
    if (length > SHOWN_MAX)
        buffer_printf(out, ", and %zu more", length - SHOWN_MAX);
}

/* The call comes back to a service on the way. */
static void cycle(const struct walk *walk, size_t call, json_t *notes, struct problems *problems)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(SENTENCE_BYTES_MAX);
    size_t begin = walk->depth;
    bool certain = walk->graph->calls[call]->certain;

    while (walk->on[begin - 1] != (size_t)walk->graph->callee[call])
        begin--;
    begin--;
    /* The call by which each service on the way was left is the one before its next. */
    for (size_t i = begin; i + 1 < walk->depth; i++)
        certain &= walk->graph->calls[walk->at[i] - 1]->certain;
    if (certain != walk->certain || walk->depth - begin == 1)
        return; /* told by the other walk; a service that calls itself the tables refuse */
    tell_cycle(walk, call, begin, &text);
    if (certain) {
        problem_add(problems, "%s: a request would never end; remove a call",
                    buffer_terminate(&text));
        return;
    }
    buffer_puts(&text, ": a request may come back to where it was; spec.egress.forward.hops "
                       "bounds how often");
    json_array_append_new(notes, json_string_nocheck(buffer_terminate(&text)));
}

static void step(struct walk *walk, json_t *notes, struct problems *problems)
{
    const struct graph *graph = walk->graph;
    size_t service = walk->on[walk->depth - 1], call = walk->at[walk->depth - 1];

    if (call == graph->first[service + 1]) {
        walk->state[service] = DONE;
        walk->depth--;
        return;
    }
    walk->at[walk->depth - 1]++;
    ssize_t callee = graph->callee[call];
    if (callee == NONE || graph->calls[call]->never ||
        (walk->certain && !graph->calls[call]->certain) || walk->state[callee] == DONE)
        return;
    if (walk->state[callee] == ON_THE_WAY) {
        cycle(walk, call, notes, problems);
        return;
    }
    walk->state[callee] = ON_THE_WAY;
    walk->on[walk->depth] = (size_t)callee;
    walk->at[walk->depth++] = graph->first[callee];
}

static void check_cycles(const struct graph *graph, bool certain, json_t *notes,
                         struct problems *problems)
{
    struct walk walk = {.graph = graph, .certain = certain};
    size_t room = graph->services + 1;

    walk.state = xcalloc(room, sizeof(*walk.state));
    walk.on = xcalloc(room, sizeof(*walk.on));
    walk.at = xcalloc(room, sizeof(*walk.at));
    for (size_t i = 0; i < graph->services; i++) {
        if (walk.state[i] != UNSEEN)
            continue;
        walk.state[i] = ON_THE_WAY;
        walk.on[0] = i;
        walk.at[0] = graph->first[i];
        walk.depth = 1;
        while (walk.depth > 0)
            step(&walk, notes, problems);
    }
    free(walk.state);
    free(walk.on);
    free(walk.at);
}

void workmodel_check_calls(const struct workmodel_calls *calls, json_t *model, json_t *notes,
                           struct problems *problems)
{
    struct graph graph;

    graph_make(calls, model, &graph);
    check_callees(&graph, calls->count, problems);
    check_cycles(&graph, true, notes, problems);
    check_cycles(&graph, false, notes, problems);
    graph_free(&graph);
}
