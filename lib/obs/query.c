/* Which families a page's query asks for: name[]=FAMILY, as often as there are families. */
#include <string.h>

#include "obs/registry.h"

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Whether the text, in which %XX stands for a byte, reads as want. */
static bool reads_as(const char *text, size_t length, const char *want)
{
    const char *end = text + length;
    for (; text < end && *want; want++) {
        char c = *text++;
        if (c == '%' && end - text >= 2 && hex_value(text[0]) >= 0 && hex_value(text[1]) >= 0) {
            c = (char)(hex_value(text[0]) * 16 + hex_value(text[1]));
            text += 2;
        }
        if (c != *want)
            return false;
    }
    return text == end && *want == '\0';
}

bool metrics_query_asks(const char *query, const char *family)
{
    bool names_some = false;
    for (size_t length; *query && *query != '#'; query += length + (query[length] == '&')) {
        length = strcspn(query, "&#");
        size_t key = strcspn(query, "=&#");
        if (!reads_as(query, key, "name[]"))
            continue;
        names_some = true;
        if (key < length && reads_as(query + key + 1, length - key - 1, family))
            return true;
    }
    return !names_some;
}
