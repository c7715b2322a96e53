/*
 * What a load test does, settled before its first packet: where to, what is sent, how many at a
 * time, for how long. Options go in, a plan comes out; the workers only read it.
 *
 *     struct load_options options;                          what the command line said
 *     cleanup_load_plan struct load_plan *plan = NULL;
 *     r = load_plan_make(&options, &plan, &err);
 *
 * A plan is immutable once made, so that any thread may read it, and owns all that it points to;
 * options own their headers only.
 */
#ifndef DPUMESH_CTL_LOAD_PLAN_H
#define DPUMESH_CTL_LOAD_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/option.h"
#include "ctl/load.h"
#include "ctl/load_answer.h"

/* What a client sends first on a bridge connection that it will keep: newline frames
 * (docs/wire.md). */
#define LOAD_FRAMES_PREAMBLE "\n"

enum {
    LOAD_CONCURRENCY_MAX = 100000, /* connections */
    LOAD_DEPTH_MAX = 4096,         /* requests in flight a connection */
    LOAD_THREADS_MAX = 256,
    LOAD_BODY_MAX = 16 << 20,   /* bytes of a request's body */
    LOAD_BLOCK_BYTES = 64 << 10 /* pipelined requests in one send(), when they are small */
};

enum load_arrivals { LOAD_ARRIVALS_PACED, LOAD_ARRIVALS_POISSON };

/* The command line, in the units in which it came. NULL means not given; so does 0, but for the
 * fields whose defaults the option table in load.c holds. */
struct load_options {
    const char *target;
    const char *method, *path, *query, *body; /* body: text, or @FILE */
    struct option_list headers;               /* "Name: value" */
    unsigned concurrency, depth, threads;     /* threads 0: one a core */
    uint64_t requests, duration_ns, warmup_ns, timeout_ns;
    double rate;       /* arrivals a second; 0: closed loop */
    unsigned arrivals; /* enum load_arrivals */
    uint64_t seed;     /* of Poisson arrivals */
    bool keep_alive, one_shot, any_answer;
    bool json, quiet;                    /* the report's business, not the plan's */
    struct load_cluster_options cluster; /* where it runs; not the plan's either */
};

struct load_plan {
    char *host; /* as given, for people */
    char port[6];
    bool http;
    struct sockaddr_storage address;
    socklen_t address_length;
    enum load_answer_kind answers;
    bool head_request; /* HTTP HEAD: answers without a body */

    char *request; /* one request as it goes over the wire */
    size_t request_length;
    char *block; /* block_count copies of it, for one send() */
    size_t block_count;

    unsigned concurrency, depth, threads;
    bool keep_alive;
    uint64_t requests;    /* 0: no limit */
    uint64_t duration_ns; /* 0: no limit */
    uint64_t warmup_ns, timeout_ns;
    double rate;
    enum load_arrivals arrivals;
    uint64_t seed;
};

/*
 * Checks the options, reads the body, resolves the host and composes the request. 0 and *ret_plan
 * (owned by the caller); -EINVAL for what the command line has wrong; -EHOSTUNREACH when the host
 * has no address, or has several and none takes a connection.
 */
int load_plan_make(const struct load_options *options, struct load_plan **ret_plan,
                   struct error **err);

/* Frees it; NULL is fine. */
void load_plan_free(struct load_plan *plan);

static inline void load_plan_cleanup_fn(struct load_plan **plan)
{
    load_plan_free(*plan);
}
#define cleanup_load_plan CLEANUP(load_plan_cleanup_fn)

/* The parts of TARGET: tcp://host[:5005][/path][?query] or http://host[:8080][/path][?query]. */
struct load_target {
    bool http;
    char *host; /* without brackets */
    char port[6];
    char *path;  /* NULL: not given */
    char *query; /* NULL: not given; without its question mark */
};

/* Reads a target. 0 and *ret (free with load_target_free()), or -EINVAL and a sentence. */
int load_target_parse(const char *text, struct load_target *ret, struct error **err);

/* Frees the parts. */
void load_target_free(struct load_target *target);

/*
 * Resolves the target. With several addresses (localhost is ::1 and 127.0.0.1) the first that takes
 * a connection is chosen, waiting at most timeout_ns for each. 0 and the address, or -EHOSTUNREACH.
 */
int load_target_resolve(const struct load_target *target, uint64_t timeout_ns,
                        struct sockaddr_storage *ret_address, socklen_t *ret_length,
                        struct error **err);

/*
 * Appends one request to out as the target's protocol writes it: a JSON object (with a newline when
 * the connection is kept), or an HTTP/1.1 request. body may be NULL. 0, -EINVAL for a header
 * without a colon or with a line end, or -ENOBUFS.
 */
int load_request_write(const struct load_target *target, const struct load_options *options,
                       const char *body, size_t body_length, bool keep_alive, struct buffer *out,
                       struct error **err);

#endif
