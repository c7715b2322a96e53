/*
 * The operator's settings: flags, and a file of the same names (a deployment's ConfigMap), over
 * which flags win.
 *
 *     # operator.yaml
 *     workers: 8
 *     namespace: [shop, bank]
 *     lease-duration: 30s
 */
#ifndef DPUMESH_OPERATOR_SETTINGS_H
#define DPUMESH_OPERATOR_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/option.h"

struct operator_settings {
    const char *config;
    const char *kubeconfig, *context;
    struct option_list namespaces;
    const char *selector;
    unsigned workers;
    uint64_t resync_ns;
    bool no_leader_election;
    const char *lease_namespace, *lease_name, *identity;
    uint64_t lease_duration_ns, lease_renew_deadline_ns, lease_retry_ns;
    double qps;
    unsigned burst;
    uint64_t request_timeout_ns, watch_timeout_ns, watch_idle_ns;
    uint64_t backoff_first_ns, backoff_most_ns;
    unsigned log_level, log_format;
    uint64_t autoscale_interval_ns, scrape_timeout_ns;
    unsigned scrape_connections;
    const char *metrics_address, *health_address;
    bool paged_lists, http2;
    char **made; /* private: what the file's values became */
    size_t made_count;
};

/*
 * Reads argv and the file that --config names. 0: go on; else *ret_status is the exit status: after
 * --help and the like 0, after a mistake 2, and it was told.
 */
int operator_settings_read(int argc, char **argv, struct operator_settings *ret_settings,
                           int *ret_status);

/* Frees what was made. */
void operator_settings_free(struct operator_settings *settings);

/* Prints the settings in force as JSON, for /config. 0 or -ENOBUFS. */
int operator_settings_print(const struct operator_settings *settings, struct buffer *out);

#endif
