/* The tables of egress, queues, limits and log. */
#include "spec/settings.h"

#include "base/clock.h"
#include "spec/latency.h"
#include "spec/settings_private.h"

/* egress */

LATENCY_CHECK_FUNCTIONS(egress, struct egress_settings, latency)

/* One record with egress_settings: the seed stands beside the distribution there. */
static const struct field latency_fields[] = {
    LATENCY_FIELDS(struct egress_settings, latency),
    {.name = "seed",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct egress_settings, seed),
     .fallback = "0",
     .max = 9007199254740991.0,
     .help = "Start of the random sequences: with the same seed the n-th simulated call to a "
             "destination has the same delay and meets the same faults. 0 draws a seed when the "
             "agent starts."},
};

static const struct record_check latency_checks[] = {LATENCY_CHECKS(egress)};
static const struct record latency_record = {FIELDS(latency_fields), CHECKS(latency_checks),
                                             .size = sizeof(struct egress_settings)};

/* forward_: the record of egress.forward. */
#define EGRESS_FIELDS(forward_)                                                                    \
    {.name = "mode",                                                                               \
     .type = FIELD_ENUM,                                                                           \
     FIELD_AT(struct egress_settings, mode),                                                       \
     .names = egress_mode_names,                                                                   \
     .fallback = "simulate",                                                                       \
     .help =                                                                                       \
         "What becomes of a call to another service: `simulate` answers it after a delay, and "    \
         "nothing leaves the pod; `forward` makes it, over HTTP."},                                \
        {.name = "latency",                                                                        \
         .type = FIELD_RECORD,                                                                     \
         .record = &latency_record,                                                                \
         .help = "The delay of a simulated call."},                                                \
        {.name = "workers",                                                                        \
         .type = FIELD_UNSIGNED,                                                                   \
         FIELD_AT(struct egress_settings, workers),                                                \
         .fallback = "0",                                                                          \
         .max = 1000000,                                                                           \
         .help = "Calls outstanding at once in a replica, which gives it a countable capacity; 0 " \
                 "is no "                                                                          \
                 "cap."},                                                                          \
        {.name = "timeout",                                                                        \
         .type = FIELD_DURATION,                                                                   \
         FIELD_AT(struct egress_settings, timeout_ns),                                             \
         .fallback = "30s",                                                                        \
         .max = 1800.0 * NS_PER_S,                                                                 \
         .help =                                                                                   \
             "Longest a call may take, waiting for its turn included, before it counts as timed "  \
             "out (status 504); 0s is no limit, but a real call ends after 30m."},                 \
        {.name = "circuitBreaker",                                                                 \
         .type = FIELD_RECORD,                                                                     \
         FIELD_AT(struct egress_settings, breaker),                                                \
         .record = &breaker_record,                                                                \
         .help = "When a destination is left alone; each has a breaker of its own."},              \
        {.name = "retries",                                                                        \
         .type = FIELD_RECORD,                                                                     \
         FIELD_AT(struct egress_settings, retries),                                                \
         .record = &retry_record,                                                                  \
         .help =                                                                                   \
             "Second attempts of calls, real and simulated; each destination has a budget of its " \
             "own."},                                                                              \
        {.name = "faults",                                                                         \
         .type = FIELD_RECORD,                                                                     \
         FIELD_AT(struct egress_settings, faults),                                                 \
         .record = &faults_record,                                                                 \
         .help = "What goes wrong with simulated calls."},                                         \
        {.name = "forward",                                                                        \
         .type = FIELD_RECORD,                                                                     \
         FIELD_AT(struct egress_settings, forward),                                                \
         .record = &(forward_),                                                                    \
         .help = "How real calls are made."},                                                      \
    {                                                                                              \
        .name = "destinations", .type = FIELD_RECORDS,                                             \
        FIELD_AT(struct egress_settings, destinations),                                            \
        .other = offsetof(struct egress_settings, destination_count), .max = DESTINATIONS_MAX,     \
        .record = &destination_record, .unset = "none",                                            \
        .help = "Callees that are treated otherwise than `egress` says, or answer elsewhere."      \
    }

static const struct field egress_fields[] = {EGRESS_FIELDS(forward_record)};
static const struct field dpuservice_egress_fields[] = {EGRESS_FIELDS(dpuservice_forward_record)};

static const struct record_check egress_checks[] = {
    {.run = check_destinations,
     .reads = {NULL}, /* a name that can't be read is not among those that were kept */
     .rule = "!has(self.destinations) || self.destinations.all(d, "
             "self.destinations.exists_one(e, e.name == d.name))",
     .at = ".destinations",
     .sentence = "a name stands here twice; remove one"},
    {.run = check_timeouts,
     .reads = {"timeout", "faults"},
     .rule = "self.faults.timeouts == 0.0 || !self.timeout.matches(" CEL_DURATION
             ") || duration(self.timeout) > duration('0s')",
     .at = ".faults",
     .sentence = "calls that are never answered need a timeout; give timeout above 0s"},
    {.run = check_destination_timeouts,
     .reads = {"timeout", "destinations"},
     .rule = "!has(self.destinations) || !self.timeout.matches(" CEL_DURATION
             ") || duration(self.timeout) > duration('0s') || self.destinations.all(d, "
             "!has(d.faults) || d.faults.timeouts == 0.0 || has(d.timeout))",
     .at = ".destinations",
     .sentence = "calls that are never answered need a timeout; give timeout above 0s, here or to "
                 "the destination"},
    {.run = check_try_timeouts,
     .reads = {"timeout", "retries"},
     .rule = "!has(self.retries) || !self.timeout.matches(" CEL_DURATION
             ") || duration(self.timeout) == duration('0s') || "
             "!self.retries.perTryTimeout.matches(" CEL_DURATION
             ") || duration(self.retries.perTryTimeout) <= duration(self.timeout)",
     .at = ".retries",
     .sentence = "perTryTimeout is above timeout, which is for all attempts together; lower it"},
    {.run = check_destination_try_timeouts,
     .reads = {"timeout", "destinations"},
     .rule = "!has(self.destinations) || !self.timeout.matches(" CEL_DURATION
             ") || self.destinations.all(d, !has(d.retries) || "
             "!d.retries.perTryTimeout.matches(" CEL_DURATION
             ") || duration(d.retries.perTryTimeout) <= (has(d.timeout) && "
             "d.timeout.matches(" CEL_DURATION ") ? duration(d.timeout) : duration(self.timeout) > "
             "duration('0s') ? duration(self.timeout) : duration('30m')))",
     .at = ".destinations",
     .sentence = "a perTryTimeout is above timeout, which is for all attempts together; lower it"},
};

const struct record egress_record = {FIELDS(egress_fields), CHECKS(egress_checks),
                                     .size = sizeof(struct egress_settings)};
const struct record dpuservice_egress_record = {FIELDS(dpuservice_egress_fields),
                                                CHECKS(egress_checks),
                                                .size = sizeof(struct egress_settings)};

/* datapath.queues */

#define QUEUE_FIELD(name_, member_, default_, help_)                                               \
    {                                                                                              \
        .name = (name_), .type = FIELD_UNSIGNED, FIELD_AT(struct queue_settings, member_),         \
        .flags = FIELD_POWER_OF_TWO, .min = 16, .max = 65536, .fallback = (default_),              \
        .help = (help_)                                                                            \
    }

static const struct field queues_fields[] = {
    QUEUE_FIELD("ingressSubmission", ingress_sq, "4096",
                "Entries of the queue of requests to the application."),
    QUEUE_FIELD("ingressCompletion", ingress_cq, "8192",
                "Entries of the queue of answers from the application."),
    QUEUE_FIELD("egressSubmission", egress_sq, "4096",
                "Entries of the queue of calls that the application makes."),
    QUEUE_FIELD("egressCompletion", egress_cq, "8192",
                "Entries of the queue of finished calls back to the application."),
    {.name = "poll",
     .type = FIELD_DURATION,
     FIELD_AT(struct queue_settings, poll_ns),
     .fallback = "0s",
     .max = 1.0 * NS_PER_S,
     .help = "How long a consumer keeps looking at its queue after work before it sleeps: saves a "
             "wake-up where each thread has a core of its own, and wastes the core where not. 0s "
             "sleeps at once."},
};

const struct record queues_record = {FIELDS(queues_fields), .size = sizeof(struct queue_settings)};

/* limits */

#define LIMIT_TIME_FIELD(name_, member_, low_, default_, help_)                                    \
    {                                                                                              \
        .name = (name_), .type = FIELD_DURATION, FIELD_AT(struct limit_settings, member_),         \
        .min = (low_), .max = 86400.0 * NS_PER_S, .fallback = (default_), .help = (help_)          \
    }

static void check_frame(const void *record, json_t *object, const struct place *place,
                        struct problems *problems)
{
    const struct limit_settings *limits = record;
    struct place frame = PLACE_KEY(place, "frameBytes");

    (void)object;
    if (limits->frame_bytes > limits->arena_bytes / 2)
        place_problem(&frame, problems,
                      "%zu is more than half of arenaBytes (%zu); at least two frames must fit",
                      limits->frame_bytes, limits->arena_bytes);
}

static const struct field limits_fields[] = {
    {.name = "frameBytes",
     .type = FIELD_BYTES,
     FIELD_AT(struct limit_settings, frame_bytes),
     .min = 1024,
     .max = 64.0 * 1024 * 1024,
     .fallback = "1Mi",
     .help = "Largest frame on the bridge and largest body over HTTP; a larger one is answered "
             "413."},
    {.name = "arenaBytes",
     .type = FIELD_BYTES,
     FIELD_AT(struct limit_settings, arena_bytes),
     .min = 1024.0 * 1024,
     .max = 2.0 * 1024 * 1024 * 1024,
     .fallback = "64Mi",
     .help = "Registered memory that messages lie in, each way; touched as it is needed."},
    {.name = "connections",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct limit_settings, connections),
     .min = 1,
     .max = 1000000,
     .fallback = "16384",
     .help = "Client connections open at once, bridge and HTTP together."},
    {.name = "requests",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct limit_settings, requests),
     .min = 1,
     .max = 1000000,
     .fallback = "131072",
     .help = "Requests in flight in a replica; further ones are answered 503."},
    {.name = "pipeline",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct limit_settings, pipeline),
     .min = 1,
     .max = 65536,
     .fallback = "128",
     .help =
         "Unanswered requests a connection; at this many it is not read until one is answered."},
    LIMIT_TIME_FIELD("frameTimeout", frame_timeout_ns, 1.0 * NS_PER_MS, "10s",
                     "Longest from the first byte of a request to its last, then 408."),
    LIMIT_TIME_FIELD("idleTimeout", idle_timeout_ns, 1.0 * NS_PER_MS, "5m",
                     "How long a kept connection may lie without a request before it is closed."),
    LIMIT_TIME_FIELD("writeTimeout", write_timeout_ns, 1.0 * NS_PER_MS, "30s",
                     "How long an answer may wait for a client that does not read."),
    {.name = "shutdownDelay",
     .type = FIELD_DURATION,
     FIELD_AT(struct limit_settings, shutdown_delay_ns),
     .max = 3600.0 * NS_PER_S,
     .fallback = "5s",
     .help = "How long a replica goes on serving after SIGTERM, not ready any more, until no node "
             "sends it "
             "connections; then it drains. Replicas that share their sockets drain at once."},
    {.name = "drainTimeout",
     .type = FIELD_DURATION,
     FIELD_AT(struct limit_settings, drain_timeout_ns),
     .max = 3600.0 * NS_PER_S,
     .fallback = "25s",
     .help = "How long requests in flight may take to finish once a replica drains."},
    {.name = "sources",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct limit_settings, sources),
     .min = 1,
     .max = 10000,
     .fallback = "64",
     .help = "Distinct values of the metrics' label `from`; further callers count as `other`."},
};

static const struct record_check limits_checks[] = {
    {.run = check_frame,
     .reads = {"frameBytes", "arenaBytes"},
     .rule = "!isQuantity(string(self.frameBytes)) || !isQuantity(string(self.arenaBytes)) || "
             "quantity(string(self.frameBytes)).add(quantity(string(self.frameBytes)))"
             ".compareTo(quantity(string(self.arenaBytes))) <= 0",
     .at = ".frameBytes",
     .sentence = "it is more than half of arenaBytes; at least two frames must fit",
     .says = "'%s is more than half of arenaBytes (%s); at least two frames must "
             "fit'.format([string(self.frameBytes), string(self.arenaBytes)])"},
};
const struct record limits_record = {FIELDS(limits_fields), CHECKS(limits_checks),
                                     .size = sizeof(struct limit_settings)};

/* log */

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};

static const struct field log_fields[] = {
    {.name = "level",
     .type = FIELD_WORD,
     FIELD_AT(struct log_settings, level),
     .names = log_levels,
     .fallback = "info",
     .help = "The least important lines that are written."},
    {.name = "format",
     .type = FIELD_WORD,
     FIELD_AT(struct log_settings, format),
     .names = log_formats,
     .fallback = "logfmt",
     .help = "`key=value` lines, or a JSON object a line."},
};

const struct record log_record = {FIELDS(log_fields), .size = sizeof(struct log_settings)};
