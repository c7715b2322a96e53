/*
 * Profiles of the user's own: ConfigMaps with the label PROFILE_LABEL (spec/datapath.h). They are
 * watched, kept as the text of their file, and a change brings the DpuServices that name them back
 * to be reconciled.
 */
#ifndef DPUMESH_OPERATOR_PROFILE_H
#define DPUMESH_OPERATOR_PROFILE_H

#include "operator/child.h"

/* Longest profile.json that is taken: the child's ConfigMap holds it too, and the server takes no
 * more than a megabyte. */
enum { OPERATOR_PROFILE_BYTES_MAX = 256 << 10 };

/* kube_store_options.transform of the source: what became of the file in one byte, then its text.
 */
int trim_profile(void *context, const json_t *object, struct buffer *out);

/* Fills in the source, but for its store. */
void operator_profile_source(struct kube_controller_source *source);

/* Hands the visit's DpuService the profile that it names, where that is not a shipped one. False:
 * it is not there or not right, and the visit has its obstacle. */
bool visit_find_profile(struct visit *visit);

#endif
