/*
 * Headers that say where a request belongs in a trace, and what a collector answers. The first byte
 * chooses: 'c' context headers, one a line in the order of enum trace_header, an empty line is an
 * absent header; 'p' the answer to a POST. Whatever the bytes:
 *   - what is read as a trace has ids that are not zero, and what is written of it reads the same;
 *   - what is no trace is all zero but for the decision.
 * Each header has an allocation of its own size, so that AddressSanitizer sees a step past it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/trace_context.h"
#include "agent/trace_post.h"
#include "base/memory.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads what was written, by one kind of header. */
static void read_back(const char *text, const struct trace_context *written, bool b3)
{
    static const char *const names[TRACE_HEADERS] = {
        "\nx-b3-traceid: ", "\nx-b3-spanid: ", "\nx-b3-parentspanid: ",
        "\nx-b3-sampled: ", "\nx-b3-flags: ",  "\ntraceparent: "};
    struct trace_headers headers = {0};
    struct trace_context again;
    for (unsigned i = 0; i < TRACE_HEADERS; i++) {
        const char *at = strstr(text, names[i]);
        if (!at || (i == TRACE_TRACEPARENT) == b3)
            continue;
        headers.text[i] = at + strlen(names[i]);
        headers.length[i] = (uint16_t)strcspn(headers.text[i], "\r");
    }
    trace_context_read(&headers, &again);
    REQUIRE(again.trace_id[0] == written->trace_id[0] && again.trace_id[1] == written->trace_id[1]);
    REQUIRE(again.span_id == written->span_id && again.decision == written->decision);
}

static void check_context(const struct trace_headers *headers)
{
    struct trace_context context;
    trace_context_read(headers, &context);
    REQUIRE(context.decision <= TRACE_NOT_SAMPLED && context.parent_id == 0);
    if (!context.trace_id[0] && !context.trace_id[1]) {
        REQUIRE(context.span_id == 0);
        return;
    }
    REQUIRE(context.span_id != 0);
    char *text = xmalloc(1 + TRACE_HEADERS_BYTES + 1);
    text[0] = '\n';
    context.parent_id = context.span_id ^ 1;
    if (context.decision == TRACE_DECIDE)
        context.decision = TRACE_SAMPLED;
    char *end = trace_context_write(&context, text + 1);
    REQUIRE(end <= text + 1 + TRACE_HEADERS_BYTES);
    *end = '\0';
    read_back(text, &context, false);
    read_back(text, &context, true);
    free(text);
}

static void read_context(const char *text, size_t length)
{
    struct trace_headers headers = {0};
    char *owned[TRACE_HEADERS] = {NULL};
    for (unsigned i = 0; i < TRACE_HEADERS; i++) {
        const char *newline = memchr(text, '\n', length);
        size_t line = newline ? (size_t)(newline - text) : length;
        size_t kept = line < UINT16_MAX ? line : UINT16_MAX;
        if (kept > 0) {
            owned[i] = xmalloc(kept);
            memcpy(owned[i], text, kept);
            headers.text[i] = owned[i];
            headers.length[i] = (uint16_t)kept;
        }
        text += line + (newline != NULL);
        length -= line + (newline != NULL);
    }
    check_context(&headers);
    for (unsigned i = 0; i < TRACE_HEADERS; i++)
        free(owned[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    cleanup_free char *text = xstrndup((const char *)data + 1, size - 1);
    if (data[0] == 'c') {
        read_context((const char *)data + 1, size - 1);
    } else if (data[0] == 'p') {
        struct trace_post_result result = {.status = 200};
        trace_post_read(text, &result);
        REQUIRE(result.status == 200 && result.retry_after_s <= 3600);
    }
    return 0;
}
