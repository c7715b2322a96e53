/*
 * Reads the /metrics pages of many agents, a few at a time, and what they say of each.
 *
 *     struct scraper *scraper = scraper_new(&options);
 *     scraper_run(scraper, targets, count, deadline_ns, results);     every so often
 *     ...results[i] is of targets[i]...
 *     scraper_free(scraper);
 *
 * An agent may be slow, silent, hostile or gone: each page has a deadline as a whole, caps on what
 * it may send, and one of a few words as its result. At most options.connections are open at any
 * time. With no more targets than that the connections stay open between runs; with more each is
 * closed after its page, since it would make way for another anyway before its turn came again.
 *
 * Threads: one thread at a time in scraper_run(), attached to options.metrics
 * (metrics_thread_attach()); scraper_cancel() may be called from any. Between runs little is kept:
 * curl's handles live during a run only, and are first made in the first one. Never logs.
 */
#ifndef DPUMESH_OPERATOR_SCRAPER_H
#define DPUMESH_OPERATOR_SCRAPER_H

#include <stddef.h>
#include <stdint.h>

#include "figures/figures.h"
#include "obs/metric.h"

enum { SCRAPE_ADDRESS_MAX = 64, SCRAPE_CONNECTIONS_MAX = 256, SCRAPE_QUERY_MAX = 512 };

struct scrape_target {
    char address[SCRAPE_ADDRESS_MAX]; /* IPv4 or IPv6 in numbers, without brackets */
    unsigned port;                    /* 1 to 65535 */
    void *context;                    /* the caller's; not looked at */
};

enum scrape_status {
    SCRAPE_OK,
    SCRAPE_UNREACHABLE, /* no connection, no HTTP, or it broke off; not an address in numbers */
    SCRAPE_TIMEOUT,     /* not all of the page came in time */
    SCRAPE_HTTP_STATUS, /* the answer's status is not 200; a redirection is not followed */
    SCRAPE_TOO_LARGE,   /* head or page past its cap */
    SCRAPE_MALFORMED,   /* the page is not in the text format, or does not tell where it ends */
    SCRAPE_UNASKED,     /* the run's deadline came, or it was canceled, before its turn */
    SCRAPE_STATUSES
};

struct scrape_result {
    enum scrape_status status;
    int http_status;   /* of the answer; 0: none came */
    uint64_t taken_ns; /* monotonic, when the page's end came or it was given up; 0: unasked */
    struct agent_figures figures; /* all unknown but for SCRAPE_OK */
};

struct scraper_options {
    unsigned connections; /* pages at once; 0: 16; at most SCRAPE_CONNECTIONS_MAX */
    uint64_t timeout_ns;  /* for each page as a whole, from connecting on; 0: 2 s */
    size_t page_bytes;    /* cap on a page; 0: 1 MiB */
    const char *query; /* of the page's URL, at most SCRAPE_QUERY_MAX bytes, static; NULL: none */
    struct metrics *metrics; /* borrowed; or NULL: not counted */
};

struct scraper;

/* Makes a scraper; owned by the caller. options: copied; NULL: all defaults. Declares
 * dpumesh_operator_scrapes_total{result} and dpumesh_operator_scrape_duration_seconds. Never NULL.
 */
struct scraper *scraper_new(const struct scraper_options *options);

/* Frees it; no run may be under way. NULL is fine. */
void scraper_free(struct scraper *scraper);

/*
 * Asks count targets, in their order, and fills results[i] for each, whatever comes of it. Returns
 * when all are done: after count / connections * timeout_ns at worst, but no later than the
 * monotonic instant deadline_ns (0: none), when pages that are under way become SCRAPE_TIMEOUT and
 * the rest SCRAPE_UNASKED. 0; or -ECANCELED after scraper_cancel(), with the results so far and the
 * rest SCRAPE_UNASKED.
 */
int scraper_run(struct scraper *scraper, const struct scrape_target *targets, size_t count,
                uint64_t deadline_ns, struct scrape_result *results);

/* Ends a run that is under way, at once, and every later one: for the end of the program. */
void scraper_cancel(struct scraper *scraper);

/* "ok", "unreachable", "timeout", "http_status", "too_large", "malformed", "unasked"; static. */
const char *scrape_status_name(enum scrape_status status);

#endif
