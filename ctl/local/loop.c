#include "ctl/local/loop.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/memory.h"

struct loop {
    int epoll_fd;
    bool stopped;
    struct loop_timer *timers; /* the earliest first */
};

int loop_new(struct loop **ret_loop, struct error **err)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return error_make(err, errno, "cannot make an epoll descriptor: %s", strerror(errno));
    struct loop *loop = xcalloc(1, sizeof(*loop));
    loop->epoll_fd = fd;
    *ret_loop = loop;
    return 0;
}

int loop_add(struct loop *loop, struct loop_source *source, int fd, uint32_t events,
             loop_source_fn *function, void *context, struct error **err)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return error_make(err, errno, "cannot watch descriptor %d: %s", fd, strerror(errno));
    *source = (struct loop_source){fd, true, function, context};
    return 0;
}

void loop_modify(struct loop *loop, struct loop_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    if (!source->added)
        return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    source->added = false;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t at_ns,
                    loop_timer_fn *function, void *context)
{
    loop_timer_stop(loop, timer);
    struct loop_timer **at = &loop->timers;
    while (*at && (*at)->at_ns <= at_ns)
        at = &(*at)->next;
    *timer = (struct loop_timer){*at, true, at_ns, function, context};
    *at = timer;
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    if (!timer->set)
        return;
    struct loop_timer **at = &loop->timers;
    while (*at != timer)
        at = &(*at)->next;
    *at = timer->next;
    timer->set = false;
}

/* Milliseconds until the first timer, rounded up so that it is due when we wake; at most limit_ms.
 */
static int wait_ms(const struct loop *loop, int limit_ms)
{
    if (!loop->timers)
        return limit_ms;
    uint64_t now_ns = clock_monotonic_ns();
    if (loop->timers->at_ns <= now_ns)
        return 0;
    uint64_t ms = (loop->timers->at_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    if (limit_ms >= 0 && ms > (uint64_t)limit_ms)
        return limit_ms;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

int loop_step(struct loop *loop, int timeout_ms, struct error **err)
{
    struct epoll_event event;
    int count = epoll_wait(loop->epoll_fd, &event, 1, wait_ms(loop, timeout_ms));
    if (count < 0 && errno != EINTR)
        return error_make(err, errno, "cannot wait for events: %s", strerror(errno));
    if (count > 0) {
        struct loop_source *source = event.data.ptr;
        source->function(source->context, event.events);
    }
    uint64_t now_ns = clock_monotonic_ns();
    while (!loop->stopped && loop->timers && loop->timers->at_ns <= now_ns) {
        struct loop_timer *timer = loop->timers;
        loop_timer_stop(loop, timer);
        timer->function(timer->context);
    }
    return 0;
}

int loop_run(struct loop *loop, struct error **err)
{
    loop->stopped = false;
    while (!loop->stopped) {
        int r = loop_step(loop, -1, err);
        if (r < 0)
            return r;
    }
    return 0;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    close(loop->epoll_fd);
    free(loop);
}
