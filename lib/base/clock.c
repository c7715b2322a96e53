#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const struct duration_unit {
    const char *name;
    uint64_t ns;
} duration_units[] = {
    {"h", 3600 * NS_PER_S}, {"m", 60 * NS_PER_S}, {"s", NS_PER_S},
    {"ms", NS_PER_MS},      {"us", NS_PER_US},    {"ns", 1},
};

enum { DURATION_UNITS = sizeof(duration_units) / sizeof(duration_units[0]) };

static const struct duration_unit *unit_find(const char *name)
{
    for (size_t i = 0; i < DURATION_UNITS; i++)
        if (strcmp(name, duration_units[i].name) == 0)
            return &duration_units[i];
    return NULL;
}

/*
 * Reads "123" or "123.45" at *cursor as whole * 10^-decimals. Decimals beyond the 12th can't matter
 * (an hour has 3.6e12 ns) and are skipped. -EINVAL without a digit, -ERANGE past 2^64.
 */
static int number_read(const char **cursor, uint64_t *ret_whole, uint64_t *ret_fraction,
                       unsigned *ret_decimals)
{
    const char *at = *cursor;
    uint64_t whole = 0, fraction = 0;
    unsigned decimals = 0, digits = 0;
    for (; *at >= '0' && *at <= '9'; at++, digits++) {
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(*at - '0'), &whole))
            return -ERANGE;
    }
    if (*at == '.') {
        for (at++; *at >= '0' && *at <= '9'; at++, digits++) {
            if (decimals < 12) {
                fraction = fraction * 10 + (uint64_t)(*at - '0');
                decimals++;
            }
        }
    }
    if (digits == 0)
        return -EINVAL;
    *cursor = at;
    *ret_whole = whole;
    *ret_fraction = fraction;
    *ret_decimals = decimals;
    return 0;
}

int duration_parse(const char *text, uint64_t *ret_ns, struct error **err)
{
    static const char form[] =
        "write a number and a unit (ns, us, ms, s, m, h), such as 50ms or 1.5s";
    uint64_t whole, fraction;
    unsigned decimals;
    const char *cursor = text;
    int ret = number_read(&cursor, &whole, &fraction, &decimals);
    if (ret == -ERANGE)
        return error_make(err, EINVAL,
                          "duration \"%s\" is too long; the largest is about 292 years", text);
    if (ret < 0 && text[0] == '-')
        return error_make(err, EINVAL, "duration \"%s\" is negative; %s", text, form);
    if (ret < 0)
        return error_make(err, EINVAL, "\"%s\" is not a duration; %s", text, form);
    if (*cursor == '\0') {
        if (whole || fraction)
            return error_make(err, EINVAL, "duration \"%s\" has no unit; %s", text, form);
        *ret_ns = 0;
        return 0;
    }
    const struct duration_unit *unit = unit_find(cursor);
    if (!unit)
        return error_make(err, EINVAL, "duration \"%s\" has an unknown unit \"%s\"; %s", text,
                          cursor, form);
    __extension__ unsigned __int128 ns = (unsigned __int128)fraction * unit->ns;
    for (unsigned i = 0; i < decimals; i++)
        ns = i + 1 == decimals ? (ns + 5) / 10 : ns / 10;
    ns += (unsigned __int128)whole * unit->ns;
    if (ns > INT64_MAX)
        return error_make(err, EINVAL,
                          "duration \"%s\" is too long; the largest is about 292 years", text);
    *ret_ns = (uint64_t)ns;
    return 0;
}

char *duration_format(uint64_t ns, char text[DURATION_TEXT_MAX])
{
    if (ns == 0) {
        snprintf(text, DURATION_TEXT_MAX, "0");
        return text;
    }
    for (size_t i = 0; i < DURATION_UNITS; i++) {
        const struct duration_unit *unit = &duration_units[i];
        uint64_t step = unit->ns >= 1000 ? unit->ns / 1000 : 1;
        /* Below one of the unit, or more than three decimals: a smaller unit says it better. */
        if (ns < unit->ns || ns % step != 0)
            continue;
        unsigned thousandths = (unsigned)(ns % unit->ns / step);
        int size = snprintf(text, DURATION_TEXT_MAX, "%" PRIu64, ns / unit->ns);
        if (thousandths && unit->ns >= 1000) {
            size += snprintf(text + size, DURATION_TEXT_MAX - (size_t)size, ".%03u", thousandths);
            while (text[size - 1] == '0')
                size--;
        }
        snprintf(text + size, DURATION_TEXT_MAX - (size_t)size, "%s", unit->name);
        break;
    }
    return text;
}
