/*
 * Applications that are predicted: of any documents that are accepted, a plan is made or refused
 * with a sentence, and its simulation ends with figures that add up. The first byte chooses whether
 * calls are simulated or made, the second the data path; the rest are documents.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "ctl/predict_mesh.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is simulated in a moment. */
static const double crossings_max = 300;
enum { REPLICAS_MAX = 60, REQUESTS = 8 };

static void simulate(struct predict_mesh *plan)
{
    cleanup_free struct mesh_service_result *services = xcalloc(plan->mesh.count, sizeof *services);
    struct mesh_load load = {.entry = plan->entry,
                             .rate_per_s = 1000,
                             .poisson = true,
                             .connections = 2,
                             .request_bytes = 100,
                             .duration_s = REQUESTS / 1000.0,
                             .seed = 1};
    struct mesh_result result;
    size_t replicas = 0;

    for (size_t i = 0; i < plan->mesh.count; i++)
        replicas += plan->services[i].replicas;
    if (replicas > REPLICAS_MAX || mesh_crossings(&plan->mesh, plan->entry) > crossings_max)
        return;
    plan->mesh.cost = (struct work_cost){.count = 1, .point = {{100, 10e3}}};
    mesh_simulate(&plan->mesh, &load, &result, services);
    REQUIRE(result.refused_fraction >= 0 && result.failed_fraction >= 0);
    REQUIRE(result.refused_fraction + result.failed_fraction <= 1 + 1e-9);
    /* Only requests that are answered with 200 have a latency. */
    if (isnan(result.p50_us))
        REQUIRE(isnan(result.p90_us) && isnan(result.p999_us) && isnan(result.mean_us));
    else
        REQUIRE(result.p50_us <= result.p90_us && result.p90_us <= result.p999_us);
    for (size_t i = 0; i < plan->mesh.count; i++) {
        REQUIRE(isfinite(services[i].datapath_cores) && services[i].datapath_cores >= 0);
        REQUIRE(isfinite(services[i].work_cores) && services[i].work_cores >= 0);
        REQUIRE(isfinite(services[i].dpu_cores) && services[i].dpu_cores >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_application struct application application = APPLICATION_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_predict_mesh struct predict_mesh plan = PREDICT_MESH_INIT;

    if (size < 2)
        return 0;
    struct predict_choice choice = {.mode_given = data[1] % 4 < 3,
                                    .mode = (enum datapath_mode)(data[1] % 3),
                                    .egress = data[0] % 2 ? PREDICT_FORWARD : PREDICT_SIMULATE};
    if (documents_parse((const char *)data + 2, size - 2, "fuzz.yaml", &documents, &problems) < 0 ||
        application_parse(&documents, "fuzz.yaml", &application, &problems) < 0)
        return 0;
    int r = predict_mesh_make(&application, &choice, &plan, &problems);
    REQUIRE((r < 0) == (problems.count > 0));
    for (size_t i = 0; i < problems.count && i < PROBLEMS_MAX; i++)
        REQUIRE(text_utf8_valid(problems.texts[i], strlen(problems.texts[i])));
    if (r == 0)
        simulate(&plan);
    return 0;
}
