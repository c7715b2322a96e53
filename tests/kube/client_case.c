#include "client_case.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kube/config.h"

atomic_uint fake_credential_renewed;
atomic_uint fake_credential_fails;
atomic_uint fake_certificate_number;

const struct kube_resource client_case_maps = {"", "v1", "configmaps", "ConfigMap", true};
const struct kube_resource client_case_deployments = {"apps", "v1", "deployments", "Deployment",
                                                      true};
const struct kube_resource client_case_nodes = {"", "v1", "nodes", "Node", false};

int kube_credential(const struct kube_config *config, bool stale, struct buffer *ret,
                    struct error **err)
{
    static const char *const words[] = {"one", "two", "three", "four"};

    if (stale && ++fake_credential_renewed == fake_credential_fails)
        return error_make(err, EIO, "%s: the plugin failed", config->source);
    buffer_clear(ret);
    buffer_printf(ret, "Bearer %s", words[fake_credential_renewed % 4]);
    return 0;
}

void kube_credential_wipe(struct buffer *secret)
{
    if (secret->data)
        explicit_bzero(secret->data, secret->capacity);
    buffer_free(secret);
}

unsigned kube_credential_certificate(const struct kube_config *config, const char **ret_cert_pem,
                                     const char **ret_key_pem)
{
    (void)config;
    *ret_cert_pem = NULL;
    *ret_key_pem = NULL;
    return fake_certificate_number;
}

void client_case_start(struct client_case *test, fake_answer *answer, void *context)
{
    cleanup_error struct error *err = NULL;

    test->server = fake_server_start(answer, context);
    test->config.server = xstrdup(fake_server_url(test->server));
    if (!answer) {
        fake_server_stop(test->server);
        test->server = NULL;
    }
    test->config.namespace = xstrdup("default");
    test->config.source = xstrdup("the test");
    test->options.user_agent = "test/1";
    if (kube_client_new(&test->config, &test->options, &test->client, &err) < 0) {
        fprintf(stderr, "%s\n", error_message(err));
        abort();
    }
}

void client_case_stop(struct client_case *test)
{
    kube_client_free(test->client);
    if (test->server)
        fake_server_stop(test->server);
    free(test->config.server);
    free(test->config.namespace);
    free(test->config.source);
}

bool client_case_sent(struct client_case *test, size_t index, const char *text)
{
    cleanup_free char *request = fake_server_request(test->server, index);
    return request && strstr(request, text);
}

void client_case_wait(const struct client_case *test, size_t requests, const size_t *seen,
                      size_t count)
{
    for (unsigned i = 0; i < 30000; i++) {
        if (fake_server_requests(test->server) >= requests &&
            (!seen || __atomic_load_n(seen, __ATOMIC_ACQUIRE) >= count))
            return;
        usleep(1000);
    }
}

double client_case_since_ms(uint64_t begun_ns)
{
    return (double)(clock_monotonic_ns() - begun_ns) / (double)NS_PER_MS;
}
