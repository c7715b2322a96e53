/* The Job that runs a load test in a cluster. Pure; any thread. */
#ifndef DPUMESH_CTL_CLUSTER_LOAD_JOB_H
#define DPUMESH_CTL_CLUSTER_LOAD_JOB_H

#include <jansson.h>
#include <stdint.h>

#include "base/error.h"

/* The container, and the label of the pods. */
#define LOAD_JOB_CONTAINER "load"
#define LOAD_JOB_APP       "dpumesh-load"

struct load_job {
    char *target;            /* a URL as pods see it */
    char *image;             /* of an agent: it holds dpumesh */
    char *pull_policy;       /* NULL: the cluster's default */
    json_t *pull_secrets;    /* as in a pod; NULL: none */
    const json_t *arguments; /* borrowed: of `dpumesh load`, but for the target */
    uint64_t longest_ns;     /* that the test can take; 0: not known */
};

/* Aims at a DpuService's bridge, and takes image, pull policy and secrets from it, image only when
 * it is NULL. 0, or -EINVAL and a sentence: the object can't be understood. */
int load_job_aim(struct load_job *job, const json_t *service, struct error **err);

/*
 * The Job: one pod that meets Pod Security "restricted", is not started again, has no token, and
 * goes by itself a while after its end should nobody be there to delete it. Owned by the caller.
 */
json_t *load_job_make(const struct load_job *job);

/* Frees what job owns. */
void load_job_free(struct load_job *job);
#define cleanup_load_job CLEANUP(load_job_free)

#endif
