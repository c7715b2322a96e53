#include "kube/time.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/text.h"

enum {
    SECONDS_PER_DAY = 86400,
    EPOCH_DAYS = 719468, /* from 0000-03-01 to 1970-01-01 */
    SHOWN_BYTES = 40     /* of a text that is no timestamp */
};

struct civil {
    unsigned year, month, day, hour, minute, second;
};

/*
 * Days since 1970 of a date in the proleptic Gregorian calendar, and back. Years are counted from
 * March, so that the leap day is the last of its year (Howard Hinnant, "chrono-Compatible Low-Level
 * Date Algorithms", days_from_civil and civil_from_days).
 */
static int64_t days_of(const struct civil *date)
{
    unsigned year = date->year - (date->month <= 2);
    unsigned era = year / 400, year_of_era = year % 400;
    unsigned day_of_year =
        (153 * (date->month > 2 ? date->month - 3 : date->month + 9) + 2) / 5 + date->day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + day_of_era - EPOCH_DAYS;
}

static struct civil civil_of(uint64_t unix_seconds)
{
    uint64_t days = unix_seconds / SECONDS_PER_DAY + EPOCH_DAYS;
    unsigned second = (unsigned)(unix_seconds % SECONDS_PER_DAY);
    unsigned era = (unsigned)(days / 146097), day_of_era = (unsigned)(days % 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month = (5 * day_of_year + 2) / 153; /* from March */
    return (struct civil){.year = era * 400 + year_of_era + (month >= 10),
                          .month = month < 10 ? month + 3 : month - 9,
                          .day = day_of_year - (153 * month + 2) / 5 + 1,
                          .hour = second / 3600,
                          .minute = second / 60 % 60,
                          .second = second % 60};
}

char *kube_time_format(uint64_t unix_ns, char text[KUBE_TIME_TEXT_MAX])
{
    struct civil at = civil_of(unix_ns / NS_PER_S);
    snprintf(text, KUBE_TIME_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02uZ", at.year % 10000, at.month,
             at.day, at.hour, at.minute, at.second);
    return text;
}

char *kube_micro_time_format(uint64_t unix_ns, char text[KUBE_TIME_TEXT_MAX])
{
    size_t length = strlen(kube_time_format(unix_ns, text)) - 1; /* less the Z */
    snprintf(text + length, KUBE_TIME_TEXT_MAX - length, ".%06uZ",
             (unsigned)(unix_ns % NS_PER_S / NS_PER_US));
    return text;
}

/* ---- reading ---- */

/* Takes count digits off the front of *text; false when there are fewer. */
static bool take_digits(const char **text, unsigned count, unsigned *ret)
{
    unsigned value = 0;
    for (unsigned i = 0; i < count; i++, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        value = value * 10 + (unsigned)(**text - '0');
    }
    *ret = value;
    return true;
}

static bool take(const char **text, char wanted)
{
    if (**text != wanted)
        return false;
    (*text)++;
    return true;
}

static unsigned days_in(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool take_date(const char **text, struct civil *at)
{
    if (!take_digits(text, 4, &at->year) || !take(text, '-') || !take_digits(text, 2, &at->month) ||
        !take(text, '-') || !take_digits(text, 2, &at->day))
        return false;
    return at->year >= 1 && at->month >= 1 && at->month <= 12 && at->day >= 1 &&
           at->day <= days_in(at->year, at->month);
}

static bool take_clock(const char **text, struct civil *at)
{
    if (!take_digits(text, 2, &at->hour) || !take(text, ':') ||
        !take_digits(text, 2, &at->minute) || !take(text, ':') ||
        !take_digits(text, 2, &at->second))
        return false;
    if (at->hour > 23 || at->minute > 59 || at->second > 60)
        return false;
    if (at->second == 60)
        at->second = 59;
    return true;
}

/* Nothing, or a point and one to nine digits. */
static bool take_fraction(const char **text, unsigned *ret_ns)
{
    unsigned ns = 0, digits = 0, digit;
    if (!take(text, '.')) {
        *ret_ns = 0;
        return true;
    }
    while (digits < 9 && take_digits(text, 1, &digit)) {
        ns = ns * 10 + digit;
        digits++;
    }
    if (digits == 0)
        return false;
    for (; digits < 9; digits++)
        ns *= 10;
    *ret_ns = ns;
    return true;
}

/* "Z", or hours and minutes that the clock is ahead of UTC. */
static bool take_offset(const char **text, int64_t *ret_seconds)
{
    unsigned hours, minutes;
    bool behind = **text == '-';
    *ret_seconds = 0;
    if (take(text, 'Z'))
        return true;
    if (!behind && **text != '+')
        return false;
    (*text)++;
    if (!take_digits(text, 2, &hours) || !take(text, ':') || !take_digits(text, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *ret_seconds = (int64_t)(hours * 3600 + minutes * 60) * (behind ? -1 : 1);
    return true;
}

static int no_timestamp(const char *text, struct error **err)
{
    cleanup_buffer struct buffer shown = BUFFER_INIT(SHOWN_BYTES * 6 + 8);
    size_t length = strlen(text);
    text_append_json(&shown, text, length < SHOWN_BYTES ? length : SHOWN_BYTES);
    return error_make(err, EINVAL,
                      "%s%s is not a timestamp; give one as 2026-11-23T10:00:00Z (RFC 3339)",
                      buffer_terminate(&shown), length > SHOWN_BYTES ? "..." : "");
}

int kube_time_parse(const char *text, uint64_t *ret_unix_ns, struct error **err)
{
    const char *at = text;
    struct civil civil;
    unsigned fraction_ns;
    int64_t offset;

    if (!take_date(&at, &civil) || !take(&at, 'T') || !take_clock(&at, &civil) ||
        !take_fraction(&at, &fraction_ns) || !take_offset(&at, &offset) || *at)
        return no_timestamp(text, err);
    int64_t seconds = days_of(&civil) * SECONDS_PER_DAY + civil.hour * 3600 + civil.minute * 60 +
                      civil.second - offset;
    uint64_t ns;
    if (seconds < 0)
        *ret_unix_ns = 0;
    else if (__builtin_mul_overflow((uint64_t)seconds, NS_PER_S, &ns) ||
             __builtin_add_overflow(ns, (uint64_t)fraction_ns, &ns))
        *ret_unix_ns = UINT64_MAX;
    else
        *ret_unix_ns = ns;
    return 0;
}

uint64_t kube_time_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}
