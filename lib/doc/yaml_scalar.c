#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "doc/document_private.h"

enum { NUMBER_BYTES_MAX = 400 /* a longer text is no number that anybody means */ };

static const struct word {
    const char *spellings[5];
    enum yaml_kind kind;
    bool truth;
} words[] = {
    {{"", "~", "null", "Null", "NULL"}, YAML_NULL, false},
    {{"true", "True", "TRUE", "y", "Y"}, YAML_BOOLEAN, true},
    {{"yes", "Yes", "YES"}, YAML_BOOLEAN, true},
    {{"on", "On", "ON"}, YAML_BOOLEAN, true},
    {{"false", "False", "FALSE", "n", "N"}, YAML_BOOLEAN, false},
    {{"no", "No", "NO"}, YAML_BOOLEAN, false},
    {{"off", "Off", "OFF"}, YAML_BOOLEAN, false},
    {{".nan", ".NaN", ".NAN"}, YAML_UNUSABLE, false},
    {{".inf", ".Inf", ".INF"}, YAML_UNUSABLE, false},
    {{"+.inf", "+.Inf", "+.INF"}, YAML_UNUSABLE, false},
    {{"-.inf", "-.Inf", "-.INF"}, YAML_UNUSABLE, false},
};

static const struct word *find_word(const char *text)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        for (size_t j = 0; j < 5 && words[i].spellings[j]; j++)
            if (strcmp(text, words[i].spellings[j]) == 0)
                return &words[i];
    return NULL;
}

/* Digits of a base after a sign, with 0x, 0o, 0b, and a leading 0 for octal, as Go's base 0 has it.
 */
static bool parse_integer(const char *text, json_t **ret_value)
{
    bool negative = text[0] == '-';
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    int base = 10;
    char *end;

    if (digits[0] == '0' && digits[1]) {
        int prefix = tolower((unsigned char)digits[1]);
        base = prefix == 'x' ? 16 : prefix == 'b' ? 2 : 8;
        digits += prefix == 'x' || prefix == 'b' || prefix == 'o' ? 2 : 1;
    }
    /* strtoull() would take spaces, another sign, and another 0x. */
    if (!isxdigit((unsigned char)digits[0]) ||
        (base == 16 && tolower((unsigned char)digits[1]) == 'x'))
        return false;
    errno = 0;
    unsigned long long magnitude = strtoull(digits, &end, base);
    if (*end)
        return false;
    if (errno == ERANGE || magnitude > (unsigned long long)INT64_MAX)
        /* JSON has room for any number, jansson for 64 bits; the nearest real keeps its size. */
        *ret_value = json_real((negative ? -1 : 1) *
                               (base == 10 ? strtod(digits, NULL) : (double)magnitude));
    else
        *ret_value = json_integer(negative ? -(json_int_t)magnitude : (json_int_t)magnitude);
    return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(const char *text)
{
    text += *text == '-' || *text == '+';
    size_t whole = strspn(text, "0123456789"), fraction = 0;
    text += whole;
    if (*text == '.') {
        fraction = strspn(text + 1, "0123456789");
        text += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text += 1 + (text[1] == '-' || text[1] == '+');
        size_t exponent = strspn(text, "0123456789");
        if (exponent == 0)
            return false;
        text += exponent;
    }
    return *text == '\0';
}

static enum yaml_kind as_text(const char *text, json_t **ret_value)
{
    *ret_value = json_string(text);
    return YAML_TEXT;
}

enum yaml_kind yaml_resolve(const char *text, json_t **ret_value)
{
    const struct word *word = find_word(text);
    char plain[NUMBER_BYTES_MAX + 1] = {0};
    size_t length = 0;

    if (word) {
        *ret_value = word->kind == YAML_NULL      ? json_null()
                     : word->kind == YAML_BOOLEAN ? json_boolean(word->truth)
                                                  : NULL;
        return word->kind;
    }
    if (!isdigit((unsigned char)*text) && !strchr("+-.", *text))
        return as_text(text, ret_value);
    for (const char *c = text; *c; c++) {
        if (*c == '_')
            continue;
        if (length == NUMBER_BYTES_MAX)
            return as_text(text, ret_value);
        plain[length++] = *c;
    }
    plain[length] = '\0';
    if (*text != '.' && parse_integer(plain, ret_value))
        return YAML_INTEGER;
    if (!is_float(plain))
        return as_text(text, ret_value);
    double number = strtod(plain, NULL);
    if (!isfinite(number)) {
        *ret_value = NULL;
        return YAML_UNUSABLE;
    }
    *ret_value = json_real(number);
    return YAML_FLOAT;
}
