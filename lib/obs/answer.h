/*
 * What an admin page answers, whatever the front that was asked: the agent's own HTTP front and the
 * libmicrohttpd server (obs/server.h) both call answer_request().
 *
 *     static const struct answer_hooks hooks = {.metrics = m, .ready = agent_ready, .context =
 * agent}; cleanup_buffer struct buffer body = BUFFER_INIT(ANSWER_BODY_MAX); struct answer answer;
 *     answer_request(&hooks, "GET", "/metrics", accept, &answer, &body);
 *
 * Pages: /metrics (format chosen by Accept, families by name[] in the query:
 * metrics_expose_asked()), /healthz, /readyz, /config and the routes of the
 * table; what has no hook is not there. Nothing is kept between calls: any thread, if the hooks
 * allow it.
 */
#ifndef DPUMESH_OBS_ANSWER_H
#define DPUMESH_OBS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "obs/metric.h"

enum {
    ANSWER_BODY_MAX = 32 << 20
}; /* a sensible cap for body: full registries take about 10 MiB */

/* Bytes of path and query up to which /metrics is answered; a longer query is a 400. */
enum { ANSWER_PATH_MAX = 2048 };

/* A further page. write appends the body; 0 or -ENOBUFS (then 500 is answered). */
struct answer_route {
    const char *path;         /* "/targets" */
    const char *content_type; /* "application/json" */
    int (*write)(void *context, struct buffer *body);
    void *context;
};

/* Where answers come from. All of it belongs to the caller and may be empty. */
struct answer_hooks {
    struct metrics *metrics; /* /metrics */
    /* Whether the program lives and is ready. When not, the reason in one sentence may be appended
     * to reason. NULL: always true. */
    bool (*healthy)(void *context, struct buffer *reason);
    bool (*ready)(void *context, struct buffer *reason);
    /* Appends the configuration in force as JSON, secrets redacted. 0 or -ENOBUFS. NULL: no
     * /config. */
    int (*config)(void *context, struct buffer *body);
    void *context;
    const struct answer_route *routes;
    size_t route_count;
};

/* What to send, with body: strings are static or the route's. */
struct answer {
    int status;               /* 200, 400, 404, 405, 500, 503 */
    const char *content_type; /* of body, which may be empty for /metrics?name[]= alone */
    const char *allow;        /* value of the header Allow for 405, or NULL */
    bool head;                /* HEAD: send all headers, Content-Length too, but not the body */
};

/* Whether path (whatever query follows it) is one of the pages. */
bool answer_knows(const struct answer_hooks *hooks, const char *path);

/*
 * Answers one request. method: as sent. path: with its query, if any. accept: the Accept header's
 * value or NULL. Fills *ret_answer and replaces the content of body; every request gets an answer:
 * a body that its cap can't hold is a 500 (the cap must leave room for that sentence: 256 bytes).
 */
void answer_request(const struct answer_hooks *hooks, const char *method, const char *path,
                    const char *accept, struct answer *ret_answer, struct buffer *body);

#endif
