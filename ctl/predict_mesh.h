/*
 * DpuServices as the application that model/mesh.h simulates. One thread.
 *
 *     cleanup_predict_mesh struct predict_mesh plan = PREDICT_MESH_INIT;
 *     if (predict_mesh_make(&application, &choice, &plan, &problems) < 0)
 */
#ifndef DPUMESH_CTL_PREDICT_MESH_H
#define DPUMESH_CTL_PREDICT_MESH_H

#include "base/cleanup.h"
#include "model/mesh.h"
#include "spec/application.h"

enum predict_egress { PREDICT_AS_WRITTEN, PREDICT_SIMULATE, PREDICT_FORWARD };

/* What the command line says otherwise than the documents. */
struct predict_choice {
    const char *entry; /* the service that is asked; NULL: the first */
    bool mode_given;   /* for every service */
    enum datapath_mode mode;
    const struct profile *profile; /* for every service; NULL: as written, or the mode's */
    enum predict_egress egress;
};

struct predict_mesh {
    struct mesh mesh; /* its cost is to be filled in */
    unsigned entry;
    unsigned digits_max; /* most that a service computes which is asked; 0: none does */
    struct mesh_service *services;
    struct profile *profiles;  /* of each service, when it has one */
    struct mesh_group *groups; /* of all services, one behind the other; calls too */
    struct mesh_call *calls;
    struct mesh_fault *faults; /* likewise, of requests without a header; destinations too */
    struct mesh_destination *destinations;
    const char **names; /* of these */
    size_t group_count, call_count, fault_count, destination_count;
};

#define PREDICT_MESH_INIT                                                                          \
    {                                                                                              \
        .entry = 0                                                                                 \
    }

/*
 * Makes it; it borrows from the application, which must live longer. 0, or -EINVAL and sentences:
 * no such entry or profile, no replicas, calls that go round.
 */
int predict_mesh_make(const struct application *application, const struct predict_choice *choice,
                      struct predict_mesh *ret, struct problems *problems);

/* Whether a service has faults for requests with a header, which those of a prediction have not. */
bool predict_leaves_out_headers(const struct dpuservice *service);

/* For predict_mesh.c, both in predict_policy.c: what requests to a service pass; what it says of a
 * callee, once a service and name, owned by the plan. */
void predict_set_policy(const struct dpuservice *service, struct predict_mesh *plan,
                        struct mesh_service *ret);
const struct mesh_destination *predict_destination(const struct dpuservice *service,
                                                   const char *name, struct predict_mesh *plan,
                                                   struct mesh_service *ret);

/* The mode of a service in it: its profile's kind. */
const char *predict_mesh_mode(const struct predict_mesh *plan, size_t service);

/* Frees it. */
void predict_mesh_free(struct predict_mesh *plan);

#define cleanup_predict_mesh CLEANUP(predict_mesh_free)

#endif
