#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/json.h"
#include "base/buffer.h"
#include "base/memory.h"
#include "model/random.h"

/* A copy in an allocation of its own size, so that AddressSanitizer sees a step past it. */
static char *exact(const char *text, size_t length)
{
    char *copy = xmalloc(length ? length : 1);
    memcpy(copy, text, length);
    return copy;
}

/* Why our reader refuses the text, or NULL. */
static const char *refused(const char *text, size_t length)
{
    char *copy = exact(text, length);
    struct json_cursor c = json_cursor(copy, length);
    if (json_skip(&c) == 0)
        json_finish(&c);
    cr_assert(c.at >= copy && c.at <= copy + length);
    free(copy);
    return c.error;
}

/* jansson keeps numbers as C numbers and names as C strings, so it refuses what fits in neither. It
 * is no judge of these. */
static bool beyond_jansson(enum json_error_code code)
{
    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key;
}

static void agree(const char *text, size_t length)
{
    json_error_t error;
    json_auto_t *tree = json_loadb(text, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    const char *why = refused(text, length);
    if (!tree && beyond_jansson(json_error_code(&error)))
        return;
    if (why && strstr(why, "nested deeper"))
        return;
    /* A NUL byte is right nowhere; jansson overlooks one behind a literal. */
    if (memchr(text, '\0', length)) {
        cr_assert_not_null(why, "a NUL was overlooked behind '%s'", text);
        return;
    }
    cr_assert_eq(tree == NULL, why != NULL, "'%.*s': we say %s, jansson says %s", (int)length, text,
                 why ? why : "fine", tree ? "fine" : error.text);
}

/* What the original's test client sends. */
static const char original_request[] =
    "{\"method\":\"POST\",\"path\":\"/api/v1\","
    "\"headers\":{\"Content-Type\":\"application/json\"},"
    "\"body\":\"{\\\"s0\\\": [{\\\"s1\\\": {}}]}\",\"query_string\":\"\"}";

/* Strings that end within, at and behind the sixteen bytes that are looked at together. */
static const char sixteen_and_more[] =
    "[\"0123456789abcdef\",\"0123456789abcde\\n\",\"0123456789abcdef0123456789abcd\xc3\xa9\"]";

/* A name of which every letter is escaped. */
static const char escaped_throughout[] =
    "\"\\u0071\\u0075\\u0065\\u0072\\u0079\\u005f\\u0073\\u0074\\u0072\\u0069\\u006e\\u0067\"";

static const char *const corpus[] = {
    "{}",
    "[]",
    " \t\r\n{ } \n",
    "null",
    "true",
    "false",
    "nul",
    "truer",
    "\"\"",
    "\"a\"",
    "\"a",
    "'a'",
    "0",
    "-0",
    "-",
    "01",
    "1.",
    ".5",
    "1.5e3",
    "1e",
    "1e+",
    "1E-2",
    "+1",
    "0x10",
    "1e999",
    "123456789012345678901234567890",
    "{\"a\":1,\"a\":2}",
    "{\"a\":1,}",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{a:1}",
    "[1,]",
    "[1 2]",
    "[1,2",
    "]",
    "}",
    "{]",
    "[}",
    "{\"a\":[1,{\"b\":null}]}x",
    "\"\\u0041\\n\\/\\\\\\\"\\b\\f\\r\\t\"",
    "\"\\u004\"",
    "\"\\u00g1\"",
    "\"\\x41\"",
    "\"\\",
    "\"\\u",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\ude00\"",
    "\"\\ud83d\\u0041\"",
    "\"\\ud83dx\"",
    "\"\\uD83D\\uDE0\"",
    "\"a\x01\"",
    "\"a\nb\"",
    "\"\x7f\"",
    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
    "\"\xc3\"",
    "\"\xc0\x80\"",
    "\"\xe0\x80\x80\"",
    "\"\xed\xa0\x80\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xf8\x88\x80\x80\x80\"",
    "\"\xff\"",
    "\xef\xbb\xbf{}",
    original_request,
    sixteen_and_more,
};
enum { CORPUS = sizeof corpus / sizeof corpus[0] };

/* One change of a byte here or there; likely bytes are those that mean something. */
static size_t mutate(struct random_stream *r, char *text, size_t length, size_t room)
{
    static const char likely[] = "{}[]\",:\\u0019aefEd-+.tn \x00\x1f\x7f\x80\xbf\xc3\xed\xf0\xff";
    size_t at = length ? (size_t)random_range(r, 0, length - 1) : 0;
    char byte = likely[random_range(r, 0, sizeof likely - 2)];
    switch (random_range(r, 0, 4)) {
    case 0:
        if (length == room)
            return length;
        memmove(text + at + 1, text + at, length - at);
        text[at] = byte;
        return length + 1;
    case 1:
        if (length)
            memmove(text + at, text + at + 1, length - at - 1);
        return length ? length - 1 : 0;
    case 2: /* cut short */
        return at;
    default:
        if (length)
            text[at] = random_range(r, 0, 3) ? byte : (char)random_u64(r);
        return length;
    }
}

Test(json, accepts_what_jansson_accepts, .timeout = 60)
{
    struct random_stream r;
    random_seed(&r, 1, 0);
    unsigned good = 0, all = 0;
    for (unsigned i = 0; i < CORPUS; i++)
        agree(corpus[i], strlen(corpus[i]));
    agree("\"a\0b\"", 5);
    agree("{}\0", 3);
    agree("\0", 1);
    agree("", 0);
    for (unsigned round = 0; round < 60000; round++) {
        char text[512];
        const char *seed = corpus[random_range(&r, 0, CORPUS - 1)];
        size_t length = strlen(seed);
        memcpy(text, seed, length);
        for (uint64_t n = random_range(&r, 1, 4); n > 0; n--)
            length = mutate(&r, text, length, sizeof text);
        agree(text, length);
        good += refused(text, length) == NULL;
        all++;
    }
    cr_assert(good > all / 50 && good < all / 2, "%u of %u texts are good: a one-sided test", good,
              all);
}

Test(json, depth_is_capped)
{
    char text[4 * JSON_DEPTH_MAX];
    for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        const char *why = refused(text, 2 * depth);
        cr_assert_eq(why != NULL, depth > JSON_DEPTH_MAX);
        cr_assert(!why || strstr(why, "deeper than 64"));
    }
}

static size_t random_text(struct random_stream *r, char *out, size_t room)
{
    static const struct {
        uint32_t low, high;
    } ranges[] = {{0, 0x1f},           {0x20, 0x7f},    {0x20, 0x7f},
                  {0x80, 0x7ff},       {0x800, 0xd7ff}, {0xe000, 0xffff},
                  {0x10000, 0x10ffff}, {'"', '"'},      {'\\', '\\'}};
    size_t length = 0;
    for (uint64_t n = random_range(r, 0, 60); n > 0 && length + 4 <= room; n--) {
        size_t range = random_range(r, 0, sizeof ranges / sizeof ranges[0] - 1);
        uint32_t code = (uint32_t)random_range(r, ranges[range].low, ranges[range].high);
        unsigned char *o = (unsigned char *)out + length;
        if (code < 0x80) {
            o[0] = (unsigned char)code;
            length += 1;
        } else if (code < 0x800) {
            o[0] = (unsigned char)(0xc0 | code >> 6);
            o[1] = (unsigned char)(0x80 | (code & 0x3f));
            length += 2;
        } else if (code < 0x10000) {
            o[0] = (unsigned char)(0xe0 | code >> 12);
            o[1] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
            o[2] = (unsigned char)(0x80 | (code & 0x3f));
            length += 3;
        } else {
            o[0] = (unsigned char)(0xf0 | code >> 18);
            o[1] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
            o[2] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
            o[3] = (unsigned char)(0x80 | (code & 0x3f));
            length += 4;
        }
    }
    return length;
}

/* Reads a whole text that is one string; its value in *out, of exactly as many bytes as needed. */
static size_t read_string(const char *text, size_t length, char **out)
{
    struct json_cursor c = json_cursor(text, length);
    struct json_text value;
    cr_assert_eq(json_read_string(&c, &value), 0, "%s", c.error);
    cr_assert_eq(json_finish(&c), 0, "%s", c.error);
    cr_assert(value.data == text + 1 && value.length == length - 2, "the view is the inside");
    *out = xmalloc(value.length ? value.length : 1);
    return json_unescape(&value, *out);
}

Test(json, escape_and_unescape_are_inverse)
{
    struct random_stream r;
    random_seed(&r, 2, 0);
    for (unsigned round = 0; round < 20000; round++) {
        char text[256];
        size_t length = random_text(&r, text, sizeof text);
        size_t escaped_length = json_escaped_length(text, length);
        char *escaped = xmalloc(escaped_length + 2), *back;
        escaped[0] = escaped[escaped_length + 1] = '"';
        char *end = json_escape(text, length, escaped + 1);
        cr_assert_eq(end, escaped + 1 + escaped_length, "it takes what was announced");
        size_t back_length = read_string(escaped, escaped_length + 2, &back);
        cr_assert_eq(back_length, length);
        cr_assert_arr_eq(back, text, length);
        free(back);
        /* What jansson writes is read, too: with every character past ASCII escaped, or none. */
        json_auto_t *value = json_stringn(text, length);
        cr_assert_not_null(value);
        char *dump = json_dumps(value, JSON_ENCODE_ANY | (round % 2 ? JSON_ENSURE_ASCII : 0));
        back_length = read_string(dump, strlen(dump), &back);
        cr_assert_eq(back_length, length);
        cr_assert_arr_eq(back, text, length);
        free(back);
        free(dump);
        free(escaped);
    }
}

Test(json, names_are_equal_however_they_are_written)
{
    static const char *const same[] = {"\"query_string\"", "\"query\\u005fstring\"",
                                       escaped_throughout};
    static const char *const other[] = {"\"query_strin\"", "\"query_strings\"", "\"\"",
                                        "\"query\\\\u005fstring\"", "\"Query_string\""};
    struct json_text text;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct json_cursor c = json_cursor(same[i], strlen(same[i]));
        cr_assert_eq(json_read_string(&c, &text), 0);
        cr_assert(json_text_is(&text, "query_string"), "%s", same[i]);
    }
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        struct json_cursor c = json_cursor(other[i], strlen(other[i]));
        cr_assert_eq(json_read_string(&c, &text), 0);
        cr_assert_not(json_text_is(&text, "query_string"), "%s", other[i]);
    }
}

/* The end of an object that comes in pieces is where the reader would find it. */
Test(json, scan_finds_the_end_in_any_pieces)
{
    static const char *const objects[] = {"{}",
                                          "{\"a\":{\"b\":[{},{}]}}",
                                          "{\"}\":\"{\"}",
                                          "{\"a\":\"\\\"}\"}",
                                          "{\"a\\\\\":1}",
                                          "{\"\\\\\\\"}\":[\"]\",\"\\\\\"]}"};
    struct random_stream r;
    random_seed(&r, 3, 0);
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
        char text[128];
        size_t object = strlen(objects[i]);
        int length = snprintf(text, sizeof text, "%s {\"next\":1}", objects[i]);
        for (unsigned round = 0; round < 200; round++) {
            struct json_scan scan = {0};
            size_t at = 0, end = 0;
            while (end == 0) {
                size_t piece = (size_t)random_range(&r, 0, 1 + round % 20);
                if (piece > (size_t)length - at)
                    piece = (size_t)length - at;
                cr_assert(at + piece < (size_t)length || piece > 0, "no end in %s", text);
                end = json_scan(&scan, text + at, piece);
                cr_assert_leq(end, piece);
                at += end ? end : piece;
            }
            cr_assert_eq(at, object, "%s", text);
        }
    }
}

Test(json, walks_objects_and_arrays)
{
    static const char text[] = " { \"a\" : [ 1 , [ ] , { } ] , \"b\":null,\"c\":\"x\" } ";
    struct json_cursor c = json_cursor(text, strlen(text));
    struct json_text key, value;
    char seen[8] = "";
    unsigned elements = 0;
    int more, inner;
    for (more = json_object_begin(&c); more > 0; more = json_object_next(&c)) {
        cr_assert_eq(json_key(&c, &key), 0);
        memcpy(seen + strlen(seen), key.data, key.length);
        if (json_text_is(&key, "a")) {
            for (inner = json_array_begin(&c); inner > 0; inner = json_array_next(&c), elements++)
                cr_assert_eq(json_skip(&c), 0);
            cr_assert_eq(inner, 0);
        } else if (json_text_is(&key, "b")) {
            cr_assert(json_read_null(&c));
        } else {
            cr_assert_not(json_read_null(&c));
            cr_assert_eq(json_read_string(&c, &value), 0);
        }
    }
    cr_assert_eq(more, 0);
    cr_assert_eq(json_finish(&c), 0);
    cr_assert_str_eq(seen, "abc");
    cr_assert_eq(elements, 3);
    cr_assert_eq(c.depth, 0);
    /* The first error stays. */
    json_fail(&c, "first");
    json_fail(&c, "second");
    cr_assert_str_eq(c.error, "first");
}
