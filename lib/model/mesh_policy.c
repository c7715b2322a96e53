/* What a replica lets through, refuses, delays and aborts on purpose, and what that costs a proxy.
 */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "model/mesh_private.h"
#include "model/path.h"

void mesh_policy_init(struct mesh_run *run, uint32_t index)
{
    struct mesh_replica *replica = &run->replicas[index];
    const struct mesh_service *service = mesh_service_of(run, index);

    if (service->policy.source.rate_per_s > 0)
        replica->sources = xcalloc(service->policy.sources_max + 1u, sizeof *replica->sources);
    replica->callees = xcalloc(service->destination_count, sizeof *replica->callees);
    for (unsigned i = 0; i < service->destination_count; i++) {
        char name[sizeof index + sizeof i];
        __builtin_memcpy(name, &index, sizeof index);
        __builtin_memcpy(name + sizeof index, &i, sizeof i);
        replica->callees[i].stream = outside_stream(run->load->seed, name, sizeof name);
    }
}

void mesh_policy_release(struct mesh_replica *replica)
{
    free(replica->sources);
    free(replica->callees);
}

/* ---- what they cost ---- */

double mesh_policies_ns(const struct mesh_run *run, uint32_t replica, unsigned policies)
{
    const struct profile *profile = mesh_service_of(run, replica)->profile;

    return profile ? policies * profile->value[PROFILE_POLICY_NS] : 0;
}

/*
 * The proxy's work alone on a request or call and a short message beside it, which nobody waits
 * for: a DPU's Arm, or in a sidecar one round, for who has woken up to read answers as well. A
 * sidecar that is full does without, as the agent's.
 */
static void spend(struct mesh_run *run, uint32_t index, enum pod_direction direction,
                  unsigned policies)
{
    const struct profile *profile = mesh_service_of(run, index)->profile;
    struct mesh_replica *replica = &run->replicas[index];
    double bytes = fmax(run->load->request_bytes, MESH_BYTES_MIN);
    double more_ns = mesh_policies_ns(run, index, policies);

    if (!profile)
        return;
    if (profile->kind == PROFILE_DPU)
        pod_spend_arm(&replica->pod, direction, run->now_ns,
                      path_arm_ns(profile, bytes) + path_arm_ns(profile, MESH_BYTES_MIN) + more_ns);
    else if (mesh_path_has_room(run, replica, direction))
        mesh_cross(run, index, direction, MESH_NOBODY, bytes,
                   more_ns + path_host_ns(profile, MESH_BYTES_MIN, direction == POD_OUT));
}

void mesh_spend_refusal(struct mesh_run *run, uint32_t replica)
{
    spend(run, replica, POD_IN, mesh_service_of(run, replica)->policies);
}

void mesh_spend_retry(struct mesh_run *run, uint32_t replica)
{
    spend(run, replica, POD_OUT, 1);
}

/* ---- what they do ---- */

static bool over_rate(struct bucket *bucket, const struct mesh_rate *rate, double now_ns)
{
    return rate->rate_per_s > 0 &&
           !bucket_take(bucket, rate->rate_per_s, rate->burst, (uint64_t)now_ns);
}

/* The bucket of everybody, then that of this source; a refusal costs no token of the other. */
static bool rate_limited(struct mesh_run *run, struct mesh_replica *replica, uint32_t call)
{
    const struct mesh_policy *policy = &run->mesh->services[replica->service].policy;

    if (over_rate(&replica->service_bucket, &policy->service, run->now_ns))
        return true;
    if (!replica->sources)
        return false;
    uint32_t source = call == SLOT_NONE ? 0 : mesh_call_at(run, call)->replica + 1;
    if (source > policy->sources_max)
        source = policy->sources_max;
    bool over = over_rate(&replica->sources[source], &policy->source, run->now_ns);
    if (over && policy->service.rate_per_s > 0)
        bucket_give(&replica->service_bucket);
    return over;
}

static struct mesh_verdict draw_faults(struct mesh_run *run, const struct mesh_policy *policy)
{
    struct mesh_verdict verdict = {.end = MESH_GOOD};

    for (unsigned i = 0; i < policy->fault_count && verdict.end == MESH_GOOD; i++) {
        const struct mesh_fault *fault = &policy->faults[i];
        if (random_unit(&run->faults) < fault->delay_fraction)
            verdict.delay_ns += fault->delay_ns;
        if (random_unit(&run->faults) < fault->abort_fraction) {
            verdict.end = MESH_ABORTED;
            verdict.status = fault->abort_status;
        }
    }
    return verdict;
}

struct mesh_verdict mesh_policy_judge(struct mesh_run *run, uint32_t index, uint32_t call)
{
    struct mesh_replica *replica = &run->replicas[index];
    const struct mesh_policy *policy = &mesh_service_of(run, index)->policy;
    struct mesh_count *count = mesh_count_of(run, index);

    if (rate_limited(run, replica, call)) {
        count->rate_limited++;
        return (struct mesh_verdict){.end = MESH_REFUSED, .status = 429};
    }
    if (policy->concurrency > 0 && replica->inside >= policy->concurrency) {
        count->concurrency_limited++;
        return (struct mesh_verdict){.end = MESH_REFUSED, .status = policy->concurrency_status};
    }
    return draw_faults(run, policy);
}
