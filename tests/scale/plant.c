#include "plant.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

double plant_load_at(const struct plant_load *load, uint64_t now_s)
{
    double since = now_s < load->at_s ? 0 : (double)(now_s - load->at_s);
    double part = since / (double)(load->length_s ? load->length_s : 1);

    switch (load->shape) {
    case PLANT_STEP:
        return now_s < load->at_s ? load->low : load->high;
    case PLANT_RAMP:
        return load->low + (load->high - load->low) * (part < 1 ? part : 1);
    case PLANT_BURST:
        return now_s >= load->at_s && part < 1 ? load->high : load->low;
    case PLANT_OSCILLATION:
        return (load->low + load->high) / 2 + (load->high - load->low) / 2 * sin(part * 2 * M_PI);
    }
    return 0;
}

static bool ready(const struct plant *plant, int32_t pod, uint64_t now_s)
{
    return plant->born_s[pod] + plant->start_s <= now_s;
}

int32_t plant_ready(const struct plant *plant, uint64_t now_s)
{
    int32_t count = 0;

    for (int32_t i = 0; i < plant->count; i++)
        count += ready(plant, i, now_s);
    return count;
}

void plant_step(struct plant *plant, uint64_t now_s)
{
    int32_t pods = plant_ready(plant, now_s);
    double waiting = plant->queued + plant_load_at(&plant->load, now_s);
    double done = fmin(waiting, (double)pods * PLANT_CAPACITY);
    double room = (double)pods * PLANT_QUEUE;

    plant->served += done;
    plant->queued = fmin(waiting - done, room);
    plant->refused += waiting - done - plant->queued;
}

void plant_scale(struct plant *plant, int32_t replicas, uint64_t now_s)
{
    for (; plant->count < replicas && plant->count < PLANT_PODS_MAX; plant->count++)
        plant->born_s[plant->count] = now_s;
    plant->count = replicas < plant->count ? replicas : plant->count;
}

static struct scale_figure figure(double value, double of, uint64_t now_s)
{
    return (struct scale_figure){.known = true,
                                 .value_milli = (int64_t)(value * 1000),
                                 .of_milli = (int64_t)(of * 1000),
                                 .at_ns = now_s * NS_PER_S};
}

size_t plant_look(const struct plant *plant, uint64_t now_s, struct scale_pod *pods)
{
    bool silence = now_s >= plant->silent_s && now_s < plant->silent_to_s;
    int32_t working = plant_ready(plant, now_s);

    memset(pods, 0, (size_t)plant->count * sizeof(*pods));
    for (int32_t i = 0; i < plant->count; i++) {
        uint64_t age_s = now_s - plant->born_s[i];
        bool serves = ready(plant, i, now_s);
        double rate = serves ? plant_load_at(&plant->load, now_s) / working : 0;
        double queue = serves ? plant->queued / working : 0;
        double served = queue > 0 ? PLANT_CAPACITY : fmin(rate, PLANT_CAPACITY);
        pods[i].phase = serves                        ? SCALE_POD_READY
                        : age_s * 2 >= plant->start_s ? SCALE_POD_STARTING
                                                      : SCALE_POD_PENDING;
        if (silence && i < plant->silent)
            continue;
        pods[i].figures[SCALE_REQUESTS_PER_SECOND] = figure(rate, 0, now_s);
        /* Little's law: 0.1 s of work for each that is served, and those that wait. */
        pods[i].figures[SCALE_IN_FLIGHT] = figure(served / 10 + queue, 0, now_s);
        pods[i].figures[SCALE_QUEUE_OCCUPANCY] = figure(queue, PLANT_QUEUE, now_s);
        pods[i].figures[SCALE_CPU] = figure(served / PLANT_CAPACITY, 1, now_s);
    }
    return (size_t)plant->count;
}
