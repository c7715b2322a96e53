/* `dpumesh status`: is the operator well, and which DpuServices are not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/cluster/age.h"
#include "ctl/cluster/cluster.h"
#include "ctl/cluster/dig.h"
#include "ctl/cluster/operator_version.h"
#include "ctl/cluster/rollout.h"
#include "ctl/cluster/status_lines.h"
#include "ctl/cluster/trouble.h"
#include "ctl/cluster/verbs.h"
#include "ctl/table.h"
#include "ctl/terminal.h"
#include "kube/time.h"

/* A pod that does not tell its version in this time keeps it to itself. */
#define PAGE_NS (2 * NS_PER_S)

struct status {
    struct cluster_options cluster;
};

static const struct option_entry entries[] = {
    CLUSTER_ENTRIES(struct status, cluster),
    {'n', "namespace", OPTION_TO_STRING(struct status, cluster.namespace), .argument = "NAME",
     .fallback = CLUSTER_NAMESPACE, .help = "Where the operator runs."},
};

static const char *const description[] = {
    "Tells whether the CRD is there, how many of the operator's pods are ready and with which "
    "image, who leads, and how many DpuServices are ready; then a line for each condition of a "
    "DpuService that is not fine, with its reason.",
    NULL,
};

static const struct option_status statuses[] = {
    {CLUSTER_OK, "all is well"},
    {CLUSTER_FAILED, "something is not, and it was printed"},
    {CLUSTER_USAGE, "usage, or no cluster is configured"},
};

/* Prints "name  text"; returns fine. */
static bool __attribute__((format(printf, 3, 4)))
tell(const char *name, bool fine, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%-12s %s", name, fine ? "" : terminal_style(stdout, STYLE_RED));
    vprintf(format, arguments);
    printf("%s\n", fine ? "" : terminal_style(stdout, STYLE_NONE));
    va_end(arguments);
    return fine;
}

/* A call failed: the sentence, with what it was about. */
static bool tell_failure(const char *name, const struct cluster *cluster, int r,
                         const struct kube_result *result)
{
    cleanup_error struct error *err = NULL;
    cluster_error(cluster, r, result, &err);
    return tell(name, false, "%s", error_message(err));
}

static char *served_versions(const json_t *crd)
{
    struct buffer text = BUFFER_INIT(1024);
    size_t i;
    json_t *version;
    json_array_foreach(dig(crd, "spec", "versions", NULL), i, version)
    {
        if (json_is_true(json_object_get(version, "served")))
            buffer_printf(&text, "%s%s", text.length ? ", " : "", dig_text(version, "name", NULL));
    }
    return buffer_terminate(&text);
}

static bool tell_crd(const struct cluster *cluster)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    int r = kube_get(cluster->client, &cluster_crds, NULL, CLUSTER_CRD_NAME, &result);
    if (r == -ENOENT)
        return tell("crd", false, "%s is not there; \"kubectl dpumesh install\" brings it",
                    CLUSTER_CRD_NAME);
    if (r < 0)
        return tell_failure("crd", cluster, r, &result);
    cleanup_free char *versions = served_versions(result.object);
    bool established = dig_is_true(result.object, "Established");
    return tell("crd", established, "%s %s%s", CLUSTER_CRD_NAME, versions,
                established ? "" : ", and is not Established");
}

/* page_cluster: the same, with the deadline of a page. */
static bool tell_operator(const struct cluster *cluster, const struct cluster *page_cluster,
                          const char *namespace)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    int r =
        kube_get(cluster->client, &cluster_deployments, namespace, CLUSTER_OPERATOR_NAME, &result);
    if (r == -ENOENT)
        return tell("operator", false,
                    "there is none in namespace %s; \"kubectl dpumesh install\" brings it, and -n "
                    "says where else it is",
                    namespace);
    if (r < 0)
        return tell_failure("operator", cluster, r, &result);
    const json_t *deployment = result.object;
    const json_t *container =
        json_array_get(dig(deployment, "spec", "template", "spec", "containers", NULL), 0);
    bool fine = rollout_is_complete(deployment) &&
                dig_number(deployment, "status", "readyReplicas", NULL) > 0;
    json_auto_t *pods = NULL;
    cluster_list(cluster, &cluster_pods, namespace, CLUSTER_OPERATOR_SELECTOR, &pods, NULL);
    cleanup_free char *versions = operator_versions(page_cluster, pods);
    tell("operator", fine, "%lld/%lld pods ready in %s, image %s, version %s",
         dig_number(deployment, "status", "readyReplicas", NULL),
         dig_number(deployment, "spec", "replicas", NULL), namespace,
         dig_text(container, "image", NULL), versions ? versions : "?");
    if (fine)
        return true;
    json_auto_t *troubles = troubles_of_deployment(cluster, deployment, CLUSTER_OPERATOR_SELECTOR);
    size_t i;
    json_t *trouble;
    json_array_foreach(troubles, i, trouble) tell("", false, "%s", json_string_value(trouble));
    return false;
}

static bool tell_leader(const struct cluster *cluster, const char *namespace)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    char age[AGE_TEXT_MAX];
    uint64_t now_ns = kube_time_now_ns(), renewed_ns = 0;
    int r = kube_get(cluster->client, &cluster_leases, namespace, CLUSTER_OPERATOR_NAME, &result);
    if (r == -ENOENT)
        return tell("leader", false, "nobody has led yet: there is no lease %s in %s",
                    CLUSTER_OPERATOR_NAME, namespace);
    if (r < 0)
        return tell_failure("leader", cluster, r, &result);
    const char *holder = dig_text(result.object, "spec", "holderIdentity", NULL);
    const char *renewed = dig_text(result.object, "spec", "renewTime", NULL);
    long long duration_s = dig_number(result.object, "spec", "leaseDurationSeconds", NULL);
    age_since(renewed, now_ns, age);
    if (!*holder)
        return tell("leader", false, "nobody leads; the lease was given back %s ago", age);
    kube_time_parse(renewed, &renewed_ns, NULL);
    bool held = now_ns < renewed_ns + (uint64_t)duration_s * 1000000000;
    return tell("leader", held,
                held ? "%s, renewed %s ago"
                     : "%s, and its lease ran out: renewed "
                       "%s ago",
                holder, age);
}

/* Their lines go into table. */
static size_t find_troubles(const json_t *services, struct table *table)
{
    uint64_t now_ns = kube_time_now_ns();
    struct status_line lines[STATUS_LINES_MAX];
    size_t i, well = 0;
    json_t *service;
    json_array_foreach(services, i, service)
    {
        size_t count = status_lines(service, lines);
        well += count == 0;
        for (size_t j = 0; j < count; j++) {
            char age[AGE_TEXT_MAX];
            table_cell(table, "%s", dig_text(service, "metadata", "namespace", NULL));
            table_cell(table, "%s", dig_text(service, "metadata", "name", NULL));
            table_cell(table, "%s", lines[j].condition);
            table_cell(table, "%s", lines[j].reason);
            table_cell(table, "%s", age_since(lines[j].since, now_ns, age));
            table_cell(table, "%s", lines[j].message);
        }
    }
    return well;
}

static bool tell_services(const struct cluster *cluster, bool has_crd)
{
    static const char *const titles[] = {"NAMESPACE", "NAME",   "CONDITION",
                                         "REASON",    ">SINCE", "MESSAGE"};
    cleanup_error struct error *err = NULL;
    cleanup_table struct table table = TABLE_INIT;
    json_auto_t *services = NULL;
    if (!has_crd)
        return false;
    if (cluster_list(cluster, &cluster_dpuservices, NULL, NULL, &services, &err) < 0)
        return tell("dpuservices", false, "%s", error_message(err));
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        table_column(&table, titles[i]);
    size_t count = json_array_size(services), well = find_troubles(services, &table);
    bool fine = tell("dpuservices", well == count, "%zu of %zu are well", well, count);
    if (!fine) {
        putchar('\n');
        table_print(&table, stdout);
    }
    return fine;
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct status given;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    cleanup_cluster struct cluster cluster = CLUSTER_INIT, page_cluster = CLUSTER_INIT;
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    int r = options_parse(command, argc, argv, &given, &options, &err);
    if (r != 0)
        return options_exit(command, r, err);
    if (cluster_open(&given.cluster, 0, &cluster, &err) < 0 ||
        cluster_open(&given.cluster, PAGE_NS, &page_cluster, &err) < 0)
        return complain(CLUSTER_USAGE, "%s", error_message(err));
    /* One sentence, not five, when nobody is there. */
    r = kube_request(cluster.client, "GET", "/version", NULL, NULL, NULL, &result);
    if (r < 0 && result.status == 0)
        return cluster_complain(&cluster, r, &result);
    tell("cluster", true, "%s, Kubernetes %s", cluster.config->server,
         r == 0 ? dig_text(result.object, "gitVersion", NULL) : "?");
    bool has_crd = tell_crd(&cluster);
    bool fine = tell_operator(&cluster, &page_cluster, given.cluster.namespace);
    fine = tell_leader(&cluster, given.cluster.namespace) && fine;
    fine = tell_services(&cluster, has_crd) && fine;
    return fine ? CLUSTER_OK : CLUSTER_FAILED;
}

const struct option_command verb_status = {
    .name = "status",
    .parent = "dpumesh",
    .summary = "tell whether the operator is well, and which DpuServices are not",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_STATUSES(statuses),
    .run = run,
};
