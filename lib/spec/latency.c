/* The tables of a quantile's point and a mixture's part, and the rules of a latency. */
#include "spec/latency.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const latency_names[] = {"constant",  "uniform", "exponential", "normal",
                                     "lognormal", "pareto",  "weibull",     "gamma",
                                     "empirical", "mixture", NULL};
const char *const latency_part_names[] = {"constant",  "uniform", "exponential", "normal",
                                          "lognormal", "pareto",  "weibull",     "gamma",
                                          "empirical", NULL};

static const struct field point_fields[] = {
    {.name = "fraction",
     .type = FIELD_NUMBER,
     FIELD_AT(struct distribution_point, fraction),
     .flags = FIELD_REQUIRED,
     .max = 1,
     .example = "0.5",
     .help = "Which part of all delays is at most this long."},
    {.name = "delay",
     .type = FIELD_DURATION,
     FIELD_AT(struct distribution_point, ns),
     .flags = FIELD_REQUIRED,
     .max = LATENCY_MAX_NS,
     .example = "20ms",
     .help = "How long."},
};
const struct record latency_point_record = {FIELDS(point_fields),
                                            .size = sizeof(struct distribution_point)};

LATENCY_CHECK_FUNCTIONS(part, struct distribution_part, distribution)

#define PART_FIELDS(points)                                                                        \
    LATENCY_PLAIN_FIELDS(struct distribution_part, distribution, latency_part_names, points),      \
        LATENCY_BOUND_FIELDS(struct distribution_part, distribution),                              \
    {                                                                                              \
        .name = "weight", .type = FIELD_NUMBER, FIELD_AT(struct distribution_part, weight),        \
        .fallback = "1", .min = 0.001, .max = 1e6,                                                 \
        .help = "How often this part is drawn from, relative to the others."                       \
    }

static const struct field part_fields[] = {PART_FIELDS(LATENCY_PART_POINTS_MAX)};
static const struct field entry_part_fields[] = {PART_FIELDS(LATENCY_ENTRY_PART_POINTS_MAX)};
static const struct record_check part_checks[] = {LATENCY_CHECKS(part)};
const struct record latency_part_record = {FIELDS(part_fields), CHECKS(part_checks),
                                           .size = sizeof(struct distribution_part)};
const struct record latency_entry_part_record = {FIELDS(entry_part_fields), CHECKS(part_checks),
                                                 .size = sizeof(struct distribution_part)};

void latency_check_ends(const struct distribution *latency, const struct place *place,
                        struct problems *problems)
{
    struct place low = PLACE_KEY(place, "low");
    char low_text[DURATION_TEXT_MAX], high_text[DURATION_TEXT_MAX];

    if (latency->kind == DISTRIBUTION_UNIFORM && latency->low_ns > latency->high_ns)
        place_problem(&low, problems, "%s is above high, which is %s; give low <= high",
                      duration_format(latency->low_ns, low_text),
                      duration_format(latency->high_ns, high_text));
}

void latency_check_cap(const struct distribution *latency, const struct place *place,
                       struct problems *problems)
{
    struct place cap = PLACE_KEY(place, "cap");
    char cap_text[DURATION_TEXT_MAX], shift_text[DURATION_TEXT_MAX];

    if (latency->cap_ns > 0 && latency->shift_ns >= latency->cap_ns)
        place_problem(&cap, problems,
                      "%s is not above shift, which is %s; every delay would be the cap",
                      duration_format(latency->cap_ns, cap_text),
                      duration_format(latency->shift_ns, shift_text));
}

void latency_check_quantiles(const struct distribution *latency, const struct place *place,
                             struct problems *problems)
{
    struct place quantiles = PLACE_KEY(place, "quantiles");
    cleanup_error struct error *err = NULL;

    if (latency->kind == DISTRIBUTION_EMPIRICAL && latency->point_count > 0 &&
        distribution_check(latency, &err) < 0)
        place_problem(&quantiles, problems,
                      "%s: they must rise, fractions from 0 to 1 and delays with them",
                      error_message(err));
}

/* The distribution without shift and cap; text of so many bytes. */
static void format_plain(const struct distribution *latency, char *text, size_t size)
{
    char value[DURATION_TEXT_MAX], other[DURATION_TEXT_MAX];
    const char *name = latency_names[latency->kind];

    duration_format(latency->value_ns, value);
    switch (latency->kind) {
    case DISTRIBUTION_CONSTANT:
        snprintf(text, size, "%s", value);
        return;
    case DISTRIBUTION_UNIFORM:
        snprintf(text, size, "uniform %s to %s", duration_format(latency->low_ns, value),
                 duration_format(latency->high_ns, other));
        return;
    case DISTRIBUTION_EXPONENTIAL:
        snprintf(text, size, "exponential, mean %s", value);
        return;
    case DISTRIBUTION_NORMAL:
        snprintf(text, size, "normal, mean %s, deviation %s", value,
                 duration_format(latency->deviation_ns, other));
        return;
    case DISTRIBUTION_LOGNORMAL:
        snprintf(text, size, "lognormal, median %s, sigma %g", value, latency->shape);
        return;
    case DISTRIBUTION_PARETO:
    case DISTRIBUTION_WEIBULL:
    case DISTRIBUTION_GAMMA:
        snprintf(text, size, "%s, scale %s, shape %g", name, value, latency->shape);
        return;
    case DISTRIBUTION_EMPIRICAL:
        duration_format((uint64_t)distribution_quantile_ns(latency, 0.5), value);
        duration_format((uint64_t)distribution_quantile_ns(latency, 0.99), other);
        snprintf(text, size, "empirical, median %s, 99 %% within %s", value, other);
        return;
    case DISTRIBUTION_MIXTURE: /* whose quantiles take a while */
        snprintf(text, size, "mixture of %zu", latency->part_count);
        return;
    }
    abort(); /* not a kind: a caller's bug, never input */
}

char *latency_format(const struct distribution *latency, char text[LATENCY_TEXT_MAX])
{
    char bound[DURATION_TEXT_MAX];
    struct distribution plain = *latency;

    plain.shift_ns = plain.cap_ns = 0;
    format_plain(&plain, text, LATENCY_TEXT_MAX);
    if (latency->shift_ns > 0)
        snprintf(text + strlen(text), LATENCY_TEXT_MAX - strlen(text), ", plus %s",
                 duration_format(latency->shift_ns, bound));
    if (latency->cap_ns > 0)
        snprintf(text + strlen(text), LATENCY_TEXT_MAX - strlen(text), ", at most %s",
                 duration_format(latency->cap_ns, bound));
    return text;
}
