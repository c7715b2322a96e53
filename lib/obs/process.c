/*
 * process_*: names and meanings from Prometheus' "Writing client libraries". No stdio and no
 * directory streams: one scrape must not leave 32 KiB of buffers behind in a process of 4 MiB.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/memory.h"
#include "obs/registry.h"

/* One reading serves the gauges of one scrape. Guarded by the registry's lock. */
struct process {
    uint64_t read_ns; /* monotonic; 0 never */
    double virtual_bytes, resident_bytes, threads;
    double start_seconds; /* since the epoch */
};

enum {
    READING_VALID_MS = 5,
    /* Fields of /proc/self/stat after the command's ")", counted from 0; see proc(5). */
    STAT_THREADS = 17,
    STAT_START_TICKS = 19,
    STAT_VIRTUAL_BYTES = 20,
    STAT_RESIDENT_PAGES = 21
};

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/*
 * Reads /proc/self/stat. Its command may hold spaces and parentheses, so fields count from the last
 * parenthesis. On failure what was read before stays.
 */
static void stat_read(struct process *process)
{
    char text[1024]; /* 52 numbers of at most 20 digits, of which the first 24 matter */
    cleanup_close int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (size <= 0)
        return;
    text[size] = '\0';
    char *at = strrchr(text, ')');
    at = at ? strchr(at, ' ') : NULL;
    for (int field = 0; at; field++, at = strchr(at, ' ')) {
        at++;
        if (field == STAT_THREADS)
            process->threads = (double)strtoull(at, NULL, 10);
        else if (field == STAT_START_TICKS && process->start_seconds == 0)
            process->start_seconds = (double)strtoull(at, NULL, 10) / (double)sysconf(_SC_CLK_TCK) +
                                     seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME);
        else if (field == STAT_VIRTUAL_BYTES)
            process->virtual_bytes = (double)strtoull(at, NULL, 10);
        else if (field == STAT_RESIDENT_PAGES)
            process->resident_bytes =
                (double)strtoull(at, NULL, 10) * (double)sysconf(_SC_PAGESIZE);
    }
}

static const struct process *process_now(void *context)
{
    struct process *process = context;
    uint64_t now_ns = clock_monotonic_ns();
    if (process->read_ns == 0 || now_ns - process->read_ns > READING_VALID_MS * NS_PER_MS) {
        stat_read(process);
        process->read_ns = now_ns;
    }
    return process;
}

static double cpu_seconds(void *context)
{
    (void)context;
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

/* Counts the entries of /proc/self/fd, less ".", ".." and the descriptor that reads them. */
static double open_fds(void *context)
{
    (void)context;
    __attribute__((aligned(8))) char entries[2048];
    double count = -3;
    ssize_t size;
    cleanup_close int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NAN;
    while ((size = getdents64(fd, entries, sizeof(entries))) > 0) {
        for (ssize_t at = 0; at < size;) {
            unsigned short length;
            memcpy(&length, entries + at + offsetof(struct dirent64, d_reclen), sizeof(length));
            at += length;
            count++;
        }
    }
    return size < 0 ? NAN : count;
}

static double limit_of(__rlimit_resource_t resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0)
        return NAN;
    return limit.rlim_cur == RLIM_INFINITY ? INFINITY : (double)limit.rlim_cur;
}

static double max_fds(void *context)
{
    (void)context;
    return limit_of(RLIMIT_NOFILE);
}

static double virtual_memory_max_bytes(void *context)
{
    (void)context;
    return limit_of(RLIMIT_AS);
}

static double virtual_memory_bytes(void *context)
{
    return process_now(context)->virtual_bytes;
}

static double resident_memory_bytes(void *context)
{
    return process_now(context)->resident_bytes;
}

static double start_time_seconds(void *context)
{
    return process_now(context)->start_seconds;
}

static double threads(void *context)
{
    return process_now(context)->threads;
}

static double one(void *context)
{
    (void)context;
    return 1;
}

static const struct {
    struct metric_spec spec;
    double (*function)(void *context);
} process_families[] = {
    {{"process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
      .kind = METRIC_COUNTER},
     cpu_seconds},
    {{"process_open_fds", "Number of open file descriptors.", .kind = METRIC_GAUGE}, open_fds},
    {{"process_max_fds", "Maximum number of open file descriptors.", .kind = METRIC_GAUGE},
     max_fds},
    {{"process_virtual_memory_bytes", "Virtual memory size in bytes.", .kind = METRIC_GAUGE},
     virtual_memory_bytes},
    {{"process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.",
      .kind = METRIC_GAUGE},
     virtual_memory_max_bytes},
    {{"process_resident_memory_bytes", "Resident memory size in bytes.", .kind = METRIC_GAUGE},
     resident_memory_bytes},
    {{"process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
      .kind = METRIC_GAUGE},
     start_time_seconds},
    {{"process_threads", "Number of OS threads in the process.", .kind = METRIC_GAUGE}, threads},
};

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

void metrics_declare_process(struct metrics *metrics, const char *component)
{
    static const struct metric_spec build_info = {
        .name = "dpumesh_build_info",
        .help = "Always 1; the labels tell what this program was built from.",
        .kind = METRIC_GAUGE,
        .labels = {"version", "compiler", "component"}};
    if (!metrics->process)
        metrics->process = xcalloc(1, sizeof(struct process));
    for (size_t i = 0; i < sizeof(process_families) / sizeof(process_families[0]); i++) {
        struct metric_family *family = metrics_family(metrics, &process_families[i].spec);
        metric_callback(metric_series(family, NULL), process_families[i].function,
                        metrics->process);
    }
    struct metric_family *family = metrics_family(metrics, &build_info);
    const char *const values[] = {DPUMESH_VERSION, COMPILER, component};
    metric_callback(metric_series(family, values), one, NULL);
}
