#include <math.h>

#include "model/path.h"
#include "model/path_private.h"

struct cost path_host_cost(const struct profile *profile, bool server)
{
    double ratio = server ? profile->value[PROFILE_SERVER_RATIO] : 1;
    double byte_ratio = server ? profile->value[PROFILE_SERVER_BYTE_RATIO] : 1;

    return (struct cost){.message_ns = ratio * profile->value[PROFILE_MESSAGE_NS],
                         .copy_ns = ratio * profile->value[PROFILE_COPY_NS],
                         .byte_ns = byte_ratio * profile->value[PROFILE_BYTE_NS],
                         .segment_bytes = profile->value[PROFILE_SEGMENT_BYTES],
                         .largest_bytes = profile->value[PROFILE_LARGEST_BYTES]};
}

struct cost path_arm_cost(const struct profile *profile)
{
    return (struct cost){.message_ns = profile->value[PROFILE_ARM_MESSAGE_NS],
                         .byte_ns = profile->value[PROFILE_ARM_BYTE_NS],
                         .touched_bytes = profile->value[PROFILE_ARM_TOUCHED_BYTES]};
}

struct cost path_dma_cost(const struct profile *profile)
{
    return (struct cost){.copy_ns = profile->value[PROFILE_DMA_COPY_NS],
                         .segment_bytes = profile->value[PROFILE_SEGMENT_BYTES],
                         .largest_bytes = profile->value[PROFILE_LARGEST_BYTES]};
}

double path_host_ns(const struct profile *profile, double frame_bytes, bool server)
{
    struct cost cost = path_host_cost(profile, server);

    return cost_ns(&cost, frame_bytes);
}

double path_host_share(const struct profile *profile, double frame_bytes)
{
    const double *value = profile->value;
    double small = value[PROFILE_SMALL_SHARE], large = value[PROFILE_HOST_SHARE];
    double segment = fmax(1, value[PROFILE_SEGMENT_BYTES]), copy = value[PROFILE_LARGEST_BYTES];

    if (small == 0 || frame_bytes >= copy)
        return large;
    if (frame_bytes <= segment)
        return small;
    return small + (large - small) * log(frame_bytes / segment) / log(copy / segment);
}

double path_wake_ns(const struct profile *profile, bool server)
{
    return profile->value[PROFILE_WAKE_NS] *
           (server ? profile->value[PROFILE_SERVER_WAKE_RATIO] : 1);
}

double path_holdoff_ns(const struct profile *profile, bool server)
{
    return profile->value[PROFILE_HOLDOFF_NS] *
           (server ? profile->value[PROFILE_SERVER_HOLDOFF_RATIO] : 1);
}

double path_arm_ns(const struct profile *profile, double frame_bytes)
{
    struct cost cost = path_arm_cost(profile);

    return cost_ns(&cost, frame_bytes);
}

/* The rate at which servers that take service_ns each are all busy, per ns. */
static double capacity(double servers, double service_ns)
{
    return servers > 0 && service_ns > 0 ? servers / service_ns : INFINITY;
}

/* What the rounds of one core depend on. */
struct rounds {
    double gap_ns;     /* from one group of messages to the next */
    double load;       /* part of the core that messages take */
    double wake_ns;    /* a round besides */
    double holdoff_ns; /* mean */
    bool polls;        /* it is a pause after a round */
    double eager_ns;   /* until so much has come that it ends the hold-off */
    double share;
};

/* The integral of P(H > t) from 0 to t: of a hold-off, what is over by then. */
static double held_ns(const struct rounds *rounds, double t)
{
    double h = rounds->holdoff_ns;

    if (!rounds->polls)
        return h * (1 - exp(-t / h));
    return t < 2 * h ? t - t * t / (4 * h) : h;
}

/*
 * Mean time from one round of a core to the next, in ns. A round is as long as the wake-up and the
 * messages that came since the last (R); the next begins when a group has come (gap), the round is
 * over, and the hold-off H from its begin has passed, or was cut off after eager. With H
 * exponential with mean h, and A = max(gap, R), R = (wake + load * C) / share, the cycle is C =
 * E[max(A, min(H, eager))] = A + h (exp(-A / h) - exp(-max(A, eager) / h)). The right side grows
 * slower than C, so there is one solution.
 * A core that polls holds off from R on, evenly up to 2h: C = R + E[max(A - R, min(H, eager - R))].
 */
static double cycle_ns(const struct rounds *rounds)
{
    double h = rounds->holdoff_ns, low_ns = rounds->gap_ns;
    /* R alone gives wake / (share - load); the hold-off adds at most h to each turn of that. */
    double high_ns = rounds->gap_ns + (rounds->wake_ns + rounds->share * (h + rounds->gap_ns)) /
                                          fmax(rounds->share - rounds->load, 1e-9);

    for (int i = 0; i < 100 && high_ns - low_ns > 1e-9 * high_ns; i++) {
        double cycle = (low_ns + high_ns) / 2;
        double round_ns = (rounds->wake_ns + rounds->load * cycle) / rounds->share;
        double from_ns = rounds->polls ? round_ns : 0; /* of the hold-off */
        double next = fmax(rounds->gap_ns, round_ns), a = next - from_ns;
        if (h > 0)
            next += held_ns(rounds, fmax(a, rounds->eager_ns - from_ns)) - held_ns(rounds, a);
        if (next > cycle)
            low_ns = cycle;
        else
            high_ns = cycle;
    }
    return (low_ns + high_ns) / 2;
}

void path_estimate(const struct profile *profile, double frame_bytes, double rate_per_s,
                   struct path_means *ret_means)
{
    const double *value = profile->value;
    double share = path_host_share(profile, frame_bytes);
    double client_ns = path_host_ns(profile, frame_bytes, false);
    double server_ns = path_host_ns(profile, frame_bytes, true);
    double arm_ns = path_arm_ns(profile, frame_bytes);
    struct cost dma = path_dma_cost(profile);

    double ceiling = fmin(capacity(share, client_ns), capacity(share, server_ns));
    ceiling = fmin(ceiling, capacity(value[PROFILE_ARM_WORKERS], arm_ns));
    ceiling = fmin(ceiling, capacity(value[PROFILE_DMA_UNITS], cost_ns(&dma, frame_bytes)));
    double rate = fmin(rate_per_s / 1e9, ceiling);

    struct rounds client = {
        .gap_ns = 1 / rate,
        .load = rate * client_ns,
        .wake_ns = value[PROFILE_WAKE_NS],
        .holdoff_ns = value[PROFILE_HOLDOFF_NS],
        .polls = value[PROFILE_POLLS] > 0,
        .eager_ns = INFINITY,
        .share = share,
    };
    if (value[PROFILE_EAGER_BYTES] > 0)
        client.eager_ns = value[PROFILE_EAGER_BYTES] / (rate * frame_bytes);
    struct rounds server = client;
    if (value[PROFILE_EAGER_MESSAGES] > 0)
        client.eager_ns = fmin(client.eager_ns, value[PROFILE_EAGER_MESSAGES] / rate);
    double client_gap_ns = cycle_ns(&client);
    server.gap_ns = client_gap_ns;
    /* A DPU hands messages on while the client's round lasts: the gap is from its end to the next.
     */
    if (value[PROFILE_ARM_WORKERS] > 0)
        server.gap_ns = fmax(client.gap_ns, client_gap_ns * (1 - client.load / share));
    server.load = rate * server_ns;
    server.wake_ns = path_wake_ns(profile, true);
    server.holdoff_ns = path_holdoff_ns(profile, true);
    double server_gap_ns = cycle_ns(&server);

    *ret_means = (struct path_means){
        .ceiling_per_s = ceiling * 1e9,
        .achieved_per_s = rate * 1e9,
        .client_cores = fmin(rate * client_ns + client.wake_ns / client_gap_ns, share),
        .server_cores = fmin(rate * server_ns + server.wake_ns / server_gap_ns, share),
        .dpu_cores = value[PROFILE_ARM_WORKERS] > 0 ? 2 * rate * arm_ns : 0,
        .client_rounds_per_s = 1e9 / client_gap_ns,
        .server_rounds_per_s = 1e9 / server_gap_ns,
    };
}
