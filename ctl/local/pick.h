/*
 * Which application a verb means: the one of --name, else the only one that runs.
 */
#ifndef DPUMESH_CTL_LOCAL_PICK_H
#define DPUMESH_CTL_LOCAL_PICK_H

#include <jansson.h>

#include "ctl/local/rundir.h"

/*
 * Opens the run directory of application `name`, or of the only one when name is NULL.
 * STATUS_OK and *ret_dir; STATUS_NOT_RUNNING or STATUS_USAGE (several run) and a sentence.
 */
int pick_application(const char *name, struct rundir *ret_dir, struct error **err);

/*
 * Picks, asks (request is stolen) and prints what went wrong on standard error; of an answer that
 * did not come in time also which replicas are not ready.
 * STATUS_OK and, unless NULL, *ret_application (the caller owns it); else the exit status.
 */
int pick_and_call(const char *name, json_t *request, uint64_t timeout_ns, bool until_gone,
                  json_t **ret_application);

#endif
