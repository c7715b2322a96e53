/*
 * The rules of leader election, without I/O and without a clock: what was seen and when goes in,
 * what to do next comes out. The thread in lease.c does it.
 *
 *     while (true) {
 *         now = ...;
 *         switch (lease_state_step(&state, now)) {
 *         case LEASE_WAIT:  sleep until lease_state_wake_ns(&state, now)
 *         case LEASE_LOOK:  lease_state_sent(&state, now), GET, then lease_state_saw(),
 *                           lease_state_missing() or lease_state_failed()
 *         case LEASE_CREATE, LEASE_WRITE: lease_state_sent(), POST or PUT with the version that was
 *                           seen, then lease_state_wrote() or lease_state_failed()
 *
 * Why no two lead at one instant. A write names the version that it replaces, so the server takes
 * one of several. Who wrote leads until sent + renew deadline, by its own clock. The others see the
 * version after it was written, hence after it was sent, and take the lease at the earliest when
 * they saw the same version for the duration that it states; that is longer than the renew
 * deadline, and what they write then is refused if there was a renewal after all. An answer that is
 * late or lost only makes a holder stop earlier. Clocks need no agreement, only about the same
 * rate: 10 s of one must not be longer than 15 s of another.
 *
 * A Lease object that somebody deletes is the one thing that versions do not cover. Who leads makes
 * it again at once. Who saw one before, and does not lead, leaves time for that, then makes it and
 * renews it, but leads only after a whole duration: a leader of before that is still there finds
 * its renewals refused from then on. What is left: a candidate that never saw the object leads
 * without that wait, since the first start of all should not take so long.
 *
 * One thread. Instants are of any clock that does not step back.
 */
#ifndef DPUMESH_KUBE_LEASE_STATE_H
#define DPUMESH_KUBE_LEASE_STATE_H

#include <stdbool.h>
#include <stdint.h>

/* See kube_lease_options. */
struct lease_times {
    uint64_t duration_ns, renew_deadline_ns, retry_ns;
};

/* What a Lease object says. */
struct lease_record {
    const char *version;  /* metadata.resourceVersion */
    const char *holder;   /* "": nobody */
    uint64_t duration_ns; /* 0: nothing sensible; ours is assumed */
};

enum lease_step { LEASE_WAIT, LEASE_LOOK, LEASE_CREATE, LEASE_WRITE };

/* Private but for until_ns: we lead before this instant. */
struct lease_state {
    uint64_t until_ns;
    struct lease_times times;
    const char *identity;
    uint64_t random;      /* state of the jitter */
    enum lease_step step; /* what comes at attempt_ns */
    uint64_t attempt_ns;  /* when the next request is due */
    uint64_t started_ns;  /* when the first request of this attempt was sent */
    uint64_t sent_ns;     /* when the last request was sent */
    unsigned requests;    /* of this attempt */
    char *version;        /* of the record as last seen; NULL: none, or it is gone */
    bool ours;            /* it names us */
    bool seen;            /* there was a record at some time */
    bool missing;         /* there was none last time */
    uint64_t observed_ns; /* when this version, or that it is missing, was first seen */
    bool doubtful;        /* a record of ours may come into being beside the lease of another */
    uint64_t quiet_ns;    /* the record is ours, but we do not lead before this instant */
    uint64_t lifetime_ns; /* the duration of the last record, or ours if that is longer */
};

/* identity is borrowed; seed makes the jitter of candidates differ. */
void lease_state_init(struct lease_state *state, const struct lease_times *times,
                      const char *identity, uint64_t seed, uint64_t now_ns);
void lease_state_free(struct lease_state *state);

/* What to do at this instant. */
enum lease_step lease_state_step(const struct lease_state *state, uint64_t now_ns);

/* When to ask again, if it is LEASE_WAIT: the next attempt, or the end of our leading. */
uint64_t lease_state_wake_ns(const struct lease_state *state, uint64_t now_ns);

/* A request is about to be sent; now_ns was read before that. */
void lease_state_sent(struct lease_state *state, uint64_t now_ns);

/* The answer to LEASE_LOOK: this record, or none. now_ns was read after it came. */
void lease_state_saw(struct lease_state *state, const struct lease_record *record, uint64_t now_ns);
void lease_state_missing(struct lease_state *state, uint64_t now_ns);

/* Our record is in force, as version (NULL: the answer does not say). */
void lease_state_wrote(struct lease_state *state, const char *version, uint64_t now_ns);

/* The request failed. unknown: nobody knows whether the server did it. */
void lease_state_failed(struct lease_state *state, bool unknown, uint64_t now_ns);

/* Whether a record that is ours may be given back: not while its time protects another. */
bool lease_state_releasable(const struct lease_state *state, uint64_t now_ns);

/* We stop leading at once, of our own will. */
void lease_state_resign(struct lease_state *state);

#endif
