#include "base/file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

/* A directory of its own; removed at the end of each test. */
static char root[64];

static void setup(void)
{
    snprintf(root, sizeof(root), "%s", "/tmp/dpumesh-file-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    umask(022);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static void teardown(void)
{
    cr_assert_eq(nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", root, name);
}

static size_t entries_in(const char *path)
{
    DIR *directory = opendir(path);
    size_t count = 0;
    cr_assert_not_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}

TestSuite(file, .init = setup, .fini = teardown);

Test(file, comes_back_as_written)
{
    cleanup_free char *path = path_of("a.json");
    cleanup_error struct error *err = NULL;
    static char data[100000];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7);
    static const size_t sizes[] = {0, 1, 16383, 16384, 16385, 100000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        cleanup_buffer struct buffer exact = BUFFER_INIT(sizes[i]);
        cleanup_buffer struct buffer roomy = BUFFER_INIT(1 << 20);
        cr_assert_eq(file_write(path, data, sizes[i], 0640, &err), 0, "%s", error_message(err));
        cr_assert_eq(file_read(path, &exact, &err), 0, "%s", error_message(err));
        cr_assert_eq(file_read(path, &roomy, &err), 0, "%s", error_message(err));
        cr_assert_eq(exact.length, sizes[i]);
        cr_assert_eq(roomy.length, sizes[i]);
        if (sizes[i])
            cr_assert_arr_eq(exact.data, data, sizes[i]);
    }
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(status.st_mode & 07777, 0640);
    cr_assert_eq(entries_in(root), 1, "no temporary file is left");

    /* What is there already stays before it. */
    cleanup_buffer struct buffer out = BUFFER_INIT(100);
    cr_assert_eq(file_write(path, "new", 3, 0600, &err), 0);
    buffer_puts(&out, "old ");
    cr_assert_eq(file_read(path, &out, &err), 0);
    cr_assert_str_eq(buffer_terminate(&out), "old new");
}

Test(file, refusals_are_sentences)
{
    cleanup_error struct error *err = NULL;
    cleanup_buffer struct buffer out = BUFFER_INIT(1024);
    cleanup_free char *missing = path_of("missing"), *large = path_of("large");
    cleanup_free char *fifo = path_of("fifo"), *below = path_of("large/below");
    buffer_puts(&out, "kept");

    cr_assert_eq(file_read(root, &out, &err), -EISDIR);
    cr_assert_not_null(strstr(error_message(err), "is a directory; give a file"));
    cr_assert_eq(file_read(missing, &out, &err), -ENOENT);
    cr_assert_not_null(strstr(error_message(err), "/missing: can't open: No such file"));

    static char data[1025];
    cr_assert_eq(file_write(large, data, 1021, 0600, &err), 0);
    cr_assert_eq(file_read(large, &out, &err), -EFBIG);
    cr_assert_not_null(strstr(error_message(err), "larger than the 1K"), "%s", error_message(err));

    /* A pipe tells its size only at its end. */
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    for (size_t size = 1020; size <= 1021; size++) {
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            FILE *file = fopen(fifo, "w");
            size_t put = file ? fwrite(data, 1, size, file) : 0;
            _exit(put != size || fclose(file) != 0);
        }
        int ret = file_read(fifo, &out, &err), status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(ret, size == 1020 ? 0 : -EFBIG);
        cr_assert_eq(out.length, size == 1020 ? 1024 : 4);
        out.length = 4;
    }
    cr_assert_eq(memcmp(out.data, "kept", 4), 0);

    cr_assert_eq(file_write(below, "x", 1, 0600, &err), -ENOTDIR);
    cr_assert_eq(file_write(root, "x", 1, 0600, &err), -EISDIR);
    cleanup_free char *parent = xasprintf("%s/..", root);
    cr_assert_lt(file_write(parent, "x", 1, 0600, &err), 0);
    cr_assert_eq(entries_in(root), 2, "a failed write leaves nothing behind");
}

Test(file, replaces_a_link_and_not_its_target)
{
    cleanup_free char *target = path_of("target"), *link = path_of("link");
    cleanup_buffer struct buffer out = BUFFER_INIT(100);
    struct stat status;
    cr_assert_eq(file_write(target, "old", 3, 0600, NULL), 0);
    cr_assert_eq(symlink(target, link), 0);
    cr_assert_eq(file_write(link, "new", 3, 0600, NULL), 0);
    cr_assert_eq(file_read(target, &out, NULL), 0);
    cr_assert_str_eq(buffer_terminate(&out), "old");
    cr_assert_eq(lstat(link, &status), 0);
    cr_assert(S_ISREG(status.st_mode));
}

Test(file, writes_to_a_device_and_a_pipe_and_puts_no_file_in_their_place)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *fifo = path_of("fifo");
    cleanup_buffer struct buffer out = BUFFER_INIT(100);
    struct stat status;
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        _exit(file_write(fifo, "through", 7, 0600, NULL) != 0);
    cr_assert_eq(file_read(fifo, &out, &err), 0, "%s", error_message(err));
    cr_assert_str_eq(buffer_terminate(&out), "through");
    int code;
    cr_assert_eq(waitpid(child, &code, 0), child);
    cr_assert_eq(code, 0);
    cr_assert(lstat(fifo, &status) == 0 && S_ISFIFO(status.st_mode));

    /* A link as /dev/stdout is one; not /dev/full itself, lest a failure of this test replace it.
     */
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    cleanup_free char *link = xasprintf("/proc/self/fd/%d", full);
    cr_assert_geq(full, 0);
    cr_assert_eq(file_write(link, "x", 1, 0600, &err), -ENOSPC);
    cr_assert_not_null(strstr(error_message(err), ": can't write: No space left on device"));
    close(full);
}

Test(file, does_not_replace_what_may_not_be_written)
{
    cleanup_free char *file = path_of("read-only");
    cleanup_buffer struct buffer out = BUFFER_INIT(100);
    cr_assert_eq(file_write(file, "old", 3, 0444, NULL), 0);
    cr_assert_eq(chmod(root, 0777), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        /* root may write whatever it likes */
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(2);
        _exit(file_write(file, "new", 3, 0644, NULL) != -EACCES);
    }
    int code;
    cr_assert_eq(waitpid(child, &code, 0), child);
    cr_assert_eq(code, 0);
    cr_assert_eq(file_read(file, &out, NULL), 0);
    cr_assert_str_eq(buffer_terminate(&out), "old");
    cr_assert_eq(entries_in(root), 1);
}

Test(file, makes_directories)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *deep = path_of("a//b/c/"), *file = path_of("file"), *c = path_of("a/b/c");
    cleanup_free char *below = path_of("file/d"), *b = path_of("a/b");
    struct stat status;
    cr_assert_eq(file_make_directory(deep, 0700, &err), 0, "%s", error_message(err));
    cr_assert_eq(file_make_directory(c, 0755, &err), 0, "a second time is fine");
    cr_assert_eq(stat(b, &status), 0);
    cr_assert_eq(status.st_mode & 07777, 0700);
    cr_assert_eq(file_make_directory("/", 0755, &err), 0);
    cr_assert_eq(file_write(file, "", 0, 0600, &err), 0);
    cr_assert_eq(file_make_directory(file, 0755, &err), -ENOTDIR);
    cr_assert_not_null(strstr(error_message(err), "exists and is not a directory"));
    cr_assert_eq(file_make_directory(below, 0755, &err), -ENOTDIR);
    cr_assert_eq(file_make_directory("", 0755, &err), -ENOENT);

    cr_assert_eq(chdir(root), 0);
    cr_assert_eq(file_make_directory("relative/x", 0755, &err), 0);
    cr_assert_eq(file_write("name", "x", 1, 0600, &err), 0);
    cr_assert_eq(stat("relative/x", &status), 0);
}
