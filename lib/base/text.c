#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEAREST_LENGTH_MAX = 64 }; /* longer names are not typing mistakes */

char *text_one_line(char *text)
{
    size_t rest = strlen(text);

    for (char *at = text; rest > 0;) {
        uint32_t code;
        size_t size = text_utf8_decode(at, rest, &code);
        if (size == 0 || code < ' ' || (code >= 0x7f && code < 0xa0)) {
            size = size ? size : 1;
            memset(at, size == 1 && isspace((unsigned char)*at) ? ' ' : '?', size);
        }
        at += size;
        rest -= size;
    }
    return text;
}

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/*
 * Optimal string alignment distance: Damerau, "A technique for computer detection and correction of
 * spelling errors", 1964, without edits inside a swapped pair. Three rows suffice.
 */
static size_t alignment_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][NEAREST_LENGTH_MAX + 1];
    size_t *before = rows[0], *previous = rows[1], *current = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        previous[j] = before[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        current[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t cost = same_letter(a[i - 1], b[j - 1]) ? 0 : 1;
            size_t best = min_of(previous[j] + 1, current[j - 1] + 1);
            best = min_of(best, previous[j - 1] + cost);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                same_letter(a[i - 2], b[j - 1]))
                best = min_of(best, before[j - 2] + 1);
            current[j] = best;
        }
        size_t *oldest = before;
        before = previous;
        previous = current;
        current = oldest;
    }
    return previous[b_length];
}

void text_nearest_offer(struct text_nearest *search, const char *candidate)
{
    size_t length = strnlen(search->name, NEAREST_LENGTH_MAX + 1);
    size_t candidate_length = strnlen(candidate, NEAREST_LENGTH_MAX + 1);
    if (length == 0 || length > NEAREST_LENGTH_MAX || candidate_length > NEAREST_LENGTH_MAX)
        return;
    size_t longer = length > candidate_length ? length : candidate_length;
    size_t distance = alignment_distance(search->name, length, candidate, candidate_length);
    bool begins = length >= 3 && strncasecmp(search->name, candidate, length) == 0;
    if (begins && distance > longer / 3)
        distance = longer / 3 + 1; /* behind every real near miss */
    else if (distance > (longer + 2) / 3 || distance >= length)
        return;
    if (!search->best || distance < search->distance) {
        search->best = candidate;
        search->distance = distance;
    }
}

const char *text_nearest(const char *name, const char *const *candidates, size_t count)
{
    struct text_nearest search = TEXT_NEAREST_INIT(name);
    for (size_t i = 0; i < count; i++)
        if (candidates[i])
            text_nearest_offer(&search, candidates[i]);
    return search.best;
}

size_t text_utf8_decode(const char *text, size_t size, uint32_t *ret_code)
{
    /* Per length: what marks the first byte, its mask, and the least code point (RFC 3629). */
    static const struct {
        unsigned char mark, mask;
        uint32_t least;
    } forms[] = {{0xc0, 0xe0, 0x80}, {0xe0, 0xf0, 0x800}, {0xf0, 0xf8, 0x10000}};
    if (size == 0)
        return 0;
    unsigned char first = (unsigned char)text[0];
    if (first < 0x80) {
        *ret_code = first;
        return 1;
    }
    for (size_t form = 0; form < 3; form++) {
        if ((first & forms[form].mask) != forms[form].mark)
            continue;
        size_t length = form + 2;
        uint32_t code = first & (unsigned char)~forms[form].mask;
        if (size < length)
            return 0;
        for (size_t i = 1; i < length; i++) {
            unsigned char next = (unsigned char)text[i];
            if ((next & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (next & 0x3f);
        }
        if (code < forms[form].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return 0;
        *ret_code = code;
        return length;
    }
    return 0;
}

size_t text_mark(const char *text, size_t size)
{
    static const char mark[3] = "\xef\xbb\xbf";
    return size >= sizeof(mark) && memcmp(text, mark, sizeof(mark)) == 0 ? sizeof(mark) : 0;
}

bool text_utf8_valid(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        uint64_t word;
        uint32_t code;
        /* Eight bytes of ASCII at a step: that is what nearly all bodies are. */
        if (size - at >= sizeof(word)) {
            memcpy(&word, text + at, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof(word);
                continue;
            }
        }
        size_t length = text_utf8_decode(text + at, size - at, &code);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

/* Appends one character that needs an escape in JSON; false when it needs none. */
static bool append_json_escape(struct buffer *buffer, uint32_t code, int *ret)
{
    static const char named[] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                 ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
    if (code < sizeof(named) && named[code])
        *ret = buffer_append(buffer, (const char[]){'\\', named[code]}, 2);
    else if (code < 0x20 || code == 0x7f)
        *ret = buffer_printf(buffer, "\\u%04x", (unsigned)code);
    else
        return false;
    return true;
}

int text_append_json(struct buffer *buffer, const char *text, size_t size)
{
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    size_t begin = buffer->length, plain = 0, at = 0;
    int ret = buffer_append(buffer, "\"", 1);
    while (ret == 0 && at < size) {
        uint32_t code = 0;
        size_t length = text_utf8_decode(text + at, size - at, &code);
        if (length > 0 && code != '"' && code != '\\' && code >= 0x20 && code != 0x7f) {
            at += length;
            continue;
        }
        ret = buffer_append(buffer, text + plain, at - plain);
        if (ret == 0 && (length == 0 || !append_json_escape(buffer, code, &ret)))
            ret = buffer_append(buffer, replacement, 3);
        at += length ? length : 1;
        plain = at;
    }
    if (ret == 0)
        ret = buffer_append(buffer, text + plain, at - plain);
    if (ret == 0)
        ret = buffer_append(buffer, "\"", 1);
    if (ret < 0)
        buffer->length = begin;
    return ret;
}

/* Digits at *cursor. 0, -EINVAL without one, -ERANGE past 64 bits. */
static int digits_read(const char **cursor, uint64_t *ret)
{
    const char *at = *cursor;
    uint64_t value = 0;
    bool over = false;
    for (; *at >= '0' && *at <= '9'; at++)
        over |= __builtin_mul_overflow(value, 10, &value) ||
                __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
    if (at == *cursor)
        return -EINVAL;
    *cursor = at;
    *ret = value;
    return over ? -ERANGE : 0;
}

static int unsigned_refuse(const char *text, const char *what, uint64_t min, uint64_t max,
                           struct error **err)
{
    if (max == UINT64_MAX)
        return error_make(err, EINVAL, "\"%s\" %s; give %" PRIu64 " or more", text, what, min);
    return error_make(err, EINVAL, "\"%s\" %s; give %" PRIu64 " to %" PRIu64, text, what, min, max);
}

int text_parse_unsigned(const char *text, uint64_t min, uint64_t max, uint64_t *ret,
                        struct error **err)
{
    uint64_t value;
    const char *cursor = text;
    int status = digits_read(&cursor, &value);
    if (status == -EINVAL || *cursor != '\0')
        return unsigned_refuse(text, "is not a whole number", min, max, err);
    if (status < 0 || value > max)
        return unsigned_refuse(text, "is too large", min, max, err);
    if (value < min)
        return unsigned_refuse(text, "is too small", min, max, err);
    *ret = value;
    return 0;
}

static int size_refuse(const char *text, const char *what, uint64_t min, uint64_t max,
                       struct error **err)
{
    char low[TEXT_SIZE_MAX], high[TEXT_SIZE_MAX];
    text_format_size(min, low);
    text_format_size(max, high);
    if (max == UINT64_MAX)
        return error_make(err, EINVAL, "\"%s\" %s; give %s or more, such as 64K, 1M or 2G", text,
                          what, low);
    return error_make(err, EINVAL, "\"%s\" %s; give %s to %s", text, what, low, high);
}

/* The power of two of a unit suffix, or -EINVAL. */
static int unit_shift(const char *unit)
{
    static const char letters[] = "KMGT";
    if (*unit == '\0' || strcasecmp(unit, "B") == 0)
        return 0;
    const char *letter = strchr(letters, toupper((unsigned char)*unit));
    if (!letter || (unit[1] != '\0' && strcasecmp(unit + 1, "i") != 0 &&
                    strcasecmp(unit + 1, "iB") != 0 && strcasecmp(unit + 1, "B") != 0))
        return -EINVAL;
    return 10 * (int)(letter - letters + 1);
}

int text_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *ret_bytes,
                    struct error **err)
{
    uint64_t value;
    const char *cursor = text;
    int status = digits_read(&cursor, &value);
    int shift = status == -EINVAL ? -EINVAL : unit_shift(cursor);
    if (shift < 0)
        return size_refuse(text, "is not a size in bytes", min, max, err);
    if (status < 0 || value > UINT64_MAX >> shift || value << shift > max)
        return size_refuse(text, "is too large", min, max, err);
    if (value << shift < min)
        return size_refuse(text, "is too small", min, max, err);
    *ret_bytes = value << shift;
    return 0;
}

int text_parse_double(const char *text, double min, double max, double *ret, struct error **err)
{
    /* strtod() also takes spaces, hexadecimal, inf and nan; people who write those did not mean to.
     */
    char *end = NULL;
    double value = text[strspn(text, "+-.0123456789eE")] == '\0' ? strtod(text, &end) : 0;
    const char *what = NULL;
    if (!end || end == text || *end != '\0')
        what = "is not a number";
    else if (!isfinite(value) || value > max)
        what = "is too large";
    else if (value < min)
        what = "is too small";
    if (!what) {
        *ret = value;
        return 0;
    }
    if (isfinite(min) && isfinite(max))
        return error_make(err, EINVAL, "\"%s\" %s; give %g to %g", text, what, min, max);
    if (isfinite(min))
        return error_make(err, EINVAL, "\"%s\" %s; give %g or more", text, what, min);
    return error_make(err, EINVAL, "\"%s\" %s; give a decimal number such as 0.5", text, what);
}

char *text_format_size(uint64_t bytes, char text[TEXT_SIZE_MAX])
{
    static const char *const units[] = {"", "K", "M", "G", "T"};
    size_t unit = 0;
    while (unit < 4 && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, TEXT_SIZE_MAX, "%" PRIu64 "%s", bytes, units[unit]);
    return text;
}
