/*
 * The pure function from a DpuService to the Kubernetes objects that run it. The operator applies
 * them, `dpumesh render` prints them, and `dpumesh up` runs the same objects as processes, so that
 * nobody has a second idea of what a DpuService means.
 *
 *     cleanup_children struct children children = CHILDREN_INIT;
 *     spec_children(service, &children);
 *     for (enum child_kind kind = 0; kind < CHILD_KINDS; kind++)
 *         if (children.objects[kind])
 *             apply(children.objects[kind]);
 *
 * The same DpuService gives the same bytes. Children belong to their caller; any thread.
 */
#ifndef DPUMESH_SPEC_CHILDREN_H
#define DPUMESH_SPEC_CHILDREN_H

#include <jansson.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "spec/dpuservice.h"

/* In the order in which they are to be applied. */
enum child_kind {
    CHILD_CONFIG_MAP, /* NAME-dpu, data agent.json */
    CHILD_SERVICE,    /* NAME, ports bridge and http */
    CHILD_DEPLOYMENT, /* NAME-dpu */
    CHILD_AUTOSCALER, /* NAME-dpu, a HorizontalPodAutoscaler of the DpuService; where asked */
    CHILD_DISRUPTION_BUDGET, /* NAME-dpu; where asked */
    CHILD_KINDS
};

/* Where a kind of child is found in the API, and what its objects are called. */
struct child_identity {
    const char *api_version; /* "apps/v1" */
    const char *group;       /* "apps"; "" for the core group */
    const char *version;     /* "v1" */
    const char *plural;      /* "deployments" */
    const char *kind;        /* "Deployment" */
    const char *suffix;      /* after the DpuService's name: "-dpu" or "" */
};

struct children {
    json_t *objects[CHILD_KINDS]; /* complete objects; NULL: this DpuService has no such child */
};

#define CHILDREN_INIT                                                                              \
    {                                                                                              \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }

#define CHILD_CONFIG_KEY        "agent.json"             /* in the ConfigMap's data */
#define CHILD_CONFIG_ANNOTATION "dpumesh.io/config-hash" /* on the pod template */
#define CHILD_OWNS_ANNOTATION                                                                      \
    "dpumesh.io/owns"              /* on each child: what of it is ours beyond the rule */
#define CHILD_CA_KEY      "ca.crt" /* where authorities stand, unless caFrom says otherwise */
#define CHILD_BRIDGE_PORT 5005     /* in the container, whatever the Service's */
#define CHILD_HTTP_PORT   8080

/* Makes the children. ret_children must be empty; the caller owns what it gets. */
void spec_children(const struct dpuservice *service, struct children *ret_children);

/*
 * The Secrets and ConfigMaps that the pods need and the document names, "Secret a and ConfigMap b";
 * NULL: none. Without one of them a pod does not start. Owned by the caller.
 */
char *spec_needed_objects(const struct dpuservice *service);

/* The identity of a kind; static text. */
struct child_identity spec_child_identity(enum child_kind kind);

/*
 * A digest of what is ours in a child: equal for the desired object and for the live object that
 * the API server made of it, whatever it filled in (defaults, canonical quantities, status) and
 * whatever others added (annotations, labels, a sidecar container, a volume). It changes with any
 * change to, or loss of, a field that we set, down to single labels, ports and resources, and of
 * the owner reference to a DpuService (give it to the desired object before).
 *
 * object needs neither apiVersion nor kind, which items of a list lack. Parts that only some
 * DpuServices ask for (a node port, an affinity, a further label) are ours when the child's
 * annotation dpumesh.io/owns names them; the annotation is itself part of the digest. What others
 * add beside our fields is no drift, because applying would not remove it: a node port that the
 * cluster chose, a toleration where we set none, a further entry of the ConfigMap's data. Nor are
 * name, namespace and what can't change.
 */
uint64_t spec_child_fingerprint(enum child_kind kind, const json_t *object);

/* The agent's configuration as JSON, as it stands in the ConfigMap; owned by the caller. */
json_t *spec_agent_config(const struct dpuservice *service);

/*
 * Pretty-prints an object the way children print their JSON: two spaces, keys in order, numbers
 * without noise (15 digits). The caller frees it.
 */
char *spec_json_text(const json_t *object);

/* Frees the objects; the struct is empty again. */
void children_free(struct children *children);

#define cleanup_children CLEANUP(children_free)

#endif
