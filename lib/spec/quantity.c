#include "spec/quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUANTITY_BYTES_MAX = 40, DIGITS_MAX = 18 };

static const char form[] = "write a number and an optional unit, such as 100m, 0.5, 64Mi or 1G";

/* Suffixes of apimachinery's resource.Quantity: a power of ten, or one of two. */
static const struct suffix {
    const char *name;
    int ten, two;
} suffixes[] = {
    {"", 0, 0},    {"n", -9, 0},  {"u", -6, 0},  {"m", -3, 0},  {"k", 3, 0},   {"M", 6, 0},
    {"G", 9, 0},   {"T", 12, 0},  {"P", 15, 0},  {"E", 18, 0},  {"Ki", 0, 10}, {"Mi", 0, 20},
    {"Gi", 0, 30}, {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60},
};

static const struct suffix *suffix_find(const char *name)
{
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (strcmp(name, suffixes[i].name) == 0)
            return &suffixes[i];
    return NULL;
}

/* A quantity in its parts. */
struct parts {
    const char *text;
    size_t digits, fraction; /* of the number: before and after the point */
    size_t number;           /* bytes of the number, the point included */
    size_t exponent;         /* bytes of "e3"; 0: none */
    const struct suffix *suffix;
};

static bool refuse(struct error **err, const char *text, const char *what)
{
    error_make(err, EINVAL, "\"%s\" %s; %s", text, what, form);
    return false;
}

/* False, and a sentence, when it is no quantity. */
static bool split(const char *text, struct parts *ret_parts, struct error **err)
{
    struct parts parts = {.text = text, .digits = strspn(text, "0123456789")};

    if (strnlen(text, QUANTITY_BYTES_MAX + 1) > QUANTITY_BYTES_MAX) {
        error_make(err, EINVAL, "too long for a quantity; %s", form);
        return false;
    }
    if (text[0] == '-')
        return refuse(err, text, "is negative");
    parts.number = parts.digits;
    if (text[parts.number] == '.') {
        parts.fraction = strspn(text + parts.number + 1, "0123456789");
        parts.number += 1 + parts.fraction;
    }
    if (parts.digits + parts.fraction == 0)
        return refuse(err, text, "is not a quantity");

    /* A decimal exponent, or else a suffix: "1e3" is 1000, "1E" is 10^18. */
    const char *rest = text + parts.number;
    if (rest[0] == 'e' || rest[0] == 'E') {
        size_t sign = rest[1] == '-' || rest[1] == '+';
        size_t more = strspn(rest + 1 + sign, "0123456789");
        if (more > 0 && more <= 3)
            parts.exponent = 1 + sign + more;
    }
    parts.suffix = suffix_find(rest + parts.exponent);
    if (!parts.suffix || (parts.exponent && *parts.suffix->name))
        return refuse(err, text, "is not a quantity");
    *ret_parts = parts;
    return true;
}

int quantity_parse(const char *text, double *ret_value, struct error **err)
{
    char number[QUANTITY_BYTES_MAX + 1];
    struct parts parts;
    if (!split(text, &parts, err))
        return -EINVAL;

    memcpy(number, text, parts.number + parts.exponent);
    number[parts.number + parts.exponent] = '\0';
    double value = strtod(number, NULL);
    /* Parts below one divide, so that 100m is exactly 0.1; 10^18 and less are exact. */
    if (parts.suffix->ten < 0)
        value /= pow(10, -parts.suffix->ten);
    else
        value *= pow(10, parts.suffix->ten) * ldexp(1, parts.suffix->two);
    if (!isfinite(value))
        return error_make(err, EINVAL, "\"%s\" is too large; %s", text, form);
    *ret_value = value;
    return 0;
}

__extension__ typedef unsigned __int128 wide; /* 18 digits times 2^60 */

/* The digits of the number without the point; false when there are too many. */
static bool mantissa_of(const struct parts *parts, uint64_t *ret_mantissa)
{
    uint64_t mantissa = 0;
    unsigned digits = 0;

    for (size_t i = 0; i < parts->number; i++) {
        if (parts->text[i] == '.')
            continue;
        if (mantissa > 0 || parts->text[i] != '0')
            digits++;
        if (digits > DIGITS_MAX)
            return false;
        mantissa = mantissa * 10 + (uint64_t)(parts->text[i] - '0');
    }
    *ret_mantissa = mantissa;
    return true;
}

/* value * 10^*exponent with at most thousandths, rounded up; false from 2^63 on. */
static bool to_thousandths(wide *value, int *exponent)
{
    for (; *exponent < -3 && *value > 0; ++*exponent)
        *value = *value / 10 + (*value % 10 != 0);
    wide whole = *value;
    for (int i = *exponent; i < 0; i++)
        whole /= 10;
    for (int i = *exponent; i > 0 && whole > 0 && whole <= INT64_MAX; i--)
        whole *= 10;
    return whole <= INT64_MAX;
}

/* Prints value * 10^exponent, where the exponent is to be a multiple of three: 500m, 1500, 10e3. */
static void print_decimal(wide value, int exponent, bool scientific, char *text)
{
    char suffix[8] = "";

    while (value % 10 == 0) {
        value /= 10;
        exponent++;
    }
    for (; exponent % 3 != 0; exponent--)
        value *= 10;
    if (scientific && exponent)
        snprintf(suffix, sizeof(suffix), "e%d", exponent);
    for (size_t i = 0; !scientific && i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (suffixes[i].ten == exponent && suffixes[i].two == 0)
            snprintf(suffix, sizeof(suffix), "%s", suffixes[i].name);
    snprintf(text, QUANTITY_TEXT_MAX, "%" PRIu64 "%s", (uint64_t)value, suffix);
}

static void print_binary(uint64_t value, char *text)
{
    int two = 0;

    for (; value % 1024 == 0; two += 10)
        value /= 1024;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (suffixes[i].two == two && suffixes[i].ten == 0)
            snprintf(text, QUANTITY_TEXT_MAX, "%" PRIu64 "%s", value, suffixes[i].name);
}

int quantity_canonical(const char *text, char ret_text[QUANTITY_TEXT_MAX], struct error **err)
{
    struct parts parts = {.text = text};
    uint64_t mantissa;
    if (!split(text, &parts, err))
        return -EINVAL;
    if (!mantissa_of(&parts, &mantissa))
        return error_make(err, EINVAL, "\"%s\" has too many digits; %s", text, form);

    int exponent = parts.suffix->ten - (int)parts.fraction;
    if (parts.exponent)
        exponent += (int)strtol(text + parts.number + 1, NULL, 10);
    wide value = (wide)mantissa << parts.suffix->two;
    if (!to_thousandths(&value, &exponent))
        return error_make(err, EINVAL, "\"%s\" is too large; %s", text, form);
    if (value == 0) {
        snprintf(ret_text, QUANTITY_TEXT_MAX, "0");
        return 0;
    }
    /* A power of two is told as such from 1024 on, when it is a whole number. */
    for (; parts.suffix->two && exponent < 0 && value % 10 == 0; exponent++)
        value /= 10;
    if (parts.suffix->two && exponent == 0 && value >= 1024)
        print_binary((uint64_t)value, ret_text);
    else
        print_decimal(value, exponent, parts.exponent > 0, ret_text);
    return 0;
}
