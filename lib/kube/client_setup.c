#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "kube/client_private.h"

/* curl's buffers, one to receive and one to send, each while it runs: a watch runs for ever, and
 * receives little. */
enum { BUFFER_BYTES = 16 << 10, STREAM_BUFFER_BYTES = 4 << 10 };

/* Sets an option, and gives up on the whole transfer where this libcurl does not know it: a
 * certificate that is silently not used would be a riddle. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode code_ = curl_easy_setopt(easy, option, value);                                    \
        if (code_ != CURLE_OK)                                                                     \
            return error_make(err, ENOTSUP, "libcurl refused %s: %s", #option,                     \
                              curl_easy_strerror(code_));                                          \
    } while (0)

static struct curl_blob blob_of(const char *pem, unsigned flags)
{
    /* curl only reads what it is given. */
    return (struct curl_blob){.data = (void *)(uintptr_t)pem, .len = strlen(pem), .flags = flags};
}

static int set_certificate(struct kube_client *client, CURL *easy, struct error **err)
{
    const struct kube_config *config = client->config;
    const char *cert = NULL, *key = NULL;
    unsigned flags = CURL_BLOB_COPY; /* it may be gone when the transfer runs */

    kube_credential_certificate(config, &cert, &key);
    if (!cert || !key) {
        cert = config->client_cert_pem;
        key = config->client_key_pem;
        flags = CURL_BLOB_NOCOPY;
    }
    if (!cert || !key)
        return 0;
    struct curl_blob cert_blob = blob_of(cert, flags), key_blob = blob_of(key, flags);
    SET(CURLOPT_SSLCERTTYPE, "PEM");
    SET(CURLOPT_SSLCERT_BLOB, &cert_blob);
    SET(CURLOPT_SSLKEYTYPE, "PEM");
    SET(CURLOPT_SSLKEY_BLOB, &key_blob);
    return 0;
}

static int set_tls(struct kube_client *client, CURL *easy, struct error **err)
{
    const struct kube_config *config = client->config;

    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* A resumed session is not verified again, so that a rotated CA would not count. */
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
    SET(CURLOPT_CA_CACHE_TIMEOUT, 0L);
    if (config->insecure) {
        SET(CURLOPT_SSL_VERIFYPEER, 0L);
        SET(CURLOPT_SSL_VERIFYHOST, 0L);
    } else if (config->ca_file) {
        SET(CURLOPT_CAINFO, config->ca_file);
        SET(CURLOPT_CAPATH, NULL); /* the system's authorities are not the cluster's */
    } else if (config->ca_pem) {
        struct curl_blob blob = blob_of(config->ca_pem, CURL_BLOB_NOCOPY);
        SET(CURLOPT_CAINFO_BLOB, &blob);
        SET(CURLOPT_CAPATH, NULL);
    }
    return set_certificate(client, easy, err);
}

/*
 * A connection that we close takes back what the other side has not acknowledged, and says so
 * (RST). Otherwise the kernel would go on sending for minutes after close(): a write that had its
 * deadline in a network that was down would arrive when that is up again, after the lease under
 * which it was made.
 */
static int set_socket(void *context, curl_socket_t made, curlsocktype purpose)
{
    static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)context;
    (void)purpose;
    setsockopt(made, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    return CURL_SOCKOPT_OK;
}

static int set_connection(struct kube_client *client, CURL *easy, struct error **err)
{
    const struct kube_config *config = client->config;

    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION,
        client->http1 ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(KUBE_CONNECT_NS / NS_PER_MS));
    SET(CURLOPT_SOCKOPTFUNCTION, set_socket);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_TCP_KEEPIDLE, 30L);
    SET(CURLOPT_TCP_KEEPINTVL, 10L);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_BYTES);
    SET(CURLOPT_CONNECT_TO, client->connect_to);
    /* What a proxy says of itself is not the API server's answer. */
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    /* What authorises us is for the API server, not for a proxy on the way. */
    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    if (config->proxy_url)
        SET(CURLOPT_PROXY, config->proxy_url);
    else if (client->loopback)
        SET(CURLOPT_PROXY, "");
    return set_tls(client, easy, err);
}

/* curl asks for the body. There is no way back in it: a body that was sent even in part is never
 * sent twice by curl on its own, as it would when a reused connection breaks. */
static size_t read_body(char *out, size_t size, size_t count, void *context)
{
    struct kube_attempt *attempt = context;
    size_t left = attempt->call->body_length - attempt->body_sent, room = size * count;
    size_t take = left < room ? left : room;

    memcpy(out, attempt->call->body + attempt->body_sent, take);
    attempt->body_sent += take;
    return take;
}

static int set_method(struct kube_attempt *attempt, CURL *easy, struct error **err)
{
    const struct kube_call *call = attempt->call;

    if (!call->body) {
        SET(CURLOPT_HTTPGET, 1L);
        if (strcmp(call->method, "GET") != 0)
            SET(CURLOPT_CUSTOMREQUEST, call->method);
        /* Without a body nothing would keep curl from sending it again, but a connection that
         * can't have been closed by the other side while it was idle. */
        if (!call->repeatable)
            SET(CURLOPT_FRESH_CONNECT, 1L);
        return 0;
    }
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_length);
    if (call->repeatable) {
        SET(CURLOPT_POSTFIELDS, call->body);
    } else {
        SET(CURLOPT_READFUNCTION, read_body);
        SET(CURLOPT_READDATA, attempt);
    }
    SET(CURLOPT_CUSTOMREQUEST, call->method);
    return 0;
}

/* Returns the list with a copy of the line at its end. */
static struct curl_slist *append_line(struct curl_slist *headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(headers, line);
    if (!longer)
        abort(); /* as xmalloc(): out of memory */
    return longer;
}

/* Appends "name: value" and wipes the copy in between. */
static void add_header(struct curl_slist **headers, const char *name, const char *value)
{
    cleanup_free char *line = xasprintf("%s: %s", name, value);
    *headers = append_line(*headers, line);
    explicit_bzero(line, strlen(line));
}

static struct curl_slist *make_headers(const struct kube_call *call, const char *authorization)
{
    struct curl_slist *headers = NULL;

    /* A server that does not know the first form takes the second. */
    const char *json =
        call->answer == KUBE_ANSWER_METADATA
            ? "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
            : "application/json";
    add_header(&headers, "Accept", call->accept ? call->accept : json);
    add_header(&headers, "User-Agent", call->client->user_agent);
    if (call->body) {
        add_header(&headers, "Content-Type",
                   call->content_type ? call->content_type : "application/json");
        add_header(&headers, "Expect", ""); /* no "100-continue" */
    }
    if (call->client->host_header)
        headers = append_line(headers, call->client->host_header);
    for (char **line = call->client->config->impersonate; line && *line; line++)
        headers = append_line(headers, *line);
    if (*authorization)
        add_header(&headers, "Authorization", authorization);
    return headers;
}

void kube_headers_free(struct curl_slist *headers)
{
    for (struct curl_slist *at = headers; at; at = at->next)
        explicit_bzero(at->data, strlen(at->data));
    curl_slist_free_all(headers);
}

static int set_call(struct kube_attempt *attempt, CURL *easy, struct error **err)
{
    const struct kube_call *call = attempt->call;
    cleanup_free char *url =
        xasprintf("%s%s%s%s", call->client->base_url, call->path,
                  call->query && *call->query ? "?" : "", call->query ? call->query : "");

    SET(CURLOPT_URL, url);
    SET(CURLOPT_ERRORBUFFER, attempt->error_text);
    SET(CURLOPT_BUFFERSIZE, call->stream ? (long)STREAM_BUFFER_BYTES : (long)BUFFER_BYTES);
    if (!call->stream) {
        uint64_t now_ns = clock_monotonic_ns();
        uint64_t left_ns = attempt->deadline_ns > now_ns ? attempt->deadline_ns - now_ns : 0;
        SET(CURLOPT_TIMEOUT_MS, (long)(left_ns / NS_PER_MS + 1));
    }
    return set_method(attempt, easy, err);
}

int kube_transfer_setup(struct kube_attempt *attempt, const char *authorization,
                        struct curl_slist **ret_headers, struct error **err)
{
    struct kube_client *client = attempt->call->client;
    CURL *easy = attempt->slot->easy;
    int ret = set_connection(client, easy, err);

    if (ret == 0)
        ret = set_call(attempt, easy, err);
    if (ret < 0)
        return ret;
    *ret_headers = make_headers(attempt->call, authorization);
    SET(CURLOPT_HTTPHEADER, *ret_headers);
    return 0;
}
