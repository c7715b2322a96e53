/* muBench's requests may go as far as the calls lead; an agent's as far as its hops let them. */
#include "workmodel_given.h"

enum { USUAL = 16, MOST = 254 };

static void imported(const char *model, const char *egress, struct workmodel_documents *ret_made)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct given given = {.model = model, .egress = egress};

    cr_assert_eq(import(&given, ret_made, &problems), 0, "%s",
                 problems.count ? problems.texts[0] : "");
}

/* What the i-th service says of it; USUAL: nothing. */
static int hops(const struct workmodel_documents *made, size_t i)
{
    const json_t *spec = json_object_get(made->items[i].object, "spec");
    const json_t *forward = json_object_get(json_object_get(spec, "egress"), "forward");
    return forward ? (int)json_integer_value(json_object_get(forward, "hops")) : USUAL;
}

/* s0 calls s1, which calls s2, and so on; before: other services. Owned by the caller. */
static char *chain(size_t services, const char *before)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 20);

    buffer_printf(&text, "{%s", before);
    for (size_t i = 0; i < services; i++) {
        buffer_printf(&text, "\"s%zu\": {\"internal_service\": {\"colosseum\": {}}", i);
        if (i + 1 < services)
            buffer_printf(&text, ", \"external_services\": [{\"services\": [\"s%zu\"]}]}, ", i + 1);
    }
    buffer_puts(&text, "}}");
    return xstrdup(buffer_terminate(&text));
}

Test(workmodel_hops, as_far_as_the_calls_lead)
{
    cleanup_free char *model = chain(300, "");
    cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
    cleanup_workmodel struct workmodel_documents simulated = WORKMODEL_DOCUMENTS_INIT;

    imported(model, "forward", &made);
    for (size_t i = 0; i < made.count; i++) {
        cr_assert_eq(hops(&made, i),
                     i < USUAL  ? USUAL
                     : i < MOST ? (int)i
                                : MOST,
                     "s%zu: %d", i, hops(&made, i));
        cr_assert_eq(json_array_size(made.items[i].notes), i > MOST, "s%zu", i);
    }
    cr_assert_str_eq(json_string_value(json_array_get(made.items[255].notes, 0)),
                     "m.json: /s255: up to 255 calls in a row lead to it; a request that came by "
                     "more than 254 is answered 508");
    /* Simulated calls come nowhere. */
    imported(model, "simulate", &simulated);
    cr_assert_eq(hops(&simulated, 20), USUAL);
}

/* The longest way counts, also one that a ?bid= takes; a call that is never made is none. Where
 * calls come back it is the longest before one does. */
Test(workmodel_hops, which_ways_count)
{
#define CALLS(services) "{\"external_services\": [{\"services\": [" services "]}]}, "
#define MAYBE                                                                                      \
    "\"a\": {\"external_services\": [{\"services\": [\"b\"], \"probabilities\": {\"b\": 0.5}}]}, "
    static const struct {
        const char *before;
        int hops; /* of s20 */
    } rows[] = {
        {"\"a\": " CALLS("\"s5\", \"s0\", \"s9\""), 21},
        {"\"a\": {\"alternative_behaviors\": {\"b\": {\"external_services\": [{\"services\": "
         "[\"s0\"]}]}}}, ",
         21},
        {"\"a\": {\"external_services\": [{\"services\": [\"s0\"], \"probabilities\": {\"s0\": "
         "0}}]}, ",
         20},
        {"\"a\": {\"external_services\": [{\"seq_len\": 1, \"services\": [\"b\", \"s0\"]}]}, "
         "\"b\": " CALLS("\"a\""),
         22},
        {MAYBE "\"b\": " CALLS("\"a\""), 20},
        {MAYBE "\"b\": " CALLS("\"a\", \"s18\""), 22},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cleanup_free char *model = chain(21, rows[i].before);
        cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
        imported(model, "forward", &made);
        cr_assert_eq(hops(&made, made.count - 1), rows[i].hops, "%s: %d", rows[i].before,
                     hops(&made, made.count - 1));
    }
}

/* What an import would write again is not told; another number is. */
Test(workmodel_hops, export_tells_of_other_numbers)
{
    cleanup_free char *model = chain(21, "");
    cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 20);
    json_t *list;

    imported(model, "forward", &made);
    cr_assert_eq(workmodel_print(&made, "", &text), 0);
    json_decref(export(buffer_terminate(&text), &list));
    cr_assert_eq(json_array_size(list), 0, "%s", json_string_value(json_array_get(list, 0)));
    json_decref(list);
    char *last = strstr(text.data, "hops: 20");
    cr_assert_not_null(last);
    last[strlen("hops: 2")] = '1';
    json_decref(export(text.data, &list));
    cr_assert_eq(json_array_size(list), 1);
    cr_assert_not_null(strstr(json_string_value(json_array_get(list, 0)),
                              "s20: spec.egress.forward.hops: no counterpart in muBench"));
    json_decref(list);
}
