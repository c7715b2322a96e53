/*
 * The I/O thread, the side of the queues that a DPU would be: it owns every socket, reads requests
 * into the forward arena and submits them, writes answers, and simulates the outside world for
 * egress calls. One thread; io_start() makes it, io_join() waits for it.
 */
#ifndef DPUMESH_AGENT_IO_H
#define DPUMESH_AGENT_IO_H

#include "agent/agent.h"

enum listener_kind { LISTEN_BRIDGE, LISTEN_HTTP };

/* A listening socket; the I/O thread closes it. */
struct listener {
    int fd;
    enum listener_kind kind;
    bool shared; /* other replicas accept from it too */
    bool paused; /* not in the epoll set: no descriptors or no room for connections */
};

struct io;

/*
 * Starts the thread on these listeners (copied; their descriptors are taken over on success).
 * 0, or -errno and a sentence.
 */
int io_start(struct agent *agent, const struct listener *listeners, size_t count,
             struct io **ret_io, struct error **err);

/*
 * Waits until the thread has ended, which it does after agent_drain(). Returns how many requests
 * were given up when the drain deadline passed. Frees io.
 */
unsigned io_join(struct io *io);

/* An eventfd that becomes readable when the thread has ended. */
int io_ended_fd(const struct io *io);

#endif
