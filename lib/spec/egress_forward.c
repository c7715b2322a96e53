/* The tables of egress.forward and egress.destinations: real calls. */
#include <string.h>

#include "base/clock.h"
#include "spec/latency.h"
#include "spec/settings.h"
#include "spec/settings_private.h"
#include "spec/url.h"

/* forward.ejection */

static const struct field ejection_fields[] = {
    {.name = "failures",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct forward_settings, ejection_failures),
     .fallback = "5",
     .max = 1000,
     .help = "Failures in a row after which an address is ejected while the name has others; 0 "
             "ejects none."},
    {.name = "duration",
     .type = FIELD_DURATION,
     FIELD_AT(struct forward_settings, ejection_ns),
     .fallback = "10s",
     .min = 1.0 * NS_PER_MS,
     .max = 3600.0 * NS_PER_S,
     .help = "How long an address stays ejected the first time; twice, three times as long, up to "
             "ten times, when it fails again."},
};
static const struct record ejection_record = {FIELDS(ejection_fields),
                                              .size = sizeof(struct forward_settings)};

/* forward */

/* All but tls, which in a DpuService may come from a Secret. */
#define FORWARD_FIELDS                                                                             \
    {.name = "connections",                                                                        \
     .type = FIELD_UNSIGNED,                                                                       \
     FIELD_AT(struct forward_settings, connections),                                               \
     .fallback = "512",                                                                            \
     .min = 1,                                                                                     \
     .max = 65535,                                                                                 \
     .help = "Connections to one destination; each carries one call at a time and is kept."},      \
        {.name = "pending",                                                                        \
         .type = FIELD_UNSIGNED,                                                                   \
         FIELD_AT(struct forward_settings, pending),                                               \
         .fallback = "4096",                                                                       \
         .max = 1000000,                                                                           \
         .help = "Calls to one destination that may wait for a connection; a further one fails "   \
                 "(503)."},                                                                        \
        {.name = "connectTimeout",                                                                 \
         .type = FIELD_DURATION,                                                                   \
         FIELD_AT(struct forward_settings, connect_timeout_ns),                                    \
         .fallback = "1s",                                                                         \
         .min = 1.0 * NS_PER_MS,                                                                   \
         .max = 300.0 * NS_PER_S,                                                                  \
         .help = "Longest until a connection stands, TLS included."},                              \
        {.name = "idleTimeout",                                                                    \
         .type = FIELD_DURATION,                                                                   \
         FIELD_AT(struct forward_settings, idle_timeout_ns),                                       \
         .fallback = "30s",                                                                        \
         .min = 1.0 * NS_PER_MS,                                                                   \
         .max = 86400.0 * NS_PER_S,                                                                \
         .help = "How long a kept connection may lie idle; shorter than the callee's own."},       \
        {.name = "answerBytes",                                                                    \
         .type = FIELD_BYTES,                                                                      \
         FIELD_AT(struct forward_settings, answer_bytes),                                          \
         .fallback = "64Mi",                                                                       \
         .min = 1024,                                                                              \
         .max = 2.0 * 1024 * 1024 * 1024,                                                          \
         .help = "Largest body of an answer; it is read and dropped, and a larger one fails the "  \
                 "call."},                                                                         \
        {.name = "hops",                                                                           \
         .type = FIELD_UNSIGNED,                                                                   \
         FIELD_AT(struct forward_settings, hops),                                                  \
         .fallback = "16",                                                                         \
         .min = 1,                                                                                 \
         .max = 254,                                                                               \
         .help = "Calls in a row that may lead to a request; with one more it is taken for a "     \
                 "loop (508)."},                                                                   \
        {.name = "retries",                                                                        \
         .type = FIELD_MOVED,                                                                      \
         .help = "it is egress.retries now, for real and simulated calls; move it there"},         \
    {                                                                                              \
        .name = "ejection", .type = FIELD_RECORD, .record = &ejection_record,                      \
        .help = "Addresses of a name that are left alone because calls to them fail."              \
    }
#define FORWARD_TLS_FIELD(record_)                                                                 \
    {                                                                                              \
        .name = "tls", .type = FIELD_RECORD, FIELD_AT(struct forward_settings, tls),               \
        .record = &(record_),                                                                      \
        .help = "What `https` URLs are called with; looked at again while the agent runs."         \
    }

static const struct field forward_fields[] = {FORWARD_FIELDS, FORWARD_TLS_FIELD(tls_record)};
const struct record forward_record = {FIELDS(forward_fields),
                                      .size = sizeof(struct forward_settings)};

static const struct field dpuservice_forward_fields[] = {FORWARD_FIELDS,
                                                         FORWARD_TLS_FIELD(dpuservice_tls_record)};
const struct record dpuservice_forward_record = {FIELDS(dpuservice_forward_fields),
                                                 .size = sizeof(struct forward_settings)};

/* destinations */

const char *const egress_mode_names[] = {"simulate", "forward", NULL};

LATENCY_CHECK_FUNCTIONS(destination, struct egress_destination, latency)

static const struct field destination_latency_fields[] = {
    LATENCY_ENTRY_FIELDS(struct egress_destination, latency)};
static const struct record_check destination_latency_checks[] = {LATENCY_CHECKS(destination)};
static const struct record destination_latency_record = {FIELDS(destination_latency_fields),
                                                         CHECKS(destination_latency_checks),
                                                         .size = sizeof(struct egress_destination)};

static bool has_mode(json_t *object)
{
    const json_t *mode = json_object_get(object, "mode");
    return mode && !json_is_null(mode);
}

/* What is simulated is not called. */
static void check_simulated(const void *record, json_t *object, const struct place *place,
                            struct problems *problems)
{
    const struct egress_destination *destination = record;
    struct place mode = PLACE_KEY(place, "mode");

    if (has_mode(object) && destination->mode == EGRESS_FORWARD &&
        (destination->latency_given || destination->faults_given))
        place_problem(&mode, problems,
                      "latency and faults are of simulated calls; give simulate, or no mode");
}

static void finish_destination(void *record, json_t *object)
{
    struct egress_destination *destination = record;

    if (!has_mode(object))
        destination->mode = destination->latency_given || destination->faults_given
                                ? EGRESS_SIMULATE
                                : EGRESS_FORWARD;
}

static json_t *emit_mode(const void *record)
{
    return json_string(egress_mode_names[((const struct egress_destination *)record)->mode]);
}

static const struct field destination_fields[] = {
    {.name = "name",
     .type = FIELD_STRING,
     FIELD_AT(struct egress_destination, name),
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = SERVICE_NAME_MAX,
     .pattern = &pattern_service_name,
     .example = "s1",
     .help = "The service's name, as `externalServices` has it."},
    {.name = "mode",
     .type = FIELD_ENUM,
     FIELD_AT(struct egress_destination, mode),
     .flags = FIELD_OPTIONAL,
     .names = egress_mode_names,
     .unset = "`simulate` with `latency` or `faults`, else `forward`",
     .emit = emit_mode,
     .help = "What becomes of calls to it, whatever `egress.mode` says of the others."},
    {.name = "url",
     .type = FIELD_STRING,
     FIELD_AT(struct egress_destination, url),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = 1000,
     .pattern = &pattern_service_url,
     .unset = "where the DpuService of this name answers, in this namespace or beside this one in "
              "`dpumesh up`; else http://NAME:8080 and this service's own path",
     .help = "Where it answers: a service elsewhere, a muBench cell, TLS."},
    {.name = "timeout",
     .type = FIELD_DURATION,
     FIELD_AT(struct egress_destination, timeout_ns),
     .flags = FIELD_OPTIONAL,
     .min = 1.0 * NS_PER_MS,
     .max = 1800.0 * NS_PER_S,
     .unset = "egress.timeout",
     .help = "Longest a call to it may take, waiting for its turn included."},
    {.name = "circuitBreaker",
     .type = FIELD_RECORD,
     FIELD_AT(struct egress_destination, breaker),
     .flags = FIELD_OPTIONAL,
     .given = offsetof(struct egress_destination, breaker_given),
     .record = &breaker_record,
     .unset = "egress.circuitBreaker",
     .help = "When it is left alone."},
    {.name = "retries",
     .type = FIELD_RECORD,
     FIELD_AT(struct egress_destination, retries),
     .flags = FIELD_OPTIONAL,
     .given = offsetof(struct egress_destination, retries_given),
     .record = &retry_record,
     .unset = "egress.retries",
     .help = "Second attempts of calls to it, instead of all that `egress.retries` says."},
    {.name = "latency",
     .type = FIELD_RECORD,
     .flags = FIELD_OPTIONAL,
     .given = offsetof(struct egress_destination, latency_given),
     .record = &destination_latency_record,
     .unset = "egress.latency",
     .help = "The delay of a simulated call to it."},
    {.name = "faults",
     .type = FIELD_RECORD,
     FIELD_AT(struct egress_destination, faults),
     .flags = FIELD_OPTIONAL,
     .given = offsetof(struct egress_destination, faults_given),
     .record = &faults_record,
     .unset = "egress.faults",
     .help = "What goes wrong with simulated calls to it, instead of all that `egress.faults` "
             "says."},
};
static const struct record_check destination_checks[] = {
    {.run = check_simulated,
     .reads = {"mode"},
     .rule = "!has(self.mode) || self.mode != 'forward' || (!has(self.latency) && "
             "!has(self.faults))",
     .at = ".mode",
     .sentence = "latency and faults are of simulated calls; give simulate, or no mode"},
};
const struct record destination_record = {FIELDS(destination_fields), CHECKS(destination_checks),
                                          .size = sizeof(struct egress_destination),
                                          .finish = finish_destination};

const struct egress_destination *egress_destination(const struct egress_settings *egress,
                                                    const char *name, size_t length)
{
    for (size_t i = 0; i < egress->destination_count; i++) {
        const char *other = egress->destinations[i].name; /* NULL: it could not be read */
        if (other && strncmp(other, name, length) == 0 && other[length] == '\0')
            return &egress->destinations[i];
    }
    return NULL;
}

const struct distribution *egress_latency(const struct egress_settings *egress,
                                          const struct egress_destination *special)
{
    return special && special->latency_given ? &special->latency : &egress->latency;
}

const struct outside_faults *egress_faults(const struct egress_settings *egress,
                                           const struct egress_destination *special)
{
    return special && special->faults_given ? &special->faults : &egress->faults;
}

const struct retry_settings *egress_retries(const struct egress_settings *egress,
                                            const struct egress_destination *special)
{
    return special && special->retries_given ? &special->retries : &egress->retries;
}

uint64_t egress_call_timeout_ns(const struct egress_settings *egress,
                                const struct egress_destination *special)
{
    return special && special->timeout_ns ? special->timeout_ns : egress->timeout_ns;
}

bool egress_forwards(const struct egress_settings *egress, const struct egress_destination *special)
{
    return (special ? special->mode : egress->mode) == EGRESS_FORWARD;
}

bool egress_has_breakers(const struct egress_settings *egress)
{
    bool any = egress->breaker.failures > 0;
    for (size_t i = 0; i < egress->destination_count; i++)
        any |=
            egress->destinations[i].breaker_given && egress->destinations[i].breaker.failures > 0;
    return any;
}

void check_destinations(const void *record, json_t *object, const struct place *place,
                        struct problems *problems)
{
    const struct egress_settings *egress = record;
    struct place list = PLACE_KEY(place, "destinations");

    (void)object;
    for (size_t i = 0; i < egress->destination_count; i++) {
        const char *name = egress->destinations[i].name;
        struct place item = PLACE_INDEX(&list, i), at = PLACE_KEY(&item, "name");
        if (name && egress_destination(egress, name, strlen(name)) != &egress->destinations[i])
            place_problem(&at, problems, "%s stands here twice; remove one", name);
    }
}
