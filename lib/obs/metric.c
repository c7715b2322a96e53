/* Families, series and their cells. */
#include "obs/metric.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "obs/registry.h"

enum { SERIES_MAX_DEFAULT = 1024, SLOTS_FIRST = 8 };

static const char overflow_value[] = "other";

struct metrics *metrics_new(void)
{
    struct metrics *metrics = xcalloc(1, sizeof(*metrics));
    pthread_mutex_init(&metrics->lock, NULL);
    metrics->families_end = &metrics->families;
    return metrics;
}

static void record_free(struct metric_record *record, size_t label_count)
{
    if (!record)
        return;
    for (size_t i = 0; i < label_count; i++)
        free(record->values[i]);
    free(record->values);
    free(record);
}

static void family_free(struct metric_family *family)
{
    for (size_t i = 0; i < family->series_count; i++)
        record_free(family->series[i], family->label_count);
    record_free(family->overflow, family->label_count);
    for (size_t i = 0; i < family->label_count; i++)
        free(family->labels[i]);
    free(family->series);
    free(family->slots);
    free(family->buckets);
    free(family->bound_texts);
    free(family->name);
    free(family->help);
    free(family);
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    metrics_blocks_free(metrics);
    while (metrics->families) {
        struct metric_family *family = metrics->families;
        metrics->families = family->next;
        family_free(family);
    }
    free(metrics->process);
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

static size_t cells_of(enum metric_kind kind, size_t bucket_count)
{
    switch (kind) {
    case METRIC_COUNTER:
    case METRIC_GAUGE:
        return 1;
    case METRIC_SUMMARY:
        return 2;
    case METRIC_HISTOGRAM:
        return bucket_count + 2;
    }
    abort();
}

/* The family already declared under this name, which must agree; or NULL. Lock held. */
static struct metric_family *family_find(struct metrics *metrics, const struct metric_spec *spec,
                                         size_t label_count)
{
    struct metric_family *family = metrics->families;
    while (family && strcmp(family->name, spec->name) != 0) {
        if (metric_families_collide(family->name, family->kind, spec->name, spec->kind))
            metric_misdeclared(spec->name, "another family makes series of the same name");
        family = family->next;
    }
    if (!family)
        return NULL;
    if (family->kind != spec->kind || family->label_count != label_count)
        metric_misdeclared(spec->name, "declared twice, with another kind or other labels");
    for (size_t i = 0; i < label_count; i++)
        if (strcmp(family->labels[i], spec->labels[i]) != 0)
            metric_misdeclared(spec->name, "declared twice, with other labels");
    if (family->of)
        metric_misdeclared(spec->name, "it is the summary of a histogram");
    return family;
}

static struct metric_family *family_make(struct metrics *metrics, const struct metric_spec *spec,
                                         size_t label_count)
{
    struct metric_family *family = xcalloc(1, sizeof(*family));
    family->metrics = metrics;
    family->name = xstrdup(spec->name);
    family->help = xstrdup(spec->help ? spec->help : "");
    family->kind = spec->kind;
    family->label_count = label_count;
    for (size_t i = 0; i < label_count; i++)
        family->labels[i] = xstrdup(spec->labels[i]);
    family->bucket_count = spec->bucket_count;
    if (spec->bucket_count > 0) {
        family->buckets = xcalloc(spec->bucket_count, sizeof(*family->buckets));
        family->bound_texts = xcalloc(spec->bucket_count, sizeof(*family->bound_texts));
    }
    for (size_t i = 0; i < spec->bucket_count; i++) {
        family->buckets[i] = spec->buckets[i];
        metric_bound_format(spec->buckets[i], family->bound_texts[i]);
    }
    family->series_max = spec->series_max ? spec->series_max : SERIES_MAX_DEFAULT;
    return family;
}

static void family_append(struct metrics *metrics, struct metric_family *family)
{
    *metrics->families_end = family;
    metrics->families_end = &family->next;
}

/* The summary of a histogram's series stands before it. Lock held. */
static struct metric_family *summary_make(struct metrics *metrics, const struct metric_spec *spec,
                                          size_t label_count)
{
    struct metric_spec summary = *spec;
    summary.name = spec->summary;
    summary.kind = METRIC_SUMMARY;
    summary.buckets = NULL;
    summary.bucket_count = 0;
    if (metric_families_collide(summary.name, summary.kind, spec->name, spec->kind) ||
        family_find(metrics, &summary, label_count))
        metric_misdeclared(summary.name, "another family makes series of the same name");
    struct metric_family *family = family_make(metrics, &summary, label_count);
    family_append(metrics, family);
    return family;
}

struct metric_family *metrics_family(struct metrics *metrics, const struct metric_spec *spec)
{
    size_t label_count = metric_spec_check(spec);
    size_t cells = cells_of(spec->kind, spec->bucket_count);
    pthread_mutex_lock(&metrics->lock);
    struct metric_family *family = family_find(metrics, spec, label_count);
    if (!family) {
        if (metrics->cells_used + metrics->cells_reserved + cells > METRIC_CELLS_MAX)
            metric_misdeclared(spec->name, "no cells left; raise METRIC_CELLS_MAX");
        metrics->cells_reserved += cells;
        struct metric_family *summary =
            spec->summary ? summary_make(metrics, spec, label_count) : NULL;
        family = family_make(metrics, spec, label_count);
        family_append(metrics, family);
        if (summary)
            summary->of = family;
    }
    pthread_mutex_unlock(&metrics->lock);
    return family;
}

/* FNV-1a over the values, each with its NUL: ("a", "bc") and ("ab", "c") differ. */
static size_t values_hash(const struct metric_family *family, const char *const *values)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < family->label_count; i++) {
        const char *at = values[i];
        do {
            hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
        } while (*at++ != '\0');
    }
    return (size_t)(hash ^ hash >> 32);
}

static bool values_equal(const struct metric_family *family, const char *const *a, char *const *b)
{
    for (size_t i = 0; i < family->label_count; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return true;
}

/* Lock held, cells granted by the caller. */
static struct metric_record *record_make(struct metric_family *family, const char *const *values)
{
    struct metric_record *record = xcalloc(1, sizeof(*record));
    record->metric.family = family;
    record->metric.cell = (uint32_t)family->metrics->cells_used;
    record->metric.kind = (uint8_t)family->kind;
    record->metric.bucket_count = (uint8_t)family->bucket_count;
    record->metric.buckets = family->buckets;
    family->metrics->cells_used += cells_of(family->kind, family->bucket_count);
    record->values = xcalloc(family->label_count, sizeof(*record->values));
    for (size_t i = 0; i < family->label_count; i++)
        record->values[i] = xstrdup(values ? values[i] : overflow_value);
    return record;
}

static struct metric_record *overflow_series(struct metric_family *family)
{
    if (!family->overflow) {
        family->metrics->cells_reserved -= cells_of(family->kind, family->bucket_count);
        family->overflow = record_make(family, NULL);
    }
    return family->overflow;
}

static void slots_grow(struct metric_family *family)
{
    free(family->slots);
    family->slot_count = family->slot_count ? family->slot_count * 2 : SLOTS_FIRST;
    family->slots = xcalloc(family->slot_count, sizeof(struct metric_record *));
    for (size_t i = 0; i < family->series_count; i++) {
        struct metric_record *record = family->series[i];
        const char *values[METRIC_LABELS_MAX];
        for (size_t j = 0; j < family->label_count; j++)
            values[j] = record->values[j];
        struct metric_record **slot =
            &family->slots[values_hash(family, values) & (family->slot_count - 1)];
        record->next_same_hash = *slot;
        *slot = record;
    }
}

static struct metric_record *series_add(struct metric_family *family, const char *const *values,
                                        size_t hash)
{
    struct metric_record *record = record_make(family, values);
    if (family->series_count == family->series_capacity) {
        family->series_capacity = family->series_capacity ? family->series_capacity * 2 : 1;
        family->series =
            xreallocarray(family->series, family->series_capacity, sizeof(struct metric_record *));
    }
    family->series[family->series_count++] = record;
    if (family->series_count > family->slot_count) {
        slots_grow(family);
    } else {
        struct metric_record **slot = &family->slots[hash & (family->slot_count - 1)];
        record->next_same_hash = *slot;
        *slot = record;
    }
    return record;
}

/* Finds or makes a series. Values are UTF-8 and not NULL. Lock held. */
static struct metric_record *series_get(struct metric_family *family, const char *const *values)
{
    const struct metrics *metrics = family->metrics;
    size_t hash = values_hash(family, values);
    if (family->slot_count > 0) {
        struct metric_record *record = family->slots[hash & (family->slot_count - 1)];
        for (; record; record = record->next_same_hash)
            if (values_equal(family, values, record->values))
                return record;
    }
    bool all_other = true; /* also when there are no labels: such a family has this series alone */
    for (size_t i = 0; i < family->label_count; i++)
        all_other = all_other && strcmp(values[i], overflow_value) == 0;
    if (all_other || family->series_count >= family->series_max ||
        metrics->cells_used + metrics->cells_reserved +
                cells_of(family->kind, family->bucket_count) >
            METRIC_CELLS_MAX)
        return overflow_series(family);
    return series_add(family, values, hash);
}

/* A label value as it can be kept: at most METRIC_VALUE_MAX bytes, UTF-8. NULL: it already is. */
static char *value_sanitize(const char *value)
{
    size_t length = strnlen(value, METRIC_VALUE_MAX + 1);
    if (length <= METRIC_VALUE_MAX && text_utf8_valid(value, length))
        return NULL;
    struct buffer clean = BUFFER_INIT(METRIC_VALUE_MAX);
    for (size_t at = 0; at < length;) {
        uint32_t code;
        size_t size = text_utf8_decode(value + at, length - at, &code);
        int ret = size ? buffer_append(&clean, value + at, size)
                       : buffer_append(&clean, "\xef\xbf\xbd", 3);
        if (ret < 0)
            break;
        at += size ? size : 1;
    }
    return buffer_terminate(&clean);
}

struct metric *metric_series(struct metric_family *family, const char *const *values)
{
    const char *clean[METRIC_LABELS_MAX];
    char *copies[METRIC_LABELS_MAX];
    const size_t count = family->label_count;
    for (size_t i = 0; i < count; i++) {
        const char *value = values[i] ? values[i] : "";
        copies[i] = value_sanitize(value);
        clean[i] = copies[i] ? copies[i] : value;
    }
    pthread_mutex_lock(&family->metrics->lock);
    struct metric_record *record = series_get(family, clean);
    pthread_mutex_unlock(&family->metrics->lock);
    for (size_t i = 0; i < count; i++)
        free(copies[i]);
    return &record->metric;
}

static struct metric_record *record_of(struct metric *metric)
{
    return (struct metric_record *)metric; /* its first member */
}

void metric_callback(struct metric *metric, double (*function)(void *context), void *context)
{
    struct metric_record *record = record_of(metric);
    pthread_mutex_t *lock = &metric->family->metrics->lock;
    pthread_mutex_lock(lock);
    record->function = function;
    record->context = context;
    pthread_mutex_unlock(lock);
}

double metric_value(struct metric *metric)
{
    pthread_mutex_t *lock = &metric->family->metrics->lock;
    pthread_mutex_lock(lock);
    double value = metric_record_value(record_of(metric));
    pthread_mutex_unlock(lock);
    return value;
}

uint64_t metric_count(struct metric *metric)
{
    struct metrics *metrics = metric->family->metrics;
    double count = 0;
    if (metric->kind != METRIC_HISTOGRAM && metric->kind != METRIC_SUMMARY)
        return 0;
    pthread_mutex_lock(&metrics->lock);
    for (uint32_t i = 0; i <= metric->bucket_count; i++)
        count += metrics_cell_sum(metrics, metric->cell + 1 + i);
    pthread_mutex_unlock(&metrics->lock);
    return (uint64_t)count;
}
