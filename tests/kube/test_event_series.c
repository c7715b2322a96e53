/* The parts of events without a thread: series, buckets, texts, names, bodies. */
#include "kube/event_series.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "kube/event_text.h"

#define S      NS_PER_S
#define MINUTE (60 * NS_PER_S)

static struct event_table table;
static struct event_series *series;

static void setup(void)
{
    event_table_init(&table);
}

static void teardown(void)
{
    event_table_free(&table);
}

TestSuite(event_series, .init = setup, .fini = teardown);

static enum event_verdict happen(const char *what, const char *object, uint64_t now_ns)
{
    struct kube_lru_key key = kube_lru_key(what, strlen(what));
    struct kube_lru_key about = kube_lru_key(object, strlen(object));
    return event_table_record(&table, &key, &about, now_ns, now_ns + 7, &series);
}

Test(event_series, counts_what_repeats)
{
    uint64_t t = 100 * S;
    cr_assert_eq(happen("a", "x", t), EVENT_NEW);
    cr_assert_eq(series->count, 1);
    cr_assert_eq(happen("b", "x", t), EVENT_NEW, "another");
    cr_assert_eq(table.due_ns, UINT64_MAX);
    cr_assert_eq(happen("a", "x", t + S), EVENT_TELL, "the second is told at once");
    cr_assert_eq(series->count, 2);
    cr_assert_eq(series->observed_unix_ns, t + S + 7);
    event_series_told(series, t + S);
    cr_assert_null(event_table_due(&table, UINT64_MAX, true), "nothing waits");
    cr_assert_eq(table.due_ns, UINT64_MAX);
    cr_assert_eq(happen("a", "x", t + 2 * S), EVENT_COUNTED);
    cr_assert_eq(happen("a", "x", t + 3 * S), EVENT_COUNTED);
    cr_assert_eq(table.due_ns, t + S + 6 * MINUTE);
    cr_assert_null(event_table_due(&table, table.due_ns - 1, false));
    struct event_series *due = event_table_due(&table, t + S + 6 * MINUTE, false);
    cr_assert_eq(due, series);
    cr_assert_eq(due->count, 4);
    event_series_told(due, t + S + 6 * MINUTE);
    cr_assert_null(event_table_due(&table, t + S + 6 * MINUTE, false));
    cr_assert_eq(table.due_ns, UINT64_MAX, "nothing wakes the thread any more");
    /* After six minutes of peace the next is told at once. */
    cr_assert_eq(happen("c", "x", t), EVENT_NEW);
    cr_assert_eq(happen("c", "x", t), EVENT_TELL);
    event_series_told(series, t);
    cr_assert_eq(happen("c", "x", t + 6 * MINUTE), EVENT_TELL);
    event_series_told(series, t + 6 * MINUTE);
    cr_assert_eq(happen("c", "x", t + 7 * MINUTE), EVENT_COUNTED);
    cr_assert_eq(event_table_due(&table, t + 7 * MINUTE, true), series, "all");
}

Test(event_series, ends_after_ten_quiet_minutes)
{
    cr_assert_eq(happen("a", "x", 100 * S), EVENT_NEW);
    series->name = xstrdup("first");
    cr_assert_eq(happen("a", "x", 100 * S + 10 * MINUTE - 1), EVENT_TELL);
    cr_assert_eq(happen("a", "x", 100 * S + 20 * MINUTE - 1), EVENT_NEW);
    cr_assert_null(series->name);
    cr_assert_eq(table.series.count, 1);
    /* Forgotten: new again. An instant before the last one (of another thread) is no later one. */
    event_series_forget(&table, series);
    cr_assert_eq(happen("a", "x", 300 * S), EVENT_NEW);
    cr_assert_eq(happen("a", "x", 200 * S), EVENT_TELL);
}

Test(event_series, an_objects_bucket_holds_twenty_five)
{
    char what[16];
    unsigned made = 0;
    for (int i = 0; i < 100; i++) {
        snprintf(what, sizeof(what), "%d", i);
        made += happen(what, "x", 100 * S) == EVENT_NEW;
    }
    cr_assert_eq(made, 25);
    cr_assert_eq(happen("0", "x", 101 * S), EVENT_TELL, "counting takes no token");
    cr_assert_eq(happen("50", "y", 101 * S), EVENT_NEW, "another object has a bucket of its own");
    cr_assert_eq(happen("60", "x", 100 * S + 5 * MINUTE - 1), EVENT_SPAM);
    cr_assert_eq(happen("60", "x", 100 * S + 5 * MINUTE), EVENT_NEW, "one more every five minutes");
    cr_assert_eq(happen("61", "x", 100 * S + 5 * MINUTE), EVENT_SPAM);
    /* After two quiet hours and five minutes it is full again, and no more than full. */
    made = 0;
    for (int i = 0; i < 100; i++) {
        snprintf(what, sizeof(what), "%d", i);
        made += happen(what, "x", 100 * S + 300 * MINUTE) == EVENT_NEW;
    }
    cr_assert_eq(made, 25);
    cr_assert_eq(table.buckets.count, 1, "full buckets are forgotten");
}

Test(event_series, memory_is_capped)
{
    char what[16];
    for (int i = 0; i < 3 * EVENT_SERIES_MAX; i++) {
        snprintf(what, sizeof(what), "%d", i);
        cr_assert_eq(happen(what, what, 100 * S + (uint64_t)i), EVENT_NEW);
    }
    cr_assert_eq(table.series.count, EVENT_SERIES_MAX);
    cr_assert_eq(table.buckets.count, EVENT_SERIES_MAX);
    cr_assert_eq(happen(what, what, 101 * S), EVENT_TELL, "the newest are there");
    cr_assert_eq(happen("0", "0", 101 * S), EVENT_NEW, "the oldest went");
}

Test(event_series, a_count_that_is_due_among_many)
{
    char what[16];
    for (int i = 0; i < 100; i++) {
        uint64_t t = 100 * S + (uint64_t)i * S;
        snprintf(what, sizeof(what), "%d", i);
        happen(what, what, t);
        happen(what, what, t);
        event_series_told(series, t);
        if (i % 2)
            cr_assert_eq(happen(what, what, t), EVENT_COUNTED);
    }
    /* The odd ones, each six minutes after its last word. */
    for (int i = 1; i < 100; i += 2) {
        uint64_t t = 100 * S + (uint64_t)i * S + 6 * MINUTE;
        struct event_series *due;
        cr_assert_eq(event_table_due(&table, t, false) != NULL, true);
        cr_assert_leq(table.due_ns, t);
        due = event_table_due(&table, t, false);
        event_series_told(due, t);
        cr_assert_null(event_table_due(&table, t, false));
        cr_assert_eq(table.due_ns, i == 99 ? UINT64_MAX : t + 2 * S);
    }
}

/* ---- texts ---- */

static struct event_occurrence *occurrence(const char *note, const char *reason)
{
    const char *const fields[EVENT_FIELDS] = {
        [EVENT_API_VERSION] = "v1", [EVENT_KIND] = "Pod",
        [EVENT_NAMESPACE] = "shop", [EVENT_NAME] = "cart-0",
        [EVENT_UID] = "1-2",        [EVENT_TYPE] = "Warning",
        [EVENT_REASON] = reason,    [EVENT_ACTION] = "Reconciling",
        [EVENT_NOTE] = note,        [EVENT_RESOURCE_VERSION] = "77"};
    return event_occurrence_new(fields, 1, NS_PER_S);
}

Test(event_text, notes_are_cut_at_a_character)
{
    char text[2000];
    for (size_t shift = 0; shift < 4; shift++) {
        /* Characters of four bytes, so that the cut falls on each byte of one. */
        memset(text, 'x', shift);
        for (size_t i = shift; i < 1600; i += 4)
            memcpy(text + i, "\xf0\x9f\x98\x80", 5);
        cleanup_free struct event_occurrence *cut = occurrence(text, "R");
        const char *note = cut->fields[EVENT_NOTE];
        cr_assert_leq(strlen(note), EVENT_NOTE_MAX);
        cr_assert_gt(strlen(note), EVENT_NOTE_MAX - 4);
        cr_assert(text_utf8_valid(note, strlen(note)));
        cr_assert_str_eq(note + strlen(note) - 3, "...");
    }
    memset(text, 'y', 1024);
    text[1024] = '\0';
    cleanup_free struct event_occurrence *fits = occurrence(text, text);
    cr_assert_str_eq(fits->fields[EVENT_NOTE], text);
    cr_assert_eq(strlen(fits->fields[EVENT_REASON]), EVENT_WORD_MAX);
    cleanup_free struct event_occurrence *bad = occurrence("a\xff\x80z\xe2\x82", "R");
    cr_assert_str_eq(bad->fields[EVENT_NOTE], "a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd");
    cleanup_free char *clean = event_clean("abcdefgh", 6);
    cr_assert_str_eq(clean, "abc...");
}

static bool same(struct kube_lru_key a, struct kube_lru_key b)
{
    return a.half[0] == b.half[0] && a.half[1] == b.half[1];
}

Test(event_text, keys_tell_what_differs)
{
    cleanup_free struct event_occurrence *a = occurrence("note", "R");
    cleanup_free struct event_occurrence *again = occurrence("note", "R");
    cleanup_free struct event_occurrence *other = occurrence("note", "S");
    const char *const unlike[EVENT_FIELDS] = {[EVENT_API_VERSION] = "v1P", [EVENT_KIND] = "od"};
    const char *const unlike_too[EVENT_FIELDS] = {[EVENT_API_VERSION] = "v1", [EVENT_KIND] = "Pod"};
    cleanup_free struct event_occurrence *b = event_occurrence_new(unlike, 1, 1);
    cleanup_free struct event_occurrence *c = event_occurrence_new(unlike_too, 1, 1);
    cr_assert(same(event_occurrence_key(a), event_occurrence_key(again)));
    cr_assert_not(same(event_occurrence_key(a), event_occurrence_key(other)));
    cr_assert(same(event_occurrence_object(a), event_occurrence_object(other)));
    cr_assert_not(same(event_occurrence_object(b), event_occurrence_object(c)));
    cr_assert_str_eq(event_occurrence_namespace(a), "shop");
    cr_assert_str_eq(event_occurrence_namespace(b), "default", "of a cluster-scoped object");
}

Test(event_text, names)
{
    static const struct {
        const char *object, *name;
    } cases[] = {{"cart-0", "cart-0.1f"}, {"a.b", "a.b.1f"},    {"system:node:a", "event.1f"},
                 {"", "event.1f"},        {"Cart", "event.1f"}, {"a..b", "event.1f"},
                 {".a", "event.1f"},      {"-a", "event.1f"},   {"a-", "event.1f"},
                 {"a-.b", "event.1f"},    {"a.-b", "event.1f"}};
    char longest[254];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_free char *name = event_name(cases[i].object, 0x1f);
        cr_assert_str_eq(name, cases[i].name, "\"%s\" gives %s", cases[i].object, name);
    }
    memset(longest, 'n', sizeof(longest) - 1);
    longest[253] = '\0';
    cleanup_free char *cut = event_name(longest, UINT64_MAX);
    cr_assert_eq(strlen(cut), 253);
    cr_assert_str_eq(cut + 253 - 18, "n.ffffffffffffffff");
    memset(longest + 200, '-', 52);
    cleanup_free char *trimmed = event_name(longest, 1);
    cr_assert_eq(strlen(trimmed), 202, "no dash before the dot");
}

Test(event_text, bodies)
{
    cleanup_free struct event_occurrence *a = occurrence("It \"broke\"", "Broken");
    json_auto_t *body = event_body(a, "cart-0.1", "example.com/c", "c-1");
    json_object_set_new(body, "series", event_series_body(3, 2 * NS_PER_S));
    cleanup_free char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    static const char expected[] =
        "{\"action\":\"Reconciling\",\"apiVersion\":\"events.k8s.io/v1\","
        "\"eventTime\":\"1970-01-01T00:00:01.000000Z\",\"kind\":\"Event\","
        "\"metadata\":{\"name\":\"cart-0.1\",\"namespace\":\"shop\"},"
        "\"note\":\"It \\\"broke\\\"\",\"reason\":\"Broken\","
        "\"regarding\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"cart-0\","
        "\"namespace\":\"shop\",\"resourceVersion\":\"77\",\"uid\":\"1-2\"},"
        "\"reportingController\":\"example.com/c\",\"reportingInstance\":\"c-1\","
        "\"series\":{\"count\":3,\"lastObservedTime\":\"1970-01-01T00:00:02.000000Z\"},"
        "\"type\":\"Warning\"}";
    cr_assert_str_eq(text, expected);
}
