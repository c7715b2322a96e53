/*
 * Answers of callees. Whatever the bytes:
 *   - reading ends, and touches no byte beyond the piece that it was given;
 *   - how they are cut into pieces changes nothing: not the end, not the status, not the size;
 *   - nothing is taken beyond the end, and what is over the cap is said to be.
 *
 * The first byte of an input says how the rest is cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http_answer.h"
#include "base/memory.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 5000 };

struct outcome {
    enum http_answer_state state;
    size_t taken;
    unsigned status;
    uint64_t body_bytes;
    bool keep_alive;
};

/* Reads in pieces of this size; 0: in one. */
static struct outcome read_all(const uint8_t *data, size_t size, size_t piece)
{
    struct http_answer answer = {0};
    struct outcome outcome = {.state = HTTP_ANSWER_MORE};
    for (size_t at = 0; at < size && outcome.state == HTTP_ANSWER_MORE;) {
        size_t length = piece && piece < size - at ? piece : size - at, taken = 0;
        char *copy = xmalloc(length);
        memcpy(copy, data + at, length);
        outcome.state = http_answer_feed(&answer, copy, length, BODY_MAX, &taken);
        free(copy);
        REQUIRE(taken <= length);
        REQUIRE(taken == length || outcome.state != HTTP_ANSWER_MORE);
        REQUIRE(answer.begun && answer.held <= HTTP_ANSWER_HEAD_MAX);
        outcome.taken += taken;
        at += length;
    }
    if (outcome.state == HTTP_ANSWER_MORE && http_answer_end(&answer) == HTTP_ANSWER_DONE)
        outcome.state = HTTP_ANSWER_DONE;
    if (outcome.state == HTTP_ANSWER_DONE) {
        REQUIRE(answer.status >= 200 && answer.status <= 999);
        REQUIRE(answer.body_bytes <= BODY_MAX);
        outcome.status = answer.status;
        outcome.body_bytes = answer.body_bytes;
        outcome.keep_alive = answer.keep_alive;
    }
    http_answer_reset(&answer);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct outcome whole = read_all(data + 1, size - 1, 0);
    const size_t pieces[] = {1, 2, (size_t)data[0] + 1};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct outcome cut = read_all(data + 1, size - 1, pieces[i]);
        bool refused = whole.state == HTTP_ANSWER_MALFORMED || whole.state == HTTP_ANSWER_TOO_LARGE;
        /* Where an input is wrong twice, the pieces may decide which is seen first. */
        if (refused) {
            REQUIRE(cut.state == HTTP_ANSWER_MALFORMED || cut.state == HTTP_ANSWER_TOO_LARGE);
            continue;
        }
        REQUIRE(cut.state == whole.state);
        if (whole.state != HTTP_ANSWER_DONE)
            continue;
        REQUIRE(cut.status == whole.status && cut.body_bytes == whole.body_bytes);
        REQUIRE(cut.keep_alive == whole.keep_alive);
        REQUIRE(cut.taken == whole.taken);
    }
    return 0;
}
