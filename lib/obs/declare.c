/* What a declaration must satisfy. All of it is found at a program's first start. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "obs/registry.h"

void metric_misdeclared(const char *family, const char *why)
{
    fprintf(stderr, "metric %s: %s\n", family, why);
    abort();
}

/* [a-zA-Z_][a-zA-Z0-9_]*; the colon is for recording rules. */
static bool is_name(const char *name)
{
    for (const char *at = name; *at; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_';
        if (!letter && (at == name || *at < '0' || *at > '9'))
            return false;
    }
    return *name != '\0';
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), suffix_length = strlen(suffix);
    return length > suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

size_t metric_spec_check(const struct metric_spec *spec)
{
    size_t labels = 0;
    if (!spec->name || !is_name(spec->name))
        metric_misdeclared(spec->name ? spec->name : "(null)", "not a metric name");
    if (spec->kind == METRIC_COUNTER && !ends_with(spec->name, "_total"))
        metric_misdeclared(spec->name, "a counter's name ends in _total");
    for (; labels < METRIC_LABELS_MAX && spec->labels[labels]; labels++) {
        const char *label = spec->labels[labels];
        if (!is_name(label) || strncmp(label, "__", 2) == 0)
            metric_misdeclared(spec->name, "not a label name");
        if ((spec->kind == METRIC_HISTOGRAM && strcmp(label, "le") == 0) ||
            (spec->kind == METRIC_SUMMARY && strcmp(label, "quantile") == 0))
            metric_misdeclared(spec->name, "le and quantile are taken");
        for (size_t i = 0; i < labels; i++)
            if (strcmp(spec->labels[i], label) == 0)
                metric_misdeclared(spec->name, "two labels of one name");
    }
    if ((spec->kind == METRIC_HISTOGRAM) != (spec->bucket_count > 0) ||
        spec->bucket_count > METRIC_BUCKETS_MAX)
        metric_misdeclared(spec->name,
                           "a histogram, and nothing else, has 1 to METRIC_BUCKETS_MAX bounds");
    if (spec->summary && (spec->kind != METRIC_HISTOGRAM || !is_name(spec->summary)))
        metric_misdeclared(spec->name, "a summary is of a histogram, and its name a metric's");
    for (size_t i = 0; i < spec->bucket_count; i++)
        if (!isfinite(spec->buckets[i]) || spec->buckets[i] < 0 ||
            (i > 0 && !(spec->buckets[i] > spec->buckets[i - 1])))
            metric_misdeclared(spec->name, "bounds must ascend, be finite and not below 0");
    return labels;
}

/* Suffixes of the series that a family of this kind makes; the family's own name is always taken.
 */
static const char *const *series_suffixes(enum metric_kind kind)
{
    static const char *const plain[] = {"", NULL};
    static const char *const summary[] = {"", "_sum", "_count", NULL};
    static const char *const histogram[] = {"", "_sum", "_count", "_bucket", NULL};
    if (kind == METRIC_SUMMARY)
        return summary;
    return kind == METRIC_HISTOGRAM ? histogram : plain;
}

static char joined_at(const char *text, size_t length, const char *suffix, size_t i)
{
    return i < length ? text[i] : suffix[i - length];
}

static bool joined_equal(const char *a, const char *a_suffix, const char *b, const char *b_suffix)
{
    size_t a_length = strlen(a), b_length = strlen(b);
    size_t length = a_length + strlen(a_suffix);
    if (length != b_length + strlen(b_suffix))
        return false;
    for (size_t i = 0; i < length; i++)
        if (joined_at(a, a_length, a_suffix, i) != joined_at(b, b_length, b_suffix, i))
            return false;
    return true;
}

/* Whether the counter's OpenMetrics family, its name without _total, is called like the other one.
 */
static bool counter_clashes(const char *counter, enum metric_kind kind, const char *other)
{
    return kind == METRIC_COUNTER && joined_equal(counter, "", other, "_total");
}

bool metric_families_collide(const char *a, enum metric_kind a_kind, const char *b,
                             enum metric_kind b_kind)
{
    if (counter_clashes(a, a_kind, b) || counter_clashes(b, b_kind, a))
        return true;
    for (const char *const *x = series_suffixes(a_kind); *x; x++)
        for (const char *const *y = series_suffixes(b_kind); *y; y++)
            if (joined_equal(a, *x, b, *y))
                return true;
    return false;
}
