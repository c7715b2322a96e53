#include "spec/url.h"

#include <string.h>

enum { HOST_BYTES_MAX = 253, ADDRESS_BYTES_MAX = 45, PORT_DIGITS_MAX = 5 };

static const char digits[] = "0123456789";

/* The host's bytes at text, brackets included; 0: there is none. */
static size_t host_span(const char *text, struct url *url)
{
    static const char name[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-";
    bool v6 = *text == '[';
    size_t length = v6 ? strspn(text + 1, "0123456789abcdefABCDEF:.") : strspn(text, name);

    if (length == 0 || length > (v6 ? ADDRESS_BYTES_MAX : HOST_BYTES_MAX) ||
        (v6 && text[1 + length] != ']'))
        return 0;
    url->host = text + v6;
    url->host_length = length;
    return length + (v6 ? 2 : 0);
}

/* A port at text, 1 to 65535 without leading zeros; its digits, or 0. */
static size_t port_span(const char *text, unsigned *ret_port)
{
    size_t length = strspn(text, digits);
    unsigned port = 0;

    if (length == 0 || length > PORT_DIGITS_MAX || *text == '0')
        return 0;
    for (size_t i = 0; i < length; i++)
        port = port * 10 + (unsigned)(text[i] - '0');
    *ret_port = port;
    return port <= 65535 ? length : 0;
}

/* Whether the rest is nothing or a path of visible ASCII without what ends or quotes a URL. */
static bool path_valid(const char *text)
{
    if (*text == '\0')
        return true;
    if (*text != '/')
        return false;
    for (const char *c = text; *c; c++)
        if (*c <= 0x20 || *c >= 0x7f || strchr("\"#<>?", *c))
            return false;
    return true;
}

bool url_parse(const char *text, struct url *ret_url)
{
    struct url url = {.tls = strncmp(text, "https://", 8) == 0};

    if (!url.tls && strncmp(text, "http://", 7) != 0)
        return false;
    url.authority = text + (url.tls ? 8 : 7);
    url.port = url.tls ? 443 : 80;
    size_t host = host_span(url.authority, &url);
    const char *end = url.authority + host;
    if (host == 0)
        return false;
    if (*end == ':') {
        size_t port = port_span(end + 1, &url.port);
        if (port == 0)
            return false;
        end += 1 + port;
    }
    if (!path_valid(end))
        return false;
    url.authority_length = (size_t)(end - url.authority);
    url.path = *end ? end : "/";
    *ret_url = url;
    return true;
}

bool url_names_service(const struct url *url, const char *name)
{
    static const char service[] = ".svc";
    size_t length = strlen(name), mark = sizeof(service) - 1;

    if (url->tls || url->host_length < length || strncmp(url->host, name, length) != 0)
        return false;
    const char *rest = url->host + length, *end = url->host + url->host_length;
    if (rest == end)
        return true;
    if (*rest != '.')
        return false;
    const char *dot = memchr(rest + 1, '.', (size_t)(end - rest) - 1); /* behind the namespace */
    return dot && (size_t)(end - dot) >= mark && strncmp(dot, service, mark) == 0 &&
           (dot + mark == end || dot[mark] == '.');
}

static bool url_valid(const char *text)
{
    struct url url;
    return url_parse(text, &url);
}

#define PORT_EXPRESSION                                                                            \
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"

const struct field_pattern pattern_service_url = {
    .valid = url_valid,
    .expression = "^https?://([0-9a-zA-Z.-]{1,253}|[[][0-9a-fA-F:.]{1,45}[]])(:" PORT_EXPRESSION
                  ")?(/[!$-;=@-~]*)?$",
    .max = 1000,
    .says = "a URL such as http://s1:8080/api/v1, without a query",
};
