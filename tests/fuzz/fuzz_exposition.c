/*
 * A page of metrics. Whatever the bytes, reading them ends and touches no foreign memory, and:
 *   - what a visit sees is within the limits, UTF-8, and without a label twice;
 *   - a page that is accepted is accepted again when it is written anew from what was seen, and
 * says the same;
 *   - a failure says why, in a sentence with the line;
 *   - figures are unknown or can be, and so are the rates from a page to itself and to another.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "figures/rates.h"
#include "obs/exposition_read.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ALL_BYTES = 1 << 26 };

static void write_value(struct buffer *out, const struct exposition_text *value)
{
    for (size_t i = 0; i < value->length; i++) {
        char c = value->data[i];
        REQUIRE(c != '\0');
        if (c == '\n')
            buffer_puts(out, "\\n");
        else
            buffer_printf(out, "%s%c", c == '"' || c == '\\' ? "\\" : "", c);
    }
}

/* Writes the sample anew. */
static int take(void *context, const struct exposition_sample *sample)
{
    struct buffer *out = context;
    REQUIRE(sample->name.length > 0 && sample->label_count <= EXPOSITION_LABELS_MAX);
    buffer_printf(out, "%.*s{", (int)sample->name.length, sample->name.data);
    for (size_t i = 0; i < sample->label_count; i++) {
        const struct exposition_label *label = &sample->labels[i];
        REQUIRE(label->name.length > 0);
        REQUIRE(text_utf8_valid(label->value.data, label->value.length));
        for (size_t j = 0; j < i; j++)
            REQUIRE(sample->labels[j].name.length != label->name.length ||
                    memcmp(sample->labels[j].name.data, label->name.data, label->name.length) != 0);
        buffer_printf(out, "%.*s=\"", (int)label->name.length, label->name.data);
        write_value(out, &label->value);
        buffer_puts(out, "\",");
    }
    if (isnan(sample->value)) /* "-nan" is not in the format */
        buffer_puts(out, "} NaN\n");
    else
        buffer_printf(out, "} %.17g\n", sample->value);
    return 0;
}

static int find_long_line(const char *text, size_t length)
{
    const char *end = text + length, *feed;
    for (; text < end && (feed = memchr(text, '\n', (size_t)(end - text))); text = feed + 1)
        if (feed - text > EXPOSITION_LINE_MAX)
            return 1;
    return 0;
}

static void check_page(const char *text, size_t length)
{
    cleanup_buffer struct buffer once = BUFFER_INIT(ALL_BYTES), again = BUFFER_INIT(ALL_BYTES);
    cleanup_error struct error *err = NULL;
    int ret = exposition_read(text, length, take, &once, &err);
    REQUIRE((ret < 0) == (err != NULL));
    if (ret < 0) {
        REQUIRE(strncmp(error_message(err), "line ", 5) == 0);
        REQUIRE(text_utf8_valid(error_message(err), strlen(error_message(err))));
        return;
    }
    if (once.length > 0 && find_long_line(once.data, once.length))
        return; /* it was just so short enough */
    REQUIRE(exposition_read(once.data, once.length, take, &again, NULL) == 0);
    REQUIRE(once.length == again.length &&
            (once.length == 0 || memcmp(once.data, again.data, once.length) == 0));
}

static void check_possible(double value)
{
    REQUIRE(isnan(value) || (value >= 0 && value <= AGENT_FIGURE_MAX));
}

static void check_histogram(const struct agent_histogram *histogram)
{
    REQUIRE(histogram->bound_count <= AGENT_BOUNDS_MAX);
    for (unsigned i = 1; i < histogram->bound_count; i++)
        REQUIRE(histogram->bounds[i] > histogram->bounds[i - 1] &&
                histogram->counts[i] >= histogram->counts[i - 1]);
    REQUIRE(histogram->bound_count == 0 || isinf(histogram->bounds[histogram->bound_count - 1]));
    check_possible(agent_histogram_count(histogram));
    double p50 = agent_quantile(histogram, 0.5), p99 = agent_quantile(histogram, 0.99);
    REQUIRE(isnan(p50) == isnan(p99) && !(p50 > p99) && !(p50 < 0) && !isinf(p99));
}

static void check_rates(const struct agent_figures *before, const struct agent_figures *after)
{
    struct agent_rates rates;
    agent_rates(before, after, NS_PER_MS, &rates);
    REQUIRE(!(rates.requests_per_s < 0) && !(rates.rejects_per_s < 0) && !(rates.cpu_cores < 0) &&
            !(rates.host_cores < 0) && !(rates.dpu_cores < 0));
    REQUIRE(isnan(rates.dpu_utilization) ||
            (rates.dpu_utilization >= 0 && rates.dpu_utilization <= 1));
    check_histogram(&rates.latency);
}

static int read_figures(const char *text, size_t length, struct agent_figures *ret)
{
    if (agent_figures_read(text, length, ret, NULL) < 0)
        return -1;
    check_possible(ret->requests_total);
    check_possible(ret->rejected_total);
    check_possible(ret->in_flight);
    check_possible(ret->queue_depth);
    check_possible(ret->cpu_seconds);
    check_possible(ret->start_seconds);
    check_possible(ret->host_cpu_seconds);
    check_possible(ret->host_busy);
    for (unsigned i = 0; i < AGENT_UNITS; i++) {
        check_possible(ret->dpu_busy_seconds[i]);
        check_possible(ret->dpu_servers[i]);
    }
    REQUIRE(!(ret->queue_capacity <= 0) && !(ret->queue_depth > ret->queue_capacity));
    check_histogram(&ret->latency);
    return 0;
}

/* Of its own length, so that a read past the end is seen. */
static char *copy_of(const uint8_t *data, size_t size)
{
    char *copy = xmalloc(size ? size : 1);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

/* A byte 0xFF, which no page has, parts a page from the one before it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *mark = size ? memchr(data, 0xFF, size) : NULL;
    size_t length = mark ? (size_t)(mark - data) : size;
    struct agent_figures figures, later;
    char *text = copy_of(data, length);
    check_page(text, length);
    if (read_figures(text, length, &figures) == 0) {
        check_rates(&figures, &figures);
        if (mark) {
            size_t rest = size - length - 1;
            char *text_later = copy_of(mark + 1, rest);
            if (read_figures(text_later, rest, &later) == 0)
                check_rates(&figures, &later);
            free(text_later);
        }
    }
    free(text);
    return 0;
}
