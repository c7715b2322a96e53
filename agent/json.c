#include "agent/json.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

int json_fail(struct json_cursor *c, const char *error)
{
    if (!c->error)
        c->error = error;
    return -1;
}

static int enter(struct json_cursor *c, char open, char close, const char *error)
{
    if (json_peek(c) != open)
        return json_fail(c, error);
    if (++c->depth > JSON_DEPTH_MAX)
        return json_fail(c, "it is nested deeper than 64");
    c->at++;
    if (json_peek(c) != close)
        return 1;
    c->at++;
    c->depth--;
    return 0;
}

static int next(struct json_cursor *c, char close, const char *error)
{
    if (c->error)
        return -1;
    char byte = json_peek(c);
    if (byte == ',') {
        c->at++;
        return 1;
    }
    if (byte != close)
        return json_fail(c, error);
    c->at++;
    c->depth--;
    return 0;
}

int json_object_begin(struct json_cursor *c)
{
    return enter(c, '{', '}', "an object is expected");
}

int json_object_next(struct json_cursor *c)
{
    return next(c, '}', "',' or '}' is expected");
}

int json_array_begin(struct json_cursor *c)
{
    return enter(c, '[', ']', "an array is expected");
}

int json_array_next(struct json_cursor *c)
{
    return next(c, ']', "',' or ']' is expected");
}

int json_key(struct json_cursor *c, struct json_text *ret_key)
{
    if (json_peek(c) != '"')
        return json_fail(c, "a member's name in double quotes is expected");
    if (json_read_string(c, ret_key) < 0)
        return -1;
    if (json_peek(c) != ':')
        return json_fail(c, "':' is expected after a member's name");
    c->at++;
    return 0;
}

/* Length of the UTF-8 sequence at p, 0 when it is not well formed (RFC 3629: no surrogates, no
 * overlong forms, nothing past U+10FFFF). */
static unsigned utf8_sequence(const unsigned char *p, const unsigned char *end)
{
    size_t left = (size_t)(end - p);
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        return left >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if (p[0] >= 0xe0 && p[0] <= 0xef) {
        if (left < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
            return 0;
        return (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ? 0 : 3;
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        if (left < 4 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 || (p[3] & 0xc0) != 0x80)
            return 0;
        return (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ? 0 : 4;
    }
    return 0;
}

static int hex4(const char *p)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char d = p[i];
        int digit = d >= '0' && d <= '9'   ? d - '0'
                    : d >= 'a' && d <= 'f' ? d - 'a' + 10
                    : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Checks the escape at c->at (a backslash) and steps over it. */
static int skip_escape(struct json_cursor *c)
{
    size_t left = (size_t)(c->end - c->at);
    if (left < 2)
        return json_fail(c, "a string has no end");
    if (c->at[1] != 'u') {
        if (!memchr("\"\\/bfnrt", c->at[1], 8))
            return json_fail(c, "an unknown escape stands in a string");
        c->at += 2;
        return 0;
    }
    int unit = left >= 6 ? hex4(c->at + 2) : -1;
    if (unit < 0)
        return json_fail(c, "\\u takes four hexadecimal digits");
    c->at += 6;
    if (unit < 0xd800 || unit > 0xdfff)
        return 0;
    /* A high surrogate must be followed by a low one. */
    int low =
        unit < 0xdc00 && left >= 12 && c->at[0] == '\\' && c->at[1] == 'u' ? hex4(c->at + 2) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return json_fail(c, "a \\u surrogate stands alone");
    c->at += 6;
    return 0;
}

/* The first byte of a string that is not plain: a quote, a backslash, a control character, or one
 * that is not ASCII. Sixteen bytes at a time where there are so many: most strings end in the
 * first. */
static const char *skip_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* Signed: bytes past ASCII are negative, and so less than a space. */
        const __m128i special =
            _mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)),
                         _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                      _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))));
        unsigned mask = (unsigned)_mm_movemask_epi8(special);
        if (mask)
            return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' &&
           *p != '\\')
        p++;
    return p;
}

int json_read_string(struct json_cursor *c, struct json_text *ret_text)
{
    if (json_peek(c) != '"')
        return json_fail(c, "a string is expected");
    const char *begin = ++c->at;
    bool escaped = false;
    for (;;) {
        const char *p = skip_plain(c->at, c->end);
        c->at = p;
        if (p == c->end)
            return json_fail(c, "a string has no end");
        if (*p == '"')
            break;
        if (*p == '\\') {
            escaped = true;
            if (skip_escape(c) < 0)
                return -1;
            continue;
        }
        unsigned bytes = utf8_sequence((const unsigned char *)p, (const unsigned char *)c->end);
        if (bytes == 0)
            return json_fail(c, (unsigned char)*p < 0x20
                                    ? "a control character stands in a string; write it as \\u00XX"
                                    : "a string is not valid UTF-8");
        c->at += bytes;
    }
    *ret_text = (struct json_text){begin, (size_t)(c->at - begin), escaped};
    c->at++;
    return 0;
}

static bool literal(struct json_cursor *c, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

bool json_read_null(struct json_cursor *c)
{
    return json_peek(c) == 'n' && literal(c, "null");
}

static bool digits(struct json_cursor *c)
{
    const char *first = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++;
    return c->at > first;
}

static int skip_number(struct json_cursor *c)
{
    static const char bad[] = "a number is malformed";
    if (c->at < c->end && *c->at == '-')
        c->at++;
    const char *first = c->at;
    if (!digits(c) || (*first == '0' && c->at - first > 1))
        return json_fail(c, bad);
    if (c->at < c->end && *c->at == '.') {
        c->at++;
        if (!digits(c))
            return json_fail(c, bad);
    }
    if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        c->at++;
        if (c->at < c->end && (*c->at == '+' || *c->at == '-'))
            c->at++;
        if (!digits(c))
            return json_fail(c, bad);
    }
    return 0;
}

/* Depth is capped by enter(), so the recursion is too. */
int json_skip(struct json_cursor *c) // NOLINT(misc-no-recursion)
{
    struct json_text text;
    int more;
    switch (json_peek(c)) {
    case '"':
        return json_read_string(c, &text);
    case '{':
        for (more = json_object_begin(c); more > 0; more = json_object_next(c))
            if (json_key(c, &text) < 0 || json_skip(c) < 0)
                return -1;
        return more;
    case '[':
        for (more = json_array_begin(c); more > 0; more = json_array_next(c))
            if (json_skip(c) < 0)
                return -1;
        return more;
    case 't':
        return literal(c, "true") ? 0 : json_fail(c, "a value is expected");
    case 'f':
        return literal(c, "false") ? 0 : json_fail(c, "a value is expected");
    case 'n':
        return literal(c, "null") ? 0 : json_fail(c, "a value is expected");
    case '-':
    case '0' ... '9':
        return skip_number(c);
    case '\0':
        return json_fail(c, c->at == c->end ? "it ends too early" : "a NUL byte stands in it");
    default:
        return json_fail(c, "a value is expected");
    }
}

int json_finish(struct json_cursor *c)
{
    json_peek(c);
    if (c->error)
        return -1;
    return c->at == c->end ? 0 : json_fail(c, "something follows the object");
}

bool json_text_equals(const struct json_text *text, const char *word, size_t length)
{
    /* An escape is longer than what it stands for. */
    char plain[6 * 64];
    if (text->length > sizeof plain)
        return false;
    return json_unescape(text, plain) == length && memcmp(plain, word, length) == 0;
}

static char *put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

size_t json_unescape(const struct json_text *text, char *out)
{
    if (!text->escaped) {
        memcpy(out, text->data, text->length);
        return text->length;
    }
    char *o = out;
    for (const char *p = text->data, *end = p + text->length; p < end;) {
        if (*p != '\\') {
            *o++ = *p++;
            continue;
        }
        p += 2;
        switch (p[-1]) {
        case 'b':
            *o++ = '\b';
            break;
        case 'f':
            *o++ = '\f';
            break;
        case 'n':
            *o++ = '\n';
            break;
        case 'r':
            *o++ = '\r';
            break;
        case 't':
            *o++ = '\t';
            break;
        case 'u': {
            uint32_t code = (uint32_t)hex4(p);
            p += 4;
            if (code >= 0xd800 && code < 0xdc00) {
                code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)hex4(p + 2) - 0xdc00);
                p += 6;
            }
            o = put_utf8(o, code);
            break;
        }
        default:
            *o++ = p[-1];
        }
    }
    return (size_t)(o - out);
}

/* 0: as it is; 'u': \u00XX; else the letter after the backslash. */
static char escape_letter(unsigned char byte)
{
    switch (byte) {
    case '"':
        return '"';
    case '\\':
        return '\\';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return byte < 0x20 ? 'u' : 0;
    }
}

size_t json_escaped_length(const char *text, size_t length)
{
    size_t total = length;
    for (size_t i = 0; i < length; i++) {
        char letter = escape_letter((unsigned char)text[i]);
        if (letter)
            total += letter == 'u' ? 5 : 1;
    }
    return total;
}

char *json_escape(const char *text, size_t length, char *out)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        char letter = escape_letter(byte);
        if (!letter) {
            *out++ = (char)byte;
            continue;
        }
        *out++ = '\\';
        *out++ = letter;
        if (letter == 'u') {
            memcpy(out, "00", 2);
            out[2] = hex[byte >> 4];
            out[3] = hex[byte & 15];
            out += 4;
        }
    }
    return out;
}

size_t json_scan(struct json_scan *s, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char byte = text[i];
        if (s->in_string) {
            if (s->after_backslash)
                s->after_backslash = false;
            else if (byte == '\\')
                s->after_backslash = true;
            else if (byte == '"')
                s->in_string = false;
        } else if (byte == '"') {
            s->in_string = true;
        } else if (byte == '{' || byte == '[') {
            s->depth++;
        } else if ((byte == '}' || byte == ']') && s->depth > 0 && --s->depth == 0) {
            return i + 1;
        }
    }
    return 0;
}
