#include "spec/samples.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "spec/latency.h"

static const char key[] = "samples";

/* The sample on a line of the text, which is changed; false: there is none. */
static bool take_line(char *line, char **ret_sample)
{
    line[strcspn(line, "#\r")] = '\0';
    while (isspace((unsigned char)*line))
        line++;
    size_t length = strlen(line);
    while (length > 0 && isspace((unsigned char)line[length - 1]))
        line[--length] = '\0';
    *ret_sample = line;
    return length > 0;
}

/* What messages may quote. */
static bool is_text(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)text[i] < ' ' && !strchr("\t\r\n", text[i])) || text[i] == '\0')
            return false;
    return text_utf8_valid(text, length);
}

/* How many there can be. */
static size_t lines_of(const char *text, size_t length)
{
    size_t lines = 1;

    for (size_t i = 0; i < length && lines < DISTRIBUTION_SAMPLES_MAX; i++)
        lines += text[i] == '\n';
    return lines;
}

int samples_parse(const char *text, size_t length, const char *origin,
                  struct distribution_point **ret_table, size_t *ret_count, struct error **err)
{
    cleanup_free char *copy = xstrndup(text, length);
    cleanup_free double *samples = xcalloc(lines_of(text, length), sizeof *samples);
    char *rest = copy, *line, *sample;
    size_t count = 0, number = 0;

    if (!is_text(text, length))
        return error_make(err, EINVAL, "%s: not a text", origin);
    while ((line = strsep(&rest, "\n"))) {
        uint64_t ns;
        number++;
        if (!take_line(line, &sample))
            continue;
        if (count == DISTRIBUTION_SAMPLES_MAX)
            return error_make(err, EINVAL, "%s: more than %d samples", origin,
                              DISTRIBUTION_SAMPLES_MAX);
        if (duration_parse(sample, &ns, err) < 0)
            return error_prefix(err, -EINVAL, "%s:%zu", origin, number);
        if ((double)ns > LATENCY_MAX_NS)
            return error_make(err, EINVAL, "%s:%zu: %s is above 1h", origin, number, sample);
        samples[count++] = (double)ns;
    }
    if (count == 0)
        return error_make(err, EINVAL, "%s: no samples; give a delay such as 12.5ms on each line",
                          origin);
    int r = distribution_from_samples(samples, count, ret_table, err);
    if (r == 0)
        *ret_count = count + 2;
    return r;
}

/* The table as a document has it, with at most so many points. */
static json_t *quantiles_json(const struct distribution_point *table, size_t count, size_t most)
{
    struct distribution all = {
        .kind = DISTRIBUTION_EMPIRICAL, .table = table, .point_count = count};
    json_t *list = json_array();
    char text[DURATION_TEXT_MAX];

    for (size_t i = 0; i < (count < most ? count : most); i++) {
        struct distribution_point point = table[i];
        if (count > most) {
            /* Most steps in the tail; the last of them is its end. */
            double rest = 1 - (double)i / (double)(most - 1);
            point.fraction = 1 - rest * rest * rest;
            point.ns = i + 1 == most ? table[count - 1].ns
                                     : (uint64_t)distribution_quantile_ns(&all, point.fraction);
        }
        duration_format(point.ns, text);
        json_array_append_new(list, json_pack("{s:f, s:s}", "fraction", point.fraction, "delay",
                                              point.ns > 0 ? text : "0s"));
    }
    return list;
}

/* The file that the document at `beside` names. */
static char *path_of(const char *beside, const char *name)
{
    const char *slash = strrchr(beside, '/');

    if (*name == '/' || !slash)
        return xstrdup(name);
    return xasprintf("%.*s/%s", (int)(slash - beside), beside, name);
}

/* Replaces the samples of one latency. */
static void expand(json_t *latency, const char *file, size_t most, const struct place *place,
                   struct problems *problems)
{
    struct place at = PLACE_KEY(place, key);
    const json_t *samples = json_object_get(latency, key);
    cleanup_buffer struct buffer text = BUFFER_INIT(SAMPLES_FILE_BYTES_MAX);
    cleanup_free struct distribution_point *table = NULL;
    cleanup_error struct error *err = NULL;
    size_t count = 0;

    /* After a problem any table will do: one cause, one problem. */
    static const struct distribution_point any[] = {{0, 0}, {1, 0}};

    if (!samples)
        return;
    if (!json_is_string(samples)) {
        place_problem(&at, problems, "must be the name of a file");
    } else if (json_object_get(latency, "quantiles")) {
        place_problem(&at, problems, "quantiles are also given; remove one");
    } else {
        cleanup_free char *path = path_of(file, json_string_value(samples));
        if (file_read(path, &text, &err) < 0 ||
            samples_parse(text.data ? text.data : "", text.length, path, &table, &count, &err) < 0)
            place_problem(&at, problems, "%s", error_message(err));
    }
    json_object_del(latency, key);
    if (!json_object_get(latency, "quantiles"))
        json_object_set_new(latency, "quantiles",
                            table ? quantiles_json(table, count, most) : quantiles_json(any, 2, 2));
}

static bool has_samples(const json_t *latency)
{
    const json_t *parts = json_object_get(latency, "parts");

    if (json_object_get(latency, key))
        return true;
    for (size_t i = 0; i < json_array_size(parts); i++)
        if (json_object_get(json_array_get(parts, i), key))
            return true;
    return false;
}

static json_t *egress_of(const json_t *root)
{
    return json_object_get(json_object_get(root, "spec"), "egress");
}

/* Replaces those of a latency and of its parts; how many quantiles each may have. */
static void expand_all(json_t *latency, const char *file, size_t most, size_t part_most,
                       const struct place *place, struct problems *problems)
{
    json_t *parts = json_object_get(latency, "parts");
    struct place parts_at = PLACE_KEY(place, "parts");

    expand(latency, file, most, place, problems);
    for (size_t i = 0; i < json_array_size(parts); i++) {
        struct place part_at = PLACE_INDEX(&parts_at, i);
        expand(json_array_get(parts, i), file, part_most, &part_at, problems);
    }
}

static bool egress_has_samples(const json_t *egress)
{
    const json_t *destinations = json_object_get(egress, "destinations");
    bool any = has_samples(json_object_get(egress, "latency"));

    for (size_t i = 0; i < json_array_size(destinations); i++)
        any |= has_samples(json_object_get(json_array_get(destinations, i), "latency"));
    return any;
}

int samples_expand(struct document *document, struct problems *problems)
{
    size_t before = problems->count;

    if (!egress_has_samples(egress_of(document->root)))
        return 0;
    /* Trees may share parts: a copy is ours to change. */
    json_t *copy = json_deep_copy(document->root);
    json_decref(document->root);
    document->root = copy;
    const json_t *metadata = json_object_get(copy, "metadata");
    struct source source =
        document_source(document, json_string_value(json_object_get(metadata, "name")));
    struct place root = PLACE_ROOT(&source), spec = PLACE_KEY(&root, "spec");
    struct place egress_at = PLACE_KEY(&spec, "egress"), at = PLACE_KEY(&egress_at, "latency");
    struct place list_at = PLACE_KEY(&egress_at, "destinations");
    const json_t *egress = egress_of(copy), *list = json_object_get(egress, "destinations");
    expand_all(json_object_get(egress, "latency"), document->file, LATENCY_POINTS_MAX,
               LATENCY_PART_POINTS_MAX, &at, problems);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct place item_at = PLACE_INDEX(&list_at, i);
        struct place latency_at = PLACE_KEY(&item_at, "latency");
        expand_all(json_object_get(json_array_get(list, i), "latency"), document->file,
                   LATENCY_ENTRY_POINTS_MAX, LATENCY_ENTRY_PART_POINTS_MAX, &latency_at, problems);
    }
    return problems->count > before ? -EINVAL : 0;
}
