#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

enum { READ_STEP = 16384 };

static int file_fail(struct error **err, const char *doing, const char *path)
{
    int number = errno;
    return error_make(err, number, "%s: can't %s: %s", path, doing, strerror(number));
}

static int too_large(struct error **err, const char *path, const struct buffer *out)
{
    char size[TEXT_SIZE_MAX];
    return error_make(err, EFBIG, "%s: larger than the %s that are read at most", path,
                      text_format_size(out->max, size));
}

static int read_all(int fd, const char *path, struct buffer *out, struct error **err)
{
    for (;;) {
        size_t room = out->max - out->length;
        size_t step = room < READ_STEP ? room : READ_STEP;
        char beyond;
        buffer_reserve(out, step); /* fits by construction */
        /* At the cap one more byte is asked for: the end of the file is still fine. */
        ssize_t got = step ? read(fd, out->data + out->length, step) : read(fd, &beyond, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_fail(err, "read", path);
        if (got == 0)
            return 0;
        if (step == 0)
            return too_large(err, path, out);
        out->length += (size_t)got;
    }
}

int file_read(const char *path, struct buffer *out, struct error **err)
{
    struct stat status;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return file_fail(err, "open", path);
    if (fstat(fd, &status) < 0)
        return file_fail(err, "stat", path);
    if (S_ISDIR(status.st_mode))
        return error_make(err, EISDIR, "%s: is a directory; give a file", path);
    if (S_ISREG(status.st_mode)) {
        /* Known before the first byte is read; a file that grows meanwhile is caught below. */
        if ((uintmax_t)status.st_size > out->max - out->length)
            return too_large(err, path, out);
        buffer_reserve(out, (size_t)status.st_size);
    }
    size_t begin = out->length;
    int ret = read_all(fd, path, out, err);
    if (ret < 0)
        out->length = begin;
    return ret;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t put = write(fd, data, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        data += put;
        size -= (size_t)put;
    }
    return 0;
}

/* The rename itself is safe without it; this makes it last through a power cut. */
static void sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *directory = slash == path ? xstrdup("/")
                                   : slash       ? xstrndup(path, (size_t)(slash - path))
                                                 : xstrdup(".");
    cleanup_close int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        fsync(fd);
}

/* Whether path is to be written to as it is: a rename would put a file in the place of a device, or
 * of the link that stands for an open file. */
static bool written_in_place(const char *path)
{
    static const char *const open_files[] = {"/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/"};
    struct stat status;

    for (size_t i = 0; i < sizeof open_files / sizeof open_files[0]; i++)
        if (strncmp(path, open_files[i], strlen(open_files[i])) == 0)
            return true;
    return lstat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode) &&
           !S_ISLNK(status.st_mode);
}

static int write_in_place(const char *path, const void *data, size_t size, struct error **err)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return file_fail(err, "write", path);
    int ret = write_all(fd, data, size);
    if (ret < 0) {
        errno = -ret;
        return file_fail(err, "write", path);
    }
    return 0;
}

int file_write(const char *path, const void *data, size_t size, mode_t mode, struct error **err)
{
    if (written_in_place(path))
        return write_in_place(path, data, size, err);
    /* The right to replace it is the directory's; who took his own away means it. */
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) < 0 && errno == EACCES)
        return file_fail(err, "write", path);
    const char *slash = strrchr(path, '/');
    int head = slash ? (int)(slash + 1 - path) : 0;
    cleanup_free char *temporary = xasprintf("%.*s.%s.XXXXXX", head, path, path + head);
    cleanup_close int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return file_fail(err, "write", path);
    int ret = write_all(fd, data, size);
    if (ret < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0) {
        if (ret < 0)
            errno = -ret;
        ret = file_fail(err, "write", path);
        unlink(temporary);
        return ret;
    }
    sync_directory(path);
    return 0;
}

/* One level. An existing directory is fine, also when the right to make it is missing. */
static int make_level(const char *path, mode_t mode, struct error **err)
{
    struct stat status;
    if (mkdir(path, mode) == 0)
        return 0;
    int number = errno;
    if (stat(path, &status) == 0) {
        if (S_ISDIR(status.st_mode))
            return 0;
        return error_make(err, ENOTDIR, "%s: exists and is not a directory", path);
    }
    errno = number;
    return file_fail(err, "make the directory", path);
}

int file_make_directory(const char *path, mode_t mode, struct error **err)
{
    cleanup_free char *prefix = xstrdup(path);
    for (char *slash = strchr(prefix + (*prefix != '\0'), '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int ret = make_level(prefix, mode, err);
        if (ret < 0)
            return ret;
        *slash = '/';
    }
    return make_level(prefix, mode, err);
}
