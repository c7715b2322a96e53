#include "ctl/local/admin_page.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"
#include "ctl/local/report.h"
#include "ctl/local/supervisor.h"
#include "obs/server.h"

struct service_numbers {
    atomic_uint desired, ready, restarts;
};

struct admin_page {
    struct metrics *metrics;
    struct server *server;
    struct answer_route route;
    struct answer_hooks hooks;
    atomic_bool running; /* all replicas have been ready */
    size_t service_count;
    struct service_numbers *services;
    pthread_mutex_t lock; /* targets */
    char *targets;
};

static double read_number(void *context)
{
    return atomic_load_explicit((atomic_uint *)context, memory_order_relaxed);
}

static void declare(struct admin_page *page, const struct supervisor *up)
{
    static const struct metric_spec replicas = {.name = "dpumesh_local_replicas",
                                                .help = "Replicas that shall run.",
                                                .kind = METRIC_GAUGE,
                                                .labels = {"service"}};
    static const struct metric_spec ready = {.name = "dpumesh_local_replicas_ready",
                                             .help = "Replicas that run and are ready.",
                                             .kind = METRIC_GAUGE,
                                             .labels = {"service"}};
    static const struct metric_spec restarts = {
        .name = "dpumesh_local_restarts_total",
        .help = "Processes started again after their predecessor died.",
        .kind = METRIC_COUNTER,
        .labels = {"service"}};
    struct metric_family *families[] = {metrics_family(page->metrics, &replicas),
                                        metrics_family(page->metrics, &ready),
                                        metrics_family(page->metrics, &restarts)};
    for (size_t i = 0; i < up->service_count; i++) {
        const char *const labels[] = {up->services[i].plan->name};
        struct service_numbers *numbers = &page->services[i];
        metric_callback(metric_series(families[0], labels), read_number, &numbers->desired);
        metric_callback(metric_series(families[1], labels), read_number, &numbers->ready);
        metric_callback(metric_series(families[2], labels), read_number, &numbers->restarts);
    }
    metrics_declare_process(page->metrics, "dpumesh");
}

static int write_targets(void *context, struct buffer *body)
{
    struct admin_page *page = context;
    pthread_mutex_lock(&page->lock);
    int r = buffer_puts(body, page->targets ? page->targets : "[]");
    pthread_mutex_unlock(&page->lock);
    return r;
}

static bool is_ready(void *context, struct buffer *reason)
{
    struct admin_page *page = context;
    bool running = atomic_load(&page->running);
    if (!running)
        buffer_puts(reason, "not all replicas are ready");
    return running;
}

int admin_page_new(const char *address, const struct supervisor *up, struct admin_page **ret_page,
                   struct error **err)
{
    struct admin_page *page = xcalloc(1, sizeof(*page));
    pthread_mutex_init(&page->lock, NULL);
    page->metrics = metrics_new();
    page->service_count = up->service_count;
    page->services = xcalloc(up->service_count + 1, sizeof(*page->services));
    declare(page, up);
    page->route = (struct answer_route){"/targets", "application/json", write_targets, page};
    page->hooks = (struct answer_hooks){.metrics = page->metrics,
                                        .ready = is_ready,
                                        .context = page,
                                        .routes = &page->route,
                                        .route_count = 1};
    struct server_options options = SERVER_OPTIONS_DEFAULT;
    options.address = address;
    int r = server_start(&options, &page->hooks, &page->server, err);
    if (r < 0) {
        admin_page_free(page);
        return error_prefix(err, r, "--metrics");
    }
    *ret_page = page;
    return 0;
}

void admin_page_update(struct admin_page *page, const struct supervisor *up)
{
    for (size_t i = 0; i < page->service_count; i++) {
        const struct local_service *service = &up->services[i];
        atomic_store(&page->services[i].desired, service->desired);
        atomic_store(&page->services[i].ready, supervisor_ready(service));
        atomic_store(&page->services[i].restarts, supervisor_restarts(service));
    }
    atomic_store(&page->running, up->phase == PHASE_RUNNING);

    json_auto_t *application = report_application(up);
    json_auto_t *targets = report_targets(application);
    char *text = json_dumps(targets, JSON_INDENT(2));
    pthread_mutex_lock(&page->lock);
    char *old = page->targets;
    page->targets = text;
    pthread_mutex_unlock(&page->lock);
    free(old);
}

const char *admin_page_address(const struct admin_page *page)
{
    return server_address(page->server);
}

void admin_page_free(struct admin_page *page)
{
    if (!page)
        return;
    server_stop(page->server);
    metrics_free(page->metrics);
    pthread_mutex_destroy(&page->lock);
    free(page->targets);
    free(page->services);
    free(page);
}
