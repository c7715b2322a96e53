/*
 * muBench's own parameter files for `dpumesh generate`: ServiceGraphParameters.json and
 * WorkModelParameters.json, in all their forms, a servicegraph.json, and K8sParameters.json. A file
 * is known by its keys. What a file says takes the place of the options' defaults; an option that
 * was given counts over the file. One thread.
 */
#ifndef DPUMESH_CTL_GENERATE_PARAMETERS_H
#define DPUMESH_CTL_GENERATE_PARAMETERS_H

#include <jansson.h>

#include "base/option.h"
#include "doc/problem.h"
#include "spec/workmodel.h"

/* What of the files the options have no place for; NULL: not given. */
struct generate_parameters {
    json_t *graph; /* who calls whom, in place of a shape: {"s0": {"external_services": [...]}} */
    /* Lists of {"id": "f0", "origin": "FILE: /WorkModelParameters/f0", "ratio": 0.5,
     * "settings": {...}}, the last as a work model has them. */
    json_t *functions, *database_functions;
    json_t *overrides;     /* {"s0": {"function_id": "f0", "sidecar": "mongo"}} */
    const char *overrider; /* the file's name */
    const char *database_prefix, *request_method, *databases_from;
    struct workmodel_file deployer; /* K8sParameters.json */
    json_t *notes;                  /* texts: what has no counterpart */
    json_t *roots;                  /* private: what the texts above belong to */
};

struct generate;

/*
 * Reads the files that are operands of `options`, and sets generate's parameters and those options
 * that were not given. 0; or -EINVAL and problems. generate_parameters_free() in any case.
 */
int generate_parameters_read(struct generate *generate, const struct options *options,
                             struct problems *problems);

void generate_parameters_free(struct generate_parameters *parameters);

#endif
