#include "ctl/compare/rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ctl/compare/figures.h"

const struct compare_row compare_rows[] = {
    {"offered/s", NULL, "offered_per_s", 1, false},
    {"achieved/s", NULL, "achieved_per_s", 1, false},
    {"p50 ms", "latency_us", "p50", 1e-3, false},
    {"p90 ms", "latency_us", "p90", 1e-3, false},
    {"p99 ms", "latency_us", "p99", 1e-3, false},
    {"errors", NULL, "errors", 1, false},
    {"unsent", NULL, "unsent", 1, false},
    {"host CPU s, measured", "host_cpu_s", NULL, 1, true},
    {"host CPU s, modelled", "host_cpu_modelled_s", NULL, 1, true},
    {"host cores", NULL, "host_cores", 1, false},
    {"host us a request", NULL, "host_us_per_request", 1, false},
    {"DPU busy s", "dpu_busy_s", NULL, 1, true},
    {"DPU Arm cores", NULL, "dpu_arm_cores", 1, false},
    {"DMA operations", "dma_operations", NULL, 1, false},
    {"DMA MB", "dma_bytes", NULL, 1e-6, false},
    {"interrupts", "interrupts", NULL, 1, false},
    {"full rings", "ring_full", NULL, 1, false},
    {"late crossings", NULL, "late", 1, false},
    {"hand-over CPU s", NULL, "handover_cpu_s", 1, false},
    {"the load's own CPU s", NULL, "client_cpu_s", 1, false},
};
const size_t compare_row_count = sizeof compare_rows / sizeof compare_rows[0];

/* Labels that come first, in this order; others as they come. */
static const char *const first_labels[] = {"application", "workers", "datapath", "io",  "other",
                                           "in",          "out",     "wake",     "arm", "dma"};

static bool any_has(const json_t *runs, const char *member, const char *label)
{
    size_t i;
    json_t *run;
    json_array_foreach(runs, i, run) if (compare_figures_of(run, member, label) != 0) return true;
    return false;
}

static bool is_among(const json_t *labels, const char *label)
{
    size_t i;
    json_t *item;
    json_array_foreach(labels, i,
                       item) if (strcmp(json_string_value(item), label) == 0) return true;
    return false;
}

json_t *compare_row_labels(const struct compare_row *row, const json_t *runs)
{
    json_t *labels = json_array(), *run, *value;
    const char *label;
    size_t i;

    for (i = 0; i < sizeof first_labels / sizeof first_labels[0]; i++)
        if (any_has(runs, row->within, first_labels[i]))
            json_array_append_new(labels, json_string(first_labels[i]));
    json_array_foreach(runs, i, run)
    {
        json_object_foreach(json_object_get(run, row->within), label, value)
        {
            if (!is_among(labels, label) && any_has(runs, row->within, label))
                json_array_append_new(labels, json_string(label));
        }
    }
    return labels;
}

const char *compare_number(double value, char text[COMPARE_NUMBER_MAX])
{
    double size = fabs(value);
    int digits = size >= 1000 || value == rint(value) ? 0 : size >= 10 ? 1 : size >= 0.1 ? 3 : 5;

    snprintf(text, COMPARE_NUMBER_MAX, "%.*f", size < 5e-6 ? 0 : digits, size < 5e-6 ? 0 : value);
    return text;
}

const char *compare_row_text(const struct compare_row *row, const json_t *run, const char *label,
                             char text[COMPARE_NUMBER_MAX])
{
    const char *key = label ? label : row->key;
    const json_t *object = row->within ? json_object_get(run, row->within) : run;

    if (key && !label && !json_is_number(json_object_get(object, key)))
        return memcpy(text, "-", 2);
    double value = key ? json_number_value(json_object_get(object, key))
                       : compare_figures_sum(run, row->within);
    return compare_number(value * row->factor, text);
}
