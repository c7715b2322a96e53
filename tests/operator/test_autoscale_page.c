/* From pages to figures. */
#include <criterion/criterion.h>
#include <math.h>

#include "base/clock.h"
#include "operator/autoscale_page.h"

#define AT (UINT64_C(100) * NS_PER_S)

static struct agent_figures page(double requests, double cpu_seconds, double start_seconds)
{
    struct agent_figures figures;
    agent_figures_clear(&figures);
    figures.requests_total = requests;
    figures.rejected_total = 0;
    figures.cpu_seconds = cpu_seconds;
    figures.dpu_busy_seconds[AGENT_UNIT_IO] = cpu_seconds / 2;
    figures.start_seconds = start_seconds;
    figures.in_flight = 7;
    figures.queue_depth = 256;
    figures.queue_capacity = 1024;
    return figures;
}

static void expect(const struct scale_figure *figure, bool known, int64_t value_milli,
                   int64_t of_milli)
{
    cr_expect_eq(figure->known, known);
    cr_expect_eq(figure->of_milli, of_milli, "%ld", (long)figure->of_milli);
    if (known)
        cr_expect_eq(figure->value_milli, value_milli, "%ld", (long)figure->value_milli);
}

Test(autoscale_page, rates_take_two_pages)
{
    struct scale_figure figures[SCALE_SIGNALS];
    struct autoscale_page kept = {.at_ns = 0};
    struct agent_figures first = page(1000, 10, 5), second = page(1500, 11, 5);
    autoscale_page_figures(&kept, &first, AT, 500, figures);
    expect(&figures[SCALE_REQUESTS_PER_SECOND], false, 0, 0);
    expect(&figures[SCALE_CPU], false, 0, 500);
    expect(&figures[SCALE_DPU_UTILIZATION], false, 0, 1000);
    /* These are no rates. */
    expect(&figures[SCALE_IN_FLIGHT], true, 7000, 0);
    expect(&figures[SCALE_QUEUE_OCCUPANCY], true, 256000, 1024000);

    autoscale_page_keep(&first, AT, &kept);
    autoscale_page_figures(&kept, &second, AT + 5 * NS_PER_S, 500, figures);
    expect(&figures[SCALE_REQUESTS_PER_SECOND], true, 100000, 0);
    expect(&figures[SCALE_CPU], true, 200, 500);
    expect(&figures[SCALE_DPU_UTILIZATION], true, 100, 1000);
    cr_expect_eq(figures[SCALE_CPU].at_ns, AT + 5 * NS_PER_S);
}

/* An agent that was started anew in between has no rate yet; no more has one whose clock stands. */
Test(autoscale_page, not_known)
{
    struct scale_figure figures[SCALE_SIGNALS];
    struct autoscale_page kept;
    struct agent_figures first = page(1000, 10, 5), anew = page(2000, 20, 6), nothing;
    autoscale_page_keep(&first, AT, &kept);
    autoscale_page_figures(&kept, &anew, AT + NS_PER_S, 0, figures);
    expect(&figures[SCALE_REQUESTS_PER_SECOND], false, 0, 0);
    expect(&figures[SCALE_CPU], false, 0, 0);
    autoscale_page_figures(&kept, &first, AT, 0, figures);
    expect(&figures[SCALE_REQUESTS_PER_SECOND], false, 0, 0);

    agent_figures_clear(&nothing);
    autoscale_page_figures(&kept, &nothing, AT + NS_PER_S, 500, figures);
    for (unsigned i = 0; i < SCALE_SIGNALS; i++)
        cr_expect_not(figures[i].known, "%u", i);
    cr_expect_eq(figures[SCALE_QUEUE_OCCUPANCY].of_milli, 0);

    /* What no agent can be: too much to reckon with. */
    struct agent_figures absurd = page(1000, 10, 5);
    absurd.in_flight = 1e12;
    autoscale_page_figures(&kept, &absurd, AT + NS_PER_S, 500, figures);
    cr_expect_not(figures[SCALE_IN_FLIGHT].known);
}
