/*
 * Query strings that choose a behaviour (agent/behavior.c). A second reader, which takes the text a
 * character at a time and decodes all of it, must come to the same choice. The input has an
 * allocation of its size, so that AddressSanitizer sees a step past it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/behavior.h"
#include "base/memory.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct behavior list[] = {{.id = NULL}, {.id = "b1"}, {.id = "a.b"}, {.id = "x"}};
static const struct behaviors all = {.count = sizeof list / sizeof *list, .list = list};

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) % 16 : -1;
}

/* One character of a parameter, escapes resolved; returns what is left of the text. */
static const char *decode(const char *at, const char *end, char *ret)
{
    *ret = *at == '+' ? ' ' : *at;
    if (*at != '%' || end - at < 3 || digit(at[1]) < 0 || digit(at[2]) < 0)
        return at + 1;
    *ret = (char)(digit(at[1]) << 4 | digit(at[2]));
    return at + 3;
}

/* Decodes up to the end, or to a mark that stands there unescaped. */
static const char *decode_until(const char *at, const char *end, const char *marks, char *out,
                                size_t *ret_length)
{
    *ret_length = 0;
    while (at < end && !(*at && strchr(marks, *at))) {
        /* An escape does not reach past its parameter. */
        const char *stop = at;
        while (stop < end && !(*stop && strchr(marks, *stop)))
            stop++;
        at = decode(at, stop, &out[(*ret_length)++]);
    }
    return at;
}

static const struct behavior *expected(const char *at, const char *end, char *name, char *value)
{
    while (at < end) {
        size_t name_length, value_length = 0;
        at = decode_until(at, end, "&=", name, &name_length);
        if (at < end && *at == '=')
            at = decode_until(at + 1, end, "&", value, &value_length);
        if (name_length == 3 && memcmp(name, "bid", 3) == 0) {
            for (size_t i = 1; i < all.count; i++)
                if (value_length == strlen(list[i].id) &&
                    memcmp(value, list[i].id, value_length) == 0)
                    return &list[i];
            return &list[0];
        }
        at++;
    }
    return &list[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *query = xmalloc(size ? size : 1), *name = xmalloc(size + 1), *value = xmalloc(size + 1);
    memcpy(query, data, size);
    REQUIRE(behavior_choose(&all, query, size) == expected(query, query + size, name, value));
    free(query);
    free(name);
    free(value);
    return 0;
}
