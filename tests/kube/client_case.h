/*
 * What the client's tests begin with: a server with scripted answers, and a client of it. Stands in
 * for lib/kube's credentials too, which read files and run plugins: hands out "Bearer one", and
 * after the server refused that, "Bearer two", and so on. Before lib/kube on the link line.
 */
#ifndef DPUMESH_TESTS_KUBE_CLIENT_CASE_H
#define DPUMESH_TESTS_KUBE_CLIENT_CASE_H

#include <stdatomic.h>

#include "fake_server.h"
#include "kube/client.h"

/* How often a stale one was renewed; which renewal fails with -EIO (0: none). */
extern atomic_uint fake_credential_renewed;
extern atomic_uint fake_credential_fails;

/* The number of the client certificate. */
extern atomic_uint fake_certificate_number;

extern const struct kube_resource client_case_maps; /* ConfigMaps */
extern const struct kube_resource client_case_deployments;
extern const struct kube_resource client_case_nodes;

/* The fields belong to the case; set options before client_case_start(). */
struct client_case {
    struct kube_client_options options;
    struct kube_config config;
    struct fake_server *server;
    struct kube_client *client;
};

/* answer NULL: a server that takes no connection. */
void client_case_start(struct client_case *test, fake_answer *answer, void *context);
void client_case_stop(struct client_case *test);

/* Whether the request has this text in it. */
bool client_case_sent(struct client_case *test, size_t index, const char *text);

/*
 * Waits until the server has had so many requests and, unless seen is NULL, another thread has
 * counted so many in *seen with an atomic. Gives up after half a minute: what is asserted later
 * tells.
 */
void client_case_wait(const struct client_case *test, size_t requests, const size_t *seen,
                      size_t count);

/* Milliseconds since an instant of clock_monotonic_ns(). */
double client_case_since_ms(uint64_t begun_ns);

#endif
