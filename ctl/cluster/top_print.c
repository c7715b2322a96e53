#include "ctl/cluster/top_print.h"

#include <math.h>

#include "ctl/table.h"

/* Three significant digits below 100, whole numbers above. */
static void add_figure(struct table *table, const struct top_row *row,
                       const struct top_figure *figure, double scale)
{
    double value = figure->value * scale;
    const char *mark = figure->missing > 0 ? "?" : "";
    if (isnan(value))
        table_cell(table, "%s", row->silent > 0 ? "?" : "-");
    else
        table_cell(table, "%.*f%s", value < 10 ? 2 : value < 100 ? 1 : 0, value, mark);
}

static void add_count(struct table *table, const struct top_row *row,
                      const struct top_figure *figure, double scale)
{
    double value = figure->value * scale;
    if (isnan(value))
        table_cell(table, "%s", row->silent > 0 ? "?" : "-");
    else
        table_cell(table, "%.0f%s", value, figure->missing > 0 ? "?" : "");
}

static void add_queue(struct table *table, const struct top_row *row)
{
    if (isnan(row->queue_depth.value) || isnan(row->queue_capacity.value))
        table_cell(table, "%s", row->silent > 0 ? "?" : "-");
    else
        table_cell(table, "%.0f/%.0f%s", row->queue_depth.value, row->queue_capacity.value,
                   row->queue_depth.missing > 0 ? "?" : "");
}

/* Adds a service's row; how many of its replicas do not keep the DPU model's time. */
static unsigned add_row(struct table *table, const struct top_service *service,
                        const struct top_round *before, bool namespaces)
{
    struct top_row row;
    top_row_make(service, before, &row);
    if (namespaces)
        table_cell(table, "%s", service->namespace);
    table_cell(table, "%s%s", service->name, row.host_busy > 0 ? "*" : "");
    table_cell(table, "%lld/%lld", service->ready, service->wanted);
    add_count(table, &row, &row.requests_per_s, 1);
    add_figure(table, &row, &row.p50_ms, 1);
    add_figure(table, &row, &row.p99_ms, 1);
    add_count(table, &row, &row.in_flight, 1);
    add_queue(table, &row);
    add_count(table, &row, &row.dpu_cores, 1000);
    add_count(table, &row, &row.host_cores, 1000);
    return row.host_busy;
}

void top_print_table(const struct top_round *now, const struct top_round *before, bool namespaces,
                     FILE *file)
{
    static const char *const titles[] = {">READY",    ">REQ/S", ">P50(ms)", ">P99(ms)",
                                         ">INFLIGHT", ">QUEUE", ">DPU(m)",  ">HOST(m)"};
    cleanup_table struct table table = TABLE_INIT;
    if (namespaces)
        table_column(&table, "NAMESPACE");
    table_column(&table, "NAME");
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        table_column(&table, titles[i]);
    unsigned busy = 0;
    for (size_t i = 0; i < now->count; i++)
        busy += add_row(&table, &now->services[i], before, namespaces);
    table_print(&table, file);
    if (busy > 0)
        fprintf(file,
                "* the hosts of %u replicas are too busy to keep the DPU model's time: these "
                "figures are not the model's\n",
                busy);
}

static json_t *number(const struct top_figure *figure)
{
    return isnan(figure->value) ? json_null() : json_real(figure->value);
}

static json_t *row_json(const struct top_service *service, const struct top_round *before)
{
    struct top_row row;
    top_row_make(service, before, &row);
    return json_pack("{s:s, s:s, s:I, s:I, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i}",
                     "namespace", service->namespace, "name", service->name, "ready",
                     (json_int_t)service->ready, "wanted", (json_int_t)service->wanted, "replicas",
                     (int)service->agent_count, "silent", (int)row.silent, "requests_per_s",
                     number(&row.requests_per_s), "p50_ms", number(&row.p50_ms), "p99_ms",
                     number(&row.p99_ms), "in_flight", number(&row.in_flight), "queue_depth",
                     number(&row.queue_depth), "queue_capacity", number(&row.queue_capacity),
                     "dpu_cores", number(&row.dpu_cores), "host_cores", number(&row.host_cores),
                     "host_busy", (int)row.host_busy);
}

json_t *top_print_json(const struct top_round *now, const struct top_round *before,
                       double elapsed_s)
{
    json_t *services = json_array();
    for (size_t i = 0; i < now->count; i++)
        json_array_append_new(services, row_json(&now->services[i], before));
    return json_pack("{s:f, s:o}", "interval_s", elapsed_s, "services", services);
}
