#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "obs/metric.h"

static double scraped(struct metrics *metrics, const char *name)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(1 << 16);
    char line[100];
    snprintf(line, sizeof(line), "\n%s ", name);
    cr_assert_eq(metrics_expose(metrics, METRICS_PROMETHEUS_TEXT, &out), 0);
    const char *at = strstr(buffer_terminate(&out), line);
    cr_assert_not_null(at, "%s is there", name);
    return strtod(at + strlen(line), NULL);
}

/* Longer than one reading is valid for. */
static void let_time_pass(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

Test(process, tells_the_truth)
{
    struct metrics *metrics = metrics_new();
    metrics_declare_process(metrics, "test");

    double fds = scraped(metrics, "process_open_fds");
    int more[300];
    for (size_t i = 0; i < 300; i++)
        cr_assert_geq(more[i] = open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
    cr_assert_eq(scraped(metrics, "process_open_fds"), fds + 300);
    for (size_t i = 0; i < 300; i++)
        close(more[i]);
    cr_assert_eq(scraped(metrics, "process_open_fds"), fds);

    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(scraped(metrics, "process_max_fds"), (double)limit.rlim_cur);

    /* Memory that is touched shows up; 64 MiB stands out of any noise. */
    static const double size = 64 << 20;
    double resident = scraped(metrics, "process_resident_memory_bytes");
    double virtual_bytes = scraped(metrics, "process_virtual_memory_bytes");
    cr_assert_gt(resident, 500000);
    char *memory =
        mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    memset(memory, 1, (size_t)size);
    let_time_pass();
    cr_assert_float_eq(scraped(metrics, "process_resident_memory_bytes") - resident, size,
                       0.125 * size);
    cr_assert_geq(scraped(metrics, "process_virtual_memory_bytes") - virtual_bytes, size);
    munmap(memory, (size_t)size);

    double cpu = scraped(metrics, "process_cpu_seconds_total");
    volatile unsigned work = 0;
    clock_t until = clock() + CLOCKS_PER_SEC / 20;
    while (clock() < until)
        work++;
    cr_assert_float_eq(scraped(metrics, "process_cpu_seconds_total") - cpu, 0.06, 0.04);

    /* Parentheses and spaces in a name lead naive readers of stat astray. */
    prctl(PR_SET_NAME, "a) R 1 (b) 9");
    let_time_pass();
    double threads = -2; /* "." and ".." */
    DIR *tasks = opendir("/proc/self/task");
    while (readdir(tasks))
        threads++;
    closedir(tasks);
    cr_assert_eq(scraped(metrics, "process_threads"), threads);
    double started = scraped(metrics, "process_start_time_seconds");
    cr_assert_float_eq(started, (double)time(NULL), 60);
    let_time_pass();
    cr_assert_eq(scraped(metrics, "process_start_time_seconds"), started, "it does not jitter");
    metrics_free(metrics);
}
