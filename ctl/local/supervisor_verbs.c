#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/local/report.h"
#include "ctl/local/supervisor.h"
#include "ctl/terminal.h"

static void answer(struct supervisor *up, uint64_t id)
{
    json_t *application = report_application(up);
    control_answer(up->control, id, json_pack("{s:b, s:o}", "ok", 1, "application", application));
}

static void wait_for(struct supervisor *up, uint64_t id, struct local_service *service)
{
    struct waiter *waiter = xcalloc(1, sizeof(*waiter));
    *waiter = (struct waiter){up->waiters, id, service, service ? service->desired : 0};
    up->waiters = waiter;
}

/* The refusal that ends this wait, or NULL; *ret_done tells whether it is over at all. */
static json_t *look(const struct supervisor *up, const struct waiter *waiter, bool *ret_done)
{
    const struct local_service *service = waiter->service;
    *ret_done = true;
    if (!service) {
        for (size_t i = 0; i < up->service_count; i++)
            if (up->services[i].replica_count > 0)
                *ret_done = false;
        return NULL;
    }
    const char *name = service->plan->name;
    if (up->phase == PHASE_STOPPING)
        return control_refusal(STATUS_FAILED, "%s: the application is stopping", name);
    if (service->desired != waiter->desired)
        return control_refusal(STATUS_FAILED, "%s: scaled to %u meanwhile", name, service->desired);
    for (size_t i = 0; i < service->replica_count; i++)
        if (service->replicas[i]->state == REPLICA_FAILED)
            return control_refusal(STATUS_FAILED, "%s: %s; see \"dpumesh logs %s\"",
                                   service->replicas[i]->name, service->replicas[i]->last_end,
                                   name);
    *ret_done =
        supervisor_ready(service) == service->desired && service->replica_count == service->desired;
    return NULL;
}

void supervisor_wake(struct supervisor *up)
{
    struct waiter **at = &up->waiters;
    while (*at) {
        struct waiter *waiter = *at;
        bool done;
        json_t *refusal = look(up, waiter, &done);
        if (!done) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        if (refusal)
            control_answer(up->control, waiter->id, refusal);
        else
            answer(up, waiter->id);
        free(waiter);
    }
}

/* "s0, s1, s2", at most a screen's width of them; the caller frees it. */
static char *service_names(const struct supervisor *up)
{
    struct buffer text = BUFFER_INIT(4096);
    for (size_t i = 0; i < up->service_count; i++)
        if (text.length < 70)
            buffer_printf(&text, "%s%s", i ? ", " : "", up->services[i].plan->name);
    if (text.length >= 70)
        buffer_puts(&text, ", ...");
    return buffer_terminate(&text);
}

static json_t *scale(struct supervisor *up, uint64_t id, const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "service"));
    const json_t *replicas = json_object_get(request, "replicas");
    if (!name || !json_is_integer(replicas) || json_integer_value(replicas) < 0 ||
        json_integer_value(replicas) > PLAN_REPLICAS_MAX)
        return control_refusal(STATUS_USAGE, "scale needs a \"service\" and \"replicas\", 0 to %d",
                               PLAN_REPLICAS_MAX);
    struct local_service *service = supervisor_find(up, name);
    if (!service) {
        cleanup_free char *names = service_names(up);
        return control_refusal(STATUS_USAGE, "no service %s; this application has %s", name, names);
    }
    if (up->phase == PHASE_STOPPING)
        return control_refusal(STATUS_FAILED, "the application is stopping");

    cleanup_error struct error *err = NULL;
    unsigned desired = (unsigned)json_integer_value(replicas);
    if (service->desired != desired)
        say("%s: scaling from %u to %u", name, service->desired, desired);
    if (supervisor_scale(up, service, desired, &err) < 0)
        return control_refusal(STATUS_FAILED, "%s", error_message(err));
    if (json_is_false(json_object_get(request, "wait")))
        answer(up, id);
    else
        wait_for(up, id, service);
    return NULL;
}

static json_t *apply(struct supervisor *up, uint64_t id)
{
    cleanup_error struct error *err = NULL;
    cleanup_plan struct plan *plan = NULL;
    if (up->phase == PHASE_STOPPING)
        return control_refusal(STATUS_FAILED, "the application is stopping");
    if (up->options->read_plan(up->options->read_context, &plan, &err) < 0)
        return control_refusal(STATUS_USAGE, "%s", error_message(err));
    int r = supervisor_apply(up, plan, &err);
    if (r < 0)
        return control_refusal(r == -EINVAL || r == -EBUSY ? STATUS_USAGE : STATUS_FAILED, "%s",
                               error_message(err));
    answer(up, id);
    return NULL;
}

void supervisor_request(void *context, uint64_t id, const json_t *request)
{
    struct supervisor *up = context;
    const char *verb = json_string_value(json_object_get(request, "verb"));
    json_t *refusal = NULL;
    if (strcmp(verb, "ps") == 0) {
        answer(up, id);
    } else if (strcmp(verb, "scale") == 0) {
        refusal = scale(up, id, request);
    } else if (strcmp(verb, "apply") == 0) {
        refusal = apply(up, id);
    } else if (strcmp(verb, "down") == 0) {
        if (up->phase != PHASE_STOPPING)
            say("asked to stop; draining");
        wait_for(up, id, NULL);
        supervisor_stop(up);
    } else {
        refusal = control_refusal(STATUS_USAGE, "unknown verb %.40s; known: ps, scale, apply, down",
                                  verb);
    }
    if (refusal)
        control_answer(up->control, id, refusal);
}
