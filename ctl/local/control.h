/*
 * The control protocol between `dpumesh up` and the other verbs: a Unix socket in the run
 * directory, one JSON object a line, one request and one answer a connection. docs/local-mode.md
 * has the verbs.
 *
 *     -> {"verb":"scale","service":"s0","replicas":3,"wait":true}
 *     <- {"ok":true,"application":{...}}
 *     <- {"ok":false,"status":2,"error":"no service s9; this application has s0, s1"}
 *
 * Only our own user (and root) is answered: the directory is mode 0700, and the peer's credentials
 * are checked besides. Limits: CONTROL_CLIENTS_MAX connections, a request of CONTROL_LINE_MAX bytes
 * that is whole within CONTROL_TIMEOUT_NS. The server belongs to the loop's thread.
 */
#ifndef DPUMESH_CTL_LOCAL_CONTROL_H
#define DPUMESH_CTL_LOCAL_CONTROL_H

#include <jansson.h>
#include <stdint.h>

#include "base/clock.h"
#include "ctl/local/loop.h"
#include "ctl/local/rundir.h"

enum {
    CONTROL_CLIENTS_MAX = 512, /* a `scale` of each service may wait, and the others are heard */
    CONTROL_LINE_MAX = 65536,
    CONTROL_ANSWER_MAX = 4 << 20
};
#define CONTROL_TIMEOUT_NS (5 * NS_PER_S)

struct control;

/*
 * Called for each request: an object with a string "verb". It must lead to one control_answer()
 * with this id, now or later; request is borrowed.
 */
typedef void control_request_fn(void *context, uint64_t id, const json_t *request);

/* Opens DIR/control.sock. 0 and *ret_control, owned by the caller; or -errno. */
int control_new(struct loop *loop, const struct rundir *dir, control_request_fn *function,
                void *context, struct control **ret_control, struct error **err);

/* Answers a request and closes its connection; answer is stolen. A client that has gone is fine. */
void control_answer(struct control *control, uint64_t id, json_t *answer);

/* {"ok":false,"status":status,"error":sentence} */
json_t *control_refusal(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Closes the socket and all connections; answers that are not sent whole are tried once more. */
void control_free(struct control *control);

/*
 * Reads one line of the protocol. 0 and *ret_request (a new reference); or -EINVAL and a sentence
 * for whatever is not an object with a string "verb".
 */
int control_parse(const char *line, size_t length, json_t **ret_request, struct error **err);

/*
 * The client: sends request (stolen) to the supervisor of dir and waits for its answer, timeout_ns
 * at most (0: no limit). Then, when until_gone, until the supervisor has ended too. 0 and
 * *ret_answer (the caller owns it; "ok" may be false), or -errno: -ECONNRESET when the supervisor
 * ended without an answer, -ETIMEDOUT.
 */
int control_call(const struct rundir *dir, json_t *request, uint64_t timeout_ns, bool until_gone,
                 json_t **ret_answer, struct error **err);

#endif
