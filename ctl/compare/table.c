/* A comparison as a table for people: a row a figure, a column a data path. */
#include <ctype.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/compare/figures.h"
#include "ctl/compare/report.h"
#include "ctl/compare/rows.h"
#include "ctl/table.h"
#include "ctl/terminal.h"

const json_t *compare_run_of(const json_t *runs, const char *mode)
{
    size_t i;
    json_t *run;
    json_array_foreach(runs, i, run)
    {
        const char *its = json_string_value(json_object_get(run, "mode"));
        if (its && strcmp(its, mode) == 0)
            return run;
    }
    return NULL;
}

static double number_of(const json_t *run, const char *key)
{
    return json_number_value(json_object_get(run, key));
}

/* dpu's latency less sidecar's. */
static json_t *later(const json_t *sidecar, const json_t *dpu, const char *quantile)
{
    const json_t *with = json_object_get(json_object_get(dpu, "latency_us"), quantile);
    const json_t *without = json_object_get(json_object_get(sidecar, "latency_us"), quantile);
    return with && without ? json_real(json_number_value(with) - json_number_value(without))
                           : json_null();
}

/* The cores that a stage takes of the sidecar's host, less those of the DPU's. */
static double saved_in(const json_t *sidecar, const json_t *dpu, const char *stage)
{
    double with = compare_figures_of(sidecar, "host_cpu_s", stage) / number_of(sidecar, "seconds");
    return with - compare_figures_of(dpu, "host_cpu_s", stage) / number_of(dpu, "seconds");
}

json_t *compare_saving(const json_t *runs)
{
    const json_t *sidecar = compare_run_of(runs, "sidecar"), *dpu = compare_run_of(runs, "dpu");
    if (!sidecar || !dpu)
        return json_null();
    double all = number_of(sidecar, "host_cores"), saved = all - number_of(dpu, "host_cores");
    return json_pack(
        "{s:f, s:f, s:f, s:f, s:o, s:f, s:o, s:o}", "host_cores", saved, "datapath_cores",
        saved_in(sidecar, dpu, "datapath"), "network_cores", saved_in(sidecar, dpu, "io"),
        "host_us_per_request",
        number_of(sidecar, "host_us_per_request") - number_of(dpu, "host_us_per_request"),
        "host_share", all > 0 ? json_real(saved / all) : json_null(), "modelled_cores",
        number_of(sidecar, "host_modelled_cores") - number_of(dpu, "host_modelled_cores"), "p50_us",
        later(sidecar, dpu, "p50"), "p99_us", later(sidecar, dpu, "p99"));
}

static void title_row(struct table *table, const json_t *runs)
{
    size_t i;
    json_t *run;
    table_column(table, "");
    json_array_foreach(runs, i, run)
    {
        cleanup_free char *title =
            xasprintf(">%s%s", json_string_value(json_object_get(run, "mode")),
                      json_is_true(json_object_get(run, "host_busy")) ? " *" : "");
        for (char *c = title; *c; c++)
            *c = (char)toupper((unsigned char)*c);
        table_column(table, title);
    }
}

static void profile_row(struct table *table, const json_t *runs)
{
    size_t i;
    json_t *run;
    table_cell(table, "profile");
    json_array_foreach(runs, i, run)
    {
        const char *name = json_string_value(json_object_get(run, "profile"));
        table_cell(table, "%s", name && *name ? name : "-");
    }
}

/* A row of figures, or of one of its labels. */
static void figure_row(struct table *table, const json_t *runs, const struct compare_row *row,
                       const char *label)
{
    char text[COMPARE_NUMBER_MAX];
    size_t i;
    json_t *run;

    table_cell(table, "%s%s", label ? "  " : "", label ? label : row->title);
    json_array_foreach(runs, i, run)
        table_cell(table, "%s", compare_row_text(row, run, label, text));
}

static void figure_rows(struct table *table, const json_t *runs, const struct compare_row *row)
{
    size_t i;
    json_t *label;

    figure_row(table, runs, row, NULL);
    if (!row->parts)
        return;
    json_auto_t *labels = compare_row_labels(row, runs);
    json_array_foreach(labels, i, label) figure_row(table, runs, row, json_string_value(label));
}

char *compare_saving_parts(const json_t *saving)
{
    double datapath = number_of(saving, "datapath_cores"),
           network = number_of(saving, "network_cores");
    return xasprintf(
        "of it %.3f on the data path, where the profiles say %.3f, %.3f on the network, "
        "which a DPU takes over, and %.3f elsewhere",
        datapath, number_of(saving, "modelled_cores"), network,
        number_of(saving, "host_cores") - datapath - network);
}

static void print_saving(const json_t *saving, FILE *file)
{
    const json_t *share = json_object_get(saving, "host_share");
    const json_t *p50 = json_object_get(saving, "p50_us"), *p99 = json_object_get(saving, "p99_us");
    double cores = number_of(saving, "host_cores");

    if (!json_is_object(saving))
        return;
    fprintf(file, "\nAgainst the sidecar the DPU %s %.3f host cores",
            cores >= 0 ? "saves" : "costs", cores >= 0 ? cores : -cores);
    if (json_is_number(share))
        fprintf(file, " (%.0f %%)", json_number_value(share) * (cores >= 0 ? 100 : -100));
    cleanup_free char *parts = compare_saving_parts(saving);
    fprintf(file, ", %.1f us a request:\n%s.\n",
            number_of(saving, "host_us_per_request") * (cores >= 0 ? 1 : -1), parts);
    if (json_is_number(p50) && json_is_number(p99))
        fprintf(file, "Latency: p50 %+.3f ms, p99 %+.3f ms.\n", json_number_value(p50) / 1e3,
                json_number_value(p99) / 1e3);
}

static void print_marks(const json_t *runs, FILE *file)
{
    size_t i;
    json_t *run;
    json_array_foreach(runs, i, run)
    {
        if (!json_is_true(json_object_get(run, "host_busy")))
            continue;
        fprintf(file,
                "%s* %s: an agent said that this machine was too busy to keep the model's time; "
                "its figures are not the model's%s\n",
                terminal_style(file, STYLE_YELLOW), json_string_value(json_object_get(run, "mode")),
                terminal_style(file, STYLE_NONE));
    }
}

void compare_print(const json_t *comparison, FILE *file)
{
    const json_t *runs = json_object_get(comparison, "runs");
    cleanup_table struct table table = TABLE_INIT;

    title_row(&table, runs);
    profile_row(&table, runs);
    for (size_t i = 0; i < compare_row_count; i++)
        figure_rows(&table, runs, &compare_rows[i]);
    table_print(&table, file);
    print_saving(json_object_get(comparison, "saving"), file);
    print_marks(runs, file);
}
