/*
 * What names of Kubernetes look like, for the field tables. Each pattern has the same rule twice,
 * as a function and as a regular expression for the CRD; tests hold them against each other.
 * Constant data, any thread.
 */
#ifndef DPUMESH_SPEC_PATTERN_H
#define DPUMESH_SPEC_PATTERN_H

#include "spec/field.h"

/* Longest service name: its children add "-dpu" and still are DNS labels (63). */
#define SERVICE_NAME_MAX 59

/* Names of labels and annotations, with an optional prefix; values of labels. */
extern const struct field_pattern pattern_label_name, pattern_label_value;

/* A namespace; any other object's name (a DNS subdomain). */
extern const struct field_pattern pattern_namespace, pattern_object_name;

/* A key of a Secret's or ConfigMap's data. */
extern const struct field_pattern pattern_data_key;

/* A container image. */
extern const struct field_pattern pattern_image;

/* A Kubernetes object's name that is also a DNS label (RFC 1035): service names, callees. */
extern const struct field_pattern pattern_service_name;

/* An HTTP path without a query. */
extern const struct field_pattern pattern_path;

#endif
