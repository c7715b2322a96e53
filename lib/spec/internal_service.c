/* The tables of workload.internalService: what a request does inside the service. */
#include <string.h>

#include "base/clock.h"
#include "spec/settings.h"

enum { DISK_BYTES_MAX = 1 << 30 /* of one request's file */ };

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

/* Whether text is one of first, then others only. */
static bool consists_of(const char *text, const char *first, const char *others)
{
    return *text && strchr(first, *text) && strspn(text + 1, others) == strlen(text + 1);
}

/* A file's name, no way to it. */
static bool file_name_valid(const char *text)
{
    return consists_of(text, LETTERS DIGITS "_", LETTERS DIGITS "._-");
}

static const struct field_pattern pattern_file_name = {
    .valid = file_name_valid,
    .expression = "^[A-Za-z0-9_][A-Za-z0-9._-]*$",
    .max = 200,
    .says = "a file's name without a directory (letters, digits, ., _ and -), such as "
            "mubtestfile.txt",
};

static bool absolute_path_valid(const char *text)
{
    return consists_of(text, "/", LETTERS DIGITS "/._@%+=:,~-") && text[1];
}

const struct field_pattern pattern_absolute_path = {
    .valid = absolute_path_valid,
    .expression = "^/[A-Za-z0-9/._@%+=:,~-]+$",
    .max = 1000,
    .says = "an absolute path without spaces, such as /usr/lib/dpumesh/plugins/example.so",
};

static bool function_name_valid(const char *text)
{
    return consists_of(text, LETTERS "_", LETTERS DIGITS "_");
}

static const struct field_pattern pattern_function = {
    .valid = function_name_valid,
    .expression = "^[A-Za-z_][A-Za-z0-9_]*$",
    .max = 63,
    .says = "a function's name (letters, digits and _), such as wordcount",
};

/* loader */

static const struct field cpu_stress_fields[] = {
    {.name = "run",
     .type = FIELD_BOOL,
     FIELD_AT(struct internal_service, cpu_run),
     .fallback = "false",
     .help = "Whether a request computes at all."},
    {.name = "rangeComplexity",
     .type = FIELD_RANGE,
     FIELD_AT(struct internal_service, complexity_min),
     .other = offsetof(struct internal_service, complexity_max),
     .min = 1,
     .max = 100000,
     .fallback = "[100, 100]",
     .help = "Digits of pi that one trial computes, drawn uniformly for each request."},
    {.name = "threadPoolSize",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct internal_service, cpu_threads),
     .fallback = "1",
     .min = 1,
     .max = 256,
     .help = "Threads that compute for one request; each does all its trials."},
    {.name = "trials",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct internal_service, cpu_trials),
     .fallback = "1",
     .min = 1,
     .max = 65535,
     .help = "Computations that each thread makes, one after another."},
};

static const struct field memory_stress_fields[] = {
    {.name = "run",
     .type = FIELD_BOOL,
     FIELD_AT(struct internal_service, memory_run),
     .fallback = "false",
     .help = "Whether a request uses memory at all."},
    {.name = "memorySize",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct internal_service, memory_kb),
     .fallback = "10000",
     .min = 1,
     .max = 4000000,
     .help = "Memory that a request takes, touches and gives back, in kB (1000 bytes). As many "
             "requests as there are threads that compute do so at once."},
    {.name = "memoryIo",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct internal_service, memory_io),
     .fallback = "1000",
     .max = 100000000,
     .help = "Reads and writes of a byte, one after another, each in the next kB."},
};

static void check_disk(const void *record, json_t *object, const struct place *place,
                       struct problems *problems)
{
    const struct internal_service *internal = record;
    struct place count = PLACE_KEY(place, "diskWriteBlockCount");
    uint64_t bytes = internal_disk_bytes(internal);

    (void)object;
    if (bytes > DISK_BYTES_MAX)
        place_problem(&count, problems, "%u blocks of %u bytes are %llu bytes; at most %d",
                      internal->disk_blocks, internal->disk_block_bytes, (unsigned long long)bytes,
                      DISK_BYTES_MAX);
}

static const struct field disk_stress_fields[] = {
    {.name = "run",
     .type = FIELD_BOOL,
     FIELD_AT(struct internal_service, disk_run),
     .fallback = "false",
     .help = "Whether a request writes to the disk at all."},
    {.name = "tmpFileName",
     .type = FIELD_STRING,
     FIELD_AT(struct internal_service, disk_file),
     .fallback = "mubtestfile.txt",
     .min = 1,
     .max = 200,
     .pattern = &pattern_file_name,
     .help = "The temporary file's name, where the file system makes none without a name. Nobody "
             "finds the file, and it is gone with the request, or with the process."},
    {.name = "diskWriteBlockCount",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct internal_service, disk_blocks),
     .fallback = "1000",
     .min = 1,
     .max = 1000000,
     .help = "Blocks that a request writes, makes the disk keep, and reads again in random "
             "order. All of them together at most 1Gi."},
    {.name = "diskWriteBlockSize",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct internal_service, disk_block_bytes),
     .fallback = "1024",
     .min = 1,
     .max = 1048576,
     .help = "Bytes a block."},
};

static const struct record_check disk_stress_checks[] = {
    {.run = check_disk,
     .reads = {"diskWriteBlockCount", "diskWriteBlockSize"},
     .rule = "self.diskWriteBlockCount * self.diskWriteBlockSize <= 1073741824",
     .at = ".diskWriteBlockCount",
     .sentence = "the blocks are more than 1073741824 bytes in all; lower one",
     .says = "'%d blocks of %d bytes are %d bytes; at most 1073741824'.format(["
             "self.diskWriteBlockCount, self.diskWriteBlockSize, self.diskWriteBlockCount * "
             "self.diskWriteBlockSize])"},
};

static const struct field sleep_stress_fields[] = {
    {.name = "run",
     .type = FIELD_BOOL,
     FIELD_AT(struct internal_service, sleep_run),
     .fallback = "true",
     .help = "Whether a request waits at all."},
    {.name = "sleepTime",
     .type = FIELD_SECONDS,
     FIELD_AT(struct internal_service, sleep_ns),
     .fallback = "0.01",
     .min = 0,
     .max = 3600.0 * NS_PER_S,
     .help = "How long a request waits inside the service."},
};

static const struct record cpu_stress_record = {FIELDS(cpu_stress_fields),
                                                .size = sizeof(struct internal_service)};
static const struct record memory_stress_record = {FIELDS(memory_stress_fields),
                                                   .size = sizeof(struct internal_service)};
static const struct record disk_stress_record = {FIELDS(disk_stress_fields),
                                                 CHECKS(disk_stress_checks),
                                                 .size = sizeof(struct internal_service)};
static const struct record sleep_stress_record = {FIELDS(sleep_stress_fields),
                                                  .size = sizeof(struct internal_service)};

#define RESPONSE_SIZE_FIELD(default_kb)                                                            \
    {                                                                                              \
        .name = "meanResponseSize", .alias = "meanBandwidth", .type = FIELD_NUMBER,                \
        FIELD_AT(struct internal_service, response_kb), .fallback = (default_kb), .min = 0,        \
        .max = 100000,                                                                             \
        .help = "Mean size of an answer in kB (1000 characters), drawn from an exponential "       \
                "distribution; at least one character, at most a sixteenth of limits.arenaBytes."  \
    }

static const struct field loader_fields[] = {
    {.name = "cpuStress",
     .type = FIELD_RECORD,
     .record = &cpu_stress_record,
     .help = "Work for the processor: digits of pi."},
    {.name = "memoryStress",
     .type = FIELD_RECORD,
     .record = &memory_stress_record,
     .help = "Memory, taken and touched; after the processor's work."},
    {.name = "diskStress",
     .type = FIELD_RECORD,
     .record = &disk_stress_record,
     .help = "A temporary file, written and read; after the memory's."},
    {.name = "sleepStress",
     .type = FIELD_RECORD,
     .record = &sleep_stress_record,
     .help = "A wait inside the service that costs no processor time; after all other work."},
    RESPONSE_SIZE_FIELD("11"),
};

static const struct field compute_pi_fields[] = {
    {.name = "rangeComplexity",
     .type = FIELD_RANGE,
     FIELD_AT(struct internal_service, complexity_min),
     .other = offsetof(struct internal_service, complexity_max),
     .min = 1,
     .max = 100000,
     .fallback = "[50, 100]",
     .help = "Digits of pi that a request computes, drawn uniformly."},
    RESPONSE_SIZE_FIELD("10"),
};

static const struct record loader_record = {FIELDS(loader_fields),
                                            .size = sizeof(struct internal_service)};
static const struct record compute_pi_record = {FIELDS(compute_pi_fields),
                                                .size = sizeof(struct internal_service)};

/* plugin */

static const struct field plugin_fields[] = {
    {.name = "path",
     .type = FIELD_STRING,
     FIELD_AT(struct internal_service, plugin_path),
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = 1000,
     .pattern = &pattern_absolute_path,
     .help = "The shared object, on the agent's side: in its image, in a volume, on this machine."},
    {.name = "function",
     .type = FIELD_STRING,
     FIELD_AT(struct internal_service, plugin_function),
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = 63,
     .pattern = &pattern_function,
     .help = "Which of its functions a request runs."},
    {.name = "params",
     .type = FIELD_OBJECT,
     FIELD_AT(struct internal_service, plugin_params),
     .flags = FIELD_OPTIONAL,
     .unset = "{}",
     .example = "{least: 3}",
     .help = "What the function is told, as JSON; only it knows what is right."},
    {.name = "timeout",
     .type = FIELD_DURATION,
     FIELD_AT(struct internal_service, plugin_timeout_ns),
     .fallback = "10s",
     .min = 1.0 * NS_PER_MS,
     .max = 3600.0 * NS_PER_S,
     .help = "Longest a call may take, waiting for a thread included; then the request is answered "
             "500, whatever the function does."},
    {.name = "responseBytes",
     .type = FIELD_BYTES,
     FIELD_AT(struct internal_service, plugin_response_bytes),
     .fallback = "1Mi",
     .min = 1,
     .max = 64.0 * 1024 * 1024,
     .help = "Largest answer that it may give; also at most a sixteenth of limits.arenaBytes."},
};

static const struct record plugin_record = {FIELDS(plugin_fields),
                                            .size = sizeof(struct internal_service)};
/* It has nothing to set. */
static const struct record colosseum_record = {.size = sizeof(struct internal_service)};

static const struct field internal_service_fields[] = {
    {.name = "loader",
     .type = FIELD_RECORD,
     .record = &loader_record,
     .choice = INTERNAL_LOADER,
     .help = "Stresses the processor, the memory, the disk, waits, or several of these, in this "
             "order."},
    {.name = "computePi",
     .type = FIELD_RECORD,
     .record = &compute_pi_record,
     .choice = INTERNAL_COMPUTE_PI,
     .help = "Computes digits of pi."},
    {.name = "colosseum",
     .type = FIELD_RECORD,
     .record = &colosseum_record,
     .choice = INTERNAL_COLOSSEUM,
     .help = "Answers with a page of ASCII art; it takes no parameters."},
    {.name = "plugin",
     .type = FIELD_RECORD,
     .record = &plugin_record,
     .choice = INTERNAL_PLUGIN,
     .help = "A function of your own, in a shared object ([plugins.md](plugins.md))."},
};

const struct record internal_service_record = {
    FIELDS(internal_service_fields), .size = sizeof(struct internal_service), .choice = true,
    .chosen = offsetof(struct internal_service, kind)};
