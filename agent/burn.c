#include "agent/burn.h"

#include <math.h>

#include "base/clock.h"

enum { CALIBRATION_RUNS = 9 };

/* Burnt at once when the clock is asked. */
#define LOOK_PIECE_NS 5e3

/* A run of it takes about a millisecond on any processor of the last decade. */
static const uint64_t calibration_turns = 1 << 20;

static double calibrated = 1;

/* xorshift: the next turn needs the last one's result, so that turns can't overlap or be left out.
 */
static uint64_t spin(uint64_t turns)
{
    uint64_t state = 88172645463325252U;
    for (uint64_t i = 0; i < turns; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        __asm__ volatile("" : "+r"(state));
    }
    return state;
}

double burn_calibrate(void)
{
    double best = 0;
    for (unsigned i = 0; i < CALIBRATION_RUNS; i++) {
        uint64_t begin_ns = clock_thread_cpu_ns();
        spin(calibration_turns);
        uint64_t ns = clock_thread_cpu_ns() - begin_ns;
        double rate = ns > 0 ? (double)calibration_turns / (double)ns : 0;
        best = rate > best ? rate : best;
    }
    if (best > 0)
        calibrated = best;
    return calibrated;
}

/* Burns ns and asks the clock how long that took; the rate follows, within a factor of four of the
 * calibrated one whatever a clock says. */
static void burn_and_look(struct burner *burner, double ns)
{
    uint64_t turns = (uint64_t)(ns * burner->turns_per_ns), begin_ns = clock_thread_cpu_ns();
    spin(turns);
    double took_ns = (double)(clock_thread_cpu_ns() - begin_ns);
    double rate = took_ns > 0 ? (double)turns / took_ns : calibrated, now = burner->turns_per_ns;
    /* One look may be far off: a hypervisor took the processor meanwhile, and this clock ran on. */
    burner->turns_per_ns += (fmin(fmax(rate, now * 0.8), now * 1.25) - now) / 4;
    if (burner->turns_per_ns < calibrated / 4 || burner->turns_per_ns > calibrated * 4)
        burner->turns_per_ns = calibrated;
    burner->burnt_ns += took_ns;
    burner->unlooked_ns = 0;
}

void burn(struct burner *burner, double ns)
{
    if (!(ns > 0))
        return;
    if (burner->turns_per_ns == 0)
        burner->turns_per_ns = calibrated;
    burner->asked_ns += ns;
    if (burner->paid_ns >= ns) {
        burner->paid_ns -= ns;
        return;
    }
    ns -= burner->paid_ns;
    burner->paid_ns = 0;
    /* To ask the clock costs some hundred nanoseconds: a piece is burnt for which that is little,
     * and counts towards what comes next. */
    if (burner->unlooked_ns >= BURN_LOOK_NS) {
        double piece_ns = ns > LOOK_PIECE_NS ? ns : LOOK_PIECE_NS;
        burn_and_look(burner, piece_ns);
        burner->paid_ns = piece_ns - ns;
        return;
    }
    double turns = ns * burner->turns_per_ns + burner->owed_turns;
    uint64_t whole = (uint64_t)turns;
    burner->owed_turns = turns - (double)whole;
    spin(whole);
    burner->burnt_ns += ns;
    burner->unlooked_ns += ns;
}
