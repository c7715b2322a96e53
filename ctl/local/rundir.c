#include "ctl/local/rundir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "ctl/local/process.h"

/* A lister holds a stale directory's lock for a moment; a supervisor holds its own for good. */
enum { LOCK_ATTEMPTS = 20, LOCK_WAIT_MS = 25, NAME_MAX_BYTES = 63 };

static const char *const FOLDERS[] = {"config", "logs", "pids"};
enum { FOLDER_COUNT = sizeof(FOLDERS) / sizeof(FOLDERS[0]) };

static void closedir_fn(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}
#define cleanup_dir CLEANUP(closedir_fn)

static void sleep_ms(int ms)
{
    poll(NULL, 0, ms);
}

bool rundir_name_valid(const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length > NAME_MAX_BYTES || text[0] == '-' || text[length - 1] == '-')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i]) && text[i] != '-')
            return false;
    return true;
}

/* A directory that others may write to could hold their sockets in place of ours: refuse it. */
static int open_private(const char *path, bool create, int *ret_fd, struct error **err)
{
    if (create && mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_make(err, errno, "%s: cannot be made: %s", path, strerror(errno));
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_make(err, errno, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_make(err, errno, "%s: cannot be read: %s", path, strerror(errno));
    if (status.st_uid != geteuid())
        return error_make(err, EPERM,
                          "%s: belongs to user %u, not to you; set XDG_RUNTIME_DIR to a "
                          "directory of your own",
                          path, status.st_uid);
    if (status.st_mode & 077)
        return error_make(err, EPERM, "%s: others may enter (mode %04o); chmod 700 it", path,
                          status.st_mode & 07777);
    *ret_fd = STEAL_FD(fd);
    return 0;
}

static char *base_path(void)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime && runtime[0] == '/')
        return xasprintf("%s/dpumesh", runtime);
    return xasprintf("/tmp/dpumesh-%u", geteuid());
}

char *rundir_file(const struct rundir *dir, const char *folder, const char *name,
                  const char *suffix)
{
    return xasprintf("%s/%s/%s%s", dir->path, folder, name, suffix);
}

int rundir_write(const struct rundir *dir, const char *folder, const char *name, const char *suffix,
                 const char *text, size_t length, struct error **err)
{
    cleanup_free char *path = rundir_file(dir, folder, name, suffix);
    cleanup_buffer struct buffer old = BUFFER_INIT(length);
    if (file_read(path, &old, NULL) == 0 && old.length == length &&
        memcmp(old.data, text, length) == 0)
        return 0;
    return file_write(path, text, length, 0600, err);
}

void rundir_record_pid(const struct rundir *dir, const char *replica, pid_t pid)
{
    uint64_t ticks;
    if (pid > 0 && process_start_time(pid, &ticks) == 0) {
        cleanup_free char *text = xasprintf("%d %llu\n", (int)pid, (unsigned long long)ticks);
        rundir_write(dir, "pids", replica, "", text, strlen(text), NULL);
    } else {
        cleanup_free char *path = rundir_file(dir, "pids", replica, "");
        unlink(path);
    }
}

/* Sends signal (0: none) to the processes that pids/ records and counts those that live. */
static unsigned signal_recorded(int dir_fd, int signal_number)
{
    int fd = openat(dir_fd, "pids", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    unsigned alive = 0;
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        cleanup_close int file_fd = openat(fd, entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        char text[64];
        ssize_t length = file_fd < 0 ? -1 : read(file_fd, text, sizeof(text) - 1);
        if (length <= 0)
            continue;
        text[length] = '\0';
        int pid;
        unsigned long long recorded;
        uint64_t ticks;
        if (sscanf(text, "%d %llu", &pid, &recorded) != 2 || pid <= 1 ||
            process_start_time(pid, &ticks) < 0 || ticks != recorded)
            continue;
        alive++;
        if (signal_number)
            kill(pid, signal_number);
    }
    return alive;
}

static void remove_files(int dir_fd, const char *folder)
{
    int fd = openat(dir_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            unlinkat(fd, entry->d_name, 0);
}

/* Everything but the lock. */
static void empty_directory(int dir_fd)
{
    for (size_t i = 0; i < FOLDER_COUNT; i++) {
        remove_files(dir_fd, FOLDERS[i]);
        unlinkat(dir_fd, FOLDERS[i], AT_REMOVEDIR);
    }
    unlinkat(dir_fd, "control.sock", 0);
    unlinkat(dir_fd, "up.log", 0);
}

/*
 * Takes the lock of the directory at path. 1 taken, 0 held by another, -EAGAIN when the directory
 * was removed meanwhile, other -errno.
 */
static int take_lock(const char *path, int dir_fd, bool create, int *ret_fd)
{
    cleanup_close int fd =
        openat(dir_fd, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
    if (fd < 0)
        return errno == ENOENT ? -EAGAIN : -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? 0 : -errno;
    cleanup_free char *lock_path = xasprintf("%s/lock", path);
    struct stat ours, now;
    if (fstat(fd, &ours) < 0 || stat(lock_path, &now) < 0 || ours.st_ino != now.st_ino ||
        ours.st_dev != now.st_dev)
        return -EAGAIN;
    *ret_fd = STEAL_FD(fd);
    return 1;
}

static pid_t lock_holder(int dir_fd)
{
    cleanup_close int fd = openat(dir_fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char text[32];
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    int pid = 0;
    if (length > 0) {
        text[length] = '\0';
        if (sscanf(text, "%d", &pid) != 1)
            pid = 0;
    }
    return pid;
}

static void end_leftovers(int dir_fd, uint64_t patience_ns)
{
    unsigned alive = signal_recorded(dir_fd, SIGTERM);
    uint64_t until_ns = clock_monotonic_ns() + patience_ns;
    while (alive > 0 && clock_monotonic_ns() < until_ns) {
        sleep_ms(LOCK_WAIT_MS);
        alive = signal_recorded(dir_fd, 0);
    }
    for (int i = 0; alive > 0 && i < LOCK_ATTEMPTS; i++) {
        alive = signal_recorded(dir_fd, SIGKILL);
        sleep_ms(LOCK_WAIT_MS);
    }
}

static int fill_directory(struct rundir *dir, struct error **err)
{
    empty_directory(dir->fd);
    for (size_t i = 0; i < FOLDER_COUNT; i++)
        if (mkdirat(dir->fd, FOLDERS[i], 0700) < 0)
            return error_make(err, errno, "%s/%s: cannot be made: %s", dir->path, FOLDERS[i],
                              strerror(errno));
    cleanup_free char *text = xasprintf("%d\n", (int)getpid());
    if (ftruncate(dir->lock_fd, 0) < 0 ||
        pwrite(dir->lock_fd, text, strlen(text), 0) != (ssize_t)strlen(text))
        return error_make(err, errno, "%s/lock: cannot be written: %s", dir->path, strerror(errno));
    return 0;
}

int rundir_create(const char *name, uint64_t patience_ns, struct rundir *ret_dir,
                  struct error **err)
{
    cleanup_free char *base = base_path();
    cleanup_close int base_fd = -1;
    int r = open_private(base, true, &base_fd, err);
    if (r < 0)
        return r;

    cleanup_rundir struct rundir dir = RUNDIR_INIT;
    dir.name = xstrdup(name);
    dir.path = xasprintf("%s/%s", base, name);
    for (int i = 0; i < LOCK_ATTEMPTS && dir.lock_fd < 0; i++) {
        if (dir.fd >= 0)
            close(STEAL_FD(dir.fd));
        r = open_private(dir.path, true, &dir.fd, err);
        if (r == -ENOENT)
            continue;
        if (r < 0)
            return r;
        r = take_lock(dir.path, dir.fd, true, &dir.lock_fd);
        if (r < 0 && r != -EAGAIN)
            return error_make(err, -r, "%s/lock: cannot be locked: %s", dir.path, strerror(-r));
        if (r == 0)
            sleep_ms(LOCK_WAIT_MS);
    }
    if (dir.lock_fd < 0)
        return error_make(err, EBUSY,
                          "application %s is running already (pid %d); stop it with \"dpumesh down "
                          "--name %s\", or give this one another --name",
                          name, (int)lock_holder(dir.fd), name);
    end_leftovers(dir.fd, patience_ns);
    r = fill_directory(&dir, err);
    if (r < 0)
        return r;
    *ret_dir = (struct rundir){STEAL_POINTER(dir.name), STEAL_POINTER(dir.path), STEAL_FD(dir.fd),
                               STEAL_FD(dir.lock_fd)};
    return 0;
}

/* Whether the application of this directory runs; cleans a stale one whose processes are gone. */
static bool runs(struct rundir *dir)
{
    int r = take_lock(dir->path, dir->fd, false, &dir->lock_fd);
    if (r == 0)
        return true;
    if (r > 0) {
        if (signal_recorded(dir->fd, 0) == 0)
            rundir_remove(dir);
        close(STEAL_FD(dir->lock_fd));
    }
    return false;
}

int rundir_open(const char *name, struct rundir *ret_dir, struct error **err)
{
    cleanup_rundir struct rundir dir = RUNDIR_INIT;
    cleanup_free char *base = base_path();
    cleanup_close int base_fd = -1;
    int r = open_private(base, false, &base_fd, err);
    if (r < 0 && r != -ENOENT)
        return r;
    dir.name = xstrdup(name);
    dir.path = xasprintf("%s/%s", base, name);
    if (r == 0)
        r = open_private(dir.path, false, &dir.fd, err);
    if (r < 0 && r != -ENOENT)
        return r;
    if (r == -ENOENT || !runs(&dir))
        return error_make(
            err, ENOENT, "no application %s is running; \"dpumesh ps\" lists those that are", name);
    *ret_dir =
        (struct rundir){STEAL_POINTER(dir.name), STEAL_POINTER(dir.path), STEAL_FD(dir.fd), -1};
    return 0;
}

int rundir_watch(const struct rundir *dir)
{
    return openat(dir->fd, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

void rundir_wait(int watch_fd)
{
    while (watch_fd >= 0 && flock(watch_fd, LOCK_SH) < 0 && errno == EINTR)
        continue;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

int rundir_list(char ***ret_names, size_t *ret_count, struct error **err)
{
    cleanup_free char *base = base_path();
    cleanup_error struct error *why = NULL;
    int base_fd = -1;
    int r = open_private(base, false, &base_fd, &why);
    if (r < 0 && r != -ENOENT)
        return error_make(err, -r, "%s", error_message(why));
    char **names = xcalloc(1, sizeof(*names));
    size_t count = 0;
    cleanup_dir DIR *listing = r < 0 ? NULL : fdopendir(base_fd);
    struct dirent *entry;
    while (listing && (entry = readdir(listing))) {
        cleanup_rundir struct rundir dir = RUNDIR_INIT;
        if (!rundir_name_valid(entry->d_name) || rundir_open(entry->d_name, &dir, NULL) < 0)
            continue;
        names = xreallocarray(names, count + 1, sizeof(*names));
        names[count++] = xstrdup(entry->d_name);
    }
    qsort(names, count, sizeof(*names), compare_names);
    *ret_names = names;
    *ret_count = count;
    return 0;
}

void rundir_remove(struct rundir *dir)
{
    empty_directory(dir->fd);
    /* The lock last: until then nobody else takes the directory for free. */
    unlinkat(dir->fd, "lock", 0);
    rmdir(dir->path);
}

void rundir_close(struct rundir *dir)
{
    if (dir->fd >= 0)
        close(STEAL_FD(dir->fd));
    if (dir->lock_fd >= 0)
        close(STEAL_FD(dir->lock_fd));
    free(STEAL_POINTER(dir->name));
    free(STEAL_POINTER(dir->path));
}
