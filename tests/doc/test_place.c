#include <criterion/criterion.h>
#include <string.h>

#include "base/text.h"
#include "doc/place.h"

static void expect(const struct place *place, const char *sentence)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    place_problem(place, &problems, "wrong by %d", 3);
    cr_assert_str_eq(problems.texts[0], sentence);
}

Test(place, path_line_and_object)
{
    /* a document whose spec is on line 2, its list on 3, the list's elements on 4 and 5 */
    json_auto_t *lines =
        json_loads("[1, {\"spec\": [2, {\"list\": [3, [4, [5, {\"x\": 6}]]]}]}]", 0, NULL);
    struct source full = {.file = "app.yaml", .line = 1, .lines = lines, .object = "s0"};
    struct place root = PLACE_ROOT(&full), spec = PLACE_KEY(&root, "spec");
    struct place list = PLACE_KEY(&spec, "list"), second = PLACE_INDEX(&list, 1);
    struct place x = PLACE_KEY(&second, "x"), missing = PLACE_KEY(&second, "y");
    struct place deeper = PLACE_KEY(&missing, "list"), third = PLACE_INDEX(&list, 2);

    cr_assert_not_null(lines);
    expect(&x, "app.yaml:6: s0: spec.list[1].x: wrong by 3");
    expect(&second, "app.yaml:5: s0: spec.list[1]: wrong by 3");
    expect(&missing, "app.yaml:5: s0: spec.list[1].y: wrong by 3");
    expect(&deeper, "app.yaml:5: s0: spec.list[1].y.list: wrong by 3");
    expect(&third, "app.yaml:3: s0: spec.list[2]: wrong by 3");
    expect(&root, "app.yaml:1: s0: wrong by 3");

    struct source bare = {.file = NULL}, file = {.file = "a.json"};
    struct source line = {.file = "a.json", .line = 7};
    struct place bare_root = PLACE_ROOT(&bare), bare_key = PLACE_KEY(&bare_root, "a");
    struct place file_root = PLACE_ROOT(&file), file_key = PLACE_KEY(&file_root, "a");
    struct place line_root = PLACE_ROOT(&line), line_key = PLACE_KEY(&line_root, "a");
    expect(&bare_root, "wrong by 3");
    expect(&bare_key, "a: wrong by 3");
    expect(&file_key, "a.json: a: wrong by 3");
    expect(&line_key, "a.json:7: a: wrong by 3");
}

Test(place, keys_that_are_not_plain_are_quoted_and_cut)
{
    struct source bare = {.file = NULL};
    struct place root = PLACE_ROOT(&bare), dotted = PLACE_KEY(&root, "app.kubernetes.io/name");
    struct place control = PLACE_KEY(&root, "a\nb"), empty = PLACE_KEY(&root, "");
    char key[200];

    expect(&dotted, "[\"app.kubernetes.io/name\"]: wrong by 3");
    expect(&control, "[\"a?b\"]: wrong by 3");
    expect(&empty, "[\"\"]: wrong by 3");

    /* Two-byte characters: the cut falls between them. */
    for (size_t i = 0; i < 198; i += 2)
        memcpy(key + i, "\xc3\xa4", 2);
    key[198] = '\0';
    memmove(key + 1, key, 199);
    key[0] = 'x';
    struct place longer = PLACE_KEY(&root, key);
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    place_problem(&longer, &problems, "wrong");
    cr_assert(text_utf8_valid(problems.texts[0], strlen(problems.texts[0])));
    cr_assert(strstr(problems.texts[0], "...\"]: wrong"));
}

Test(place, values)
{
    static const struct {
        const char *json, *shown;
    } cases[] = {
        {"\"s1\"", "\"s1\""},
        {"\"a\\nb\"", "\"a?b\""},
        {"\"0123456789012345678901234567890123456789012345678901234567890123456789\"",
         "\"0123456789012345678901234567890123456789012345678901234567...\""},
        {"-3", "-3"},
        {"0.1", "0.1"},
        {"1e300", "1e+300"},
        {"true", "true"},
        {"false", "false"},
        {"null", "null"},
        {"[1]", "a list"},
        {"{}", "an object"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[PLACE_VALUE_MAX];
        json_auto_t *value = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
        cr_assert_str_eq(place_value(value, text), cases[i].shown);
    }
}

Test(place, pointers)
{
    struct source source = {
        .file = "model.json", .line = 4, .object = "not shown", .pointers = true};
    struct place root = PLACE_ROOT(&source), service = PLACE_KEY(&root, "s0");
    struct place list = PLACE_KEY(&service, "a/b~c"), second = PLACE_INDEX(&list, 1);
    struct place empty = PLACE_KEY(&second, ""), control = PLACE_KEY(&root, "a\nb");

    expect(&root, "model.json:4: wrong by 3");
    expect(&second, "model.json:4: /s0/a~1b~0c/1: wrong by 3");
    expect(&empty, "model.json:4: /s0/a~1b~0c/1/: wrong by 3");
    expect(&control, "model.json:4: /a?b: wrong by 3");
}

Test(place, origins)
{
    json_auto_t *origins =
        json_pack("{s:s, s:s}", "spec", "a.json: /s0", "spec.list[1]", "b.json: /x");
    struct source source = {.file = "a.json", .object = "s0", .origins = origins};
    struct place root = PLACE_ROOT(&source), spec = PLACE_KEY(&root, "spec");
    struct place list = PLACE_KEY(&spec, "list"), first = PLACE_INDEX(&list, 0);
    struct place second = PLACE_INDEX(&list, 1), inner = PLACE_KEY(&second, "y");

    expect(&spec, "a.json: /s0: wrong by 3");
    expect(&first, "a.json: /s0/list/0: wrong by 3");
    expect(&second, "b.json: /x: wrong by 3");
    expect(&inner, "b.json: /x/y: wrong by 3");
    expect(&root, "a.json: s0: wrong by 3");
}

Test(place, origin)
{
    struct source source = {.file = "a\nb.json", .pointers = true};
    struct place root = PLACE_ROOT(&source), key = PLACE_KEY(&root, "s/0");
    struct place item = PLACE_INDEX(&key, 2);
    cleanup_free char *whole = place_origin(&root), *part = place_origin(&item);

    cr_expect_str_eq(whole, "a b.json");
    cr_expect_str_eq(part, "a b.json: /s~10/2");
}
