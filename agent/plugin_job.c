/* Calls of plugins' functions, on workers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/job.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

static struct plugin_job *job_of(const struct dpumesh_call *call)
{
    return (struct plugin_job *)(void *)((uintptr_t)call - offsetof(struct plugin_job, call));
}

static int take_answer(struct dpumesh_call *call, const void *bytes, size_t length)
{
    return buffer_append(&job_of(call)->answer, bytes, length);
}

static int is_stopped(const struct dpumesh_call *call)
{
    const struct plugin_job *job = job_of(call);
    return __atomic_load_n(&job->state, __ATOMIC_RELAXED) == PLUGIN_ABANDONED ||
           __atomic_load_n(job->stop, __ATOMIC_RELAXED) || clock_monotonic_ns() >= job->deadline_ns;
}

static void run_plugin(struct worker_job *job, const bool *stop)
{
    struct plugin_job *p = (struct plugin_job *)job;
    p->stop = stop;
    p->result = p->plugin->function->run(&p->call);
    p->ended_ns = clock_monotonic_ns();
    /* What goes into a JSON string must be text. */
    if (p->result == 0 && !text_utf8_valid(p->answer.data, p->answer.length))
        p->result = -EILSEQ;
    if (p->result != 0)
        log_warn("a plugin's function failed", LOG_STR("function", p->plugin->function->name),
                 LOG_STR("error", p->result == -EILSEQ ? "its answer is not UTF-8"
                                  : p->result < 0      ? strerror(-p->result)
                                                       : "it says so"));
    if (__atomic_exchange_n(&p->state, PLUGIN_DONE, __ATOMIC_ACQ_REL) == PLUGIN_ABANDONED)
        __atomic_sub_fetch(p->late, 1, __ATOMIC_RELAXED);
}

bool plugin_job_abandon(struct plugin_job *p, uint32_t *late)
{
    int runs = PLUGIN_RUNS;
    p->late = late;
    __atomic_add_fetch(late, 1, __ATOMIC_RELAXED);
    if (__atomic_compare_exchange_n(&p->state, &runs, PLUGIN_ABANDONED, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        log_warn("a plugin's function is late; its request is answered without it, and its thread "
                 "stays busy until it returns",
                 LOG_STR("function", p->plugin->function->name));
        return true;
    }
    __atomic_sub_fetch(late, 1, __ATOMIC_RELAXED);
    return false;
}

static void free_plugin_job(struct worker_job *job)
{
    struct plugin_job *p = (struct plugin_job *)job;
    buffer_free(&p->answer);
    plugin_drop(p->plugin);
    free(p);
}

/* Copies a text and a NUL to *at, and goes on behind it. */
static const char *lay(char **at, const char *text, size_t length)
{
    char *begin = *at, *end = mempcpy(begin, text, length);
    *end = '\0';
    *at = end + 1;
    return begin;
}

static const char *method_name(uint8_t method)
{
    return method == METHOD_POST ? "POST" : method == METHOD_HEAD ? "HEAD" : "GET";
}

struct plugin_job *plugin_job_new(uint32_t owner, struct plugin *plugin, const char *service,
                                  const struct request_message *m, size_t answer_max,
                                  uint64_t deadline_ns)
{
    size_t service_length = strlen(service);
    struct plugin_job *p = xcalloc(1, sizeof *p + service_length + m->path_length +
                                          m->query_length + message_body_length(m) + 4);
    char *at = (char *)(p + 1);
    *p = (struct plugin_job){
        .job = {.owner = owner, .kind = JOB_PLUGIN, .run = run_plugin, .free = free_plugin_job},
        .plugin = plugin,
        .deadline_ns = deadline_ns,
        .answer = BUFFER_INIT(answer_max)};
    p->call.service = lay(&at, service, service_length);
    p->call.method = method_name(m->method);
    p->call.path = lay(&at, message_path(m), m->path_length);
    p->call.query = lay(&at, message_query(m), m->query_length);
    p->call.body = lay(&at, message_body(m), message_body_length(m));
    p->call.body_length = message_body_length(m);
    p->call.params = plugin->params;
    p->call.state = plugin->state;
    p->call.answer_max = answer_max;
    p->call.deadline_ns = deadline_ns;
    p->call.answer = take_answer;
    p->call.stopped = is_stopped;
    plugin_take(plugin);
    return p;
}
