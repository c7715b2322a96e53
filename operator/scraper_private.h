/*
 * What the files of the scraper share; private to it.
 */
#ifndef DPUMESH_OPERATOR_SCRAPER_PRIVATE_H
#define DPUMESH_OPERATOR_SCRAPER_PRIVATE_H

#include <curl/curl.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "operator/scraper.h"

enum { SCRAPE_HEAD_MAX = 16 << 10 }; /* bytes of an answer's head, interim ones counted */

/* One page at a time, over and over: a handle of curl and what it reads. */
struct scrape_page {
    CURL *easy;
    size_t index; /* of the target */
    uint64_t begun_ns;
    size_t head_bytes;
    bool headed; /* the head came to its end */
    bool framed; /* the head tells where the body ends */
    bool too_large;
    struct buffer body;
};

/* scraper_page.c: sets up page for a run; headers: as long as the handle. alone: each connection is
 * closed after its page. */
void scrape_page_init(struct scrape_page *page, size_t page_bytes, struct curl_slist *headers,
                      bool alone);
void scrape_page_free(struct scrape_page *page);

/* Makes page ready to ask a target, for timeout_ns at most. query: as in struct scraper_options.
 * false: its address is not one. */
bool scrape_page_begin(struct scrape_page *page, const struct scrape_target *target,
                       const char *query, uint64_t timeout_ns);

/* Fills in the result of the transfer that ended with code. */
void scrape_page_end(struct scrape_page *page, CURLcode code, struct scrape_result *ret);

/* The header lines that go with each request; free with curl_slist_free_all(). */
struct curl_slist *scrape_headers(bool alone);

#endif
