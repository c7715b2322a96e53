#include <errno.h>
#include <string.h>

#include "kube/client_private.h"

/* A piece of the answer's body. Returning anything but its size ends the transfer. */
static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct kube_attempt *attempt = context;
    const struct kube_call *call = attempt->call;
    size_t length = size * count;
    int ret;

    if (attempt->status == 0)
        curl_easy_getinfo(attempt->slot->easy, CURLINFO_RESPONSE_CODE, &attempt->status);
    if (kube_client_stopped(call->client, call->stop)) {
        attempt->failed = -ECANCELED;
        return 0;
    }
    if (call->sink && attempt->status == 200) {
        attempt->sunk = true;
        ret = call->sink(call->sink_context, data, length);
    } else {
        ret = buffer_append(&attempt->body, data, length) < 0 ? -EFBIG : 0;
    }
    attempt->heard_ns = clock_monotonic_ns(); /* after the sink: its time is not the server's */
    if (ret < 0) {
        attempt->failed = ret;
        attempt->by_sink = attempt->sunk;
    }
    return ret < 0 ? 0 : length;
}

/* A line of the answer's head. curl takes a head that breaks off for a whole one; the empty line at
 * its end tells. An interim answer (1xx) has one too. */
static size_t take_head(const char *line, size_t size, size_t count, void *context)
{
    struct kube_attempt *attempt = context;
    size_t length = size * count;

    kube_warning_take(attempt, line, length);
    attempt->headed = length == 0 || *line == '\r' || *line == '\n';
    return length;
}

/* How long the thread may sleep until it has to look at its flags and clocks again. */
static int next_look_ms(const struct kube_attempt *attempt)
{
    uint64_t until_ns = KUBE_LOOK_NS;

    if (attempt->call->idle_ns > 0) {
        uint64_t quiet_ns = clock_monotonic_ns() - attempt->heard_ns;
        uint64_t left_ns =
            attempt->call->idle_ns > quiet_ns ? attempt->call->idle_ns - quiet_ns : 0;
        if (left_ns < until_ns)
            until_ns = left_ns;
    }
    return (int)(until_ns / NS_PER_MS + 1);
}

/* Why the transfer has to end before its time; 0: it has not. */
static int reason_to_end(const struct kube_attempt *attempt)
{
    const struct kube_call *call = attempt->call;

    if (kube_client_stopped(call->client, call->stop))
        return -ECANCELED;
    if (call->idle_ns > 0 && clock_monotonic_ns() - attempt->heard_ns >= call->idle_ns)
        return -ETIMEDOUT;
    return 0;
}

/* Runs the transfer to its end; the calling thread sleeps in poll(2), where kube_client_wake()
 * reaches it. */
static void perform(struct kube_attempt *attempt)
{
    CURLM *multi = attempt->slot->multi;
    int running = 1, left;
    CURLMcode code = curl_multi_add_handle(multi, attempt->slot->easy);

    while (code == CURLM_OK && running) {
        code = curl_multi_perform(multi, &running);
        if (code != CURLM_OK || !running)
            break;
        attempt->failed = reason_to_end(attempt);
        if (attempt->failed < 0)
            return;
        code = curl_multi_poll(multi, NULL, 0, next_look_ms(attempt), NULL);
    }
    if (code != CURLM_OK) {
        attempt->code = CURLE_FAILED_INIT;
        return;
    }
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));)
        if (message->msg == CURLMSG_DONE)
            attempt->code = message->data.result;
}

/* What curl remembers of the transfer, for those who judge it. */
static void take_facts(struct kube_attempt *attempt)
{
    CURL *easy = attempt->slot->easy;
    curl_off_t retry_after_s = 0;
    long request_bytes = 0, number = 0, proxy_status = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &attempt->status);
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
    attempt->connect_errno = (int)number;
    curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &attempt->verify_result);
    curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &request_bytes);
    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    /* What was said to a proxy that opened no tunnel is none of the request. */
    attempt->unsent = attempt->status == 0 && attempt->body_sent == 0 &&
                      (request_bytes == 0 || proxy_status >= 300);
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    if (attempt->code == CURLE_OK && attempt->failed == 0 && !attempt->headed) {
        attempt->code = CURLE_RECV_ERROR;
        attempt->status = 0;
    }
    /* With a 401 over HTTP/2 an API server ends the connection (from 1.29 on), and curl 7.88 often
     * takes the answer for one that broke off. That the credential is refused is all there is to
     * know. */
    if (attempt->code != CURLE_OK && attempt->failed == 0 && attempt->headed &&
        attempt->status == 401)
        attempt->code = CURLE_OK;
    if (retry_after_s > 0 && retry_after_s < 1000000)
        attempt->retry_after_ns = (uint64_t)retry_after_s * NS_PER_S;
}

void kube_attempt_run(struct kube_attempt *attempt, const char *authorization)
{
    const struct kube_call *call = attempt->call;
    struct kube_client *client = call->client;
    cleanup_error struct error *err = NULL;
    struct curl_slist *headers = NULL;

    attempt->slot = kube_slot_take(client);
    attempt->heard_ns = clock_monotonic_ns();
    CURL *easy = attempt->slot->easy;
    pthread_mutex_lock(&client->credential_lock);
    int ret = kube_transfer_setup(attempt, authorization, &headers, &err);
    pthread_mutex_unlock(&client->credential_lock);
    if (ret < 0) {
        attempt->code = CURLE_FAILED_INIT;
        snprintf(attempt->error_text, sizeof(attempt->error_text), "%s", error_message(err));
    } else {
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_head);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, attempt);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, attempt);
        perform(attempt);
        take_facts(attempt);
        curl_multi_remove_handle(attempt->slot->multi, easy);
    }
    /* A connection that failed once, or hangs, is not worth a second call. */
    bool broken = attempt->code != CURLE_OK || attempt->failed < 0;
    kube_slot_give(client, STEAL_POINTER(attempt->slot), broken);
    kube_headers_free(headers);
}

void kube_attempt_free(struct kube_attempt *attempt)
{
    buffer_free(&attempt->body);
}
