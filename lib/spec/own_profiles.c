#include "spec/own_profiles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "spec/profile.h"

enum { NAMES_BYTES_MAX = 1024 };

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static char *copy(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

bool own_profiles_is(const struct document *document)
{
    const char *kind = text_at(document->root, "kind");
    const json_t *metadata = json_object_get(document->root, "metadata");
    const char *label = text_at(json_object_get(metadata, "labels"), PROFILE_LABEL);
    return kind && strcmp(kind, "ConfigMap") == 0 && label && strcmp(label, "true") == 0;
}

/* The profile of that name for a service of that namespace, either NULL: not known; or NULL. */
static const struct own_profile *find(const struct own_profiles *profiles, const char *name,
                                      const char *namespace)
{
    for (size_t i = 0; i < profiles->count; i++) {
        const struct own_profile *profile = &profiles->items[i];
        bool here = !namespace || !profile->namespace || strcmp(namespace, profile->namespace) == 0;
        if (here && strcmp(profile->name, name) == 0)
            return profile;
    }
    return NULL;
}

/* Reads the text and keeps it; 0 or a negative errno and sentences. */
static int keep(struct own_profiles *profiles, const char *name, const char *namespace,
                const char *text, size_t length, const char *origin, struct problems *problems)
{
    struct profile profile;
    int ret = profile_parse(text, length, origin, &profile, problems);
    if (ret < 0)
        return ret;
    profiles->items = xreallocarray(profiles->items, profiles->count + 1, sizeof(*profiles->items));
    profiles->items[profiles->count++] = (struct own_profile){.name = xstrdup(name),
                                                              .title = xstrdup(profile.name),
                                                              .namespace = copy(namespace),
                                                              .kind = profile.kind,
                                                              .text = xstrndup(text, length),
                                                              .length = length,
                                                              .origin = xstrdup(origin)};
    return 0;
}

void own_profiles_take(struct own_profiles *profiles, const struct document *document,
                       struct problems *problems)
{
    const json_t *metadata = json_object_get(document->root, "metadata");
    const char *name = text_at(metadata, "name"), *namespace = text_at(metadata, "namespace");
    json_t *file = json_object_get(json_object_get(document->root, "data"), PROFILE_KEY);
    struct source source = document_source(document, name);
    struct place root = PLACE_ROOT(&source), meta = PLACE_KEY(&root, "metadata");
    struct place name_at = PLACE_KEY(&meta, "name"), data = PLACE_KEY(&root, "data");
    struct place file_at = PLACE_KEY(&data, PROFILE_KEY);

    if (!name || !pattern_object_name.valid(name)) {
        place_problem(&name_at, problems, "missing or no name; give %s", pattern_object_name.says);
    } else if (datapath_is_shipped(name)) {
        place_problem(&name_at, problems,
                      "a shipped profile has this name and would be taken "
                      "instead; rename it");
    } else if (find(profiles, name, namespace)) {
        place_problem(&name_at, problems, "a second profile of this name; rename one");
    } else if (!json_is_string(file)) {
        place_problem(&file_at, problems, "missing; put the profile there, as text");
    } else {
        cleanup_free char *origin =
            xasprintf("%s:%u: ConfigMap %s, " PROFILE_KEY, document->file, document->line, name);
        keep(profiles, name, namespace, json_string_value(file), json_string_length(file), origin,
             problems);
    }
}

int own_profiles_load(struct own_profiles *profiles, const struct datapath_override *override,
                      struct problems *problems)
{
    const char *name = override->profile;
    cleanup_buffer struct buffer text = BUFFER_INIT(PROFILE_FILE_BYTES_MAX);
    cleanup_buffer struct buffer names = BUFFER_INIT(NAMES_BYTES_MAX);
    cleanup_error struct error *err = NULL;

    if (!name || datapath_is_shipped(name) || find(profiles, name, NULL))
        return 0;
    if (!strpbrk(name, "/.")) {
        datapath_shipped_names(&names);
        problem_add(problems,
                    "--profile: no profile is called %s; there are %s, or give a file, or a "
                    "ConfigMap with the label " PROFILE_LABEL ": \"true\" among the documents",
                    name, buffer_terminate(&names));
        return -ENOENT;
    }
    int ret = file_read(name, &text, &err);
    if (ret < 0) {
        problem_add(problems, "--profile: %s", error_message(err));
        return ret;
    }
    return keep(profiles, name, NULL, text.data ? text.data : "", text.length, name, problems);
}

static void rename_profile(struct dpuservice *service, const char *name)
{
    free(service->datapath.profile);
    service->datapath.profile = copy(name);
}

/* The profile of the command line instead of the service's. */
static int override_profile(const struct own_profiles *profiles, const char *name,
                            struct dpuservice *service, struct problems *problems)
{
    struct datapath_choice *choice = &service->datapath;
    const struct own_profile *own = datapath_is_shipped(name) ? NULL : find(profiles, name, NULL);
    enum profile_kind kind = own ? own->kind : datapath_shipped_kind(name);

    if (kind != datapath_kind(choice->mode)) {
        problem_add(problems,
                    "--profile %s: of kind %s, but the mode of %s is %s; give --mode %s too, or "
                    "another profile",
                    name, profile_kinds[kind], service->name, datapath_mode_names[choice->mode],
                    profile_kinds[kind]);
        return -EINVAL;
    }
    rename_profile(service, own ? own->title : name);
    return own ? datapath_take(choice, own->text, own->length, own->origin, problems) : 0;
}

/* Where the mode of the command line has no use for the service's profile, the mode's own. */
static void override_mode(const struct own_profiles *profiles, enum datapath_mode mode,
                          struct dpuservice *service)
{
    struct datapath_choice *choice = &service->datapath;
    const char *name = choice->profile;

    choice->mode = mode;
    if (!name)
        return datapath_finish_choice(choice);
    const struct own_profile *own =
        datapath_is_shipped(name) ? NULL : find(profiles, name, service->namespace);
    if (!own && !datapath_is_shipped(name))
        return; /* it will be missed */
    if ((own ? own->kind : datapath_shipped_kind(name)) == datapath_kind(mode))
        return;
    rename_profile(service, NULL);
    datapath_finish_choice(choice);
}

/* The profile that the service names. */
static int give_own(const struct own_profiles *profiles, struct dpuservice *service,
                    struct problems *problems)
{
    struct datapath_choice *choice = &service->datapath;
    const char *name = datapath_own_name(choice);
    struct source source = dpuservice_source(service);
    struct place root = PLACE_ROOT(&source), spec = PLACE_KEY(&root, "spec");
    struct place datapath = PLACE_KEY(&spec, "datapath"), at = PLACE_KEY(&datapath, "profile");
    cleanup_buffer struct buffer names = BUFFER_INIT(NAMES_BYTES_MAX);

    if (!name)
        return 0;
    const struct own_profile *own = find(profiles, name, service->namespace);
    if (own) {
        int ret = datapath_check_kind(name, own->kind, choice->mode, &at, problems);
        return ret < 0 ? ret : datapath_take(choice, own->text, own->length, own->origin, problems);
    }
    datapath_shipped_names(&names);
    place_problem(&at, problems,
                  "no profile is called \"%s\"; there are %s, or add a ConfigMap %s with the label "
                  "" PROFILE_LABEL ": \"true\" to these documents",
                  name, buffer_terminate(&names), name);
    return -EINVAL;
}

int own_profiles_give(const struct own_profiles *profiles, const struct datapath_override *override,
                      struct dpuservice *service, struct problems *problems)
{
    if (override->mode_given)
        override_mode(profiles, override->mode, service);
    if (override->profile)
        return override_profile(profiles, override->profile, service, problems);
    return give_own(profiles, service, problems);
}

void own_profiles_free(struct own_profiles *profiles)
{
    for (size_t i = 0; i < profiles->count; i++) {
        struct own_profile *profile = &profiles->items[i];
        free(profile->name);
        free(profile->title);
        free(profile->namespace);
        free(profile->text);
        free(profile->origin);
    }
    free(profiles->items);
    *profiles = (struct own_profiles){0, NULL};
}
