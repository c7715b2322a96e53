#include "operator/settings.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "doc/document.h"

static const struct option_entry entries[] = {
    {'c', "config", OPTION_TO_STRING(struct operator_settings, config), .argument = "FILE",
     .help = "Read settings from this YAML or JSON file first: the names of these flags without "
             "the dashes. Flags win over it."},
    {0, "kubeconfig", OPTION_TO_STRING(struct operator_settings, kubeconfig), .argument = "FILE",
     .help = "How to reach the API server. Default: $KUBECONFIG, ~/.kube/config, or in a pod its "
             "service account."},
    {0, "context", OPTION_TO_STRING(struct operator_settings, context), .argument = "NAME",
     .help = "The kubeconfig's context to use."},
    {'n', "namespace", OPTION_TO_LIST(struct operator_settings, namespaces), .argument = "NAME",
     .help = "Look after this namespace only. Default: all."},
    {'l', "selector", OPTION_TO_STRING(struct operator_settings, selector), .argument = "SELECTOR",
     .help = "Look after DpuServices with these labels only, such as team=a. Default: all."},
    {0, "workers", OPTION_TO_UNSIGNED(struct operator_settings, workers), .argument = "N",
     .fallback = "8", .min = 1, .max = 256, .help = "DpuServices worked on at once."},
    {0, "resync", OPTION_TO_DURATION(struct operator_settings, resync_ns), .argument = "TIME",
     .fallback = "10h", .help = "Look at every DpuService again after this long; 0 never does."},
    {0, "no-leader-election", OPTION_TO_FLAG(struct operator_settings, no_leader_election),
     .help = "Do not ask who leads: only one operator may run then."},
    {0, "lease-namespace", OPTION_TO_STRING(struct operator_settings, lease_namespace),
     .argument = "NAME",
     .help = "Where the lease is. Default: the namespace of the pod or of the context."},
    {0, "lease-name", OPTION_TO_STRING(struct operator_settings, lease_name), .argument = "NAME",
     .fallback = "dpumesh-operator", .help = "The lease's name."},
    {0, "identity", OPTION_TO_STRING(struct operator_settings, identity), .argument = "NAME",
     .help = "Who we are in the lease. Default: the host's name and a random number."},
    {0, "lease-duration", OPTION_TO_DURATION(struct operator_settings, lease_duration_ns),
     .argument = "TIME", .fallback = "15s", .min = NS_PER_S, .max = 3600 * NS_PER_S,
     .help = "Others take over when the leader has not renewed for this long."},
    {0, "lease-renew-deadline",
     OPTION_TO_DURATION(struct operator_settings, lease_renew_deadline_ns), .argument = "TIME",
     .fallback = "10s", .min = NS_PER_MS, .max = 3600 * NS_PER_S,
     .help = "A leader that could not renew for this long stops writing; less than the duration. A "
             "write takes at most the difference."},
    {0, "lease-retry", OPTION_TO_DURATION(struct operator_settings, lease_retry_ns),
     .argument = "TIME", .fallback = "2s", .min = NS_PER_MS, .max = 3600 * NS_PER_S,
     .help = "How long between two looks at the lease."},
    {0, "qps", OPTION_TO_DOUBLE(struct operator_settings, qps), .argument = "N", .fallback = "0",
     .low = 0, .high = 100000,
     .help = "Requests a second to the API server over time; 0 leaves it to the server's own "
             "priority and fairness."},
    {0, "burst", OPTION_TO_UNSIGNED(struct operator_settings, burst), .argument = "N",
     .fallback = "0", .max = 100000,
     .help = "Requests that may be sent at once beyond that; 0 is twice the rate."},
    {0, "request-timeout", OPTION_TO_DURATION(struct operator_settings, request_timeout_ns),
     .argument = "TIME", .fallback = "0s", .max = 3600 * NS_PER_S,
     .help = "Longest a request may take. 0 is the lease's duration less its renew deadline, so "
             "that no write outlives the lease; with a lease it can't be longer."},
    {0, "watch-timeout", OPTION_TO_DURATION(struct operator_settings, watch_timeout_ns),
     .argument = "TIME", .fallback = "0s", .max = 24 * 3600 * NS_PER_S,
     .help = "How long a watch lasts before it is made anew; 0 draws five to ten minutes."},
    {0, "watch-idle", OPTION_TO_DURATION(struct operator_settings, watch_idle_ns),
     .argument = "TIME", .fallback = "3m", .min = NS_PER_S, .max = 24 * 3600 * NS_PER_S,
     .help = "A watch on which nothing came for this long, bookmarks included, is dead."},
    {0, "backoff-first", OPTION_TO_DURATION(struct operator_settings, backoff_first_ns),
     .argument = "TIME", .fallback = "20ms", .min = NS_PER_MS, .max = 3600 * NS_PER_S,
     .help = "Pause after the first failure of a DpuService; it doubles."},
    {0, "backoff-most", OPTION_TO_DURATION(struct operator_settings, backoff_most_ns),
     .argument = "TIME", .fallback = "2m", .min = NS_PER_MS, .max = 24 * 3600 * NS_PER_S,
     .help = "The longest such pause."},
    {0, "autoscale-interval", OPTION_TO_DURATION(struct operator_settings, autoscale_interval_ns),
     .argument = "TIME", .fallback = "5s", .min = 100 * NS_PER_MS, .max = 3600 * NS_PER_S,
     .help = "How often the agents of a DpuService with autoscaling.engine builtin are asked, and "
             "its number of replicas is decided."},
    {0, "scrape-timeout", OPTION_TO_DURATION(struct operator_settings, scrape_timeout_ns),
     .argument = "TIME", .fallback = "2s", .min = 10 * NS_PER_MS, .max = 600 * NS_PER_S,
     .help = "An agent whose metrics did not come in so long counts as unknown."},
    {0, "scrape-connections", OPTION_TO_UNSIGNED(struct operator_settings, scrape_connections),
     .argument = "N", .fallback = "16", .min = 1, .max = 256, .help = "Agents asked at once."},
    {0, "metrics-address", OPTION_TO_STRING(struct operator_settings, metrics_address),
     .argument = "ADDRESS", .fallback = ":9090",
     .help = "Where /metrics, /config and the health pages are, as 127.0.0.1:9090."},
    {0, "health-address", OPTION_TO_STRING(struct operator_settings, health_address),
     .argument = "ADDRESS",
     .help = "Where /healthz and /readyz are as well, for probes. Default: only there."},
    {0, "log-level", OPTION_TO_CHOICE(struct operator_settings, log_level), .argument = "LEVEL",
     .fallback = "info", .choices = log_level_names,
     .help = "The least important lines that are written."},
    {0, "log-format", OPTION_TO_CHOICE(struct operator_settings, log_format), .argument = "FORMAT",
     .fallback = "logfmt", .choices = log_format_names,
     .help = "key=value lines, or a JSON object a line."},
    {0, "paged-lists", OPTION_TO_FLAG(struct operator_settings, paged_lists),
     .help = "List in pages also where the server can stream lists."},
    {0, "http2", OPTION_TO_FLAG(struct operator_settings, http2),
     .help = "Speak HTTP/2 where the server has it. Default: HTTP/1.1, which costs both sides less "
             "with one request a connection at a time."},
};

static const char *const description[] = {
    "Watches DpuServices (dpumesh.io) and makes the cluster so: for each a ConfigMap, a Service "
    "and a "
    "Deployment of agents, and where asked a HorizontalPodAutoscaler and a PodDisruptionBudget. "
    "Its "
    "status tells how far that is.",
    "Several operators may run: one leads, the others wait with warm caches.", NULL};

static const struct option_example examples[] = {
    {"dpumesh-operator --kubeconfig ~/.kube/config --namespace shop",
     "looks after one namespace from outside of the cluster"},
    {"dpumesh-operator --config /etc/dpumesh-operator/operator.yaml",
     "as its Deployment starts it"},
};

static const struct option_status statuses[] = {
    {0, "ended after SIGTERM or SIGINT, the lease given back"},
    {1, "it came to lead and could not start its workers"},
    {2, "could not begin: usage, a bad file, no API server is configured, an address is taken"},
};

static const struct option_command command = {
    .name = "dpumesh-operator",
    .summary = "make a Kubernetes cluster so as DpuServices say",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
};

/* ---- the file ---- */

static bool is_setting(const char *name)
{
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        if (strcmp(entries[i].name, name) == 0)
            return strcmp(name, "config") != 0;
    return false;
}

static void refuse_name(const struct place *place, const char *name, struct problems *problems)
{
    struct text_nearest search = TEXT_NEAREST_INIT(name);
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        text_nearest_offer(&search, entries[i].name);
    place_problem(place, problems,
                  search.best ? "unknown setting; did you mean %s?" : "unknown setting%s",
                  search.best ? search.best : "; dpumesh-operator --help lists them");
}

static void add_argument(struct operator_settings *settings, char *text)
{
    settings->made = xreallocarray(settings->made, settings->made_count + 1, sizeof(char *));
    settings->made[settings->made_count++] = text;
}

/* One value becomes --name=value; true becomes --name, false nothing. */
static void add_value(struct operator_settings *settings, const char *name, json_t *value,
                      const struct place *place, struct problems *problems)
{
    if (json_is_true(value)) {
        add_argument(settings, xasprintf("--%s", name));
    } else if (json_is_string(value)) {
        add_argument(settings, xasprintf("--%s=%s", name, json_string_value(value)));
    } else if (json_is_number(value)) {
        cleanup_free char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        add_argument(settings, xasprintf("--%s=%s", name, text));
    } else if (!json_is_false(value) && !json_is_null(value)) {
        place_problem(place, problems, "give a text, a number, true, false, or a list of texts");
    }
}

static void add_setting(struct operator_settings *settings, const char *name, json_t *value,
                        const struct place *place, struct problems *problems)
{
    size_t i;
    json_t *item;
    if (!json_is_array(value)) {
        add_value(settings, name, value, place, problems);
        return;
    }
    json_array_foreach(value, i, item)
    {
        struct place at = PLACE_INDEX(place, i);
        add_value(settings, name, item, &at, problems);
    }
}

/* Turns the file into arguments, but for what argv gives itself. */
static void read_file(const char *path, const struct options *given,
                      struct operator_settings *settings, struct problems *problems)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    if (documents_load(path, &documents, problems) < 0)
        return;
    for (size_t i = 0; i < documents.count; i++) {
        struct source source = document_source(&documents.items[i], NULL);
        struct place root = PLACE_ROOT(&source);
        const char *name;
        json_t *value;
        json_object_foreach(documents.items[i].root, name, value)
        {
            struct place place = PLACE_KEY(&root, name);
            if (!is_setting(name))
                refuse_name(&place, name, problems);
            else if (!options_given(given, name))
                add_setting(settings, name, value, &place, problems);
        }
    }
}

/* ---- all of it ---- */

static int check_namespaces(const struct option_list *namespaces, struct error **err)
{
    for (size_t i = 0; i < namespaces->count; i++) {
        const char *name = namespaces->items[i];
        size_t length = strlen(name);
        if (length == 0 || length > 63 ||
            strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != length || name[0] == '-' ||
            name[length - 1] == '-')
            return error_make(err, EINVAL,
                              "--namespace: \"%s\" is not a namespace (lower-case letters, digits "
                              "and -, at most 63); without the option it is all of them",
                              name);
        for (size_t k = 0; k < i; k++)
            if (strcmp(namespaces->items[k], name) == 0)
                return error_make(err, EINVAL, "--namespace: %s is named twice; once will do",
                                  name);
    }
    return 0;
}

static int check(const struct operator_settings *s, struct error **err)
{
    int bad = check_namespaces(&s->namespaces, err);
    if (bad < 0 || s->no_leader_election)
        return bad;
    if (s->lease_renew_deadline_ns >= s->lease_duration_ns)
        return error_make(
            err, EINVAL,
            "--lease-renew-deadline must be less than --lease-duration: a leader stops "
            "writing before others may begin");
    /* As kube_lease_start() will ask. */
    if (s->lease_retry_ns >= s->lease_renew_deadline_ns / 12 * 10)
        return error_make(err, EINVAL,
                          "--lease-renew-deadline must be more than 1.2 times --lease-retry: a "
                          "leader tries more than once");
    if (s->request_timeout_ns > s->lease_duration_ns - s->lease_renew_deadline_ns)
        return error_make(err, EINVAL,
                          "--request-timeout is longer than --lease-duration less "
                          "--lease-renew-deadline; a write could outlive the lease");
    return 0;
}

/* Parses the file's arguments and then argv's, which win. */
static int parse_both(int argc, char **argv, struct operator_settings *settings,
                      struct options *options, struct error **err)
{
    char **all = xcalloc((size_t)argc + settings->made_count + 1, sizeof(char *));
    all[0] = argv[0];
    memcpy(all + 1, settings->made, settings->made_count * sizeof(char *));
    memcpy(all + 1 + settings->made_count, argv + 1, (size_t)(argc - 1) * sizeof(char *));
    struct operator_settings kept = *settings;
    int ret =
        options_parse(&command, argc + (int)settings->made_count, all, settings, options, err);
    settings->made = kept.made;
    settings->made_count = kept.made_count;
    free(all);
    return ret;
}

int operator_settings_read(int argc, char **argv, struct operator_settings *ret_settings,
                           int *ret_status)
{
    cleanup_options struct options first = OPTIONS_INIT, second = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    *ret_settings = (struct operator_settings){.config = NULL};
    int ret = options_parse(&command, argc, argv, ret_settings, &first, &err);
    if (ret == 0 && ret_settings->config) {
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        option_list_free(&ret_settings->namespaces);
        read_file(ret_settings->config, &first, ret_settings, &problems);
        if (problems.count) {
            problems_print(&problems, stderr, "dpumesh-operator: ");
            operator_settings_free(ret_settings);
            *ret_status = 2;
            return -EINVAL;
        }
        ret = parse_both(argc, argv, ret_settings, &second, &err);
    }
    if (ret == 0)
        ret = check(ret_settings, &err);
    if (ret == 0)
        return 0;
    *ret_status = options_exit(&command, ret, err);
    operator_settings_free(ret_settings);
    return -EINVAL;
}

void operator_settings_free(struct operator_settings *settings)
{
    option_list_free(&settings->namespaces);
    for (size_t i = 0; i < settings->made_count; i++)
        free(settings->made[i]);
    free(settings->made);
    settings->made = NULL;
    settings->made_count = 0;
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *duration(uint64_t ns)
{
    char text[DURATION_TEXT_MAX];
    return json_string(duration_format(ns, text));
}

int operator_settings_print(const struct operator_settings *s, struct buffer *out)
{
    json_auto_t *all = json_object();
    json_t *namespaces = json_array();
    for (size_t i = 0; i < s->namespaces.count; i++)
        json_array_append_new(namespaces, json_string(s->namespaces.items[i]));
    json_object_set_new(all, "namespace", namespaces);
    json_object_set_new(all, "selector", text_or_null(s->selector));
    json_object_set_new(all, "workers", json_integer(s->workers));
    json_object_set_new(all, "resync", duration(s->resync_ns));
    json_object_set_new(all, "no-leader-election", json_boolean(s->no_leader_election));
    json_object_set_new(all, "lease-namespace", text_or_null(s->lease_namespace));
    json_object_set_new(all, "lease-name", text_or_null(s->lease_name));
    json_object_set_new(all, "identity", text_or_null(s->identity));
    json_object_set_new(all, "lease-duration", duration(s->lease_duration_ns));
    json_object_set_new(all, "lease-renew-deadline", duration(s->lease_renew_deadline_ns));
    json_object_set_new(all, "lease-retry", duration(s->lease_retry_ns));
    json_object_set_new(all, "qps", json_real(s->qps));
    json_object_set_new(all, "burst", json_integer(s->burst));
    json_object_set_new(all, "request-timeout", duration(s->request_timeout_ns));
    json_object_set_new(all, "watch-timeout", duration(s->watch_timeout_ns));
    json_object_set_new(all, "watch-idle", duration(s->watch_idle_ns));
    json_object_set_new(all, "backoff-first", duration(s->backoff_first_ns));
    json_object_set_new(all, "backoff-most", duration(s->backoff_most_ns));
    json_object_set_new(all, "log-level", json_string(log_level_names[s->log_level]));
    json_object_set_new(all, "log-format", json_string(log_format_names[s->log_format]));
    json_object_set_new(all, "autoscale-interval", duration(s->autoscale_interval_ns));
    json_object_set_new(all, "scrape-timeout", duration(s->scrape_timeout_ns));
    json_object_set_new(all, "scrape-connections", json_integer(s->scrape_connections));
    json_object_set_new(all, "metrics-address", text_or_null(s->metrics_address));
    json_object_set_new(all, "health-address", text_or_null(s->health_address));
    json_object_set_new(all, "paged-lists", json_boolean(s->paged_lists));
    json_object_set_new(all, "http2", json_boolean(s->http2));
    cleanup_free char *text = json_dumps(all, JSON_INDENT(2));
    int full = buffer_puts(out, text ? text : "{}");
    return full < 0 ? full : buffer_puts(out, "\n");
}
