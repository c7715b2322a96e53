/* K8sParameters.json: what muBench's deployer sets for all services. */
#include <string.h>

#include "spec/workmodel_private.h"

/* Why the rest has no counterpart; what is in no row is plainly left out. */
static const struct reason {
    const char *key, *text;
} reasons[] = {
    {"image", "muBench's cell is not what runs: the agent is (--image names it)"},
    {"cluster_domain", "callers use a service's short name; left out"},
    {"nginx-gw", "there is no gateway: clients reach each service itself; left out"},
    {"nginx-svc-type", "there is no gateway: spec.service.type says it for a service; left out"},
    {"dns-resolver", "there is no gateway that would need it; left out"},
    {"sleep", "the operator makes all services at once; left out"},
    {"no-apply", "nothing is applied here; left out"},
    {"InternalServiceFilePath",
     "an agent runs no Python: functions of your own are plugins in C; left out"},
};

static const char *reason(const char *key)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (workmodel_same_name(key, reasons[i].key))
            return reasons[i].text;
    return "no counterpart, left out";
}

/* The keys of the object that count for all services; the others are noted. Owned by the caller. */
static json_t *overrides(struct conversion *conversion, json_t *object, const struct place *from)
{
    json_t *kept = json_object(), *value;
    const char *key;

    json_object_foreach(object, key, value)
    {
        struct place at = PLACE_KEY(from, key);
        if (workmodel_overrides(key))
            json_object_set(kept, key, value);
        else if (!json_is_object(value) || strcmp(key, "K8sParameters") != 0)
            convert_note(conversion, &at, "%s", reason(key));
    }
    return kept;
}

/* Whether it says anything for services, and says it right: else each service would say it. */
static bool usable(struct conversion *conversion, json_t *kept, const struct place *from)
{
    size_t before = conversion->problems->count;
    convert_service(conversion, kept, from);
    return convert_check(conversion) && conversion->problems->count == before;
}

json_t *workmodel_parameters(struct conversion *conversion, json_t *notes,
                             struct place ret_place[2], struct source *source)
{
    const struct workmodel_file *file = &conversion->source->parameters;
    json_t *inner = json_object_get(file->root, "K8sParameters"), *kept;
    char shown[PLACE_VALUE_MAX];

    *source = (struct source){.file = file->name, .pointers = true};
    ret_place[0] = (struct place)PLACE_ROOT(source);
    if (!file->root)
        return NULL;
    if (!json_is_object(file->root)) {
        place_problem(&ret_place[0], conversion->problems,
                      "must be an object with K8sParameters in it, not %s",
                      place_value(file->root, shown));
        return NULL;
    }
    ret_place[1] = (struct place)PLACE_KEY(&ret_place[0], "K8sParameters");
    if (inner && !json_is_object(inner)) {
        place_problem(&ret_place[1], conversion->problems, "must be an object, not %s",
                      place_value(inner, shown));
        return NULL;
    }
    convert_begin(conversion, "parameters", &ret_place[inner ? 1 : 0]);
    json_decref(conversion->notes);
    conversion->notes = json_incref(notes);
    if (inner) {
        json_decref(overrides(conversion, file->root, &ret_place[0]));
        kept = overrides(conversion, inner, &ret_place[1]);
    } else {
        kept = overrides(conversion, file->root, &ret_place[0]);
        ret_place[1] = ret_place[0];
    }
    if (!inner && json_object_size(kept) == 0)
        place_problem(&ret_place[0], conversion->problems,
                      "no K8sParameters in it; is it the right file?");
    bool right = usable(conversion, kept, &ret_place[1]);
    convert_end(conversion);
    if (right)
        return kept;
    json_decref(kept);
    return NULL;
}
