/* The tables of datapath.policy and egress.circuitBreaker. */
#include "spec/policy.h"

#include <ctype.h>
#include <string.h>

#include "base/clock.h"

double rate_burst(const struct rate_settings *settings)
{
    if (settings->burst > 0)
        return settings->burst;
    return settings->rate > 1 ? settings->rate : 1;
}

unsigned policy_in_force(const struct policy_settings *s)
{
    return (unsigned)(s->rate.service.rate > 0) + (unsigned)(s->rate.source.rate > 0) +
           (unsigned)(s->concurrency > 0) + (unsigned)(s->fault_count > 0);
}

/* rateLimit */

static const struct field rate_fields[] = {
    {.name = "rate",
     .type = FIELD_NUMBER,
     FIELD_AT(struct rate_settings, rate),
     .fallback = "0",
     .max = 1e9,
     .help = "Requests a second that pass in the mean; 0 is no limit. Further ones are answered "
             "429."},
    {.name = "burst",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct rate_settings, burst),
     .fallback = "0",
     .max = 1e9,
     .needs = "rate",
     .help = "Requests that pass at once after a pause; 0 is what `rate` gives in a second, at "
             "least 1."},
};
static const struct record rate_record = {FIELDS(rate_fields),
                                          .size = sizeof(struct rate_settings)};

static const struct field rate_limit_fields[] = {
    {.name = "service",
     .type = FIELD_RECORD,
     FIELD_AT(struct policy_settings, rate.service),
     .record = &rate_record,
     .help = "All requests to a replica together."},
    {.name = "source",
     .type = FIELD_RECORD,
     FIELD_AT(struct policy_settings, rate.source),
     .record = &rate_record,
     .help = "The requests from each address, which `limits.sources` caps: those beyond share one "
             "bucket."},
};
static const struct record rate_limit_record = {FIELDS(rate_limit_fields),
                                                .size = sizeof(struct policy_settings)};

/* concurrency */

static void check_status(const void *record, json_t *object, const struct place *place,
                         struct problems *problems)
{
    const struct policy_settings *settings = record;
    struct place status = PLACE_KEY(place, "status");

    (void)object;
    if (settings->concurrency_status != 429 && settings->concurrency_status != 503)
        place_problem(&status, problems, "%u is neither 429 nor 503; give one of them",
                      settings->concurrency_status);
}

static const struct field concurrency_fields[] = {
    {.name = "limit",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct policy_settings, concurrency),
     .fallback = "0",
     .max = 1000000,
     .help = "Requests inside a replica at once, delayed ones included; 0 is no limit."},
    {.name = "status",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct policy_settings, concurrency_status),
     .fallback = "503",
     .min = 400,
     .max = 599,
     .needs = "limit",
     .help = "What further ones are answered: 503 or 429."},
};
static const struct record_check concurrency_checks[] = {
    {.run = check_status,
     .reads = {"status"},
     .rule = "self.status == 429 || self.status == 503",
     .at = ".status",
     .sentence = "it is neither 429 nor 503; give one of them",
     .says = "'%d is neither 429 nor 503; give one of them'.format([self.status])"},
};
static const struct record concurrency_record = {
    FIELDS(concurrency_fields), CHECKS(concurrency_checks), .size = sizeof(struct policy_settings)};

/* faults */

static bool header_name_valid(const char *text)
{
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
            return false;
    return text[0] != '\0';
}

static const struct field_pattern pattern_header_name = {
    .valid = header_name_valid,
    .expression = "^[A-Za-z0-9_-]+$",
    .says = "a header's name (letters, digits, - and _), such as x-user",
};

static bool header_value_valid(const char *text)
{
    for (const char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            return false;
    return text[0] != '\0' && text[0] != ' ' && text[strlen(text) - 1] != ' ';
}

static const struct field_pattern pattern_header_value = {
    .valid = header_value_valid,
    .expression = "^[!-~]([ -~]*[!-~])?$",
    .says = "printable ASCII without spaces around it",
};

static void check_header(const void *record, json_t *object, const struct place *place,
                         struct problems *problems)
{
    const struct policy_fault *fault = record;
    struct place value = PLACE_KEY(place, "value");

    (void)object;
    if (fault->value && !fault->header)
        place_problem(&value, problems, "whose value is not said; give the header's name too");
}

static const struct field header_fields[] = {
    {.name = "name",
     .type = FIELD_STRING,
     FIELD_AT(struct policy_fault, header),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = POLICY_HEADER_NAME_MAX,
     .pattern = &pattern_header_name,
     .unset = "every request",
     .help = "Only requests with this header, in upper or lower case."},
    {.name = "value",
     .type = FIELD_STRING,
     FIELD_AT(struct policy_fault, value),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = POLICY_HEADER_VALUE_MAX,
     .pattern = &pattern_header_value,
     .unset = "any",
     .help = "... and exactly this value."},
};
static const struct record_check header_checks[] = {
    {.run = check_header,
     .reads = {"name", "value"},
     .rule = "!has(self.value) || has(self.name)",
     .at = ".value",
     .sentence = "whose value is not said; give the header's name too"},
};
static const struct record header_record = {FIELDS(header_fields), CHECKS(header_checks),
                                            .size = sizeof(struct policy_fault)};

#define PERCENT_FIELD(member_, help_)                                                              \
    {                                                                                              \
        .name = "percent", .type = FIELD_NUMBER, FIELD_AT(struct policy_fault, member_),           \
        .fallback = "0", .max = 100, .help = (help_)                                               \
    }

static const struct field abort_fields[] = {
    PERCENT_FIELD(abort_percent, "Part of the requests that are answered at once, in percent."),
    {.name = "status",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct policy_fault, abort_status),
     .fallback = "503",
     .min = 400,
     .max = 599,
     .needs = "percent",
     .help = "With which status."},
};
static const struct record abort_record = {FIELDS(abort_fields),
                                           .size = sizeof(struct policy_fault)};

static const struct field delay_fields[] = {
    PERCENT_FIELD(delay_percent, "Part of the requests that wait, in percent."),
    {.name = "duration",
     .type = FIELD_DURATION,
     FIELD_AT(struct policy_fault, delay_ns),
     .fallback = "100ms",
     .min = 1.0 * NS_PER_US,
     .max = 300.0 * NS_PER_S,
     .needs = "percent",
     .help = "How long, before they go on."},
};
static const struct record delay_record = {FIELDS(delay_fields),
                                           .size = sizeof(struct policy_fault)};

static void check_fault(const void *record, json_t *object, const struct place *place,
                        struct problems *problems)
{
    const struct policy_fault *fault = record;

    (void)object;
    if (!(fault->abort_percent > 0) && !(fault->delay_percent > 0))
        place_problem(place, problems,
                      "it does nothing; give abort.percent or delay.percent above 0");
}

static const struct field fault_fields[] = {
    {.name = "header", .type = FIELD_RECORD, .record = &header_record, .help = "Which requests."},
    {.name = "delay",
     .type = FIELD_RECORD,
     .record = &delay_record,
     .help = "Waiting, on a timer."},
    {.name = "abort",
     .type = FIELD_RECORD,
     .record = &abort_record,
     .help = "An answer that the application does not know of."},
};
static const struct record_check fault_checks[] = {
    {.run = check_fault,
     .reads = {"delay", "abort"},
     .rule = "self.abort.percent > 0.0 || self.delay.percent > 0.0",
     .sentence = "it does nothing; give abort.percent or delay.percent above 0"},
};
static const struct record fault_record = {FIELDS(fault_fields), CHECKS(fault_checks),
                                           .size = sizeof(struct policy_fault)};

/* policy */

static const struct field policy_fields[] = {
    {.name = "rateLimit",
     .type = FIELD_RECORD,
     .record = &rate_limit_record,
     .help = "Token buckets."},
    {.name = "concurrency",
     .type = FIELD_RECORD,
     .record = &concurrency_record,
     .help = "How many at once."},
    {.name = "faults",
     .type = FIELD_RECORDS,
     FIELD_AT(struct policy_settings, faults),
     .other = offsetof(struct policy_settings, fault_count),
     .max = POLICY_FAULTS_MAX,
     .record = &fault_record,
     .unset = "none",
     .help = "What goes wrong on purpose. Each is drawn for each request; delays add up, the first "
             "abort decides."},
    {.name = "seed",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct policy_settings, seed),
     .fallback = "0",
     .max = 9007199254740991.0,
     .help = "Of the faults: with the same seed the n-th request meets the same ones. 0 draws a "
             "seed when the agent starts."},
};
const struct record policy_record = {FIELDS(policy_fields), .size = sizeof(struct policy_settings)};

/* circuitBreaker */

static const struct field breaker_fields[] = {
    {.name = "failures",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct breaker_settings, failures),
     .fallback = "0",
     .max = 1000000,
     .help = "Failed calls in a row, real or simulated, after which a destination is not called "
             "any more: calls to it fail at once. 0 is no breaker."},
    {.name = "duration",
     .type = FIELD_DURATION,
     FIELD_AT(struct breaker_settings, open_ns),
     .fallback = "10s",
     .min = 1.0 * NS_PER_MS,
     .max = 3600.0 * NS_PER_S,
     .needs = "failures",
     .help = "How long it stays so, before probes are let through."},
    {.name = "probes",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct breaker_settings, probes),
     .fallback = "1",
     .min = 1,
     .max = 1000,
     .needs = "failures",
     .help = "Calls that are let through then. When all went well it is called again; when one "
             "fails, it stays so once more."},
};
const struct record breaker_record = {FIELDS(breaker_fields),
                                      .size = sizeof(struct breaker_settings)};
