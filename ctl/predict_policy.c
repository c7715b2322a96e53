/* What services let through, and what they say of their callees, as model/mesh.h has it. */
#include <string.h>

#include "ctl/predict_mesh.h"

static struct mesh_rate rate_of(const struct rate_settings *settings)
{
    return (struct mesh_rate){.rate_per_s = settings->rate, .burst = rate_burst(settings)};
}

void predict_set_policy(const struct dpuservice *service, struct predict_mesh *plan,
                        struct mesh_service *ret)
{
    const struct policy_settings *policy = &service->policy;
    struct mesh_fault *faults = plan->faults + plan->fault_count;
    unsigned count = 0;

    for (size_t i = 0; i < policy->fault_count; i++) {
        const struct policy_fault *fault = &policy->faults[i];
        if (!fault->header)
            faults[count++] = (struct mesh_fault){.delay_fraction = fault->delay_percent / 100,
                                                  .delay_ns = (double)fault->delay_ns,
                                                  .abort_fraction = fault->abort_percent / 100,
                                                  .abort_status = fault->abort_status};
    }
    plan->fault_count += count;
    ret->policies = policy_in_force(policy);
    ret->call_policies = egress_has_breakers(&service->egress);
    ret->policy = (struct mesh_policy){.service = rate_of(&policy->rate.service),
                                       .source = rate_of(&policy->rate.source),
                                       .sources_max = service->limits.sources,
                                       .concurrency = policy->concurrency,
                                       .concurrency_status = policy->concurrency_status,
                                       .fault_count = count,
                                       .faults = faults};
}

bool predict_leaves_out_headers(const struct dpuservice *service)
{
    for (size_t i = 0; i < service->policy.fault_count; i++)
        if (service->policy.faults[i].header)
            return true;
    return false;
}

const struct mesh_destination *predict_destination(const struct dpuservice *service,
                                                   const char *name, struct predict_mesh *plan,
                                                   struct mesh_service *ret)
{
    const struct egress_settings *egress = &service->egress;
    const struct egress_destination *special = egress_destination(egress, name, strlen(name));
    size_t first = plan->destination_count - ret->destination_count;

    for (size_t i = first; i < plan->destination_count; i++)
        if (strcmp(plan->names[i], name) == 0)
            return &plan->destinations[i];
    const struct outside_faults *faults = egress_faults(egress, special);
    struct mesh_destination *made = &plan->destinations[plan->destination_count];
    *made = (struct mesh_destination){
        .number = ret->destination_count,
        .latency = egress_latency(egress, special),
        .faults = egress_faults_given(faults) ? faults : NULL,
        .timeout_ns = (double)egress_call_timeout_ns(egress, special),
        .breaker = special && special->breaker_given ? special->breaker : egress->breaker,
        .retries = *egress_retries(egress, special)};
    plan->names[plan->destination_count++] = name;
    ret->destination_count++;
    return made;
}
