/* Faults on purpose: how often, for which requests, and the same again for the same seed. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "agent/fault.h"
#include "agent/http.h"
#include "agent/wire.h"

static const struct request_draft any;

static struct policy_settings with(struct policy_fault *fault)
{
    return (struct policy_settings){.fault_count = 1, .faults = fault};
}

/* 5 standard deviations of a binomial: a false alarm in 1.7 million tests of a right program. */
static void check_share(double hits, double n, double percent)
{
    double p = percent / 100, deviation = sqrt(n * p * (1 - p));
    cr_assert(fabs(hits - n * p) <= 5 * deviation + 1e-9, "%g of %g are not %g %%", hits, n,
              percent);
}

Test(fault, percentages)
{
    static const double percents[] = {0, 0.1, 1, 12.5, 50, 99, 100};
    for (unsigned i = 0; i < sizeof percents / sizeof *percents; i++) {
        struct policy_fault fault = {.abort_percent = percents[i],
                                     .abort_status = 418,
                                     .delay_percent = percents[6 - i],
                                     .delay_ns = 7};
        struct policy_settings settings = with(&fault);
        double aborted = 0, delayed = 0, both = 0;
        for (uint64_t n = 0; n < 200000; n++) {
            struct fault_outcome o = fault_draw(&settings, 99, n, &any);
            cr_assert(o.abort_status == 0 || o.abort_status == 418);
            cr_assert(o.delay_ns == 0 || o.delay_ns == 7);
            aborted += o.abort_status > 0;
            delayed += o.delay_ns > 0;
            both += o.abort_status && o.delay_ns;
        }
        check_share(aborted, 200000, percents[i]);
        check_share(delayed, 200000, percents[6 - i]);
        /* Drawn apart from each other. */
        check_share(both, 200000, percents[i] * percents[6 - i] / 100);
    }
}

Test(fault, same_seed_same_outcomes)
{
    struct policy_fault fault = {.abort_percent = 50, .abort_status = 500};
    struct policy_settings settings = with(&fault);
    unsigned differ_by_seed = 0, in_a_row = 0, longest = 0;
    unsigned before = 2;
    for (uint64_t n = 0; n < 10000; n++) {
        unsigned first = fault_draw(&settings, 1, n, &any).abort_status;
        cr_assert_eq(first, fault_draw(&settings, 1, n, &any).abort_status);
        differ_by_seed += first != fault_draw(&settings, 2, n, &any).abort_status;
        in_a_row = first == before ? in_a_row + 1 : 0;
        longest = in_a_row > longest ? in_a_row : longest;
        before = first;
    }
    check_share(differ_by_seed, 10000, 50);
    cr_assert_lt(longest, 45, "neighbours are drawn apart: 2^-45 * 10^4 is a false alarm");
    cr_assert_gt(longest, 5);
}

Test(fault, the_first_abort_decides_and_delays_add_up)
{
    struct policy_fault faults[] = {{.delay_percent = 100, .delay_ns = 5},
                                    {.delay_percent = 100, .delay_ns = 20},
                                    {.abort_percent = 100, .abort_status = 501},
                                    {.abort_percent = 100, .abort_status = 502},
                                    {.delay_percent = 100, .delay_ns = 1000}};
    struct policy_settings settings = {.fault_count = 5, .faults = faults};
    struct fault_outcome o = fault_draw(&settings, 1, 1, &any);
    cr_assert_eq(o.abort_status, 501);
    cr_assert_eq(o.delay_ns, 25, "what stands behind the abort is not looked at");
}

/* ---- headers ---- */

static char text[4096];

static const struct request_draft *over_http(const char *lines)
{
    static struct http_request request;
    struct http_progress progress = {0};
    struct http_error error;
    int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: s0\r\n%s\r\n", lines);
    enum http_state state = http_next(text, (size_t)n, 1000, &progress, &request, &error);
    cr_assert_eq(state, HTTP_REQUEST, "%s", state == HTTP_BAD ? error.sentence : "more");
    return &request.draft;
}

static const struct request_draft *over_bridge(const char *headers)
{
    static struct request_draft draft;
    char sentence[WIRE_SENTENCE_MAX];
    int n =
        snprintf(text, sizeof text, "{\"path\": \"/\", \"headers\": %s, \"body\": \"x\"}", headers);
    cr_assert_eq(wire_parse(text, (size_t)n, &draft, sentence), 0, "%s", sentence);
    return &draft;
}

Test(fault, headers_over_http)
{
    const struct request_draft *d =
        over_http("X-User:  alice \r\nx-empty:\r\nX-B3-Sampled: 1\r\nlast: z\r\n");
    cr_assert(fault_header(d, "x-user", NULL));
    cr_assert(fault_header(d, "X-USER", "alice"));
    cr_assert_not(fault_header(d, "x-user", "Alice"), "a value's case counts");
    cr_assert_not(fault_header(d, "x-user", "alic"));
    cr_assert_not(fault_header(d, "x-use", NULL));
    cr_assert_not(fault_header(d, "x-users", NULL));
    cr_assert(fault_header(d, "x-empty", NULL));
    cr_assert_not(fault_header(d, "x-empty", "z"));
    cr_assert(fault_header(d, "x-b3-sampled", "1"), "one that travels");
    cr_assert(fault_header(d, "host", "s0"));
    cr_assert(fault_header(d, "last", "z"));
    cr_assert_not(fault_header(d, "GET /", NULL), "the request line is none");
    d = over_http("a: 1\r\na: 2\r\n");
    cr_assert(fault_header(d, "a", "1"));
    cr_assert(fault_header(d, "a", "2"), "given twice: either");
    cr_assert_not(fault_header(over_http(""), "a", NULL));
}

Test(fault, headers_over_the_bridge)
{
    const struct request_draft *d = over_bridge(
        "  {\"X-User\": \"alice\", \"x\\u002descaped\": \"a\\u006c\", \"traceparent\": \"t\"}");
    cr_assert(fault_header(d, "x-user", "alice"));
    cr_assert(fault_header(d, "X-User", NULL));
    cr_assert_not(fault_header(d, "x-user", "bob"));
    cr_assert(fault_header(d, "x-escaped", "al"));
    cr_assert(fault_header(d, "traceparent", "t"));
    cr_assert_not(fault_header(d, "body", NULL), "no header, a member");
    cr_assert_not(fault_header(over_bridge("{}"), "x-user", NULL));
    static struct request_draft none;
    char sentence[WIRE_SENTENCE_MAX];
    cr_assert_eq(wire_parse("{}", 2, &none, sentence), 0);
    cr_assert_not(fault_header(&none, "x-user", NULL));
}

Test(fault, only_requests_with_the_header)
{
    char name[] = "x-user", value[] = "alice";
    struct policy_fault fault = {
        .header = name, .value = value, .abort_percent = 100, .abort_status = 500};
    struct policy_settings settings = with(&fault);
    cr_assert_eq(fault_draw(&settings, 1, 1, over_http("x-user: alice\r\n")).abort_status, 500);
    cr_assert_eq(fault_draw(&settings, 1, 1, over_http("x-user: bob\r\n")).abort_status, 0);
    cr_assert_eq(fault_draw(&settings, 1, 1, over_bridge("{\"x-user\":\"alice\"}")).abort_status,
                 500);
    cr_assert_eq(fault_draw(&settings, 1, 1, &any).abort_status, 0);
}
