/* One page: how it is asked for, what of the answer is taken, and what became of it. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "operator/scraper_private.h"

/* Sets an option that every libcurl of Debian 12 and later knows. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (curl_easy_setopt(easy, option, value) != CURLE_OK)                                     \
            abort(); /* out of memory, as xmalloc() */                                             \
    } while (0)

/* ---- asking ---- */

struct curl_slist *scrape_headers(bool alone)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: text/plain;version=0.0.4");

    /* The agent closes first then, so that what TCP keeps of the connection for a minute is spread
     * over the agents. */
    if (headers && alone && !curl_slist_append(headers, "Connection: close"))
        abort();
    if (!headers)
        abort();
    return headers;
}

static bool is_header(const char *line, size_t length, const char *name)
{
    size_t name_length = strlen(name);
    return length >= name_length && strncasecmp(line, name, name_length) == 0;
}

static int http_status(const struct scrape_page *page)
{
    long status = 0;
    curl_easy_getinfo(page->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

/* A line of the answer's head. curl takes a head that breaks off for a whole one; the empty line at
 * its end tells. */
static size_t take_head(const char *line, size_t size, size_t count, void *context)
{
    struct scrape_page *page = context;
    size_t length = size * count;

    page->head_bytes += length;
    if (page->head_bytes > SCRAPE_HEAD_MAX) {
        page->too_large = true;
        return 0;
    }
    if (is_header(line, length, "HTTP/"))
        page->framed = false; /* what came before was an interim answer */
    if (is_header(line, length, "Content-Length:") || is_header(line, length, "Transfer-Encoding:"))
        page->framed = true;
    /* An interim answer has an empty line at its end, too. */
    page->headed = (length == 0 || *line == '\r' || *line == '\n') && http_status(page) >= 200;
    return length;
}

/* A piece of the answer's body. Returning anything but its size ends the transfer. */
static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct scrape_page *page = context;
    size_t length = size * count;

    if (http_status(page) != 200)
        return 0; /* nobody reads it */
    page->too_large = buffer_append(&page->body, data, length) < 0;
    return page->too_large ? 0 : length;
}

/* What an agent could talk us into is switched off, and what our environment could. */
static void set_limits(CURL *easy, bool alone)
{
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_FORBID_REUSE, alone ? 1L : 0L);
}

void scrape_page_init(struct scrape_page *page, size_t page_bytes, struct curl_slist *headers,
                      bool alone)
{
    CURL *easy = curl_easy_init();

    if (!easy)
        abort();
    *page = (struct scrape_page){.easy = easy, .body = BUFFER_INIT(page_bytes)};
    set_limits(easy, alone);
    SET(CURLOPT_USERAGENT, "dpumesh-operator/" DPUMESH_VERSION);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_HEADERFUNCTION, take_head);
    SET(CURLOPT_HEADERDATA, page);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, page);
    SET(CURLOPT_PRIVATE, page);
}

void scrape_page_free(struct scrape_page *page)
{
    curl_easy_cleanup(page->easy);
    buffer_free(&page->body);
}

bool scrape_page_begin(struct scrape_page *page, const struct scrape_target *target,
                       const char *query, uint64_t timeout_ns)
{
    CURL *easy = page->easy;
    unsigned char bytes[sizeof(struct in6_addr)];
    char url[SCRAPE_ADDRESS_MAX + 32 + SCRAPE_QUERY_MAX];

    if (!memchr(target->address, 0, sizeof(target->address)) || target->port == 0 ||
        target->port > 65535)
        return false;
    bool six = inet_pton(AF_INET6, target->address, bytes) == 1;
    if (!six && inet_pton(AF_INET, target->address, bytes) != 1)
        return false;
    snprintf(url, sizeof(url), six ? "http://[%s]:%u/metrics%s%s" : "http://%s:%u/metrics%s%s",
             target->address, target->port, query ? "?" : "", query ? query : "");
    SET(CURLOPT_URL, url);
    SET(CURLOPT_TIMEOUT_MS, (long)((timeout_ns + NS_PER_MS - 1) / NS_PER_MS));
    page->begun_ns = clock_monotonic_ns();
    page->head_bytes = 0;
    page->headed = page->framed = page->too_large = false;
    buffer_clear(&page->body);
    return true;
}

/* ---- judging ---- */

static enum scrape_status judge(const struct scrape_page *page, CURLcode code, int status,
                                struct agent_figures *ret_figures)
{
    if (page->too_large)
        return SCRAPE_TOO_LARGE;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return SCRAPE_TIMEOUT;
    if (page->headed && status != 200)
        return SCRAPE_HTTP_STATUS;
    if (code != CURLE_OK || !page->headed)
        return SCRAPE_UNREACHABLE;
    if (!page->framed ||
        agent_figures_read(page->body.data, page->body.length, ret_figures, NULL) < 0)
        return SCRAPE_MALFORMED;
    return SCRAPE_OK;
}

void scrape_page_end(struct scrape_page *page, CURLcode code, struct scrape_result *ret)
{
    ret->taken_ns = clock_monotonic_ns();
    ret->http_status = http_status(page);
    ret->status = judge(page, code, ret->http_status, &ret->figures);
}
