/*
 * What the operator wrote and has not seen come back, so that a slow watch is not taken for drift:
 * a child that was just applied and is not in the store yet is not missing, one whose stored
 * version is older than the one that was written has not been changed back, and a status that was
 * written is not written again. An entry goes as soon as the store has caught up, so at rest
 * nothing is kept.
 *
 * It also keeps under which digest a child lives when that differs from what was asked for,
 * although the server took it: somebody else's addition to a list of ours, say. Without it such a
 * child would be applied for ever.
 *
 * Any thread.
 */
#ifndef DPUMESH_OPERATOR_WRITTEN_H
#define DPUMESH_OPERATOR_WRITTEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "spec/children.h"

struct written;

struct written *written_new(void);
void written_free(struct written *written); /* NULL is fine */

/* A DpuService. What is known of one of the same name and another uid does not count for it. */
struct written_id {
    uint64_t name; /* written_name() */
    uint64_t uid;  /* trim_uid() of its uid */
};

/* The digest of a DpuService's name. */
uint64_t written_name(const char *namespace, const char *name);

/* How long a child that was applied may be away from the store before it counts as deleted. */
#define WRITTEN_PATIENCE_NS UINT64_C(5000000000)

/* A child was applied: desired and live are digests of what was sent and of what the server made of
 * it, version its resourceVersion. */
void written_child(struct written *written, struct written_id id, enum child_kind kind,
                   uint64_t desired, uint64_t live, uint64_t version, uint64_t now_ns);

enum written_verdict {
    WRITTEN_IN_SYNC, /* as it should be, as far as can be known now */
    WRITTEN_WAIT,    /* was just written: look again in a moment */
    WRITTEN_DRIFT    /* is to be applied */
};

/* What to do with a child whose live digest is `live` at `version`; present: it is in the store. */
enum written_verdict written_judge(struct written *written, struct written_id id,
                                   enum child_kind kind, uint64_t desired, bool present,
                                   uint64_t live, uint64_t version, uint64_t now_ns);

/* Status was written at this version; keeps a copy of it. */
void written_status(struct written *written, struct written_id id, uint64_t version,
                    json_t *status);

/* The status that was written after this version of the DpuService, which is the one in the store;
 * a copy that the caller owns. NULL: the store has the last one. */
json_t *written_status_after(struct written *written, struct written_id id, uint64_t version);

/* Whether this version is the one that our writing of status made: the event that tells of it is no
 * news. Forgets the status then, and when the version is a later one. */
bool written_status_seen(struct written *written, struct written_id id, uint64_t version);

/* The DpuService of this name is gone. */
void written_forget(struct written *written, uint64_t name);

/* Entries kept, for tests. */
size_t written_count(struct written *written);

#endif
