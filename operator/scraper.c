#include "operator/scraper.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "operator/scraper_private.h"

enum { CONNECTIONS_DEFAULT = 16, TIMEOUT_DEFAULT_S = 2, PAGE_BYTES_DEFAULT = 1 << 20 };

/* How long a run may sleep without looking at its clock; a word of scraper_cancel() wakes it. */
enum { LOOK_MS = 1000 };

struct scraper {
    unsigned connections;
    uint64_t timeout_ns;
    const char *query;
    size_t page_bytes;
    struct metric *counts[SCRAPE_STATUSES]; /* NULL: not counted */
    struct metric *durations;
    atomic_bool canceled;
    pthread_mutex_t lock; /* guards that multi is there, for scraper_cancel() */
    CURLM *multi;         /* with the connections that are kept; NULL before the first run */
};

/* One call of scraper_run(). */
struct run {
    struct scraper *scraper;
    const struct scrape_target *targets;
    size_t count, next; /* next: the first that was not asked yet */
    uint64_t deadline_ns;
    struct scrape_result *results;
    struct curl_slist *headers;
    struct scrape_page *pages;
    size_t page_count, active;
};

const char *scrape_status_name(enum scrape_status status)
{
    static const char *const names[SCRAPE_STATUSES] = {
        "ok", "unreachable", "timeout", "http_status", "too_large", "malformed", "unasked"};
    return names[status];
}

/* ---- making ---- */

static void declare_metrics(struct scraper *scraper, struct metrics *metrics)
{
    static const double bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                    0.1,    0.25,  0.5,    1,     2.5,  5};
    static const struct metric_spec count = {.name = "dpumesh_operator_scrapes_total",
                                             .help = "Pages of agents asked for, by result.",
                                             .kind = METRIC_COUNTER,
                                             .labels = {"result"}};
    static const struct metric_spec duration = {
        .name = "dpumesh_operator_scrape_duration_seconds",
        .help = "How long an agent's page took, or until it was given up.",
        .kind = METRIC_HISTOGRAM,
        .buckets = bounds,
        .bucket_count = sizeof(bounds) / sizeof(bounds[0])};
    struct metric_family *family = metrics_family(metrics, &count);

    for (enum scrape_status i = 0; i < SCRAPE_STATUSES; i++)
        scraper->counts[i] = metric_series(family, (const char *[]){scrape_status_name(i)});
    scraper->durations = metric_series(metrics_family(metrics, &duration), NULL);
}

struct scraper *scraper_new(const struct scraper_options *options)
{
    static const struct scraper_options none = {.connections = 0};
    struct scraper *scraper = xcalloc(1, sizeof(*scraper));

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort(); /* out of memory, as xmalloc() */
    if (!options)
        options = &none;
    scraper->connections = options->connections ? options->connections : CONNECTIONS_DEFAULT;
    if (scraper->connections > SCRAPE_CONNECTIONS_MAX)
        scraper->connections = SCRAPE_CONNECTIONS_MAX;
    scraper->query = options->query;
    scraper->timeout_ns = options->timeout_ns ? options->timeout_ns : TIMEOUT_DEFAULT_S * NS_PER_S;
    scraper->page_bytes = options->page_bytes ? options->page_bytes : PAGE_BYTES_DEFAULT;
    pthread_mutex_init(&scraper->lock, NULL);
    if (options->metrics)
        declare_metrics(scraper, options->metrics);
    return scraper;
}

void scraper_free(struct scraper *scraper)
{
    if (!scraper)
        return;
    curl_multi_cleanup(scraper->multi);
    pthread_mutex_destroy(&scraper->lock);
    free(scraper);
    curl_global_cleanup();
}

void scraper_cancel(struct scraper *scraper)
{
    atomic_store(&scraper->canceled, true);
    pthread_mutex_lock(&scraper->lock);
    if (scraper->multi)
        curl_multi_wakeup(scraper->multi);
    pthread_mutex_unlock(&scraper->lock);
}

/* ---- running ---- */

static void make_multi(struct scraper *scraper)
{
    if (scraper->multi)
        return; /* this thread alone sets it */
    CURLM *multi = curl_multi_init();
    if (!multi)
        abort();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)scraper->connections);
    /* An idle connection makes way for a new one. */
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)scraper->connections);
    pthread_mutex_lock(&scraper->lock);
    scraper->multi = multi;
    pthread_mutex_unlock(&scraper->lock);
}

static void count_result(const struct scraper *scraper, enum scrape_status status)
{
    if (scraper->durations)
        metric_add(scraper->counts[status], 1);
}

static void begin_run(struct run *run)
{
    const struct scraper *scraper = run->scraper;
    bool alone = run->count > scraper->connections;

    run->headers = scrape_headers(alone);
    run->page_count = alone ? scraper->connections : run->count;
    run->pages = xcalloc(run->page_count, sizeof(*run->pages));
    for (size_t i = 0; i < run->page_count; i++)
        scrape_page_init(&run->pages[i], scraper->page_bytes, run->headers, alone);
}

static void end_run(struct run *run)
{
    for (size_t i = 0; i < run->page_count; i++) {
        curl_multi_remove_handle(run->scraper->multi, run->pages[i].easy);
        scrape_page_free(&run->pages[i]);
    }
    free(run->pages);
    curl_slist_free_all(run->headers);
}

/* How long a page that begins now may take; 0: the run is over. */
static uint64_t time_left_ns(const struct run *run)
{
    uint64_t now_ns = clock_monotonic_ns(), most_ns = run->scraper->timeout_ns;

    if (atomic_load(&run->scraper->canceled))
        return 0;
    if (run->deadline_ns == 0)
        return most_ns;
    /* Less than curl's clock can tell is nothing. */
    if (run->deadline_ns < now_ns + NS_PER_MS)
        return 0;
    uint64_t left_ns = run->deadline_ns - now_ns;
    return left_ns < most_ns ? left_ns : most_ns;
}

/* Lets page ask the next target whose address is one. */
static void ask_next(struct run *run, struct scrape_page *page)
{
    uint64_t left_ns;

    while (run->next < run->count && (left_ns = time_left_ns(run)) > 0) {
        page->index = run->next++;
        if (scrape_page_begin(page, &run->targets[page->index], run->scraper->query, left_ns) &&
            curl_multi_add_handle(run->scraper->multi, page->easy) == CURLM_OK) {
            run->active++;
            return;
        }
        run->results[page->index].status = SCRAPE_UNREACHABLE;
        run->results[page->index].taken_ns = clock_monotonic_ns();
    }
}

static void finish(struct run *run, CURL *easy, CURLcode code)
{
    const struct scraper *scraper = run->scraper;
    struct scrape_page *page = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&page);
    struct scrape_result *result = &run->results[page->index];
    scrape_page_end(page, code, result);
    if (scraper->durations)
        metric_observe(scraper->durations,
                       (double)(result->taken_ns - page->begun_ns) / (double)NS_PER_S);
    curl_multi_remove_handle(scraper->multi, easy);
    run->active--;
    ask_next(run, page);
}

static void transfer(struct run *run)
{
    CURLM *multi = run->scraper->multi;
    int running, left;

    for (size_t i = 0; i < run->page_count; i++)
        ask_next(run, &run->pages[i]);
    while (run->active > 0 && !atomic_load(&run->scraper->canceled)) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return; /* curl is broken: nothing is known of the rest */
        bool moved = false;
        for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));) {
            finish(run, message->easy_handle, message->data.result);
            moved = true;
        }
        if (!moved)
            curl_multi_poll(multi, NULL, 0, LOOK_MS, NULL);
    }
}

int scraper_run(struct scraper *scraper, const struct scrape_target *targets, size_t count,
                uint64_t deadline_ns, struct scrape_result *results)
{
    struct run run = {.scraper = scraper,
                      .targets = targets,
                      .count = count,
                      .deadline_ns = deadline_ns,
                      .results = results};

    for (size_t i = 0; i < count; i++) {
        results[i] = (struct scrape_result){.status = SCRAPE_UNASKED};
        agent_figures_clear(&results[i].figures);
    }
    if (time_left_ns(&run) > 0 && count > 0) {
        make_multi(scraper);
        begin_run(&run);
        transfer(&run);
        end_run(&run);
    }
    for (size_t i = 0; i < count; i++)
        count_result(scraper, results[i].status);
    return atomic_load(&scraper->canceled) ? -ECANCELED : 0;
}
