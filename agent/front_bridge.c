/* The bridge: JSON objects on TCP 5005 (docs/wire.md). */
#include <errno.h>
#include <string.h>

#include "agent/io_private.h"

/* A place for the answer; false when none is free, and the connection waits for one. */
static bool new_exchange(struct io *io, uint32_t index, uint32_t *ret_exchange)
{
    uint32_t exchange = exchange_new(io, index, EXCHANGE_KEEP_ALIVE);
    if (exchange == POOL_NONE) {
        connection_starve(io, index);
        return false;
    }
    *ret_exchange = exchange;
    return true;
}

/* Drops the rest of a line that was too long; the bytes taken. */
static size_t skip_line(struct connection *c, const char *data, size_t length)
{
    const char *newline = memchr(data, '\n', length);
    if (!newline)
        return length;
    c->skipping = false;
    return (size_t)(newline - data) + 1;
}

/* Answers a frame that is none. The connection goes on only where the next frame can be found. */
static bool refuse_frame(struct io *io, uint32_t index, enum reject_reason reason,
                         const char *sentence)
{
    struct connection *c = connection_at(io, index);
    uint32_t exchange;
    if (!new_exchange(io, index, &exchange))
        return false;
    c->progress.wire = (struct wire_progress){0};
    c->skipping = c->mode == WIRE_LINES;
    c->closing = c->mode != WIRE_LINES;
    exchange_refuse(io, exchange, reason, sentence);
    return true;
}

static bool take_frame(struct io *io, uint32_t index, const char *frame, size_t length)
{
    uint32_t exchange;
    if (!new_exchange(io, index, &exchange))
        return false;
    struct request_draft draft;
    char sentence[WIRE_SENTENCE_MAX];
    if (wire_parse(frame, length, &draft, sentence) < 0)
        exchange_refuse(io, exchange, REJECT_MALFORMED, sentence);
    else
        exchange_submit(io, exchange, &draft);
    return true;
}

/* Why there is no whole frame although the peer sends nothing more. */
static bool cut_off(struct io *io, uint32_t index)
{
    return refuse_frame(io, index, REJECT_MALFORMED,
                        "the connection ended in the middle of a request");
}

size_t front_bridge(struct io *io, uint32_t index, char *data, size_t length)
{
    struct connection *c = connection_at(io, index);
    size_t taken = 0, max = io_config(io)->limits.frame_bytes;
    if (c->mode == WIRE_UNKNOWN && length > 0)
        c->mode = (uint8_t)wire_mode_of(data[0]);
    while (taken < length && !c->starved && connection_may_read(io, c)) {
        if (c->skipping) {
            taken += skip_line(c, data + taken, length - taken);
            continue;
        }
        struct wire_span span;
        enum wire_state state = wire_next(c->mode, data + taken, length - taken, max, c->ended,
                                          &c->progress.wire, &span);
        bool went = true;
        switch (state) {
        case WIRE_MORE:
            if (c->ended)
                return cut_off(io, index) ? length : taken;
            return taken;
        case WIRE_TOO_LARGE:
            went = refuse_frame(io, index, REJECT_FRAME_TOO_LARGE, NULL);
            break;
        case WIRE_NOT_OBJECT:
            went = refuse_frame(io, index, REJECT_MALFORMED,
                                "the request can't be read: a JSON object is expected, at byte 0");
            break;
        case WIRE_FRAME:
            went = take_frame(io, index, data + taken + span.offset, span.length);
            break;
        case WIRE_BLANK:
            break;
        }
        if (!went)
            return taken;
        if (state == WIRE_FRAME || state == WIRE_BLANK) {
            taken += span.taken;
            c->progress.wire = (struct wire_progress){0};
        }
    }
    return c->closing ? length : taken;
}
