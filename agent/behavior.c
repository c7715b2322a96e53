#include "agent/behavior.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { ID_BYTES = 64 /* longer ones are nobody's */ };

static void open_plugin(struct behavior *behavior, const char *path, struct problems *problems)
{
    cleanup_error struct error *err = NULL;
    if (behavior->internal->kind != INTERNAL_PLUGIN ||
        plugin_open(behavior->internal, &behavior->plugin, &err) == 0)
        return;
    if (behavior->id)
        problem_add(problems, "%s: workload.alternativeBehaviors.%s.internalService.plugin: %s",
                    path, behavior->id, error_message(err));
    else
        problem_add(problems, "%s: workload.internalService.plugin: %s", path, error_message(err));
}

static void make_own(const struct agent_config *config, const char *path, struct behavior *own,
                     struct problems *problems)
{
    const struct workload_settings *workload = &config->workload;
    *own =
        (struct behavior){.internal = &workload->internal,
                          .plan = plan_of_groups(config, workload->groups, workload->group_count)};
    open_plugin(own, path, problems);
}

static void make_alternative(const struct agent_config *config, const char *path,
                             const struct alternative_behavior *given, const struct behavior *own,
                             struct behavior *alternative, struct problems *problems)
{
    *alternative = *own;
    alternative->id = given->id;
    alternative->borrows_plan = !given->groups_given;
    alternative->borrows_plugin = !given->internal_given;
    if (given->groups_given)
        alternative->plan = plan_of_groups(config, given->groups, given->group_count);
    if (given->internal_given) {
        alternative->internal = &given->internal;
        alternative->plugin = NULL;
        open_plugin(alternative, path, problems);
    }
}

int behaviors_make(const struct agent_config *config, const char *path, struct behaviors *ret,
                   struct problems *problems)
{
    const struct workload_settings *workload = &config->workload;
    size_t before = problems->count;
    struct behaviors made = {.count = 1 + workload->behavior_count};
    made.list = xcalloc(made.count, sizeof *made.list);
    make_own(config, path, &made.list[0], problems);
    for (size_t i = 1; i < made.count; i++)
        make_alternative(config, path, &workload->behaviors[i - 1], &made.list[0], &made.list[i],
                         problems);
    if (problems->count > before) {
        behaviors_free(&made);
        return -EINVAL;
    }
    *ret = made;
    return 0;
}

void behaviors_free(struct behaviors *behaviors)
{
    for (size_t i = 0; i < behaviors->count; i++) {
        const struct behavior *behavior = &behaviors->list[i];
        if (!behavior->borrows_plan)
            plan_free(behavior->plan, NULL);
        if (!behavior->borrows_plugin)
            plugin_drop(behavior->plugin);
    }
    free(behaviors->list);
    *behaviors = (struct behaviors){0};
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Resolves %41 and + as a form's encoding has them; what is no escape stays. SIZE_MAX when there is
 * more than `size` bytes. */
static size_t unescape(const char *text, size_t length, char *out, size_t size)
{
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i] == '+' ? ' ' : text[i];
        if (c == '%' && i + 2 < length && hex_digit(text[i + 1]) >= 0 &&
            hex_digit(text[i + 2]) >= 0) {
            c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        }
        if (written == size)
            return SIZE_MAX;
        out[written++] = c;
    }
    return written;
}

static bool is_bid(const char *name, size_t length)
{
    char text[3];
    return unescape(name, length, text, sizeof text) == 3 && memcmp(text, "bid", 3) == 0;
}

static const struct behavior *find(const struct behaviors *behaviors, const char *id, size_t length)
{
    for (size_t i = 1; i < behaviors->count; i++)
        if (strlen(behaviors->list[i].id) == length &&
            memcmp(behaviors->list[i].id, id, length) == 0)
            return &behaviors->list[i];
    return &behaviors->list[0];
}

const struct behavior *behavior_choose(const struct behaviors *behaviors, const char *query,
                                       size_t length)
{
    const char *end = query + length;
    while (behaviors->count > 1 && query < end) {
        const char *next = memchr(query, '&', (size_t)(end - query));
        const char *part_end = next ? next : end;
        const char *equals = memchr(query, '=', (size_t)(part_end - query));
        const char *name_end = equals ? equals : part_end;
        if (is_bid(query, (size_t)(name_end - query))) {
            char id[ID_BYTES];
            const char *value = equals ? equals + 1 : part_end;
            return find(behaviors, id, unescape(value, (size_t)(part_end - value), id, sizeof id));
        }
        query = next ? next + 1 : end;
    }
    return &behaviors->list[0];
}
