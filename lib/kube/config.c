/* Where the configuration comes from: flags, kubeconfig files, or a pod's service account. */
#include "kube/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "kube/config_private.h"

/* ---- in a pod ---- */

/* "https://10.0.0.1:443" from the environment; NULL after err when it is not there. */
static char *service_url(struct error **err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    uint64_t number;
    if (!host || !*host || !port || !*port) {
        error_make(err, ENOENT,
                   "in-cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, "
                   "so this is no pod; give --kubeconfig");
        return NULL;
    }
    if (text_parse_unsigned(port, 1, 65535, &number, err) < 0) {
        error_prefix(err, 0, "in-cluster: KUBERNETES_SERVICE_PORT");
        return NULL;
    }
    cleanup_free char *text = strchr(host, ':') ? xasprintf("https://[%s]:%s", host, port)
                                                : xasprintf("https://%s:%s", host, port);
    char *url = NULL;
    if (kube_server_url(text, &url))
        error_make(err, EINVAL,
                   "in-cluster: KUBERNETES_SERVICE_HOST is not a host's name or address");
    return url;
}

/* The namespace that the pod is in; "default" when the file is not there. */
static int read_namespace(const char *path, char **ret_namespace, struct error **err)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(256);
    int ret = file_read(path, &text, err);
    if (ret == -ENOENT) {
        error_free(*err);
        *err = NULL;
        *ret_namespace = xstrdup("default");
        return 0;
    }
    if (ret < 0)
        return error_prefix(err, ret, "in-cluster");
    char *name = buffer_terminate(&text);
    name[strcspn(name, " \r\n")] = '\0';
    if (!kube_namespace_valid(name))
        return error_make(err, EINVAL, "in-cluster: %s: holds no namespace", path);
    *ret_namespace = xstrdup(name);
    return 0;
}

static int load_in_cluster(const struct kube_config_options *options, const char *directory,
                           struct kube_config **ret_config, struct error **err)
{
    cleanup_kube_access struct kube_access access = KUBE_ACCESS_INIT;
    cleanup_error struct error *said = NULL;
    cleanup_free char *namespace_file = xasprintf("%s/namespace", directory);
    int ret = 0;

    access.source = xstrdup("in-cluster");
    if (options->server)
        kube_server_url(options->server, &access.server);
    else if (!(access.server = service_url(&said)))
        ret = -error_number(said);
    if (options->namespace)
        access.namespace = xstrdup(options->namespace);
    else if (ret == 0)
        ret = read_namespace(namespace_file, &access.namespace, &said);
    if (ret < 0)
        return error_make(err, -ret, "%s", error_message(said));
    access.token_file = xasprintf("%s/token", directory);
    access.ca.file = xasprintf("%s/ca.crt", directory);
    ret = kube_access_open(&access, ret_config, &said);
    if (ret == -ENOENT)
        return error_make(err, ENOENT,
                          "%s; a pod gets these files unless automountServiceAccountToken is false",
                          error_message(said));
    return ret < 0 ? error_make(err, -ret, "%s", error_message(said)) : 0;
}

/* Whether this is a pod with a service account, as client-go's InClusterConfig would find it. */
static bool in_cluster_possible(const char *directory)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    cleanup_free char *token = xasprintf("%s/token", directory);
    return host && *host && port && *port && access(token, F_OK) == 0;
}

/* ---- files ---- */

/* Reads the files of a list, colons between them; those that are not there are left out. */
static void load_list(const char *list, struct kubeconfigs *files, struct problems *problems)
{
    for (const char *at = list; *at;) {
        size_t length = strcspn(at, ":");
        cleanup_free char *path = xstrndup(at, length);
        bool again = false;
        for (size_t i = 0; i < files->count; i++)
            again = again || strcmp(files->items[i].path, path) == 0;
        if (length > 0 && !again)
            kubeconfig_load(path, files, problems);
        at += length + (at[length] == ':');
    }
}

/* Reads what is to be read; *ret_searched tells where was looked (owned by the caller). */
static int load_files(const struct kube_config_options *options, struct kubeconfigs *files,
                      char **ret_searched, struct error **err)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    const char *list = getenv("KUBECONFIG"), *home = getenv("HOME");
    int ret = 0;

    if (options->kubeconfig) {
        ret = kubeconfig_load(options->kubeconfig, files, &problems);
        if (ret == -ENOENT)
            problem_add(&problems, "%s: is not there; give a kubeconfig file", options->kubeconfig);
        *ret_searched = xstrdup(options->kubeconfig);
    } else if (list && *list) {
        load_list(list, files, &problems);
        *ret_searched = xasprintf("KUBECONFIG, which is %s", list);
    } else if (home && *home) {
        cleanup_free char *path = xasprintf("%s/.kube/config", home);
        ret = kubeconfig_load(path, files, &problems);
        *ret_searched = STEAL_POINTER(path);
    } else {
        *ret_searched = xstrdup("~/.kube/config, but HOME is not set");
    }
    if (problems.count == 0)
        return 0;
    return kube_problems_error(&problems, ret < 0 ? -ret : EINVAL, err);
}

static int load_kubeconfig(const struct kubeconfigs *files,
                           const struct kube_config_options *options,
                           struct kube_config **ret_config, struct error **err)
{
    cleanup_kube_access struct kube_access access = KUBE_ACCESS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    if (kube_access_resolve(files, options, &access, &problems) < 0)
        return kube_problems_error(&problems, EINVAL, err);
    return kube_access_open(&access, ret_config, err);
}

/* An option that is empty counts as not given: `--context "$CONTEXT"`. */
static const char *given(const char *option)
{
    return option && *option ? option : NULL;
}

static int check_options(const struct kube_config_options *options, struct error **err)
{
    cleanup_free char *server = NULL;
    const char *problem = options->server ? kube_server_url(options->server, &server) : NULL;
    if (problem)
        return error_make(err, EINVAL, "the server given as an option %s", problem);
    if (options->namespace && !kube_namespace_valid(options->namespace))
        return error_make(err, EINVAL,
                          "the namespace %.64s given as an option can't be one: lower-case "
                          "letters, digits and dashes, at most 63",
                          options->namespace);
    return 0;
}

int kube_config_load(const struct kube_config_options *options, struct kube_config **ret_config,
                     struct error **err)
{
    struct kube_config_options asked = {.kubeconfig = given(options->kubeconfig),
                                        .context = given(options->context),
                                        .server = given(options->server),
                                        .namespace = given(options->namespace)};
    const char *directory = given(options->service_account_directory);
    cleanup_kubeconfigs struct kubeconfigs files = KUBECONFIGS_INIT;
    cleanup_free char *searched = NULL;

    directory = directory ? directory : KUBE_SERVICE_ACCOUNT_DIRECTORY;
    int ret = check_options(&asked, err);
    if (ret == 0 && options->in_cluster)
        return load_in_cluster(&asked, directory, ret_config, err);
    if (ret == 0)
        ret = load_files(&asked, &files, &searched, err);
    if (ret < 0)
        return ret;
    if (!kubeconfigs_empty(&files) || asked.kubeconfig)
        return load_kubeconfig(&files, &asked, ret_config, err);
    if (!asked.context && in_cluster_possible(directory))
        return load_in_cluster(&asked, directory, ret_config, err);
    if (asked.server)
        return load_kubeconfig(&files, &asked, ret_config, err);
    return error_make(err, ENOENT,
                      "no kubeconfig (looked at %s), and this is no pod with a service account "
                      "(looked at %s); give --kubeconfig, or set KUBECONFIG",
                      searched, directory);
}
