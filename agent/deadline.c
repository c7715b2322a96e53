/*
 * Which connections wait, and until when: three kinds of lists, each linked through the connections
 * themselves. Every deadline of a kind has the same length, so appending keeps a list in order.
 */
#include "agent/io_private.h"
#include "base/clock.h"

/* How long a connection that was closed for writing is read on, so that what the peer still sends
 * does not make the kernel throw our last answer away (RFC 9112 section 9.6). */
#define LINGER_NS (2 * NS_PER_S)

enum which_links { LINKS_IDLE, LINKS_TIMED, LINKS_STARVING };

static struct links *links_of(const struct io *io, uint32_t index, enum which_links which)
{
    struct connection *c = connection_at(io, index);
    return which == LINKS_IDLE ? &c->idle : which == LINKS_TIMED ? &c->timed : &c->starving;
}

static void list_append(struct io *io, struct connection_list *list, uint32_t index,
                        enum which_links which)
{
    struct links *links = links_of(io, index, which);
    links->next = POOL_NONE;
    links->previous = list->last;
    if (list->last == POOL_NONE)
        list->first = index;
    else
        links_of(io, list->last, which)->next = index;
    list->last = index;
}

static void list_remove(struct io *io, struct connection_list *list, uint32_t index,
                        enum which_links which)
{
    const struct links *links = links_of(io, index, which);
    if (links->previous == POOL_NONE)
        list->first = links->next;
    else
        links_of(io, links->previous, which)->next = links->next;
    if (links->next == POOL_NONE)
        list->last = links->previous;
    else
        links_of(io, links->next, which)->previous = links->previous;
}

static uint64_t timeout_of(const struct io *io, enum deadline_list list)
{
    return list == DEADLINE_FRAME   ? io_config(io)->limits.frame_timeout_ns
           : list == DEADLINE_WRITE ? io_config(io)->limits.write_timeout_ns
                                    : LINGER_NS;
}

/* Puts the connection under another deadline; staying under the same one keeps its time. */
void deadline_set(struct io *io, uint32_t index, enum deadline_list list)
{
    struct connection *c = connection_at(io, index);
    if (c->deadline_list == list)
        return;
    if (c->deadline_list != DEADLINE_NONE)
        list_remove(io, &io->deadlines[c->deadline_list], index, LINKS_TIMED);
    c->deadline_list = (uint8_t)list;
    if (list == DEADLINE_NONE)
        return;
    c->deadline_ns = io->now_ns + timeout_of(io, list);
    list_append(io, &io->deadlines[list], index, LINKS_TIMED);
}

void deadline_watch(struct io *io, uint32_t index)
{
    list_append(io, &io->idle, index, LINKS_IDLE);
}

void deadline_forget(struct io *io, uint32_t index)
{
    deadline_set(io, index, DEADLINE_NONE);
    connection_sated(io, index);
    list_remove(io, &io->idle, index, LINKS_IDLE);
}

void connection_starve(struct io *io, uint32_t index)
{
    struct connection *c = connection_at(io, index);
    if (c->starved)
        return;
    c->starved = true;
    list_append(io, &io->starving, index, LINKS_STARVING);
}

void connection_sated(struct io *io, uint32_t index)
{
    struct connection *c = connection_at(io, index);
    if (!c->starved)
        return;
    c->starved = false;
    list_remove(io, &io->starving, index, LINKS_STARVING);
}

static void expire(struct io *io, uint32_t index, enum deadline_list list)
{
    if (list == DEADLINE_FRAME)
        connection_time_out(io, index);
    else
        connection_close(io, index);
}

static void expire_idle(struct io *io)
{
    uint64_t timeout = io_config(io)->limits.idle_timeout_ns;
    for (uint32_t index; timeout && (index = io->idle.first) != POOL_NONE;) {
        struct connection *c = connection_at(io, index);
        /* The list is in the order of when each was last looked at, not of its last request: one
         * that was active, or has other deadlines, goes to the end and keeps its time. */
        if (c->idle_check_ns > io->now_ns)
            return;
        uint64_t due = c->active_ns + timeout;
        bool busy = c->pending > 0 || c->deadline_list != DEADLINE_NONE;
        if (!busy && due <= io->now_ns) {
            connection_close(io, index);
            continue;
        }
        c->idle_check_ns = busy || due <= io->now_ns ? io->now_ns + timeout : due;
        list_remove(io, &io->idle, index, LINKS_IDLE);
        list_append(io, &io->idle, index, LINKS_IDLE);
    }
}

void deadline_expire(struct io *io)
{
    for (enum deadline_list list = DEADLINE_FRAME; list < DEADLINE_LISTS; list++)
        for (uint32_t index; (index = io->deadlines[list].first) != POOL_NONE &&
                             connection_at(io, index)->deadline_ns <= io->now_ns;)
            expire(io, index, list);
    expire_idle(io);
}

uint64_t deadline_next_ns(const struct io *io)
{
    uint64_t next = UINT64_MAX;
    for (enum deadline_list list = DEADLINE_FRAME; list < DEADLINE_LISTS; list++) {
        uint32_t first = io->deadlines[list].first;
        if (first != POOL_NONE && connection_at(io, first)->deadline_ns < next)
            next = connection_at(io, first)->deadline_ns;
    }
    if (io->idle.first != POOL_NONE && io_config(io)->limits.idle_timeout_ns &&
        connection_at(io, io->idle.first)->idle_check_ns < next)
        next = connection_at(io, io->idle.first)->idle_check_ns;
    return next;
}
