#include "ctl/local/logfile.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static char folder[] = "/tmp/dpumesh-test-XXXXXX";

static char *make_path(void)
{
    cr_assert(mkdtemp(folder));
    return xasprintf("%s/s0-0.log", folder);
}

static void remove_files(const char *path)
{
    cleanup_free char *old = xasprintf("%s.1", path);
    unlink(path);
    unlink(old);
    rmdir(folder);
}

static long size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (long)status.st_size : -1;
}

static const char *tail(const char *path, size_t lines, struct buffer *out)
{
    buffer_clear(out);
    cr_expect_eq(logfile_tail(path, lines, out, NULL), 0);
    return buffer_terminate(out);
}

Test(logfile, rotates_at_the_cap_and_keeps_the_last_lines)
{
    cleanup_free char *path = make_path();
    cleanup_free char *old = xasprintf("%s.1", path);
    cleanup_buffer struct buffer out = BUFFER_INIT(65536);
    struct logfile log;
    cr_assert_eq(logfile_open(&log, path, 100, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        char line[32];
        int length = snprintf(line, sizeof(line), "line %04d\n", i);
        logfile_write(&log, line, (size_t)length);
        cr_assert_leq(size_of(path), 100);
        cr_assert_leq(size_of(old), 100);
    }
    /* 10 bytes a line: 10 in each file. */
    cr_expect_str_eq(tail(path, 3, &out), "line 0997\nline 0998\nline 0999\n");
    cr_expect_eq(strncmp(tail(path, 15, &out), "line 0985\n", 10), 0, "%s", out.data);
    cr_expect_eq(out.length, 150);
    cr_expect_str_eq(tail(path, 0, &out), "");
    cr_expect_eq(strncmp(tail(path, 1000, &out), "line 0980\n", 10), 0, "%s", out.data);

    /* One write of many lines is cut between lines; a line over the cap is cut inside. */
    char bytes[400];
    memset(bytes, 'x', sizeof(bytes));
    for (size_t i = 29; i < sizeof(bytes); i += 30)
        bytes[i] = '\n';
    logfile_write(&log, bytes, 390);
    cr_expect_leq(size_of(path), 100);
    cr_expect_eq(size_of(path) % 30, 0, "%ld", size_of(path));
    memset(bytes, 'y', sizeof(bytes));
    logfile_write(&log, bytes, sizeof(bytes));
    cr_expect_leq(size_of(path), 100);
    logfile_close(&log);

    /* It goes on where it was. */
    long before = size_of(path);
    cr_assert_eq(logfile_open(&log, path, 1000, NULL), 0);
    logfile_write(&log, "again\n", 6);
    cr_expect_eq(size_of(path), before + 6);
    logfile_close(&log);
    remove_files(path);
}

Test(logfile, tail_of_odd_files)
{
    cleanup_free char *path = make_path();
    cleanup_buffer struct buffer out = BUFFER_INIT(65536);
    cr_expect_lt(logfile_tail(path, 5, &out, NULL), 0);
    struct logfile log;
    cr_assert_eq(logfile_open(&log, path, 1000, NULL), 0);
    cr_expect_str_eq(tail(path, 5, &out), "");
    logfile_write(&log, "no end", 6);
    cr_expect_str_eq(tail(path, 5, &out), "no end");
    logfile_write(&log, "\n\n\nlast", 7);
    cr_expect_str_eq(tail(path, 1, &out), "last");
    cr_expect_str_eq(tail(path, 2, &out), "\nlast");
    cr_expect_str_eq(tail(path, 99, &out), "no end\n\n\nlast");
    cleanup_buffer struct buffer narrow = BUFFER_INIT(4);
    cr_expect_str_eq(tail(path, 99, &narrow), "last");
    logfile_close(&log);
    remove_files(path);
}
