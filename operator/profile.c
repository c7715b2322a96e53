#include "operator/profile.h"

#include <string.h>

#include "base/memory.h"

enum profile_state { PROFILE_THERE = 1, PROFILE_NO_FILE, PROFILE_TOO_LARGE };

int trim_profile(void *context, const json_t *object, struct buffer *out)
{
    const json_t *file = json_object_get(json_object_get(object, "data"), PROFILE_KEY);
    size_t length = json_string_length(file);
    char state = (char)(!json_is_string(file)                 ? PROFILE_NO_FILE
                        : length > OPERATOR_PROFILE_BYTES_MAX ? PROFILE_TOO_LARGE
                                                              : PROFILE_THERE);
    (void)context;
    int full = buffer_append(out, &state, 1);
    return full == 0 && state == PROFILE_THERE ? buffer_append(out, json_string_value(file), length)
                                               : full;
}

/* ---- whose business a profile is ---- */

struct concern {
    const struct kube_object *profile;
    kube_key_add *add;
    void *adding;
};

static int concern_one(void *context, const struct kube_object *service)
{
    const struct concern *concern = context;
    if (strcmp(service->namespace, concern->profile->namespace) != 0)
        return 0;
    cleanup_free char *key = xasprintf("%s/%s", service->namespace, service->name);
    concern->add(concern->adding, key);
    return 0;
}

static void profile_keys(void *context, struct kube_controller *controller,
                         const struct kube_object *object, kube_key_add *add, void *adding)
{
    struct concern concern = {object, add, adding};
    (void)context;
    kube_store_each(kube_controller_store(controller, SOURCE_DPUSERVICES), TRIM_PROFILE_INDEX,
                    object->name, concern_one, &concern);
}

void operator_profile_source(struct kube_controller_source *source)
{
    static const struct kube_resource config_maps = {"", "v1", "configmaps", "ConfigMap", true};
    source->resource = &config_maps;
    source->name = "profiles";
    source->label_selector = PROFILE_LABEL "=true";
    source->secondary = false; /* somebody's change, not an echo of ours */
    source->key = NULL;
    source->keys = profile_keys;
}

/* ---- a visit's ---- */

static void take(struct visit *v, const char *name, const struct kube_object *kept)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_free char *origin = xasprintf("ConfigMap %s, %s", name, PROFILE_KEY);
    char state = kept->data_length ? kept->data[0] : (char)PROFILE_TOO_LARGE;
    if (state == PROFILE_NO_FILE)
        visit_obstacle(v, true, "ProfileInvalid", "ConfigMap %s has no %s; put the profile there",
                       name, PROFILE_KEY);
    else if (state == PROFILE_TOO_LARGE)
        visit_obstacle(v, true, "ProfileInvalid", "%s: longer than %d KiB", origin,
                       OPERATOR_PROFILE_BYTES_MAX >> 10);
    else if (datapath_take(&v->service->datapath, kept->data + 1, kept->data_length - 1, origin,
                           &problems) < 0)
        visit_problems(v, "ProfileInvalid", &problems);
}

bool visit_find_profile(struct visit *v)
{
    const char *name = datapath_own_name(&v->service->datapath);
    if (!name)
        return true;
    cleanup_kube_object const struct kube_object *kept =
        kube_store_get(kube_controller_store(v->controller, SOURCE_PROFILES), v->namespace, name);
    if (kept) {
        take(v, name, kept);
        return !datapath_own_name(&v->service->datapath);
    }
    cleanup_buffer struct buffer names = BUFFER_INIT(1024);
    datapath_shipped_names(&names);
    visit_obstacle(v, true, "ProfileNotFound",
                   "no profile is called %s: none of the shipped ones (%s), and namespace %s has "
                   "no ConfigMap of that name with the label " PROFILE_LABEL ": \"true\"",
                   name, buffer_terminate(&names), v->namespace);
    return false;
}
