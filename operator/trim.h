/*
 * What the operator keeps of the objects that it watches: the transforms of lib/kube's stores, and
 * how to read what they wrote. A child is kept as a digest of what we own of it and the few figures
 * that status is made of; a DpuService as its JSON without what nobody reads. Pure; any thread.
 */
#ifndef DPUMESH_OPERATOR_TRIM_H
#define DPUMESH_OPERATOR_TRIM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "kube/store.h"
#include "spec/children.h"

/* What is watched, in this order. */
enum operator_source {
    SOURCE_DPUSERVICES,
    SOURCE_CHILDREN, /* CHILD_KINDS of them, in the order of enum child_kind */
    SOURCE_PODS = SOURCE_CHILDREN + CHILD_KINDS,
    SOURCE_PROFILES, /* ConfigMaps that hold a profile */
    OPERATOR_SOURCES
};

/* Under which name the operator applies fields. */
#define OPERATOR_MANAGER "dpumesh-operator"

/* The key of DpuServices that the operator scales itself, in index 0 of their store. */
#define TRIM_AUTOSCALED "builtin"

/* Index 1 of DpuServices: the profile that they name, when it is not shipped. */
#define TRIM_PROFILE_INDEX 1

/* The digest under which an object's uid is compared. */
uint64_t trim_uid(const char *uid);

/* Reads a DpuService as it was kept: the object without status, and status (NULL: it has none);
 * both the caller's. 0 or -EINVAL. */
int trim_dpuservice_read(const struct kube_object *object, json_t **ret_object,
                         json_t **ret_status);

/* Where it answers, as service_address() has it; "": it was too large to be kept. */
const char *trim_dpuservice_address(const struct kube_object *object);

/* A digest of it without its status. */
uint64_t trim_dpuservice_digest(const struct kube_object *object);

/* Whether two kept DpuServices differ in more than status. */
bool trim_dpuservice_differs(const struct kube_object *before, const struct kube_object *after);

/* A child as it was kept; texts point into the object. */
struct child_view {
    uint64_t fingerprint; /* spec_child_fingerprint() of the live object */
    uint64_t owner;       /* trim_uid() of the controlling DpuService, 0: no DpuService owns it */
    bool applied;         /* by our field manager, when the object has managed fields */
    bool deleting;
    const char *service;    /* the DpuService whose child has this name; "": none has */
    const char *owner_text; /* who controls it, for people: "Deployment x"; "": nobody */
    unsigned node_ports[2]; /* Service: bridge, http; 0: none */
    /* Deployment: */
    int64_t generation, observed_generation;
    unsigned wanted, replicas, updated, ready, available; /* wanted: spec.replicas */
    const char *scaler; /* the controller that set spec.replicas through the scale subresource, such
                           as an HPA's; "": none */
    const char *template_hash; /* the label of pods of the current version; "": not known */
    bool late;                 /* Progressing is False: the progress deadline passed */
    bool replica_failure;      /* ReplicaFailure is True: pods can't be made */
    /* HorizontalPodAutoscaler: */
    bool active;         /* it has figures, and can scale */
    const char *reason;  /* of that; "": it has not said yet */
    const char *message; /* of late or replica_failure; of an HPA's reason */
};

/* Reads what trim_child() wrote. */
void child_view_read(const struct kube_object *object, struct child_view *ret_view);

/* Trims a child that the server just answered with; scratch holds the view's texts. */
void child_view_of(enum child_kind kind, const json_t *object, struct buffer *scratch,
                   struct child_view *ret_view);

/* A pod as it was kept; texts point into the object. */
struct pod_view {
    bool ready, deleting;
    bool running;        /* its phase is Running */
    bool ended;          /* its phase is Failed: another takes its place */
    const char *service; /* its DpuService */
    const char *cause; /* why it does not run: "ImagePullBackOff", "Unschedulable"; "" when nothing
                          is wrong */
    const char *message;       /* what is known of the cause */
    const char *template_hash; /* of the version that it is of; "": it does not say */
    const char *address;       /* status.podIP; "": none yet */
};
void pod_view_read(const struct kube_object *object, struct pod_view *ret_view);

/* Fills in the store options and key functions of a source; kind: a child's. The child transforms
 * take their kind through kube_store_options.context. */
void trim_store_options(enum operator_source source, struct kube_store_options *ret_options);

/* kube_controller_source.key and .matters of every source. */
bool trim_key_self(void *context, const struct kube_object *object, struct buffer *ret_key);
bool trim_key_child(void *context, const struct kube_object *object, struct buffer *ret_key);
bool trim_key_pod(void *context, const struct kube_object *object, struct buffer *ret_key);
bool trim_matters(void *context, const struct kube_object *before, const struct kube_object *after);

#endif
