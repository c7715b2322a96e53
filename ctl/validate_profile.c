#include "ctl/validate_profile.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "ctl/local/supervisor.h"
#include "ctl/plot.h"
#include "ctl/table.h"
#include "ctl/terminal.h"
#include "spec/profile.h"

enum metric { HOST, CLIENT, SERVER, ACHIEVED, P99, CEILING, METRICS };

static const char *const metric_names[METRICS] = {
    "host cores", "client cores", "server cores", "achieved", "p99 below saturation", "ceiling"};

enum { SVG_BYTES_MAX = 4 << 20 };

/* Errors of one configuration, or of all. */
struct group {
    struct score_list lists[METRICS];
};

static void group_free(struct group *group)
{
    for (int m = 0; m < METRICS; m++)
        score_list_free(&group->lists[m]);
}

#define cleanup_group CLEANUP(group_free)

static void group_add(struct group *group, const struct score *score)
{
    score_list_add(&group->lists[HOST], fabs(score->host_error));
    score_list_add(&group->lists[CLIENT], fabs(score->client_error));
    score_list_add(&group->lists[SERVER], fabs(score->server_error));
    score_list_add(&group->lists[ACHIEVED], fabs(score->achieved_error));
    if (score->timed)
        score_list_add(&group->lists[P99], exp(fabs(log(score->p99_factor))));
}

/* One profile with its rows. */
struct checked {
    struct profile profile;
    struct measurements rows;
    struct score *scores;
};

/* The rows of one frame size lie together: its group, and in all. */
static void collect(const struct checked *checked, double frame_bytes, struct group *frame,
                    struct group *all)
{
    struct path_means means;

    for (size_t i = 0; i < checked->rows.count; i++) {
        if (checked->scores[i].row->frame_bytes != frame_bytes)
            continue;
        group_add(frame, &checked->scores[i]);
        group_add(all, &checked->scores[i]);
    }
    path_estimate(&checked->profile, frame_bytes, 1, &means);
    double error =
        fabs(means.ceiling_per_s / measurements_ceiling(&checked->rows, frame_bytes) - 1);
    score_list_add(&frame->lists[CEILING], error);
    score_list_add(&all->lists[CEILING], error);
}

/* An error as people read it: a percentage, or a factor for p99. */
static void error_cell(struct table *table, enum metric metric, double error)
{
    if (isnan(error))
        table_cell(table, "-");
    else if (metric == P99)
        table_cell(table, "x%.2f", error);
    else
        table_cell(table, "%.1f%%", 100 * error);
}

static void print_group(struct table *table, const char *config, const char *frame,
                        struct group *group)
{
    for (int m = 0; m < METRICS; m++) {
        struct score_list *list = &group->lists[m];
        if (list->count == 0)
            continue;
        table_cell(table, "%s", config);
        table_cell(table, "%s", frame);
        table_cell(table, "%s", metric_names[m]);
        table_cell(table, "%zu", list->count);
        error_cell(table, (enum metric)m, score_quantile(list->values, list->count, 0.5));
        error_cell(table, (enum metric)m, score_quantile(list->values, list->count, 0.9));
        error_cell(table, (enum metric)m, score_quantile(list->values, list->count, 1));
    }
}

static json_t *group_json(const char *config, double frame_bytes, struct group *group)
{
    json_t *metrics = json_object();

    for (int m = 0; m < METRICS; m++) {
        struct score_list *list = &group->lists[m];
        if (list->count > 0)
            json_object_set_new(metrics, metric_names[m],
                                json_pack("{s:I, s:f, s:f, s:f}", "rows", (json_int_t)list->count,
                                          "median", score_quantile(list->values, list->count, 0.5),
                                          "p90", score_quantile(list->values, list->count, 0.9),
                                          "worst", score_quantile(list->values, list->count, 1)));
    }
    return json_pack("{s:s, s:f, s:o}", "profile", config, "frame_bytes", frame_bytes, "errors",
                     metrics);
}

/* The errors by configuration, frame and metric, and over all. */
static void report_errors(const struct checked *list, size_t count, struct table *table,
                          json_t *groups)
{
    cleanup_group struct group total = {.lists = {SCORE_LIST_INIT}};
    char frame_text[32];

    for (size_t k = 0; k < count; k++) {
        const struct checked *checked = &list[k];
        for (size_t i = 0; i < checked->rows.count; i++) {
            if (!checked->rows.items[i].first)
                continue; /* one row stands for its frame */
            double frame_bytes = checked->rows.items[i].frame_bytes;
            cleanup_group struct group frame = {.lists = {SCORE_LIST_INIT}};
            collect(checked, frame_bytes, &frame, &total);
            snprintf(frame_text, sizeof frame_text, "%.0f", frame_bytes);
            print_group(table, checked->profile.name, frame_text, &frame);
            json_array_append_new(groups, group_json(checked->profile.name, frame_bytes, &frame));
        }
    }
    print_group(table, "all", "all", &total);
    json_array_append_new(groups, group_json("all", 0, &total));
}

static void print_rows(const struct checked *checked)
{
    static const char *const titles[] = {"PROFILE",     ">FRAME",     ">OFFERED/S",
                                         ">HOST CORES", ">PREDICTED", ">ERROR",
                                         ">P99 US",     ">PREDICTED", "ROW"};
    cleanup_table struct table table = TABLE_INIT;

    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        table_column(&table, titles[i]);
    for (size_t i = 0; i < checked->rows.count; i++) {
        const struct score *score = &checked->scores[i];
        const struct measurement *row = score->row;
        bool fitted = plot_fitted(&checked->profile, row);
        table_cell(&table, "%s", checked->profile.name);
        table_cell(&table, "%.0f", row->frame_bytes);
        table_cell(&table, "%.0f", row->offered_per_s);
        table_cell(&table, "%.3f", row->client_cores + row->server_cores);
        table_cell(&table, "%.3f", score->predicted.client_cores + score->predicted.server_cores);
        table_cell(&table, "%+.1f%%", 100 * score->host_error);
        table_cell(&table, "%.0f", row->p99_us);
        table_cell(&table, "%.0f", score->predicted.p99_us);
        table_cell(&table, "%s%s", fitted ? "fitted" : "NOT FITTED", row->clean ? "" : ", full");
    }
    table_print(&table, stdout);
    puts("");
}

static json_t *rows_json(const struct checked *checked)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < checked->rows.count; i++) {
        const struct score *score = &checked->scores[i];
        json_array_append_new(
            rows, json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:b}", "profile",
                            checked->profile.name, "frame_bytes", score->row->frame_bytes,
                            "offered_per_s", score->row->offered_per_s, "host_error",
                            score->host_error, "client_error", score->client_error, "server_error",
                            score->server_error, "achieved_error", score->achieved_error,
                            "p99_factor", score->p99_factor, "clean", score->row->clean, "fitted",
                            plot_fitted(&checked->profile, score->row)));
    }
    return rows;
}

static int write_svg(const char *path, const struct checked *checked,
                     const struct score_settings *settings)
{
    cleanup_buffer struct buffer svg = BUFFER_INIT(SVG_BYTES_MAX);
    struct score_settings quick = *settings;
    cleanup_error struct error *err = NULL;

    if (quick.messages == 0 || quick.messages > 200000)
        quick.messages = 200000; /* a picture shows no more */
    if (plot_validation(&checked->profile, checked->scores, checked->rows.count, &quick, &svg) < 0)
        return complain(STATUS_FAILED, "%s: the picture is larger than %d bytes", path,
                        SVG_BYTES_MAX);
    if (file_write(path, svg.data, svg.length, 0644, &err) < 0)
        return complain(STATUS_FAILED, "%s", error_message(err));
    return STATUS_OK;
}

/* Reads one profile and predicts its rows. 0, or a negative errno and problems. */
static int check(const struct validate_profile *validate, const char *name,
                 const struct measurements *all, const struct score_settings *settings,
                 struct checked *ret, struct problems *problems)
{
    int r = profile_load(name, &ret->profile, problems);

    if (r < 0)
        return r;
    r = measurements_select(all, validate->config ? validate->config : ret->profile.name,
                            &ret->rows, problems);
    if (r < 0)
        return r;
    ret->scores = xcalloc(ret->rows.count, sizeof *ret->scores);
    for (size_t i = 0; i < ret->rows.count; i++)
        ret->scores[i] = score_row(&ret->profile, &ret->rows.items[i], settings);
    cleanup_problems struct problems notes = PROBLEMS_INIT;
    measurements_contradictions(&ret->rows, validate->data, &notes);
    problems_print(&notes, stderr, "dpumesh: ");
    return 0;
}

static void report(const struct validate_profile *validate, const struct checked *list,
                   size_t count)
{
    cleanup_table struct table table = TABLE_INIT;
    static const char *const titles[] = {"PROFILE", ">FRAME", "WHAT",  ">ROWS",
                                         ">MEDIAN", ">P90",   ">WORST"};
    json_auto_t *groups = json_array(), *rows = json_array();

    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        table_column(&table, titles[i]);
    report_errors(list, count, &table, groups);
    for (size_t k = 0; k < count; k++) {
        json_auto_t *more = rows_json(&list[k]);
        json_array_extend(rows, more);
        if (!validate->json)
            print_rows(&list[k]);
    }
    if (!validate->json) {
        table_print(&table, stdout);
        return;
    }
    json_auto_t *root = json_pack("{s:O, s:O}", "groups", groups, "rows", rows);
    cleanup_free char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    puts(text);
}

int validate_profile(const struct validate_profile *validate)
{
    cleanup_measurements struct measurements all = MEASUREMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct score_settings settings = {
        .connections = validate->connections, .messages = validate->messages, .seed = 7};
    size_t count = validate->profiles.count;
    cleanup_free struct checked *list = xcalloc(count, sizeof *list);

    int r = measurements_load(validate->data, &all, &problems);
    for (size_t i = 0; i < count && r == 0; i++)
        r = check(validate, validate->profiles.items[i], &all, &settings, &list[i], &problems);
    int status = STATUS_OK;
    if (r < 0) {
        problems_print(&problems, stderr, "dpumesh: ");
        status = STATUS_USAGE;
    } else {
        report(validate, list, count);
        if (validate->svg)
            status = write_svg(validate->svg, &list[0], &settings);
    }
    for (size_t i = 0; i < count; i++) {
        free(list[i].scores);
        measurements_free(&list[i].rows);
    }
    return status;
}
