/*
 * The supervisor's event loop: file descriptors and timers on one epoll, one thread. Sources and
 * timers lie in the objects that own them; the loop only links them.
 *
 *     struct loop *loop;
 *     loop_new(&loop, &err);
 *     loop_add(loop, &replica->exit_source, pidfd, EPOLLIN, on_exit, replica, &err);
 *     loop_timer_set(loop, &replica->timer, clock_monotonic_ns() + delay_ns, on_timer, replica);
 *     loop_run(loop, &err);
 *
 * A handler may remove any source, stop any timer and free their owners, its own too: events are
 * taken from the kernel one at a time, so none of a removed source can be left in a batch. With no
 * timer set and no event the loop sleeps for ever. Everything here belongs to the loop's thread.
 */
#ifndef DPUMESH_CTL_LOCAL_LOOP_H
#define DPUMESH_CTL_LOCAL_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct loop;

/* events: the EPOLL* bits that came. */
typedef void loop_source_fn(void *context, uint32_t events);
typedef void loop_timer_fn(void *context);

/* One file descriptor; zero it before first use. The descriptor stays its owner's. */
struct loop_source {
    int fd;
    bool added;
    loop_source_fn *function;
    void *context;
};

/* One timer; zero it before first use. */
struct loop_timer {
    struct loop_timer *next; /* in order of at_ns */
    bool set;
    uint64_t at_ns; /* CLOCK_MONOTONIC */
    loop_timer_fn *function;
    void *context;
};

/* 0 and *ret_loop, owned by the caller; or -errno. */
int loop_new(struct loop **ret_loop, struct error **err);

/* Watches fd for events (EPOLLIN, EPOLLOUT; EPOLLHUP and EPOLLERR always come). 0 or -errno. */
int loop_add(struct loop *loop, struct loop_source *source, int fd, uint32_t events,
             loop_source_fn *function, void *context, struct error **err);

/* Other events for a source that is watched. */
void loop_modify(struct loop *loop, struct loop_source *source, uint32_t events);

/* Stops watching; nothing happens for a source that is not watched. Call it before close(). */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Calls function once, at_ns or soon after; a timer that is set already is moved. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t at_ns,
                    loop_timer_fn *function, void *context);

/* Takes a timer back; nothing happens when it is not set. */
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);

/* Runs handlers until loop_stop(). 0, or -errno when the kernel refuses to wait. */
int loop_run(struct loop *loop, struct error **err);

/* Waits at most timeout_ms (-1: no limit) and runs what is due. 0 or -errno. */
int loop_step(struct loop *loop, int timeout_ms, struct error **err);

/* Makes loop_run() return after the handler that runs now. */
void loop_stop(struct loop *loop);

/* Frees the loop, not its sources' descriptors. NULL is fine. */
void loop_free(struct loop *loop);

static inline void loop_cleanup_fn(struct loop **loop)
{
    loop_free(*loop);
}
#define cleanup_loop CLEANUP(loop_cleanup_fn)

#endif
