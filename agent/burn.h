/*
 * Work that only has to cost: a loop that keeps a processor busy for so many nanoseconds of CPU
 * time. The speed of the loop is measured at start against the thread's CPU clock, not the wall, so
 * that a machine which is busy with other things does not make it shorter; and it is looked at
 * again every half a millisecond of burning: clocks change, and who shares the core slows it down.
 *
 *     burn_calibrate();                      once, 10 ms
 *     struct burner burner = BURNER_INIT;    one a thread
 *     burn(&burner, 1400);
 *     burner.burnt_ns                        CPU time that the loop really took
 *
 * A call costs what it burns and some nanoseconds; fractions are carried over.
 */
#ifndef DPUMESH_AGENT_BURN_H
#define DPUMESH_AGENT_BURN_H

#include <stdint.h>

/* How much is burnt, in ns, before the thread's clock is asked again. */
#define BURN_LOOK_NS 5e5

struct burner {
    double turns_per_ns; /* of the loop; 0: as calibrated */
    double owed_turns;   /* fraction of a turn */
    double asked_ns;     /* in all */
    double burnt_ns;     /* in all, by the thread's clock where it was asked, else by the rate */
    double unlooked_ns;  /* burnt since the clock was asked */
    double paid_ns;      /* burnt in advance, when the clock was asked */
};
#define BURNER_INIT                                                                                \
    {                                                                                              \
        .turns_per_ns = 0                                                                          \
    }

/*
 * Measures the loop's speed: the fastest of several short runs on the thread's CPU clock. Returns
 * turns a nanosecond, which is what burners without their own rate start with. Any thread, once,
 * before others burn.
 */
double burn_calibrate(void);

/* Burns so many nanoseconds of the calling thread's CPU time; 0 or less: nothing. */
void burn(struct burner *burner, double ns);

#endif
