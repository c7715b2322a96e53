#include "agent/hostwork.h"

#include "agent/agent.h"
#include "agent/crossing.h"
#include "model/path.h"

static void spend(struct hostwork *work, enum modelled_station station, double ns)
{
    burn(&work->burner, ns);
    metric_add(work->agent->metrics.modelled[station], ns / 1e9);
}

void hostwork_message(struct hostwork *work, const struct datapath_settings *settings,
                      enum pod_direction direction, uint32_t bytes, bool wake)
{
    if (settings->mode != DATAPATH_DPU)
        return;
    bool server = direction == POD_IN;
    uint32_t frame = bytes > CROSSING_BYTES_MIN ? bytes : CROSSING_BYTES_MIN;
    if (wake)
        spend(work, MODELLED_WAKE, path_wake_ns(&settings->profile, server));
    spend(work, server ? MODELLED_IN : MODELLED_OUT,
          path_host_ns(&settings->profile, frame, server));
}

void hostwork_settle(struct hostwork *work, const struct datapath_settings *settings)
{
    uint64_t rounds = __atomic_load_n(&work->agent->out_rounds, __ATOMIC_RELAXED);
    if (rounds != work->rounds_paid && settings->mode == DATAPATH_DPU)
        spend(work, MODELLED_WAKE,
              path_wake_ns(&settings->profile, false) * (double)(rounds - work->rounds_paid));
    work->rounds_paid = rounds;
    if (work->burner.burnt_ns != work->told_ns) {
        work->told_ns = work->burner.burnt_ns;
        cpu_spent(&work->agent->cpu, CPU_BURNT_BY_APPLICATION, (uint64_t)work->told_ns);
    }
}
