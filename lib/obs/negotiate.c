/* Which exposition format a scraper gets: RFC 9110 section 12.5.1. */
#include <string.h>
#include <strings.h>

#include "obs/metric.h"

/* One element of the Accept header: "type/subtype;name=value;q=0.5". */
struct media_range {
    const char *type;
    size_t type_length;
    unsigned quality; /* thousandths */
    bool version_0, version_1;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool span_equals(const char *text, size_t length, const char *want)
{
    return strlen(want) == length && strncasecmp(text, want, length) == 0;
}

/* "0", "0.5", "1.000" in thousandths; anything malformed counts as 1, as most servers take it. */
static unsigned quality_parse(const char *text, size_t length)
{
    unsigned value = 0, scale = 1000;
    if (length == 0 || (text[0] != '0' && text[0] != '1') || (length > 1 && text[1] != '.'))
        return 1000;
    for (size_t i = 0; i < length && i < 5; i++) {
        if (i == 1)
            continue;
        if (text[i] < '0' || text[i] > '9')
            return 1000;
        value += (unsigned)(text[i] - '0') * scale;
        scale /= 10;
    }
    return value > 1000 ? 1000 : value;
}

static void parameter_take(struct media_range *range, const char *text, size_t length)
{
    while (length > 0 && is_blank(*text)) {
        text++;
        length--;
    }
    while (length > 0 && is_blank(text[length - 1]))
        length--;
    const char *equals = memchr(text, '=', length);
    if (!equals)
        return;
    size_t name_length = (size_t)(equals - text);
    const char *value = equals + 1;
    size_t value_length = length - name_length - 1;
    if (value_length >= 2 && value[0] == '"' && value[value_length - 1] == '"') {
        value++;
        value_length -= 2;
    }
    if (span_equals(text, name_length, "q")) {
        range->quality = quality_parse(value, value_length);
    } else if (span_equals(text, name_length, "version")) {
        range->version_1 =
            span_equals(value, value_length, "1.0.0") || span_equals(value, value_length, "1.0");
        range->version_0 = !range->version_1;
    }
}

/* The element at text, up to the comma; returns its end. Commas in quotes do not end it. */
static const char *range_read(const char *text, struct media_range *range)
{
    bool quoted = false, first = true;
    *range = (struct media_range){.quality = 1000};
    const char *begin = text;
    for (;; text++) {
        if (*text == '"')
            quoted = !quoted;
        if (*text != '\0' && (quoted || (*text != ';' && *text != ',')))
            continue;
        if (first) {
            const char *end = text;
            while (begin < end && is_blank(*begin))
                begin++;
            while (end > begin && is_blank(end[-1]))
                end--;
            range->type = begin;
            range->type_length = (size_t)(end - begin);
            first = false;
        } else {
            parameter_take(range, begin, (size_t)(text - begin));
        }
        if (*text != ';')
            return text;
        begin = text + 1;
    }
}

/* How exactly a range names the format: 3 type and subtype, 2 its type, 1 any, 0 not at all. */
static int range_matches(const struct media_range *range, enum metrics_format format)
{
    bool open = format == METRICS_OPENMETRICS_TEXT;
    if (span_equals(range->type, range->type_length, "*/*"))
        return 1;
    if (span_equals(range->type, range->type_length, open ? "application/*" : "text/*"))
        return 2;
    if (!span_equals(range->type, range->type_length,
                     open ? "application/openmetrics-text" : "text/plain"))
        return 0;
    /* A version that we do not speak is not acceptable; for text/plain there is only 0.0.4. */
    if (open && range->version_0)
        return 0;
    return 3;
}

enum metrics_format metrics_negotiate(const char *accept)
{
    /* The most exact range decides a format's quality (RFC 9110), not the largest one. */
    unsigned quality[2] = {0, 0};
    int exact[2] = {0, 0};
    for (const char *text = accept; text && *text != '\0';) {
        struct media_range range;
        text = range_read(text, &range);
        for (int format = 0; format < 2; format++) {
            int match = range_matches(&range, (enum metrics_format)format);
            if (match > exact[format] ||
                (match == exact[format] && match > 0 && range.quality > quality[format])) {
                exact[format] = match;
                quality[format] = range.quality;
            }
        }
        if (*text == ',')
            text++;
    }
    /*
     * OpenMetrics must have been asked for by its name: a browser's or curl's wildcard gets the
     * text that every tool reads. On equal quality the one asked for by name wins.
     */
    if (exact[METRICS_OPENMETRICS_TEXT] == 3 && quality[METRICS_OPENMETRICS_TEXT] > 0 &&
        quality[METRICS_OPENMETRICS_TEXT] >= quality[METRICS_PROMETHEUS_TEXT])
        return METRICS_OPENMETRICS_TEXT;
    return METRICS_PROMETHEUS_TEXT;
}

const char *metrics_content_type(enum metrics_format format)
{
    return format == METRICS_OPENMETRICS_TEXT
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}
