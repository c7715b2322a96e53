/*
 * Kubernetes quantities: "100m", "1.5", "64Mi", "2e3" (k8s.io/apimachinery, resource.Quantity). Any
 * thread.
 */
#ifndef DPUMESH_SPEC_QUANTITY_H
#define DPUMESH_SPEC_QUANTITY_H

#include "base/error.h"

/*
 * Reads a quantity that is not negative. 0 and *ret_value in base units (cores, bytes), or -EINVAL
 * and a sentence.
 */
int quantity_parse(const char *text, double *ret_value, struct error **err);

/* Longest text of quantity_canonical() with its NUL. */
#define QUANTITY_TEXT_MAX 32

/*
 * The form in which the API server keeps a quantity of a pod's resources: "0.5" is "500m", "1024Mi"
 * is "1Gi", "1.5Gi" is "1536Mi", and parts of a thousandth are rounded up (resource.Quantity,
 * CanonicalizeBytes; SetDefaults_ResourceList). What is canonical stays as it is. 0 and ret_text,
 * or -EINVAL and a sentence: not a quantity, more than 18 digits, or 2^63 and above.
 */
int quantity_canonical(const char *text, char ret_text[QUANTITY_TEXT_MAX], struct error **err);

#endif
