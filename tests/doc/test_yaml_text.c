#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "doc/document.h"
#include "doc/yaml_text.h"

/* What is written reads back as what was given. */
static void check(const json_t *value)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16);

    cr_assert_eq(yaml_comment("one\ntwo\x7f\xc2\x85 three", &text), 0);
    cr_assert_eq(yaml_text(value, &text), 0);
    cr_assert_eq(
        documents_parse(buffer_terminate(&text), text.length, "a.yaml", &documents, &problems), 0,
        "%s\n%s", text.data, problems.count ? problems.texts[0] : "");
    cr_assert(json_equal(documents.items[0].root, value), "%s", text.data);
}

Test(yaml_text, reads_back)
{
    static const char folded[] =
        "a long text of many words that is folded over lines because it is longer than one line "
        "may be, which is a hundred and ten characters";
    static const char *const texts[] = {
        "",
        " ",
        "a",
        "true",
        "No",
        "y",
        "null",
        "~",
        "1",
        "0x1f",
        "1e3",
        ".5",
        "-",
        "- a",
        "a: b",
        "a #b",
        "#",
        "&a",
        "*a",
        "!a",
        "%a",
        "@a",
        "`a`",
        "'a'",
        "\"a\"",
        "a\nb",
        "a\tb",
        "\\",
        "a ",
        "{a}",
        "[a]",
        "a, b",
        "\x7f",
        "\xc2\x85",
        "\xe2\x80\xa8",
        "\xef\xbb\xbf",
        "\xf0\x9f\x98\x80",
        "\xc3\xa4",
        "2026-01-01",
        "<<",
        "=",
        "\x01",
        "e=mc",
        "key:",
        folded,
        "a long text  of many words that is not folded: two spaces would be lost",
        "a long text of many words with a \x02 control character in it, not folded"};
    json_auto_t *all = json_object(), *list = json_array();

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_auto_t *one = json_pack("{s:s}", "key", texts[i]);
        check(one);
        json_auto_t *key = json_pack("{s:i}", texts[i], 1);
        check(key);
        json_object_set_new(all, texts[i], json_string(texts[i]));
        json_array_append_new(list, json_string(texts[i]));
    }
    check(all);
    json_object_set(all, "list", list);
    check(all);
}

Test(yaml_text, containers)
{
    static const char *const texts[] = {
        "{\"a\": {}, \"b\": [], \"c\": [[]], \"d\": [{}], \"e\": [[1, [2]], 3]}",
        "{\"a\": [{\"b\": 1, \"c\": [{\"d\": null}, true, 1.5, -3]}, \"x\"]}",
        "{\"a\": {\"b\": {\"c\": [[[{\"d\": 1}]]]}}}",
        "{\"a\": 0.1, \"b\": 123456789012, \"c\": 1e300, \"d\": 0.00001}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_auto_t *value = json_loads(texts[i], 0, NULL);
        cr_assert_not_null(value);
        check(value);
    }
}

Test(yaml_text, a_full_buffer_is_said)
{
    json_auto_t *value = json_pack("{s:s, s:i}", "long", "0123456789012345", "b", 1);

    for (size_t max = 1; max < 30; max++) {
        cleanup_buffer struct buffer text = BUFFER_INIT(max);
        cr_assert_eq(yaml_text(value, &text), -ENOBUFS, "%zu", max);
    }
    cleanup_buffer struct buffer text = BUFFER_INIT(30);
    cr_assert_eq(yaml_text(value, &text), 0);
}
