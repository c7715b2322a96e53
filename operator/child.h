/* A visit to one DpuService, and what it does with each child; private to the reconcile. */
#ifndef DPUMESH_OPERATOR_CHILD_H
#define DPUMESH_OPERATOR_CHILD_H

#include "operator/reconcile.h"
#include "operator/status.h"

/* One reconcile of one DpuService. */
struct visit {
    struct operator* operator;
    struct kube_controller *controller;
    const char *namespace, *name;
    char *file;      /* what messages about the spec begin with */
    json_t *object;  /* the DpuService as it is kept, without status */
    json_t *status;  /* the one that stands, as far as we know; NULL: none */
    const char *uid; /* in object */
    struct written_id id;
    uint64_t version; /* resourceVersion of what is kept */
    int64_t generation;
    struct dpuservice *service; /* NULL: its spec can't be read */
    struct status_obstacle obstacle;
    char *failure; /* a request failed: to be visited again after a backoff */
    bool waits;    /* for somebody else: to be visited again soon */
    bool behind;   /* the stores are, or it failed for a moment: status waits until more is known */
    bool cancelled; /* we do not lead any more, or the program ends */
    bool gone;      /* the DpuService is, or is about to be: the store will tell */
    /* Children of ours as they are known now: from the stores, or from the server's answer. */
    bool present[CHILD_KINDS];
    struct child_view views[CHILD_KINDS];
    const struct kube_object
        *held[CHILD_KINDS]; /* what is in the stores, whosever; NULL: nothing */
    struct buffer scratch[CHILD_KINDS];
    struct buffer applied; /* what was made and updated, as a sentence */
    bool made;             /* something was made */
};

/* DpuServices. */
extern const struct kube_resource operator_dpuservices;

/* The resource of a kind of child. */
const struct kube_resource *child_resource(enum child_kind kind);

/* The DpuService, for its events. The texts are the visit's. */
struct kube_reference visit_reference(const struct visit *visit);

/* Sets the obstacle, unless there is one already: the first is the cause of the rest. */
void visit_obstacle(struct visit *visit, bool stalled, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for what a reader found wrong: the first of its sentences. It will not go away by
 * itself. */
void visit_problems(struct visit *visit, const char *reason, const struct problems *problems);

/* Keeps what a request failed with: the visit ends in KUBE_RETRY. */
void visit_failed(struct visit *visit, const char *message);

/* Looks into the store for the child of this kind. */
void child_look(struct visit *visit, enum child_kind kind);

/* Makes the child as desired, which it may change. False: what comes after it must wait. */
bool child_sync(struct visit *visit, enum child_kind kind, json_t *desired);

/* Records the event that tells what was applied, if anything was. */
void visit_tell_applied(struct visit *visit);

/* Takes the child away when it is ours. False as above. */
bool child_remove(struct visit *visit, enum child_kind kind);

/* metadata.resourceVersion as a number: those of one API server order, as its etcd's revisions do.
 */
uint64_t object_version(const json_t *object);

#endif
