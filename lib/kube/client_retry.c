#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "kube/client_private.h"

#define PAUSE_FIRST_NS (100 * NS_PER_MS)
#define PAUSE_MOST_NS  (5 * NS_PER_S)

double kube_random_unit(void)
{
    uint32_t bits = 0;

    if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != (ssize_t)sizeof(bits))
        bits = (uint32_t)clock_monotonic_ns() * UINT32_C(2654435761);
    return bits / 4294967296.0;
}

/* How long to wait before try number `tries`, counted from 1. Jittered, so that clients that failed
 * together do not come back together. */
static uint64_t pause_ns(unsigned tries, uint64_t retry_after_ns)
{
    uint64_t pause = PAUSE_FIRST_NS << (tries - 1);

    if (retry_after_ns > 0)
        return retry_after_ns + (uint64_t)((double)retry_after_ns * kube_random_unit() / 10);
    if (pause > PAUSE_MOST_NS)
        pause = PAUSE_MOST_NS;
    return pause / 2 + (uint64_t)((double)pause * kube_random_unit() / 2);
}

/* Waits for the client's own rate limit. */
static int wait_for_limit(const struct kube_call *call, uint64_t deadline_ns,
                          struct kube_result *result)
{
    struct kube_client *client = call->client;
    uint64_t now_ns = clock_monotonic_ns(), at_ns = 0;

    pthread_mutex_lock(&client->lock);
    bool taken = kube_limit_take(&client->limit, now_ns, deadline_ns, &at_ns);
    pthread_mutex_unlock(&client->lock);
    if (!taken)
        return kube_result_fail(result, -ETIMEDOUT, call->what,
                                "the client's own rate limit lets it go only after its deadline");
    bool slept = kube_client_sleep(client, at_ns, call->stop);
    kube_metrics_limit(client, call->method, at_ns - now_ns);
    return slept ? 0 : kube_result_fail(result, -ECANCELED, call->what, "canceled");
}

/* Whether a failed try may be followed by another: it had no effect, or repeating it has none. */
static bool may_repeat(const struct kube_attempt *attempt)
{
    const struct kube_call *call = attempt->call;

    if (call->stream || attempt->failed < 0)
        return false;
    switch (attempt->code) {
    case CURLE_OK:
        return (attempt->status == 429 || attempt->status == 503) && attempt->retry_after_ns > 0;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        break;
    default:
        return false;
    }
    if (attempt->unsent)
        return true;
    return call->repeatable &&
           (!attempt->sunk || (call->rewind && call->rewind(call->sink_context)));
}

/* The credential for a try. refused: the server did not take the one after so many renewals; of
 * several threads that hear so at once, the first renews it. *renewals is how many there are now.
 */
static int take_credential(const struct kube_call *call, bool refused, unsigned *renewals,
                           struct buffer *ret, struct kube_result *result)
{
    struct kube_client *client = call->client;
    cleanup_error struct error *err = NULL;
    const char *cert, *key;

    pthread_mutex_lock(&client->credential_lock);
    bool stale = refused && client->renewals == *renewals;
    int number = kube_credential(client->config, stale, ret, &err);
    unsigned certificate = kube_credential_certificate(client->config, &cert, &key);
    /* Who we are was said when a connection was made. */
    if (stale || certificate != client->certificate)
        kube_slots_renew(client);
    client->certificate = certificate;
    client->renewals += stale;
    *renewals = client->renewals;
    pthread_mutex_unlock(&client->credential_lock);
    buffer_terminate(ret);
    if (number < 0)
        return kube_result_fail(result, number, call->what, "%s", error_message(err));
    return 0;
}

/* One try with everything before and after it. */
static int try_once(struct kube_attempt *attempt, bool refused, unsigned *renewals,
                    struct kube_result *result)
{
    const struct kube_call *call = attempt->call;
    struct buffer authorization = BUFFER_INIT(KUBE_TOKEN_BYTES_MAX + 16);

    int ret = wait_for_limit(call, attempt->deadline_ns, result);
    if (ret == 0)
        ret = take_credential(call, refused, renewals, &authorization, result);
    if (ret == 0) {
        kube_attempt_run(attempt, authorization.data);
        ret = kube_attempt_result(attempt, result);
    } else {
        attempt->failed = ret;
    }
    kube_credential_wipe(&authorization);
    return ret;
}

int kube_call_run(const struct kube_call *call, struct kube_result *result)
{
    struct kube_client *client = call->client;
    uint64_t begun_ns = clock_monotonic_ns();
    uint64_t deadline_ns = call->stream ? UINT64_MAX : begun_ns + client->timeout_ns;
    unsigned renewals = 0;
    bool refused = false, again = true;
    int ret = 0;

    for (unsigned tries = 1; again; tries++) {
        struct kube_attempt attempt = {.call = call, .deadline_ns = deadline_ns};
        attempt.body =
            (struct buffer)BUFFER_INIT(call->sink ? KUBE_ERROR_BODY_MAX : client->answer_bytes);
        kube_result_free(result);
        bool renewed = refused;
        ret = try_once(&attempt, refused, &renewals, result);
        kube_metrics_attempt(client, &attempt, tries > 1);
        refused = attempt.status == 401 && attempt.failed == 0;
        again = ret < 0 && tries < client->tries_max && (refused ? !renewed : may_repeat(&attempt));
        if (again && !refused) {
            uint64_t until_ns = clock_monotonic_ns() + pause_ns(tries, attempt.retry_after_ns);
            /* Past the deadline nothing could come of it: what we have is the answer. */
            again = until_ns < deadline_ns;
            if (again && !kube_client_sleep(client, until_ns, call->stop)) {
                again = false;
                ret = kube_result_fail(result, -ECANCELED, call->what, "canceled");
            }
        }
        kube_attempt_free(&attempt);
    }
    if (!call->stream)
        kube_metrics_call(client, call->method, clock_monotonic_ns() - begun_ns);
    return ret;
}
