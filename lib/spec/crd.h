/*
 * The CustomResourceDefinition of DpuServices: what the API server knows of them. Its spec is made
 * from the field table of dpuservice.h; crds/dpuservices.dpumesh.io.yaml is printed from it. Any
 * thread.
 */
#ifndef DPUMESH_SPEC_CRD_H
#define DPUMESH_SPEC_CRD_H

#include <jansson.h>

#define DPUSERVICE_CRD_NAME "dpuservices.dpumesh.io"

/* The whole object (apiextensions.k8s.io/v1); owned by the caller. */
json_t *dpuservice_crd(void);

#endif
