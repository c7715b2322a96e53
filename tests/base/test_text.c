#include "base/text.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"replicas", "concurrency", "config",  "duration", "json",
                                    NULL,       "depth",       "address", "x"};

Test(text, finds_the_nearest_name)
{
    static const struct {
        const char *name, *nearest;
    } cases[] = {
        {"replcas", "replicas"},
        {"replicsa", "replicas"},
        {"Replicas", "replicas"},
        {"reeplicas", "replicas"},
        {"conf", "config"},
        {"conc", "concurrency"},
        {"jason", "json"},
        {"jsno", "json"},
        {"dept", "depth"},
        {"adress", "address"},
        {"zzzzzz", NULL},
        {"", NULL},
        {"y", NULL},
        {"verbose", NULL},
        {"du", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *nearest = text_nearest(cases[i].name, names, sizeof(names) / sizeof(names[0]));
        if (cases[i].nearest)
            cr_assert_str_eq(nearest ? nearest : "(none)", cases[i].nearest, "%s", cases[i].name);
        else
            cr_assert_null(nearest, "%s: %s", cases[i].name, nearest);
    }
    /* Names of any length, the longest that are compared and longer ones. */
    char a[200], b[200];
    for (size_t length = 60; length < 70; length++) {
        memset(a, 'a', length);
        a[length] = '\0';
        memcpy(b, a, length + 1);
        b[0] = 'b';
        const char *const candidates[] = {b};
        cr_assert_eq(text_nearest(a, candidates, 1) != NULL, length <= 64, "%zu", length);
    }
}

Test(text, knows_utf8)
{
    static const struct {
        const char *text;
        size_t size;
        bool valid;
    } cases[] = {
        {"", 0, true},
        {"plain ASCII, longer than a word", 31, true},
        {"\0", 1, true},
        {"\x7f", 1, true},
        {"\xc3\xa4", 2, true},
        {"\xe2\x82\xac", 3, true},
        {"\xf0\x9f\x98\x80", 4, true},
        {"\xf4\x8f\xbf\xbf", 4, true},
        {"\xed\x9f\xbf", 3, true},
        {"\xee\x80\x80", 3, true},
        {"12345678\xc3\xa4", 10, true},
        {"1234567\xc3\xa4", 9, true},
        {"\x80", 1, false},
        {"\xc3", 1, false},
        {"\xc3\x28", 2, false},
        {"\xc0\x80", 2, false}, /* overlong NUL */
        {"\xc1\xbf", 2, false},
        {"\xe0\x9f\xbf", 3, false}, /* overlong */
        {"\xe2\x82", 2, false},
        {"\xed\xa0\x80", 3, false}, /* surrogate */
        {"\xed\xbf\xbf", 3, false},
        {"\xf0\x8f\xbf\xbf", 4, false}, /* overlong */
        {"\xf4\x90\x80\x80", 4, false}, /* U+110000 */
        {"\xf8\x88\x80\x80\x80", 5, false},
        {"\xff", 1, false},
        {"12345678\xff", 9, false},
        {"1234567\xff", 8, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_eq(text_utf8_valid(cases[i].text, cases[i].size), cases[i].valid, "case %zu", i);
    uint32_t code = 0;
    cr_assert_eq(text_utf8_decode("\xf0\x9f\x98\x80", 4, &code), 4);
    cr_assert_eq(code, 0x1f600);
    cr_assert_eq(text_utf8_decode("\xf0\x9f\x98\x80", 3, &code), 0);
    /* Every code point goes through; nothing else between U+0000 and U+1FFFFF does. */
    for (uint32_t point = 0; point < 0x200000; point += point < 0x12000 ? 1 : 13) {
        const char text[] = {(char)(0xf0 | point >> 18), (char)(0x80 | (point >> 12 & 0x3f)),
                             (char)(0x80 | (point >> 6 & 0x3f)), (char)(0x80 | (point & 0x3f))};
        bool four = point >= 0x10000 && point <= 0x10ffff;
        cr_assert_eq(text_utf8_valid(text, 4), four, "U+%X in four bytes", point);
        if (point >= 0x10000)
            continue;
        const char three[] = {(char)(0xe0 | point >> 12), text[2], text[3]};
        cr_assert_eq(text_utf8_valid(three, 3),
                     point >= 0x800 && (point < 0xd800 || point > 0xdfff), "U+%X in three bytes",
                     point);
    }
}

Test(text, writes_json_strings)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(4096);
    static const char text[] = "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\xc3\xa4\xff\xc3z\0end";
    cr_assert_eq(text_append_json(&out, text, sizeof(text) - 1), 0);
    cr_assert_str_eq(buffer_terminate(&out),
                     "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\xc3\xa4\xef\xbf\xbd"
                     "\xef\xbf\xbdz\\u0000"
                     "end\"");
    buffer_clear(&out);
    cr_assert_eq(text_append_json(&out, "", 0), 0);
    cr_assert_str_eq(buffer_terminate(&out), "\"\"");

    /* Whatever the bytes are, a JSON parser reads the result; what was UTF-8 comes back whole. */
    srand(11);
    for (int i = 0; i < 3000; i++) {
        char bytes[40];
        size_t size = (size_t)rand() % sizeof(bytes);
        for (size_t j = 0; j < size; j++)
            bytes[j] = (char)(rand() % (i % 2 ? 256 : 128));
        buffer_clear(&out);
        cr_assert_eq(text_append_json(&out, bytes, size), 0);
        json_auto_t *json =
            json_loadb(out.data, out.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        cr_assert_not_null(json, "%.*s", (int)out.length, out.data);
        if (text_utf8_valid(bytes, size)) {
            cr_assert_eq(json_string_length(json), size);
            cr_assert_arr_eq(json_string_value(json), bytes, size);
        }
    }

    /* At every cap: all of it or nothing. */
    for (size_t cap = 0; cap < 30; cap++) {
        cleanup_buffer struct buffer small = BUFFER_INIT(cap);
        int ret = text_append_json(&small, "ab\n\x01\xff", 5);
        cr_assert_eq(ret, cap >= 15 ? 0 : -ENOBUFS, "cap %zu", cap);
        cr_assert_eq(small.length, cap >= 15 ? 15 : 0);
    }
}

Test(text, reads_whole_numbers)
{
    uint64_t value = 42;
    cr_assert_eq(text_parse_unsigned("0", 0, 10, &value, NULL), 0);
    cr_assert_eq(value, 0);
    cr_assert_eq(text_parse_unsigned("18446744073709551615", 0, UINT64_MAX, &value, NULL), 0);
    cr_assert_eq(value, UINT64_MAX);
    cr_assert_eq(text_parse_unsigned("007", 1, 10, &value, NULL), 0);
    cr_assert_eq(value, 7);

    static const struct {
        const char *text, *sentence;
    } bad[] = {
        {"", "\"\" is not a whole number; give 1 to 100"},
        {"x", "\"x\" is not a whole number; give 1 to 100"},
        {"-1", "\"-1\" is not a whole number; give 1 to 100"},
        {"+1", "\"+1\" is not a whole number; give 1 to 100"},
        {"1.5", "\"1.5\" is not a whole number; give 1 to 100"},
        {"1 ", "\"1 \" is not a whole number; give 1 to 100"},
        {" 1", "\" 1\" is not a whole number; give 1 to 100"},
        {"0", "\"0\" is too small; give 1 to 100"},
        {"101", "\"101\" is too large; give 1 to 100"},
        {"18446744073709551617", "\"18446744073709551617\" is too large; give 1 to 100"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cleanup_error struct error *err = NULL;
        value = 42;
        cr_assert_eq(text_parse_unsigned(bad[i].text, 1, 100, &value, &err), -EINVAL);
        cr_assert_str_eq(error_message(err), bad[i].sentence);
        cr_assert_eq(value, 42);
    }
}

Test(text, reads_sizes)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},           {"1", 1},           {"512B", 512},
                {"1K", 1024},       {"1k", 1024},       {"1KB", 1024},
                {"1KiB", 1024},     {"1Ki", 1024},      {"3M", 3 << 20},
                {"2g", 2ULL << 30}, {"1T", 1ULL << 40}, {"16777215T", 16777215ULL << 40}};
    char text[TEXT_SIZE_MAX];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t bytes = 42, back;
        cr_assert_eq(text_parse_size(good[i].text, 0, UINT64_MAX, &bytes, NULL), 0, "%s",
                     good[i].text);
        cr_assert_eq(bytes, good[i].bytes, "%s", good[i].text);
        cr_assert_eq(text_parse_size(text_format_size(bytes, text), 0, UINT64_MAX, &back, NULL), 0);
        cr_assert_eq(back, bytes, "%s", text);
    }
    static const char *const bad[] = {"",
                                      "K",
                                      "-1",
                                      "1.5M",
                                      "1KK",
                                      "1 K",
                                      "1P",
                                      "1Kb i",
                                      "16777216T",
                                      "5K",
                                      "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cleanup_error struct error *err = NULL;
        uint64_t bytes = 42;
        cr_assert_eq(text_parse_size(bad[i], 1, 4096, &bytes, &err), -EINVAL, "%s", bad[i]);
        cr_assert_not_null(strstr(error_message(err), "give 1 to 4K"), "%s", error_message(err));
        cr_assert_eq(bytes, 42);
    }
    cr_assert_str_eq(text_format_size(1536, text), "1536");
    cr_assert_str_eq(text_format_size(UINT64_MAX, text), "18446744073709551615");
    cr_assert_str_eq(text_format_size(1ULL << 60, text), "1048576T");
}

Test(text, reads_decimal_numbers)
{
    double value = 42;
    cr_assert_eq(text_parse_double("0.5", 0, 1, &value, NULL), 0);
    cr_assert_eq(value, 0.5);
    cr_assert_eq(text_parse_double("-1e-3", -INFINITY, INFINITY, &value, NULL), 0);
    cr_assert_eq(value, -1e-3);
    static const struct {
        const char *text, *word;
    } bad[] = {{"", "not a number"},    {"x", "not a number"},   {"1x", "not a number"},
               {" 1", "not a number"},  {"1 ", "not a number"},  {"0x1", "not a number"},
               {"nan", "not a number"}, {"inf", "not a number"}, {"1e", "not a number"},
               {"1e999", "too large"},  {"1.01", "too large"},   {"-0.01", "too small"},
               {"--1", "not a number"}, {"1-1", "not a number"}, {".", "not a number"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cleanup_error struct error *err = NULL;
        value = 42;
        cr_assert_eq(text_parse_double(bad[i].text, 0, 1, &value, &err), -EINVAL, "%s",
                     bad[i].text);
        cr_assert_not_null(strstr(error_message(err), bad[i].word), "%s", error_message(err));
        cr_assert_not_null(strstr(error_message(err), "give 0 to 1"), "%s", error_message(err));
        cr_assert_eq(value, 42);
    }
}

Test(text, makes_one_line)
{
    /* A C1 control (CSI of a terminal in eight bits), a character cut at the end, a lone byte. */
    char text[] = "a\n\x1b[31m\x7f\xc3\xa9\xc2\x9b"
                  "1m\xff\xcd";
    cr_assert_eq(text_one_line(text), text);
    cr_assert_str_eq(text, "a ?[31m?\xc3\xa9??1m??");
    cr_assert(text_utf8_valid(text, strlen(text)));
}

Test(text, a_byte_order_mark)
{
    cr_expect_eq(text_mark("\xef\xbb\xbf{", 4), 3);
    cr_expect_eq(text_mark("\xef\xbb\xbf", 2), 0);
    cr_expect_eq(text_mark("{}", 2), 0);
}
