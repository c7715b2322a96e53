/* The table of egress.retries and of a destination's: further attempts of calls. */
#include "base/clock.h"
#include "spec/policy.h"
#include "spec/settings_private.h"

/* In the order of enum retry_cause. */
static const char *const causes[] = {"connect", "reset", "timeout", "5xx", NULL};

#define NEEDS_TRY_TIMEOUT "an attempt has no time of its own; give perTryTimeout above 0s"

static void check_timeout(const void *record, json_t *object, const struct place *place,
                          struct problems *problems)
{
    const struct retry_settings *retries = record;
    struct place at = PLACE_KEY(place, "retryOn");

    (void)object;
    if (retries->on & RETRY_TIMEOUT && retries->try_timeout_ns == 0)
        place_problem(&at, problems, "timeout: " NEEDS_TRY_TIMEOUT);
}

static const struct field retry_fields[] = {
    {.name = "most",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct retry_settings, most),
     .fallback = "2",
     .max = 10,
     .help = "Further attempts of a call; 0 makes none."},
    {.name = "budget",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct retry_settings, budget_percent),
     .fallback = "20",
     .max = 100,
     .help = "Retries for each hundred calls to a destination, beside ten that it has in hand."},
    {.name = "backoff",
     .type = FIELD_DURATION,
     FIELD_AT(struct retry_settings, backoff_ns),
     .fallback = "25ms",
     .max = 60.0 * NS_PER_S,
     .help = "Longest wait before the first retry, doubled for each further one; the wait is drawn "
             "uniformly from 0 to that."},
    {.name = "retryOn",
     .type = FIELD_SET,
     FIELD_AT(struct retry_settings, on),
     .names = causes,
     .fallback = "[\"connect\"]",
     .help = "After which failures: `connect`, the callee can't have got it; `reset`, the "
             "connection or the answer broke off; `timeout`, `perTryTimeout` was over; `5xx`, it "
             "answered 500 to 599. All but the first may do work twice."},
    {.name = "perTryTimeout",
     .type = FIELD_DURATION,
     FIELD_AT(struct retry_settings, try_timeout_ns),
     .fallback = "0s",
     .max = 1800.0 * NS_PER_S,
     .help = "Longest an attempt may take, connecting included; 0s is no limit but that of the "
             "call."},
};
static const struct record_check retry_checks[] = {
    {.run = check_timeout,
     .reads = {"retryOn", "perTryTimeout"},
     .rule = "!('timeout' in self.retryOn) || !self.perTryTimeout.matches(" CEL_DURATION
             ") || duration(self.perTryTimeout) > duration('0s')",
     .at = ".retryOn",
     .sentence = "timeout: " NEEDS_TRY_TIMEOUT},
};
const struct record retry_record = {FIELDS(retry_fields), CHECKS(retry_checks),
                                    .size = sizeof(struct retry_settings)};

/* timeout_ns: that of the whole call; 0: none. */
static void check_try_timeout(const struct retry_settings *retries, uint64_t timeout_ns,
                              const struct place *owner, struct problems *problems)
{
    struct place place = PLACE_KEY(owner, "retries"), at = PLACE_KEY(&place, "perTryTimeout");
    char own[DURATION_TEXT_MAX], whole[DURATION_TEXT_MAX];

    if (timeout_ns > 0 && retries->try_timeout_ns > timeout_ns)
        place_problem(
            &at, problems, "%s is above timeout, which is %s for all attempts together; lower it",
            duration_format(retries->try_timeout_ns, own), duration_format(timeout_ns, whole));
}

void check_try_timeouts(const void *record, json_t *object, const struct place *place,
                        struct problems *problems)
{
    const struct egress_settings *egress = record;

    (void)object;
    check_try_timeout(&egress->retries, egress->timeout_ns, place, problems);
}

void check_destination_try_timeouts(const void *record, json_t *object, const struct place *place,
                                    struct problems *problems)
{
    const struct egress_settings *egress = record;
    struct place list = PLACE_KEY(place, "destinations");

    (void)object;
    for (size_t i = 0; i < egress->destination_count; i++) {
        const struct egress_destination *destination = &egress->destinations[i];
        struct place item = PLACE_INDEX(&list, i);
        if (destination->retries_given)
            check_try_timeout(&destination->retries, egress_call_timeout_ns(egress, destination),
                              &item, problems);
    }
}
