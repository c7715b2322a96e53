#include "ctl/assign.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

static int parse_one(const char *text, size_t length, unsigned max, struct assignments *list,
                     struct error **err)
{
    cleanup_free char *copy = xstrndup(text, length);
    char *equals = strchr(copy, '=');
    if (!equals || equals == copy)
        return error_make(err, EINVAL, "\"%s\" is not SERVICE=N, such as s0=3", copy);
    *equals = '\0';
    uint64_t replicas;
    int r = text_parse_unsigned(equals + 1, 0, max, &replicas, err);
    if (r < 0)
        return error_prefix(err, r, "replicas of %s", copy);
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].service, copy) == 0)
            return error_make(err, EINVAL, "%s is given twice; name each service once", copy);
    if (list->count == ASSIGN_MAX)
        return error_make(err, EINVAL, "more than %d services in one list", ASSIGN_MAX);
    list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = (struct assignment){STEAL_POINTER(copy), (unsigned)replicas};
    return 0;
}

int assignments_parse(const char *text, unsigned max, struct assignments *list, struct error **err)
{
    for (;;) {
        size_t length = strcspn(text, ",");
        int r = parse_one(text, length, max, list, err);
        if (r < 0 || text[length] == '\0')
            return r;
        text += length + 1;
    }
}

void assignments_free(struct assignments *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].service);
    free(list->items);
    *list = (struct assignments)ASSIGNMENTS_INIT;
}
