/* The HTTP front on 8080: the application's path, and the pages about the agent itself. */
#include <string.h>
#include <sys/socket.h>

#include "agent/io_private.h"

static uint32_t new_exchange(struct io *io, uint32_t index, unsigned flags)
{
    uint32_t exchange = exchange_new(io, index, flags);
    if (exchange == POOL_NONE)
        connection_starve(io, index);
    return exchange;
}

/* Copies a text that may be too long to be known; false then. */
static bool copy_text(const struct json_text *text, char *out, size_t size)
{
    if (text->length >= size)
        return false;
    memcpy(out, text->data, text->length);
    out[text->length] = '\0';
    return true;
}

static const char *method_name(unsigned method)
{
    return method == METHOD_GET ? "GET" : method == METHOD_HEAD ? "HEAD" : "OTHER";
}

static bool is_application(const struct io *io, const struct http_request *request)
{
    const char *path = io_config(io)->workload.path;
    return request->draft.path.length == strlen(path) &&
           memcmp(request->draft.path.data, path, request->draft.path.length) == 0;
}

/* Whether the request is for /metrics, /healthz or the like. */
static bool is_page(const struct io *io, const struct http_request *request)
{
    char path[256];
    return !is_application(io, request) && copy_text(&request->draft.path, path, sizeof path) &&
           answer_knows(&io->agent->pages, path);
}

static void answer_page(struct io *io, uint32_t exchange, const struct http_request *request)
{
    char accept[1024];
    char path[ANSWER_PATH_MAX + 2]; /* with its query; a byte too many tells that it is too long */
    snprintf(path, sizeof path, "%.*s", (int)request->target.length, request->target.data);
    if (!copy_text(&request->accept, accept, sizeof accept))
        accept[0] = '\0';
    cleanup_buffer struct buffer body = BUFFER_INIT(ANSWER_BODY_MAX);
    struct answer answer;
    answer_request(&io->agent->pages, method_name(request->draft.method), path,
                   accept[0] ? accept : NULL, &answer, &body);
    exchange_answer(io, exchange, (unsigned)answer.status, answer.content_type,
                    buffer_terminate(&body), body.length);
}

static bool take_request(struct io *io, uint32_t index, const struct http_request *request)
{
    struct connection *c = connection_at(io, index);
    bool page = is_page(io, request);
    unsigned flags = (request->keep_alive ? EXCHANGE_KEEP_ALIVE : 0) |
                     (request->http10 ? EXCHANGE_HTTP10 : 0) | (page ? EXCHANGE_PAGE : 0) |
                     (request->draft.method == METHOD_HEAD ? EXCHANGE_HEAD : 0);
    uint32_t exchange = new_exchange(io, index, flags);
    if (exchange == POOL_NONE)
        return false;
    if (!request->keep_alive)
        c->closing = true;
    if (page)
        answer_page(io, exchange, request);
    else
        exchange_submit(io, exchange, &request->draft);
    return true;
}

static bool refuse(struct io *io, uint32_t index, unsigned status, const char *sentence)
{
    struct connection *c = connection_at(io, index);
    uint32_t exchange = new_exchange(io, index, 0);
    if (exchange == POOL_NONE)
        return false;
    c->closing = true;
    if (status == 400)
        exchange_refuse(io, exchange, REJECT_MALFORMED, sentence);
    else if (status == 413)
        exchange_refuse(io, exchange, REJECT_FRAME_TOO_LARGE, NULL);
    else
        exchange_refuse_status(io, exchange, status, sentence);
    return true;
}

void front_http_continue(struct io *io, struct connection *c)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!c->progress.http.wants_continue || c->first != POOL_NONE || c->out_length > 0)
        return;
    c->progress.http.wants_continue = false;
    /* Twenty-five bytes into an empty socket buffer fit. */
    if (send(c->fd, line, sizeof line - 1, MSG_NOSIGNAL) > 0)
        metric_add(io->agent->metrics.wire_bytes[1], sizeof line - 1);
}

size_t front_http(struct io *io, uint32_t index, char *data, size_t length)
{
    struct connection *c = connection_at(io, index);
    size_t taken = 0, max = io_config(io)->limits.frame_bytes;
    while (taken < length && !c->starved && connection_may_read(io, c)) {
        struct http_progress *progress = &c->progress.http;
        /* RFC 9112 section 2.2: blank lines before a request. */
        if (!progress->head_known && (data[taken] == '\r' || data[taken] == '\n')) {
            taken++;
            progress->searched = 0;
            continue;
        }
        struct http_request request;
        struct http_error error;
        switch (http_next(data + taken, length - taken, max, progress, &request, &error)) {
        case HTTP_MORE:
            if (c->ended)
                return refuse(io, index, 400, "the connection ended in the middle of a request")
                           ? length
                           : taken;
            front_http_continue(io, c);
            return taken;
        case HTTP_BAD:
            return refuse(io, index, error.status, error.sentence) ? length : taken;
        case HTTP_REQUEST:
            if (!take_request(io, index, &request))
                return taken;
            taken += request.taken;
            *progress = (struct http_progress){0};
            break;
        }
    }
    return c->closing ? length : taken;
}
