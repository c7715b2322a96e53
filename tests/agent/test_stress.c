#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/stress.h"
#include "base/clock.h"

static const bool go_on = false, stop_at_once = true;

/* What open() says to O_TMPFILE, 0: what the kernel does. Named files that it was asked for. */
static int tmpfile_error;
static unsigned named_files;

/* In the place of the C library's, so that a file system without nameless files can be played. */
int own_open(const char *path, int flags, ...) __asm__("open");
int own_unlink(const char *path) __asm__("unlink");

int own_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if ((flags & O_TMPFILE) == O_TMPFILE && tmpfile_error) {
        errno = tmpfile_error;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* Before the file goes, it is there. */
int own_unlink(const char *path)
{
    named_files += access(path, F_OK) == 0;
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

/* Resident bytes at the moment. */
static size_t resident(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%*u %zu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t most_resident(void)
{
    struct rusage usage;
    cr_assert_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return (size_t)usage.ru_maxrss * 1024;
}

/* All of it is touched, and all of it given back. */
Test(stress, memory_is_taken_and_given_back)
{
    uint32_t check = 0;
    size_t before = resident(), most = most_resident();
    cr_assert_eq(stress_memory(200000, 1000, &go_on, &check), 0);
    /* The kernel counts a few pages late. */
    cr_assert_geq(most_resident(), before + (size_t)195000 * STRESS_BLOCK_BYTES, "%zu, was %zu",
                  most_resident(), before);
    cr_assert_lt(resident(), before + (size_t)20000 * STRESS_BLOCK_BYTES);
    cr_assert_lt(most, before + (size_t)100000 * STRESS_BLOCK_BYTES, "the test tells nothing");
}

/* The same computed by hand: reads see 'A' in the first lap, then what was written in the one
 * before. */
Test(stress, memory_is_read_and_written_so_often)
{
    enum { BLOCKS = 7, OPERATIONS = 1000 };
    unsigned char first[BLOCKS];
    uint32_t expected = 0, check;
    memset(first, 'A', sizeof first);
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        expected = expected * 31 + first[i % BLOCKS];
        first[i % BLOCKS] = (unsigned char)i;
    }
    cr_assert_eq(stress_memory(BLOCKS, OPERATIONS, &go_on, &check), 0);
    cr_assert_eq(check, expected);
    cr_assert_eq(stress_memory(1, 0, &go_on, &check), 0);
    cr_assert_eq(check, 0);
    uint64_t begun_ns = clock_monotonic_ns();
    cr_assert_eq(stress_memory(1000, 4000000000, &stop_at_once, &check), 0);
    cr_assert_lt(clock_monotonic_ns() - begun_ns, 4 * NS_PER_S);
}

static unsigned entries(const char *directory)
{
    unsigned count = 0;
    DIR *dir = opendir(directory);
    cr_assert_not_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

static uint64_t written_bytes(void)
{
    unsigned long long bytes = 0;
    char line[256];
    FILE *file = fopen("/proc/self/io", "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file))
        (void)(sscanf(line, "wchar: %llu", &bytes) == 1);
    fclose(file);
    return bytes;
}

Test(stress, disk_writes_what_is_asked_and_leaves_nothing)
{
    char directory[] = "/tmp/dpumesh-stress-XXXXXX";
    cr_assert_not_null(mkdtemp(directory));
    static const uint32_t shapes[][2] = {{1, 1}, {100, 1024}, {3, 70001}, {1000, 7}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        uint64_t before = written_bytes();
        cr_assert_eq(stress_disk(directory, "name", shapes[i][0], shapes[i][1], 5, &go_on), 0);
        cr_assert_eq(written_bytes() - before, (uint64_t)shapes[i][0] * shapes[i][1]);
        cr_assert_eq(entries(directory), 0);
    }
    cr_assert_eq(stress_disk(directory, "name", 10, 10, 5, &stop_at_once), -ECANCELED);
    cr_assert_eq(entries(directory), 0);
    rmdir(directory);
}

Test(stress, disk_failures_are_told)
{
    cr_assert_eq(stress_disk("/nowhere", "name", 1, 1, 5, &go_on), -ENOENT);
    cr_assert_eq(stress_disk("/dev/full", "name", 1, 1, 5, &go_on), -ENOTDIR);
    struct rlimit limit = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(stress_disk("/tmp", "name", 5, 1024, 5, &go_on), -EFBIG);
}

/* Where files have to have a name: it goes before the first byte is written, so that a kill leaves
 * nothing. */
Test(stress, a_named_file_is_unlinked_at_once)
{
    static const int errors[] = {EOPNOTSUPP, EISDIR, EINVAL};
    char directory[] = "/tmp/dpumesh-stress-XXXXXX";
    cr_assert_not_null(mkdtemp(directory));
    for (unsigned i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        uint64_t before = written_bytes();
        tmpfile_error = errors[i];
        cr_assert_eq(stress_disk(directory, "name", 3, 1000, 5, &go_on), 0);
        cr_assert_eq(written_bytes() - before, 3000);
        cr_assert_eq(named_files, 2 * i + 1);
        cr_assert_eq(entries(directory), 0);
        cr_assert_eq(stress_disk(directory, "name", 3, 1000, 5, &stop_at_once), -ECANCELED);
        cr_assert_eq(named_files, 2 * i + 2);
        cr_assert_eq(entries(directory), 0);
    }
    tmpfile_error = EACCES;
    cr_assert_eq(stress_disk(directory, "name", 3, 1000, 5, &go_on), -EACCES);
    cr_assert_eq(named_files, 6);
    rmdir(directory);
}
