/*
 * What workers do for a request: digits of pi, memory and disk, a plugin's function. A job is made
 * and ended by the application's thread and run by a worker (workers.h); the structs below tell who
 * may touch what.
 */
#ifndef DPUMESH_AGENT_JOB_H
#define DPUMESH_AGENT_JOB_H

#include "agent/message.h"
#include "agent/plugin.h"
#include "agent/workers.h"
#include "base/buffer.h"
#include "spec/settings.h"

enum job_kind { JOB_PI, JOB_STRESS, JOB_PLUGIN };

/* One thread's part of cpuStress, or computePi. */
struct pi_job {
    struct worker_job job;
    uint32_t digits; /* of pi to compute */
    uint32_t trials; /* how many times */
    uint32_t check;  /* out: last digits, so that the work can't be optimised away */
    struct metric *done, *done_digits; /* count trials, and their digits; NULL: nobody does */
};

/* memoryStress, then diskStress, as far as asked for. */
struct stress_job {
    struct worker_job job;
    uint32_t memory_blocks, memory_operations; /* no blocks: none */
    uint32_t disk_blocks, disk_block_bytes;    /* no blocks: none */
    uint64_t seed;
    uint32_t check;        /* out */
    int memory_result;     /* out: 0 or -errno */
    int disk_result;       /* out: 0 or -errno */
    const char *directory; /* in the same memory, behind the struct */
    const char *file_name;
};

/* Who gets there first: the worker is done, or the application waits no longer. */
enum plugin_state { PLUGIN_RUNS, PLUGIN_DONE, PLUGIN_ABANDONED };

/* A call of a plugin's function. */
struct plugin_job {
    struct worker_job job;
    struct plugin *plugin;              /* a reference */
    struct plugin_job *earlier, *later; /* the application's list, by deadline */
    uint64_t deadline_ns;               /* monotonic */
    bool abandoned;                     /* the application's: its request was answered */
    int state;                          /* atomic, enum plugin_state */
    uint32_t *late;                     /* atomic: how many are abandoned and still run */
    const bool *stop;                   /* the workers' */
    int result;                         /* out: 0, or what the function said; -EILSEQ not UTF-8 */
    uint64_t ended_ns;                  /* out: when the function returned */
    struct buffer answer;               /* out */
    struct dpumesh_call call;           /* what it is given; its texts lie behind the struct */
};

/* All of these return a job that is the caller's, with kind and owner set. */

struct worker_job *pi_job_new(uint32_t owner, uint32_t digits, uint32_t trials, struct metric *done,
                              struct metric *done_digits);

/* internal: a loader with memory_run or disk_run. scratch: directory for files. */
struct worker_job *stress_job_new(uint32_t owner, const struct internal_service *internal,
                                  const char *scratch, uint64_t seed);

/* message: the request, copied. answer_max: in bytes. Takes a reference to the plugin. */
struct plugin_job *plugin_job_new(uint32_t owner, struct plugin *plugin, const char *service,
                                  const struct request_message *message, size_t answer_max,
                                  uint64_t deadline_ns);

/* The application waits no longer for a call that runs; late: counts those, until they return.
 * False when the call has just returned, and comes back as others do. */
bool plugin_job_abandon(struct plugin_job *job, uint32_t *late);

#endif
