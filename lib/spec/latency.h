/*
 * How long something takes, in a document: any distribution of model/distribution.h, shifted and
 * capped. A record that has a latency takes its fields by LATENCY_FIELDS and its rules by
 * LATENCY_CHECKS; what they point to belongs to the record (record_free() of its table).
 *
 *     struct thing { struct distribution latency; };
 *     LATENCY_CHECK_FUNCTIONS(thing, struct thing, latency)
 *     static const struct field fields[] = {LATENCY_FIELDS(struct thing, latency)};
 *     static const struct record_check checks[] = {LATENCY_CHECKS(thing)};
 *
 * Such a record's table begins with these fields, because the first selects among the others.
 */
#ifndef DPUMESH_SPEC_LATENCY_H
#define DPUMESH_SPEC_LATENCY_H

#include "base/clock.h"
#include "model/distribution.h"
#include "spec/field.h"

/* CEL's cost counts each rule as often as a list may have entries. */
enum { LATENCY_POINTS_MAX = 1000, LATENCY_PART_POINTS_MAX = 100, LATENCY_PARTS_MAX = 16 };

/* The same where a list of up to 64 has a latency in each entry. */
enum {
    LATENCY_ENTRY_POINTS_MAX = 100,
    LATENCY_ENTRY_PART_POINTS_MAX = 20,
    LATENCY_ENTRY_PARTS_MAX = 8
};

/* Longest text of latency_format() with its NUL. */
#define LATENCY_TEXT_MAX 256

/* Writes the distribution for people, such as "50ms", "uniform 10ms to 20ms" or "lognormal, median
 * 8ms, sigma 0.5, at most 1s". Returns text. */
char *latency_format(const struct distribution *latency, char text[LATENCY_TEXT_MAX]);

/* Private to the macros: names of the distributions (of a mixture's parts: without mixture), the
 * tables of a quantile's point and of a mixture's part, and the rules. */
extern const char *const latency_names[], *const latency_part_names[];
extern const struct record latency_point_record, latency_part_record, latency_entry_part_record;
void latency_check_ends(const struct distribution *latency, const struct place *place,
                        struct problems *problems);
void latency_check_cap(const struct distribution *latency, const struct place *place,
                       struct problems *problems);
void latency_check_quantiles(const struct distribution *latency, const struct place *place,
                             struct problems *problems);

/* No delay that is asked for is longer. */
#define LATENCY_MAX_NS (3600.0 * NS_PER_S)

#define LATENCY_DURATION(owner, name_, member, kinds, least_ns, example_, help_)                   \
    {                                                                                              \
        .name = (name_), .type = FIELD_DURATION, FIELD_AT(owner, member), .only_with = (kinds),    \
        .flags = FIELD_REQUIRED, .example = (example_), .min = (least_ns), .max = LATENCY_MAX_NS,  \
        .help = (help_)                                                                            \
    }

#define LATENCY_NUMBER(owner, name_, member, kinds, low_, high_, example_, help_)                  \
    {                                                                                              \
        .name = (name_), .type = FIELD_NUMBER, FIELD_AT(owner, member), .only_with = (kinds),      \
        .flags = FIELD_REQUIRED, .example = (example_), .min = (low_), .max = (high_),             \
        .help = (help_)                                                                            \
    }

/* The fields that every latency has; names: latency_names or latency_part_names, points: how many a
 * quantile table may have. */
#define LATENCY_PLAIN_FIELDS(owner, member, names_, points)                                        \
    {.name = "distribution",                                                                       \
     .type = FIELD_ENUM,                                                                           \
     FIELD_AT(owner, member.kind),                                                                 \
     .flags = FIELD_SELECTS,                                                                       \
     .names = (names_),                                                                            \
     .fallback = "constant",                                                                       \
     .help = "How the delay is distributed."},                                                     \
        {.name = "value",                                                                          \
         .type = FIELD_DURATION,                                                                   \
         FIELD_AT(owner, member.value_ns),                                                         \
         .only_with = FIELD_BIT(DISTRIBUTION_CONSTANT),                                            \
         .fallback = "50ms",                                                                       \
         .max = LATENCY_MAX_NS,                                                                    \
         .help = "The delay."},                                                                    \
        LATENCY_DURATION(owner, "low", member.low_ns, FIELD_BIT(DISTRIBUTION_UNIFORM), 0, "10ms",  \
                         "The shortest delay."),                                                   \
        LATENCY_DURATION(owner, "high", member.high_ns, FIELD_BIT(DISTRIBUTION_UNIFORM), 0,        \
                         "90ms", "The longest delay."),                                            \
        LATENCY_DURATION(                                                                          \
            owner, "mean", member.value_ns,                                                        \
            FIELD_BIT(DISTRIBUTION_EXPONENTIAL) | FIELD_BIT(DISTRIBUTION_NORMAL), 0, "50ms",       \
            "The mean delay; of a normal distribution, before it is cut off below 0."),            \
        LATENCY_DURATION(owner, "deviation", member.deviation_ns, FIELD_BIT(DISTRIBUTION_NORMAL),  \
                         1, "10ms", "The standard deviation."),                                    \
        LATENCY_DURATION(owner, "median", member.value_ns, FIELD_BIT(DISTRIBUTION_LOGNORMAL), 1,   \
                         "50ms", "The median delay."),                                             \
        LATENCY_NUMBER(owner, "sigma", member.shape, FIELD_BIT(DISTRIBUTION_LOGNORMAL), 0.001, 10, \
                       "0.5", "The standard deviation of the delay's natural logarithm."),         \
        LATENCY_DURATION(owner, "scale", member.value_ns,                                          \
                         FIELD_BIT(DISTRIBUTION_PARETO) | FIELD_BIT(DISTRIBUTION_WEIBULL) |        \
                             FIELD_BIT(DISTRIBUTION_GAMMA),                                        \
                         1, "10ms", "The scale; of a Pareto distribution, the shortest delay."),   \
        LATENCY_NUMBER(owner, "shape", member.shape,                                               \
                       FIELD_BIT(DISTRIBUTION_PARETO) | FIELD_BIT(DISTRIBUTION_WEIBULL) |          \
                           FIELD_BIT(DISTRIBUTION_GAMMA),                                          \
                       0.05, 1000, "1.5",                                                          \
                       "The shape: the smaller, the heavier the tail. A Pareto distribution of "   \
                       "shape 1 or less has no finite mean; cap it."),                             \
    {                                                                                              \
        .name = "quantiles", .type = FIELD_RECORDS, FIELD_AT(owner, member.table),                 \
        .other = offsetof(owner, member.point_count),                                              \
        .only_with = FIELD_BIT(DISTRIBUTION_EMPIRICAL), .flags = FIELD_REQUIRED, .min = 1,         \
        .max = (points), .record = &latency_point_record,                                          \
        .example = "[{fraction: 0, delay: 1ms}, {fraction: 1, delay: 9ms}]",                       \
        .help = "The quantiles, from fraction 0 to 1, rising; between two the delay is straight."  \
    }

#define LATENCY_BOUND_FIELDS(owner, member)                                                        \
    {.name = "shift",                                                                              \
     .type = FIELD_DURATION,                                                                       \
     FIELD_AT(owner, member.shift_ns),                                                             \
     .flags = FIELD_OPTIONAL,                                                                      \
     .max = LATENCY_MAX_NS,                                                                        \
     .unset = "0s",                                                                                \
     .help = "Added to every delay that is drawn."},                                               \
    {                                                                                              \
        .name = "cap", .type = FIELD_DURATION, FIELD_AT(owner, member.cap_ns),                     \
        .flags = FIELD_OPTIONAL, .min = 1, .max = LATENCY_MAX_NS, .unset = "none",                 \
        .help = "No delay is longer, `shift` included: what is drawn above it becomes it."         \
    }

/* All fields of a latency; points: how many a quantile table may have, most: how many parts a
 * mixture, part_record: the table of one. */
#define LATENCY_SIZED_FIELDS(owner, member, points, most, part_record)                             \
    LATENCY_PLAIN_FIELDS(owner, member, latency_names, points),                                    \
        {.name = "parts",                                                                          \
         .type = FIELD_RECORDS,                                                                    \
         FIELD_AT(owner, member.parts),                                                            \
         .other = offsetof(owner, member.part_count),                                              \
         .only_with = FIELD_BIT(DISTRIBUTION_MIXTURE),                                             \
         .flags = FIELD_REQUIRED,                                                                  \
         .min = 1,                                                                                 \
         .max = (most),                                                                            \
         .record = &(part_record),                                                                 \
         .example = "[{weight: 9, value: 1ms}, {weight: 1, value: 50ms}]",                         \
         .help = "The distributions that are mixed, and how often each is drawn from; none of "    \
                 "them a mixture again."},                                                         \
        LATENCY_BOUND_FIELDS(owner, member)

#define LATENCY_FIELDS(owner, member)                                                              \
    LATENCY_SIZED_FIELDS(owner, member, LATENCY_POINTS_MAX, LATENCY_PARTS_MAX, latency_part_record)

/* The same for a latency in a list, with smaller tables. */
#define LATENCY_ENTRY_FIELDS(owner, member)                                                        \
    LATENCY_SIZED_FIELDS(owner, member, LATENCY_ENTRY_POINTS_MAX, LATENCY_ENTRY_PARTS_MAX,         \
                         latency_entry_part_record)

/* The functions that LATENCY_CHECKS(prefix) names, for records of this type. */
#define LATENCY_CHECK_FUNCTION(prefix, owner, member, rule)                                        \
    static void prefix##_##rule(const void *record, json_t *object, const struct place *place,     \
                                struct problems *problems)                                         \
    {                                                                                              \
        (void)object;                                                                              \
        latency_##rule(&((const owner *)record)->member, place, problems);                         \
    }
#define LATENCY_CHECK_FUNCTIONS(prefix, owner, member)                                             \
    LATENCY_CHECK_FUNCTION(prefix, owner, member, check_ends)                                      \
    LATENCY_CHECK_FUNCTION(prefix, owner, member, check_cap)                                       \
    LATENCY_CHECK_FUNCTION(prefix, owner, member, check_quantiles)

#define LATENCY_CHECKS(prefix)                                                                     \
    {.run = prefix##_check_ends,                                                                   \
     .reads = {"distribution", "low", "high"},                                                     \
     .rule = "!has(self.low) || !has(self.high) || !self.low.matches(" CEL_DURATION ") || "        \
             "!self.high.matches(" CEL_DURATION ") || duration(self.low) <= duration(self.high)",  \
     .at = ".low",                                                                                 \
     .sentence = "it is above high; give low <= high",                                             \
     .says = "self.low + ' is above high, which is ' + self.high + '; give low <= high'"},         \
        {.run = prefix##_check_cap,                                                                \
         .reads = {"shift", "cap"},                                                                \
         .rule = "!has(self.shift) || !has(self.cap) || !self.shift.matches(" CEL_DURATION         \
                 ") || !self.cap.matches(" CEL_DURATION                                            \
                 ") || duration(self.shift) < duration(self.cap)",                                 \
         .at = ".cap",                                                                             \
         .sentence = "it is not above shift, which would make every delay the cap",                \
         .says = "self.cap + ' is not above shift, which is ' + self.shift + '; every delay "      \
                 "would be the cap'"},                                                             \
    {                                                                                              \
        .run = prefix##_check_quantiles, .reads = {"distribution", "quantiles"},                   \
        .rule = "!has(self.quantiles) || self.quantiles.size() == 0 || "                           \
                "(self.quantiles[0].fraction == 0.0 && "                                           \
                "self.quantiles[self.quantiles.size() - 1].fraction == 1.0 && "                    \
                "self.quantiles.map(q, q.fraction).isSorted() && "                                 \
                "(!self.quantiles.all(q, q.delay.matches(" CEL_DURATION ")) || "                   \
                "self.quantiles.map(q, duration(q.delay)).isSorted()))",                           \
        .at = ".quantiles",                                                                        \
        .sentence = "they must rise, fractions from 0 to 1 and delays with them"                   \
    }

#endif
