/*
 * The application: muBench's service cell. It consumes the ingress submission queue and the egress
 * completion queue, does or delegates the internal work, submits calls to the egress submission
 * queue and answers to the ingress completion queue. It holds no socket and includes no file that
 * has one.
 *
 * A request's life here, one owner (this thread) all along:
 *
 *     ingress SQ -> started -> [CPU jobs] -> [sleep] -> calls, a group each in turn -> ingress CQ
 *
 * All of it runs in one thread; CPU jobs run on workers (workers.h).
 */
#ifndef DPUMESH_AGENT_APP_H
#define DPUMESH_AGENT_APP_H

#include "agent/agent.h"

/*
 * Makes the application for agent->running. With a thread of its own it runs by itself; without one
 * (a process that has one processor only: two threads would but take turns, at the price of a
 * switch for each hop) the I/O thread runs it between its own turns, by the three functions below.
 * 0, or -errno and a sentence. The application is owned by the caller, who ends it with app_stop().
 */
struct app;
int app_start(struct agent *agent, bool own_thread, struct app **ret_app, struct error **err);

/* For the I/O thread, when the application has none: one look at everything, true when there was
 * work; whether there is any; and when a timer of its wants the next look (UINT64_MAX: none). */
bool app_work(struct app *app);
bool app_has_work(struct app *app);
uint64_t app_next_ns(const struct app *app);

/* Ends the thread and its workers and frees everything; requests that are still inside are dropped,
 * so drain first. NULL is fine. */
void app_stop(struct app *app);

#endif
