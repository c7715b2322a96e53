/*
 * The sidecar's proxy: a thread that really burns on the host what a proxy would, one for each
 * direction, as client and server of the measurements have a core each (model/path.h). It is a core
 * that sleeps, wakes, and serves all that waits (model/core.h), but on the real clock and a real
 * processor, with the queueing that comes of it.
 *
 * A real proxy has the socket itself: a message for which it wakes waits for one wake-up. Handing
 * it to a thread and back takes two more. So a message that comes alone, to a proxy that rests, is
 * served by the I/O thread, which has just woken for it (proxy_serve_alone()); what is left of the
 * modelled wake-up after it, the proxy's thread burns.
 *
 *     struct proxy *proxy;
 *     proxy_start(agent, POD_IN, 4096, &proxy, &err);
 *     proxy_set(proxy, profile);                     whenever it changes
 *     if (alone && proxy_serve_alone(proxy, cost_ns))  done already
 *     if (proxy_submit(proxy, id, cost_ns, bytes))   false: the ring is full
 *     proxy_ring(proxy);                             once a batch
 *     while (proxy_served(proxy, &id))               rung by agent->io_bell
 *
 * All but the thread itself belongs to the I/O thread.
 */
#ifndef DPUMESH_AGENT_PROXY_H
#define DPUMESH_AGENT_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/pod.h"

struct agent;
struct proxy;

/* Starts the thread; capacity: messages in it at most, a power of two. 0, or -errno and a sentence.
 */
int proxy_start(struct agent *agent, enum pod_direction direction, uint32_t capacity,
                struct proxy **ret_proxy, struct error **err);

/* Ends the thread; what it has not served is forgotten. NULL is fine. */
void proxy_stop(struct proxy *proxy);

/* Wake-up, hold-off and eagerness from now on. */
void proxy_set(struct proxy *proxy, const struct profile *profile);

/* Hands it a message that costs so much CPU; false when the ring is full. */
bool proxy_submit(struct proxy *proxy, uint32_t id, double cost_ns, uint32_t bytes);

/* Burns here what a message costs when the proxy rests: its part of the wake-up, and cost_ns of
 * CPU. False, and nothing done: the proxy does not rest, or its hold-off is not over. */
bool proxy_serve_alone(struct proxy *proxy, double cost_ns);

/* Wakes it if it sleeps, once several were submitted. */
void proxy_ring(struct proxy *proxy);

/* CPU that the I/O thread spent in the two so far, ns: the first is the data path's. */
double proxy_alone_ns(const struct proxy *proxy);
double proxy_ringing_ns(const struct proxy *proxy);

/* Takes one that it is done with; false when there is none. */
bool proxy_served(struct proxy *proxy, uint32_t *ret_id);

/* Whether one waits to be taken. */
bool proxy_has_served(struct proxy *proxy);

/* Messages in it: submitted and not taken back. Any thread. */
uint32_t proxy_depth(const struct proxy *proxy);

/* Rounds so far, and those that did not get the processor for PROXY_LATE_NS in time. Any thread. */
uint64_t proxy_rounds(const struct proxy *proxy);
uint64_t proxy_late(const struct proxy *proxy);

#endif
