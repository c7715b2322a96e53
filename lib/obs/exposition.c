/* Prometheus text 0.0.4 and OpenMetrics 1.0. */
#include <string.h>

#include "obs/registry.h"

/* A sample line being put together; the first failed append is remembered, later ones do nothing.
 */
struct exposition {
    struct buffer *out;
    const struct metrics *metrics;
    bool open_metrics;
    int ret;
};

static void put_bytes(struct exposition *x, const char *text, size_t size)
{
    if (x->ret == 0)
        x->ret = buffer_append(x->out, text, size);
}

static void put(struct exposition *x, const char *text)
{
    put_bytes(x, text, strlen(text));
}

/* Escapes backslash and line feed, and the quote where the format asks for it. */
static void put_escaped(struct exposition *x, const char *text, bool quotes)
{
    const char *special = quotes ? "\\\n\"" : "\\\n";
    for (;;) {
        size_t plain = strcspn(text, special);
        put_bytes(x, text, plain);
        text += plain;
        if (*text == '\0')
            return;
        put(x, *text == '\n' ? "\\n" : *text == '"' ? "\\\"" : "\\\\");
        text++;
    }
}

static void put_number(struct exposition *x, double value)
{
    char text[METRIC_NUMBER_MAX];
    put_bytes(x, text, metric_number_format(value, text));
}

/* OpenMetrics names a counter family without the _total of its series. */
static size_t family_name_length(const struct exposition *x, const struct metric_family *family)
{
    size_t length = strlen(family->name);
    if (x->open_metrics && family->kind == METRIC_COUNTER)
        length -= strlen("_total");
    return length;
}

static void put_metadata(struct exposition *x, const struct metric_family *family)
{
    static const char *const kinds[] = {[METRIC_COUNTER] = "counter",
                                        [METRIC_GAUGE] = "gauge",
                                        [METRIC_HISTOGRAM] = "histogram",
                                        [METRIC_SUMMARY] = "summary"};
    size_t length = family_name_length(x, family);
    put(x, "# HELP ");
    put_bytes(x, family->name, length);
    put(x, " ");
    put_escaped(x, family->help, x->open_metrics);
    put(x, "\n# TYPE ");
    put_bytes(x, family->name, length);
    put(x, " ");
    put(x, kinds[family->kind]);
    put(x, "\n");
}

/* One line: name, suffix, labels (and le when it is not NULL), value. */
static void put_sample(struct exposition *x, const struct metric_family *family,
                       const struct metric_record *record, const char *suffix, const char *le,
                       double value)
{
    char separator = '{';
    put(x, family->name);
    put(x, suffix);
    for (size_t i = 0; i < family->label_count; i++) {
        put_bytes(x, &separator, 1);
        put(x, family->labels[i]);
        put(x, "=\"");
        put_escaped(x, record->values[i], true);
        put(x, "\"");
        separator = ',';
    }
    if (le) {
        put_bytes(x, &separator, 1);
        put(x, "le=\"");
        put(x, le);
        put(x, "\"");
        separator = ',';
    }
    put(x, separator == ',' ? "} " : " ");
    put_number(x, value);
    put(x, "\n");
}

static void put_histogram(struct exposition *x, const struct metric_family *family,
                          const struct metric_record *record)
{
    uint32_t cell = record->metric.cell;
    double count = 0;
    for (uint32_t i = 0; i <= family->bucket_count; i++) {
        count += metrics_cell_sum(x->metrics, cell + 1 + i);
        put_sample(x, family, record, "_bucket",
                   i < family->bucket_count ? family->bound_texts[i] : "+Inf", count);
    }
    /* The count is the last bucket, not a cell of its own, so that the two can't disagree. */
    put_sample(x, family, record, "_sum", NULL, metrics_cell_sum(x->metrics, cell));
    put_sample(x, family, record, "_count", NULL, count);
}

/* Cells: the sum, then as many counts as the series has, which is one unless it is a histogram's.
 */
static void put_summary(struct exposition *x, const struct metric_family *family,
                        const struct metric_record *record)
{
    uint32_t cell = record->metric.cell;
    double count = 0;
    for (uint32_t i = 0; i <= record->metric.bucket_count; i++)
        count += metrics_cell_sum(x->metrics, cell + 1 + i);
    put_sample(x, family, record, "_sum", NULL, metrics_cell_sum(x->metrics, cell));
    put_sample(x, family, record, "_count", NULL, count);
}

/* Prints a series of the family, or of the histogram whose summary the family is. */
static void put_record(struct exposition *x, const struct metric_family *family,
                       const struct metric_record *record)
{
    switch (family->kind) {
    case METRIC_COUNTER:
    case METRIC_GAUGE:
        put_sample(x, family, record, "", NULL, metric_record_value(record));
        break;
    case METRIC_SUMMARY:
        put_summary(x, family, record);
        break;
    case METRIC_HISTOGRAM:
        put_histogram(x, family, record);
        break;
    }
}

static void put_family(struct exposition *x, const struct metric_family *family)
{
    const struct metric_family *owner = family->of ? family->of : family;
    /* A family that nobody has used yet is not there, as with the official clients. */
    if (owner->series_count == 0 && !owner->overflow)
        return;
    put_metadata(x, family);
    for (size_t i = 0; i < owner->series_count; i++)
        put_record(x, family, owner->series[i]);
    if (owner->overflow)
        put_record(x, family, owner->overflow);
}

int metrics_expose(struct metrics *metrics, enum metrics_format format, struct buffer *out)
{
    return metrics_expose_asked(metrics, format, "", out);
}

int metrics_expose_asked(struct metrics *metrics, enum metrics_format format, const char *query,
                         struct buffer *out)
{
    size_t begin = out->length;
    struct exposition x = {
        .out = out, .metrics = metrics, .open_metrics = format == METRICS_OPENMETRICS_TEXT};
    pthread_mutex_lock(&metrics->lock);
    for (const struct metric_family *family = metrics->families; family && x.ret == 0;
         family = family->next)
        if (metrics_query_asks(query, family->name))
            put_family(&x, family);
    pthread_mutex_unlock(&metrics->lock);
    if (x.open_metrics)
        put(&x, "# EOF\n");
    if (x.ret < 0)
        out->length = begin;
    return x.ret;
}
