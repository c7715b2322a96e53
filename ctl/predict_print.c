/* What `dpumesh predict -f` prints: tables, JSON, CSV. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "ctl/predict_prediction.h"
#include "ctl/table.h"

static const struct mesh_service_result *services_of(const struct prediction *prediction,
                                                     size_t rate)
{
    return prediction->services + rate * prediction->plan.mesh.count;
}

static struct mesh_service_result total_of(const struct prediction *prediction, size_t rate)
{
    const struct mesh_service_result *services = services_of(prediction, rate);
    struct mesh_service_result total = {.requests_per_s = 0};

    for (size_t i = 0; i < prediction->plan.mesh.count; i++) {
        total.requests_per_s += services[i].requests_per_s;
        total.ended_per_s += services[i].ended_per_s;
        total.refused_per_s += services[i].refused_per_s;
        total.rate_limited_per_s += services[i].rate_limited_per_s;
        total.concurrency_limited_per_s += services[i].concurrency_limited_per_s;
        total.aborted_per_s += services[i].aborted_per_s;
        total.failed_per_s += services[i].failed_per_s;
        total.calls_per_s += services[i].calls_per_s;
        total.retries_per_s += services[i].retries_per_s;
        total.breaker_refused_per_s += services[i].breaker_refused_per_s;
        total.datapath_cores += services[i].datapath_cores;
        total.work_cores += services[i].work_cores;
        total.dpu_cores += services[i].dpu_cores;
        total.dma_busy += services[i].dma_busy;
    }
    return total;
}

static const char *name_of(const struct prediction *prediction, size_t service)
{
    return prediction->application->services[service]->name;
}

static const char *profile_of(const struct prediction *prediction, size_t service)
{
    const struct profile *profile = prediction->plan.services[service].profile;
    return profile ? profile->name : "-";
}

static json_t *cores_json(const struct mesh_service_result *result)
{
    return json_pack("{s:f, s:f, s:f}", "total", result->datapath_cores + result->work_cores,
                     "datapath", result->datapath_cores, "work", result->work_cores);
}

/* A part of the requests that ended at a service: others began before, or are there yet. */
static double part(const struct mesh_service_result *result, double per_s)
{
    return result->ended_per_s > 0 ? per_s / result->ended_per_s : 0;
}

/* What policies and callees did to a service's requests. */
static json_t *outcomes_json(const struct mesh_service_result *result)
{
    return json_pack(
        "{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "refused_fraction",
        part(result, result->refused_per_s), "aborted_fraction",
        part(result, result->aborted_per_s), "failed_fraction", part(result, result->failed_per_s),
        "rate_limited_per_s", result->rate_limited_per_s, "concurrency_limited_per_s",
        result->concurrency_limited_per_s, "aborted_per_s", result->aborted_per_s, "failed_per_s",
        result->failed_per_s, "calls_per_s", result->calls_per_s, "retries_per_s",
        result->retries_per_s, "breaker_refused_per_s", result->breaker_refused_per_s);
}

static json_t *service_json(const struct prediction *prediction, size_t rate, size_t service)
{
    const struct mesh_service_result *result = &services_of(prediction, rate)[service];

    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:i, s:f, s:f, s:o, s:f, s:f}", "name", name_of(prediction, service),
        "mode", predict_mesh_mode(&prediction->plan, service), "profile",
        profile_of(prediction, service), "replicas",
        (int)prediction->plan.services[service].replicas, "requests_per_s", result->requests_per_s,
        "refused_per_s", result->refused_per_s, "host_cores", cores_json(result), "dpu_cores",
        result->dpu_cores, "dma_units_busy", result->dma_busy);
    json_object_update_new(object, outcomes_json(result));
    return object;
}

static json_t *cost_json(const struct prediction *prediction)
{
    const struct work_cost *cost = &prediction->plan.mesh.cost;
    json_t *points = json_array();

    for (size_t i = 0; i < cost->count; i++)
        json_array_append_new(points, json_pack("{s:f, s:f}", "digits", cost->point[i].digits,
                                                "cpu_us", cost->point[i].cpu_ns / 1e3));
    return json_pack("{s:s, s:o}", "source",
                     cost->count == 0                  ? "none"
                     : prediction->options->digit_cost ? "given"
                                                       : "measured",
                     "points", points);
}

/* Of what went well; null when nothing did. */
static json_t *time_json(double us)
{
    return isnan(us) ? json_null() : json_real(us);
}

static json_t *rate_json(const struct prediction *prediction, size_t rate)
{
    const struct mesh_result *result = &prediction->results[rate];
    struct mesh_service_result total = total_of(prediction, rate);
    json_t *services = json_array();

    for (size_t i = 0; i < prediction->plan.mesh.count; i++)
        json_array_append_new(services, service_json(prediction, rate, i));
    return json_pack("{s:s, s:f, s:f, s:f, s:o, s:f, s:f, s:{s:o, s:o, s:o, s:o, s:o}, s:f, s:f, "
                     "s:f, s:f, s:o, s:o, s:I, s:f}",
                     "entry", name_of(prediction, prediction->plan.entry), "crossings",
                     prediction->crossings, "offered_per_s", prediction->loads[rate].rate_per_s,
                     "achieved_per_s", result->achieved_per_s, "host_cores", cores_json(&total),
                     "dpu_cores", total.dpu_cores, "dma_units_busy", total.dma_busy, "latency_us",
                     "mean", time_json(result->mean_us), "p50", time_json(result->p50_us), "p90",
                     time_json(result->p90_us), "p99", time_json(result->p99_us), "p999",
                     time_json(result->p999_us), "drop_fraction", result->refused_fraction,
                     "aborted_fraction", result->aborted_fraction, "failed_fraction",
                     result->failed_fraction, "success_fraction", result->success_fraction,
                     "services", services, "digit_cost", cost_json(prediction), "requests",
                     (json_int_t)result->requests, "simulated_s", result->simulated_s);
}

static void print_json(const struct prediction *prediction)
{
    json_auto_t *list = json_array();

    for (size_t i = 0; i < prediction->count; i++)
        json_array_append_new(list, rate_json(prediction, i));
    cleanup_free char *text =
        json_dumps(prediction->options->sweep ? list : json_array_get(list, 0),
                   JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    puts(text);
}

/* A time in a line of CSV; nothing when nothing went well. */
static void csv_time(double us)
{
    if (isnan(us))
        putchar(',');
    else
        printf(",%.3f", us);
}

static void csv_row(const struct prediction *prediction, size_t rate, const char *service,
                    const struct mesh_service_result *of_service)
{
    const struct mesh_result *result = &prediction->results[rate];

    printf("%.10g,%s,%.10g,%.10g,%.6f,%.6f,%.6f,%.6f", prediction->loads[rate].rate_per_s, service,
           result->achieved_per_s, of_service->requests_per_s, of_service->datapath_cores,
           of_service->work_cores, of_service->dpu_cores, of_service->dma_busy);
    csv_time(result->p50_us);
    csv_time(result->p90_us);
    csv_time(result->p99_us);
    csv_time(result->p999_us);
    printf(",%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.10g,%.10g,%.10g\n", result->refused_fraction,
           result->failed_fraction, result->aborted_fraction, result->success_fraction,
           part(of_service, of_service->refused_per_s), part(of_service, of_service->aborted_per_s),
           part(of_service, of_service->failed_per_s), of_service->calls_per_s,
           of_service->retries_per_s, of_service->breaker_refused_per_s);
}

static void print_csv(const struct prediction *prediction)
{
    puts("offered,service,achieved,requests,datapath,work,dpu,dma,p50,p90,p99,p999,drop,failed,"
         "aborted,success,service_refused,service_aborted,service_failed,calls,retries,not_called");
    for (size_t rate = 0; rate < prediction->count; rate++) {
        struct mesh_service_result total = total_of(prediction, rate);
        for (size_t i = 0; i < prediction->plan.mesh.count; i++)
            csv_row(prediction, rate, name_of(prediction, i), &services_of(prediction, rate)[i]);
        csv_row(prediction, rate, "total", &total);
    }
}

static void time_cell(struct table *table, double us)
{
    if (isnan(us))
        table_cell(table, "-");
    else
        table_cell(table, "%.3f", us / 1e3);
}

static void print_rates(const struct prediction *prediction)
{
    static const char *const titles[] = {">OFFERED/S", ">ACHIEVED/S", ">P50 MS",     ">P90 MS",
                                         ">P99 MS",    ">P99.9 MS",   ">REFUSED",    ">ABORTED",
                                         ">FAILED",    ">SUCCESS",    ">HOST CORES", ">DPU CORES"};
    cleanup_table struct table table = TABLE_INIT;

    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        table_column(&table, titles[i]);
    for (size_t i = 0; i < prediction->count; i++) {
        const struct mesh_result *result = &prediction->results[i];
        struct mesh_service_result total = total_of(prediction, i);
        table_cell(&table, "%.0f", prediction->loads[i].rate_per_s);
        table_cell(&table, "%.0f", result->achieved_per_s);
        time_cell(&table, result->p50_us);
        time_cell(&table, result->p90_us);
        time_cell(&table, result->p99_us);
        time_cell(&table, result->p999_us);
        table_cell(&table, "%.3f%%", 100 * result->refused_fraction);
        table_cell(&table, "%.3f%%", 100 * result->aborted_fraction);
        table_cell(&table, "%.3f%%", 100 * result->failed_fraction);
        table_cell(&table, "%.3f%%", 100 * result->success_fraction);
        table_cell(&table, "%.3f", total.datapath_cores + total.work_cores);
        table_cell(&table, "%.2f", total.dpu_cores);
    }
    table_print(&table, stdout);
}

static void service_row(struct table *table, const char *name, const char *mode,
                        const char *profile, unsigned replicas,
                        const struct mesh_service_result *result)
{
    table_cell(table, "%s", name);
    table_cell(table, "%s", mode);
    table_cell(table, "%s", profile);
    table_cell(table, "%u", replicas);
    table_cell(table, "%.1f", result->requests_per_s);
    table_cell(table, "%.4f", result->datapath_cores);
    table_cell(table, "%.4f", result->work_cores);
    table_cell(table, "%.3f", result->dpu_cores);
}

static void print_services(const struct prediction *prediction, size_t rate)
{
    static const char *const titles[] = {"SERVICE",     "MODE",        "PROFILE",     ">REPLICAS",
                                         ">REQUESTS/S", ">PATH CORES", ">WORK CORES", ">DPU CORES"};
    cleanup_table struct table table = TABLE_INIT;
    struct mesh_service_result total = total_of(prediction, rate);
    unsigned replicas = 0;

    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        table_column(&table, titles[i]);
    for (size_t i = 0; i < prediction->plan.mesh.count; i++) {
        const struct mesh_service *service = &prediction->plan.services[i];
        replicas += service->replicas;
        service_row(&table, name_of(prediction, i), predict_mesh_mode(&prediction->plan, i),
                    profile_of(prediction, i), service->replicas,
                    &services_of(prediction, rate)[i]);
    }
    service_row(&table, "total", "", "", replicas, &total);
    printf(
        "\nat %.0f requests a second: cores of the host on data paths and on work, of the DPUs\n",
        prediction->loads[rate].rate_per_s);
    table_print(&table, stdout);
}

static void outcome_row(struct table *table, const char *name,
                        const struct mesh_service_result *result)
{
    table_cell(table, "%s", name);
    table_cell(table, "%.1f", result->requests_per_s);
    table_cell(table, "%.3f%%", 100 * part(result, result->refused_per_s));
    table_cell(table, "%.3f%%", 100 * part(result, result->aborted_per_s));
    table_cell(table, "%.3f%%", 100 * part(result, result->failed_per_s));
    table_cell(table, "%.1f", result->calls_per_s);
    table_cell(table, "%.1f", result->retries_per_s);
    table_cell(table, "%.1f", result->breaker_refused_per_s);
}

/* What was refused, aborted, tried again and kept back, where anything was. */
static void print_outcomes(const struct prediction *prediction, size_t rate)
{
    static const char *const titles[] = {"SERVICE", ">REQUESTS/S", ">REFUSED",   ">ABORTED",
                                         ">FAILED", ">CALLS/S",    ">RETRIES/S", ">KEPT BACK/S"};
    cleanup_table struct table table = TABLE_INIT;
    struct mesh_service_result total = total_of(prediction, rate);

    if (total.refused_per_s + total.aborted_per_s + total.failed_per_s + total.retries_per_s == 0)
        return;
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        table_column(&table, titles[i]);
    for (size_t i = 0; i < prediction->plan.mesh.count; i++)
        outcome_row(&table, name_of(prediction, i), &services_of(prediction, rate)[i]);
    outcome_row(&table, "total", &total);
    printf(
        "\nat %.0f requests a second: refused by a limit or for want of room, aborted on purpose, "
        "failed by a call;\ncalls that were made, tried again, kept back by an open breaker\n",
        prediction->loads[rate].rate_per_s);
    table_print(&table, stdout);
}

static void print_text(const struct prediction *prediction)
{
    const struct work_cost *cost = &prediction->plan.mesh.cost;
    const struct mesh_result *last = &prediction->results[prediction->count - 1];

    printf("%s: a request crosses data paths %.4g times\n",
           name_of(prediction, prediction->plan.entry), prediction->crossings);
    print_rates(prediction);
    for (size_t i = 0; i < prediction->count; i++) {
        print_services(prediction, i);
        print_outcomes(prediction, i);
    }
    if (cost->count > 0)
        printf("\ndigits of pi, %s: %g take %.4g us of CPU, %g take %.4g us\n",
               prediction->options->digit_cost ? "as given" : "measured on this machine",
               cost->point[0].digits, cost->point[0].cpu_ns / 1e3,
               cost->point[cost->count - 1].digits, cost->point[cost->count - 1].cpu_ns / 1e3);
    if (last->simulated_s < 0.999 * (double)prediction->options->duration_ns / 1e9)
        printf("sampled: up to %lu requests a rate, not the whole duration\n",
               (unsigned long)prediction->options->sample);
}

void prediction_print(const struct prediction *prediction)
{
    if (prediction->options->json)
        print_json(prediction);
    else if (prediction->options->csv)
        print_csv(prediction);
    else
        print_text(prediction);
}
