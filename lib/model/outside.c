#include "model/outside.h"

#include <math.h>

/* Purposes of the draws (random.h). */
enum {
    PURPOSE_CALL = 0x63616c6c,
    PURPOSE_SLOW = 0x736c6f77,
    PURPOSE_RETRY = 0x72747279,
    PURPOSE_WAIT = 0x77616974
};

enum { STRETCH_CYCLES = 256 };

/* Uniform in [0, 1), the same for the same numbers. */
static double unit_of(uint64_t stream, uint64_t purpose, uint64_t first, uint64_t second)
{
    uint64_t state = stream ^ purpose;
    state = random_splitmix64(&state) ^ first;
    state = random_splitmix64(&state) ^ second;
    return (double)(random_splitmix64(&state) >> 11) * 0x1.0p-53;
}

uint64_t outside_stream(uint64_t seed, const char *name, size_t length)
{
    uint64_t state = seed, stream = random_splitmix64(&state);
    for (size_t i = 0; i < length; i++) {
        state = stream ^ (unsigned char)name[i];
        stream = random_splitmix64(&state);
    }
    return stream;
}

uint64_t outside_attempt_stream(uint64_t stream, unsigned retries)
{
    uint64_t state = (stream ^ PURPOSE_RETRY) + retries;
    return retries > 0 ? random_splitmix64(&state) : stream;
}

double outside_wait_unit(uint64_t stream, uint64_t number, unsigned retries)
{
    return unit_of(stream, PURPOSE_WAIT, number, retries);
}

/* ---- packet loss ---- */

uint64_t outside_retransmission_ns(uint64_t rto_ns, unsigned lost)
{
    uint64_t sum = 0, rto = rto_ns;
    for (unsigned i = 0; i < lost; i++) {
        rto = rto < OUTSIDE_RTO_MAX_NS ? rto : OUTSIDE_RTO_MAX_NS;
        sum += rto;
        rto *= 2;
    }
    return sum;
}

double outside_retransmission_mean_ns(const struct outside_faults *faults)
{
    double mean = 0, reached = 1;
    for (unsigned i = 0; i <= faults->loss.most; i++) {
        reached *= faults->loss.probability; /* this transmission was lost too */
        mean += reached * (double)(outside_retransmission_ns(faults->loss.rto_ns, i + 1) -
                                   outside_retransmission_ns(faults->loss.rto_ns, i));
    }
    return mean;
}

/* How many transmissions in a row are lost, at most all of them: geometric, by inversion. */
static unsigned draw_lost(const struct outside_faults *faults, double unit)
{
    double p = faults->loss.probability, reached = p;
    unsigned lost = 0;
    while (lost <= faults->loss.most && unit < reached) {
        lost++;
        reached *= p;
    }
    return lost;
}

/* ---- slow periods ---- */

double slow_periods_share(const struct outside_faults *faults)
{
    double every = (double)faults->slow.every_ns, length = (double)faults->slow.length_ns;
    return length > 0 ? length / (every + length) : 0;
}

/* The length of the stretch's period `count`, at least 1 ns. */
static uint64_t period_ns(const struct slow_periods *p, const struct outside_faults *faults,
                          uint64_t stream)
{
    double mean = (double)(p->slow ? faults->slow.length_ns : faults->slow.every_ns);
    double unit = unit_of(stream, PURPOSE_SLOW, p->stretch, p->count);
    return 1 + (uint64_t)(-mean * log1p(-unit));
}

static void begin_stretch(struct slow_periods *p, const struct outside_faults *faults,
                          uint64_t stream, uint64_t stretch)
{
    *p = (struct slow_periods){.stretch = stretch, .known = true};
    p->slow = unit_of(stream, PURPOSE_SLOW, stretch, 0) < slow_periods_share(faults);
    p->count = 1;
    /* What is left of an exponential period is distributed as the whole of it. */
    p->ends_ns = period_ns(p, faults, stream);
}

bool slow_periods_at(struct slow_periods *periods, const struct outside_faults *faults,
                     uint64_t stream, uint64_t at_ns)
{
    if (faults->slow.length_ns == 0)
        return false;
    uint64_t stretch_ns = STRETCH_CYCLES * (faults->slow.every_ns + faults->slow.length_ns);
    uint64_t stretch = at_ns / stretch_ns, inside_ns = at_ns % stretch_ns;
    if (!periods->known || periods->stretch != stretch || inside_ns < periods->from_ns)
        begin_stretch(periods, faults, stream, stretch);
    while (inside_ns >= periods->ends_ns) {
        periods->slow = !periods->slow;
        periods->count++;
        periods->from_ns = periods->ends_ns;
        periods->ends_ns += period_ns(periods, faults, stream);
    }
    return periods->slow;
}

/* ---- a call ---- */

static enum outside_result draw_result(const struct outside_faults *faults, double unit,
                                       size_t *ret_error)
{
    double below = 0;
    for (size_t i = 0; i < faults->error_count; i++) {
        below += faults->errors[i].fraction;
        if (unit < below) {
            *ret_error = i;
            return OUTSIDE_ERROR;
        }
    }
    if (unit < below + faults->partial)
        return OUTSIDE_PARTIAL;
    return unit < below + faults->partial + faults->silent ? OUTSIDE_SILENT : OUTSIDE_ANSWERED;
}

/* The sum, or the longest delay there is. */
static uint64_t capped_ns(double ns)
{
    double most = (double)DISTRIBUTION_DRAW_MAX_NS;
    return ns < most ? (uint64_t)ns : DISTRIBUTION_DRAW_MAX_NS;
}

struct outside_call outside_call(const struct distribution *latency,
                                 const struct outside_faults *faults, uint64_t stream,
                                 uint64_t number, bool slow)
{
    struct random_stream random;
    struct outside_call call = {.result = OUTSIDE_ANSWERED};
    uint64_t state = stream ^ PURPOSE_CALL;
    random_seed(&random, random_splitmix64(&state) ^ number, PURPOSE_CALL);
    /* Drawn whether there are faults or not: the latency comes last, it may take many. */
    double result = random_unit(&random), lost = random_unit(&random);
    call.delay_ns = distribution_draw(latency, &random);
    if (!faults)
        return call;
    call.result = draw_result(faults, result, &call.error);
    call.lost = draw_lost(faults, lost);
    call.loss_ns = outside_retransmission_ns(faults->loss.rto_ns, call.lost);
    if (call.lost >
        faults->loss.most) { /* it never came through, whatever would have become of it */
        call.result = OUTSIDE_LOST;
        call.delay_ns = 0;
    } else if (slow) {
        call.delay_ns =
            capped_ns((double)call.delay_ns * faults->slow.factor + (double)faults->slow.extra_ns);
    }
    if (call.loss_ns > 0)
        call.delay_ns = capped_ns((double)call.delay_ns + (double)call.loss_ns);
    return call;
}
