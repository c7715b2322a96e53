/*
 * What agents count, added up over the replicas of an application and taken apart from what they
 * had counted before: the families of docs/metrics.md that a comparison is made of. What a page
 * does not have is zero, as for agents whose mode has no DPU.
 *
 *     json_t *before = compare_figures_new(), *after = compare_figures_new();
 *     compare_figures_add(before, page, length, &err);       each replica's page
 *     ...
 *     compare_figures_subtract(after, before);
 *
 * The JSON has a member a family: a number, or an object of numbers by label. Pure; any thread.
 */
#ifndef DPUMESH_CTL_COMPARE_FIGURES_H
#define DPUMESH_CTL_COMPARE_FIGURES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* The members, all there and zero or {}; owned by the caller. */
json_t *compare_figures_new(void);

/* Adds a page's samples. 0, or -EINVAL and a sentence: it is not in the text format. */
int compare_figures_add(json_t *figures, const char *text, size_t length, struct error **err);

/* Takes what was before away from figures. A counter that fell began anew: its value stays. */
void compare_figures_subtract(json_t *figures, const json_t *before);

/* A member's sum over its labels, or its number. */
double compare_figures_sum(const json_t *figures, const char *member);

/* One label of a member; 0 when it is not there. */
double compare_figures_of(const json_t *figures, const char *member, const char *label);

/* What asks an agent for whether the host is too busy, alone; and what its page says. */
#define COMPARE_BUSY_QUERY "/metrics?name%5B%5D=dpumesh_datapath_host_busy"
int compare_figures_busy(const char *text, size_t length, bool *ret_busy, struct error **err);

#endif
