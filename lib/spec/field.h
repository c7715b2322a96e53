/*
 * Field tables. A record type (spec.egress, limits, ...) is described once, by an array of fields:
 * name, type, default, bounds, help, and where the value lies in a C struct. From that one array
 * come
 *   - parsing with defaults, where all problems are reported at once (record_parse),
 *   - the JSON with defaults filled in (record_emit) and release of the memory (record_free),
 *   - the reference pages under docs/ (record_reference) and the CRD's schema (record_schema).
 *
 *     struct point { unsigned x; char *label; };
 *     static const struct field point_fields[] = {
 *         {.name = "x", .type = FIELD_UNSIGNED, FIELD_AT(struct point, x), .fallback = "1",
 *          .max = 9, .help = "Column."},
 *         {.name = "label", .type = FIELD_STRING, FIELD_AT(struct point, label),
 *          .flags = FIELD_OPTIONAL, .max = 63, .help = "What people call it."},
 *     };
 *     static const struct record point_record = {FIELDS(point_fields), .size = sizeof(struct
 * point)};
 *
 * Rules that hold for every table: a value of null is an absent field, as the Kubernetes API server
 * has it; a field that the table does not know is a problem that names the nearest known one; what
 * spans several fields is a check of the record, which runs when each field that it reads is right
 * by itself, whatever is wrong with others. Tables are constant data, any thread.
 */
#ifndef DPUMESH_SPEC_FIELD_H
#define DPUMESH_SPEC_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "doc/place.h"
#include "doc/problem.h"

enum field_type {
    FIELD_BOOL,     /* bool */
    FIELD_UNSIGNED, /* unsigned, uint64_t or size_t: a whole number, min to max */
    FIELD_NUMBER,   /* double, min to max */
    FIELD_STRING,   /* char *, min to max bytes, pattern */
    FIELD_WORD,     /* char *, one of names */
    FIELD_ENUM,     /* an enum (int): the index in names */
    FIELD_SET,      /* unsigned from a list of names, at least one: bit i stands for names[i] */
    FIELD_DURATION, /* uint64_t ns from "50ms"; min and max in ns */
    FIELD_SECONDS,  /* uint64_t ns from a number of seconds or "50ms"; min and max in ns */
    FIELD_BYTES,    /* size_t from 4096 or "1Mi"; min and max in bytes */
    FIELD_RANGE,    /* two unsigned from [low, high]: offset and other; min to max */
    FIELD_RECORD,   /* a struct inside this one; offset 0 shares this one */
    FIELD_RECORDS,  /* array of structs and size_t count at other; at most max */
    FIELD_STRINGS,  /* array of char * (stride 0), or of structs of stride bytes with the char * at
                       `at`, and size_t count at other; at most max, pattern for each */
    FIELD_MAP,      /* object of records by name: array of structs sorted by the char * at `at`,
                       and size_t count at other; at most max, pattern for the names */
    FIELD_STRING_MAP, /* json_t *, object of strings; pattern for names, value_pattern for values */
    FIELD_NUMBER_MAP, /* object of numbers, min to max; not stored, the record's finish reads it */
    FIELD_QUANTITY_MAP, /* json_t *, object of Kubernetes quantities, as strings */
    FIELD_QUANTITY,     /* json_t *, a Kubernetes quantity min to max, as a string */
    FIELD_AMOUNT,       /* json_t *, a whole number min to max, or a percentage "50%" */
    FIELD_JSON,         /* json_t *, anything */
    FIELD_OBJECT,       /* json_t *, any object; Kubernetes knows its fields */
    FIELD_OBJECTS,      /* json_t *, a list of such objects, at most max */
    FIELD_CONSTANT,     /* exactly the text names[0]; not stored */
    FIELD_LATER,   /* known, not available yet: only null or an object with run: false passes */
    FIELD_MOVED,   /* is somewhere else now, which help says: refused with that */
    FIELD_IGNORED, /* known and not ours: metadata.uid */
};

enum field_flags {
    FIELD_REQUIRED = 1 << 0,     /* absent is a problem (when only_with applies) */
    FIELD_OPTIONAL = 1 << 1,     /* absent stays zero, and zero is not emitted */
    FIELD_POWER_OF_TWO = 1 << 2, /* FIELD_UNSIGNED */
    FIELD_SELECTS = 1 << 3, /* FIELD_ENUM: the fields' only_with refer to it; first in the table */
};

/* What a text must look like. */
struct field_pattern {
    bool (*valid)(const char *text);
    const char *expression; /* the same as a regular expression (RE2), for the CRD */
    unsigned max;           /* longest text in bytes; 0: as the field says */
    const char *says;       /* what would be right: "a DNS label (...), such as s0" */
};

struct record;

struct field {
    const char *name;
    const char *alias; /* an older name, also read; NULL: none */
    enum field_type type;
    unsigned flags;
    size_t offset; /* of the member in the record's struct */
    size_t size;   /* of the member */
    size_t other;  /* FIELD_RANGE: the high end; lists and maps: the size_t count */
    size_t given;  /* of a bool: the document has this field; 0: none (never at offset 0) */
    size_t stride; /* FIELD_STRINGS: bytes an element */
    size_t at;     /* FIELD_STRINGS, FIELD_MAP: of the char * in an element */
    double min, max;
    size_t entries_max;       /* maps kept as JSON, FIELD_NUMBER_MAP: most entries; 0: no cap */
    const char *fallback;     /* default: text for text-like types, else JSON; NULL: zero */
    const char *unset;        /* for the reference, what absence means when fallback is NULL */
    const char *example;      /* for messages about a missing field */
    const char *const *names; /* FIELD_WORD, FIELD_ENUM, FIELD_SET: NULL-terminated */
    const char *const *later; /* values that are known and not available yet; NULL: none */
    const struct field_pattern *pattern;
    const struct field_pattern *value_pattern;
    const struct record *record; /* FIELD_RECORD, FIELD_RECORDS, FIELD_MAP */
    unsigned only_with; /* bit set of the selector's values with which it may be given; 0: all */
    /* FIELD_UNSIGNED, FIELD_NUMBER, FIELD_DURATION: another such field of the record, 0 by default,
     * that switches on what this one is of; while that is 0, this must be its own default. */
    const char *needs;
    int choice; /* in a choice record: what its presence stores; 0: not a choice */
    json_t *(*emit)(const void *record); /* instead of the type's own; NULL from it: not emitted */
    const char *help;                    /* one sentence */
};

/*
 * The form of a duration (base/clock.h) as a CEL text, for rules that read durations: CEL's
 * duration() fails on what is none. With as many digits as it can hold.
 */
#define CEL_DURATION                                                                               \
    "'^(0|([0-9]{1,14}|[0-9]{0,14}[.][0-9]+)(ns|us)|([0-9]{1,8}|[0-9]{0,8}[.][0-9]+)(ms|s|m)|"     \
    "([0-9]{1,6}|[0-9]{0,6}[.][0-9]+)h)$'"

/* A rule across fields. run NULL: another row's function says it too, or the schema's parts do. */
struct record_check {
    void (*run)(const void *record, json_t *object, const struct place *place,
                struct problems *problems);
    /* The fields that must be right by themselves, else the rule is not asked; NULL ends them. A
     * rule that reads the inside of a field and can tell itself what was wrong there names none. */
    const char *reads[4];
    /* The same for the CRD: a CEL expression over self that is true for what is right. NULL: a
     * schema can't say it, and only we do. */
    const char *rule;
    const char *at;       /* the field that the API server names, ".low"; NULL: the record */
    const char *sentence; /* what the API server says */
    const char *says;     /* the same as a CEL expression, with values; NULL: as sentence */
};

struct record {
    const struct field *fields;
    size_t field_count; /* at most RECORD_FIELDS_MAX */
    size_t size;        /* of the struct */
    bool choice;        /* exactly one of the fields that have a choice is given */
    size_t chosen;      /* of the int that tells which */
    const struct record_check *checks;
    size_t check_count;
    /* Derives values, after the checks; object is what the document says. Runs after problems too:
     * a member whose field was wrong is zero then. May be NULL. */
    void (*finish)(void *record, json_t *object);
};

enum { RECORD_FIELDS_MAX = 64 };

#define FIELD_AT(type, member)                                                                     \
    .offset = offsetof(type, member), .size = sizeof(((type *)NULL)->member)
#define FIELDS(array)    .fields = (array), .field_count = sizeof(array) / sizeof((array)[0])
#define CHECKS(array)    .checks = (array), .check_count = sizeof(array) / sizeof((array)[0])
#define FIELD_BIT(value) (1U << (value))

/*
 * Reads object into target, a zeroed struct of record->size, and fills in defaults. Every problem
 * is added to problems; target can always be given to record_free(), also after problems. object
 * NULL: an empty one, all defaults.
 */
void record_parse(const struct record *record, json_t *object, void *target,
                  const struct place *place, struct problems *problems);

/* The struct as JSON with every default filled in, in the order of the table; owned by the caller.
 */
json_t *record_emit(const struct record *record, const void *source);

/* Frees what the struct's fields own (not the struct) and zeroes these fields. */
void record_free(const struct record *record, void *target);

/*
 * Appends the record's Markdown table: field, type with bounds, default, meaning; fields of inner
 * records follow with their whole path. prefix: "spec." or "". 0 or -ENOBUFS.
 */
int record_reference(const struct record *record, const char *prefix, struct buffer *out);

/*
 * The record as a structural OpenAPI v3 schema with CEL rules, as a CustomResourceDefinition holds
 * it; owned by the caller. It accepts what record_parse() accepts, but for what docs/dpuservice.md
 * tells.
 */
json_t *record_schema(const struct record *record);

/*
 * Whether the table itself is sound (defaults are within bounds, selectors come first, every field
 * has help); what is wrong goes to problems. For tests.
 */
void record_self_check(const struct record *record, const char *prefix, struct problems *problems);

#endif
