#include "ctl/local/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/memory.h"

int logfile_open(struct logfile *log, const char *path, uint64_t max_bytes, struct error **err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_make(err, errno, "%s: cannot be written: %s", path, strerror(errno));
    struct stat status;
    uint64_t size = fstat(fd, &status) == 0 ? (uint64_t)status.st_size : 0;
    *log = (struct logfile){xstrdup(path), fd, size, max_bytes};
    return 0;
}

static void rotate(struct logfile *log)
{
    cleanup_free char *old = xasprintf("%s.1", log->path);
    if (rename(log->path, old) < 0)
        return;
    int fd = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return; /* go on with the renamed file rather than with none */
    close(log->fd);
    log->fd = fd;
    log->size = 0;
}

static void write_all(struct logfile *log, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(log->fd, data, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        data += written;
        size -= (size_t)written;
        log->size += (uint64_t)written;
    }
}

void logfile_write(struct logfile *log, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        size_t part = size;
        if (log->size + size > log->max_bytes) {
            /* Line by line near the cap, so that a file begins with a whole line where it can. */
            const char *end = memchr(at, '\n', size);
            part = end ? (size_t)(end - at) + 1 : size;
        }
        if (log->size > 0 && log->size + part > log->max_bytes)
            rotate(log);
        if (part > log->max_bytes)
            part = (size_t)log->max_bytes;
        write_all(log, at, part);
        at += part;
        size -= part;
    }
}

void logfile_close(struct logfile *log)
{
    if (log->fd >= 0 && log->path)
        close(log->fd);
    free(log->path);
    *log = (struct logfile){.fd = -1};
}

/* Where the last `lines` lines of text begin, and how many there are. */
static size_t last_lines(const char *text, size_t length, size_t lines, size_t *ret_found)
{
    size_t at = length, found = 0;
    if (at > 0 && text[at - 1] == '\n')
        at--;
    while (at > 0) {
        if (text[at - 1] == '\n' && ++found == lines)
            break;
        at--;
    }
    if (at == 0 && length > 0 && found < lines)
        found++;
    *ret_found = found;
    return at;
}

int logfile_tail(const char *path, size_t lines, struct buffer *out, size_t *ret_end)
{
    cleanup_buffer struct buffer current = BUFFER_INIT(64 << 20);
    cleanup_buffer struct buffer older = BUFFER_INIT(64 << 20);
    int r = file_read(path, &current, NULL);
    if (r < 0)
        return r;
    if (ret_end)
        *ret_end = current.length;
    if (lines == 0)
        return 0;

    size_t found, start = last_lines(current.data, current.length, lines, &found);
    if (found < lines) {
        cleanup_free char *old = xasprintf("%s.1", path);
        if (file_read(old, &older, NULL) == 0) {
            size_t more, from = last_lines(older.data, older.length, lines - found, &more);
            buffer_append(out, older.data + from, older.length - from);
        }
    }
    size_t room = out->max - out->length, size = current.length - start;
    if (size > room) {
        start += size - room;
        size = room;
    }
    return size ? buffer_append(out, current.data + start, size) : 0;
}
