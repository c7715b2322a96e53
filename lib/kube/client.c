#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kube/client_private.h"

static void cleanup_url_fn(CURLU **url)
{
    curl_url_cleanup(*url);
}
#define cleanup_url __attribute__((cleanup(cleanup_url_fn)))

static void cleanup_curl_fn(char **text)
{
    curl_free(*text);
}
#define cleanup_curl __attribute__((cleanup(cleanup_curl_fn)))

static bool has_part(CURLU *url, CURLUPart part)
{
    cleanup_curl char *text = NULL;
    return curl_url_get(url, part, &text, 0) == CURLUE_OK;
}

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0;
}

/*
 * The URL that requests begin with. With tls_server_name it has that name, so that SNI and the
 * certificate's check use it, while connections go to the server's own host.
 */
static int make_url(struct kube_client *client, CURLU *url, struct error **err)
{
    const struct kube_config *config = client->config;
    cleanup_curl char *scheme = NULL, *host = NULL, *port = NULL, *text = NULL;

    if (curl_url_set(url, CURLUPART_URL, config->server, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
        has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_QUERY) ||
        has_part(url, CURLUPART_FRAGMENT) ||
        (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0))
        return error_make(err, EINVAL,
                          "%s: server %s is not the http or https URL of an API server",
                          config->source, config->server);
    client->loopback = is_loopback(host);
    client->host = xasprintf("%s:%s", host, port);
    if (config->tls_server_name && strcmp(scheme, "https") == 0) {
        if (curl_url_set(url, CURLUPART_HOST, config->tls_server_name, 0) != CURLUE_OK)
            return error_make(err, EINVAL, "%s: tls-server-name %s is not a host name",
                              config->source, config->tls_server_name);
        cleanup_free char *to = xasprintf("%s:%s:%s:%s", config->tls_server_name, port, host, port);
        client->connect_to = curl_slist_append(NULL, to);
        client->host_header = xasprintf("Host: %s", client->host);
    }
    if (curl_url_get(url, CURLUPART_URL, &text, 0) != CURLUE_OK)
        return error_make(err, EINVAL, "%s: server %s is not a URL", config->source,
                          config->server);
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == '/')
        length--;
    client->base_url = xstrndup(text, length);
    return 0;
}

static void init_locks(struct kube_client *client)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&client->lock, NULL);
    pthread_mutex_init(&client->credential_lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&client->woken, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void cleanup_client_fn(struct kube_client **client)
{
    kube_client_free(*client);
}

int kube_client_new(const struct kube_config *config, const struct kube_client_options *options,
                    struct kube_client **ret_client, struct error **err)
{
    static const struct kube_client_options none = {.user_agent = NULL};

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_make(err, ENOMEM, "libcurl can't be set up");
    if (!options)
        options = &none;
    CLEANUP(cleanup_client_fn)
    struct kube_client *client = xcalloc(1, sizeof(*client));
    init_locks(client);
    client->config = config;
    client->user_agent = xstrdup(options->user_agent ? options->user_agent : "dpumesh");
    client->timeout_ns = options->timeout_ns ? options->timeout_ns : 30 * NS_PER_S;
    client->http1 = options->http1;
    client->answer_bytes = options->answer_bytes ? options->answer_bytes : (size_t)32 << 20;
    client->tries_max = options->tries_max ? options->tries_max : KUBE_TRIES_MAX;
    client->idle_max = options->idle_max ? options->idle_max : KUBE_SLOTS_IDLE_MAX;
    client->warning = options->warning;
    client->warning_context = options->warning_context;
    client->warned = options->warning ? kube_warnings_new() : NULL;
    kube_limit_init(&client->limit, options->qps, options->burst);

    cleanup_url CURLU *url = curl_url();
    int ret = make_url(client, url, err);
    if (ret < 0)
        return ret;
    if (options->metrics)
        kube_metrics_declare(client, options->metrics);
    *ret_client = STEAL_POINTER(client);
    return 0;
}

static void free_slot(struct kube_slot *slot)
{
    curl_easy_cleanup(slot->easy);
    curl_multi_cleanup(slot->multi);
    free(slot);
}

static void free_slots(struct kube_slot *slot)
{
    while (slot) {
        struct kube_slot *next = slot->next;
        free_slot(slot);
        slot = next;
    }
}

void kube_client_free(struct kube_client *client)
{
    if (!client)
        return;
    free_slots(client->idle);
    curl_slist_free_all(client->connect_to);
    pthread_mutex_destroy(&client->lock);
    pthread_mutex_destroy(&client->credential_lock);
    pthread_cond_destroy(&client->woken);
    kube_warnings_free(client->warned);
    free(client->host_header);
    free(client->host);
    free(client->base_url);
    free(client->user_agent);
    free(client);
    curl_global_cleanup();
}

void kube_client_wake(struct kube_client *client)
{
    pthread_mutex_lock(&client->lock);
    for (struct kube_slot *slot = client->running; slot; slot = slot->next)
        curl_multi_wakeup(slot->multi);
    pthread_cond_broadcast(&client->woken);
    pthread_mutex_unlock(&client->lock);
}

void kube_client_cancel(struct kube_client *client)
{
    atomic_store(&client->cancelled, true);
    kube_client_wake(client);
}

bool kube_client_stopped(struct kube_client *client, const bool *stop)
{
    return atomic_load(&client->cancelled) || (stop && __atomic_load_n(stop, __ATOMIC_ACQUIRE));
}

bool kube_client_sleep(struct kube_client *client, uint64_t until_ns, const bool *stop)
{
    bool stopped;

    pthread_mutex_lock(&client->lock);
    while (!(stopped = kube_client_stopped(client, stop))) {
        uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= until_ns)
            break;
        uint64_t at_ns = until_ns - now_ns > KUBE_LOOK_NS ? now_ns + KUBE_LOOK_NS : until_ns;
        struct timespec at = {.tv_sec = (time_t)(at_ns / NS_PER_S),
                              .tv_nsec = (long)(at_ns % NS_PER_S)};
        pthread_cond_timedwait(&client->woken, &client->lock, &at);
    }
    pthread_mutex_unlock(&client->lock);
    return !stopped;
}

static struct kube_slot *new_slot(void)
{
    struct kube_slot *slot = xcalloc(1, sizeof(*slot));

    slot->easy = curl_easy_init();
    slot->multi = curl_multi_init();
    if (!slot->easy || !slot->multi)
        abort(); /* as xmalloc(): out of memory */
    curl_multi_setopt(slot->multi, CURLMOPT_MAXCONNECTS, 1L);
    return slot;
}

/* Takes what is of an older generation, or idle for too long, out of the pool. Under the lock. */
static struct kube_slot *take_old(struct kube_client *client, uint64_t now_ns)
{
    unsigned generation = atomic_load(&client->generation);
    struct kube_slot *old = NULL, **at = &client->idle;

    while (*at) {
        struct kube_slot *slot = *at;
        if (slot->generation == generation && now_ns - slot->idle_since_ns < KUBE_SLOT_IDLE_NS) {
            at = &slot->next;
            continue;
        }
        *at = slot->next;
        slot->next = old;
        old = slot;
        client->idle_count--;
    }
    return old;
}

struct kube_slot *kube_slot_take(struct kube_client *client)
{
    struct kube_slot *slot, *fresh = NULL, *old;

    pthread_mutex_lock(&client->lock);
    old = take_old(client, clock_monotonic_ns());
    slot = client->idle;
    if (!slot) {
        pthread_mutex_unlock(&client->lock);
        fresh = new_slot();
        pthread_mutex_lock(&client->lock);
        slot = fresh;
        slot->generation = atomic_load(&client->generation);
    } else {
        client->idle = slot->next;
        client->idle_count--;
    }
    slot->next = client->running;
    client->running = slot;
    pthread_mutex_unlock(&client->lock);
    free_slots(old);
    return slot;
}

void kube_slot_give(struct kube_client *client, struct kube_slot *slot, bool broken)
{
    struct kube_slot **at, *old;

    /* What belongs to the call must not be seen by the next one; the connection stays. */
    curl_easy_reset(slot->easy);
    pthread_mutex_lock(&client->lock);
    for (at = &client->running; *at != slot; at = &(*at)->next)
        continue;
    *at = slot->next;
    slot->idle_since_ns = clock_monotonic_ns();
    old = take_old(client, slot->idle_since_ns);
    if (broken || client->idle_count >= client->idle_max ||
        slot->generation != atomic_load(&client->generation)) {
        slot->next = old;
        old = slot;
    } else {
        /* The one used last is used next, so that the others can grow old. */
        slot->next = client->idle;
        client->idle = slot;
        client->idle_count++;
    }
    pthread_mutex_unlock(&client->lock);
    free_slots(old);
}

void kube_slots_renew(struct kube_client *client)
{
    atomic_fetch_add(&client->generation, 1);
}
