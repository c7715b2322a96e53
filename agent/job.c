#include "agent/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stress.h"
#include "base/log.h"
#include "base/memory.h"
#include "model/pi.h"

static void free_plain(struct worker_job *job)
{
    free(job);
}

static void run_pi(struct worker_job *job, const bool *stop)
{
    struct pi_job *pi = (struct pi_job *)job;
    for (uint32_t i = 0; i < pi->trials && !__atomic_load_n(stop, __ATOMIC_RELAXED); i++) {
        pi->check = pi_digits(pi->digits);
        if (pi->done)
            metric_add(pi->done, 1);
        if (pi->done_digits)
            metric_add(pi->done_digits, pi->digits);
    }
}

struct worker_job *pi_job_new(uint32_t owner, uint32_t digits, uint32_t trials, struct metric *done,
                              struct metric *done_digits)
{
    struct pi_job *pi = xcalloc(1, sizeof *pi);
    *pi =
        (struct pi_job){.job = {.owner = owner, .kind = JOB_PI, .run = run_pi, .free = free_plain},
                        .digits = digits,
                        .trials = trials,
                        .done = done,
                        .done_digits = done_digits};
    return &pi->job;
}

static void warn(const char *what, int result)
{
    if (result < 0 && result != -ECANCELED)
        log_warn("the internal service failed", LOG_STR("part", what),
                 LOG_STR("error", strerror(-result)));
}

static void run_stress(struct worker_job *job, const bool *stop)
{
    struct stress_job *s = (struct stress_job *)job;
    if (s->memory_blocks)
        s->memory_result = stress_memory(s->memory_blocks, s->memory_operations, stop, &s->check);
    if (s->disk_blocks && s->memory_result == 0)
        s->disk_result = stress_disk(s->directory, s->file_name, s->disk_blocks,
                                     s->disk_block_bytes, s->seed, stop);
    warn("memoryStress", s->memory_result);
    warn("diskStress", s->disk_result);
}

struct worker_job *stress_job_new(uint32_t owner, const struct internal_service *internal,
                                  const char *scratch, uint64_t seed)
{
    const char *name = internal->disk_run ? internal->disk_file : "";
    size_t directory_size = strlen(scratch) + 1, name_size = strlen(name) + 1;
    struct stress_job *s = xcalloc(1, sizeof *s + directory_size + name_size);
    *s = (struct stress_job){
        .job = {.owner = owner, .kind = JOB_STRESS, .run = run_stress, .free = free_plain},
        .memory_blocks = internal->memory_run ? internal->memory_kb : 0,
        .memory_operations = internal->memory_io,
        .disk_blocks = internal->disk_run ? internal->disk_blocks : 0,
        .disk_block_bytes = internal->disk_block_bytes,
        .seed = seed,
        .directory = memcpy(s + 1, scratch, directory_size),
        .file_name = memcpy((char *)(s + 1) + directory_size, name, name_size)};
    return &s->job;
}
