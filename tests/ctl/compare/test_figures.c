#include "ctl/compare/figures.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const char page[] =
    "# HELP dpumesh_requests_total Requests.\n"
    "dpumesh_requests_total{protocol=\"bridge\"} 10\n"
    "dpumesh_requests_total{protocol=\"http\"} 5\n"
    "dpumesh_host_cpu_seconds_total{stage=\"application\"} 1.5\n"
    "dpumesh_host_cpu_seconds_total{stage=\"datapath\"} 0.5\n"
    "dpumesh_host_cpu_seconds_total 7\n"
    "dpumesh_dpu_busy_seconds_total{unit=\"arm\"} NaN\n"
    "dpumesh_dpu_busy_seconds_total{unit=\"dma\",more=\"x\"} 2\n"
    "dpumesh_datapath_late_total 3\n"
    "dpumesh_datapath_delay_asked_seconds_bucket{direction=\"in\",le=\"+Inf\"} 4\n"
    "dpumesh_datapath_delay_asked_seconds_sum{direction=\"in\"} 0.25\n"
    "dpumesh_datapath_delay_asked_seconds_count{direction=\"in\"} 4\n";

static json_t *read_twice(void)
{
    json_t *figures = compare_figures_new();
    cr_assert_eq(compare_figures_add(figures, page, strlen(page), NULL), 0);
    cr_assert_eq(compare_figures_add(figures, page, strlen(page), NULL), 0);
    return figures;
}

/* Replicas add up; what is not a number, or has no label where one belongs, counts for nothing. */
Test(compare_figures, added_up)
{
    json_auto_t *figures = read_twice();

    cr_expect_eq(compare_figures_sum(figures, "requests"), 30);
    cr_expect_eq(compare_figures_of(figures, "host_cpu_s", "application"), 3);
    cr_expect_eq(compare_figures_sum(figures, "host_cpu_s"), 4);
    cr_expect_eq(compare_figures_sum(figures, "dpu_busy_s"), 4);
    cr_expect_eq(compare_figures_sum(figures, "late"), 6);
    cr_expect_eq(compare_figures_of(figures, "delay_asked_s", "in"), 0.5);
    cr_expect_eq(compare_figures_of(figures, "crossings", "in"), 8);
    /* What no page has. */
    cr_expect_eq(compare_figures_sum(figures, "dma_bytes"), 0);
    cr_expect_eq(compare_figures_of(figures, "dma_bytes", "in"), 0);
    cr_expect(json_is_object(json_object_get(figures, "dma_bytes")));
}

Test(compare_figures, what_was_before_is_taken_away)
{
    static const char later[] = "dpumesh_requests_total 40\n"
                                "dpumesh_host_cpu_seconds_total{stage=\"application\"} 3.5\n"
                                "dpumesh_host_cpu_seconds_total{stage=\"workers\"} 1\n"
                                "dpumesh_datapath_late_total 2\n";
    json_auto_t *before = read_twice(), *after = compare_figures_new();

    cr_assert_eq(compare_figures_add(after, later, strlen(later), NULL), 0);
    compare_figures_subtract(after, before);
    cr_expect_eq(compare_figures_sum(after, "requests"), 10);
    cr_expect_eq(compare_figures_of(after, "host_cpu_s", "application"), 0.5);
    cr_expect_eq(compare_figures_of(after, "host_cpu_s", "workers"), 1);
    cr_expect_eq(compare_figures_sum(after, "late"), 2, "it began anew");
    cr_expect_eq(compare_figures_sum(before, "requests"), 30, "untouched");
}

Test(compare_figures, bad_pages)
{
    cleanup_error struct error *err = NULL;
    json_auto_t *figures = compare_figures_new();
    bool busy = true;

    cr_assert_eq(compare_figures_add(figures, "no page", 7, &err), -EINVAL);
    cr_assert_gt(strlen(error_message(err)), 0);
    cr_assert_lt(compare_figures_busy("{", 1, &busy, NULL), 0);
    cr_assert(busy, "untouched");
}

Test(compare_figures, a_busy_host)
{
    static const struct {
        const char *text;
        bool busy;
    } cases[] = {
        {"dpumesh_datapath_host_busy 1\n", true},
        {"dpumesh_datapath_host_busy 0\n", false},
        {"", false},
        {"dpumesh_datapath_host_busy NaN\n", false},
        {"dpumesh_datapath_host_busy_not 1\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool busy = !cases[i].busy;
        cr_assert_eq(compare_figures_busy(cases[i].text, strlen(cases[i].text), &busy, NULL), 0);
        cr_expect_eq(busy, cases[i].busy, "%s", cases[i].text);
    }
}
