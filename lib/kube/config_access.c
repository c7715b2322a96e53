/* What kubeconfig files and flags say of one context. No file is read here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "kube/base64.h"
#include "kube/config_private.h"
#include "kube/secret.h"

enum { NAMESPACE_BYTES_MAX = 63, NAMES_BYTES_MAX = 1024 };

bool kube_namespace_valid(const char *text)
{
    static const char inner[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t length = strlen(text);
    return length >= 1 && length <= NAMESPACE_BYTES_MAX && strspn(text, inner) == length &&
           text[0] != '-' && text[length - 1] != '-';
}

void kube_access_material(const struct kube_entry *entry, const char *file_field,
                          const char *data_field, struct kube_material *material,
                          struct problems *problems)
{
    const char *file = kube_entry_text(entry, file_field, problems);
    const char *data = kube_entry_text(entry, data_field, problems);

    material->entry = *entry;
    material->field = data ? data_field : file_field;
    if (file && data) {
        kube_entry_problem(entry, data_field, problems, "stands beside %s; keep one of the two",
                           file_field);
    } else if (file) {
        material->file = kube_entry_path(entry, file);
    } else if (data) {
        size_t length = strlen(data);
        cleanup_secret_buffer struct buffer out = BUFFER_INIT(length);
        buffer_reserve(&out, length); /* so that no part of it is left behind by growing */
        if (kube_base64_decode(data, length, &out) < 0 || memchr(out.data, '\0', out.length))
            kube_entry_problem(entry, data_field, problems,
                               "is not base64 of PEM text; make it with base64 -w0 FILE");
        else
            material->data = kube_secret_take(&out);
    }
}

/* ---- the context ---- */

/* Why there is no context of this name. */
static void tell_no_context(const struct kubeconfigs *files, const char *name,
                            struct problems *problems)
{
    cleanup_buffer struct buffer where = BUFFER_INIT(KUBE_SENTENCE_BYTES);
    cleanup_buffer struct buffer names = BUFFER_INIT(NAMES_BYTES_MAX);
    for (size_t i = 0; i < files->count; i++)
        buffer_printf(&where, "%s%s", i ? ", " : "", files->items[i].path);
    kubeconfigs_names(files, KUBECONFIG_CONTEXTS, &names);
    if (name)
        problem_add(problems, "%s: no context named %.64s; choose one with --context%s",
                    buffer_terminate(&where), name, buffer_terminate(&names));
    else
        problem_add(problems,
                    "%s: current-context is not set; give --context, or set it with kubectl "
                    "config use-context%s",
                    buffer_terminate(&where), buffer_terminate(&names));
}

/* Follows a context's reference to a cluster or user. False when there is none, after a problem if
 * it is required or names nothing. */
static bool follow(const struct kubeconfigs *files, const struct kube_entry *context,
                   enum kubeconfig_list list, bool required, struct kube_entry *ret_entry,
                   struct problems *problems)
{
    const char *field = list == KUBECONFIG_CLUSTERS ? "cluster" : "user";
    size_t before = problems->count;
    const char *name = kube_entry_text(context, field, problems);
    cleanup_buffer struct buffer names = BUFFER_INIT(NAMES_BYTES_MAX);

    if (name && kubeconfigs_find(files, list, name, ret_entry))
        return true;
    kubeconfigs_names(files, list, &names);
    if (name)
        kube_entry_problem(context, field, problems, "no entry of %ss is named %.64s%s", field,
                           name, buffer_terminate(&names));
    else if (required && problems->count == before)
        kube_entry_problem(context, field, problems, "missing; name one of %ss%s", field,
                           buffer_terminate(&names));
    return false;
}

static void resolve_namespace(const struct kube_entry *context,
                              const struct kube_config_options *options, struct kube_access *access,
                              struct problems *problems)
{
    const char *name = options->namespace;

    if (!name && context->file)
        name = kube_entry_text(context, "namespace", problems);
    if (!options->namespace && name && !kube_namespace_valid(name))
        kube_entry_problem(context, "namespace", problems,
                           "can't be a namespace: lower-case letters, digits and dashes, at most "
                           "63");
    access->namespace = xstrdup(name ? name : "default");
}

/* What the cluster says to plugins: its extension of this name, as client-go has it. */
static json_t *exec_extension(const struct kube_entry *cluster)
{
    static const char wanted[] = "client.authentication.k8s.io/exec";
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(cluster->value, "extensions"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        if (name && strcmp(name, wanted) == 0)
            return json_deep_copy(json_object_get(item, "extension"));
    }
    return NULL;
}

static void resolve_context(const struct kubeconfigs *files, const struct kube_entry *context,
                            const struct kube_config_options *options, struct kube_access *access,
                            struct problems *problems)
{
    static const char *const known[] = {"cluster", "user", "namespace", "extensions", NULL};
    struct kube_entry cluster = {.file = NULL}, user = {.file = NULL};

    access->source = xasprintf("%s, context %s", context->file->path, context->name);
    kube_entry_check_fields(context, known, false, problems);
    if (follow(files, context, KUBECONFIG_CLUSTERS, !options->server, &cluster, problems) ||
        options->server)
        kube_access_cluster(&cluster, options, access, problems);
    if (follow(files, context, KUBECONFIG_USERS, false, &user, problems))
        kube_access_user(&user, access, problems);
    if (access->exec && access->exec->cluster_info)
        access->exec->cluster_config = exec_extension(&cluster);
}

int kube_access_resolve(const struct kubeconfigs *files, const struct kube_config_options *options,
                        struct kube_access *ret_access, struct problems *problems)
{
    cleanup_kube_access struct kube_access access = KUBE_ACCESS_INIT;
    struct kube_entry context = {.file = NULL};
    size_t before = problems->count;
    const char *name = options->context ? options->context : kubeconfigs_current_context(files);

    if (name && kubeconfigs_find(files, KUBECONFIG_CONTEXTS, name, &context)) {
        resolve_context(files, &context, options, &access, problems);
    } else if (name || !options->server) {
        tell_no_context(files, name, problems);
    } else { /* as kubectl --server without a context: nobody in particular asks there */
        access.source = xstrdup("the server option");
        kube_access_cluster(&context, options, &access, problems);
    }
    resolve_namespace(&context, options, &access, problems);
    if (problems->count > before)
        return -EINVAL;
    *ret_access = access;
    access = (struct kube_access)KUBE_ACCESS_INIT;
    return 0;
}

static void material_free(struct kube_material *material)
{
    free(material->file);
    kube_secret_free(material->data);
}

void kube_access_free(struct kube_access *access)
{
    free(access->source);
    free(access->namespace);
    free(access->server);
    free(access->tls_server_name);
    kube_secret_free(access->proxy_url); /* may hold a password */
    material_free(&access->ca);
    material_free(&access->client_cert);
    material_free(&access->client_key);
    kube_secret_free(access->token);
    free(access->token_file);
    kube_secret_free(access->username);
    kube_secret_free(access->password);
    kube_texts_free(access->impersonate);
    kube_exec_free(access->exec);
    *access = (struct kube_access)KUBE_ACCESS_INIT;
}

int kube_problems_error(const struct problems *problems, int number, struct error **err)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(KUBE_SENTENCE_BYTES);
    size_t shown = 0;
    while (shown < problems->count && shown < KUBE_PROBLEMS_SHOWN &&
           buffer_printf(&text, "%s%s", shown ? "; " : "", problems->texts[shown]) == 0)
        shown++;
    if (shown < problems->count)
        buffer_printf(&text, "; and %zu more", problems->count - shown);
    return error_make(err, number, "%s", buffer_terminate(&text));
}
