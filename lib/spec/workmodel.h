/*
 * muBench's files and DpuServices: import makes the second from the first, export goes back. Pure:
 * no file is read or written here. Both pass over what has no counterpart and note it, each note
 * with the file and the place, so that nothing is lost in silence; what is wrong is a problem.
 *
 * Which fields there are, and their bounds, is the business of the field tables: a work model's
 * names are the tables' names in other letters (mean_response_size and meanResponseSize), so an
 * import renames and then reads what it made, and a problem is told by the work model's place.
 *
 *     struct workmodel_source source = {.model = {"workmodel.json", root}};
 *     cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
 *     if (workmodel_import(&source, &made, &problems) < 0)
 *         problems_print(&problems, stderr, "dpumesh: ");
 *
 * Any thread; results belong to their caller.
 */
#ifndef DPUMESH_SPEC_WORKMODEL_H
#define DPUMESH_SPEC_WORKMODEL_H

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "doc/problem.h"
#include "spec/application.h"

/* A file that was read; both borrowed. root NULL: not given. */
struct workmodel_file {
    const char *name;
    json_t *root;
};

struct workmodel_source {
    struct workmodel_file model;
    /* Who calls whom: servicemesh.json, which muBench's first versions kept apart, or a
     * servicegraph.json. Counts for services of the model that say nothing of it. */
    struct workmodel_file mesh;
    struct workmodel_file parameters; /* K8sParameters.json; what it says counts for all services */
    const char *image;                /* spec.image of all services; NULL: the default */
    const char *egress;               /* spec.egress.mode of all services; NULL: the default */
};

/* A DpuService as it was made. */
struct workmodel_document {
    json_t *object;
    json_t *notes; /* texts, "workmodel.json: /s0/sidecar: ..." */
};

struct workmodel_documents {
    size_t count;
    struct workmodel_document *items; /* in the order of the work model */
    json_t *notes;                    /* what concerns no service alone */
};

#define WORKMODEL_DOCUMENTS_INIT                                                                   \
    {                                                                                              \
        0, NULL, NULL                                                                              \
    }

/*
 * Makes a DpuService of each service. 0; or -EINVAL and all that is wrong, and *ret_documents is
 * untouched: wrong types and values, unknown callees, calls that come back to where they began, too
 * many services.
 */
int workmodel_import(const struct workmodel_source *source,
                     struct workmodel_documents *ret_documents, struct problems *problems);

/*
 * The work model of an application (an object, owned by the caller). *ret_notes (an array of texts,
 * owned by the caller): what muBench has no word for.
 */
json_t *workmodel_export(const struct application *application, json_t **ret_notes);

/* Appends the documents as YAML, the notes as comments at their services; title: the first
 * comment. 0 or -ENOBUFS. */
int workmodel_print(const struct workmodel_documents *documents, const char *title,
                    struct buffer *out);

/* Frees what they own; empty again. */
void workmodel_documents_free(struct workmodel_documents *documents);

#define cleanup_workmodel CLEANUP(workmodel_documents_free)

#endif
