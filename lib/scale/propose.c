#include "scale/propose.h"

#include <errno.h>
#include <math.h>

struct sum {
    unsigned count;
    int64_t value_milli, of_milli;
};

/* The pods in HPA's three groups (groupPods()). */
struct groups {
    struct sum known, missing, unready;
    unsigned missing_without_of, unready_without_of;
};

int32_t scale_ceil(double replicas)
{
    double up = ceil(replicas);
    return up >= (double)INT32_MAX ? INT32_MAX : (int32_t)up;
}

static bool usable(const struct scale_policy *policy, const struct scale_metric *metric,
                   const struct scale_figure *figure, uint64_t now_ns)
{
    if (!figure->known || figure->value_milli < 0 || figure->value_milli > SCALE_TARGET_MAX_MILLI)
        return false;
    if (metric->type == SCALE_UTILIZATION &&
        (figure->of_milli <= 0 || figure->of_milli > SCALE_TARGET_MAX_MILLI))
        return false;
    return policy->figure_age_ns == 0 || figure->at_ns >= now_ns ||
           now_ns - figure->at_ns <= policy->figure_age_ns;
}

static void add_absent(struct sum *sum, unsigned *without_of, const struct scale_figure *figure)
{
    sum->count++;
    if (figure->of_milli > 0 && figure->of_milli <= SCALE_TARGET_MAX_MILLI)
        sum->of_milli += figure->of_milli;
    else
        (*without_of)++;
}

static void group(const struct scale_policy *policy, const struct scale_metric *metric,
                  const struct scale_input *input, struct groups *groups)
{
    size_t count = input->pod_count < SCALE_PODS_MAX ? input->pod_count : SCALE_PODS_MAX;

    for (size_t i = 0; i < count; i++) {
        const struct scale_pod *pod = &input->pods[i];
        const struct scale_figure *figure = &pod->figures[metric->signal];
        bool has = usable(policy, metric, figure, input->now_ns);
        /* A pod that runs and does not answer is missing, ready or not: HPA's order. */
        if (pod->phase == SCALE_POD_PENDING || (has && pod->phase == SCALE_POD_STARTING)) {
            add_absent(&groups->unready, &groups->unready_without_of, figure);
        } else if (!has) {
            add_absent(&groups->missing, &groups->missing_without_of, figure);
        } else {
            groups->known.count++;
            groups->known.value_milli += figure->value_milli;
            groups->known.of_milli += figure->of_milli;
        }
    }
    if (groups->known.count > 0) {
        int64_t mean_of = groups->known.of_milli / groups->known.count;
        groups->missing.of_milli += mean_of * groups->missing_without_of;
        groups->unready.of_milli += mean_of * groups->unready_without_of;
    }
}

/* GetMetricUsageRatio() and GetResourceUtilizationRatio(): whole numbers, rounded down, as there.
 */
static int64_t measure(const struct scale_metric *metric, const struct sum *sum)
{
    if (metric->type == SCALE_UTILIZATION)
        return sum->value_milli * 100 / sum->of_milli;
    return sum->value_milli / sum->count;
}

static double ratio_of(const struct scale_metric *metric, const struct sum *sum)
{
    return (double)measure(metric, sum) / (double)metric->target;
}

static bool within(const struct scale_policy *policy, double ratio)
{
    return 1.0 - policy->down.tolerance <= ratio && ratio <= 1.0 + policy->up.tolerance;
}

static void add(struct sum *sum, const struct sum *pods, int64_t value_milli)
{
    sum->count += pods->count;
    sum->of_milli += pods->of_milli;
    sum->value_milli += value_milli;
}

/* What pods that said nothing are taken to use where the others ask for fewer replicas. */
static int64_t as_if_busy(const struct scale_metric *metric, const struct sum *missing)
{
    if (metric->type == SCALE_AVERAGE_VALUE)
        return metric->target * missing->count;
    return missing->of_milli * (metric->target > 100 ? metric->target : 100) / 100;
}

static int32_t fill_in(const struct scale_policy *policy, const struct scale_metric *metric,
                       const struct groups *groups, int32_t current, struct scale_proposal *p)
{
    struct sum sum = groups->known;

    if (p->ratio < 1.0)
        add(&sum, &groups->missing, as_if_busy(metric, &groups->missing));
    else if (p->ratio > 1.0)
        add(&sum, &groups->missing, 0);
    if (p->ratio > 1.0)
        add(&sum, &groups->unready, 0);

    double ratio = p->final_ratio = ratio_of(metric, &sum);
    if (within(policy, ratio) || (p->ratio < 1.0 && ratio > 1.0) || (p->ratio > 1.0 && ratio < 1.0))
        return current;
    int32_t replicas = scale_ceil(ratio * sum.count);
    if ((ratio < 1.0 && replicas > current) || (ratio > 1.0 && replicas < current))
        return current;
    return replicas;
}

int scale_propose(const struct scale_policy *policy, const struct scale_metric *metric,
                  const struct scale_input *input, struct scale_proposal *ret_proposal)
{
    struct groups groups = {.missing_without_of = 0};

    group(policy, metric, input, &groups);
    if (groups.known.count == 0)
        return -ENODATA;

    struct scale_proposal p = {.counted = groups.known.count,
                               .missing = groups.missing.count,
                               .unready = groups.unready.count,
                               .measured = measure(metric, &groups.known)};
    p.ratio = p.final_ratio = ratio_of(metric, &groups.known);
    p.worth = p.ratio * p.counted;
    if (p.missing > 0 || (p.unready > 0 && p.ratio > 1.0))
        p.replicas = fill_in(policy, metric, &groups, input->current, &p);
    else
        p.replicas = within(policy, p.ratio) ? input->current : scale_ceil(p.worth);
    *ret_proposal = p;
    return 0;
}
