#include "ctl/predict_mesh.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "spec/profile.h"

enum { NAMES_BYTES_MAX = 4096 };

/* The agent cuts an answer at this part of its registered memory. */
static const double answer_share = 1.0 / 16;

static bool find(const struct application *application, const char *name, unsigned *ret)
{
    for (size_t i = 0; i < application->count; i++)
        if (strcmp(application->services[i]->name, name) == 0) {
            *ret = (unsigned)i;
            return true;
        }
    return false;
}

static void find_entry(const struct application *application, const char *name, unsigned *ret,
                       struct problems *problems)
{
    cleanup_buffer struct buffer names = BUFFER_INIT(NAMES_BYTES_MAX);

    if (!name || find(application, name, ret))
        return;
    for (size_t i = 0; i < application->count; i++)
        buffer_printf(&names, "%s%s", i ? ", " : "", application->services[i]->name);
    problem_add(problems, "no service \"%s\" in these files; there are %s", name,
                buffer_terminate(&names));
}

/* The profile of a service's data path; false: it is direct, or there was a problem. */
static bool read_profile(const struct dpuservice *service, const struct predict_choice *choice,
                         struct profile *ret, struct problems *problems)
{
    const struct datapath_choice *written = &service->datapath;
    enum datapath_mode mode = choice->mode_given ? choice->mode : written->mode;
    struct source source = dpuservice_source(service);
    struct place root = PLACE_ROOT(&source), spec = PLACE_KEY(&root, "spec");
    struct place datapath = PLACE_KEY(&spec, "datapath"), at = PLACE_KEY(&datapath, "profile");

    if (choice->profile) {
        *ret = *choice->profile;
        return true;
    }
    if (mode == DATAPATH_DIRECT)
        return false;
    if (mode != written->mode) /* what is written goes with the mode that is written */
        return profile_load(datapath_default_profile(mode), ret, problems) == 0;
    if (written->own)
        return profile_read(written->own, &at, ret, problems) == 0;
    if (!datapath_own_name(written))
        return profile_load(written->profile, ret, problems) == 0;
    place_problem(&at, problems,
                  "%s is not shipped; give its file: --profile FILE, for all services",
                  written->profile);
    return false;
}

static void set_work(const struct dpuservice *service, struct mesh_service *ret,
                     struct problems *problems)
{
    const struct internal_service *internal = &service->workload.internal;
    struct source source = dpuservice_source(service);
    struct place root = PLACE_ROOT(&source), spec = PLACE_KEY(&root, "spec");
    struct place workload = PLACE_KEY(&spec, "workload");
    struct place at = PLACE_KEY(&workload, "internalService");

    ret->threads = service->workers * service->workload.threads;
    ret->digits_min = internal->complexity_min;
    ret->digits_max = internal->complexity_max;
    ret->answer_bytes = 1000 * internal->response_kb;
    ret->answer_max_bytes = answer_share * (double)service->limits.arena_bytes;
    switch (internal->kind) {
    case INTERNAL_NONE:
    case INTERNAL_COLOSSEUM: /* a page that lies ready */
        return;
    case INTERNAL_COMPUTE_PI:
        ret->jobs = ret->trials = 1;
        return;
    case INTERNAL_LOADER:
        ret->jobs = internal->cpu_run ? internal->cpu_threads : 0;
        ret->trials = internal->cpu_trials;
        ret->sleep_ns = internal->sleep_run ? (double)internal->sleep_ns : 0;
        if (!internal->memory_run && !internal->disk_run)
            return;
        break;
    case INTERNAL_PLUGIN:
        break;
    }
    place_problem(&at, problems,
                  "what it costs is not known to predict; give computePi, colosseum, or a loader "
                  "with cpuStress and sleepStress alone");
}

/* Whether a service's calls to a callee are made, or stand for a delay. */
static bool forwards(const struct dpuservice *service, const struct egress_destination *special,
                     const struct predict_choice *choice)
{
    if (choice->egress == PREDICT_AS_WRITTEN)
        return egress_forwards(&service->egress, special);
    return choice->egress == PREDICT_FORWARD;
}

static const struct egress_destination *special_of(const struct dpuservice *service,
                                                   const struct external_call *call)
{
    return egress_destination(&service->egress, call->service, strlen(call->service));
}

/* Appends the service's groups and calls to those of the others. */
static void set_calls(const struct application *application, const struct dpuservice *service,
                      const struct predict_choice *choice, struct predict_mesh *plan,
                      struct mesh_service *ret, struct problems *problems)
{
    const struct workload_settings *workload = &service->workload;
    struct source source = dpuservice_source(service);
    struct place at = PLACE_ROOT(&source);

    ret->groups = plan->groups + plan->group_count;
    ret->group_count = (unsigned)workload->group_count;
    for (size_t i = 0; i < workload->group_count; i++) {
        const struct external_group *group = &workload->groups[i];
        struct mesh_call *calls = plan->calls + plan->call_count;
        plan->groups[plan->group_count++] =
            (struct mesh_group){group->seq_len, (unsigned)group->call_count, calls};
        plan->call_count += group->call_count;
        for (size_t j = 0; j < group->call_count; j++) {
            const struct external_call *call = &group->calls[j];
            calls[j] = (struct mesh_call){
                .forward = forwards(service, special_of(service, call), choice),
                .probability = call->probability,
                .destination = predict_destination(service, call->service, plan, ret)};
            if (find(application, call->service, &calls[j].callee) || !calls[j].forward)
                continue;
            place_problem(&at, problems,
                          "it calls %s, which answers elsewhere: what that takes is not known to "
                          "predict; give --egress simulate",
                          call->service);
            calls[j].forward = false; /* one cause, one problem */
        }
    }
}

/* Room for the groups and calls of all services. */
static void make_room(const struct application *application, struct predict_mesh *plan)
{
    size_t groups = 0, calls = 0, faults = 0;

    for (size_t i = 0; i < application->count; i++) {
        const struct workload_settings *workload = &application->services[i]->workload;
        groups += workload->group_count;
        faults += application->services[i]->policy.fault_count;
        for (size_t g = 0; g < workload->group_count; g++)
            calls += workload->groups[g].call_count;
    }
    plan->services = xcalloc(application->count, sizeof *plan->services);
    plan->profiles = xcalloc(application->count, sizeof *plan->profiles);
    plan->groups = xcalloc(groups, sizeof *plan->groups);
    plan->calls = xcalloc(calls, sizeof *plan->calls);
    plan->faults = xcalloc(faults, sizeof *plan->faults);
    plan->destinations = xcalloc(calls, sizeof *plan->destinations);
    plan->names = xcalloc(calls, sizeof *plan->names);
}

static void set_service(const struct application *application, size_t index,
                        const struct predict_choice *choice, struct predict_mesh *plan,
                        struct problems *problems)
{
    const struct dpuservice *service = application->services[index];
    struct mesh_service *ret = &plan->services[index];

    *ret = (struct mesh_service){.replicas = service->replicas,
                                 .latency = service->egress.latency,
                                 .egress_workers = service->egress.workers,
                                 .egress_queue = service->queues.egress_sq,
                                 .timeout_ns = (double)service->egress.timeout_ns,
                                 .requests_max = service->limits.requests};
    if (read_profile(service, choice, &plan->profiles[index], problems))
        ret->profile = &plan->profiles[index];
    set_work(service, ret, problems);
    predict_set_policy(service, plan, ret);
    set_calls(application, service, choice, plan, ret, problems);
}

/* Says of each service that has no replicas, and of calls that go round. */
static void check(const struct application *application, const struct predict_mesh *plan,
                  struct problems *problems)
{
    cleanup_free unsigned *ring = xcalloc(application->count, sizeof *ring);
    cleanup_buffer struct buffer names = BUFFER_INIT(NAMES_BYTES_MAX);

    for (size_t i = 0; i < application->count; i++) {
        struct source source = dpuservice_source(application->services[i]);
        struct place root = PLACE_ROOT(&source), spec = PLACE_KEY(&root, "spec");
        struct place at = PLACE_KEY(&spec, "replicas");
        if (plan->services[i].replicas == 0)
            place_problem(&at, problems, "nobody answers with 0 replicas; give 1 or more");
    }
    if (isfinite(mesh_crossings(&plan->mesh, plan->entry)))
        return;
    size_t length = mesh_find_ring(&plan->mesh, plan->entry, ring);
    for (size_t i = 0; i < length; i++)
        buffer_printf(&names, "%s, which calls ", application->services[ring[i]]->name);
    problem_add(problems, "calls that are made go round without end: %s%s",
                buffer_terminate(&names), application->services[ring[0]]->name);
}

/* The delay that a network has without any proxy. */
static double path_of_direct(struct problems *problems)
{
    struct profile direct;

    return profile_load("direct", &direct, problems) == 0 ? direct.value[PROFILE_PATH_NS] : 0;
}

/* The most digits that a service computes which requests to the entry come to. */
static unsigned most_digits(const struct predict_mesh *plan)
{
    size_t count = plan->mesh.count, waiting = 1;
    cleanup_free unsigned *stack = xcalloc(count, sizeof *stack);
    cleanup_free bool *seen = xcalloc(count, sizeof *seen);
    unsigned most = 0;

    stack[0] = plan->entry;
    seen[plan->entry] = true;
    while (waiting > 0) {
        const struct mesh_service *service = &plan->services[stack[--waiting]];
        if (service->jobs > 0 && service->digits_max > most)
            most = service->digits_max;
        for (unsigned g = 0; g < service->group_count; g++)
            for (unsigned c = 0; c < service->groups[g].call_count; c++) {
                const struct mesh_call *call = &service->groups[g].calls[c];
                if (!call->forward || seen[call->callee])
                    continue;
                seen[call->callee] = true;
                stack[waiting++] = call->callee;
            }
    }
    return most;
}

int predict_mesh_make(const struct application *application, const struct predict_choice *choice,
                      struct predict_mesh *ret, struct problems *problems)
{
    cleanup_predict_mesh struct predict_mesh plan = PREDICT_MESH_INIT;
    size_t before = problems->count;

    make_room(application, &plan);
    plan.mesh = (struct mesh){.count = application->count,
                              .services = plan.services,
                              .less_path_ns = path_of_direct(problems)};
    find_entry(application, choice->entry, &plan.entry, problems);
    for (size_t i = 0; i < application->count; i++)
        set_service(application, i, choice, &plan, problems);
    check(application, &plan, problems);
    if (problems->count > before)
        return -EINVAL;
    plan.digits_max = most_digits(&plan);
    *ret = plan;
    plan = (struct predict_mesh)PREDICT_MESH_INIT;
    return 0;
}

const char *predict_mesh_mode(const struct predict_mesh *plan, size_t service)
{
    const struct profile *profile = plan->services[service].profile;

    return profile_kinds[profile ? profile->kind : PROFILE_DIRECT];
}

void predict_mesh_free(struct predict_mesh *plan)
{
    free(plan->groups);
    free(plan->calls);
    free(plan->faults);
    free(plan->destinations);
    free(plan->names);
    free(plan->services);
    free(plan->profiles);
    *plan = (struct predict_mesh)PREDICT_MESH_INIT;
}
