/* `dpumesh predict -f`: a whole application. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "ctl/documents.h"
#include "ctl/local/supervisor.h"
#include "ctl/predict.h"
#include "ctl/predict_mesh.h"
#include "ctl/predict_work.h"
#include "ctl/table.h"
#include "spec/profile.h"

/* What one core simulates in some minutes. */
static const double crossings_max = 1e9;

struct prediction {
    const struct predict_options *options;
    const struct application *application;
    struct predict_mesh plan;
    double crossings; /* of a request, in the mean */
    size_t count;     /* rates */
    struct mesh_load *loads;
    struct mesh_result *results;
    struct mesh_service_result *services; /* of each rate, one for each service */
};

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
        total.refused_per_s += services[i].refused_per_s;
        total.datapath_cores += services[i].datapath_cores;
        total.work_cores += services[i].work_cores;
        total.dpu_cores += services[i].dpu_cores;
        total.dma_busy += services[i].dma_busy;
    }
    return total;
}

/* ---- output ---- */

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

static json_t *service_json(const struct prediction *prediction, size_t rate, size_t service)
{
    const struct mesh_service_result *result = &services_of(prediction, rate)[service];

    return json_pack(
        "{s:s, s:s, s:s, s:i, s:f, s:f, s:o, s:f, s:f}", "name", name_of(prediction, service),
        "mode", predict_mesh_mode(&prediction->plan, service), "profile",
        profile_of(prediction, service), "replicas",
        (int)prediction->plan.services[service].replicas, "requests_per_s", result->requests_per_s,
        "refused_per_s", result->refused_per_s, "host_cores", cores_json(result), "dpu_cores",
        result->dpu_cores, "dma_units_busy", result->dma_busy);
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

static json_t *rate_json(const struct prediction *prediction, size_t rate)
{
    const struct mesh_result *result = &prediction->results[rate];
    struct mesh_service_result total = total_of(prediction, rate);
    json_t *services = json_array();

    for (size_t i = 0; i < prediction->plan.mesh.count; i++)
        json_array_append_new(services, service_json(prediction, rate, i));
    return json_pack("{s:s, s:f, s:f, s:f, s:o, s:f, s:f, s:{s:f, s:f, s:f, s:f, s:f}, s:f, s:f, "
                     "s:o, s:o, s:I, s:f}",
                     "entry", name_of(prediction, prediction->plan.entry), "crossings",
                     prediction->crossings, "offered_per_s", prediction->loads[rate].rate_per_s,
                     "achieved_per_s", result->achieved_per_s, "host_cores", cores_json(&total),
                     "dpu_cores", total.dpu_cores, "dma_units_busy", total.dma_busy, "latency_us",
                     "mean", result->mean_us, "p50", result->p50_us, "p90", result->p90_us, "p99",
                     result->p99_us, "p999", result->p999_us, "drop_fraction",
                     result->refused_fraction, "failed_fraction", result->failed_fraction,
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

static void csv_row(const struct prediction *prediction, size_t rate, const char *service,
                    const struct mesh_service_result *of_service)
{
    const struct mesh_result *result = &prediction->results[rate];

    printf("%.10g,%s,%.10g,%.10g,%.6f,%.6f,%.6f,%.6f,%.3f,%.3f,%.3f,%.3f,%.6f,%.6f\n",
           prediction->loads[rate].rate_per_s, service, result->achieved_per_s,
           of_service->requests_per_s, of_service->datapath_cores, of_service->work_cores,
           of_service->dpu_cores, of_service->dma_busy, result->p50_us, result->p90_us,
           result->p99_us, result->p999_us, result->refused_fraction, result->failed_fraction);
}

static void print_csv(const struct prediction *prediction)
{
    puts("offered,service,achieved,requests,datapath,work,dpu,dma,p50,p90,p99,p999,drop,failed");
    for (size_t rate = 0; rate < prediction->count; rate++) {
        struct mesh_service_result total = total_of(prediction, rate);
        for (size_t i = 0; i < prediction->plan.mesh.count; i++)
            csv_row(prediction, rate, name_of(prediction, i), &services_of(prediction, rate)[i]);
        csv_row(prediction, rate, "total", &total);
    }
}

static void print_rates(const struct prediction *prediction)
{
    static const char *const titles[] = {">OFFERED/S",  ">ACHIEVED/S", ">P50 MS",  ">P90 MS",
                                         ">P99 MS",     ">P99.9 MS",   ">DROPPED", ">FAILED",
                                         ">HOST CORES", ">DPU CORES"};
    cleanup_table struct table table = TABLE_INIT;

    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        table_column(&table, titles[i]);
    for (size_t i = 0; i < prediction->count; i++) {
        const struct mesh_result *result = &prediction->results[i];
        struct mesh_service_result total = total_of(prediction, i);
        table_cell(&table, "%.0f", prediction->loads[i].rate_per_s);
        table_cell(&table, "%.0f", result->achieved_per_s);
        table_cell(&table, "%.3f", result->p50_us / 1e3);
        table_cell(&table, "%.3f", result->p90_us / 1e3);
        table_cell(&table, "%.3f", result->p99_us / 1e3);
        table_cell(&table, "%.3f", result->p999_us / 1e3);
        table_cell(&table, "%.3f%%", 100 * result->refused_fraction);
        table_cell(&table, "%.3f%%", 100 * result->failed_fraction);
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

static void print_text(const struct prediction *prediction)
{
    const struct work_cost *cost = &prediction->plan.mesh.cost;
    const struct mesh_result *last = &prediction->results[prediction->count - 1];

    printf("%s: a request crosses data paths %.4g times\n",
           name_of(prediction, prediction->plan.entry), prediction->crossings);
    print_rates(prediction);
    for (size_t i = 0; i < prediction->count; i++)
        print_services(prediction, i);
    if (cost->count > 0)
        printf("\ndigits of pi, %s: %g take %.4g us of CPU, %g take %.4g us\n",
               prediction->options->digit_cost ? "as given" : "measured on this machine",
               cost->point[0].digits, cost->point[0].cpu_ns / 1e3,
               cost->point[cost->count - 1].digits, cost->point[cost->count - 1].cpu_ns / 1e3);
    if (last->simulated_s < 0.999 * (double)prediction->options->duration_ns / 1e9)
        printf("sampled: up to %lu requests a rate, not the whole duration\n",
               (unsigned long)prediction->options->sample);
}

/* ---- the run ---- */

/* What computing costs, when anything computes. 0, or -EINVAL and a sentence. */
static int find_cost(struct prediction *prediction, struct error **err)
{
    struct predict_mesh *plan = &prediction->plan;

    if (prediction->options->digit_cost)
        return error_prefix(
            err, predict_parse_work(prediction->options->digit_cost, &plan->mesh.cost, err),
            "--digit-cost");
    if (plan->digits_max > 0)
        predict_measure_work(plan->digits_max, &plan->mesh.cost);
    return 0;
}

/* Whether it can be simulated in minutes. 0, or -EINVAL and a sentence. */
static int check_size(const struct prediction *prediction, struct error **err)
{
    for (size_t i = 0; i < prediction->count; i++) {
        const struct mesh_load *load = &prediction->loads[i];
        double requests = load->rate_per_s * load->duration_s;
        if (load->requests_max > 0)
            requests = fmin(requests, (double)load->requests_max);
        if (requests * prediction->crossings > crossings_max)
            return error_make(err, EINVAL,
                              "%.0f requests of %.4g crossings each are more than %g crossings; "
                              "add --sample N or give a shorter --duration",
                              requests, prediction->crossings, crossings_max);
    }
    return 0;
}

static void set_loads(struct prediction *prediction, const struct predict_values *rates,
                      double frame_bytes)
{
    const struct predict_options *options = prediction->options;

    prediction->count = rates->count;
    prediction->loads = xcalloc(rates->count, sizeof *prediction->loads);
    prediction->results = xcalloc(rates->count, sizeof *prediction->results);
    prediction->services =
        xcalloc(rates->count * prediction->plan.mesh.count, sizeof *prediction->services);
    for (size_t i = 0; i < rates->count; i++)
        prediction->loads[i] = (struct mesh_load){.entry = prediction->plan.entry,
                                                  .rate_per_s = rates->value[i],
                                                  .poisson = options->arrivals == 1,
                                                  .connections = options->connections,
                                                  .request_bytes = frame_bytes,
                                                  .duration_s = (double)options->duration_ns / 1e9,
                                                  .requests_max = options->sample,
                                                  .seed = options->seed};
}

static void prediction_free(struct prediction *prediction)
{
    predict_mesh_free(&prediction->plan);
    free(prediction->loads);
    free(prediction->results);
    free(prediction->services);
}

/* The application as it is to be simulated. 0, or -EINVAL and sentences. */
static int make_plan(const struct predict_options *options, struct prediction *prediction,
                     struct problems *problems)
{
    struct profile profile;
    struct predict_choice choice = {.entry = options->entry,
                                    .mode_given = options->mode > 0,
                                    .egress = (enum predict_egress)options->egress};

    if (choice.mode_given)
        choice.mode = (enum datapath_mode)(options->mode - 1);
    if (options->profile) {
        if (profile_load(options->profile, &profile, problems) < 0)
            return -EINVAL;
        choice.profile = &profile;
        if (profile.kind == PROFILE_DIRECT ||
            (choice.mode_given && profile.kind != datapath_kind(choice.mode))) {
            problem_add(problems, "%s is a profile of kind %s; give one of kind %s",
                        options->profile, profile_kinds[profile.kind],
                        choice.mode_given ? datapath_mode_names[choice.mode]
                                          : "sidecar or dpu, or --mode direct without one");
            return -EINVAL;
        }
    }
    if (predict_mesh_make(prediction->application, &choice, &prediction->plan, problems) < 0)
        return -EINVAL;
    for (size_t i = 0; i < prediction->application->count; i++)
        if (predict_mesh_leaves_out_faults(prediction->application->services[i], &choice))
            fprintf(stderr,
                    "dpumesh: %s: egress.faults are left out: here simulated calls take their "
                    "latency and are answered\n",
                    prediction->application->services[i]->name);
    return 0;
}

int predict_application(const struct predict_options *options, const struct predict_values *rates,
                        double frame_bytes)
{
    cleanup_application struct application application = APPLICATION_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_error struct error *err = NULL;
    CLEANUP(prediction_free)
    struct prediction prediction = {.options = options, .application = &application};
    int status;

    if (documents_open(&options->files, NULL, &application, &status, &err) < 0)
        return status;
    if (make_plan(options, &prediction, &problems) < 0) {
        problems_print(&problems, stderr, "dpumesh: ");
        return STATUS_USAGE;
    }
    prediction.crossings = mesh_crossings(&prediction.plan.mesh, prediction.plan.entry);
    set_loads(&prediction, rates, frame_bytes);
    if (check_size(&prediction, &err) < 0 || find_cost(&prediction, &err) < 0) {
        fprintf(stderr, "dpumesh: %s\n", error_message(err));
        return STATUS_USAGE;
    }
    for (size_t i = 0; i < prediction.count; i++)
        mesh_simulate(&prediction.plan.mesh, &prediction.loads[i], &prediction.results[i],
                      prediction.services + i * prediction.plan.mesh.count);
    if (options->json)
        print_json(&prediction);
    else if (options->csv)
        print_csv(&prediction);
    else
        print_text(&prediction);
    return STATUS_OK;
}
