#include "spec/datapath.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "doc/document.h"
#include "spec/profile.h"

enum { SHIPPED_NAMES_MAX = 1024 };

const char *const datapath_mode_names[] = {"direct", "sidecar", "dpu", NULL};

/* What profiles/ holds, so that reading a DpuService need not read a profile. */
const struct datapath_shipped datapath_shipped_kinds[] = {
    {"bluefield3-native", PROFILE_DPU}, {"bluefield3-preload", PROFILE_DPU},
    {"direct", PROFILE_DIRECT},         {"envoy-permissive", PROFILE_SIDECAR},
    {"envoy-strict", PROFILE_SIDECAR},  {"ideal", PROFILE_DPU},
};
const size_t datapath_shipped_kind_count =
    sizeof datapath_shipped_kinds / sizeof datapath_shipped_kinds[0];

/* The same for CEL. */
#define SHIPPED                                                                                    \
    "{'bluefield3-native': 'dpu', 'bluefield3-preload': 'dpu', 'direct': 'direct', "               \
    "'envoy-permissive': 'sidecar', 'envoy-strict': 'sidecar', 'ideal': 'dpu'}"

const char datapath_rule[] = "!has(self.profile) || !(self.profile in " SHIPPED ") || " SHIPPED
                             "[self.profile] == self.mode";
const char datapath_rule_says[] =
    "self.profile + ' is a profile of kind ' + " SHIPPED "[self.profile] + ', but mode is ' + "
    "self.mode + '; name one of kind ' + self.mode + ', or change the mode'";

static const struct datapath_shipped *shipped(const char *name)
{
    for (size_t i = 0; i < datapath_shipped_kind_count; i++)
        if (strcmp(datapath_shipped_kinds[i].name, name) == 0)
            return &datapath_shipped_kinds[i];
    return NULL;
}

enum profile_kind datapath_kind(enum datapath_mode mode)
{
    switch (mode) {
    case DATAPATH_DIRECT:
        return PROFILE_DIRECT;
    case DATAPATH_SIDECAR:
        return PROFILE_SIDECAR;
    case DATAPATH_DPU:
        return PROFILE_DPU;
    }
    abort(); /* not a mode: a caller's bug, never input */
}

const char *datapath_default_profile(enum datapath_mode mode)
{
    switch (mode) {
    case DATAPATH_DIRECT:
        return NULL;
    case DATAPATH_SIDECAR:
        return "envoy-permissive";
    case DATAPATH_DPU:
        return "bluefield3-native";
    }
    abort();
}

bool datapath_is_shipped(const char *name)
{
    return shipped(name) != NULL;
}

enum profile_kind datapath_shipped_kind(const char *name)
{
    const struct datapath_shipped *known = shipped(name);
    if (!known)
        abort(); /* a caller's bug */
    return known->kind;
}

int datapath_shipped_names(struct buffer *out)
{
    int ret = 0;
    for (size_t i = 0; ret == 0 && i < datapath_shipped_kind_count; i++)
        ret = buffer_printf(out, "%s%s", i ? ", " : "", datapath_shipped_kinds[i].name);
    return ret;
}

int datapath_check_kind(const char *name, enum profile_kind kind, enum datapath_mode mode,
                        const struct place *place, struct problems *problems)
{
    if (kind == datapath_kind(mode))
        return 0;
    place_problem(place, problems,
                  "%s is a profile of kind %s, but mode is %s; name one of kind %s, or change "
                  "the mode",
                  name, profile_kinds[kind], datapath_mode_names[mode], datapath_mode_names[mode]);
    return -EINVAL;
}

/* A DpuService's */

void datapath_check_choice(const struct datapath_choice *choice, const struct place *place,
                           struct problems *problems)
{
    struct place at = PLACE_KEY(place, "profile");
    const struct datapath_shipped *known = choice->profile ? shipped(choice->profile) : NULL;

    if (known)
        datapath_check_kind(known->name, known->kind, choice->mode, &at, problems);
}

void datapath_finish_choice(struct datapath_choice *choice)
{
    const char *name = datapath_default_profile(choice->mode);
    if (!choice->profile && name)
        choice->profile = xstrdup(name);
}

const char *datapath_own_name(const struct datapath_choice *choice)
{
    return choice->profile && !choice->own && !shipped(choice->profile) ? choice->profile : NULL;
}

int datapath_take(struct datapath_choice *choice, const char *text, size_t length,
                  const char *origin, struct problems *problems)
{
    struct source source = {.file = origin};
    struct place root = PLACE_ROOT(&source);
    json_auto_t *object = NULL;
    struct profile profile;

    int ret = document_parse_json(text, length, origin, &object, problems);
    if (ret == 0)
        ret = profile_read(object, &root, &profile, problems);
    if (ret == 0)
        ret = datapath_check_kind(profile.name, profile.kind, choice->mode, &root, problems);
    if (ret < 0)
        return ret;
    json_decref(choice->own);
    choice->own = STEAL_POINTER(object);
    return 0;
}

/* The agent's */

static int read_named(const char *name, struct profile *ret, const struct place *place,
                      struct problems *problems)
{
    cleanup_buffer struct buffer names = BUFFER_INIT(SHIPPED_NAMES_MAX);

    if (shipped(name))
        return profile_load(name, ret, problems);
    datapath_shipped_names(&names);
    place_problem(place, problems,
                  "no profile is called \"%.64s\"; there are %s, or give a whole profile", name,
                  buffer_terminate(&names));
    return -EINVAL;
}

int datapath_resolve(struct datapath_settings *settings, const struct place *place,
                     struct problems *problems)
{
    struct place at = PLACE_KEY(place, "profile");
    struct profile profile = {.kind = datapath_kind(settings->mode)};
    const char *name = json_string_value(settings->source);
    char shown[PLACE_VALUE_MAX];
    int ret = 0;

    if (!settings->source && datapath_default_profile(settings->mode)) {
        name = datapath_default_profile(settings->mode);
        settings->source = json_string(name);
    }
    if (name) {
        ret = read_named(name, &profile, &at, problems);
    } else if (json_is_object(settings->source)) {
        ret = profile_read(settings->source, &at, &profile, problems);
    } else if (settings->source) {
        place_problem(&at, problems, "must be a profile's name or a whole profile, not %s",
                      place_value(settings->source, shown));
        ret = -EINVAL;
    }
    if (ret == 0)
        ret = datapath_check_kind(profile.name, profile.kind, settings->mode, &at, problems);
    if (ret == 0)
        settings->profile = profile;
    return ret;
}

static const struct field_pattern pattern_profile = {
    .says = "the name of a shipped profile, or a whole profile"};

static const struct field datapath_fields[] = {
    {.name = "mode",
     .type = FIELD_ENUM,
     FIELD_AT(struct datapath_settings, mode),
     .names = datapath_mode_names,
     .fallback = "dpu",
     .help = DATAPATH_MODE_HELP},
    {.name = "profile",
     .type = FIELD_JSON,
     FIELD_AT(struct datapath_settings, source),
     .flags = FIELD_OPTIONAL,
     .pattern = &pattern_profile,
     .unset = "bluefield3-native with mode dpu, envoy-permissive with sidecar",
     .help = "What the proxy costs; of the mode's kind."},
    DATAPATH_POLICY_FIELD(struct datapath_settings, policy),
};

const struct record datapath_settings_record = {FIELDS(datapath_fields),
                                                .size = sizeof(struct datapath_settings)};
