/* The exec section of a user: how its credential plugin is to be run. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kube/config_private.h"

enum { EXEC_ITEMS_MAX = 1000 /* arguments, and variables */ };

static const char version_v1[] = "client.authentication.k8s.io/v1";
static const char version_v1beta1[] = "client.authentication.k8s.io/v1beta1";

static void resolve_version(const struct kube_entry *entry, struct kube_exec *exec,
                            struct problems *problems)
{
    const char *version = kube_entry_text(entry, "apiVersion", problems);
    if (!version)
        kube_entry_problem(entry, "apiVersion", problems,
                           "missing; give the one that the plugin speaks, %s or %s", version_v1,
                           version_v1beta1);
    else if (strcmp(version, version_v1) != 0 && strcmp(version, version_v1beta1) != 0)
        kube_entry_problem(entry, "apiVersion", problems,
                           "is no version that is known here; give %s or %s, and a plugin that "
                           "speaks it",
                           version_v1, version_v1beta1);
    exec->api_version = xstrdup(version ? version : "");
}

static void resolve_mode(const struct kube_entry *entry, const struct kube_exec *exec,
                         struct problems *problems)
{
    const char *mode = kube_entry_text(entry, "interactiveMode", problems);
    if (!mode && strcmp(exec->api_version, version_v1) == 0)
        kube_entry_problem(entry, "interactiveMode", problems,
                           "missing, which %s does not allow; give Never or IfAvailable",
                           version_v1);
    else if (mode && strcmp(mode, "Always") == 0)
        kube_entry_problem(entry, "interactiveMode", problems,
                           "is Always, but nobody sits at a terminal here; use a credential that "
                           "needs none");
    else if (mode && strcmp(mode, "Never") != 0 && strcmp(mode, "IfAvailable") != 0)
        kube_entry_problem(entry, "interactiveMode", problems, "is not Never or IfAvailable");
}

/* A list of at most EXEC_ITEMS_MAX, or NULL. */
static const json_t *list_of(const struct kube_entry *entry, const char *field,
                             struct problems *problems)
{
    const json_t *list = json_object_get(entry->value, field);
    if (!list || json_is_null(list))
        return NULL;
    if (!json_is_array(list))
        kube_entry_problem(entry, field, problems, "must be a list");
    else if (json_array_size(list) > EXEC_ITEMS_MAX)
        kube_entry_problem(entry, field, problems, "has more than %d items", EXEC_ITEMS_MAX);
    else
        return list;
    return NULL;
}

/* A command with a slash is relative to its file; others are looked for in PATH. */
static void resolve_command(const struct kube_entry *entry, struct kube_exec *exec,
                            struct problems *problems)
{
    const json_t *list = list_of(entry, "args", problems), *item;
    const char *command = kube_entry_text(entry, "command", problems);
    size_t i;

    exec->arguments = xcalloc(json_array_size(list) + 2, sizeof(*exec->arguments));
    if (!command)
        kube_entry_problem(entry, "command", problems, "missing; give the plugin's program");
    else
        exec->arguments[0] =
            strchr(command, '/') ? kube_entry_path(entry, command) : xstrdup(command);
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item)) {
            kube_entry_problem(entry, "args", problems, "must be a list of texts; use quotes");
            break;
        }
        if (command)
            exec->arguments[i + 1] = xstrdup(json_string_value(item));
    }
}

static void resolve_environment(const struct kube_entry *entry, struct kube_exec *exec,
                                struct problems *problems)
{
    const json_t *list = list_of(entry, "env", problems), *item;
    size_t i;

    exec->environment = xcalloc(json_array_size(list) + 1, sizeof(*exec->environment));
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *value = json_string_value(json_object_get(item, "value"));
        if (!name || !value || !*name || strchr(name, '=')) {
            kube_entry_problem(entry, "env", problems,
                               "must be a list of objects with name and value, both text");
            break;
        }
        exec->environment[i] = xasprintf("%s=%s", name, value);
    }
}

struct kube_exec *kube_access_exec(const struct kube_entry *user, struct problems *problems)
{
    static const char *const known[] = {
        "apiVersion",         "command",         "args", "env", "installHint",
        "provideClusterInfo", "interactiveMode", NULL};
    struct kube_entry entry = *user;
    entry.record = "exec";
    entry.value = json_object_get(user->value, "exec");
    size_t before = problems->count;

    if (!json_is_object(entry.value)) {
        kube_entry_problem(user, "exec", problems, "must be an object with apiVersion and command");
        return NULL;
    }
    struct kube_exec *exec = xcalloc(1, sizeof(*exec));
    kube_entry_check_fields(&entry, known, false, problems);
    resolve_version(&entry, exec, problems);
    resolve_mode(&entry, exec, problems);
    resolve_command(&entry, exec, problems);
    resolve_environment(&entry, exec, problems);
    const char *hint = kube_entry_text(&entry, "installHint", problems);
    exec->install_hint = hint ? xstrdup(hint) : NULL;
    exec->cluster_info = kube_entry_truth(&entry, "provideClusterInfo", problems);
    if (problems->count > before) {
        kube_exec_free(exec);
        return NULL;
    }
    exec->where =
        xasprintf("%s: user %s: exec plugin %s", user->file->path, user->name, exec->arguments[0]);
    return exec;
}
