/* The table of tracing. */
#include "base/clock.h"
#include "spec/settings.h"
#include "spec/settings_private.h"
#include "spec/url.h"

#define TRACING_FIELDS                                                                             \
    {.name = "endpoint",                                                                           \
     .type = FIELD_STRING,                                                                         \
     FIELD_AT(struct tracing_settings, endpoint),                                                  \
     .flags = FIELD_REQUIRED,                                                                      \
     .min = 1,                                                                                     \
     .max = 1000,                                                                                  \
     .pattern = &pattern_service_url,                                                              \
     .example = "http://otel-collector:4318",                                                      \
     .help = "Where spans are sent, as OTLP over HTTP in JSON: a collector's base URL, to which "  \
             "`/v1/traces` is added, or a URL with a path, which is used as it is."},              \
        {.name = "ratio",                                                                          \
         .type = FIELD_NUMBER,                                                                     \
         FIELD_AT(struct tracing_settings, ratio),                                                 \
         .fallback = "0.01",                                                                       \
         .max = 1,                                                                                 \
         .help =                                                                                   \
             "Part of the traces that begin here which are sampled, 0 to 1. A request that comes " \
             "with a trace is sampled as its caller has decided."},                                \
        {.name = "errors",                                                                         \
         .type = FIELD_BOOL,                                                                       \
         FIELD_AT(struct tracing_settings, errors),                                                \
         .fallback = "true",                                                                       \
         .help = "Also send the spans of each request that was answered 5xx, sampled or not."},    \
        {.name = "pending",                                                                        \
         .type = FIELD_UNSIGNED,                                                                   \
         FIELD_AT(struct tracing_settings, pending),                                               \
         .fallback = "16384",                                                                      \
         .min = 1,                                                                                 \
         .max = 131072,                                                                            \
         .help = "Requests in flight that are recorded at once; a further one is served without "  \
                 "being "                                                                          \
                 "recorded, and counted."},                                                        \
        {.name = "queue",                                                                          \
         .type = FIELD_UNSIGNED,                                                                   \
         FIELD_AT(struct tracing_settings, queue),                                                 \
         .fallback = "4096",                                                                       \
         .min = 1,                                                                                 \
         .max = 16384,                                                                             \
         .help = "Finished requests whose spans wait to be sent; the spans of a further one are "  \
                 "dropped, and counted."},                                                         \
        {.name = "batch",                                                                          \
         .type = FIELD_UNSIGNED,                                                                   \
         FIELD_AT(struct tracing_settings, batch),                                                 \
         .fallback = "256",                                                                        \
         .min = 1,                                                                                 \
         .max = 4096,                                                                              \
         .help = "Requests whose spans are sent together at most."},                               \
        {.name = "delay",                                                                          \
         .type = FIELD_DURATION,                                                                   \
         FIELD_AT(struct tracing_settings, delay_ns),                                              \
         .fallback = "1s",                                                                         \
         .max = 60.0 * NS_PER_S,                                                                   \
         .help = "Longest that spans wait for others to be sent with."},                           \
        {.name = "timeout",                                                                        \
         .type = FIELD_DURATION,                                                                   \
         FIELD_AT(struct tracing_settings, timeout_ns),                                            \
         .fallback = "10s",                                                                        \
         .min = 1.0 * NS_PER_MS,                                                                   \
         .max = 300.0 * NS_PER_S,                                                                  \
         .help = "Longest that one attempt to send may take, connecting included."},               \
    {                                                                                              \
        .name = "ca", .type = FIELD_STRING, FIELD_AT(struct tracing_settings, ca),                 \
        .flags = FIELD_OPTIONAL, .min = 1, .max = 1000, .pattern = &pattern_absolute_path,         \
        .unset = "the system's",                                                                   \
        .help = "File with the authorities (PEM) that an `https` endpoint is verified by."         \
    }

static const struct field tracing_fields[] = {TRACING_FIELDS};
const struct record tracing_record = {FIELDS(tracing_fields),
                                      .size = sizeof(struct tracing_settings)};

static const struct field dpuservice_tracing_fields[] = {
    TRACING_FIELDS,
    CA_FROM_FIELD(struct tracing_settings, ca_from),
};
static const struct record_check dpuservice_tracing_checks[] = {CA_FROM_CHECK};
const struct record dpuservice_tracing_record = {FIELDS(dpuservice_tracing_fields),
                                                 CHECKS(dpuservice_tracing_checks),
                                                 .size = sizeof(struct tracing_settings)};
