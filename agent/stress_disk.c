#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/stress.h"
#include "base/cleanup.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/random.h"

static bool stopped(const bool *stop)
{
    return __atomic_load_n(stop, __ATOMIC_RELAXED);
}

/* A file that nobody finds; the descriptor or -errno. */
static int open_nameless(const char *directory, const char *name)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    /* The kernel or the file system does not know such files (open(2)). */
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd < 0 ? -errno : fd;
    cleanup_free char *path = xasprintf("%s/%s.XXXXXX", directory, name);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    unlink(path);
    return fd;
}

/* Random bytes: a file system may compress others, or find them equal. */
static void fill(unsigned char *block, uint32_t bytes, struct random_stream *random)
{
    for (uint32_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = random_u64(random);
        memcpy(block + at, &word, bytes - at < sizeof word ? bytes - at : sizeof word);
    }
}

static int write_all(int fd, const unsigned char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, data, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        data += written;
        length -= (size_t)written;
    }
    return 0;
}

static int read_all(int fd, unsigned char *data, size_t length, off_t at)
{
    while (length > 0) {
        ssize_t got = pread(fd, data, length, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        data += got;
        at += got;
        length -= (size_t)got;
    }
    return 0;
}

/* Each block once, in random order (Fisher and Yates, as it goes). */
static int read_shuffled(int fd, unsigned char *block, uint32_t blocks, uint32_t block_bytes,
                         struct random_stream *random, const bool *stop)
{
    cleanup_free uint32_t *order = xmalloc(blocks * sizeof *order);
    int result = 0;
    for (uint32_t i = 0; i < blocks; i++)
        order[i] = i;
    for (uint32_t i = 0; i < blocks && result == 0; i++) {
        uint32_t other = (uint32_t)random_range(random, i, blocks - 1), one = order[i];
        order[i] = order[other];
        order[other] = one;
        if (stopped(stop))
            return -ECANCELED;
        result = read_all(fd, block, block_bytes, (off_t)order[i] * block_bytes);
    }
    return result;
}

int stress_disk(const char *directory, const char *name, uint32_t blocks, uint32_t block_bytes,
                uint64_t seed, const bool *stop)
{
    cleanup_close int fd = open_nameless(directory, name);
    cleanup_free unsigned char *block = xmalloc(block_bytes);
    struct random_stream random;
    int result = 0;
    if (fd < 0)
        return fd;
    random_seed(&random, seed, 0);
    for (uint32_t i = 0; i < blocks && result == 0; i++) {
        if (stopped(stop))
            return -ECANCELED;
        fill(block, block_bytes, &random);
        result = write_all(fd, block, block_bytes);
    }
    /* Some file systems (a FUSE one) have nothing to make safe. */
    if (result == 0 && fsync(fd) < 0 && errno != EINVAL && errno != ENOSYS)
        result = -errno;
    return result < 0 ? result : read_shuffled(fd, block, blocks, block_bytes, &random, stop);
}
