/*
 * The parts that a DpuService and the agent's configuration have in common: the same structs, and
 * the same field tables, so that a field means the same thing and has the same bounds and default
 * in both. Plain data; whoever holds the outer struct owns what these point to (record_free() of
 * its table).
 */
#ifndef DPUMESH_SPEC_SETTINGS_H
#define DPUMESH_SPEC_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/distribution.h"
#include "model/outside.h"
#include "spec/field.h"
#include "spec/pattern.h"
#include "spec/policy.h"

enum internal_kind {
    INTERNAL_NONE,       /* no work; the answer is one character */
    INTERNAL_LOADER,     /* contract: cpu_, memory_, disk_ and sleep_stress, in this order */
    INTERNAL_COMPUTE_PI, /* contract: compute_pi */
    INTERNAL_COLOSSEUM,  /* contract: colosseum */
    INTERNAL_PLUGIN,     /* a user's function in a shared object */
};

/* workload.internalService: muBench's function and its parameters. */
struct internal_service {
    enum internal_kind kind;
    bool cpu_run;              /* loader.cpuStress.run */
    unsigned cpu_threads;      /* loader.cpuStress.threadPoolSize */
    unsigned cpu_trials;       /* loader.cpuStress.trials */
    unsigned complexity_min;   /* rangeComplexity[0]: digits of pi */
    unsigned complexity_max;   /* rangeComplexity[1] */
    bool sleep_run;            /* loader.sleepStress.run */
    uint64_t sleep_ns;         /* loader.sleepStress.sleepTime (seconds in the document) */
    double response_kb;        /* meanResponseSize: mean of an exponential, in 1000 characters */
    bool memory_run;           /* loader.memoryStress.run */
    unsigned memory_kb;        /* loader.memoryStress.memorySize: in 1000 bytes */
    unsigned memory_io;        /* loader.memoryStress.memoryIo: reads and writes */
    bool disk_run;             /* loader.diskStress.run */
    char *disk_file;           /* loader.diskStress.tmpFileName */
    unsigned disk_blocks;      /* loader.diskStress.diskWriteBlockCount */
    unsigned disk_block_bytes; /* loader.diskStress.diskWriteBlockSize */
    char *plugin_path, *plugin_function;
    json_t *plugin_params;      /* an object; NULL: none given */
    uint64_t plugin_timeout_ns; /* waiting for a thread included */
    size_t plugin_response_bytes;
};

/* Bytes of the file that a request's diskStress writes. */
static inline uint64_t internal_disk_bytes(const struct internal_service *internal)
{
    return (uint64_t)internal->disk_blocks * internal->disk_block_bytes;
}

struct external_call {
    char *service;      /* the callee's name, its "__n" suffix removed */
    double probability; /* of calling it at all, 0 to 1 */
};

/* workload.externalServices[i]: groups run in parallel, calls of one group in sequence. */
struct external_group {
    unsigned
        seq_len; /* how many of the calls are made, a random sample when fewer; 1 to call_count */
    size_t call_count;
    struct external_call *calls;
};

/* workload.alternativeBehaviors{id}, chosen by ?bid=id: what is not given is the workload's own. */
struct alternative_behavior {
    char *id;
    bool internal_given, groups_given;
    struct internal_service internal;
    size_t group_count;
    struct external_group *groups;
};

struct workload_settings {
    char *path;       /* "/api/v1" */
    unsigned threads; /* CPU workers; 4 */
    struct internal_service internal;
    size_t group_count;
    struct external_group *groups;
    bool behaviors_given;
    size_t behavior_count;
    struct alternative_behavior *behaviors; /* sorted by id */
};

/* Bytes of disk that a replica's threads may hold at once for diskStress, whichever behaviour is
 * asked for; 0: no disk is used. */
uint64_t workload_disk_bytes(const struct workload_settings *workload);

/* Gives each call that the service may make to `each`, those of alternative behaviours too. */
void workload_each_call(const struct workload_settings *workload,
                        void (*each)(void *context, const struct external_call *call),
                        void *context);

/* caFrom: a key of an object in the namespace, which the pods have as a file. */
enum key_object { KEY_OF_NOTHING, KEY_OF_CONFIG_MAP, KEY_OF_SECRET, KEY_OBJECTS };

struct ca_from {
    enum key_object object; /* which is given */
    struct key_ref {
        char *name, *key;
    } refs[KEY_OBJECTS]; /* each its own: a wrong document gives both */
};

/* egress.forward.tls; what is not given is NULL. The agent's configuration has files alone. */
struct tls_settings {
    char *ca, *certificate, *key; /* files */
    char *secret;                 /* of the namespace: certificate and key */
    struct ca_from ca_from;
};

enum egress_mode {
    EGRESS_SIMULATE, /* a call is a delay; nothing leaves the pod */
    EGRESS_FORWARD,  /* a call is an HTTP request to the callee */
};

/* egress.forward: how real calls are made. */
struct forward_settings {
    unsigned connections; /* a destination; 512 */
    unsigned pending;     /* calls a destination that wait for one of them; 4096 */
    unsigned hops;        /* calls in a row, then 508; 16 */
    size_t answer_bytes;  /* largest body of an answer; 64 MiB */
    uint64_t connect_timeout_ns, idle_timeout_ns;
    unsigned ejection_failures; /* in a row, then an address is ejected; 0 never; 5 */
    uint64_t ejection_ns;       /* for this long the first time; 10 s */
    struct tls_settings tls;
};

enum { FAULT_ERRORS_MAX = 8 }; /* faults.errors */

/* egress.destinations[i]: what is special about one callee. */
struct egress_destination {
    char *name;
    enum egress_mode mode;
    char *url;           /* NULL: the service of this name */
    uint64_t timeout_ns; /* of a call; 0: egress.timeout */
    bool breaker_given;
    struct breaker_settings breaker; /* if given, instead of egress.circuitBreaker */
    bool retries_given;
    struct retry_settings retries; /* if given, instead of egress.retries */
    bool latency_given, faults_given;
    struct distribution latency;  /* if given, instead of egress.latency */
    struct outside_faults faults; /* if given, instead of egress.faults */
};

struct egress_settings {
    enum egress_mode mode;
    struct distribution latency;     /* egress.latency */
    uint64_t seed;                   /* egress.latency.seed, of faults too; 0 draws one at start */
    struct outside_faults faults;    /* of simulated calls */
    unsigned workers;                /* calls outstanding; 0 no cap */
    uint64_t timeout_ns;             /* a call, queueing included, then 504; 0 none; 30 s */
    struct breaker_settings breaker; /* of each destination without one of its own */
    struct retry_settings retries;   /* likewise */
    struct forward_settings forward;
    size_t destination_count;
    struct egress_destination *destinations; /* each name once */
};

/* What egress.destinations says of a name, which need not end in NUL; NULL: nothing. */
const struct egress_destination *egress_destination(const struct egress_settings *egress,
                                                    const char *name, size_t length);

/* What a simulated call to a destination takes, and meets; special: egress_destination() of it. */
const struct distribution *egress_latency(const struct egress_settings *egress,
                                          const struct egress_destination *special);
const struct outside_faults *egress_faults(const struct egress_settings *egress,
                                           const struct egress_destination *special);

/* How often calls to a destination are tried again, and when. */
const struct retry_settings *egress_retries(const struct egress_settings *egress,
                                            const struct egress_destination *special);

/* How long a call to it may take, all attempts together; 0: as long as it takes. */
uint64_t egress_call_timeout_ns(const struct egress_settings *egress,
                                const struct egress_destination *special);

/* Whether calls to it are made; else they are simulated. */
bool egress_forwards(const struct egress_settings *egress,
                     const struct egress_destination *special);

/* Whether there is any fault at all. */
bool egress_faults_given(const struct outside_faults *faults);

/* Whether calls pass a circuit breaker, of some destination at least. */
bool egress_has_breakers(const struct egress_settings *egress);

struct queue_settings {
    unsigned ingress_sq, ingress_cq, egress_sq, egress_cq; /* entries, powers of two */
    uint64_t poll_ns; /* how long a consumer polls after work before it sleeps; 0 never polls */
};

struct limit_settings {
    size_t frame_bytes;         /* largest bridge frame and HTTP body; 1 MiB */
    size_t arena_bytes;         /* registered memory each way; 64 MiB */
    unsigned connections;       /* accepted at once, all listeners; 16384 */
    unsigned requests;          /* in flight in this replica; 131072 */
    unsigned pipeline;          /* unanswered requests a connection, then it is not read; 128 */
    uint64_t frame_timeout_ns;  /* first byte to last byte of a frame, then 408; 10 s */
    uint64_t idle_timeout_ns;   /* keep-alive connection without a request, then closed; 5 m */
    uint64_t write_timeout_ns;  /* an answer that nobody reads, then closed; 30 s */
    uint64_t shutdown_delay_ns; /* after SIGTERM, still serving; 5 s */
    uint64_t drain_timeout_ns;  /* after that; 25 s */
    unsigned sources;           /* distinct values of the metrics' label from; 64 */
};

/* tracing: spans of requests, sent to an OpenTelemetry collector. */
struct tracing_settings {
    bool given;             /* without it nothing is recorded */
    char *endpoint;         /* a URL */
    double ratio;           /* of the traces that begin here, 0 to 1; 0.01 */
    bool errors;            /* requests answered 5xx are sent whatever the sampling said */
    unsigned pending;       /* requests in flight that are recorded; 16384 */
    unsigned queue;         /* finished ones that wait; 4096 */
    unsigned batch;         /* requests sent together; 256 */
    uint64_t delay_ns;      /* longest wait for that; 1 s */
    uint64_t timeout_ns;    /* an attempt to send; 10 s */
    char *ca;               /* file; NULL: the system's */
    struct ca_from ca_from; /* instead; in a DpuService alone */
};

struct log_settings {
    char *level;  /* debug, info, warn, error */
    char *format; /* logfmt, json */
};

/* The tables of the structs above. */
extern const struct record egress_record, queues_record, limits_record, log_record;
extern const struct record tracing_record;

/* The same in a DpuService, where certificates may come from Secrets and ConfigMaps. */
extern const struct record dpuservice_egress_record, dpuservice_tracing_record;

extern const struct record internal_service_record, external_group_record;
extern const struct record alternative_behavior_record;
extern const struct field_pattern pattern_behavior, pattern_absolute_path;

enum { BEHAVIORS_MAX = 16 };

/* Where a service answers that does not say it. */
#define WORKLOAD_PATH_DEFAULT "/api/v1"

/*
 * The fields of spec.workload (DpuService) and workload (agent) that both have; `type` is the
 * struct that the workload table belongs to, `member` its struct workload_settings.
 */
#define WORKLOAD_PATH_FIELD(owner, member)                                                         \
    {                                                                                              \
        .name = "path", .type = FIELD_STRING, FIELD_AT(owner, member.path),                        \
        .fallback = WORKLOAD_PATH_DEFAULT, .min = 1, .max = 256, .pattern = &pattern_path,         \
        .help = "HTTP path and bridge path at which the service answers."                          \
    }
#define WORKLOAD_CALL_FIELDS(owner, member)                                                        \
    {.name = "internalService",                                                                    \
     .type = FIELD_RECORD,                                                                         \
     FIELD_AT(owner, member.internal),                                                             \
     .flags = FIELD_OPTIONAL,                                                                      \
     .record = &internal_service_record,                                                           \
     .unset = "no work",                                                                           \
     .help = "The work that a request does inside the service: exactly one function."},            \
        {.name = "externalServices",                                                               \
         .type = FIELD_RECORDS,                                                                    \
         FIELD_AT(owner, member.groups),                                                           \
         .other = offsetof(owner, member.group_count),                                             \
         .max = 128,                                                                               \
         .record = &external_group_record,                                                         \
         .unset = "no calls",                                                                      \
         .help =                                                                                   \
             "Groups of calls to other services. Groups run in parallel; the calls of one group "  \
             "run one after the other."},                                                          \
    {                                                                                              \
        .name = "alternativeBehaviors", .type = FIELD_MAP, FIELD_AT(owner, member.behaviors),      \
        .other = offsetof(owner, member.behavior_count),                                           \
        .given = offsetof(owner, member.behaviors_given),                                          \
        .at = offsetof(struct alternative_behavior, id), .max = BEHAVIORS_MAX,                     \
        .record = &alternative_behavior_record, .pattern = &pattern_behavior, .unset = "none",     \
        .help =                                                                                    \
            "Other behaviours by name, chosen by a request's query `?bid=NAME`; what one does "    \
            "not give is the workload's own, and an unknown name means the workload's own."        \
    }

#endif
