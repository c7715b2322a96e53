#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/trace_context.h"

#define TRACE_HIGH 0x4bf92f3577b34da6u
#define TRACE_LOW  0xa3ce929d0e0e4736u
#define SPAN       0x00f067aa0ba902b7u
#define TRACE_TEXT "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN_TEXT  "00f067aa0ba902b7"

static void set(struct trace_headers *headers, enum trace_header header, const char *text)
{
    headers->text[header] = text;
    headers->length[header] = text ? (uint16_t)strlen(text) : 0;
}

static struct trace_context w3c(const char *text)
{
    struct trace_headers headers = {0};
    struct trace_context context;
    set(&headers, TRACE_TRACEPARENT, text);
    trace_context_read(&headers, &context);
    return context;
}

static struct trace_context b3(const char *trace, const char *span, const char *sampled,
                               const char *flags)
{
    struct trace_headers headers = {0};
    struct trace_context context;
    set(&headers, TRACE_B3_TRACEID, trace);
    set(&headers, TRACE_B3_SPANID, span);
    set(&headers, TRACE_B3_SAMPLED, sampled);
    set(&headers, TRACE_B3_FLAGS, flags);
    trace_context_read(&headers, &context);
    return context;
}

static bool none(struct trace_context c)
{
    return c.trace_id[0] == 0 && c.trace_id[1] == 0 && c.span_id == 0 && c.parent_id == 0;
}

static bool ours(struct trace_context c)
{
    return c.trace_id[0] == TRACE_HIGH && c.trace_id[1] == TRACE_LOW && c.span_id == SPAN &&
           c.parent_id == 0;
}

Test(trace_context, the_headers_are_those_that_travel)
{
    static const char *const names[TRACE_HEADERS] = {
        [TRACE_B3_TRACEID] = "x-b3-traceid",     [TRACE_B3_SPANID] = "x-b3-spanid",
        [TRACE_B3_PARENT] = "x-b3-parentspanid", [TRACE_B3_SAMPLED] = "x-b3-sampled",
        [TRACE_B3_FLAGS] = "x-b3-flags",         [TRACE_TRACEPARENT] = "traceparent"};
    unsigned found = 0;
    for (int i = 0; i < TRAVEL_HEADERS; i++) {
        int header = trace_header_of(i);
        if (header < 0)
            continue;
        cr_assert_str_eq(names[header], travel_header_names[i]);
        found |= 1u << header;
    }
    cr_assert_eq(found, (1u << TRACE_HEADERS) - 1);
}

Test(trace_context, traceparents_that_are_valid)
{
    cr_assert(ours(w3c("00-" TRACE_TEXT "-" SPAN_TEXT "-01")));
    cr_assert_eq(w3c("00-" TRACE_TEXT "-" SPAN_TEXT "-01").decision, TRACE_SAMPLED);
    cr_assert_eq(w3c("00-" TRACE_TEXT "-" SPAN_TEXT "-00").decision, TRACE_NOT_SAMPLED);
    cr_assert_eq(w3c("00-" TRACE_TEXT "-" SPAN_TEXT "-ff").decision, TRACE_SAMPLED);
    cr_assert_eq(w3c("00-" TRACE_TEXT "-" SPAN_TEXT "-fe").decision, TRACE_NOT_SAMPLED);
    cr_assert(ours(w3c("01-" TRACE_TEXT "-" SPAN_TEXT "-01")));
    cr_assert(ours(w3c("cc-" TRACE_TEXT "-" SPAN_TEXT "-01-what-the-future-brings")));
    cr_assert(ours(w3c("cc-" TRACE_TEXT "-" SPAN_TEXT "-01-")));
}

Test(trace_context, traceparents_that_are_none)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-" TRACE_TEXT "-" SPAN_TEXT "-0",
        "00-" TRACE_TEXT "-" SPAN_TEXT "-01-",
        "00-" TRACE_TEXT "-" SPAN_TEXT "-01-more",
        "01-" TRACE_TEXT "-" SPAN_TEXT "-01.more",
        "ff-" TRACE_TEXT "-" SPAN_TEXT "-01",
        "0g-" TRACE_TEXT "-" SPAN_TEXT "-01",
        "00-00000000000000000000000000000000-" SPAN_TEXT "-01",
        "00-" TRACE_TEXT "-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN_TEXT "-01",
        "00_" TRACE_TEXT "-" SPAN_TEXT "-01",
        "00-" TRACE_TEXT "_" SPAN_TEXT "-01",
        "00-" TRACE_TEXT "-" SPAN_TEXT "_01",
        "00-" TRACE_TEXT "-" SPAN_TEXT "-0x",
        " 00-" TRACE_TEXT "-" SPAN_TEXT "-01",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct trace_context c = w3c(bad[i]);
        cr_assert(none(c) && c.decision == TRACE_DECIDE, "%s", bad[i]);
    }
}

Test(trace_context, b3_of_both_lengths_and_its_decisions)
{
    cr_assert(ours(b3(TRACE_TEXT, SPAN_TEXT, NULL, NULL)));
    cr_assert(ours(b3("4BF92F3577B34DA6A3CE929D0E0E4736", "00F067AA0BA902B7", NULL, NULL)));
    struct trace_context half = b3("a3ce929d0e0e4736", SPAN_TEXT, NULL, NULL);
    cr_assert(half.trace_id[0] == 0 && half.trace_id[1] == TRACE_LOW && half.span_id == SPAN);
    static const struct {
        const char *sampled, *flags;
        enum trace_decision decision;
    } cases[] = {
        {NULL, NULL, TRACE_DECIDE},     {"1", NULL, TRACE_SAMPLED},
        {"true", NULL, TRACE_SAMPLED},  {"d", NULL, TRACE_SAMPLED},
        {"0", NULL, TRACE_NOT_SAMPLED}, {"false", NULL, TRACE_NOT_SAMPLED},
        {NULL, "1", TRACE_SAMPLED},     {"0", "1", TRACE_SAMPLED},
        {NULL, "0", TRACE_DECIDE},      {"yes", NULL, TRACE_DECIDE},
        {"", NULL, TRACE_DECIDE},       {"11", NULL, TRACE_DECIDE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(b3(TRACE_TEXT, SPAN_TEXT, cases[i].sampled, cases[i].flags).decision,
                     cases[i].decision, "%zu", i);
        /* Without ids it is a decision all the same. */
        struct trace_context c = b3(NULL, NULL, cases[i].sampled, cases[i].flags);
        cr_assert(none(c) && c.decision == cases[i].decision, "%zu", i);
    }
}

Test(trace_context, b3_that_is_none)
{
    cr_assert(none(b3(TRACE_TEXT, NULL, NULL, NULL)));
    cr_assert(none(b3(NULL, SPAN_TEXT, NULL, NULL)));
    cr_assert(none(b3("0" TRACE_TEXT, SPAN_TEXT, NULL, NULL)));
    cr_assert(none(b3("4bf92f3577b34da", SPAN_TEXT, NULL, NULL)));
    cr_assert(none(b3("4bf92f3577b34dag", SPAN_TEXT, NULL, NULL)));
    cr_assert(none(b3(TRACE_TEXT, "0000000000000000", NULL, NULL)));
    cr_assert(none(b3("0000000000000000", SPAN_TEXT, NULL, NULL)));
    cr_assert(none(b3("00000000000000000000000000000000", SPAN_TEXT, NULL, NULL)));
    cr_assert(none(b3(TRACE_TEXT, SPAN_TEXT "0", NULL, NULL)));
}

/* The draft's x-b3-traceid, -spanid, -parentspanid, -sampled and -flags, "-" for none. */
static char *expanded(const char *single)
{
    static char text[256];
    struct request_draft draft = {.b3 = {single, strlen(single), false}};
    draft.header_mask = 1u << 2;
    draft.headers[2] = (struct json_text){"old", 3, false};
    trace_b3_expand(&draft);
    size_t used = 0;
    for (unsigned i = 1; i <= 5; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s", i > 1 ? " " : "",
                                 draft.header_mask & 1u << i ? (int)draft.headers[i].length : 1,
                                 draft.header_mask & 1u << i ? draft.headers[i].data : "-");
    return text;
}

Test(trace_context, b3_in_one_header)
{
    static const struct {
        const char *single, *headers;
    } cases[] = {
        {TRACE_TEXT "-" SPAN_TEXT, TRACE_TEXT " " SPAN_TEXT " - - -"},
        {TRACE_TEXT "-" SPAN_TEXT "-1", TRACE_TEXT " " SPAN_TEXT " - 1 -"},
        {TRACE_TEXT "-" SPAN_TEXT "-0", TRACE_TEXT " " SPAN_TEXT " - 0 -"},
        {TRACE_TEXT "-" SPAN_TEXT "-d", TRACE_TEXT " " SPAN_TEXT " - - 1"},
        {"a3ce929d0e0e4736-" SPAN_TEXT "-1-05e3ac9a4f6e3b90",
         "a3ce929d0e0e4736 " SPAN_TEXT " 05e3ac9a4f6e3b90 1 -"},
        {"0", "- - - 0 -"},
        {"1", "- - - 1 -"},
        {"d", "- - - - 1"},
        /* none of these: what stood there stays */
        {"2", "- old - - -"},
        {TRACE_TEXT, "- old - - -"},
        {TRACE_TEXT "-", "- old - - -"},
        {TRACE_TEXT "0-" SPAN_TEXT, "- old - - -"},
        {"x3ce929d0e0e4736-" SPAN_TEXT, "- old - - -"},
        {TRACE_TEXT "-" SPAN_TEXT "-2", "- old - - -"},
        {TRACE_TEXT "-" SPAN_TEXT "-01", "- old - - -"},
        {TRACE_TEXT "-" SPAN_TEXT "-1-05e3ac9a", "- old - - -"},
        {TRACE_TEXT "-" SPAN_TEXT "-1-05e3ac9a4f6e3b90-1", "- old - - -"},
        {"-", "- old - - -"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_str_eq(expanded(cases[i].single), cases[i].headers, "%s", cases[i].single);
    cr_expect(trace_b3_single("b3", 2) && trace_b3_single("B3", 2));
    cr_expect(!trace_b3_single("b3x", 3) && !trace_b3_single("c3", 2) && !trace_b3_single("b", 1));
}

Test(trace_context, traceparent_goes_before_b3_if_it_is_valid)
{
    struct trace_headers headers = {0};
    struct trace_context context;
    set(&headers, TRACE_B3_TRACEID, "1111111111111111");
    set(&headers, TRACE_B3_SPANID, "2222222222222222");
    set(&headers, TRACE_TRACEPARENT, "00-" TRACE_TEXT "-" SPAN_TEXT "-01");
    trace_context_read(&headers, &context);
    cr_assert(ours(context));
    set(&headers, TRACE_TRACEPARENT, "00-" TRACE_TEXT);
    trace_context_read(&headers, &context);
    cr_assert(context.trace_id[1] == 0x1111111111111111u && context.span_id == 0x2222222222222222u);
}

Test(trace_context, what_is_written)
{
    char text[TRACE_HEADERS_BYTES + 1];
    struct trace_context context = {{TRACE_HIGH, TRACE_LOW}, SPAN, 0x1234, TRACE_SAMPLED};
    *trace_context_write(&context, text) = '\0';
    cr_assert_str_eq(text, "traceparent: 00-" TRACE_TEXT "-" SPAN_TEXT "-01\r\n"
                           "x-b3-traceid: " TRACE_TEXT "\r\n"
                           "x-b3-spanid: " SPAN_TEXT "\r\n"
                           "x-b3-parentspanid: 0000000000001234\r\n"
                           "x-b3-sampled: 1\r\n");
    cr_assert_lt(strlen(text), TRACE_HEADERS_BYTES);
    context = (struct trace_context){{0, TRACE_LOW}, SPAN, 0, TRACE_NOT_SAMPLED};
    *trace_context_write(&context, text) = '\0';
    cr_assert_str_eq(text, "traceparent: 00-0000000000000000a3ce929d0e0e4736-" SPAN_TEXT "-00\r\n"
                           "x-b3-traceid: a3ce929d0e0e4736\r\n"
                           "x-b3-spanid: " SPAN_TEXT "\r\n"
                           "x-b3-sampled: 0\r\n");
}

Test(trace_context, headers_of_drafts_and_messages)
{
    struct request_draft draft = {.path = {"/", 1, false},
                                  .query = {"", 0, false},
                                  .body = {"", 0, false},
                                  .header_mask = 1u << 0 | 1u << 1 | 1u << 11};
    draft.headers[0] = (struct json_text){"abc", 3, false};
    draft.headers[1] = (struct json_text){"\\u0061b", 7, true};
    draft.headers[11] = (struct json_text){"tp", 2, false};
    union {
        struct request_message message;
        char bytes[256];
    } room;
    cr_assert_leq(draft_length(&draft), sizeof room);
    draft_write(&draft, 0, &room.message);
    cr_assert_eq(room.message.trace, 0);
    struct trace_headers of_draft = {0}, of_message = {0};
    trace_headers_of_draft(&draft, &of_draft);
    trace_headers_of_message(&room.message, &of_message);
    cr_assert_null(of_draft.text[TRACE_B3_TRACEID]); /* it has an escape */
    cr_assert(of_message.length[TRACE_B3_TRACEID] == 2 &&
              memcmp(of_message.text[TRACE_B3_TRACEID], "ab", 2) == 0);
    for (unsigned i = 0; i < 2; i++) {
        const struct trace_headers *h = i ? &of_draft : &of_message;
        cr_assert(h->length[TRACE_TRACEPARENT] == 2 &&
                  memcmp(h->text[TRACE_TRACEPARENT], "tp", 2) == 0);
        cr_assert_null(h->text[TRACE_B3_SAMPLED]);
    }
}
