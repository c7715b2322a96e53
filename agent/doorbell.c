#include "agent/doorbell.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

int doorbell_init(struct doorbell *bell, bool use_eventfd, struct error **err)
{
    memset(bell, 0, sizeof *bell);
    bell->fd = -1;
    if (!use_eventfd)
        return 0;
    bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell->fd < 0)
        return error_make(err, errno, "can't make an eventfd: %s", strerror(errno));
    return 0;
}

void doorbell_destroy(struct doorbell *bell)
{
    if (bell->fd >= 0)
        close(bell->fd);
    bell->fd = -1;
}

bool doorbell_wait(struct doorbell *bell, uint64_t deadline_ns)
{
    struct timespec at = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                          .tv_nsec = (long)(deadline_ns % NS_PER_S)};
    long woken = syscall(SYS_futex, &bell->asleep, FUTEX_WAIT_BITSET_PRIVATE, 1,
                         deadline_ns == UINT64_MAX ? NULL : &at, NULL, FUTEX_BITSET_MATCH_ANY);
    /* EAGAIN: it was rung between arming and sleeping. */
    bool rung = woken == 0 || errno == EAGAIN;
    doorbell_disarm(bell);
    return rung;
}

void doorbell_wake(struct doorbell *bell)
{
    if (bell->fd >= 0) {
        const uint64_t one = 1;
        /* EAGAIN means that the counter is near its end, and then the consumer is being woken. */
        while (write(bell->fd, &one, sizeof one) < 0 && errno == EINTR)
            ;
        return;
    }
    syscall(SYS_futex, &bell->asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
