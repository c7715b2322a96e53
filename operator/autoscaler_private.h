/* What autoscaler*.c share: the services that are scaled, and one look at them. */
#ifndef DPUMESH_OPERATOR_AUTOSCALER_PRIVATE_H
#define DPUMESH_OPERATOR_AUTOSCALER_PRIVATE_H

#include "kube/thread.h"
#include "operator/autoscale_page.h"
#include "operator/autoscaler.h"
#include "operator/scraper.h"
#include "scale/decide.h"

/* A pod's last page. */
struct scaled_pod {
    uint64_t uid; /* trim_uid() */
    bool silent;  /* it did not answer when it was asked last */
    struct autoscale_page page;
};

/* A DpuService that is scaled here. The thread's own, but for what the lock is named for. */
struct scaled {
    struct scaled *next; /* in its bucket; changed with the lock, read by others with it */
    char *namespace, *name;
    uint64_t name_hash, uid;
    uint64_t digest;        /* of the DpuService as it was read; 0: never */
    uint64_t round;         /* the last look that found it */
    unsigned looks;         /* decisions made */
    char *object_uid;       /* for events */
    char *resource_version; /* of the store's, for a write that must not miss a change */
    int32_t replicas;       /* spec.replicas */
    bool valid;             /* policy may be used */
    struct scale_policy policy;
    int64_t cpu_milli;
    struct scale_state state;
    struct scaled_pod *pods;
    size_t pod_count;
    /* Who else sets the number; see autoscaler_owner.c. */
    char *owner;            /* a sentence; NULL: nobody */
    int32_t replicas_known; /* the number that owner is known for; -1: look */
    uint64_t owner_at_ns;   /* when that was looked at */
    bool ours;              /* replicas_known was set by us, and nobody changed it since */
    int32_t tried;          /* a write that failed may have been carried out; -1: none */
    unsigned rival_times;   /* how often somebody did, since */
    uint64_t rival_since_ns, rival_until_ns; /* we stand back until */
    /* Our last write: the store may be behind it. */
    uint64_t written_version, written_ns;
    /* With the lock: what reconciles may read. */
    struct autoscaler_view view;
    bool viewed;
    uint64_t viewed_ns;
};

enum { SCALED_BUCKETS = 256 };

/* The HorizontalPodAutoscalers of a namespace, whosever. */
struct scaled_hpas {
    char *namespace;
    uint64_t at_ns;  /* when they were listed; 0: never */
    uint64_t round;  /* the last look that asked for them */
    json_t *targets; /* "DpuService/s0" -> the HPA's name; NULL: never */
};

struct autoscaler {
    struct autoscaler_options options;
    struct scraper *scraper;
    pthread_t thread;
    struct kube_bell bell; /* lock: of buckets and of the views; rung to stop */
    bool stopping;         /* with the lock */
    struct scaled *buckets[SCALED_BUCKETS];
    size_t count; /* read by a gauge; atomic */
    uint64_t round;
    size_t turn; /* where the first page of the next look is asked for */
    struct scaled_hpas *hpas;
    size_t hpas_count;
    struct metric *services;
    struct metric *rescales[2], *failures, *conflicts; /* up, down */
    struct metric *look_seconds;
};

/* autoscaler_look.c: one look at all services: read, ask, decide, write. */
void autoscaler_look(struct autoscaler *autoscaler);

/* Whether it is time to end. */
bool autoscaler_ends(struct autoscaler *autoscaler);

/*
 * Whether somebody else sets the number of replicas: an HPA that targets the DpuService or its
 * Deployment, another controller through the scale subresource, or an applier that has replicas
 * among its fields. Sets scaled->owner; what can't be found out leaves it as it was. 0, or -errno:
 * it is not known yet, so nothing may be decided, and *ret_failure is a sentence, the caller's to
 * free.
 */
int autoscaler_look_owner(struct autoscaler *autoscaler, struct scaled *scaled, uint64_t now_ns,
                          char **ret_failure);

/* Forgets the HorizontalPodAutoscalers of namespaces that this look did not ask for. */
void autoscaler_forget_hpas(struct autoscaler *autoscaler);

/*
 * Sets spec.replicas, unless the spec has changed since it was read. True when it is set. False:
 * another time will do (it changed; counted), or it failed and *ret_failure is a sentence, the
 * caller's to free; then it may have been carried out all the same.
 */
bool autoscaler_write(struct autoscaler *autoscaler, struct scaled *scaled,
                      const struct scale_decision *decision, char **ret_failure);

/* Lets reconciles know what is thought of it, and has the status written when that is news. */
void autoscaler_publish(struct autoscaler *autoscaler, struct scaled *scaled, bool active,
                        const char *reason, const char *message, uint64_t now_ns);

/* The service, made when there is none; and all that no look of this round found go (also those
 * of the same name with another uid). */
struct scaled *autoscaler_find(struct autoscaler *autoscaler, const char *namespace,
                               const char *name, const char *uid);
void autoscaler_sweep(struct autoscaler *autoscaler);

#endif
