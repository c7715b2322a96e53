/* `dpumesh predict -f`: a whole application. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "ctl/documents.h"
#include "ctl/local/supervisor.h"
#include "ctl/predict_prediction.h"
#include "ctl/predict_work.h"
#include "spec/profile.h"

/* What one core simulates in some minutes. */
static const double crossings_max = 1e9;

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

/* Whether there is something to simulate, and in minutes. 0, or -EINVAL and a sentence. */
static int check_size(const struct prediction *prediction, struct error **err)
{
    for (size_t i = 0; i < prediction->count; i++) {
        const struct mesh_load *load = &prediction->loads[i];
        double requests = load->rate_per_s * load->duration_s;
        if (requests < 1)
            return error_make(
                err, EINVAL, "%g requests a second for %g s are less than one; lengthen --duration",
                load->rate_per_s, load->duration_s);
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
        if (predict_leaves_out_headers(prediction->application->services[i]))
            fprintf(
                stderr,
                "dpumesh: %s: faults of requests with a header are left out: here no request has "
                "one\n",
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
    prediction_print(&prediction);
    return STATUS_OK;
}
