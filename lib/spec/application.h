/*
 * A whole application: all DpuServices of a set of files, in the order of the documents, and the
 * rules that need more than one of them: names are unique, node ports do not clash, and every
 * service that is called and every profile that is named exists.
 *
 *     cleanup_application struct application app = APPLICATION_INIT;
 *     cleanup_problems struct problems problems = PROBLEMS_INIT;
 *     if (application_load(paths, count, &app, &problems) < 0)
 *         problems_print(&problems, stderr, "");
 *
 * It belongs to its caller and one thread.
 */
#ifndef DPUMESH_SPEC_APPLICATION_H
#define DPUMESH_SPEC_APPLICATION_H

#include <stddef.h>

#include "doc/document.h"
#include "doc/problem.h"
#include "spec/own_profiles.h"

struct application {
    struct own_profiles profiles; /* those that stand among the documents */
    size_t count;
    struct dpuservice **services;
    struct problems
        skipped; /* documents of other kinds, one text each: "app.yaml:1: Namespace shop" */
};

#define APPLICATION_INIT                                                                           \
    {                                                                                              \
        {0, NULL}, 0, NULL, PROBLEMS_INIT                                                          \
    }

/*
 * Reads files (doc/folder.h: "-", and folders too) and checks them together. 0; or -EINVAL (for an
 * unreadable file its errno), all problems, and an empty application. No DpuService at all is a
 * problem too.
 */
int application_load(const char *const *paths, size_t path_count, struct application *application,
                     struct problems *problems);

/* The same, where the command line overrides mode or profile. */
int application_load_with(const char *const *paths, size_t path_count,
                          const struct datapath_override *override, struct application *application,
                          struct problems *problems);

/* As application_load(), from documents that are already read. origin names them all, for a
 * message. */
int application_parse(const struct documents *documents, const char *origin,
                      struct application *application, struct problems *problems);

/* The service with this name, or NULL. */
const struct dpuservice *application_find(const struct application *application, const char *name);

/* Frees the services; the application is empty again. */
void application_free(struct application *application);

#define cleanup_application CLEANUP(application_free)

#endif
