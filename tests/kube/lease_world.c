#include "lease_world.h"

#include <stdio.h>
#include <string.h>

#define NEVER UINT64_MAX

const struct lease_times world_times = {15 * NS_PER_S, 10 * NS_PER_S, 2 * NS_PER_S};

/* xorshift64* */
uint64_t world_random(struct world *world, uint64_t below)
{
    world->random ^= world->random >> 12;
    world->random ^= world->random << 25;
    world->random ^= world->random >> 27;
    return (world->random * UINT64_C(0x2545f4914f6cdd1d) >> 16) % below;
}

uint64_t world_local(const struct world *world, const struct candidate *candidate)
{
    return candidate->offset + (uint64_t)((double)world->now * candidate->rate);
}

static void begin_life(struct world *world, struct candidate *candidate)
{
    candidate->life++;
    candidate->pending = NULL;
    lease_state_init(&candidate->state, &world_times, candidate->identity,
                     world_random(world, UINT64_MAX), world_local(world, candidate));
}

void world_init(struct world *world, int count, uint64_t seed)
{
    *world = (struct world){.random = seed * 2654435769u + 1, .count = count, .leader = -1};
    for (int i = 0; i < count; i++) {
        struct candidate *candidate = &world->candidates[i];
        snprintf(candidate->identity, sizeof(candidate->identity), "c%d-0", i);
        candidate->offset = world_random(world, 1000 * NS_PER_S);
        candidate->rate = 0.97 + (double)world_random(world, 60) / 1000;
        begin_life(world, candidate);
    }
}

void world_free(struct world *world)
{
    for (int i = 0; i < world->count; i++)
        lease_state_free(&world->candidates[i].state);
}

int world_leaders(const struct world *world)
{
    int leaders = 0;
    for (int i = 0; i < world->count; i++)
        leaders += world_local(world, &world->candidates[i]) < world->candidates[i].state.until_ns;
    return leaders;
}

/* A way through the network. */
static uint64_t latency(struct world *world, unsigned bad)
{
    uint64_t usual = NS_PER_MS * (2 + world_random(world, 40));
    if (world_random(world, 100) >= bad)
        return usual;
    if (world_random(world, 2)) {
        world->lost++;
        return NEVER;
    }
    return usual + world_random(world, 20 * NS_PER_S);
}

static uint64_t later(uint64_t now, uint64_t delay)
{
    return delay == NEVER ? NEVER : now + delay;
}

static struct request *request_new(struct world *world, int sender, enum request_kind kind,
                                   unsigned bad)
{
    for (int i = 0; i < REQUESTS_MAX; i++) {
        struct request *request = &world->requests[i];
        const struct candidate *candidate = &world->candidates[sender];
        if (request->used)
            continue;
        *request =
            (struct request){.used = true, .kind = kind, .sender = sender, .life = candidate->life};
        request->arrives = later(world->now, latency(world, bad));
        request->returns =
            request->arrives == NEVER ? NEVER : later(request->arrives, latency(world, bad));
        if (candidate->state.version && kind != REQUEST_CREATE)
            sscanf(candidate->state.version, "%u", &request->version);
        snprintf(request->holder, sizeof(request->holder), "%s",
                 kind == REQUEST_RELEASE ? "" : candidate->identity);
        return request;
    }
    return NULL;
}

/* What the server does with a request. */
static void serve(struct world *world, struct request *request)
{
    bool creates = request->kind == REQUEST_CREATE;
    request->done = true;
    if (request->kind != REQUEST_LOOK) {
        if (creates == world->exists || (!creates && request->version != world->version))
            return; /* 409 or 404 */
        if (strcmp(world->holder, request->holder) != 0)
            world->takeovers++;
        world->exists = true;
        world->version++;
        world->duration_ns = request->kind == REQUEST_RELEASE ? NS_PER_S : world_times.duration_ns;
        memcpy(world->holder, request->holder, sizeof(world->holder));
    }
    request->answered_well = true;
    request->version = world->exists ? world->version : 0;
    request->duration_ns = world->duration_ns;
    memcpy(request->holder, world->holder, sizeof(world->holder));
}

/* Tells a candidate what came of its request. */
static void deliver(struct world *world, struct candidate *candidate, const struct request *request)
{
    char version[16];
    uint64_t now = world_local(world, candidate);
    struct lease_record record = {version, request->holder, request->duration_ns};
    snprintf(version, sizeof(version), "%u", request->version);
    if (!request->answered_well)
        lease_state_failed(&candidate->state, false, now);
    else if (request->kind != REQUEST_LOOK)
        lease_state_wrote(&candidate->state, world_random(world, 20) ? version : NULL, now);
    else if (request->version)
        lease_state_saw(&candidate->state, &record, now);
    else
        lease_state_missing(&candidate->state, now);
}

static void candidate_tick(struct world *world, int index, unsigned bad)
{
    static const enum request_kind kinds[] = {[LEASE_LOOK] = REQUEST_LOOK,
                                              [LEASE_CREATE] = REQUEST_CREATE,
                                              [LEASE_WRITE] = REQUEST_WRITE};
    struct candidate *candidate = &world->candidates[index];
    struct request *pending = candidate->pending;
    uint64_t now = world_local(world, candidate);
    if (world->now < candidate->frozen_until)
        return;
    if (pending && pending->done && pending->returns <= world->now) {
        candidate->pending = NULL;
        deliver(world, candidate, pending);
        pending->used = false;
    } else if (pending && now - candidate->sent >= CALL_NS) {
        candidate->pending = NULL; /* the request itself travels on */
        pending->returns = NEVER;
        lease_state_failed(&candidate->state, true, now);
    }
    if (candidate->pending || lease_state_step(&candidate->state, now) == LEASE_WAIT)
        return;
    enum lease_step step = lease_state_step(&candidate->state, now);
    candidate->pending = request_new(world, index, kinds[step], bad);
    if (!candidate->pending)
        return;
    candidate->sent = now;
    lease_state_sent(&candidate->state, now);
}

static void server_tick(struct world *world)
{
    for (int i = 0; i < REQUESTS_MAX; i++) {
        struct request *request = &world->requests[i];
        const struct candidate *sender = &world->candidates[request->sender];
        if (!request->used)
            continue;
        if (!request->done && request->arrives <= world->now) {
            if (world->now < world->down_until)
                request->arrives = NEVER;
            else
                serve(world, request);
        }
        /* Nobody waits for it any more, and it has arrived or never will. */
        if (sender->pending != request && (request->done || request->arrives == NEVER))
            request->used = false;
    }
}

static void watch_leader(struct world *world)
{
    for (int i = 0; i < world->count; i++) {
        const struct candidate *candidate = &world->candidates[i];
        if (world_local(world, candidate) >= candidate->state.until_ns || world->leader == i)
            continue;
        world->failovers += world->leader >= 0;
        world->leader = i;
    }
}

void world_tick(struct world *world, unsigned bad)
{
    world->now += WORLD_TICK_NS;
    server_tick(world);
    for (int i = 0; i < world->count; i++)
        candidate_tick(world, i, bad);
    watch_leader(world);
}

void world_restart(struct world *world, int index, bool same, bool gracefully)
{
    struct candidate *candidate = &world->candidates[index];
    lease_state_resign(&candidate->state);
    if (gracefully && candidate->state.ours && candidate->state.version &&
        lease_state_releasable(&candidate->state, world_local(world, candidate)))
        request_new(world, index, REQUEST_RELEASE, 0);
    lease_state_free(&candidate->state);
    if (!same)
        snprintf(candidate->identity, sizeof(candidate->identity), "c%d-%u", index,
                 candidate->life);
    begin_life(world, candidate);
}

void world_edit(struct world *world, bool spoil)
{
    if (!world->exists)
        return;
    world->version++;
    if (spoil)
        world->duration_ns = 0;
}
