/* A test's command line for another `dpumesh load`, in a pod. Any thread. */
#ifndef DPUMESH_CTL_LOAD_ARGUMENTS_H
#define DPUMESH_CTL_LOAD_ARGUMENTS_H

#include <jansson.h>

#include "ctl/load_plan.h"

/* A pod's arguments are one text of the kernel's each: MAX_ARG_STRLEN, less some room. */
enum { LOAD_ARGUMENT_MAX = 100 << 10 };

/*
 * The options that were given, as "--name=value" each, without those that say where the test runs;
 * --body=@FILE becomes the file's text. 0 and *ret_arguments, an array owned by the caller; or
 * -EINVAL and a sentence: a body that can't be an argument, or that the file can't be read.
 */
int load_arguments(const struct option_command *command, const struct options *given,
                   const struct load_options *load, json_t **ret_arguments, struct error **err);

#endif
