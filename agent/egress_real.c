/* Calls that are made and not simulated: between egress.c, which takes them from the queue, and
 * forward.h, which makes them. */
#include "agent/io_private.h"
#include "base/clock.h"
#include "base/log.h"

static void done(void *context, uint32_t index, const struct forward_result *result)
{
    uint64_t bytes = result->received_bytes;
    struct io *io = context;
    struct egress_call *call = pool_at(&io->egress.calls, index);
    /* A callee that answers 404 is well. */
    call->excused = result->outcome == FORWARD_STATUS && result->status < 500;
    egress_answered(io, index, forward_outcome_status(result->outcome),
                    bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX);
}

static void retried(void *context, uint32_t sent_bytes, bool granted)
{
    egress_retried(context, sent_bytes, granted);
}

static bool asks_for_forward(const struct egress_settings *settings)
{
    if (settings->mode == EGRESS_FORWARD)
        return true;
    for (size_t i = 0; i < settings->destination_count; i++)
        if (settings->destinations[i].mode == EGRESS_FORWARD)
            return true;
    return false;
}

void egress_configure(struct io *io)
{
    struct egress *e = &io->egress;
    const struct egress_settings *settings = &io_config(io)->egress;
    struct forward_setup setup = {.epoll = io->epoll,
                                  .metrics = &io->agent->metrics.forward,
                                  .scratch = io->scratch,
                                  .scratch_size = SCRATCH,
                                  .seed = settings->seed ? settings->seed : clock_monotonic_ns(),
                                  .done = done,
                                  .retried = retried,
                                  .context = io};
    cleanup_error struct error *err = NULL;
    if (!e->forward && asks_for_forward(settings) && forward_new(&setup, &e->forward, &err) < 0)
        log_error("real calls are not possible; all are simulated",
                  LOG_STR("reason", error_message(err)));
    if (e->forward)
        forward_configure(e->forward, io_config(io));
    egress_configure_callees(io);
    egress_configure_simulated(io);
}

void egress_event(struct io *io, uint64_t data, uint32_t events)
{
    forward_event(io->egress.forward, data, events, io->now_ns);
}

bool egress_begin_real(struct io *io, uint32_t index)
{
    const struct egress_call *call = pool_at(&io->egress.calls, index);
    struct forward *forward = io->egress.forward;
    const struct arena *arena = &io->agent->forward;
    uint64_t timeout = egress_timeout_ns(io, call->target), body = call->node.deadline_ns;
    if (!forward || !forward_takes(forward, call->target))
        return false;
    struct forward_call asked = {
        .owner = index,
        .target = call->target,
        .trace = io->trace ? trace_call_context(io, index) : NULL,
        .message = arena_at(arena, call->message),
        .body = (uint32_t)body ? arena_at(arena, (uint32_t)(body >> 32)) : NULL,
        .body_length = (uint32_t)body,
        .deadline_ns = timeout ? egress_submitted_ns(io, call->stamp_us) + timeout : UINT64_MAX};
    if (io->trace)
        trace_call_begun(io, index, 0, true);
    forward_begin(forward, &asked, io->now_ns);
    return true;
}
