#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "doc/document.h"

/* Reads text and compares the documents with JSON, an array of them. */
static void reads(const char *file, const char *text, const char *json)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *expected = json_loads(json, 0, NULL), *got = json_array();

    cr_assert_not_null(expected, "%s", json);
    int ret = documents_parse(text, strlen(text), file, &documents, &problems);
    cr_assert_eq(ret, 0, "%s: %s", text, problems.count ? problems.texts[0] : "?");
    for (size_t i = 0; i < documents.count; i++)
        json_array_append(got, documents.items[i].root);
    cleanup_free char *shown = json_dumps(got, JSON_COMPACT);
    cr_assert(json_equal(got, expected), "%s\nread as %s\nexpected %s", text, shown, json);
}

/* Reads length bytes and expects exactly one problem, this one. */
static void refuses(const char *file, const char *text, size_t length, const char *sentence)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;

    cr_assert_lt(documents_parse(text, length, file, &documents, &problems), 0, "%.100s", text);
    cr_assert_eq(problems.count, 1);
    cr_assert_str_eq(problems.texts[0], sentence);
}

#define REFUSES(file, text, sentence) refuses(file, text, strlen(text), sentence)

Test(document, yaml)
{
    reads("a.yaml", "a: 1\nb: [x, 'y', \"z\", ~, true, 1.5]\n",
          "[{\"a\": 1, \"b\": [\"x\", \"y\", \"z\", null, true, 1.5]}]");
    reads("a.yaml", "a: '1'\nb: \"true\"\nc: |\n  two\n  lines\nd: >-\n  one\n  line\n",
          "[{\"a\": \"1\", \"b\": \"true\", \"c\": \"two\\nlines\\n\", \"d\": \"one line\"}]");
    reads("a.yaml", "a: !!str 1\nb: !!float 1\nc: !!int '3'\nd: ! 5\ne: !!map {x: !!seq [1]}\n",
          "[{\"a\": \"1\", \"b\": 1, \"c\": 3, \"d\": \"5\", \"e\": {\"x\": [1]}}]");
    reads("a.yaml", "1: a\ntrue: b\n\"\": c\n", "[{\"1\": \"a\", \"true\": \"b\", \"\": \"c\"}]");
    reads("a.yaml", "a:\nb: {}\nc: []\n", "[{\"a\": null, \"b\": {}, \"c\": []}]");
    reads("a.yaml",
          "\xef\xbb\xbf"
          "a: \xc3\xa4\n",
          "[{\"a\": \"\xc3\xa4\"}]");
    reads("a.yaml", "{\"a\": {\"b\": [1, 2]}}\n", "[{\"a\": {\"b\": [1, 2]}}]");
    reads("a.yaml", "a:\t1\r\nb: 2\r\n", "[{\"a\": 1, \"b\": 2}]");
}

Test(document, several_documents)
{
    reads("a.yaml", "# nothing\n---\na: 1\n---\n---\n# nothing\n---\nb: 2\n...\n---\nc: 3\n",
          "[{\"a\": 1}, {\"b\": 2}, {\"c\": 3}]");
    reads("a.yaml", "kind: List\nitems:\n- a: 1\n- kind: List\n  items: [{b: 2}]\n---\nc: 3\n",
          "[{\"a\": 1}, {\"b\": 2}, {\"c\": 3}]");
    reads("a.json",
          "{\"a\": 1}\n{\"kind\": \"DpuServiceList\", \"items\": [{\"b\": 2}]} {\"c\": 3}",
          "[{\"a\": 1}, {\"b\": 2}, {\"c\": 3}]");
    reads("no suffix", " {\"a\": \"\\ud83d\\ude00\"}", "[{\"a\": \"\xf0\x9f\x98\x80\"}]");

    /* What was read before a bad document stays; a refused one does not hide the next. */
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    static const char text[] = "a: 1\n---\n- 2\n---\nb: 1\nb: 2\n---\nc: 3\n---\nd: [\n";
    cr_assert_eq(documents_parse(text, strlen(text), "a.yaml", &documents, &problems), -EINVAL);
    cr_assert_eq(documents.count, 2);
    cr_assert_eq(documents.items[1].line, 8);
    cr_assert_eq(problems.count, 3);
    cr_assert_str_eq(problems.texts[0], "a.yaml:3: a document must be an object with apiVersion "
                                        "and kind, not a list");
    cr_assert_str_eq(problems.texts[1], "a.yaml:6:1: duplicate key b, first on line 5; remove one");
    cr_assert_str_eq(problems.texts[2],
                     "a.yaml:10:5: the YAML ends in the middle; is the file complete?");
}

Test(document, anchors_aliases_and_merges)
{
    reads("a.yaml", "a: &x {p: 1, q: [2]}\nb: *x\nc: [*x, &y 7, *y]\n",
          "[{\"a\": {\"p\": 1, \"q\": [2]}, \"b\": {\"p\": 1, \"q\": [2]},"
          " \"c\": [{\"p\": 1, \"q\": [2]}, 7, 7]}]");
    reads("a.yaml",
          "a: &x {p: 1, q: 2}\nb: &z {q: 3, r: 4}\nc:\n  q: 9\n  <<: *x\nd:\n  <<: [*x, *z]\n",
          "[{\"a\": {\"p\": 1, \"q\": 2}, \"b\": {\"q\": 3, \"r\": 4}, \"c\": {\"q\": 9, \"p\": 1},"
          " \"d\": {\"p\": 1, \"q\": 2, \"r\": 4}}]");
    reads("a.yaml", "a: &x 1\nb: &x 2\nc: *x\n", "[{\"a\": 1, \"b\": 2, \"c\": 2}]");
    reads("a.yaml", "'<<': {p: 1}\n", "[{\"<<\": {\"p\": 1}}]");

    REFUSES("a.yaml", "a: &x 1\n---\nb: *x\n", "a.yaml:3:4: *x has no anchor &x before it");
    REFUSES("a.yaml", "a: &x [1, *x]\n", "a.yaml:1:11: *x stands inside its own anchor");
    REFUSES("a.yaml", "a: {<<: [1]}\n", "a.yaml:1:4: << must be given mappings");
    REFUSES("a.yaml", "a: &x {}\nb:\n  <<: *x\n  <<: *x\n",
            "a.yaml:4:3: a second << key; give a list: << : [*a, *b]");
    REFUSES("a.yaml", "&k key: 1\n", "a.yaml:1:1: an anchor on a key; put it on the value");
}

Test(document, caps)
{
    /* Depth: 64 levels of containers, in YAML and JSON alike, straight and through aliases. */
    char deep[2100], *at;
    for (size_t depth = 63; depth <= 64; depth++) {
        for (unsigned json = 0; json < 2; json++) {
            cleanup_documents struct documents documents = DOCUMENTS_INIT;
            cleanup_problems struct problems problems = PROBLEMS_INIT;
            at = deep + snprintf(deep, sizeof(deep), "{\"a\": ");
            memset(at, '[', depth);
            memset(at + depth, ']', depth);
            memcpy(at + 2 * depth, "}", 2);
            int ret = documents_parse(deep, strlen(deep), json ? "a.json" : "a.yaml", &documents,
                                      &problems);
            cr_assert_eq(ret, depth == 63 ? 0 : -EINVAL, "depth %zu", depth);
        }
    }
    memset(deep, '[', 1000);
    refuses("a.json", deep, 1000, "a.json:1:65: nested deeper than 64 levels");
    refuses("a.yaml", deep, 1000, "a.yaml:1:65: nested deeper than 64 levels");

    char laughs[4096] = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
    for (int c = 'b'; c < 'z'; c++) {
        char line[80];
        snprintf(line, sizeof(line), "%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n",
                 c, c, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
        strncat(laughs, line, sizeof(laughs) - strlen(laughs) - 1);
    }
    refuses("a.yaml", laughs, strlen(laughs),
            "a.yaml:6:20: more than 500000 values, aliases expanded");

    char steps[8192] = "a0: &a0 [1]\n";
    for (unsigned i = 1; i < 100; i++) {
        char line[40];
        snprintf(line, sizeof(line), "a%u: &a%u [*a%u]\n", i, i, i - 1);
        strncat(steps, line, sizeof(steps) - strlen(steps) - 1);
    }
    refuses("a.yaml", steps, strlen(steps), "a.yaml:64:12: nested deeper than 64 levels");

    size_t size = DOCUMENT_BYTES_MAX + 1;
    cleanup_free char *large = xmalloc(size);
    memset(large, '#', size);
    refuses("a.yaml", large, size, "a.yaml: larger than 4 MiB");
    memset(large, ',', size);
    large[0] = '[';
    refuses("a.json", large, size - 1, "a.json:1:500000: more than 500000 values");

    cleanup_free char *many = xmalloc(8 * 1001 + 1);
    for (unsigned i = 0; i < 1001; i++)
        memcpy(many + 8 * i, "{\"a\":1}\n", 8);
    refuses("a.json", many, 8 * 1001, "a.json:1001: more than 1000 documents");
}

Test(document, text_that_is_not_text)
{
    refuses("a.yaml", "a: 1\0b", 6, "a.yaml:1:5: a NUL byte; save the file as UTF-8 text");
    refuses("a.yaml", "a: \xc3\xa4\nb: \xff\n", 11,
            "a.yaml:2:4: bytes that are not UTF-8; save the file as UTF-8");
    refuses("a.json", "{\"a\": \"\xc0\x80\"}", 11,
            "a.json:1:8: bytes that are not UTF-8; save the file as UTF-8");
    refuses("a.yaml", "\xfe\xff\0a", 4,
            "a.yaml:1:1: bytes that are not UTF-8; save the file as UTF-8");
    REFUSES("a.yaml", "a: \"\\0\"\n", "a.yaml:1:4: a NUL character in text; remove it");
    REFUSES("a.yaml", "a: \x01\n", "a.yaml:1:4: not YAML: control characters are not allowed");
}

Test(document, json_errors)
{
    REFUSES("a.json", "{\"a\": 1,}", "a.json:1:10: not JSON: string or '}' expected near '}'");
    REFUSES("a.json", "{\n \"a\": [1,\n",
            "a.json:2:10: the JSON ends in the middle; is the file complete?");
    REFUSES("a.json", "{\"a\": 1,\n \"a\": 2}",
            "a.json:2:5: duplicate object key near '\"a\"'; remove one of the two");
    REFUSES("a.json", "{\"a\": \"\\u0000\"}", "a.json:1:15: a NUL character in text; remove it");
    REFUSES("a.json", "{} x", "a.json:1:5: not JSON: '[' or '{' expected near 'x'");
    REFUSES("a.json", "  \n", "a.json: no document in it");
}

/* One JSON value of any kind, as the agent reads its configuration. */
Test(document, one_json_text)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *root = NULL;
    static const struct {
        const char *text, *sentence;
    } bad[] = {
        {"", "c.json: the file is empty"},
        {"{} {}", "c.json:1:5: not JSON: end of file expected near '{'"},
        {"{\"a\":{\"b\":1,\"b\":1}}",
         "c.json:1:16: duplicate object key near '\"b\"'; remove one of the two"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        problems_free(&problems);
        cr_assert_eq(
            document_parse_json(bad[i].text, strlen(bad[i].text), "c.json", &root, &problems),
            -EINVAL);
        cr_assert_str_eq(problems.texts[0], bad[i].sentence);
        cr_assert_null(root);
    }
    cr_assert_eq(document_parse_json("[1]garbage", 3, "c.json", &root, &problems), 0,
                 "the text need not end in NUL");
    cr_assert_eq(json_array_size(root), 1);
    json_decref(root);
    root = NULL;
    cr_assert_eq(document_parse_json("\xef\xbb\xbf[1]", 6, "c.json", &root, &problems), 0,
                 "a byte order mark is no part of it");
}

Test(document, files)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    char directory[] = "/tmp/dpumesh-document-XXXXXX", path[128], expected[256];

    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/a.yaml", directory);

    cr_assert_eq(documents_load(path, &documents, &problems), -ENOENT);
    snprintf(expected, sizeof(expected), "%s: can't open: No such file or directory", path);
    cr_assert_str_eq(problems.texts[0], expected);

    problems_free(&problems);
    cr_assert_eq(documents_load(directory, &documents, &problems), -EISDIR);
    snprintf(expected, sizeof(expected), "%s: is a directory; give a file", directory);
    cr_assert_str_eq(problems.texts[0], expected);

    /* Half-written: the writer stopped within a flow list. */
    problems_free(&problems);
    FILE *file = fopen(path, "w");
    fputs("kind: DpuService\nspec:\n  workload: {externalServices: [{services: [s1, s", file);
    fclose(file);
    cr_assert_eq(documents_load(path, &documents, &problems), -EINVAL);
    snprintf(expected, sizeof(expected),
             "%s:3:50: the YAML ends in the middle; is the file complete?", path);
    cr_assert_str_eq(problems.texts[0], expected);

    problems_free(&problems);
    cr_assert_eq(truncate(path, 0), 0);
    cr_assert_eq(documents_load(path, &documents, &problems), -EINVAL);
    snprintf(expected, sizeof(expected), "%s: no document in it", path);
    cr_assert_str_eq(problems.texts[0], expected);

    problems_free(&problems);
    cr_assert_eq(truncate(path, DOCUMENT_BYTES_MAX + 1), 0);
    cr_assert_eq(documents_load(path, &documents, &problems), -EFBIG);
    cr_assert(strstr(problems.texts[0], "larger than"));

    problems_free(&problems);
    chmod(path, 0);
    if (geteuid() != 0) {
        cr_assert_eq(documents_load(path, &documents, &problems), -EACCES);
        cr_assert(strstr(problems.texts[0], "can't open: Permission denied"));
    }
    cr_assert_eq(problems.count, geteuid() != 0);
    cr_assert_eq(documents.count, 0);
    unlink(path);
    rmdir(directory);
}

Test(document, lines_of_fields)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    static const char text[] = "# comment\n"
                               "a:\n"
                               "  b: &x\n"
                               "    c: 1\n"
                               "  d:\n"
                               "  - 1\n"
                               "  - e: 2\n"
                               "f: *x\n";
    cr_assert_eq(documents_parse(text, strlen(text), "a.yaml", &documents, &problems), 0);
    struct source source = document_source(&documents.items[0], NULL);
    struct place root = PLACE_ROOT(&source), a = PLACE_KEY(&root, "a"), b = PLACE_KEY(&a, "b");
    struct place c = PLACE_KEY(&b, "c"), d = PLACE_KEY(&a, "d"), second = PLACE_INDEX(&d, 1);
    struct place e = PLACE_KEY(&second, "e"), f = PLACE_KEY(&root, "f"), fc = PLACE_KEY(&f, "c");
    struct place none = PLACE_KEY(&d, "none");

    cr_assert_eq(documents.items[0].line, 2);
    cr_assert_eq(place_line(&a), 2);
    cr_assert_eq(place_line(&b), 3);
    cr_assert_eq(place_line(&c), 4);
    cr_assert_eq(place_line(&d), 5);
    cr_assert_eq(place_line(&second), 7);
    cr_assert_eq(place_line(&e), 7);
    cr_assert_eq(place_line(&f), 8);
    cr_assert_eq(place_line(&fc), 4, "an alias' content stands where its anchor does");
    cr_assert_eq(place_line(&none), 5);
}
