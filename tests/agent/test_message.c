#include <criterion/criterion.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "agent/message.h"
#include "base/memory.h"

static struct json_text text_of(const char *text)
{
    return (struct json_text){text, strlen(text), strchr(text, '\\') != NULL};
}

Test(message, headers_that_travel_in_any_case)
{
    for (int i = 0; i < TRAVEL_HEADERS; i++) {
        const char *name = travel_header_names[i];
        size_t length = strlen(name);
        char upper[64], longer[64];
        for (size_t j = 0; j < length; j++)
            upper[j] = (char)toupper((unsigned char)name[j]);
        cr_assert_eq(travel_header(name, length), i);
        cr_assert_eq(travel_header(upper, length), i, "%s", name);
        /* One byte less, one more, one other. */
        cr_assert_eq(travel_header(name, length - 1), -1);
        memcpy(longer, name, length);
        longer[length] = 'x';
        cr_assert_eq(travel_header(longer, length + 1), -1);
        longer[length - 1] ^= 1;
        cr_assert_eq(travel_header(longer, length), -1);
    }
    cr_assert_eq(travel_header("", 0), -1);
    cr_assert_eq(travel_header("host", 4), -1);
    cr_assert_eq(travel_header("content-length", 14), -1);
}

static void check(const char *got, size_t length, const char *expected)
{
    cr_assert_eq(length, strlen(expected), "%.*s", (int)length, got);
    cr_assert_eq(memcmp(got, expected, length), 0, "%.*s", (int)length, got);
}

/* The draft as a message, in an allocation of just what was announced. */
static struct request_message *write_draft(const struct request_draft *draft)
{
    size_t most = draft_length(draft);
    struct request_message *m = xmalloc(most);
    cr_assert_null(draft_check(draft));
    draft_write(draft, 77, m);
    cr_assert_leq(m->length, most);
    cr_assert_leq(message_body(m), (const char *)m + m->length);
    return m;
}

Test(message, holds_what_the_draft_says)
{
    struct request_draft draft = {.method = METHOD_POST,
                                  .path = text_of("/a\\/\\u00e9"),
                                  .query = text_of("x=1&y=\\\"2\\\""),
                                  .body = text_of("{\\\"s0__1\\\":[]}\\n"),
                                  .header_mask = 1u << 0 | 1u << 11 | 1u << 12};
    draft.headers[0] = text_of("id-1");
    draft.headers[11] = text_of("");
    draft.headers[12] = text_of("\\u0041/\\\\");
    struct request_message *m = write_draft(&draft);
    cr_assert_eq(m->source, 77);
    cr_assert_eq(m->method, METHOD_POST);
    check(message_path(m), m->path_length, "/a/\xc3\xa9");
    check(message_query(m), m->query_length, "x=1&y=\"2\"");
    check(message_body(m), message_body_length(m), "{\"s0__1\":[]}\n");
    static const struct {
        int number;
        const char *text;
    } expected[] = {{0, "id-1"}, {11, ""}, {12, "A/\\"}};
    const char *at = message_headers(m);
    cr_assert_eq(m->header_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        int number;
        const char *text;
        uint16_t length;
        at = message_header(at, &number, &text, &length);
        cr_assert_eq(number, expected[i].number);
        check(text, length, expected[i].text);
    }
    cr_assert_eq(at, message_body(m));
    free(m);

    struct request_draft none = {
        .method = METHOD_GET, .path = text_of("/"), .query = text_of(""), .body = text_of("")};
    m = write_draft(&none);
    cr_assert_eq(m->length, sizeof *m + 1);
    cr_assert_eq(m->header_count + m->header_bytes + m->query_length, 0);
    free(m);
}

/* The text of the message's tracestate, which is its last header; "": it has none. */
static void check_tracestate(const struct request_draft *draft, const char *expected)
{
    struct request_message *m = write_draft(draft);
    cr_assert_eq(m->header_count, expected[0] ? 1 : 0);
    if (expected[0]) {
        int number;
        const char *text;
        uint16_t length;
        const char *end = message_header(message_headers(m), &number, &text, &length);
        cr_assert_eq(number, TRACESTATE_HEADER);
        check(text, length, expected);
        cr_assert_eq(end, message_body(m));
    }
    free(m);
}

/* Lines of tracestate are one header, in their order; too many, or too long together, are none. */
Test(message, tracestate)
{
    struct request_draft draft = {.path = text_of("/"), .query = text_of(""), .body = text_of("x")};
    check_tracestate(&draft, "");
    struct json_text lines[] = {text_of("a=1"), text_of(""), text_of("b\\u003d2 , c=3")};
    for (unsigned i = 0; i < 3; i++)
        draft_add_tracestate(&draft, &lines[i]);
    check_tracestate(&draft, "a=1,b=2 , c=3");

    static char most[TRACESTATE_BYTES_MAX + 2];
    memset(most, 'v', TRACESTATE_BYTES_MAX);
    draft.tracestate_count = 0;
    draft_add_tracestate(&draft, &(struct json_text){most, TRACESTATE_BYTES_MAX, false});
    check_tracestate(&draft, most);
    draft_add_tracestate(&draft, &lines[1]);
    check_tracestate(&draft, most);
    draft_add_tracestate(&draft, &lines[0]);
    check_tracestate(&draft, "");

    char joined[2 * TRACESTATE_LINES_MAX] = "v";
    draft.tracestate_count = 0;
    for (unsigned i = 0; i < TRACESTATE_LINES_MAX; i++) {
        draft_add_tracestate(&draft, &(struct json_text){"v", 1, false});
        memcpy(joined + 2 * (size_t)i, "v,", i + 1 < TRACESTATE_LINES_MAX ? 2 : 1);
    }
    check_tracestate(&draft, joined);
    for (unsigned i = 0; i < 300; i++)
        draft_add_tracestate(&draft, &(struct json_text){"v", 1, false});
    check_tracestate(&draft, "");
}

/* The caps hold exactly, and the fields of the head are wide enough for them together. */
Test(message, caps)
{
    static char many[QUERY_MAX_BYTES + 1];
    memset(many, 'q', sizeof many);
    struct request_draft draft = {.path = {many, PATH_MAX_BYTES, false},
                                  .query = {many, QUERY_MAX_BYTES, false},
                                  .body = {many, 1000, false},
                                  .header_mask = (1u << TRAVEL_HEADERS) - 1};
    for (int i = 0; i < TRAVEL_HEADERS; i++)
        draft.headers[i] = (struct json_text){many, HEADER_MAX_BYTES, false};
    struct request_message *m = write_draft(&draft);
    cr_assert_eq(m->path_length, PATH_MAX_BYTES);
    cr_assert_eq(m->query_length, QUERY_MAX_BYTES);
    cr_assert_eq(m->header_bytes, TRAVEL_HEADERS * (3 + HEADER_MAX_BYTES));
    cr_assert_eq(message_body_length(m), 1000);
    free(m);

    draft.path.length++;
    cr_assert_str_eq(draft_check(&draft), "the path is longer than 8192 bytes");
    draft.path.length--;
    draft.query.length++;
    cr_assert_str_eq(draft_check(&draft), "the query string is longer than 32768 bytes");
    draft.query.length--;
    draft.headers[12].length++;
    cr_assert_str_eq(draft_check(&draft), "a header that travels on is longer than 4096 bytes");
    draft.header_mask &= (uint16_t) ~(1u << 12);
    cr_assert_null(draft_check(&draft), "a header that is not given has no length");
}
