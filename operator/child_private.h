/* What child*.c share. */
#ifndef DPUMESH_OPERATOR_CHILD_PRIVATE_H
#define DPUMESH_OPERATOR_CHILD_PRIVATE_H

#include "operator/child.h"

/*
 * Server-side apply can't undo every drift. It tells the entries of some lists apart by a number
 * (ports) or a path (mounts): when somebody changes that, the entry is another one, which is
 * theirs, and ours would come beside it under the same name; the server refuses that as a
 * duplicate. Such lists are replaced as a whole then, entries of others included, and the apply
 * after that goes through.
 *
 * failed, why: what the apply came to. 0: apply again. Otherwise what is to be told of: failed
 * itself when it was no such refusal, or what this came to.
 */
int child_untangle(struct visit *visit, enum child_kind kind, const json_t *desired,
                   const char *uid, int failed, const struct kube_result *why);

#endif
