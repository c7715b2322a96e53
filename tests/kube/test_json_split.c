#include "kube/json_split.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

/* The values that came, each followed by a line feed. */
struct seen {
    struct buffer text;
    size_t count;
    size_t refuse_at; /* value() fails at this one; 0: never */
};

static int take(void *context, const char *text, size_t length)
{
    struct seen *seen = context;
    cr_assert_eq(text[length], '\0');
    buffer_append(&seen->text, text, length);
    buffer_puts(&seen->text, "\n");
    return ++seen->count == seen->refuse_at ? -EXDEV : 0;
}

/* Splits text fed in pieces that end at cut and cut2; returns what feed or end said. */
static int split_cut(const struct json_split_options *how, const char *text, size_t cut,
                     size_t cut2, struct seen *seen, struct buffer *rest)
{
    struct json_split_options options = *how;
    struct json_split split;
    size_t length = strlen(text);

    options.value = take;
    options.context = seen;
    if (options.value_bytes == 0)
        options.value_bytes = 4096;
    buffer_clear(&seen->text);
    seen->count = 0;
    json_split_init(&split, &options);
    int ret = json_split_feed(&split, text, cut);
    if (ret == 0)
        ret = json_split_feed(&split, text + cut, cut2 - cut);
    if (ret == 0)
        ret = json_split_feed(&split, text + cut2, length - cut2);
    if (ret == 0)
        ret = json_split_end(&split);
    else
        cr_assert_eq(json_split_end(&split), ret, "a failure stays");
    if (rest) {
        size_t size;
        const char *outside = json_split_rest(&split, &size);
        buffer_clear(rest);
        buffer_append(rest, outside, size);
        buffer_terminate(rest);
    }
    json_split_free(&split);
    buffer_terminate(&seen->text);
    return ret;
}

/* Splits text at every byte, and at every two bytes; always the same comes. */
static void check(const struct json_split_options *how, const char *text, int wanted_ret,
                  const char *wanted, const char *wanted_rest)
{
    cleanup_buffer struct buffer rest = BUFFER_INIT(4096);
    struct seen seen = {.text = BUFFER_INIT(1 << 16)};
    size_t length = strlen(text);

    for (size_t cut = 0; cut <= length; cut++) {
        for (size_t cut2 = cut; cut2 <= length; cut2++) {
            int ret = split_cut(how, text, cut, cut2, &seen, &rest);
            cr_assert_eq(ret, wanted_ret, "%s cut at %zu and %zu: %d", text, cut, cut2, ret);
            cr_assert_str_eq(seen.text.data, wanted, "%s cut at %zu and %zu", text, cut, cut2);
            if (wanted_rest)
                cr_assert_str_eq(rest.data, wanted_rest, "%s cut at %zu and %zu", text, cut, cut2);
        }
    }
    buffer_free(&seen.text);
}

static const struct json_split_options events = {.items = false};
static const struct json_split_options stripped_events = {.strip_managed_fields = true};
static const struct json_split_options list = {.items = true};
static const struct json_split_options stripped_list = {.items = true,
                                                        .strip_managed_fields = true};

Test(json_split, events_are_cut_anywhere)
{
    check(&events, "", 0, "", NULL);
    check(&events, " \r\n\t", 0, "", NULL);
    check(&events, "{}", 0, "{}\n", NULL);
    check(&events, "{\"a\":1}\n{\"b\":[2,{}]}\r\n", 0, "{\"a\":1}\n{\"b\":[2,{}]}\n", NULL);
    check(&events, "{}{}  {\"x\" : \"}{][\"}", 0, "{}\n{}\n{\"x\" : \"}{][\"}\n", NULL);
    check(&events, "{\"q\":\"\\\"}\\\\\"}{\"\\\\\\\"{\":0}", 0,
          "{\"q\":\"\\\"}\\\\\"}\n{\"\\\\\\\"{\":0}\n", NULL);
}

Test(json_split, what_is_no_stream_of_objects)
{
    static const char *const garbage[] = {"x", "[]", "1", "\"s\"", "null", "}", "]", ",", ":"};
    char text[32];
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        check(&events, garbage[i], -EPROTO, "", NULL);
        snprintf(text, sizeof(text), "{}%s", garbage[i]);
        check(&events, text, -EPROTO, "{}\n", NULL);
    }
    check(&events, "{]", -EPROTO, "", NULL);
    check(&events, "{\"a\":[}", -EPROTO, "", NULL);
    check(&events, "{\"a\":1", -EPROTO, "", NULL);
    check(&events, "{}{\"a", -EPROTO, "{}\n", NULL);
    check(&events, "{\"a\":\"\\", -EPROTO, "", NULL);
    /* A NUL is no blank. */
    struct seen seen = {.text = BUFFER_INIT(64)};
    struct json_split split;
    struct json_split_options options = {.value_bytes = 10, .value = take, .context = &seen};
    json_split_init(&split, &options);
    cr_assert_eq(json_split_feed(&split, "\0", 1), -EPROTO);
    json_split_free(&split);
}

Test(json_split, items_are_cut_anywhere)
{
    check(&list, "{\"kind\":\"L\",\"items\":[{\"a\":1}, {\"b\":{}}],\"z\":[1,2]}", 0,
          "{\"a\":1}\n{\"b\":{}}\n", "{\"kind\":\"L\",\"items\":[],\"z\":[1,2]}");
    check(&list, "{\"items\":[ ] , \"metadata\":{\"continue\":\"\"}} \n", 0, "",
          "{\"items\":[] , \"metadata\":{\"continue\":\"\"}} \n");
    check(&list, "{\"items\":null}", 0, "", "{\"items\":null}");
    check(&list, "{\"items\":{\"a\":[{}]}}", 0, "", "{\"items\":{\"a\":[{}]}}");
    check(&list, "{}", 0, "", "{}");
    /* Only the list's own "items". */
    check(&list, "{\"metadata\":{\"items\":[{}]},\"x\":\"items\",\"items\":[{\"items\":[{}]}]}", 0,
          "{\"items\":[{}]}\n", "{\"metadata\":{\"items\":[{}]},\"x\":\"items\",\"items\":[]}");
    check(&list, "{\"item\":[{}],\"itemsx\":[{}],\"it\\u0065ms\":[{}]}", 0, "",
          "{\"item\":[{}],\"itemsx\":[{}],\"it\\u0065ms\":[{}]}");
}

Test(json_split, what_is_no_list)
{
    static const char *const texts[] = {"",
                                        "[{}]",
                                        "{",
                                        "1",
                                        "{}{}",
                                        "{} x",
                                        "{\"items\":[",
                                        "{\"items\":[{}",
                                        "{\"items\":[{}]",
                                        "{\"items\":[1]}"};
    static const char *const elements[] = {"\"a\"", "[]", "null", "}", ":"};
    cleanup_buffer struct buffer text = BUFFER_INIT(64);
    struct seen seen = {.text = BUFFER_INIT(64)};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        for (size_t cut = 0; cut <= strlen(texts[i]); cut++)
            cr_assert_eq(split_cut(&list, texts[i], cut, cut, &seen, NULL), -EPROTO, "%s",
                         texts[i]);
    for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++) {
        buffer_clear(&text);
        buffer_printf(&text, "{\"items\":[{},%s]}", elements[i]);
        check(&list, buffer_terminate(&text), -EPROTO, "{}\n", NULL);
    }
    buffer_free(&seen.text);
}

Test(json_split, managed_fields_are_cut_out)
{
    check(&stripped_events,
          "{\"type\":\"T\",\"object\":{\"metadata\":{\"managedFields\":[{\"f:x\":{\"}\":\"]\"}}],"
          "\"name\":\"n\"}}}{}",
          0,
          "{\"type\":\"T\",\"object\":{\"metadata\":{\"managedFields\":[],\"name\":\"n\"}}}\n{}\n",
          NULL);
    check(&stripped_list,
          "{\"metadata\":{\"managedFields\":1},\"items\":[{\"metadata\":{\"a\":1,\"managedFields\" "
          ": [{}, \"\\\"\"] }}]}",
          0, "{\"metadata\":{\"a\":1,\"managedFields\" :[]}}\n",
          "{\"metadata\":{\"managedFields\":1},\"items\":[]}");
    /* Whatever the value is; and only there. */
    check(&stripped_list,
          "{\"items\":[{\"metadata\":{\"managedFields\":null}},{\"managedFields\":7}]}", 0,
          "{\"metadata\":{\"managedFields\":[]}}\n{\"managedFields\":7}\n", NULL);
    check(&stripped_events, "{\"object\":{\"spec\":{\"managedFields\":[1]},\"metadata\":[{}]}}", 0,
          "{\"object\":{\"spec\":{\"managedFields\":[1]},\"metadata\":[{}]}}\n", NULL);
    check(&events, "{\"object\":{\"metadata\":{\"managedFields\":[1]}}}", 0,
          "{\"object\":{\"metadata\":{\"managedFields\":[1]}}}\n", NULL);
    check(&stripped_events, "{\"object\":{\"metadata\":{\"managedFields\":[1}}}", -EPROTO, "",
          NULL);
    check(&stripped_events, "{\"object\":{\"metadata\":{\"managedFields\":1]}}", -EPROTO, "", NULL);
}

Test(json_split, managed_fields_of_an_object_itself_are_cut_out)
{
    static const struct json_split_options itself = {.itself = true, .strip_managed_fields = true};
    check(&itself,
          "{\"kind\":\"K\",\"metadata\":{\"managedFields\":[{\"}\":\"]\"}],\"name\":\"n\"},"
          "\"object\":{\"metadata\":{\"managedFields\":[1]}}}",
          0,
          "{\"kind\":\"K\",\"metadata\":{\"managedFields\":[],\"name\":\"n\"},"
          "\"object\":{\"metadata\":{\"managedFields\":[1]}}}\n",
          NULL);
    check(&itself, "{\"metadata\":[{\"managedFields\":[1]}]}", 0,
          "{\"metadata\":[{\"managedFields\":[1]}]}\n", NULL);
    check(&itself, "{\"metadata\":{\"managedFields\":[1}}", -EPROTO, "", NULL);
}

Test(json_split, caps_are_exact)
{
    struct seen seen = {.text = BUFFER_INIT(1 << 17)};
    struct json_split_options options = {.value_bytes = 9};

    cr_assert_eq(split_cut(&options, "{\"a\":123}", 3, 5, &seen, NULL), 0);
    cr_assert_eq(split_cut(&options, "{\"a\":1234}", 3, 5, &seen, NULL), -EMSGSIZE);
    cr_assert_eq(seen.count, 0);
    /* What is cut out does not count. */
    options = stripped_events;
    options.value_bytes = strlen("{\"object\":{\"metadata\":{\"managedFields\":[]}}}");
    cr_assert_eq(split_cut(&options, "{\"object\":{\"metadata\":{\"managedFields\":[123456]}}}", 0,
                           9, &seen, NULL),
                 0);
    options.value_bytes--;
    cr_assert_eq(split_cut(&options, "{\"object\":{\"metadata\":{\"managedFields\":[123456]}}}", 0,
                           9, &seen, NULL),
                 -EMSGSIZE);
    /* A list's text outside of its items. */
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 18);
    buffer_printf(&text, "{\"a\":\"%0*d\",\"items\":[]}", JSON_SPLIT_REST_MAX - 19, 0);
    cr_assert_eq(split_cut(&list, buffer_terminate(&text), 1, 2, &seen, NULL), 0);
    buffer_clear(&text);
    buffer_printf(&text, "{\"a\":\"%0*d\",\"items\":[]}", JSON_SPLIT_REST_MAX - 18, 0);
    cr_assert_eq(split_cut(&list, buffer_terminate(&text), 1, 2, &seen, NULL), -EMSGSIZE);
    buffer_free(&seen.text);
}

Test(json_split, deep_nesting_is_followed)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16);
    struct seen seen = {.text = BUFFER_INIT(1 << 16)};
    struct json_split_options options = {.value_bytes = 1 << 16};

    for (size_t depth = 1; depth < 300; depth++) {
        buffer_clear(&text);
        for (size_t i = 0; i < depth; i++)
            buffer_puts(&text, "{\"a\":");
        buffer_puts(&text, "0");
        for (size_t i = 0; i < depth; i++)
            buffer_puts(&text, "}");
        buffer_puts(&text, "{}");
        cr_assert_eq(split_cut(&options, buffer_terminate(&text), depth, depth, &seen, NULL), 0);
        cr_assert_eq(seen.count, 2);
    }
    buffer_free(&seen.text);
}

Test(json_split, the_receiver_can_end_it)
{
    struct seen seen = {.text = BUFFER_INIT(64), .refuse_at = 2};
    cr_assert_eq(split_cut(&events, "{}{}{}", 0, 0, &seen, NULL), -EXDEV);
    cr_assert_eq(seen.count, 2);
    /* And a reset begins anew. */
    struct json_split split;
    struct json_split_options options = {
        .items = true, .value_bytes = 64, .value = take, .context = &seen};
    seen.count = 0;
    seen.refuse_at = 0;
    json_split_init(&split, &options);
    cr_assert_eq(json_split_feed(&split, "{\"items\":[{},{\"a", 16), 0);
    json_split_reset(&split);
    cr_assert_eq(json_split_feed(&split, "{\"items\":[{}]}", 14), 0);
    cr_assert_eq(json_split_end(&split), 0);
    cr_assert_eq(seen.count, 2);
    json_split_free(&split);
    buffer_free(&seen.text);
}
