/*
 * Reading answers out of a byte stream, as cheaply as can be: a frame that lies whole in the
 * receive buffer is never copied, and nothing is allocated for it.
 *
 *     struct load_reader reader;
 *     load_reader_init(&reader, LOAD_ANSWER_FRAMES);
 *     while ((r = load_reader_next(&reader, &data, &length, &answer)) > 0)
 *         ... one answer ...
 *     at the end of the stream: load_reader_end(&reader, &answer)
 *     load_reader_free(&reader);
 *
 * Three kinds of stream:
 *   LOAD_ANSWER_OBJECT  one JSON object, then the end of the stream: the bridge's one-shot clients
 *   LOAD_ANSWER_FRAMES  a JSON object a line
 *   LOAD_ANSWER_ANY     a line is an answer, whatever it says (a raw echo server); its status is 0
 *   LOAD_ANSWER_HTTP    HTTP/1.1 responses: Content-Length, chunked, or up to the end of the stream
 *
 * A reader belongs to one thread and owns only the bytes of an answer that is not whole yet, at
 * most LOAD_ANSWER_BYTES_MAX.
 */
#ifndef DPUMESH_CTL_LOAD_ANSWER_H
#define DPUMESH_CTL_LOAD_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
    LOAD_ANSWER_BYTES_MAX = 64 << 20, /* of a frame, or of a one-shot answer */
    LOAD_ANSWER_HEAD_MAX = 64 << 10   /* of an HTTP response's head */
};

enum load_answer_kind { LOAD_ANSWER_OBJECT, LOAD_ANSWER_FRAMES, LOAD_ANSWER_ANY, LOAD_ANSWER_HTTP };

struct load_answer {
    int status;       /* 100 to 999; 0 for LOAD_ANSWER_ANY */
    int64_t req_id;   /* -1 when the answer has none */
    unsigned surplus; /* load_reader_end() only: objects after the first one */
    bool host_busy;   /* the agent says that it does not keep the model's time */
};

struct load_reader {
    enum load_answer_kind kind;
    bool no_body;                /* HTTP: the request was a HEAD */
    bool close;                  /* HTTP: the server said that it closes after this response */
    uint8_t state;               /* HTTP: what comes next */
    struct load_answer response; /* HTTP: of the head already read */
    uint64_t remaining;          /* HTTP: body bytes to come */
    struct buffer carry;         /* the front of an answer that is not whole */
};

/* An empty reader. */
void load_reader_init(struct load_reader *reader, enum load_answer_kind kind);

/* Forgets what was read, for a new connection; keeps the memory. */
void load_reader_reset(struct load_reader *reader);

/* Frees the carried bytes. */
void load_reader_free(struct load_reader *reader);

/*
 * Takes bytes from *data (*length of them, both are moved on) until one answer is complete. 1 and
 * *ret; 0 when all bytes were taken and more are needed; -EPROTO when the stream is no such stream,
 * and nothing more can be read from it.
 */
int load_reader_next(struct load_reader *reader, const char **data, size_t *length,
                     struct load_answer *ret);

/*
 * The stream has ended. 1 and *ret when that completes an answer; 0 when nothing was begun;
 * -EPROTO when an answer was cut or is none.
 */
int load_reader_end(struct load_reader *reader, struct load_answer *ret);

/*
 * Reads one JSON object of the bridge at the front of text, in any order of keys: finds where it
 * ends, and its status and req_id. Returns its length, or 0 when it is not a whole object with a
 * status from 100 to 999. Strings and nesting are followed, nothing else is checked.
 */
size_t load_object_read(const char *text, size_t length, struct load_answer *ret);

#endif
