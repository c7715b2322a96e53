#include <criterion/criterion.h>
#include <string.h>

#include "doc/document.h"

static json_t *parse(const char *text, struct problems *repeated, struct problems *problems)
{
    json_t *root = NULL;
    int ret =
        document_parse_json_repeating(text, strlen(text), "m.json", &root, repeated, problems);
    cr_assert_eq(ret<0, problems->count> 0);
    cr_assert_eq(root == NULL, ret < 0);
    return root;
}

/* Each repetition is told, and the last one counts. */
Test(document_keys, each_repetition_is_told)
{
    cleanup_problems struct problems repeated = PROBLEMS_INIT, problems = PROBLEMS_INIT;
    json_auto_t *root =
        parse("{\"a\": {\"x\": 1,\n \"y\": [0, {\"k\": \"}\\\"{\", \"\\u006b\": -1.5e3}],\n"
              " \"x\": 2},\n\"b\": [], \"a\": true,\"a\":null}",
              &repeated, &problems);

    cr_assert_eq(repeated.count, 4);
    cr_assert_str_eq(repeated.texts[0],
                     "m.json:2: /a/y/1/k: given before, in line 2; remove one of the two");
    cr_assert_str_eq(repeated.texts[1],
                     "m.json:3: /a/x: given before, in line 1; remove one of the two");
    cr_assert_str_eq(repeated.texts[2],
                     "m.json:4: /a: given before, in line 1; remove one of the two");
    cr_assert_str_eq(repeated.texts[3],
                     "m.json:4: /a: given before, in line 4; remove one of the two");
    cr_assert(json_is_null(json_object_get(root, "a")));
}

Test(document_keys, none)
{
    static const char *const texts[] = {
        "{}", "[]",        " [1, [2], {\"a\": {}, \"b\": {\"a\": 1}}] ",
        "3",  "\"a\\\\\"", "{\"a\": [{\"a\": 1}, {\"a\": 1}]}\n"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cleanup_problems struct problems repeated = PROBLEMS_INIT, problems = PROBLEMS_INIT;
        json_auto_t *root = parse(texts[i], &repeated, &problems);
        cr_assert_eq(repeated.count, 0, "%s", texts[i]);
        cr_assert_not_null(root);
    }
}

Test(document_keys, what_is_not_json)
{
    static const char *const texts[] = {"", "{\"a\": 1,}", "{\"a\": 1, \"a\"", "\"\\u0000\""};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cleanup_problems struct problems repeated = PROBLEMS_INIT, problems = PROBLEMS_INIT;
        cr_assert_null(parse(texts[i], &repeated, &problems));
        cr_assert_eq(problems.count, 1);
    }
}
