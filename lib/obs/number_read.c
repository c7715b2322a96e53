/* Numbers as expositions have them, read. */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "obs/exposition_read.h"

/* Most numbers are short and whole: below 2^53 they need no care. */
enum { DIGITS_EXACT = 15 };

static bool read_whole(const char *text, size_t length, double *ret_value)
{
    uint64_t value = 0;

    if (length == 0 || length > DIGITS_EXACT)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = 10 * value + (uint64_t)(text[i] - '0');
    }
    *ret_value = (double)value;
    return true;
}

static bool read_word(const char *text, bool negative, double *ret_value)
{
    if (strcasecmp(text, "inf") == 0 || strcasecmp(text, "infinity") == 0)
        *ret_value = negative ? -INFINITY : INFINITY;
    else
        return false;
    return true;
}

/* The C locale's object is a constant of the C library: nothing is made, and nothing to free. */
static double decimal(const char *text, char **ret_end)
{
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return strtod_l(text, ret_end, c_locale);
}

int exposition_number(const char *text, size_t length, double *ret_value)
{
    char copy[EXPOSITION_NUMBER_MAX + 1], *end = NULL;

    if (read_whole(text, length, ret_value))
        return 0;
    if (length == 0 || length > EXPOSITION_NUMBER_MAX || memchr(text, 0, length))
        return -EINVAL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (strcasecmp(copy, "nan") == 0) {
        *ret_value = NAN;
        return 0;
    }
    bool is_signed = *copy == '-' || *copy == '+';
    if (read_word(copy + is_signed, *copy == '-', ret_value))
        return 0;
    /* strtod() also takes spaces, hexadecimal and the words above. */
    if (copy[strspn(copy, "+-.0123456789eE")] != '\0')
        return -EINVAL;
    double value = decimal(copy, &end);
    if (*end != '\0' || isinf(value))
        return -EINVAL;
    *ret_value = value;
    return 0;
}
