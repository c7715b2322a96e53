/*
 * What digits of pi cost on a machine, for predictions of applications that compute them: measured
 * here, or given. One thread.
 */
#ifndef DPUMESH_CTL_PREDICT_WORK_H
#define DPUMESH_CTL_PREDICT_WORK_H

#include "base/error.h"
#include "model/work.h"

/*
 * Reads "DIGITS=TIME,...", such as "100=15us,1000=1.2ms": digits rise, times are above 0. 0, or
 * -EINVAL and a sentence.
 */
int predict_parse_work(const char *text, struct work_cost *ret, struct error **err);

/*
 * Measures what the agent's own function takes on this machine, in CPU time of the calling thread:
 * some numbers of digits up to digits_max or a few thousand, the fastest of several runs each.
 * Takes some 0.2 s.
 */
void predict_measure_work(unsigned digits_max, struct work_cost *ret);

#endif
