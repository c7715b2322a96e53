/* What a DpuService says of its autoscaling, in the words of lib/scale. Pure; any thread. */
#ifndef DPUMESH_OPERATOR_AUTOSCALE_POLICY_H
#define DPUMESH_OPERATOR_AUTOSCALE_POLICY_H

#include "scale/policy.h"
#include "spec/dpuservice.h"

/*
 * The policy of spec.autoscaling, which must be given. What it leaves out is as in
 * scale_policy_default(); without metrics it is cpu at targetCPUUtilization. 0 and *ret_policy,
 * or -EINVAL and a sentence: lib/scale refuses it, which the spec's own bounds should have done.
 */
int autoscale_policy_make(const struct dpuservice *service, struct scale_policy *ret_policy,
                          struct error **err);

/* What 100 percent of a replica's processor use is: its request or, as in Kubernetes without one,
 * its limit, in thousandths of a processor; 0: neither is given. */
int64_t autoscale_cpu_milli(const struct dpuservice *service);

#endif
