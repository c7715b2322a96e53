#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "ctl/load_plan.h"

static const char target_form[] =
    "give tcp://HOST:5005 (the bridge) or http://HOST:8080/path (HTTP)";

/* Splits "host:port", "host", "[v6]:port" or "[v6]"; *host points into text. */
static int split_host(const char *text, size_t length, const char *target, const char **host,
                      size_t *host_length, char port[6], struct error **err)
{
    const char *end = text + length, *colon;
    if (length && *text == '[') {
        const char *bracket = memchr(text, ']', length);
        if (!bracket || (bracket + 1 < end && bracket[1] != ':'))
            return error_make(err, EINVAL, "target \"%s\": an IPv6 host is written [::1]:5005",
                              target);
        *host = text + 1;
        *host_length = (size_t)(bracket - *host);
        colon = bracket + 1 < end ? bracket + 1 : NULL;
    } else {
        colon = memchr(text, ':', length);
        *host = text;
        *host_length = colon ? (size_t)(colon - text) : length;
        if (colon && memchr(colon + 1, ':', (size_t)(end - colon - 1)))
            return error_make(err, EINVAL, "target \"%s\": an IPv6 host is written [::1]:5005",
                              target);
    }
    if (*host_length == 0)
        return error_make(err, EINVAL, "target \"%s\" names no host; %s", target, target_form);
    if (colon) {
        cleanup_free char *digits = xstrndup(colon + 1, (size_t)(end - colon - 1));
        cleanup_error struct error *why = NULL;
        uint64_t number;
        if (text_parse_unsigned(digits, 1, 65535, &number, &why) < 0)
            return error_make(err, EINVAL, "target \"%s\": port %s", target, error_message(why));
        snprintf(port, 6, "%u", (unsigned)number);
    }
    return 0;
}

int load_target_parse(const char *text, struct load_target *ret, struct error **err)
{
    struct load_target target = {0};
    const char *rest, *host = NULL;
    size_t host_length = 0;

    if (strncmp(text, "tcp://", 6) == 0) {
        rest = text + 6;
        snprintf(target.port, sizeof(target.port), "5005");
    } else if (strncmp(text, "http://", 7) == 0) {
        rest = text + 7;
        target.http = true;
        snprintf(target.port, sizeof(target.port), "8080");
    } else if (strncmp(text, "https://", 8) == 0) {
        return error_make(err, EINVAL, "target \"%s\": TLS is not supported; %s", text,
                          target_form);
    } else {
        return error_make(err, EINVAL, "target \"%s\" has no scheme; %s", text, target_form);
    }
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 127)
            return error_make(
                err, EINVAL, "target \"%s\" holds a space or a control character; write it as %%20",
                text);
    size_t authority = strcspn(rest, "/?#");
    if (memchr(rest, '@', authority))
        return error_make(err, EINVAL, "target \"%s\": a user name is not supported; %s", text,
                          target_form);
    int r = split_host(rest, authority, text, &host, &host_length, target.port, err);
    if (r < 0)
        return r;
    if (host) /* always, but the analyzer can't know that an error is negative */
        target.host = xstrndup(host, host_length);
    rest += authority;
    size_t path = strcspn(rest, "?#");
    if (path)
        target.path = xstrndup(rest, path);
    rest += path;
    if (*rest == '?')
        target.query = xstrndup(rest + 1, strcspn(rest + 1, "#"));
    *ret = target;
    return 0;
}

void load_target_free(struct load_target *target)
{
    free(target->host);
    free(target->path);
    free(target->query);
    memset(target, 0, sizeof(*target));
}

/* Whether a connection to the address is made within timeout_ns. 0 or a negative errno. */
static int try_address(const struct addrinfo *info, uint64_t timeout_ns)
{
    cleanup_close int fd =
        socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);
    if (fd < 0)
        return -errno;
    if (connect(fd, info->ai_addr, info->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int n = poll(&ready, 1, (int)(timeout_ns / NS_PER_MS) + 1), number = ETIMEDOUT;
    socklen_t size = sizeof(number);
    if (n > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0)
        number = errno;
    return -number;
}

int load_target_resolve(const struct load_target *target, uint64_t timeout_ns,
                        struct sockaddr_storage *ret_address, socklen_t *ret_length,
                        struct error **err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int r = getaddrinfo(target->host, target->port, &hints, &list);
    if (r != 0)
        return error_make(err, EHOSTUNREACH, "can't find the host \"%s\": %s; check its spelling",
                          target->host, r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
    const struct addrinfo *chosen = list;
    if (list->ai_next) {
        for (r = -EHOSTUNREACH; chosen && r < 0; chosen = r < 0 ? chosen->ai_next : chosen)
            r = try_address(chosen, timeout_ns < 3 * NS_PER_S ? timeout_ns : 3 * NS_PER_S);
        if (r < 0) {
            freeaddrinfo(list);
            return error_make(err, EHOSTUNREACH, "can't reach %s port %s: %s; is it running?",
                              target->host, target->port, strerror(-r));
        }
    }
    memcpy(ret_address, chosen->ai_addr, chosen->ai_addrlen);
    *ret_length = chosen->ai_addrlen;
    freeaddrinfo(list);
    return 0;
}
