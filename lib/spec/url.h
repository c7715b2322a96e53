/*
 * The URLs of services: http or https, a host, perhaps a port and a path; no user, query or
 * fragment. Pure functions on text, any thread.
 */
#ifndef DPUMESH_SPEC_URL_H
#define DPUMESH_SPEC_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "spec/field.h"

/* Views into the text that was read. */
struct url {
    bool tls;         /* https */
    const char *host; /* without the brackets of an IPv6 address */
    size_t host_length;
    unsigned port;         /* 80 or 443 when the text gives none */
    const char *authority; /* host and port as written, for the Host header */
    size_t authority_length;
    const char *path; /* "/" when the text gives none */
};

/* Whether text is such a URL; then its parts in *ret_url, which borrows from text. */
bool url_parse(const char *text, struct url *ret_url);

/* Whether it is how a cluster knows the Service called name, over HTTP: its host is NAME,
 * NAME.NAMESPACE.svc or that with the cluster's domain. */
bool url_names_service(const struct url *url, const char *name);

/* The same rule as url_parse()'s, for field tables. */
extern const struct field_pattern pattern_service_url;

#endif
