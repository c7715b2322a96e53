#include <criterion/criterion.h>
#include <regex.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "spec/agent_config.h"
#include "spec/dpuservice.h"
#include "spec/field.h"

/* A record with a field of every type. */
enum shape { CIRCLE, SQUARE };

struct part {
    unsigned size;
    char *label;
};

struct named {
    char *name;
    unsigned weight;
};

struct thing {
    unsigned first; /* so that nothing else lies at offset 0 */
    bool on;
    uint64_t wide;
    double ratio;
    char *text, *word;
    enum shape shape;
    uint64_t radius_ns, side_ns, wait_ns;
    size_t bytes;
    unsigned low, high;
    struct part part;
    size_t part_count, text_count, named_count;
    struct part *parts;
    char **texts;
    struct named *named;
    bool named_given;
    json_t *labels, *amounts, *free_form;
    int chosen;
    unsigned left, right;
};

static const char *const shapes[] = {"circle", "square", NULL};
static const char *const shapes_later[] = {"triangle", NULL};
static const char *const words[] = {"red", "green", NULL};
static const char *const constants[] = {"v1", NULL};

static const struct field part_fields[] = {
    {.name = "size",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct part, size),
     .fallback = "16",
     .min = 4,
     .max = 64,
     .flags = FIELD_POWER_OF_TWO,
     .help = "Size."},
    {.name = "label",
     .type = FIELD_STRING,
     FIELD_AT(struct part, label),
     .flags = FIELD_OPTIONAL,
     .max = 5,
     .help = "Label."},
};
static const struct record part_record = {FIELDS(part_fields), .size = sizeof(struct part)};

static const struct field named_fields[] = {
    {.name = "weight",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct named, weight),
     .fallback = "1",
     .max = 9,
     .help = "Weight."},
};
static const struct record named_record = {FIELDS(named_fields), .size = sizeof(struct named)};

static const struct field left_fields[] = {
    {.name = "n",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct thing, left),
     .fallback = "3",
     .max = 9,
     .help = "N."},
};
static const struct field right_fields[] = {
    {.name = "n",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct thing, right),
     .fallback = "4",
     .max = 9,
     .help = "N."},
};
static const struct record left_record = {FIELDS(left_fields), .size = sizeof(struct thing)};
static const struct record right_record = {FIELDS(right_fields), .size = sizeof(struct thing)};
static const struct field side_fields[] = {
    {.name = "left", .type = FIELD_RECORD, .record = &left_record, .choice = 1, .help = "Left."},
    {.name = "right", .type = FIELD_RECORD, .record = &right_record, .choice = 2, .help = "Right."},
};
static const struct record side_record = {FIELDS(side_fields), .size = sizeof(struct thing),
                                          .choice = true, .chosen = offsetof(struct thing, chosen)};

static unsigned finished;

static void check_thing(const void *record, json_t *object, const struct place *place,
                        struct problems *problems)
{
    const struct thing *thing = record;
    struct place at = PLACE_KEY(place, "first");
    (void)object;
    if (thing->first == 13 && thing->on)
        place_problem(&at, problems, "13 is unlucky");
}

static void finish_thing(void *record, json_t *object)
{
    (void)record;
    (void)object;
    finished++;
}

#define AT(member) FIELD_AT(struct thing, member)
static const struct field thing_fields[] = {
    {.name = "apiVersion", .type = FIELD_CONSTANT, .names = constants, .help = "C."},
    {.name = "first",
     .alias = "premier",
     .type = FIELD_UNSIGNED,
     AT(first),
     .fallback = "5",
     .min = 1,
     .max = 100,
     .help = "First."},
    {.name = "on", .type = FIELD_BOOL, AT(on), .fallback = "true", .help = "On."},
    {.name = "wide",
     .type = FIELD_UNSIGNED,
     AT(wide),
     .fallback = "4000000000000",
     .max = 9007199254740991.0,
     .help = "Wide."},
    {.name = "ratio",
     .type = FIELD_NUMBER,
     AT(ratio),
     .fallback = "0.25",
     .max = 1,
     .help = "Ratio | share."},
    {.name = "text",
     .type = FIELD_STRING,
     AT(text),
     .fallback = "none",
     .min = 1,
     .max = 8,
     .help = "Text."},
    {.name = "word",
     .type = FIELD_WORD,
     AT(word),
     .names = words,
     .fallback = "red",
     .help = "Word."},
    {.name = "shape",
     .type = FIELD_ENUM,
     AT(shape),
     .flags = FIELD_SELECTS,
     .names = shapes,
     .later = shapes_later,
     .fallback = "circle",
     .help = "Shape."},
    {.name = "radius",
     .type = FIELD_DURATION,
     AT(radius_ns),
     .only_with = FIELD_BIT(CIRCLE),
     .fallback = "50ms",
     .max = 1e9,
     .help = "Radius."},
    {.name = "side",
     .type = FIELD_DURATION,
     AT(side_ns),
     .only_with = FIELD_BIT(SQUARE),
     .flags = FIELD_REQUIRED,
     .example = "1ms",
     .max = 1e9,
     .help = "Side."},
    {.name = "wait",
     .type = FIELD_SECONDS,
     AT(wait_ns),
     .fallback = "0.01",
     .max = 60e9,
     .help = "Wait."},
    {.name = "bytes",
     .type = FIELD_BYTES,
     AT(bytes),
     .fallback = "1Mi",
     .min = 1024,
     .max = 1073741824,
     .help = "Bytes."},
    {.name = "range",
     .type = FIELD_RANGE,
     AT(low),
     .other = offsetof(struct thing, high),
     .fallback = "[1, 2]",
     .min = 1,
     .max = 9,
     .help = "Range."},
    {.name = "part", .type = FIELD_RECORD, AT(part), .record = &part_record, .help = "Part."},
    {.name = "parts",
     .type = FIELD_RECORDS,
     AT(parts),
     .other = offsetof(struct thing, part_count),
     .max = 3,
     .record = &part_record,
     .unset = "none",
     .help = "Parts."},
    {.name = "texts",
     .type = FIELD_STRINGS,
     AT(texts),
     .other = offsetof(struct thing, text_count),
     .max = 3,
     .fallback = "[\"a\"]",
     .help = "Texts."},
    {.name = "named",
     .type = FIELD_MAP,
     AT(named),
     .other = offsetof(struct thing, named_count),
     .given = offsetof(struct thing, named_given),
     .at = offsetof(struct named, name),
     .record = &named_record,
     .max = 3,
     .help = "Named."},
    {.name = "labels", .type = FIELD_STRING_MAP, AT(labels), .help = "Labels."},
    {.name = "amounts", .type = FIELD_QUANTITY_MAP, AT(amounts), .help = "Amounts."},
    {.name = "free", .type = FIELD_JSON, AT(free_form), .help = "Anything."},
    {.name = "sides",
     .type = FIELD_RECORD,
     .flags = FIELD_OPTIONAL,
     .record = &side_record,
     .help = "Sides."},
    {.name = "soon", .type = FIELD_LATER, .help = "Soon."},
    {.name = "uid", .type = FIELD_IGNORED},
};
static const struct record_check thing_checks[] = {{.run = check_thing, .reads = {"first", "on"}}};
static const struct record thing_record = {FIELDS(thing_fields), CHECKS(thing_checks),
                                           .size = sizeof(struct thing), .finish = finish_thing};

/* Parses json (single quotes for double ones); joins the problems into said. */
static void parse(const char *json, struct thing *thing, char said[2048])
{
    char text[1024];
    struct source source = {0};
    struct place root = PLACE_ROOT(&source);
    cleanup_problems struct problems problems = PROBLEMS_INIT;

    snprintf(text, sizeof(text), "%s", json);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_auto_t *object = json_loads(text, JSON_DECODE_ANY, NULL);
    cr_assert_not_null(object, "%s", text);
    memset(thing, 0, sizeof(*thing));
    record_parse(&thing_record, object, thing, &root, &problems);
    said[0] = '\0';
    for (size_t i = 0; i < problems.count; i++)
        snprintf(said + strlen(said), 2048 - strlen(said), "%s%s", i ? "\n" : "",
                 problems.texts[i]);
}

Test(field, defaults)
{
    struct thing thing;
    char said[2048];
    parse("{}", &thing, said);
    cr_assert_str_eq(said, "");
    cr_assert_eq(thing.first, 5);
    cr_assert(thing.on);
    cr_assert_eq(thing.wide, 4000000000000);
    cr_assert_eq(thing.ratio, 0.25);
    cr_assert_str_eq(thing.text, "none");
    cr_assert_str_eq(thing.word, "red");
    cr_assert_eq(thing.shape, CIRCLE);
    cr_assert_eq(thing.radius_ns, 50000000);
    cr_assert_eq(thing.side_ns, 0);
    cr_assert_eq(thing.wait_ns, 10000000);
    cr_assert_eq(thing.bytes, 1048576);
    cr_assert_eq(thing.low, 1);
    cr_assert_eq(thing.high, 2);
    cr_assert_eq(thing.part.size, 16);
    cr_assert_null(thing.part.label);
    cr_assert_eq(thing.part_count, 0);
    cr_assert_eq(thing.text_count, 1);
    cr_assert_str_eq(thing.texts[0], "a");
    cr_assert(!thing.named_given);
    cr_assert_eq(json_object_size(thing.labels), 0);
    cr_assert_null(thing.free_form);
    cr_assert_eq(thing.chosen, 0);
    record_free(&thing_record, &thing);
    record_free(&thing_record, &thing); /* nothing is left to free */

    /* null is absent, as the API server has it */
    parse("{'first': null, 'part': null, 'parts': null, 'texts': null, 'named': null, 'on': null}",
          &thing, said);
    cr_assert_str_eq(said, "");
    cr_assert_eq(thing.first, 5);
    cr_assert_eq(thing.part.size, 16);
    cr_assert_eq(thing.text_count, 1);
    record_free(&thing_record, &thing);
}

/* What is parsed is emitted, and what is emitted parses to the same. */
Test(field, round_trip)
{
    static const char *const cases[][2] = {
        {"{}", "{'apiVersion': 'v1', 'first': 5, 'on': true, 'wide': 4000000000000, 'ratio': 0.25,"
               "'text': 'none', 'word': 'red', 'shape': 'circle', 'radius': '50ms', 'wait': 0.01,"
               "'bytes': 1048576, 'range': [1, 2], 'part': {'size': 16}, 'parts': [],"
               "'texts': ['a'], 'labels': {}, 'amounts': {}}"},
        {"{'apiVersion': 'v1', 'premier': 7.0, 'on': false, 'wide': 0, 'ratio': 1, 'text': 'x',"
         "'word': 'green', 'shape': 'square', 'side': '1.5ms', 'wait': '2s', 'bytes': '64k',"
         "'range': [3, 3], 'part': {'size': 4, 'label': 'l'}, 'parts': [{}, {'size': 8}],"
         "'texts': [], 'named': {'b': {}, 'a': {'weight': 2}}, 'labels': {'k': 'v'},"
         "'amounts': {'cpu': 1, 'memory': '1Gi'}, 'free': [1, {}], 'sides': {'right': {}},"
         "'soon': {'run': false, 'size': 3}, 'uid': 5}",
         "{'apiVersion': 'v1', 'first': 7, 'on': false, 'wide': 0, 'ratio': 1.0, 'text': 'x',"
         "'word': 'green', 'shape': 'square', 'side': '1.5ms', 'wait': 2.0, 'bytes': 64000,"
         "'range': [3, 3], 'part': {'size': 4, 'label': 'l'}, 'parts': [{'size': 16}, {'size': 8}],"
         "'texts': [], 'named': {'a': {'weight': 2}, 'b': {'weight': 1}}, 'labels': {'k': 'v'},"
         "'amounts': {'cpu': '1', 'memory': '1Gi'}, 'free': [1, {}],"
         "'sides': {'right': {'n': 4}}}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct thing thing, again;
        char said[2048], expected_text[1024];
        parse(cases[i][0], &thing, said);
        cr_assert_str_eq(said, "");
        snprintf(expected_text, sizeof(expected_text), "%s", cases[i][1]);
        for (char *c = expected_text; *c; c++)
            *c = *c == '\'' ? '"' : *c;
        json_auto_t *expected = json_loads(expected_text, 0, NULL);
        json_auto_t *emitted = record_emit(&thing_record, &thing);
        cleanup_free char *text = json_dumps(emitted, JSON_COMPACT);
        cr_assert(json_equal(emitted, expected), "%s", text);

        parse(text, &again, said);
        cr_assert_str_eq(said, "");
        json_auto_t *emitted_again = record_emit(&thing_record, &again);
        cr_assert(json_equal(emitted, emitted_again));
        record_free(&thing_record, &thing);
        record_free(&thing_record, &again);
    }
}

Test(field, sentences)
{
    static const char *const cases[][2] = {
        {"[]", "must be an object (fields with values), not a list"},
        {"{'apiVersion': 'v2'}", "apiVersion: \"v2\" is not known here; give v1"},
        {"{'fist': 1}", "fist: unknown field; did you mean first?"},
        {"{'First': 1}", "First: unknown field; did you mean first?"},
        {"{'first': 0}", "first: 0 is below 1; give 1 to 100"},
        {"{'first': 1e30}", "first: 1e+30 is above 100; give 1 to 100"},
        {"{'first': 1.5}", "first: 1.5 is not a whole number; give 1 to 100"},
        {"{'first': '7'}", "first: \"7\" is text; remove the quotes"},
        {"{'first': true}", "first: must be a whole number, not true; give 1 to 100"},
        {"{'first': 1, 'premier': 2}",
         "premier: the same as first, which is also given; remove one"},
        {"{'premier': 0}", "premier: 0 is below 1; give 1 to 100"},
        {"{'first': 13}", "first: 13 is unlucky"},
        {"{'on': 'true'}", "on: must be true or false, not \"true\""},
        {"{'wide': 9007199254740993}",
         "wide: 9007199254740993 is above 9007199254740991; give 0 to 9007199254740991"},
        {"{'ratio': 2}", "ratio: 2 is above 1; give 0 to 1"},
        {"{'ratio': {}}", "ratio: must be a number, not an object; give 0 to 1"},
        {"{'text': ''}", "text: empty; give some text"},
        {"{'text': '123456789'}", "text: \"123456789\" is longer than 8 characters"},
        {"{'text': []}", "text: must be text, not a list"},
        {"{'text': 1}", "text: 1 is not text; put it in quotes: \"1\""},
        {"{'word': 'gren'}", "word: \"gren\" is not red or green; did you mean green?"},
        {"{'word': 5}", "word: must be text, not 5; give red or green"},
        {"{'shape': 'triangle'}",
         "shape: triangle is not available in this version; give circle or square"},
        {"{'shape': 'blob', 'side': 5}",
         "shape: \"blob\" is not known here; give circle or square\n"
         "side: 5 has no unit; write a duration such as \"50ms\""},
        {"{'side': '1ms'}", "side: only with shape square; here it is circle"},
        {"{'shape': 'square'}", "side: missing; shape square needs it: give a value such as 1ms"},
        {"{'radius': '2s'}", "radius: 2s is above 1s; give 0 to 1s"},
        {"{'radius': 0}", "radius: 0 has no unit; write \"0s\""},
        {"{'radius': []}", "radius: must be a duration such as \"50ms\", not a list"},
        {"{'wait': -0.5}", "wait: -0.5 is below 0; give 0 to 60 seconds, or a duration such as "
                           "\"10ms\""},
        {"{'wait': 1e300}", "wait: 1e+300 is above 60; give 0 to 60 seconds, or a duration such as "
                            "\"10ms\""},
        {"{'bytes': 1023}", "bytes: 1023 is below 1Ki; give 1Ki to 1Gi"},
        {"{'bytes': '2Gi'}", "bytes: 2Gi is above 1Gi; give 1Ki to 1Gi"},
        {"{'bytes': '1.0001Ki'}", "bytes: \"1.0001Ki\" is not a whole number of bytes"},
        {"{'range': [1]}", "range: must be [low, high], two whole numbers 1 to 9, not another "
                           "number of them"},
        {"{'range': [1, 10]}", "range[1]: 10 is above 9; give 1 to 9"},
        {"{'range': [3, 2]}", "range: [3, 2] has its low end above its high end; swap them"},
        {"{'part': 1}", "part: must be an object (fields with values), not 1"},
        {"{'part': {'size': 5}}", "part.size: 5 is not a power of two; give 4 or 8"},
        {"{'part': {'label': 'abcdef'}}", "part.label: \"abcdef\" is longer than 5 characters"},
        {"{'parts': [{}, {'sise': 4}]}", "parts[1].sise: unknown field; did you mean size?"},
        {"{'parts': [{}, {}, {}, {}]}", "parts: 4 entries; at most 3"},
        {"{'parts': [null]}", "parts[0]: must be an object (fields with values), not null"},
        {"{'texts': ['a', 1]}", "texts[1]: 1 is not text; put it in quotes: \"1\""},
        {"{'texts': 'a'}", "texts: must be a list, not \"a\""},
        {"{'named': {'x': {'weight': 10}}}", "named.x.weight: 10 is above 9; give 0 to 9"},
        {"{'named': []}", "named: must be an object (names with values), not a list"},
        {"{'labels': {'a.b': true}}",
         "labels[\"a.b\"]: true is not text; put it in quotes: \"true\""},
        {"{'amounts': {'cpu': '1x'}}",
         "amounts.cpu: \"1x\" is not a quantity; write a number and an optional unit, such as "
         "100m, 0.5, 64Mi or 1G"},
        {"{'sides': {}}", "sides: none given; give exactly one of left, right"},
        {"{'sides': {'left': {}, 'right': {}}}",
         "sides: several given; give exactly one of left, right"},
        {"{'sides': {'left': null}}", "sides.left: empty; write left: {} for its defaults"},
        {"{'sides': {'left': null, 'right': {}}}",
         "sides: several given; give exactly one of left, right"},
        {"{'sides': {'left': {'n': 10}, 'right': {}}}",
         "sides.left.n: 10 is above 9; give 0 to 9\n"
         "sides: several given; give exactly one of left, right"},
        {"{'sides': {'lift': {}}}", "sides.lift: unknown field; did you mean left?"},
        /* A rule across fields is asked when those that it reads are right by themselves. */
        {"{'first': 13, 'ratio': 2}", "ratio: 2 is above 1; give 0 to 1\nfirst: 13 is unlucky"},
        {"{'first': 13, 'on': 2}", "on: must be true or false, not 2"},
        {"{'soon': {}}", "soon: not available in this version; remove it"},
        {"{'soon': {'run': true}}",
         "soon: not available in this version; remove it or set run: false"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct thing thing;
        char said[2048];
        parse(cases[i][0], &thing, said);
        cr_expect_str_eq(said, cases[i][1], "%s\n  said %s", cases[i][0], said);
        record_free(&thing_record, &thing);
    }

    /* Values are derived in any case. */
    struct thing thing;
    char said[2048];
    finished = 0;
    parse("{'first': 13, 'ratio': 2}", &thing, said);
    cr_assert_eq(finished, 1);
    record_free(&thing_record, &thing);
}

Test(field, reference)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(1 << 16), small = BUFFER_INIT(100);
    cr_assert_eq(record_reference(&thing_record, "x.", &out), 0);
    const char *text = buffer_terminate(&out);
    static const char *const rows[] = {
        "| field | type | default | meaning |\n| --- | --- | --- | --- |\n",
        "| `x.first` | whole number, 1 to 100 | `5` | First. Also read as `premier`. |\n",
        "| `x.ratio` | number, 0 to 1 | `0.25` | Ratio \\| share. |\n",
        "| `x.shape` | `circle`, `square` | `circle` | Shape. Not available yet: `triangle`. |\n",
        "| `x.side` | duration, 0 to 1s | required | Side. Only with `shape` `square`. |\n",
        "| `x.bytes` | bytes (`4096`, `1Mi`), 1Ki to 1Gi | `1Mi` | Bytes. |\n",
        "| `x.part.size` | power of two, 4 to 64 | `16` | Size. |\n",
        "| `x.parts[].size` | power of two, 4 to 64 | `16` | Size. |\n",
        "| `x.named.NAME.weight` | whole number, 0 to 9 | `1` | Weight. |\n",
        "| `x.sides.left.n` | whole number, 0 to 9 | `3` | N. |\n",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect(strstr(text, rows[i]), "%s\nis not in\n%s", rows[i], text);
    cr_assert_null(strstr(text, "uid"));
    cr_assert_lt(record_reference(&thing_record, "", &small), 0, "a cap that is met is an error");
}

/* The regular expression, which the CRD shows to the API server, says what our function says. */
static void check_patterns(const struct record *record, unsigned *ret_checked)
{
    static const char *const samples[] = {"",
                                          "s0",
                                          "S0",
                                          "0s",
                                          "a-b",
                                          "-a",
                                          "a-",
                                          "a",
                                          "a_b",
                                          "a.b",
                                          "a b",
                                          "/",
                                          "/api/v1",
                                          "/a?b",
                                          "/a b",
                                          "api",
                                          "/a%20b",
                                          "/\xc3\xa4",
                                          "s1__2",
                                          "s1__",
                                          "s1__x",
                                          "__2",
                                          "s1__2__3",
                                          "1__2",
                                          "a:5/b@c",
                                          ":a",
                                          "a\n",
                                          "/a\n",
                                          "s0\n",
                                          "s-1__22",
                                          "/~u!$&'()*+,;=:@"};
    for (size_t i = 0; i < record->field_count; i++) {
        const struct field *field = &record->fields[i];
        if (field->record)
            check_patterns(field->record, ret_checked);
        if (!field->pattern || !field->pattern->expression)
            continue;
        regex_t expression;
        cr_assert_eq(regcomp(&expression, field->pattern->expression, REG_EXTENDED | REG_NOSUB), 0);
        for (size_t j = 0; j < sizeof(samples) / sizeof(samples[0]); j++)
            cr_expect_eq(regexec(&expression, samples[j], 0, NULL, 0) == 0,
                         field->pattern->valid(samples[j]), "%s: \"%s\"", field->name, samples[j]);
        regfree(&expression);
        (*ret_checked)++;
    }
}

Test(field, patterns_agree_with_their_expressions)
{
    unsigned checked = 0;
    check_patterns(&dpuservice_record, &checked);
    check_patterns(&agent_config_record, &checked);
    cr_assert_geq(checked, 6);
}

/* Every table of the project is sound; and the check finds what is not. */
Test(field, tables_are_sound)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    record_self_check(&thing_record, "thing", &problems);
    record_self_check(&dpuservice_record, "DpuService", &problems);
    record_self_check(&agent_config_record, "agent", &problems);
    problems_print(&problems, stderr, "");
    cr_assert_eq(problems.count, 0);

    static const struct field bad_fields[] = {
        {.name = "a",
         .type = FIELD_UNSIGNED,
         FIELD_AT(struct part, size),
         .fallback = "7",
         .max = 6,
         .help = "A."},
        {.name = "b", .type = FIELD_BOOL, .fallback = "maybe"},
        {.name = "c",
         .type = FIELD_DURATION,
         .fallback = "2s",
         .max = 1e9,
         .only_with = 1,
         .help = "C."},
        {.name = "d", .type = FIELD_ENUM, .help = "D."},
        {.name = "e",
         .type = FIELD_UNSIGNED,
         FIELD_AT(struct part, size),
         .fallback = "1",
         .max = 9,
         .needs = "z",
         .help = "E."},
        {.name = "f",
         .type = FIELD_UNSIGNED,
         FIELD_AT(struct part, size),
         .fallback = "1",
         .max = 9,
         .needs = "e",
         .help = "F."},
        {.name = "g",
         .type = FIELD_UNSIGNED,
         FIELD_AT(struct part, size),
         .fallback = "1",
         .max = 9,
         .needs = "b",
         .help = "G."},
    };
    static const struct record_check bad_checks[] = {{.run = check_thing, .reads = {"a", "z"}}};
    static const struct record bad_record = {FIELDS(bad_fields), CHECKS(bad_checks),
                                             .size = sizeof(struct part)};
    record_self_check(&bad_record, "bad", &problems);
    static const char *const sentences[] = {
        "bad: a check reads z, which is no field",
        "bad: a: 7 is above 6; give 0 to 6",
        "bad: b: has no help",
        "bad: b: its default is not JSON",
        "bad: c: comes before its selector",
        "bad: c: 2s is above 1s; give 0 to 1s",
        "bad: d: has no names",
        "bad: e: needs z, which is no field",
        "bad: f: e has no default, or is not 0 by it",
        "bad: g: b is no number",
    };
    for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++)
        cr_assert_str_eq(problems.texts[i], sentences[i], "%s", problems.texts[i]);
    cr_assert_eq(problems.count, sizeof(sentences) / sizeof(sentences[0]));
}
