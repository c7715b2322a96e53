#include "figures/figures.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "obs/exposition_read.h"

/* A family of which a figure is made. */
struct source {
    const char *name;
    const char *label, *value; /* only the series with this label; NULL: all */
    size_t offset;             /* of the double in struct agent_figures */
    bool single;               /* a second series can't be */
};

#define FIGURE(member) offsetof(struct agent_figures, member)

#define UNIT(name_, member_, unit_, index_)                                                        \
    {                                                                                              \
        (name_), "unit", (unit_), .offset = FIGURE(member_) + (index_) * sizeof(double),           \
                                  .single = true                                                   \
    }

static const struct source sources[] = {
    {"dpumesh_requests_total", .offset = FIGURE(requests_total)},
    {"dpumesh_rejected_requests_total", .offset = FIGURE(rejected_total)},
    {"dpumesh_requests_in_flight", .offset = FIGURE(in_flight), .single = true},
    {"dpumesh_queue_depth", "queue", "ingress_submission", .offset = FIGURE(queue_depth),
     .single = true},
    {"dpumesh_queue_capacity", "queue", "ingress_submission", .offset = FIGURE(queue_capacity),
     .single = true},
    {"process_cpu_seconds_total", .offset = FIGURE(cpu_seconds), .single = true},
    {"process_start_time_seconds", .offset = FIGURE(start_seconds), .single = true},
    {"dpumesh_host_cpu_seconds_total", .offset = FIGURE(host_cpu_seconds)},
    {"dpumesh_datapath_host_busy", .offset = FIGURE(host_busy), .single = true},
    UNIT("dpumesh_dpu_busy_seconds_total", dpu_busy_seconds, "io", AGENT_UNIT_IO),
    UNIT("dpumesh_dpu_busy_seconds_total", dpu_busy_seconds, "arm", AGENT_UNIT_ARM),
    UNIT("dpumesh_dpu_busy_seconds_total", dpu_busy_seconds, "dma", AGENT_UNIT_DMA),
    UNIT("dpumesh_dpu_servers", dpu_servers, "io", AGENT_UNIT_IO),
    UNIT("dpumesh_dpu_servers", dpu_servers, "arm", AGENT_UNIT_ARM),
    UNIT("dpumesh_dpu_servers", dpu_servers, "dma", AGENT_UNIT_DMA),
};

enum { SOURCES = sizeof(sources) / sizeof(sources[0]) };

#define LATENCY "mub_request_processing_latency_milliseconds_bucket"

/* A page that is read. */
struct page {
    struct agent_figures figures; /* NaN: not seen yet */
    bool bad[SOURCES];            /* a value that can't be was among them */
    bool bad_latency;
    double latency_count; /* of the histogram by its own account */
};

static double *member(struct agent_figures *figures, size_t offset)
{
    return (double *)(void *)((char *)figures + offset);
}

static bool is_possible(double value)
{
    return value >= 0 && value <= AGENT_FIGURE_MAX; /* not NaN */
}

/* Adds to what was not seen yet, or was. */
static void add(double *sum, double value)
{
    *sum = isnan(*sum) ? value : *sum + value;
}

/* ---- sums ---- */

static void take_figure(struct page *page, size_t index, const struct exposition_sample *sample)
{
    const struct source *source = &sources[index];
    double *sum = member(&page->figures, source->offset);

    if (source->label) {
        const struct exposition_text *value = exposition_label(sample, source->label);
        if (!value || !exposition_equal(value, source->value))
            return;
    }
    if (!is_possible(sample->value) || (source->single && !isnan(*sum)))
        page->bad[index] = true;
    add(sum, sample->value);
}

/* ---- the histogram ---- */

/* Where the bound is or belongs among those seen. */
static unsigned bound_place(const struct agent_histogram *latency, double bound)
{
    unsigned place = latency->bound_count;

    while (place > 0 && latency->bounds[place - 1] >= bound)
        place--;
    return place;
}

static void take_bucket(struct page *page, const struct exposition_sample *sample)
{
    struct agent_histogram *latency = &page->figures.latency;
    const struct exposition_text *le = exposition_label(sample, "le");
    double bound = NAN;

    if (!le || exposition_number(le->data, le->length, &bound) < 0 || !(bound >= 0) ||
        !is_possible(sample->value)) {
        page->bad_latency = true;
        return;
    }
    unsigned place = bound_place(latency, bound);
    if (place == latency->bound_count || latency->bounds[place] != bound) {
        if (latency->bound_count == AGENT_BOUNDS_MAX) {
            page->bad_latency = true;
            return;
        }
        unsigned behind = latency->bound_count++ - place;
        memmove(latency->bounds + place + 1, latency->bounds + place, behind * sizeof(double));
        memmove(latency->counts + place + 1, latency->counts + place, behind * sizeof(double));
        latency->bounds[place] = bound;
        latency->counts[place] = 0;
    }
    latency->counts[place] += sample->value;
}

static void take_latency(struct page *page, const struct exposition_sample *sample)
{
    struct exposition_text what = {.data = sample->name.data + strlen(LATENCY),
                                   .length = sample->name.length - strlen(LATENCY)};

    if (exposition_equal(&what, "_bucket")) {
        take_bucket(page, sample);
    } else if (exposition_equal(&what, "_sum")) {
        page->bad_latency = page->bad_latency || !is_possible(sample->value);
        add(&page->figures.latency.sum, sample->value);
    } else if (exposition_equal(&what, "_count")) {
        page->bad_latency = page->bad_latency || !is_possible(sample->value);
        add(&page->latency_count, sample->value);
    }
}

/* Whether the buckets are a histogram: none counts less than the one before, and the last counts
 * all. */
static bool is_histogram(const struct agent_histogram *latency)
{
    unsigned count = latency->bound_count;

    if (count == 0 || !isinf(latency->bounds[count - 1]))
        return false;
    for (unsigned i = 1; i < count; i++)
        if (latency->counts[i] < latency->counts[i - 1])
            return false;
    return is_possible(latency->counts[count - 1]);
}

/* ---- pages ---- */

static bool begins(const struct exposition_text *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return text->length >= length && memcmp(text->data, prefix, length) == 0;
}

static int take_sample(void *context, const struct exposition_sample *sample)
{
    struct page *page = context;

    if (begins(&sample->name, LATENCY)) {
        take_latency(page, sample);
        return 0;
    }
    for (size_t i = 0; i < SOURCES; i++) {
        if (exposition_is(sample, sources[i].name))
            take_figure(page, i, sample);
    }
    return 0;
}

/* Sets to unknown what can't be. */
static void judge(struct page *page)
{
    struct agent_figures *figures = &page->figures;
    struct agent_histogram *latency = &figures->latency;

    for (size_t i = 0; i < SOURCES; i++) {
        double *value = member(figures, sources[i].offset);
        if (!page->bad[i] && is_possible(*value))
            continue;
        *value = NAN;
    }
    if (figures->queue_capacity == 0)
        figures->queue_capacity = NAN;
    if (figures->queue_depth > figures->queue_capacity)
        figures->queue_depth = figures->queue_capacity = NAN;
    if (page->bad_latency || !is_histogram(latency) ||
        page->latency_count != latency->counts[latency->bound_count - 1])
        *latency = (struct agent_histogram){.sum = NAN};
    if (!is_possible(latency->sum))
        latency->sum = NAN;
}

void agent_figures_clear(struct agent_figures *ret)
{
    *ret = (struct agent_figures){.latency.sum = NAN};
    for (size_t i = 0; i < SOURCES; i++)
        *member(ret, sources[i].offset) = NAN;
}

int agent_figures_read(const char *text, size_t length, struct agent_figures *ret,
                       struct error **err)
{
    struct page page = {.latency_count = NAN};

    agent_figures_clear(&page.figures);
    int ret_read = exposition_read(text, length, take_sample, &page, err);
    if (ret_read < 0)
        return ret_read;
    judge(&page);
    *ret = page.figures;
    return 0;
}
