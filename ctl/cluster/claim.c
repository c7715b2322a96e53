#include "ctl/cluster/claim.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/cluster/dig.h"

#define GROUP "rbac.authorization.k8s.io"

int claim_find(const struct cluster *cluster, const char *namespace, char **ret_other,
               struct error **err)
{
    static const struct kube_resource bindings = {GROUP, "v1", "clusterrolebindings",
                                                  "ClusterRoleBinding", false};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    const char *other = "";
    size_t i;
    json_t *subject;
    *ret_other = NULL;
    int r = kube_get(cluster->client, &bindings, NULL, CLUSTER_OPERATOR_NAME, &result);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return cluster_error(cluster, r, &result, err);
    json_array_foreach(json_object_get(result.object, "subjects"), i, subject)
    {
        const char *its = dig_text(subject, "namespace", NULL);
        if (strcmp(its, namespace) == 0)
            return 0;
        other = *other ? other : its;
    }
    *ret_other = *other ? xstrdup(other) : NULL;
    return 0;
}

bool claim_is_of(const struct kube_resource *resource)
{
    return strcmp(resource->group, GROUP) == 0 && !resource->namespaced;
}
