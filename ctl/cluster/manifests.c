#include "ctl/cluster/manifests.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/cluster/dig.h"
#include "ctl/cluster/kustomize.h"
#include "doc/document.h"

#define BASE "deploy/base/"

/* In the order in which objects are applied: what others need comes first. */
static const struct kube_resource resources[] = {
    {"apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false},
    {"", "v1", "namespaces", "Namespace", false},
    {"", "v1", "serviceaccounts", "ServiceAccount", true},
    {"rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false},
    {"rbac.authorization.k8s.io", "v1", "roles", "Role", true},
    {"rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false},
    {"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true},
    {"", "v1", "configmaps", "ConfigMap", true},
    {"", "v1", "services", "Service", true},
    {"networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", true},
    {"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true},
    {"apps", "v1", "deployments", "Deployment", true},
};

enum { RESOURCES = sizeof resources / sizeof resources[0] };

const struct kube_resource *manifest_resource(const json_t *object)
{
    for (size_t i = 0; i < RESOURCES; i++) {
        const struct kube_resource *one = &resources[i];
        cleanup_free char *version =
            xasprintf("%s%s%s", one->group, *one->group ? "/" : "", one->version);
        if (strcmp(dig_text(object, "kind", NULL), one->kind) == 0 &&
            strcmp(dig_text(object, "apiVersion", NULL), version) == 0)
            return one;
    }
    return NULL;
}

static int read_file(const struct embedded_file *file, json_t *objects, struct error **err)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    if (documents_parse((const char *)file->data, file->size, file->name, &documents, &problems) <
        0)
        return error_make(err, EPROTO, "%s",
                          problems.count ? problems.texts[0] : "a file can't be read");
    for (size_t i = 0; i < documents.count; i++)
        json_array_append_new(objects, json_deep_copy(documents.items[i].root));
    return 0;
}

static const struct embedded_file *find_file(const struct embedded_file *files, const char *name)
{
    for (; files->name; files++)
        if (strcmp(files->name, name) == 0)
            return files;
    return NULL;
}

static int read_named(const struct embedded_file *files, const char *name, json_t *objects,
                      struct error **err)
{
    cleanup_free char *path = xasprintf(BASE "%s", name);
    const struct embedded_file *file = find_file(files, path);
    if (!file)
        return error_make(err, EPROTO, "%s is not in this program", path);
    return read_file(file, objects, err);
}

/* The CRDs, and what the kustomization of deploy/base names. */
static int read_objects(const struct embedded_file *files, const json_t *kustomization,
                        json_t *objects, struct error **err)
{
    size_t i;
    json_t *name;
    for (const struct embedded_file *file = files; file->name; file++) {
        if (strncmp(file->name, "crds/", 5) == 0 && read_file(file, objects, err) < 0)
            return -EPROTO;
    }
    json_array_foreach(json_object_get(kustomization, "resources"), i, name)
    {
        if (read_named(files, json_string_value(name), objects, err) < 0)
            return -EPROTO;
    }
    return 0;
}

static int add_config_maps(const struct embedded_file *files, const json_t *kustomization,
                           json_t *objects, struct error **err)
{
    size_t i, j;
    json_t *generator, *name;
    json_array_foreach(json_object_get(kustomization, "configMapGenerator"), i, generator)
    {
        json_auto_t *data = json_object();
        json_array_foreach(json_object_get(generator, "files"), j, name)
        {
            cleanup_free char *path = xasprintf(BASE "%s", json_string_value(name));
            const struct embedded_file *file = find_file(files, path);
            if (!file)
                return error_make(err, EPROTO, "%s is not in this program", path);
            json_object_set_new(data, json_string_value(name),
                                json_stringn((const char *)file->data, file->size));
        }
        int r = kustomize_add_config_map(objects, generator, data, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int sort(const json_t *objects, json_t *ret_sorted, struct error **err)
{
    size_t j;
    json_t *object;
    for (size_t i = 0; i < RESOURCES; i++) {
        json_array_foreach(objects, j, object)
        {
            if (manifest_resource(object) == &resources[i])
                json_array_append(ret_sorted, object);
        }
    }
    json_array_foreach(objects, j, object)
    {
        if (!manifest_resource(object))
            return error_make(err, EPROTO, "deploy/ has a %s of %s, which install does not know",
                              dig_text(object, "kind", NULL), dig_text(object, "apiVersion", NULL));
    }
    return 0;
}

int manifests_render_files(const struct embedded_file *files,
                           const struct manifest_options *options, json_t **ret_objects,
                           struct error **err)
{
    json_auto_t *head = json_array(), *objects = json_array(), *sorted = json_array();
    int r = read_named(files, "kustomization.yaml", head, err);
    json_t *kustomization = json_array_get(head, 0);
    if (r == 0)
        r = kustomize_check(kustomization, err);
    if (r == 0)
        r = read_objects(files, kustomization, objects, err);
    if (r == 0)
        r = add_config_maps(files, kustomization, objects, err);
    if (r == 0)
        r = sort(objects, sorted, err);
    if (r < 0)
        return r;
    kustomize_images(sorted, kustomization, options->image);
    if (options->namespace)
        kustomize_namespace(sorted, options->namespace);
    *ret_objects = STEAL_POINTER(sorted);
    return 0;
}

int manifests_render(const struct manifest_options *options, json_t **ret_objects,
                     struct error **err)
{
    return manifests_render_files(embedded_deploy, options, ret_objects, err);
}
