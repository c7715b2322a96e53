/* A cluster: where its API server is, and how we know it is the one. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kube/config_private.h"
#include "kube/secret.h"

/* ---- addresses ---- */

struct url {
    CURLU *handle;
};

static void url_free(const struct url *url)
{
    curl_url_cleanup(url->handle);
}

static void curl_text_free(char **text)
{
    curl_free(*text);
}

#define cleanup_url       CLEANUP(url_free)
#define cleanup_curl_text CLEANUP(curl_text_free)

/* Whether a part is there at all. */
static bool url_has(const struct url *url, CURLUPart part)
{
    cleanup_curl_text char *text = NULL;
    return curl_url_get(url->handle, part, &text, 0) == CURLUE_OK;
}

static bool scheme_is(const struct url *url, const char *name)
{
    cleanup_curl_text char *text = NULL;
    return curl_url_get(url->handle, CURLUPART_SCHEME, &text, 0) == CURLUE_OK &&
           strcmp(text, name) == 0;
}

static bool has_blanks(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7f)
            return true;
    return false;
}

const char *kube_server_url(const char *text, char **ret_server)
{
    static const char form[] = "is not a URL of a server; give one as https://10.0.0.1:6443";
    cleanup_url struct url url = {curl_url()};
    if (!url.handle || has_blanks(text) || !strstr(text, "://") ||
        curl_url_set(url.handle, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        return form;
    if (!scheme_is(&url, "https") && !scheme_is(&url, "http"))
        return "must begin with https:// (or http://)";
    if (url_has(&url, CURLUPART_USER) || url_has(&url, CURLUPART_PASSWORD))
        return "has a user in it; give username and password of the user instead";
    if (url_has(&url, CURLUPART_QUERY) || url_has(&url, CURLUPART_FRAGMENT) || strchr(text, '?') ||
        strchr(text, '#'))
        return "has a query or a fragment in it; give scheme, host, port and path alone";
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == '/')
        length--;
    *ret_server = xstrndup(text, length);
    return NULL;
}

/* A proxy's URL as libcurl takes it. Go's socks5 lets the proxy look names up: curl's socks5h. */
static const char *proxy_url(const char *text, char **ret_proxy)
{
    static const char socks[] = "socks5://";
    cleanup_url struct url url = {curl_url()};
    if (!url.handle || has_blanks(text) || !strstr(text, "://") ||
        curl_url_set(url.handle, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        return "is not a URL; give one as http://10.0.0.1:3128";
    if (!scheme_is(&url, "http") && !scheme_is(&url, "https") && !scheme_is(&url, "socks5"))
        return "must begin with http://, https:// or socks5://";
    *ret_proxy = scheme_is(&url, "socks5") ? xasprintf("socks5h://%s", text + sizeof(socks) - 1)
                                           : xstrdup(text);
    return NULL;
}

/* A name that a certificate can be checked against. */
static bool is_host_name(const char *text)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    size_t length = strlen(text);
    return length > 0 && length <= 253 && strspn(text, letters) == length;
}

/* ---- fields ---- */

static void resolve_server(const struct kube_entry *cluster,
                           const struct kube_config_options *options, struct kube_access *access,
                           struct problems *problems)
{
    const char *server =
        options->server ? options->server : kube_entry_text(cluster, "server", problems);
    if (!server) {
        kube_entry_problem(cluster, "server", problems,
                           "missing; give the API server as https://10.0.0.1:6443");
        return;
    }
    const char *problem = kube_server_url(server, &access->server);
    if (problem)
        kube_entry_problem(cluster, "server", problems, "%s", problem);
}

static void resolve_trust(const struct kube_entry *cluster,
                          const struct kube_config_options *options, struct kube_access *access,
                          struct problems *problems)
{
    const char *name = kube_entry_text(cluster, "tls-server-name", problems);

    kube_access_material(cluster, "certificate-authority", "certificate-authority-data",
                         &access->ca, problems);
    access->insecure = kube_entry_truth(cluster, "insecure-skip-tls-verify", problems);
    if (access->insecure && (access->ca.file || access->ca.data))
        kube_entry_problem(cluster, "insecure-skip-tls-verify", problems,
                           "stands beside %s, which it would make useless; remove one of the two",
                           access->ca.field);
    if (name && !is_host_name(name))
        kube_entry_problem(cluster, "tls-server-name", problems,
                           "is not a host name; give the name in the server's certificate");
    /* It belongs to the cluster's own server, as clientcmd has it. */
    else if (name && !options->server)
        access->tls_server_name = xstrdup(name);
}

void kube_access_cluster(const struct kube_entry *cluster,
                         const struct kube_config_options *options, struct kube_access *access,
                         struct problems *problems)
{
    static const char *const known[] = {"server",
                                        "tls-server-name",
                                        "insecure-skip-tls-verify",
                                        "certificate-authority",
                                        "certificate-authority-data",
                                        "proxy-url",
                                        "disable-compression",
                                        "extensions",
                                        "api-version",
                                        NULL};

    resolve_server(cluster, options, access, problems);
    if (!cluster->file)
        return;
    kube_entry_check_fields(cluster, known, false, problems);
    resolve_trust(cluster, options, access, problems);
    const char *proxy = kube_entry_text(cluster, "proxy-url", problems);
    const char *problem = proxy ? proxy_url(proxy, &access->proxy_url) : NULL;
    if (problem)
        kube_entry_problem(cluster, "proxy-url", problems, "%s", problem);
}
