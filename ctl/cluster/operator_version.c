#include "ctl/cluster/operator_version.h"

#include <string.h>

#include "base/memory.h"
#include "ctl/cluster/dig.h"
#include "ctl/cluster/trouble.h"
#include "obs/exposition_read.h"

enum { PAGE_BYTES_MAX = 4 << 20, VERSIONS_MAX = 1024 };

static int visit(void *context, const struct exposition_sample *sample)
{
    char **version = context;
    const struct exposition_text *label = exposition_label(sample, "version");
    if (!*version && label && exposition_is(sample, "dpumesh_build_info"))
        *version = xstrndup(label->data, label->length);
    return 0;
}

char *operator_version_read(const char *page, size_t length)
{
    char *version = NULL;
    if (exposition_read(page, length, visit, &version, NULL) < 0)
        free(STEAL_POINTER(version));
    return version;
}

/* The port that the operator's container calls metrics. */
static int metrics_port(const json_t *pod)
{
    const json_t *container = json_array_get(dig(pod, "spec", "containers", NULL), 0);
    size_t i;
    json_t *port;
    json_array_foreach(json_object_get(container, "ports"), i, port)
    {
        if (strcmp(dig_text(port, "name", NULL), "metrics") == 0)
            return (int)dig_number(port, "containerPort", NULL);
    }
    return 0;
}

static char *version_of_pod(const struct cluster *cluster, const json_t *pod)
{
    cleanup_buffer struct buffer page = BUFFER_INIT(PAGE_BYTES_MAX);
    int port = metrics_port(pod);
    cleanup_free char *path = cluster_page_path(pod, port);
    if (port == 0 || cluster_read_page(cluster, path, &page, NULL) < 0)
        return NULL;
    return operator_version_read(page.data, page.length);
}

char *operator_versions_join(const json_t *versions)
{
    struct buffer text = BUFFER_INIT(VERSIONS_MAX);
    json_auto_t *seen = json_object();
    size_t i;
    json_t *version;
    json_array_foreach(versions, i, version)
    {
        const char *name = json_string_value(version);
        if (!json_object_get(seen, name))
            buffer_printf(&text, "%s%s", text.length ? ", " : "", name);
        json_object_set(seen, name, version);
    }
    if (text.length > 0)
        return buffer_terminate(&text);
    buffer_free(&text);
    return NULL;
}

char *operator_versions(const struct cluster *cluster, const json_t *pods)
{
    json_auto_t *versions = json_array();
    size_t i;
    json_t *pod;
    json_array_foreach(pods, i, pod)
    {
        cleanup_free char *version = pod_is_ready(pod) ? version_of_pod(cluster, pod) : NULL;
        if (version)
            json_array_append_new(versions, json_string(version));
    }
    return operator_versions_join(versions);
}
