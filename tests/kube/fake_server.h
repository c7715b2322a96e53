/*
 * An HTTP/1.1 server on 127.0.0.1 whose answers a test writes byte by byte: cut anywhere, wrong,
 * late, or missing. One thread serves all connections and calls the test's answer() for every
 * request it has read in full.
 *
 *     static void answer(void *context, size_t index, const char *request, struct fake_reply
 * *reply)
 *     {
 *         fake_body(&reply->text, 200, "", "{\"a\": 1}");
 *     }
 *     struct fake_server *server = fake_server_start(answer, NULL);
 *     ... fake_server_url(server) ...
 *     fake_server_stop(server);
 */
#ifndef DPUMESH_TESTS_KUBE_FAKE_SERVER_H
#define DPUMESH_TESTS_KUBE_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum fake_after {
    FAKE_KEEP,  /* the connection waits for the next request */
    FAKE_CLOSE, /* FIN */
    FAKE_RESET  /* RST */
};

/* A request, and what is to come back. */
struct fake_reply {
    void *context;       /* of fake_server_start() */
    size_t index;        /* counts the server's requests, from 0 */
    const char *request; /* head and body, followed by a NUL */
    struct buffer text;  /* what is sent, as it is; empty: nothing */
    enum fake_after after;
    unsigned delay_ms; /* before it is sent; nobody else is served meanwhile */
};

/* In the server's thread. */
typedef void fake_answer(struct fake_reply *reply);

struct fake_server;

/* Owned by the caller. Ends the process when there is no socket to be had. */
struct fake_server *fake_server_start(fake_answer *answer, void *context);
void fake_server_stop(struct fake_server *server);

/* "http://127.0.0.1:12345"; as long as the server. */
const char *fake_server_url(const struct fake_server *server);

/* How many requests were read and connections taken. Any thread. */
size_t fake_server_requests(struct fake_server *server);
size_t fake_server_connections(struct fake_server *server);

/* The text of a request; owned by the caller. NULL: there were not so many. */
char *fake_server_request(struct fake_server *server, size_t index);

/* Appends an answer with Content-Length. headers: "" or lines that end in "\r\n". */
void fake_body(struct buffer *out, int status, const char *headers, const char *body);

/* Appends the head of a chunked answer with status 200, one chunk (none when size is 0), and the
 * end. curl hands each chunk on by itself. */
void fake_chunked(struct buffer *out);
void fake_chunk(struct buffer *out, const char *data, size_t size);
void fake_chunked_end(struct buffer *out);

#endif
