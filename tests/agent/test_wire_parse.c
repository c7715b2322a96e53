/* What a frame asks for: the second half of agent/wire.c; test_wire.c has where a frame ends. */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/wire.h"
#include "base/buffer.h"
#include "base/memory.h"
#include "model/random.h"

#define BYTES(text) text, sizeof(text) - 1

/* A parsed frame: the draft's views are into the copy, which is of exactly the frame's size. */
struct parsed {
    char *copy;
    int result;
    struct request_draft draft;
    char sentence[WIRE_SENTENCE_MAX];
};

static void parse(const char *text, size_t length, struct parsed *p)
{
    p->copy = xmalloc(length ? length : 1);
    memcpy(p->copy, text, length);
    p->sentence[0] = '\0';
    p->result = wire_parse(p->copy, length, &p->draft, p->sentence);
}

static void check_text(const struct json_text *text, const char *expected, size_t length,
                       const char *frame)
{
    char *plain = xmalloc(text->length + 1);
    size_t got = json_unescape(text, plain);
    cr_assert(got == length && memcmp(plain, expected, length) == 0, "%.*s, not %s, in %s",
              (int)got, plain, expected, frame);
    free(plain);
}

struct parse_case {
    const char *text;
    enum request_method method;
    const char *path, *query, *body;
    const char *headers[2]; /* x-request-id, traceparent; NULL: absent */
};

#define NO_HEADERS                                                                                 \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }
#define HEADER_CASE(names) "{\"headers\":{" names "}}"

Test(wire_parse, members_and_their_defaults)
{
    static const struct parse_case cases[] = {
        {"{}", METHOD_GET, "/", "", "", NO_HEADERS},
        {" \t\r\n{ } \n", METHOD_GET, "/", "", "", NO_HEADERS},
        {"{\"method\":\"POST\",\"path\":\"/a\",\"headers\":{\"Content-Type\":\"text/plain\","
         "\"x-request-id\":\"7\"},\"body\":\"{}\",\"query_string\":\"b=c\"}",
         METHOD_POST,
         "/a",
         "b=c",
         "{}",
         {"7", NULL}},
        {"{\"query_string\":\"q\", \"body\":\"x\", \"headers\":{}, \"path\":\"\", \"method\":\"\"}",
         METHOD_OTHER, "", "q", "x", NO_HEADERS},
        {"{\"method\":\"GET\"}", METHOD_GET, "/", "", "", NO_HEADERS},
        {"{\"method\":\"HEAD\"}", METHOD_HEAD, "/", "", "", NO_HEADERS},
        {"{\"method\":\"get\"}", METHOD_OTHER, "/", "", "", NO_HEADERS},
        {"{\"method\":\"POSTS\"}", METHOD_OTHER, "/", "", "", NO_HEADERS},
        {"{\"method\":\"\\u0050OST\"}", METHOD_POST, "/", "", "", NO_HEADERS},
        {"{\"body\":null}", METHOD_GET, "/", "", "", NO_HEADERS},
        {"{\"body\":\"\\u0000\\n\\ud83d\\ude00\"}", METHOD_GET, "/", "", "@\n\xf0\x9f\x98\x80",
         NO_HEADERS},
        /* Names may be written with escapes; others, and ours in another case, are passed over. */
        {"{\"p\\u0061th\":\"/p\",\"\\u0062ody\":\"b\"}", METHOD_GET, "/p", "", "b", NO_HEADERS},
        {"{\"Path\":1,\"path2\":[],\"x\":{\"path\":\"/no\"},\"\":null,\"pat\":true,\"x\":-1.5e3}",
         METHOD_GET, "/", "", "", NO_HEADERS},
        /* Headers that travel, in any case and with escapes; the others may be anything. */
        {HEADER_CASE("\"X-REQUEST-ID\":\"a\",\"traceParent\":\"\""),
         METHOD_GET,
         "/",
         "",
         "",
         {"a", ""}},
        {HEADER_CASE("\"x\\u002drequest-id\":\"\\\"\\\\\\u00e9\""),
         METHOD_GET,
         "/",
         "",
         "",
         {"\"\\\xc3\xa9", NULL}},
        {HEADER_CASE("\"a\":\"\\n\",\"a\":\"\x7f\",\"x-request-id2\":\"\\u0000\""), METHOD_GET, "/",
         "", "", NO_HEADERS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct parse_case *c = &cases[i];
        static const int numbers[2] = {0, 11};
        struct parsed p;
        char body[16];
        parse(c->text, strlen(c->text), &p);
        cr_assert_eq(p.result, 0, "%s: %s", c->text, p.sentence);
        cr_assert_eq(p.draft.method, c->method, "%s", c->text);
        check_text(&p.draft.path, c->path, strlen(c->path), c->text);
        check_text(&p.draft.query, c->query, strlen(c->query), c->text);
        size_t length = strlen(c->body);
        for (size_t j = 0; j < length; j++)
            body[j] = c->body[j] == '@' ? '\0' : c->body[j];
        check_text(&p.draft.body, body, length, c->text);
        uint16_t mask = 0;
        for (unsigned j = 0; j < 2; j++) {
            if (!c->headers[j])
                continue;
            mask |= (uint16_t)(1u << numbers[j]);
            check_text(&p.draft.headers[numbers[j]], c->headers[j], strlen(c->headers[j]), c->text);
        }
        cr_assert_eq(p.draft.header_mask, mask, "%s", c->text);
        free(p.copy);
    }
}

/* Every header that travels is taken, each at its own place. */
Test(wire_parse, all_headers_that_travel)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(4096);
    struct parsed p;
    buffer_puts(&text, "{\"headers\":{");
    for (int i = TRAVEL_HEADERS - 1; i >= 0; i--)
        buffer_printf(&text, "\"%s\":\"%d\"%s", travel_header_names[i], i, i ? "," : "}}");
    parse(text.data, text.length, &p);
    cr_assert_eq(p.result, 0, "%s", p.sentence);
    cr_assert_eq(p.draft.header_mask, (1u << TRAVEL_HEADERS) - 1);
    for (int i = 0; i < TRAVEL_HEADERS; i++) {
        char number[4];
        check_text(&p.draft.headers[i], number, (size_t)snprintf(number, sizeof number, "%d", i),
                   travel_header_names[i]);
    }
    free(p.copy);
}

static void check_refusal(const char *text, size_t length, const char *why, size_t at)
{
    char expected[WIRE_SENTENCE_MAX];
    struct parsed p;
    parse(text, length, &p);
    snprintf(expected, sizeof expected, "the request can't be read: %s, at byte %zu", why, at);
    cr_assert_eq(p.result, -EINVAL, "%s", text);
    cr_assert_str_eq(p.sentence, expected, "%s: %s", text, p.sentence);
    free(p.copy);
}

#define NO_OBJECT      "a JSON object is expected"
#define BODY_TYPE      "body must be a string (JSON inside it as text) or null"
#define HEADERS_TYPE   "headers must be an object of strings"
#define CONTROL_HEADER "a control character stands in a header that travels on"
#define UTF8_HEADER    HEADER_CASE("\"x-request-id\":\"\xff\"")

Test(wire_parse, refusals)
{
    static const struct {
        const char *text, *why;
        size_t at;
    } cases[] = {
        {"", NO_OBJECT, 0},
        {"  ", NO_OBJECT, 2},
        {"[]", NO_OBJECT, 0},
        {" \"{}\"", NO_OBJECT, 1},
        {"{} {}", "something follows the object", 3},
        {"{}x", "something follows the object", 2},
        {"{\"path\":\"/\"", "',' or '}' is expected", 11},
        {"{\"path\" \"/\"}", "':' is expected after a member's name", 8},
        {"{path:1}", "a member's name in double quotes is expected", 1},
        {"{\"path\":\"/\",}", "a member's name in double quotes is expected", 12},
        /* Wrong types. */
        {"{\"method\":1}", "method must be a string", 10},
        {"{\"method\":null}", "method must be a string", 10},
        {"{\"path\": [\"/\"]}", "path must be a string", 9},
        {"{\"path\":}", "path must be a string", 8},
        {"{\"query_string\":{}}", "query_string must be a string", 16},
        {"{\"body\":{\"s0\":[]}}", BODY_TYPE, 8},
        {"{\"body\":nul}", BODY_TYPE, 8},
        {"{\"body\":false}", BODY_TYPE, 8},
        {"{\"headers\":null}", HEADERS_TYPE, 11},
        {"{\"headers\":[]}", HEADERS_TYPE, 11},
        {"{\"headers\":\"\"}", HEADERS_TYPE, 11},
        {HEADER_CASE("\"a\":1"), HEADERS_TYPE, 16},
        {HEADER_CASE("\"a\":\"b\",\"c\":null"), HEADERS_TYPE, 24},
        /* Members given twice, also when the other one has escapes or is null. */
        {"{\"method\":\"GET\",\"method\":\"GET\"}", "method is given twice", 25},
        {"{\"path\":\"/\",\"p\\u0061th\":\"/\"}", "path is given twice", 24},
        {"{\"query_string\":\"\",\"query_string\":1}", "query_string is given twice", 34},
        {"{\"body\":null,\"body\":null}", "body is given twice", 20},
        {"{\"body\":\"\",\"body\":null}", "body is given twice", 18},
        {"{\"body\":null,\"body\":\"\"}", "body is given twice", 20},
        {"{\"headers\":{},\"headers\":null}", "headers is given twice", 24},
        {HEADER_CASE("\"x-b3-flags\":\"\",\"X-B3-Flags\":\"\""), "a header is given twice", 43},
        {HEADER_CASE("\"traceparent\":\"a\",\"tracepar\\u0065nt\":\"a\""),
         "a header is given twice", 52},
        /* A travelling header becomes a line of HTTP. */
        {HEADER_CASE("\"traceparent\":\"a\\r\\nHost: b\""), CONTROL_HEADER, 40},
        {HEADER_CASE("\"traceparent\":\"\\u0000\""), CONTROL_HEADER, 34},
        {HEADER_CASE("\"traceparent\":\"\\u007f\""), CONTROL_HEADER, 34},
        {HEADER_CASE("\"traceparent\":\"\\t\""), CONTROL_HEADER, 30},
        {HEADER_CASE("\"traceparent\":\"\x7f\""), CONTROL_HEADER, 29},
        {HEADER_CASE("\"tracepar\\u0065nt\":\"\\n\""), CONTROL_HEADER, 35},
        /* What the JSON reader says comes through, in values that are passed over too. */
        {UTF8_HEADER, "a string is not valid UTF-8", 28},
        {"{\"x\":tru}", "a value is expected", 5},
        {"{\"x\":1,\"x\"}", "':' is expected after a member's name", 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_refusal(cases[i].text, strlen(cases[i].text), cases[i].why, cases[i].at);
    check_refusal(BYTES("\0{}"), NO_OBJECT, 0);
    check_refusal(BYTES("{}\0"), "something follows the object", 2);
}

/* The longest path, query and header that are taken, and one byte more. */
Test(wire_parse, caps_of_members)
{
    static const struct {
        const char *before;
        size_t max;
        const char *after, *why;
    } cases[] = {
        {"{\"path\":\"", PATH_MAX_BYTES, "\"}", "the path is longer than 8192 bytes"},
        {"{\"query_string\":\"", QUERY_MAX_BYTES, "\"}",
         "the query string is longer than 32768 bytes"},
        {"{\"headers\":{\"x-request-id\":\"", HEADER_MAX_BYTES, "\"}}",
         "a header that travels on is longer than 4096 bytes"},
        /* With an escape its text is looked through, and there is room for all of it. */
        {"{\"headers\":{\"x-request-id\":\"\\\\", HEADER_MAX_BYTES - 2, "\"}}",
         "a header that travels on is longer than 4096 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t length = cases[i].max; length <= cases[i].max + 1; length++) {
            cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16);
            struct parsed p;
            buffer_puts(&text, cases[i].before);
            for (size_t j = 0; j < length; j++)
                buffer_puts(&text, "x");
            buffer_puts(&text, cases[i].after);
            if (length > cases[i].max) {
                check_refusal(text.data, text.length, cases[i].why, text.length);
                continue;
            }
            parse(text.data, text.length, &p);
            cr_assert_eq(p.result, 0, "%s", p.sentence);
            free(p.copy);
        }
}

/* Texts of the greatest length that is looked through, and names longer than any of ours. */
Test(wire_parse, long_texts_with_escapes)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16);
    struct parsed p;
    buffer_puts(&text, "{\"headers\":{\"x-request-id\":\"");
    for (unsigned i = 0; i < HEADER_MAX_BYTES - 2; i++)
        buffer_puts(&text, "x");
    buffer_puts(&text, "\\n\"}}");
    check_refusal(text.data, text.length, CONTROL_HEADER, text.length - 2);

    buffer_clear(&text);
    buffer_puts(&text, "{\"headers\":{\"x\\u002d");
    for (unsigned i = 0; i < 500; i++)
        buffer_puts(&text, "\\u0061");
    buffer_puts(&text, "\":\"\\n\"}}");
    parse(text.data, text.length, &p);
    cr_assert_eq(p.result, 0, "%s", p.sentence);
    cr_assert_eq(p.draft.header_mask, 0);
    free(p.copy);
}

/* Members to make requests of, right and wrong; most frames of a few of them are right. */
static const char *const snippets[] = {
    "\"method\":\"GET\"",
    "\"method\":\"POST\"",
    "\"m\\u0065thod\" : \"PUT\"",
    "\"path\":\"/api/v1\"",
    "\"path\":\"/\\u00e9\\/\"",
    "\"path\":null",
    "\"query_string\":\"a=1&b=\\\"2\\\"\"",
    "\"query_string\":[]",
    "\"body\":\"{\\\"s0\\\":[{}]}\\n\"",
    "\"body\":null",
    "\"body\":\"\\u0000\\ud83d\\ude00\"",
    "\"body\":{}",
    "\"headers\":{}",
    "\"headers\":{\"X-Request-Id\":\"1\",\"Accept\":\"*/*\"}",
    "\"headers\":{\"traceparent\":\"00-\xc3\xa9\",\"x-b3-flags\":\"\\/\",\"a\":\"\\n\"}",
    "\"headers\":{\"x-request-id\":\"a\\u000ab\"}",
    "\"headers\":{\"x-b3-flags\":\"1\",\"x-B3-flags\":\"1\"}",
    "\"headers\":null",
    "\"other\":[1,-2.5e3,true,{\"path\":\"x\"}]",
    "\"\\u0070ath2\":{\"headers\":null}",
};
enum { SNIPPETS = sizeof snippets / sizeof snippets[0], FRAME_MAX = 1024 };

static size_t random_frame(struct random_stream *r, char *out)
{
    size_t length = 0;
    out[length++] = '{';
    for (uint64_t n = random_range(r, 0, 4); n > 0; n--) {
        const char *snippet = snippets[random_range(r, 0, SNIPPETS - 1)];
        memcpy(out + length, snippet, strlen(snippet));
        length += strlen(snippet);
        if (n > 1)
            out[length++] = ',';
    }
    out[length++] = '}';
    /* Half of them stay as they are; of the others a byte or two are changed, lost or doubled. */
    for (uint64_t n = random_range(r, 0, 3); n > 1; n--) {
        static const char likely[] = "{}[]\",:\\u0ntxX1- \x01\x7f\xc3\xff";
        size_t at = (size_t)random_range(r, 0, length - 1);
        uint64_t how = random_range(r, 0, 3);
        if (how == 0 && length > 1) {
            memmove(out + at, out + at + 1, length - at - 1);
            length--;
        } else if (how == 1) {
            memmove(out + at + 1, out + at, length - at);
            length++;
        } else {
            out[at] = likely[random_range(r, 0, sizeof likely - (how == 2 ? 2 : 1))];
        }
    }
    return length;
}

static bool is_string_or_absent(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return !value || json_is_string(value);
}

/* Whether the bridge's rules allow what jansson read; counts the headers that travel. */
static bool allowed(json_t *object, unsigned *ret_mask)
{
    json_t *headers = json_object_get(object, "headers"), *value;
    const json_t *body = json_object_get(object, "body");
    const char *name;
    bool good = is_string_or_absent(object, "method") && is_string_or_absent(object, "path") &&
                is_string_or_absent(object, "query_string") &&
                (!body || json_is_null(body) || json_is_string(body)) &&
                (!headers || json_is_object(headers));
    *ret_mask = 0;
    json_object_foreach(headers, name, value)
    {
        int number = travel_header(name, strlen(name));
        const char *text = json_string_value(value);
        good = good && text;
        if (!text || number < 0)
            continue;
        good = good && !(*ret_mask & 1u << number);
        *ret_mask |= 1u << number;
        for (size_t i = 0; i < json_string_length(value); i++)
            good = good && (unsigned char)text[i] >= 0x20 && text[i] != 0x7f;
    }
    return good;
}

static void check_member(const struct json_text *text, const json_t *object, const char *name,
                         const char *fallback, const char *frame)
{
    const json_t *value = json_object_get(object, name);
    if (json_is_string(value))
        check_text(text, json_string_value(value), json_string_length(value), frame);
    else
        check_text(text, fallback, strlen(fallback), frame);
}

static enum request_method method_named(const char *name)
{
    return !name || strcmp(name, "GET") == 0 ? METHOD_GET
           : strcmp(name, "POST") == 0       ? METHOD_POST
           : strcmp(name, "HEAD") == 0       ? METHOD_HEAD
                                             : METHOD_OTHER;
}

/* The members are those of the tree; of headers given twice that do not travel, any. */
static void check_draft(const struct request_draft *draft, json_t *object, const char *frame)
{
    unsigned mask;
    const char *name;
    json_t *value;
    cr_assert(allowed(object, &mask), "%s", frame);
    cr_assert_eq(draft->header_mask, mask, "%s", frame);
    cr_assert_eq(draft->method, method_named(json_string_value(json_object_get(object, "method"))),
                 "%s", frame);
    check_member(&draft->path, object, "path", "/", frame);
    check_member(&draft->query, object, "query_string", "", frame);
    check_member(&draft->body, object, "body", "", frame);
    json_object_foreach(json_object_get(object, "headers"), name, value)
    {
        int number = travel_header(name, strlen(name));
        if (number >= 0)
            check_text(&draft->headers[number], json_string_value(value), json_string_length(value),
                       frame);
    }
}

/* What was judged, so that the test can tell that it judged enough of each kind. */
struct verdicts {
    unsigned taken, wrong_json, wrong_members, twice;
};

static void judge(const char *frame, size_t length, struct verdicts *seen)
{
    json_error_t error;
    struct parsed p;
    unsigned mask;
    json_auto_t *tree = json_loadb(frame, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    bool twice = !tree && json_error_code(&error) == json_error_duplicate_key;
    /* A name may be given twice where it means nothing to us: what is taken is compared still. */
    json_auto_t *lenient = twice ? json_loadb(frame, length, JSON_ALLOW_NUL, &error) : NULL;
    const bool beyond = !tree && (json_error_code(&error) == json_error_numeric_overflow ||
                                  json_error_code(&error) == json_error_null_byte_in_key);
    parse(frame, length, &p);
    if (p.result == 0 && !beyond) {
        json_t *object = tree ? tree : lenient;
        cr_assert(json_is_object(object), "%s is taken, jansson says %s", frame, error.text);
        check_draft(&p.draft, object, frame);
        seen->taken++;
    } else if (json_is_object(tree)) {
        cr_assert_not(allowed(tree, &mask), "%s is refused: %s", frame, p.sentence);
        seen->wrong_members++;
    } else {
        seen->wrong_json += !twice;
        seen->twice += twice;
    }
    for (const char *c = p.sentence; *c; c++)
        cr_assert(*c >= 0x20 && *c < 0x7f, "%s", p.sentence);
    free(p.copy);
}

/* Both ways: what we take is what jansson read, and what we refuse jansson refuses, or our rules
 * for members do. */
Test(wire_parse, agrees_with_jansson, .timeout = 60)
{
    struct verdicts seen = {0};
    struct random_stream r;
    random_seed(&r, 5005, 0);
    for (unsigned round = 0; round < 60000; round++) {
        char frame[FRAME_MAX + 1];
        size_t length = random_frame(&r, frame);
        cr_assert_leq(length, FRAME_MAX);
        frame[length] = '\0';
        /* jansson overlooks a NUL behind a literal; test_json.c has them. */
        if (!memchr(frame, '\0', length))
            judge(frame, length, &seen);
    }
    cr_assert(seen.taken > 5000 && seen.wrong_json > 5000 && seen.wrong_members > 5000 &&
                  seen.twice > 2000,
              "one-sided: %u taken, %u no JSON, %u wrong, %u with a name twice", seen.taken,
              seen.wrong_json, seen.wrong_members, seen.twice);
}
