#include "kube/client_limit.h"

#include "base/clock.h"

/* A burst larger than an hour's worth is an hour's worth: keeps the arithmetic far from overflow.
 */
#define SLACK_MAX_NS (3600 * NS_PER_S)

void kube_limit_init(struct kube_limit *limit, double qps, unsigned burst)
{
    *limit = (struct kube_limit){.interval_ns = 0};
    if (!(qps > 0))
        return;
    double interval = (double)NS_PER_S / qps;
    limit->interval_ns = interval < 1                      ? 1
                         : interval > (double)SLACK_MAX_NS ? SLACK_MAX_NS
                                                           : (uint64_t)interval;
    double tokens = burst ? (double)burst : 2 * qps;
    double slack = tokens > 1 ? (tokens - 1) * (double)limit->interval_ns : 0;
    limit->slack_ns = slack > (double)SLACK_MAX_NS ? SLACK_MAX_NS : (uint64_t)slack;
}

/* The generic cell rate algorithm (ITU-T I.371): a bucket kept as the time when it will be full. */
bool kube_limit_take(struct kube_limit *limit, uint64_t now_ns, uint64_t latest_ns,
                     uint64_t *ret_at_ns)
{
    uint64_t due_ns = limit->next_ns > now_ns ? limit->next_ns : now_ns;
    uint64_t at_ns = due_ns - now_ns > limit->slack_ns ? due_ns - limit->slack_ns : now_ns;

    if (limit->interval_ns == 0) {
        *ret_at_ns = now_ns;
        return true;
    }
    if (at_ns > latest_ns)
        return false;
    limit->next_ns = due_ns + limit->interval_ns;
    *ret_at_ns = at_ns;
    return true;
}
