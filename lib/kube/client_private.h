/* What the files behind kube/client.h share; private to lib/kube. */
#ifndef DPUMESH_KUBE_CLIENT_PRIVATE_H
#define DPUMESH_KUBE_CLIENT_PRIVATE_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "kube/client.h"
#include "kube/client_limit.h"
#include "kube/client_warning.h"

enum {
    KUBE_SLOTS_IDLE_MAX = 4,       /* connections kept for later calls unless idle_max says
                                      otherwise; calls at once have no cap */
    KUBE_MESSAGE_MAX = 2048,       /* bytes of a sentence about a failure */
    KUBE_NAME_MAX = 1024,          /* bytes of a name or namespace; the API server's own are 253 */
    KUBE_ERROR_BODY_MAX = 1 << 20, /* of an answer that is a failure */
    KUBE_TRIES_MAX = 10            /* of one call, as client-go */
};

/* An idle connection is closed when something else comes back this long after its last use. */
#define KUBE_SLOT_IDLE_NS (60 * NS_PER_S)
#define KUBE_CONNECT_NS   (10 * NS_PER_S)
/* A running stream looks at its flags this often even if nobody wakes it. */
#define KUBE_LOOK_NS      (5 * NS_PER_S)

/* A curl handle with the connection it keeps. Idle ones belong to the client's lock, a running one
 * to its thread, but for curl_multi_wakeup(), which is called under that lock. */
struct kube_slot {
    struct kube_slot *next;
    CURL *easy;
    CURLM *multi;
    unsigned generation;
    uint64_t idle_since_ns;
};

struct kube_client {
    const struct kube_config *config;
    char *user_agent;
    uint64_t timeout_ns;
    size_t answer_bytes;
    unsigned tries_max, idle_max;
    char *base_url;                /* what paths are appended to */
    char *host;                    /* "10.0.0.1:6443", for messages and labels */
    char *host_header;             /* "Host: ..." when base_url has tls_server_name; or NULL */
    struct curl_slist *connect_to; /* the same case; or NULL */
    bool http1;                    /* whatever the server has */
    bool loopback;                 /* then the environment's proxies do not count, as in Go */

    atomic_bool cancelled;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t woken; /* CLOCK_MONOTONIC; waits that curl does not see */
    struct kube_slot *idle, *running;
    unsigned idle_count;
    atomic_uint generation; /* slots of an older one have a stale credential or CA */
    struct kube_limit limit;

    /* A credential must not change while it is read; guards what follows. */
    pthread_mutex_t credential_lock;
    unsigned certificate; /* the number of the one that connections are made with */
    unsigned renewals;    /* of a credential that was refused */

    void (*warning)(void *context, const char *what, const char *text); /* or NULL */
    void *warning_context;
    struct kube_lru *warned; /* client_warning.h; under lock */

    struct metric_family *requests, *durations, *limit_durations, *retries; /* NULL: not counted */
};

/* One request, however often it is tried. Texts are borrowed. */
struct kube_call {
    struct kube_client *client;
    const char *method;
    const char *what; /* for messages: "PATCH apps/v1 deployments shop/s0-dpu" */
    const char *path; /* with a '/' in front */
    const char *query;
    const char *content_type;
    const char *accept; /* NULL: JSON */
    const char *body;   /* NULL: none */
    size_t body_length;
    enum kube_answer answer;
    bool repeatable;  /* sending it twice has the effect of sending it once */
    bool stream;      /* a watch: no deadline, and only a 401 is tried again */
    uint64_t idle_ns; /* of a stream */
    const bool *stop; /* of a list or a stream; or NULL */
    /* Takes the body of a 200 answer as it comes; a negative value ends the call and is returned.
     * NULL: the body becomes result->object. */
    int (*sink)(void *context, const char *data, size_t size);
    /* The sink's answer was lost and the request would be sent again; false: it can't. */
    bool (*rewind)(void *context);
    void *sink_context;
};

/* What came of one try. */
struct kube_attempt {
    const struct kube_call *call;
    struct kube_slot *slot;
    uint64_t deadline_ns; /* monotonic; UINT64_MAX for a stream */
    uint64_t heard_ns;    /* when the last byte came */
    CURLcode code;
    int failed;   /* our own reason to end it: -ECANCELED, -ETIMEDOUT, -EFBIG, the sink's */
    bool by_sink; /* failed is what the sink returned */
    int connect_errno;
    long verify_result; /* of the server's certificate, an X509_V_ERR_ number; 0: nothing wrong */
    long status;        /* 0: no answer */
    bool unsent;        /* not a byte of the request left this process */
    bool headed;        /* the answer's head came to its end */
    unsigned warnings;  /* in the answer's head, so far */
    bool sunk;          /* the sink has seen bytes */
    size_t body_sent;
    uint64_t retry_after_ns;
    struct buffer body;
    char error_text[CURL_ERROR_SIZE];
};

/* client.c: a handle for one call, and back again; broken: its connection is not to be used again.
 */
struct kube_slot *kube_slot_take(struct kube_client *client);
void kube_slot_give(struct kube_client *client, struct kube_slot *slot, bool broken);
/* All connections made so far are closed instead of used again. */
void kube_slots_renew(struct kube_client *client);
/* Sleeps until the instant; false when the client was cancelled or *stop became true. */
bool kube_client_sleep(struct kube_client *client, uint64_t until_ns, const bool *stop);
/* Whether it was told to end. */
bool kube_client_stopped(struct kube_client *client, const bool *stop);

/* client_setup.c: everything that is the same for every transfer, and what this one needs. Fills
 * *ret_headers (for kube_headers_free() after the transfer). 0 or -errno and a sentence. */
int kube_transfer_setup(struct kube_attempt *attempt, const char *authorization,
                        struct curl_slist **ret_headers, struct error **err);
void kube_headers_free(struct curl_slist *headers);

/* client_transfer.c: sends it once. attempt->deadline_ns and call are set, body is empty. */
void kube_attempt_run(struct kube_attempt *attempt, const char *authorization);
void kube_attempt_free(struct kube_attempt *attempt);

/* client_retry.c: the whole call. As kube_get(). */
int kube_call_run(const struct kube_call *call, struct kube_result *result);
/* Uniform in [0, 1); any thread. For pauses and the like, not for secrets. */
double kube_random_unit(void);

/* client_status.c: fills result from what came; returns what the call returns. */
int kube_attempt_result(struct kube_attempt *attempt, struct kube_result *result);
/* Fills in a failure of our own: "WHAT: sentence". Returns ret. */
int kube_result_fail(struct kube_result *result, int ret, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Makes of what may come from the network one line of UTF-8, of at most so many bytes; in place,
 * returns text. */
char *kube_tidy(char *text, size_t most);

/* client_json.c: a JSON text, or NULL and where it is wrong. */
json_t *kube_json_load(const char *text, size_t length, json_error_t *ret_where);

/* client_metrics.c */
void kube_metrics_declare(struct kube_client *client, struct metrics *metrics);
void kube_metrics_attempt(struct kube_client *client, const struct kube_attempt *attempt,
                          bool again);
void kube_metrics_call(struct kube_client *client, const char *method, uint64_t took_ns);
void kube_metrics_limit(struct kube_client *client, const char *method, uint64_t waited_ns);

/* client_path.c: texts for a request. */
void kube_append_encoded(struct buffer *out, const char *text);
/* Appends "name=value", encoded, with an '&' in front when out is not empty; nothing for NULL. */
void kube_append_query(struct buffer *out, const char *name, const char *value);
/* "PATCH apps/v1 deployments/status shop/s0-dpu"; owned by the caller. */
char *kube_describe(const char *verb, const struct kube_resource *resource, const char *namespace,
                    const char *name, const char *subresource);
/* Whether namespace and name can stand in a path. 0, or -EINVAL with result filled in. */
int kube_check_names(const char *what, const struct kube_resource *resource, const char *namespace,
                     const char *name, struct kube_result *result);

#endif
