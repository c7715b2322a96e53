#include "agent/burn.h"

#include "base/clock.h"

enum { CALIBRATION_RUNS = 9 };

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

/* Burns and asks the clock how long that took; the rate follows slowly, within a factor of four of
 * the calibrated one whatever a clock says. */
static void burn_and_look(struct burner *burner, uint64_t turns, double ns)
{
    uint64_t begin_ns = clock_thread_cpu_ns();
    spin(turns);
    double took_ns = (double)(clock_thread_cpu_ns() - begin_ns);
    if (turns > 1000 && took_ns > 0) {
        double rate = (double)turns / took_ns;
        burner->turns_per_ns += (rate - burner->turns_per_ns) / 8;
        if (burner->turns_per_ns < calibrated / 4 || burner->turns_per_ns > calibrated * 4)
            burner->turns_per_ns = calibrated;
    }
    burner->burnt_ns += turns > 1000 ? took_ns : ns;
    burner->unlooked_ns = 0;
}

void burn(struct burner *burner, double ns)
{
    if (!(ns > 0))
        return;
    if (burner->turns_per_ns == 0)
        burner->turns_per_ns = calibrated;
    double turns = ns * burner->turns_per_ns + burner->owed_turns;
    uint64_t whole = (uint64_t)turns;
    burner->owed_turns = turns - (double)whole;
    burner->asked_ns += ns;
    /* The clock costs some hundred nanoseconds: it is asked where that is little. */
    if (burner->unlooked_ns >= BURN_LOOK_NS && ns >= 2000) {
        burn_and_look(burner, whole, ns);
        return;
    }
    spin(whole);
    burner->burnt_ns += ns;
    burner->unlooked_ns += ns;
}
