/* The table of egress.faults and of a destination's: what goes wrong with simulated calls. */
#include "base/clock.h"
#include "spec/latency.h"
#include "spec/settings.h"
#include "spec/settings_private.h"

/* Fractions that people write add up to no more than 1; what doubles make of them may. */
#define FRACTIONS_MOST 1.000001

/* faults.errors[] */

static const struct field error_fields[] = {
    {.name = "status",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct outside_error, status),
     .flags = FIELD_REQUIRED,
     .min = 400,
     .max = 599,
     .example = "503",
     .help = "What the destination answers; this service then answers 500, whatever it is."},
    {.name = "fraction",
     .type = FIELD_NUMBER,
     FIELD_AT(struct outside_error, fraction),
     .flags = FIELD_REQUIRED,
     .max = 1,
     .example = "0.01",
     .help = "Part of the calls."},
};
static const struct record error_record = {FIELDS(error_fields),
                                           .size = sizeof(struct outside_error)};

/* faults.slow */

static void check_slow(const void *record, json_t *object, const struct place *place,
                       struct problems *problems)
{
    const struct outside_faults *faults = record;

    (void)object;
    if (faults->slow.length_ns > 0 && !(faults->slow.factor > 1) && faults->slow.extra_ns == 0)
        place_problem(place, problems,
                      "slow periods are as good ones; give factor above 1, or extra above 0s");
}

static const struct field slow_fields[] = {
    {.name = "every",
     .type = FIELD_DURATION,
     FIELD_AT(struct outside_faults, slow.every_ns),
     .fallback = "1m",
     .min = 10.0 * NS_PER_MS,
     .max = 86400.0 * NS_PER_S,
     .needs = "length",
     .help = "Mean length of a good period, which is exponentially distributed."},
    {.name = "length",
     .type = FIELD_DURATION,
     FIELD_AT(struct outside_faults, slow.length_ns),
     .fallback = "0s",
     .max = 86400.0 * NS_PER_S,
     .help = "Mean length of the slow period after it, likewise; 0s: there are none."},
    {.name = "factor",
     .type = FIELD_NUMBER,
     FIELD_AT(struct outside_faults, slow.factor),
     .fallback = "1",
     .min = 1,
     .max = 1000,
     .needs = "length",
     .help = "How many times as long a call takes that begins in a slow period."},
    {.name = "extra",
     .type = FIELD_DURATION,
     FIELD_AT(struct outside_faults, slow.extra_ns),
     .fallback = "0s",
     .max = LATENCY_MAX_NS,
     .needs = "length",
     .help = "Added to that."},
};
static const struct record_check slow_checks[] = {
    {.run = check_slow,
     .reads = {"length", "factor", "extra"},
     .rule = "!self.length.matches(" CEL_DURATION ") || duration(self.length) == duration('0s') || "
             "self.factor > 1.0 || !self.extra.matches(" CEL_DURATION
             ") || duration(self.extra) > duration('0s')",
     .sentence = "slow periods are as good ones; give factor above 1, or extra above 0s"},
};
static const struct record slow_record = {FIELDS(slow_fields), CHECKS(slow_checks),
                                          .size = sizeof(struct outside_faults)};

/* faults.loss */

static const struct field loss_fields[] = {
    {.name = "probability",
     .type = FIELD_NUMBER,
     FIELD_AT(struct outside_faults, loss.probability),
     .fallback = "0",
     .max = 1,
     .help = "That a transmission of a call is lost and sent again after a timeout."},
    {.name = "rto",
     .type = FIELD_DURATION,
     FIELD_AT(struct outside_faults, loss.rto_ns),
     .fallback = "1s",
     .min = 1.0 * NS_PER_MS,
     .max = (double)OUTSIDE_RTO_MAX_NS,
     .needs = "probability",
     .help =
         "The first retransmission timeout (RFC 6298); doubled for each further one, up to 60s."},
    {.name = "retransmissions",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct outside_faults, loss.most),
     .fallback = "6",
     .max = OUTSIDE_RETRANSMISSIONS_MAX,
     .needs = "probability",
     .help = "When the last of so many is lost too, the connection is given up after another "
             "timeout, and the call has failed."},
};
static const struct record loss_record = {FIELDS(loss_fields),
                                          .size = sizeof(struct outside_faults)};

/* faults */

static double fractions_of(const struct outside_faults *faults)
{
    double sum = faults->partial + faults->silent;

    for (size_t i = 0; i < faults->error_count; i++)
        sum += faults->errors[i].fraction;
    return sum;
}

static void check_fractions(const void *record, json_t *object, const struct place *place,
                            struct problems *problems)
{
    double sum = fractions_of(record);

    (void)object;
    if (sum > FRACTIONS_MOST)
        place_problem(place, problems,
                      "errors, partial and timeouts are %.4g of the calls; at most 1 together",
                      sum);
}

static const struct field faults_fields[] = {
    {.name = "errors",
     .type = FIELD_RECORDS,
     FIELD_AT(struct outside_faults, errors),
     .other = offsetof(struct outside_faults, error_count),
     .max = FAULT_ERRORS_MAX,
     .record = &error_record,
     .unset = "none",
     .help = "Statuses other than 200 that calls are answered with, after their delay."},
    {.name = "partial",
     .type = FIELD_NUMBER,
     FIELD_AT(struct outside_faults, partial),
     .fallback = "0",
     .max = 1,
     .help = "Part of the calls whose answer breaks off, after their delay."},
    {.name = "timeouts",
     .type = FIELD_NUMBER,
     FIELD_AT(struct outside_faults, silent),
     .fallback = "0",
     .max = 1,
     .help = "Part of the calls that are never answered: they end at their `timeout`, which must "
             "be above 0s."},
    {.name = "slow",
     .type = FIELD_RECORD,
     .record = &slow_record,
     .help = "Periods in which a destination is slow: a Markov chain of two states."},
    {.name = "loss",
     .type = FIELD_RECORD,
     .record = &loss_record,
     .help = "Lost packets, as the delay that retransmission takes."},
};
static const struct record_check faults_checks[] = {
    {.run = check_fractions,
     .reads = {"errors", "partial", "timeouts"},
     .rule = "(has(self.errors) ? self.errors.map(e, double(e.fraction)).sum() : 0.0) + "
             "self.partial + self.timeouts <= 1.000001",
     .sentence = "errors, partial and timeouts are more than all calls; at most 1 together"},
};
const struct record faults_record = {FIELDS(faults_fields), CHECKS(faults_checks),
                                     .size = sizeof(struct outside_faults)};

bool egress_faults_given(const struct outside_faults *faults)
{
    return fractions_of(faults) > 0 || faults->slow.length_ns > 0 || faults->loss.probability > 0;
}

#define NEEDS_TIMEOUT "calls that are never answered need a timeout; give timeout above 0s"

void check_timeouts(const void *record, json_t *object, const struct place *place,
                    struct problems *problems)
{
    const struct egress_settings *egress = record;
    struct place faults = PLACE_KEY(place, "faults"), at = PLACE_KEY(&faults, "timeouts");

    (void)object;
    if (egress->faults.silent > 0 && egress->timeout_ns == 0)
        place_problem(&at, problems, NEEDS_TIMEOUT);
}

void check_destination_timeouts(const void *record, json_t *object, const struct place *place,
                                struct problems *problems)
{
    const struct egress_settings *egress = record;
    struct place list = PLACE_KEY(place, "destinations");

    (void)object;
    for (size_t i = 0; i < egress->destination_count; i++) {
        const struct egress_destination *destination = &egress->destinations[i];
        struct place item = PLACE_INDEX(&list, i), faults = PLACE_KEY(&item, "faults");
        struct place at = PLACE_KEY(&faults, "timeouts");
        if (destination->faults_given && destination->faults.silent > 0 &&
            egress_call_timeout_ns(egress, destination) == 0)
            place_problem(&at, problems, NEEDS_TIMEOUT ", here or to the destination");
    }
}
