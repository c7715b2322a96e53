#include <inttypes.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "scale/decide_private.h"

/* Every part is bounded, and together they stay far below this. */
enum { MESSAGE_MAX = 1024 };

const char *scale_reason_name(enum scale_reason reason)
{
    static const char *const names[SCALE_REASONS] = {
        [SCALE_WITHIN_RANGE] = "DesiredWithinRange",
        [SCALE_DISABLED] = "ScalingDisabled",
        [SCALE_NO_FIGURES] = "FailedComputeMetricsReplicas",
        [SCALE_UP_STABILIZED] = "ScaleUpStabilized",
        [SCALE_DOWN_STABILIZED] = "ScaleDownStabilized",
        [SCALE_UP_LIMITED] = "ScaleUpLimit",
        [SCALE_DOWN_LIMITED] = "ScaleDownLimit",
        [SCALE_TOO_MANY] = "TooManyReplicas",
        [SCALE_TOO_FEW] = "TooFewReplicas",
        [SCALE_PANIC] = "Panicking",
    };
    return names[reason];
}

/* "requestsPerSecond is 142 a replica, target 100: 1.42 of it, by 3 pods (1 silent): 5 replicas" */
static void print_figures(struct buffer *out, const struct scale_draft *draft,
                          const struct scale_decision *d)
{
    const struct scale_metric *metric = &draft->policy->metrics[d->metric];
    const struct scale_proposal *p = &draft->proposal;
    const char *name = scale_signal_name(metric->signal);

    if (metric->type == SCALE_UTILIZATION)
        buffer_printf(out, "%s is %" PRId64 "%%, target %" PRId64 "%%", name, p->measured,
                      metric->target);
    else
        buffer_printf(out, "%s is %g a replica, target %g", name, (double)p->measured / 1000,
                      (double)metric->target / 1000);
    buffer_printf(out, ": %.2f of it, by %u %s", p->ratio, p->counted,
                  p->counted == 1 ? "pod" : "pods");
    if (p->missing > 0)
        buffer_printf(out, ", %u silent", p->missing);
    if (p->unready > 0)
        buffer_printf(out, ", %u not ready", p->unready);
    if (p->missing > 0 || p->unready > 0)
        buffer_printf(out, " (%.2f with them)", p->final_ratio);
    buffer_printf(out, "; that asks for %d", d->recommended);
}

static void print_cut(struct buffer *out, const struct scale_draft *draft,
                      const struct scale_decision *d)
{
    const struct scale_policy *policy = draft->policy;
    bool up = draft->stabilized > draft->input->current;

    switch (d->reason) {
    case SCALE_UP_STABILIZED:
        buffer_printf(out, "; the lowest recommendation of %u s is %d", policy->up.window_s,
                      draft->stabilized);
        break;
    case SCALE_DOWN_STABILIZED:
        buffer_printf(out, "; the highest recommendation of %u s is %d", policy->down.window_s,
                      draft->stabilized);
        break;
    case SCALE_UP_LIMITED:
    case SCALE_DOWN_LIMITED:
        buffer_printf(out, "; behavior.%s allows %d now", up ? "scaleUp" : "scaleDown", d->desired);
        break;
    case SCALE_TOO_MANY:
        buffer_printf(out, "; maxReplicas is %d", policy->max_replicas);
        break;
    case SCALE_TOO_FEW:
        buffer_printf(out, "; minReplicas is %d", policy->min_replicas);
        break;
    case SCALE_PANIC:
        buffer_printf(out, "; panic: the load of %" PRIu64 " s is worth %.2f replicas",
                      scale_panic_window_ns(&policy->panic) / NS_PER_S, draft->panic->mean);
        buffer_printf(out, ", %u are ready; %d until it has been over for %u s", d->ready,
                      d->desired, policy->panic.stable_window_s);
        break;
    default:
        break;
    }
}

static void print_silence(struct buffer *out, const struct scale_draft *draft)
{
    const struct scale_policy *policy = draft->policy;
    const char *name = scale_signal_name(policy->metrics[draft->first_silent].signal);

    if (draft->silent == policy->metric_count)
        buffer_printf(out, "no ready pod of %zu has a figure for %s", draft->input->pod_count,
                      name);
    else
        buffer_printf(out, "no ready pod of %zu has a figure for %s, the others ask for fewer",
                      draft->input->pod_count, name);
    buffer_printf(out, "; %d stay", draft->input->current);
}

char *scale_message(const struct scale_draft *draft, const struct scale_decision *decision)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(MESSAGE_MAX);
    const struct scale_policy *policy = draft->policy;
    int32_t current = draft->input->current;

    if (decision->reason == SCALE_DISABLED)
        buffer_puts(&out, "replicas is 0: the service was stopped; set it to 1 or more to go on");
    else if (decision->reason == SCALE_NO_FIGURES)
        print_silence(&out, draft);
    else if (decision->metric < 0)
        buffer_printf(&out, "%d replicas, %s is %d", current,
                      current > policy->max_replicas ? "maxReplicas" : "minReplicas",
                      decision->desired);
    else {
        print_figures(&out, draft, decision);
        print_cut(&out, draft, decision);
    }
    return xstrdup(buffer_terminate(&out));
}
