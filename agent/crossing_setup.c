/* The configuration in force: models and proxies are made, left behind, ended. */
#include <math.h>

#include "agent/crossing_private.h"
#include "base/clock.h"
#include "base/log.h"
#include "spec/profile.h"

static uint32_t ring_slots(const struct profile *profile)
{
    uint32_t slots = 2, most = 65536;
    while (slots < profile->value[PROFILE_RING_SLOTS] && slots < most)
        slots *= 2;
    return slots;
}

/* The current model goes among those that end by themselves. */
static void leave_behind(struct io *io)
{
    struct crossing *c = &io->crossing;
    if (!c->delays)
        return;
    c->delays = false;
    if (c->old_count == CROSSING_OLD_MAX)
        crossing_end_oldest(io);
    c->old[c->old_count++] = c->model;
}

static void start_proxies(struct io *io)
{
    struct crossing *c = &io->crossing;
    for (enum pod_direction i = POD_IN; i < POD_DIRECTIONS; i++) {
        cleanup_error struct error *err = NULL;
        if (!c->proxies[i] &&
            proxy_start(io->agent, i, ring_slots(&c->profile), &c->proxies[i], &err) < 0)
            log_error("the sidecar's work is not done", LOG_ERROR(err));
        if (c->proxies[i])
            proxy_set(c->proxies[i], &c->profile);
    }
}

static void make_model(struct io *io)
{
    struct crossing *c = &io->crossing;
    struct profile profile = c->profile;
    struct pod_options options = {.seed = io_config(io)->egress.seed ? io_config(io)->egress.seed
                                                                     : clock_monotonic_ns(),
                                  .less_path_ns = c->real_path_ns,
                                  .connections = 1,
                                  .host_elsewhere = true};
    if (c->mode == DATAPATH_SIDECAR) { /* its proxies have the hold-off; there is no DPU */
        profile.value[PROFILE_HOLDOFF_NS] = 0;
        profile.value[PROFILE_COALESCE_BYTES] = 0;
        profile.value[PROFILE_ARM_WORKERS] = profile.value[PROFILE_DMA_UNITS] = 0;
        if (profile.value[PROFILE_PATH_NS] < options.less_path_ns + NS_PER_US * 2)
            return;
    }
    pod_init(&c->model.pod, &profile, &options);
    c->model.mode = c->mode;
    c->delays = true;
}

static bool same_profile(const struct profile *a, const struct profile *b)
{
    for (unsigned i = 0; i < PROFILE_PARAMETERS; i++)
        if (a->value[i] != b->value[i])
            return false;
    return true;
}

static double path_of_direct(void)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct profile direct;
    return profile_load("direct", &direct, &problems) == 0 ? direct.value[PROFILE_PATH_NS] : 0;
}

void crossing_configure(struct io *io)
{
    struct crossing *c = &io->crossing;
    const struct datapath_settings *settings = &io_config(io)->datapath;
    if (c->slots > 0 && c->mode == settings->mode && same_profile(&c->profile, &settings->profile))
        return;
    if (c->slots == 0)
        c->real_path_ns = path_of_direct();
    leave_behind(io);
    c->mode = settings->mode;
    c->profile = settings->profile;
    c->slots = ring_slots(&c->profile);
    cpu_io_on_host(&io->agent->cpu, c->mode != DATAPATH_DPU);
    if (c->mode == DATAPATH_SIDECAR)
        start_proxies(io);
    if (c->mode != DATAPATH_DIRECT)
        make_model(io);
}

void crossing_destroy(struct io *io)
{
    struct crossing *c = &io->crossing;
    for (unsigned i = 0; i < POD_DIRECTIONS; i++) {
        proxy_stop(c->proxies[i]);
        tag_fifo_free(&c->queued[i]);
    }
    tag_fifo_free(&c->admitted);
    if (c->delays)
        pod_release(&c->model.pod);
    for (unsigned i = 0; i < c->old_count; i++)
        pod_release(&c->old[i].pod);
}
