/*
 * The data path that a message takes: which of the three modes, and the profile (profile.h) that
 * says what it costs. A DpuService names its profile; the agent's configuration holds a name that
 * is shipped, or the whole profile.
 *
 * A profile that is not shipped is somebody's own: a ConfigMap labelled PROFILE_LABEL "true" with
 * the file under PROFILE_KEY, in the namespace of the DpuServices that name it. Whoever computes
 * children finds it first:
 *
 *     const char *name = datapath_own_name(&service->datapath);
 *     if (name)
 *         ret = datapath_take(&service->datapath, text, length, origin, problems);
 *
 * Plain data; whoever holds the outer struct owns what these point to. Any thread.
 */
#ifndef DPUMESH_SPEC_DATAPATH_H
#define DPUMESH_SPEC_DATAPATH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "doc/place.h"
#include "doc/problem.h"
#include "model/profile.h"
#include "spec/field.h"
#include "spec/policy.h"

#define PROFILE_LABEL "dpumesh.io/profile" /* "true" on a ConfigMap that holds a profile */
#define PROFILE_KEY   "profile.json"       /* in its data */

enum datapath_mode {
    DATAPATH_DIRECT,  /* no proxy */
    DATAPATH_SIDECAR, /* a proxy's work on the host */
    DATAPATH_DPU,     /* a proxy's work on a modelled DPU */
};

/* "direct", "sidecar", "dpu", NULL. */
extern const char *const datapath_mode_names[];

/* The kind that a profile of a mode has. */
enum profile_kind datapath_kind(enum datapath_mode mode);

/* The profile of a mode when none is named; NULL for direct, which needs none. Static text. */
const char *datapath_default_profile(enum datapath_mode mode);

/* datapath in the agent's configuration. */
struct datapath_settings {
    enum datapath_mode mode;
    json_t *source;         /* the profile as the document has it; NULL in mode direct */
    struct profile profile; /* of the mode's kind; without a name in mode direct with none given */
    struct policy_settings policy;
};

/*
 * Reads settings->source into settings->profile, the mode's default when there is none. place: of
 * datapath in its document. 0, or -EINVAL and sentences.
 */
int datapath_resolve(struct datapath_settings *settings, const struct place *place,
                     struct problems *problems);

/* spec.datapath of a DpuService, without queues. */
struct datapath_choice {
    enum datapath_mode mode;
    char *profile; /* a name; NULL: direct with none named */
    json_t *own;   /* the profile of that name when it is not shipped and was found; else NULL */
};

/* The name of a profile that is not shipped and was not found yet; NULL: nothing to find. */
const char *datapath_own_name(const struct datapath_choice *choice);

/*
 * Takes length bytes of JSON as the profile that choice names. origin: where they are from, for
 * sentences ("ConfigMap mine"). 0, or a negative errno and sentences: no profile, or one whose kind
 * is not the mode's.
 */
int datapath_take(struct datapath_choice *choice, const char *text, size_t length,
                  const char *origin, struct problems *problems);

/* Whether a profile of this name is shipped, and of what kind one is that is. */
bool datapath_is_shipped(const char *name);
enum profile_kind datapath_shipped_kind(const char *name);

/* Refuses a profile that is not of the mode's kind; 0, or -EINVAL and a sentence at place. */
int datapath_check_kind(const char *name, enum profile_kind kind, enum datapath_mode mode,
                        const struct place *place, struct problems *problems);

/* Appends the names of the shipped profiles: "a, b, c". 0 or -ENOBUFS. */
int datapath_shipped_names(struct buffer *out);

/* The shipped profiles and their kinds, for the API server's rule; a test compares them. */
struct datapath_shipped {
    const char *name;
    enum profile_kind kind;
};
extern const struct datapath_shipped datapath_shipped_kinds[];
extern const size_t datapath_shipped_kind_count;

/* The field `policy` of either; member: a struct policy_settings. */
#define DATAPATH_POLICY_FIELD(owner, member)                                                       \
    {                                                                                              \
        .name = "policy", .type = FIELD_RECORD, FIELD_AT(owner, member), .record = &policy_record, \
        .help = "What is done with requests before the application gets them, by the proxy."       \
    }

/* Fields of spec.datapath that name mode and profile; member: a struct datapath_choice. */
#define DATAPATH_MODE_HELP                                                                         \
    "What lies between the network and the application: `direct` nothing, `sidecar` a proxy "      \
    "whose "                                                                                       \
    "work the host does, `dpu` a proxy on a modelled DPU."
#define DATAPATH_CHOICE_FIELDS(owner, member)                                                      \
    {.name = "mode",                                                                               \
     .type = FIELD_ENUM,                                                                           \
     FIELD_AT(owner, member.mode),                                                                 \
     .names = datapath_mode_names,                                                                 \
     .fallback = "dpu",                                                                            \
     .help = DATAPATH_MODE_HELP},                                                                  \
    {                                                                                              \
        .name = "profile", .type = FIELD_STRING, FIELD_AT(owner, member.profile),                  \
        .flags = FIELD_OPTIONAL, .min = 1, .max = 253, .pattern = &pattern_object_name,            \
        .unset = "bluefield3-native with mode dpu, envoy-permissive with sidecar",                 \
        .help = "What the proxy costs: the name of a shipped profile, or of a ConfigMap of the "   \
                "same namespace with the label `dpumesh.io/profile: \"true\"` that holds a "       \
                "profile under the key `profile.json`."                                            \
    }

/* The rule across both, for choice and its place. */
void datapath_check_choice(const struct datapath_choice *choice, const struct place *place,
                           struct problems *problems);
extern const char datapath_rule[], datapath_rule_says[];

/* Fills in the profile's name where none was given; after the checks. */
void datapath_finish_choice(struct datapath_choice *choice);

/* The table of the agent's datapath. */
extern const struct record datapath_settings_record;

#endif
