/*
 * Private to the tables of a DpuService: the parts of spec that have a file of their own. All of
 * them lie in struct dpuservice.
 */
#ifndef DPUMESH_SPEC_DPUSERVICE_PRIVATE_H
#define DPUMESH_SPEC_DPUSERVICE_PRIVATE_H

#include "spec/dpuservice.h"

/* dpuservice_pods.c: what a replica's pod is given, where it may run, how many may go. */
extern const struct record resources_record, pod_template_record, disruption_budget_record;

/* dpuservice_scaling.c: how many there should be. */
extern const struct record autoscaling_record;

/* The same as the pod's own word for it: what the autoscaler measures processor use against. */
#define AUTOSCALED_CPU_RULE                                                                        \
    "!has(self.autoscaling) || (has(self.autoscaling.metrics) && "                                 \
    "!self.autoscaling.metrics.exists(m, m.signal == 'cpu' && has(m.averageUtilization))) || "     \
    "(has(self.resources) && ((has(self.resources.requests) && 'cpu' in "                          \
    "self.resources.requests) || (has(self.resources.limits) && 'cpu' in self.resources.limits)))"

/* A rule of spec: who scales by processor use must know what a replica asks for. */
void check_autoscaled_cpu(const void *record, json_t *object, const struct place *place,
                          struct problems *problems);

/* The utilisation of a DPU needs one. */
#define AUTOSCALED_DPU_RULE                                                                        \
    "!has(self.autoscaling) || !has(self.autoscaling.metrics) || self.datapath.mode == 'dpu' || "  \
    "!self.autoscaling.metrics.exists(m, m.signal == 'dpuUtilization')"
#define AUTOSCALED_DPU_SENTENCE                                                                    \
    "dpuUtilization needs a DPU; give another signal, or datapath.mode dpu"
void check_autoscaled_dpu(const void *record, json_t *object, const struct place *place,
                          struct problems *problems);

/* Labels that the operator gives to pods, so that nobody else may. NULL-terminated. */
extern const char *const reserved_labels[];

#endif
