/*
 * Profiles that stand among an application's documents, as ConfigMaps with the label PROFILE_LABEL
 * (datapath.h), and how its services get theirs; what the operator does with a cluster's.
 *
 * Profiles belong to their caller and one thread.
 */
#ifndef DPUMESH_SPEC_OWN_PROFILES_H
#define DPUMESH_SPEC_OWN_PROFILES_H

#include <stdbool.h>
#include <stddef.h>

#include "doc/document.h"
#include "doc/problem.h"
#include "spec/dpuservice.h"

/* A profile of one's own, read and right. */
struct own_profile {
    char *name;      /* of the ConfigMap, or a file's path */
    char *title;     /* what it calls itself */
    char *namespace; /* NULL: it does not say, and any service's will do */
    enum profile_kind kind;
    char *text; /* JSON */
    size_t length;
    char *origin; /* for sentences: "app.yaml:3: ConfigMap mine" */
};

struct own_profiles {
    size_t count;
    struct own_profile *items;
};

/* What a command line says instead of the documents; zeroed: nothing. */
struct datapath_override {
    bool mode_given;
    enum datapath_mode mode;
    const char *profile; /* NAME of a shipped or an own one, or a file's path; NULL: none */
};

/* Whether the document is a ConfigMap with the label. */
bool own_profiles_is(const struct document *document);

/* Takes such a document in; what is wrong with it goes to problems. */
void own_profiles_take(struct own_profiles *profiles, const struct document *document,
                       struct problems *problems);

/*
 * Gives the service mode and profile as the override has them, and the profile that it names, if
 * that is one of these. Where the override changes the mode alone, a profile of another kind makes
 * way for the mode's default. 0, or -EINVAL and sentences.
 */
int own_profiles_give(const struct own_profiles *profiles, const struct datapath_override *override,
                      struct dpuservice *service, struct problems *problems);

/*
 * Reads the file that the override names, unless a profile has that name already. 0, or a negative
 * errno and sentences.
 */
int own_profiles_load(struct own_profiles *profiles, const struct datapath_override *override,
                      struct problems *problems);

/* Frees them; none are left. */
void own_profiles_free(struct own_profiles *profiles);

#endif
