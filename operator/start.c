/* Starting: the clients, the controller, the pages and the lease, and what their threads call. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "kube/config.h"
#include "operator/autoscaler.h"
#include "operator/program.h"

/* Events that may wait, some 300 bytes each: a burst's wait until its children are made. */
enum { EVENTS_MAX = 4000 };

/* ---- what happens goes to the log ---- */

static void failed(void *context, const char *what, const char *key, const char *message)
{
    (void)context;
    if (key)
        log_warn("reconcile failed", LOG_STR("dpuservice", key), LOG_STR("why", message));
    else
        log_warn("watch failed", LOG_STR("resource", what), LOG_STR("why", message));
}

static void lease_failed(void *context, const char *message)
{
    (void)context;
    log_warn("lease not renewed", LOG_STR("why", message));
}

static void event_failed(void *context, const char *message)
{
    (void)context;
    log_warn("event not sent", LOG_STR("why", message));
}

/* Such as an apiVersion that a later Kubernetes will not have. */
static void warned(void *context, const char *what, const char *text)
{
    (void)context;
    log_warn("the API server warns", LOG_STR("request", what), LOG_STR("warning", text));
}

/* ---- leading ---- */

static int enqueue(void *context, const struct kube_object *object)
{
    struct kube_queue *queue = context;
    cleanup_free char *key = xasprintf("%s/%s", object->namespace, object->name);
    kube_queue_add(queue, key, KUBE_LANE_LOW);
    return 0;
}

static void begin_work(struct program *p)
{
    cleanup_error struct error *err = NULL;
    struct kube_controller *controller = p->controller;
    if (!p->working) {
        if (kube_controller_work(controller, &err) < 0) {
            log_error("can't work", LOG_STR("why", error_message(err)));
            p->broken = true;
            kill(getpid(), SIGTERM); /* somebody else may be able to */
        }
        p->working = true;
        return;
    }
    /* Again: what was dropped while we did not lead is looked at now. */
    kube_store_each(kube_controller_store(controller, SOURCE_DPUSERVICES), -1, NULL, enqueue,
                    kube_controller_queue(controller));
}

static void leading_changed(void *context, bool leading)
{
    struct program *p = context;
    pthread_mutex_lock(&p->gate);
    pthread_mutex_unlock(&p->gate);
    atomic_store(&p->operator.standby, !leading);
    if (leading) {
        log_info("leading", LOG_STR("identity", p->identity));
        begin_work(p);
    } else {
        /* Nothing to wait for: every write asks whether we lead, and none takes longer than the
         * lease outlives our leading. */
        log_info("not leading any more", LOG_STR("identity", p->identity));
    }
}

static bool may_write(void *context)
{
    const struct program *p = context;
    return operator_may_write(&p->operator);
}

static bool is_busy(void *context)
{
    const struct program *p = context;
    return operator_busy(p->controller);
}

/* ---- pages ---- */

static bool page_ready(void *context, struct buffer *reason)
{
    const struct program *p = context;
    if (kube_controller_synced(p->controller))
        return true;
    buffer_puts(reason, "the caches are not complete yet");
    return false;
}

static int page_config(void *context, struct buffer *body)
{
    const struct program *p = context;
    return operator_settings_print(&p->settings, body);
}

static int serve(const struct program *p, const char *address, struct server **ret_server,
                 struct error **err)
{
    struct answer_hooks hooks = {.metrics = p->metrics,
                                 .ready = page_ready,
                                 .config = page_config,
                                 .context = (void *)(uintptr_t)p};
    static struct answer_hooks kept[2];
    struct server_options options = SERVER_OPTIONS_DEFAULT;
    struct answer_hooks *place = &kept[ret_server == &p->server ? 0 : 1];
    *place = hooks;
    options.address = address;
    return server_start(&options, place, ret_server, err);
}

/* ---- starting ---- */

static char *make_identity(void)
{
    char host[256] = "unknown";
    uint32_t number = 0;
    gethostname(host, sizeof host - 1);
    if (getrandom(&number, sizeof number, 0) < 0)
        number = (uint32_t)clock_monotonic_ns();
    return xasprintf("%s_%08x", host, number);
}

static void declare_metrics(struct program *p)
{
    struct metric_spec applied = {.name = "dpumesh_operator_applied_total",
                                  .help = "Children applied, by kind.",
                                  .kind = METRIC_COUNTER,
                                  .labels = {"kind"}};
    struct metric_spec statuses = {.name = "dpumesh_operator_status_writes_total",
                                   .help = "Statuses written.",
                                   .kind = METRIC_COUNTER};
    struct metric_family *family = metrics_family(p->metrics, &applied);
    for (unsigned i = 0; i < CHILD_KINDS; i++)
        p->operator.applied[i] =
            metric_series(family, (const char *[]){p->sources[SOURCE_CHILDREN + i].resource->kind});
    p->operator.statuses = metric_series(metrics_family(p->metrics, &statuses), NULL);
    metrics_declare_process(p->metrics, "operator");
}

static struct kube_lease_options lease_options(struct program *p)
{
    const struct operator_settings *s = &p->settings;
    return (struct kube_lease_options){.namespace = s->lease_namespace ? s->lease_namespace
                                                                       : p->config->namespace,
                                       .name = s->lease_name,
                                       .identity = p->identity,
                                       .duration_ns = s->lease_duration_ns,
                                       .renew_deadline_ns = s->lease_renew_deadline_ns,
                                       .retry_ns = s->lease_retry_ns,
                                       .changed = leading_changed,
                                       .failed = lease_failed,
                                       .context = p,
                                       .metrics = p->metrics};
}

static int make_clients(struct program *p, struct error **err)
{
    const struct operator_settings *s = &p->settings;
    struct kube_config_options where = {.kubeconfig = s->kubeconfig, .context = s->context};
    int ret = kube_config_load(&where, &p->config, err);
    if (ret < 0)
        return ret;
    /* 0: the client's own. */
    uint64_t spare_ns =
        s->no_leader_election ? 0 : s->lease_duration_ns - s->lease_renew_deadline_ns;
    struct kube_client_options options = {
        .user_agent = "dpumesh-operator/" DPUMESH_VERSION,
        .qps = s->qps,
        .burst = s->burst,
        .http1 = !s->http2,
        .timeout_ns = s->request_timeout_ns ? s->request_timeout_ns : spare_ns,
        .metrics = p->metrics,
        .warning = warned};
    ret = kube_client_new(p->config, &options, &p->operator.client, err);
    if (ret < 0)
        return ret;
    /* The lease has a client of its own: neither limits nor crowds get in its way. */
    struct kube_lease_options lease = lease_options(p);
    options.qps = 0;
    options.timeout_ns = kube_lease_timeout_ns(&lease);
    return kube_client_new(p->config, &options, &p->lease_client, err);
}

static void list_namespaces(struct program *p)
{
    size_t count = p->settings.namespaces.count;
    if (count == 0)
        return;
    p->namespaces = xcalloc(count + 1, sizeof *p->namespaces);
    memcpy(p->namespaces, p->settings.namespaces.items, count * sizeof *p->namespaces);
}

static int make_controller(struct program *p, struct error **err)
{
    const struct operator_settings *s = &p->settings;
    list_namespaces(p);
    struct kube_controller_options options = {.name = "dpuservice",
                                              .sources = p->sources,
                                              .source_count = OPERATOR_SOURCES,
                                              .namespaces = p->namespaces,
                                              .reconcile = operator_reconcile,
                                              .failed = failed,
                                              .context = &p->operator,
                                              .workers = s->workers,
                                              .resync_ns = s->resync_ns,
                                              .watch_ns = s->watch_timeout_ns,
                                              .idle_ns = s->watch_idle_ns,
                                              .backoff_first_ns = s->backoff_first_ns,
                                              .backoff_most_ns = s->backoff_most_ns,
                                              .paged_only = s->paged_lists,
                                              .metrics = p->metrics};
    int ret = kube_controller_new(p->operator.client, &options, &p->controller, err);
    return ret < 0 ? ret : kube_controller_watch(p->controller, err);
}

static int make_events(struct program *p, struct error **err)
{
    struct kube_event_options options = {.controller = "dpumesh.io/operator",
                                         .instance = p->identity,
                                         .allowed = may_write,
                                         .failed = event_failed,
                                         .busy = is_busy,
                                         .queue_max = EVENTS_MAX,
                                         .context = p,
                                         .metrics = p->metrics};
    return kube_events_start(p->operator.client, &options, &p->operator.events, err);
}

static int make_autoscaler(struct program *p, struct error **err)
{
    struct autoscaler_options options = {.operator= & p->operator,
                                         .controller = p->controller,
                                         .metrics = p->metrics,
                                         .interval_ns = p->settings.autoscale_interval_ns,
                                         .page_timeout_ns = p->settings.scrape_timeout_ns,
                                         .connections = p->settings.scrape_connections};
    return autoscaler_start(&options, &p->operator.autoscaler, err);
}

static int make_lease(struct program *p, struct error **err)
{
    if (p->settings.no_leader_election)
        return 0;
    struct kube_lease_options options = lease_options(p);
    return kube_lease_start(p->lease_client, &options, &p->operator.lease, err);
}

int program_start(struct program *p, struct error **err)
{
    const struct operator_settings *s = &p->settings;
    memory_trim(); /* of thirty libraries that were just loaded */
    p->identity = s->identity ? xstrdup(s->identity) : make_identity();
    p->metrics = metrics_new();
    p->operator.written = written_new();
    p->operator.callers = callers_new();
    operator_sources(s->selector, p->sources);
    declare_metrics(p);
    int ret = make_clients(p, err);
    if (ret == 0)
        ret = make_controller(p, err);
    if (ret == 0)
        ret = serve(p, s->metrics_address, &p->server, err);
    if (ret == 0 && s->health_address)
        ret = serve(p, s->health_address, &p->health_server, err);
    if (ret == 0)
        ret = make_events(p, err);
    if (ret == 0)
        ret = make_lease(p, err);
    /* After the lease, without which it would think that it leads; nobody works yet, because who
     * comes to lead waits at the gate. */
    if (ret == 0)
        ret = make_autoscaler(p, err);
    if (ret == 0 && s->no_leader_election)
        begin_work(p);
    if (ret == 0)
        log_info("started", LOG_STR("version", DPUMESH_VERSION),
                 LOG_STR("cluster", p->config->server), LOG_STR("as", p->config->source),
                 LOG_STR("pages", server_address(p->server)), LOG_STR("identity", p->identity));
    return ret;
}
