#include "ctl/local/follow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "ctl/local/logfile.h"
#include "ctl/terminal.h"

enum { TAIL_BYTES_MAX = 32 << 20, LINE_BYTES_MAX = 1 << 20, READ_BYTES = 65536 };

struct stream {
    char *replica;
    char *path;
    int fd;
    struct buffer line; /* begun, its end is not there yet */
};

struct follow {
    const char *which;
    char *folder;
    char *lock;
    bool prefix;
    FILE *file;
    size_t count;
    struct stream *streams;
};

bool follow_matches(const char *name, const char *which)
{
    size_t length = strlen(name);
    if (length <= 4 || strcmp(name + length - 4, ".log") != 0)
        return false;
    if (!which)
        return true;
    size_t stem = length - 4, wanted = strlen(which);
    if (stem < wanted || strncmp(name, which, wanted) != 0)
        return false;
    if (stem == wanted)
        return true;
    /* A service: "-" and the replica's number follow. "s0" is not the service of "s0-b-1". */
    const char *rest = name + wanted;
    size_t digits = strspn(rest + 1, "0123456789");
    return rest[0] == '-' && digits > 0 && wanted + 1 + digits == stem;
}

static void print_lines(struct follow *follow, struct stream *stream, const char *text,
                        size_t length)
{
    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        size_t part = end ? (size_t)(end - text) + 1 : length;
        if (!end) {
            /* Held back until it ends, so that lines of several replicas don't mix. */
            if (buffer_append(&stream->line, text, part) == 0)
                return;
            buffer_clear(&stream->line);
            return;
        }
        if (follow->prefix)
            fprintf(follow->file, "%s%s |%s ", terminal_style(follow->file, STYLE_DIM),
                    stream->replica, terminal_style(follow->file, STYLE_NONE));
        if (stream->line.length > 0)
            fwrite(stream->line.data, 1, stream->line.length, follow->file);
        buffer_clear(&stream->line);
        fwrite(text, 1, part, follow->file);
        text += part;
        length -= part;
    }
}

static struct stream *add_stream(struct follow *follow, const char *name)
{
    follow->streams = xreallocarray(follow->streams, follow->count + 1, sizeof(*follow->streams));
    struct stream *stream = &follow->streams[follow->count++];
    *stream =
        (struct stream){xstrndup(name, strlen(name) - 4), xasprintf("%s/%s", follow->folder, name),
                        -1, BUFFER_INIT(LINE_BYTES_MAX)};
    return stream;
}

static struct stream *find_stream(struct follow *follow, const char *name)
{
    size_t stem = strlen(name) - 4;
    for (size_t i = 0; i < follow->count; i++)
        if (strlen(follow->streams[i].replica) == stem &&
            strncmp(follow->streams[i].replica, name, stem) == 0)
            return &follow->streams[i];
    return NULL;
}

static void print_tail(struct follow *follow, struct stream *stream, size_t lines)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(TAIL_BYTES_MAX);
    stream->fd = open(stream->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    size_t end = 0;
    if (logfile_tail(stream->path, lines, &text, &end) == 0 && stream->fd >= 0)
        lseek(stream->fd, (off_t)end, SEEK_SET);
    print_lines(follow, stream, text.data, text.length);
}

static void print_new(struct follow *follow, struct stream *stream)
{
    cleanup_free char *bytes = xmalloc(READ_BYTES);
    ssize_t length;
    while (stream->fd >= 0 && (length = read(stream->fd, bytes, READ_BYTES)) > 0)
        print_lines(follow, stream, bytes, (size_t)length);
}

/* Whether the path names another file than the one that is open: it was rotated, or is new. */
static bool replaced(const struct stream *stream)
{
    struct stat open_file, named;
    if (stat(stream->path, &named) < 0)
        return false;
    return stream->fd < 0 || fstat(stream->fd, &open_file) < 0 ||
           open_file.st_ino != named.st_ino || open_file.st_dev != named.st_dev;
}

/* What has come since: the rest of the file that is open, then that of its successor. */
static void print_more(struct follow *follow, struct stream *stream)
{
    bool again = replaced(stream);
    print_new(follow, stream);
    if (!again)
        return;
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = open(stream->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    print_new(follow, stream);
}

static int list_logs(struct follow *follow, const struct rundir *dir, size_t tail,
                     struct error **err)
{
    struct dirent **entries;
    int count = scandir(follow->folder, &entries, NULL, alphasort);
    if (count < 0)
        return error_make(err, errno, "%s: cannot be read: %s", follow->folder, strerror(errno));
    cleanup_buffer struct buffer known = BUFFER_INIT(4096);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (follow_matches(name, follow->which))
            print_tail(follow, add_stream(follow, name), tail);
        if (follow_matches(name, NULL))
            buffer_printf(&known, "%s%.*s", known.length ? ", " : "", (int)strlen(name) - 4, name);
        free(entries[i]);
    }
    free(entries);
    if (follow->count == 0 && follow->which)
        return error_make(err, ENOENT, "no logs of %s in application %s; there are logs of %s",
                          follow->which, dir->name,
                          known.length ? buffer_terminate(&known) : "nothing");
    return 0;
}

static void catch_up(struct follow *follow)
{
    for (size_t i = 0; i < follow->count; i++)
        print_more(follow, &follow->streams[i]);
}

/* Returns whether the application still runs: its lock is removed at its end, and last of all. */
static bool handle_event(struct follow *follow, const struct inotify_event *event)
{
    if (event->mask & (IN_IGNORED | IN_UNMOUNT))
        return false;
    if (event->mask & IN_Q_OVERFLOW) { /* events were lost; the lock's removal may be among them */
        catch_up(follow);
        return access(follow->lock, F_OK) == 0;
    }
    if (event->mask & IN_DELETE)
        return strcmp(event->name, "lock") != 0;
    if (event->len == 0 || !follow_matches(event->name, follow->which))
        return true;
    struct stream *stream = find_stream(follow, event->name);
    print_more(follow, stream ? stream : add_stream(follow, event->name));
    return true;
}

static int follow_changes(struct follow *follow, int notify_fd, struct error **err)
{
    _Alignas(struct inotify_event) char events[16384];
    for (;;) {
        if (fflush(follow->file) == EOF)
            return 0; /* whoever read us has gone */
        ssize_t length = read(notify_fd, events, sizeof(events));
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0)
            return error_make(err, errno, "cannot follow the logs: %s", strerror(errno));
        for (ssize_t at = 0; at < length;) {
            const struct inotify_event *event = (const struct inotify_event *)(events + at);
            if (!handle_event(follow, event)) {
                catch_up(follow);
                fflush(follow->file);
                return 0;
            }
            at += (ssize_t)sizeof(*event) + event->len;
        }
    }
}

static void follow_free(struct follow *follow)
{
    for (size_t i = 0; i < follow->count; i++) {
        free(follow->streams[i].replica);
        free(follow->streams[i].path);
        buffer_free(&follow->streams[i].line);
        if (follow->streams[i].fd >= 0)
            close(follow->streams[i].fd);
    }
    free(follow->streams);
    free(follow->folder);
    free(follow->lock);
}
#define cleanup_follow CLEANUP(follow_free)

int follow_logs(const struct rundir *dir, const char *which, size_t tail, bool follow_on,
                FILE *file, struct error **err)
{
    cleanup_follow struct follow follow = {.which = which, .file = file};
    follow.folder = xasprintf("%s/logs", dir->path);
    follow.lock = xasprintf("%s/lock", dir->path);
    cleanup_free char *only = which ? xasprintf("%s/%s.log", follow.folder, which) : NULL;
    follow.prefix = !only || access(only, F_OK) < 0;

    /* Watch before reading: an event too many finds nothing new, one too few would be a line lost.
     */
    cleanup_close int notify_fd = inotify_init1(IN_CLOEXEC);
    if (follow_on && (notify_fd < 0 || inotify_add_watch(notify_fd, dir->path, IN_DELETE) < 0 ||
                      inotify_add_watch(notify_fd, follow.folder, IN_CREATE | IN_MODIFY) < 0))
        return error_make(err, errno, "%s: cannot be followed: %s", follow.folder, strerror(errno));
    int r = list_logs(&follow, dir, tail, err);
    if (r < 0)
        return r;
    if (follow_on)
        return follow_changes(&follow, notify_fd, err);
    fflush(file);
    return 0;
}
