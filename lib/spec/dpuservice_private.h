/*
 * Private to the tables of a DpuService: the parts of spec that have a file of their own. All of
 * them lie in struct dpuservice.
 */
#ifndef DPUMESH_SPEC_DPUSERVICE_PRIVATE_H
#define DPUMESH_SPEC_DPUSERVICE_PRIVATE_H

#include "spec/dpuservice.h"

/* dpuservice_pods.c: what a replica's pod is given, where it may run, how many there may be. */
extern const struct record resources_record, pod_template_record;
extern const struct record autoscaling_record, disruption_budget_record;

/* A rule of spec: who scales by processor use must know what a replica asks for. */
void check_autoscaled_cpu(const void *record, json_t *object, const struct place *place,
                          struct problems *problems);

/* Labels that the operator gives to pods, so that nobody else may. NULL-terminated. */
extern const char *const reserved_labels[];

#endif
