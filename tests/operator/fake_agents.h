/*
 * Servers that stand in for agents, as badly behaved as a test wants: each accepted connection is
 * handed to a function with a thread of its own, up to FAKE_AGENT_THREADS at a time.
 *
 *     static void serve(struct fake_agent *agent, int fd)
 *     {
 *         while (fake_agent_request(agent, fd))
 *             fake_agent_send(agent, fd, "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
 *     }
 *     struct fake_agent *agent = fake_agent_start("127.0.0.1", serve);
 *     ... fake_agent_port(agent) ...
 *     fake_agent_stop(agent);
 */
#ifndef DPUMESH_TESTS_OPERATOR_FAKE_AGENTS_H
#define DPUMESH_TESTS_OPERATOR_FAKE_AGENTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { FAKE_AGENT_THREADS = 24 };

struct fake_agent {
    /* What a test may look at and change. */
    atomic_uint connections;           /* taken so far */
    atomic_uint open;                  /* of them, not closed yet */
    atomic_uint requests;              /* read in full */
    atomic_uint asked_close;           /* of them, with "Connection: close" */
    atomic_uint at_once, most_at_once; /* between fake_agent_enter() and fake_agent_leave() */
    atomic_bool stopping;
    /* What is to be asked for; NULL: /metrics. Set before anybody asks. */
    const char *target;
    /* Private. */
    void (*serve)(struct fake_agent *agent, int fd);
    int listener;
    unsigned port;
    unsigned long threads[FAKE_AGENT_THREADS];
};

/* Owned by the caller; NULL when there is no such address. Ends the process on other failures. */
struct fake_agent *fake_agent_start(const char *address,
                                    void (*serve)(struct fake_agent *agent, int fd));

/* Ends all connections and the server. */
void fake_agent_stop(struct fake_agent *agent);

static inline unsigned fake_agent_port(const struct fake_agent *agent)
{
    return agent->port;
}

/* Reads a request's head. false: there is none any more. */
bool fake_agent_request(struct fake_agent *agent, int fd);

/* Sends. false: the other side went away, or the agent is to stop. */
bool fake_agent_send(struct fake_agent *agent, int fd, const char *text);
bool fake_agent_send_bytes(struct fake_agent *agent, int fd, const char *data, size_t size);

/* Sends a page with Content-Length. */
bool fake_agent_page(struct fake_agent *agent, int fd, const char *page);

/* Does nothing until the other side goes away or the agent is to stop, or for so long. */
void fake_agent_wait(struct fake_agent *agent, int fd, int most_ms);

/* Around what is counted in at_once. */
void fake_agent_enter(struct fake_agent *agent);
void fake_agent_leave(struct fake_agent *agent);

#endif
