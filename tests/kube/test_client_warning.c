#include "kube/client_warning.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "client_case.h"

/* A header's value, and its warnings with a '|' after each. */
static const struct {
    const char *value, *warnings;
} cases[] = {
    {" 299 - \"a is deprecated\"\r\n", "a is deprecated|"},
    {"299 - \"a\",299 - \"b\" , 299 - \"c\"", "a|b|c|"},
    {"299 kube-apiserver:6443 \"a\" \"Wed, 21 Oct 2026 07:28:00 GMT\", 299 - \"b\"", "a|b|"},
    {"299 - \"say \\\"hello\\\", \\\\ and 299 - \\x\"", "say \"hello\", \\ and 299 - x|"},
    {"299   -   \"spaces\"", "spaces|"},
    {"110 - \"stale\", 299 - \"a\", 199 - \"b\"", "a|"},
    {"299 - \"\", 299 - \"a\"", "a|"},
    /* What can't be understood ends the line. */
    {"", ""},
    {",, ,", ""},
    {"299", ""},
    {"299 ", ""},
    {"299 -", ""},
    {"299 - ", ""},
    {"299 - a", ""},
    {"299 \"a\"", ""},
    {"299- \"a\"", ""},
    {"2990 - \"a\"", ""},
    {"29x - \"a\"", ""},
    {"299 - \"never ends", ""},
    {"299 - \"never ends\\", ""},
    {"299 - \"never ends\\\"", ""},
    {"299 - \"a\" \"no end of a date", ""},
    {"299 - \"a\" and more", ""},
    {"299 - \"a\", nonsense, 299 - \"b\"", "a|"},
};

Test(client_warning, a_header_is_read)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_buffer struct buffer text = BUFFER_INIT(64), all = BUFFER_INIT(1024);
        /* A copy without a NUL, so that a read past the end is seen. */
        size_t length = strlen(cases[i].value);
        cleanup_free char *value = xmalloc(length ? length : 1);
        memcpy(value, cases[i].value, length);
        const char *at = value;
        while (kube_warning_next(&at, value + length, &text))
            buffer_printf(&all, "%s|", buffer_terminate(&text));
        cr_expect_str_eq(buffer_terminate(&all), cases[i].warnings, "%s: %s", cases[i].value,
                         all.data);
        cr_expect_eq(at, value + length);
    }
}

/* Texts as "what: text\n". */
static void hear(void *context, const char *what, const char *text)
{
    buffer_printf(context, "%s: %s\n", what, text);
}

static void answer_headers(struct fake_reply *reply)
{
    fake_body(&reply->text, reply->index == 1 ? 404 : 200, reply->context, "{}");
}

Test(client_warning, each_text_is_handed_on_once)
{
    cleanup_buffer struct buffer heard = BUFFER_INIT(1 << 20);
    struct client_case test = {.options = {.warning = hear, .warning_context = &heard}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    char headers[] = "Warning: 299 - \"one\tof\"\r\nwarning:299 - \"two \xff\"\r\n"
                     "X-Warning: 299 - \"none\"\r\nWarnings: 299 - \"none\"\r\n";

    client_case_start(&test, answer_headers, headers);
    kube_get(test.client, &client_case_nodes, NULL, "x", &result);
    kube_get(test.client, &client_case_nodes, NULL, "y", &result);
    cr_assert_eq(result.status, 404);
    memcpy(strstr(headers, "two"), "six", 3);
    kube_get(test.client, &client_case_maps, "n", "z", &result);
    cr_assert_str_eq(buffer_terminate(&heard), "GET v1 nodes x: one of\nGET v1 nodes x: two ?\n"
                                               "GET v1 configmaps n/z: six ?\n");
    client_case_stop(&test);

    /* Nobody listens. */
    test.options.warning = NULL;
    client_case_start(&test, answer_headers, headers);
    cr_assert_eq(kube_get(test.client, &client_case_nodes, NULL, "x", &result), 0);
    client_case_stop(&test);
}

static size_t lines_of(struct buffer *text)
{
    size_t count = 0;
    for (const char *c = buffer_terminate(text); *c; c++)
        count += *c == '\n';
    return count;
}

/* As many as an answer may bring, as long as they may be, and as many as are remembered. */
static void answer_many(struct fake_reply *reply)
{
    cleanup_buffer struct buffer headers = BUFFER_INIT(1 << 20);
    const char *page = strstr(reply->request, "/p") + 2;
    for (unsigned i = 0; i < 3U * KUBE_WARNINGS_AN_ANSWER; i++)
        buffer_printf(&headers, "%s299 - \"%ld-%u %01100d\"%s",
                      i % 2 ? ", " : "Warning: ", strtol(page, NULL, 10), i, 0,
                      i % 2 ? "\r\n" : "");
    fake_body(&reply->text, 200, buffer_terminate(&headers), "{}");
}

Test(client_warning, there_are_limits)
{
    cleanup_buffer struct buffer heard = BUFFER_INIT(1 << 20);
    struct client_case test = {.options = {.warning = hear, .warning_context = &heard}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    unsigned pages = KUBE_WARNINGS_KEPT / KUBE_WARNINGS_AN_ANSWER;

    client_case_start(&test, answer_many, NULL);
    for (unsigned i = 0; i <= pages; i++) {
        cleanup_free char *path = xasprintf("/p%u", i);
        cr_assert_eq(kube_request(test.client, "GET", path, NULL, NULL, NULL, &result), 0);
        cr_assert_eq(lines_of(&heard), (i + 1) * KUBE_WARNINGS_AN_ANSWER);
    }
    size_t first = strcspn(heard.data, "\n");
    cr_assert_eq(first, strlen("GET /p0: ") + KUBE_WARNING_BYTES);
    cr_assert_arr_eq(heard.data + first - 4, "0...", 4);
    /* The last page is remembered, the first was forgotten. */
    kube_request(test.client, "GET", "/p16", NULL, NULL, NULL, &result);
    cr_assert_eq(lines_of(&heard), (pages + 1) * KUBE_WARNINGS_AN_ANSWER);
    kube_request(test.client, "GET", "/p0", NULL, NULL, NULL, &result);
    cr_assert_eq(lines_of(&heard), (pages + 2) * KUBE_WARNINGS_AN_ANSWER);
    client_case_stop(&test);
}
