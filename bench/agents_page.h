/*
 * The page of a fake agent (agents.c): that of a real one, with figures that move. One thread.
 */
#ifndef DPUMESH_BENCH_AGENTS_PAGE_H
#define DPUMESH_BENCH_AGENTS_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/* How an agent does, and what it counted. Fill in the first part, then agent_state_begin(). */
struct agent_state {
    double rate; /* requests a second */
    double in_flight, queue;
    double cpu, dpu; /* processors in use, and of them the DPU's */
    bool silent;     /* it does not answer */

    double requests, cpu_seconds, dpu_seconds; /* up to since_ns */
    uint64_t since_ns;
    double start_seconds;
};

void agent_state_begin(struct agent_state *state, uint64_t now_ns);

/* Changes rate, in-flight, queue, cpu, dpu or silent from now on; what was counted stays. false: it
 * is none of them. */
bool agent_state_set(struct agent_state *state, const char *name, double value, uint64_t now_ns);

struct page_template;

/* Reads a page of a real agent, whose histogram of latencies must not be empty. 0 and a template
 * that is the caller's; or a negative errno and a sentence. */
int page_template_load(const char *path, struct page_template **ret, struct error **err);
void page_template_free(struct page_template *template);

/* Appends the page of an agent at this instant. */
void page_write(const struct page_template *template, const struct agent_state *state,
                uint64_t now_ns, struct buffer *out);

#endif
