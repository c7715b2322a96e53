#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "kube/client_private.h"
#include "kube/json_split.h"

void kube_result_free(struct kube_result *result)
{
    free(result->message);
    json_decref(result->object);
    *result = (struct kube_result)KUBE_RESULT_INIT;
}

char *kube_tidy(char *text, size_t most)
{
    size_t length = strlen(text);

    if (length > most) {
        length = most - 3;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
        memcpy(text + length, "...", 4);
    }
    return text_one_line(text);
}

int kube_result_fail(struct kube_result *result, int ret, const char *what, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    cleanup_free char *sentence = xvasprintf(format, arguments);
    va_end(arguments);
    free(result->message);
    result->message = kube_tidy(xasprintf("%s: %s", what, sentence), KUBE_MESSAGE_MAX);
    return ret;
}

/* RFC 9110's phrases, for those that an API server or a proxy before it sends. */
static const char *phrase(long status)
{
    static const struct {
        long status;
        const char *phrase;
    } phrases[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return status >= 300 && status < 400 ? "Redirect, which is not followed" : "";
}

static int status_errno(long status, const char *reason)
{
    switch (status) {
    case 401:
    case 403:
        return -EACCES;
    case 404:
        return -ENOENT;
    case 409:
        return strcmp(reason, "AlreadyExists") == 0 ? -EEXIST : -ESTALE;
    case 410:
        return -ESTALE;
    case 429:
        return -EBUSY;
    default:
        if (status >= 500)
            return -EREMOTEIO;
        return status >= 400 ? -EINVAL : -EPROTO;
    }
}

/* "spec.replicas: Invalid value: -1: must be ..." of each cause that the message does not tell
 * itself. */
static void append_causes(struct buffer *out, const json_t *status, const char *message)
{
    const json_t *causes = json_object_get(json_object_get(status, "details"), "causes");
    size_t index;
    json_t *cause;

    json_array_foreach(causes, index, cause)
    {
        const char *text = json_string_value(json_object_get(cause, "message"));
        const char *field = json_string_value(json_object_get(cause, "field"));
        if (!text || strstr(message, text))
            continue;
        buffer_printf(out, "%s%s%s%s", out->length > 0 ? "; " : "", field ? field : "",
                      field ? ": " : "", text);
    }
}

/* What a failure's body tells: the message of its Status, or its first bytes when it is none. */
static void describe_body(const struct kube_attempt *attempt, const json_t *object,
                          struct buffer *out)
{
    const char *message = json_string_value(json_object_get(object, "message"));

    if (message)
        buffer_puts(out, message);
    append_causes(out, object, message ? message : "");
    if (out->length == 0 && !json_is_object(object) && attempt->body.length > 0)
        buffer_printf(out, "%.*s", attempt->body.length > 200 ? 200 : (int)attempt->body.length,
                      attempt->body.data);
}

static int refused(struct kube_attempt *attempt, struct kube_result *result)
{
    json_error_t where;
    json_auto_t *object =
        kube_json_load(attempt->body.data ? attempt->body.data : "", attempt->body.length, &where);
    cleanup_buffer struct buffer text = BUFFER_INIT(KUBE_ERROR_BODY_MAX);
    const char *reason = json_string_value(json_object_get(object, "reason"));
    const json_t *details = json_object_get(object, "details");
    json_int_t seconds = json_integer_value(json_object_get(details, "retryAfterSeconds"));

    snprintf(result->reason, sizeof(result->reason), "%s", reason ? reason : "");
    if (result->retry_after_ns == 0 && seconds > 0 && seconds < 1000000)
        result->retry_after_ns = (uint64_t)seconds * NS_PER_S;
    describe_body(attempt, object, &text);
    buffer_terminate(&text);
    const char *word = *result->reason ? result->reason : phrase(attempt->status);
    kube_result_fail(result, 0, attempt->call->what, "%ld%s%s%s%s", attempt->status,
                     *word ? " " : "", word, text.length > 0 ? ": " : "", text.data);
    if (json_is_object(object))
        result->object = STEAL_POINTER(object);
    return status_errno(attempt->status, result->reason);
}

static int take_value(void *context, const char *text, size_t length)
{
    struct buffer *value = context;

    buffer_clear(value);
    return buffer_append(value, text, length);
}

/* The answer without metadata.managedFields, into *ret_value; false: it is no JSON object. */
static bool make_bare(const struct buffer *body, struct buffer *ret_value)
{
    struct json_split split;
    struct json_split_options options = {.itself = true,
                                         .strip_managed_fields = true,
                                         .value_bytes = body->length + 1,
                                         .value = take_value,
                                         .context = ret_value};

    json_split_init(&split, &options);
    bool whole =
        json_split_feed(&split, body->data, body->length) == 0 && json_split_end(&split) == 0;
    json_split_free(&split);
    return whole && ret_value->length > 0;
}

static int accepted(struct kube_attempt *attempt, struct kube_result *result)
{
    json_error_t where;
    enum kube_answer answer = attempt->call->answer;
    const struct buffer *body = &attempt->body;

    if (body->length == 0 || answer == KUBE_ANSWER_NONE)
        return 0;
    cleanup_buffer struct buffer bare = BUFFER_INIT(body->length + 1);
    if (answer != KUBE_ANSWER_WHOLE && make_bare(body, &bare))
        body = &bare;
    result->object = kube_json_load(body->data, body->length, &where);
    if (!result->object)
        return kube_result_fail(result, -EPROTO, attempt->call->what,
                                "%ld, but the answer is not JSON: %s", attempt->status, where.text);
    return 0;
}

static int connection_errno(const struct kube_attempt *attempt)
{
    switch (attempt->code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return -EHOSTUNREACH;
    case CURLE_COULDNT_CONNECT:
        return attempt->connect_errno > 0 ? -attempt->connect_errno : -ECONNREFUSED;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
        return -EKEYREJECTED;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return -EPROTO;
    default:
        return -EIO;
    }
}

/* Where the authorities are from that a server's certificate must be of. */
static const char *authorities_of(const struct kube_config *config)
{
    if (config->ca_file)
        return config->ca_file;
    return config->ca_pem ? "the configuration" : "the system";
}

/* The handshake showed that this is not the server that was meant; nothing was asked of it. */
static int not_trusted(const struct kube_attempt *attempt, const char *text,
                       struct kube_result *result)
{
    const struct kube_client *client = attempt->call->client;

    switch (attempt->verify_result) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return kube_result_fail(result, -EKEYREJECTED, attempt->call->what,
                                "%s is not trusted: its certificate is of none of the authorities "
                                "of %s",
                                client->host, authorities_of(client->config));
    default:
        return kube_result_fail(result, -EKEYREJECTED, attempt->call->what, "%s is not trusted: %s",
                                client->host, text);
    }
}

static int not_answered(struct kube_attempt *attempt, struct kube_result *result)
{
    const struct kube_client *client = attempt->call->client;
    const char *text =
        *attempt->error_text ? attempt->error_text : curl_easy_strerror(attempt->code);
    int ret = connection_errno(attempt);

    if (attempt->code == CURLE_PEER_FAILED_VERIFICATION)
        return not_trusted(attempt, text, result);
    if (ret == -ETIMEDOUT && !attempt->unsent)
        return kube_result_fail(result, ret, attempt->call->what, "no answer from %s within %.3g s",
                                client->host, (double)client->timeout_ns / (double)NS_PER_S);
    return kube_result_fail(result, ret, attempt->call->what, "%s %s: %s", client->host,
                            attempt->unsent ? "can't be reached" : "broke the connection", text);
}

/* It was ended from this side. */
static int given_up(struct kube_attempt *attempt, struct kube_result *result)
{
    const struct kube_call *call = attempt->call;

    if (attempt->by_sink)
        return kube_result_fail(result, attempt->failed, call->what,
                                "ended by the reader of the answer: %s",
                                strerror(-attempt->failed));
    switch (attempt->failed) {
    case -ECANCELED:
        return kube_result_fail(result, -ECANCELED, call->what, "canceled");
    case -ETIMEDOUT:
        return kube_result_fail(result, -ETIMEDOUT, call->what,
                                "nothing came from %s for %.3g s; the connection counts as dead",
                                call->client->host, (double)call->idle_ns / (double)NS_PER_S);
    case -EFBIG:
        return kube_result_fail(result, -EPROTO, call->what, "the answer has more than %zu bytes",
                                attempt->body.max);
    default:
        return kube_result_fail(result, attempt->failed, call->what, "%s",
                                strerror(-attempt->failed));
    }
}

int kube_attempt_result(struct kube_attempt *attempt, struct kube_result *result)
{
    result->status = (int)attempt->status;
    result->retry_after_ns = attempt->retry_after_ns;
    if (attempt->failed < 0)
        return given_up(attempt, result);
    if (attempt->code == CURLE_PEER_FAILED_VERIFICATION)
        kube_slots_renew(attempt->call->client);
    if (attempt->code != CURLE_OK)
        return not_answered(attempt, result);
    if (attempt->status >= 200 && attempt->status < 300)
        return accepted(attempt, result);
    return refused(attempt, result);
}
