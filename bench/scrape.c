/*
 * scrape: what it costs to read agents' pages, all at once, again and again.
 *
 *     scrape --first 127.77.0.1 --count 500 --port 8080 --runs 10           the operator's scraper
 *     scrape --plain ...                                                    its control
 *     scrape --parse FILE --runs 10000                                      a page, without the
 * network
 *
 * The control is curl's multi interface in the plainest loop there is: as many transfers at once,
 * what comes is counted and thrown away. Prints one JSON object: pages, failed, seconds,
 * cpu_us_per_page (of this process), peak_kib.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/option.h"
#include "operator/scraper.h"

struct options_of_scrape {
    unsigned count, port, connections, runs;
    const char *first, *parse;
    bool plain;
};

/* What came of it. */
struct tally {
    uint64_t pages, failed, bytes;
};

static char *address_of(const struct options_of_scrape *options, unsigned index)
{
    struct in_addr address;
    char text[INET_ADDRSTRLEN];

    if (inet_pton(AF_INET, options->first, &address) != 1) {
        fprintf(stderr, "scrape: %s is not an address\n", options->first);
        exit(2);
    }
    address.s_addr = htonl(ntohl(address.s_addr) + index);
    return xstrdup(inet_ntop(AF_INET, &address, text, sizeof(text)));
}

/* ---- the operator's ---- */

static void scrape(const struct options_of_scrape *options, struct tally *tally)
{
    struct scraper_options how = {.connections = options->connections};
    struct scraper *scraper = scraper_new(&how);
    struct scrape_target *targets = xcalloc(options->count, sizeof(*targets));
    struct scrape_result *results = xcalloc(options->count, sizeof(*results));

    for (unsigned i = 0; i < options->count; i++) {
        cleanup_free char *address = address_of(options, i);
        snprintf(targets[i].address, sizeof(targets[i].address), "%s", address);
        targets[i].port = options->port;
    }
    for (unsigned run = 0; run < options->runs; run++) {
        scraper_run(scraper, targets, options->count, 0, results);
        for (unsigned i = 0; i < options->count; i++)
            tally->failed += results[i].status != SCRAPE_OK;
        tally->pages += options->count;
    }
    free(targets);
    free(results);
    scraper_free(scraper);
}

/* ---- its control ---- */

static size_t throw_away(const char *data, size_t size, size_t count, void *context)
{
    (void)data;
    ((struct tally *)context)->bytes += size * count;
    return size * count;
}

static void ask(CURLM *multi, CURL *easy, char *const *urls, unsigned index)
{
    curl_easy_setopt(easy, CURLOPT_URL, urls[index]);
    curl_multi_add_handle(multi, easy);
}

static void run_plain(CURLM *multi, CURL **easies, const struct options_of_scrape *options,
                      char *const *urls, struct tally *tally)
{
    unsigned next = 0;
    int active = 0, left;

    while (next < options->count && next < options->connections)
        ask(multi, easies[next], urls, next), next++;
    do {
        curl_multi_perform(multi, &active);
        for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));) {
            CURL *easy = message->easy_handle;
            tally->pages++;
            tally->failed += message->data.result != CURLE_OK;
            curl_multi_remove_handle(multi, easy);
            if (next < options->count) {
                ask(multi, easy, urls, next++);
                active++;
            }
        }
        if (active > 0)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    } while (active > 0);
}

static void scrape_plainly(const struct options_of_scrape *options, struct tally *tally)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    CURL **easies = xcalloc(options->connections, sizeof(CURL *));
    char **urls = xcalloc(options->count, sizeof(char *));

    for (unsigned i = 0; i < options->count; i++) {
        cleanup_free char *address = address_of(options, i);
        urls[i] = xasprintf("http://%s:%u/metrics", address, options->port);
    }
    for (unsigned i = 0; i < options->connections; i++) {
        easies[i] = curl_easy_init();
        curl_easy_setopt(easies[i], CURLOPT_PROXY, "");
        curl_easy_setopt(easies[i], CURLOPT_WRITEFUNCTION, throw_away);
        curl_easy_setopt(easies[i], CURLOPT_WRITEDATA, tally);
    }
    for (unsigned run = 0; run < options->runs; run++)
        run_plain(multi, easies, options, urls, tally);
    for (unsigned i = 0; i < options->connections; i++)
        curl_easy_cleanup(easies[i]);
    for (unsigned i = 0; i < options->count; i++)
        free(urls[i]);
    free(easies);
    free(urls);
    curl_multi_cleanup(multi);
    curl_global_cleanup();
}

/* ---- a page alone ---- */

static void parse(const struct options_of_scrape *options, struct tally *tally)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(64 << 20);
    cleanup_error struct error *err = NULL;
    struct agent_figures figures;

    if (file_read(options->parse, &text, &err) < 0) {
        fprintf(stderr, "scrape: %s\n", error_message(err));
        exit(2);
    }
    for (unsigned run = 0; run < options->runs; run++) {
        tally->failed += agent_figures_read(text.data, text.length, &figures, NULL) < 0;
        tally->pages++;
        tally->bytes += text.length;
    }
}

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static const struct option_entry entries[] = {
    {'n', "count", OPTION_TO_UNSIGNED(struct options_of_scrape, count), .argument = "N",
     .fallback = "500", .min = 1, .max = 10000, .help = "Agents."},
    {0, "first", OPTION_TO_STRING(struct options_of_scrape, first), .argument = "ADDRESS",
     .fallback = "127.77.0.1", .help = "The first agent's; each next has the next."},
    {'p', "port", OPTION_TO_UNSIGNED(struct options_of_scrape, port), .argument = "PORT",
     .fallback = "8080", .min = 1, .max = 65535, .help = "Where each listens."},
    {'c', "connections", OPTION_TO_UNSIGNED(struct options_of_scrape, connections), .argument = "N",
     .fallback = "16", .min = 1, .max = SCRAPE_CONNECTIONS_MAX, .help = "Pages at once."},
    {'r', "runs", OPTION_TO_UNSIGNED(struct options_of_scrape, runs), .argument = "N",
     .fallback = "10", .min = 1, .max = 10000000, .help = "How often all of them are asked."},
    {0, "plain", OPTION_TO_FLAG(struct options_of_scrape, plain),
     .help = "The control instead of the operator's scraper."},
    {0, "parse", OPTION_TO_STRING(struct options_of_scrape, parse), .argument = "FILE",
     .help = "Read this page, and ask nobody."},
};

static const struct option_command command = {
    .name = "scrape", .summary = "read agents' pages, and tell the cost", OPTION_ENTRIES(entries)};

int main(int argc, char **argv)
{
    struct options_of_scrape options = {.count = 0};
    cleanup_options struct options parsed = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    struct tally tally = {.pages = 0};
    struct rusage usage;

    int ret = options_parse(&command, argc, argv, &options, &parsed, &err);
    if (ret != 0)
        return options_exit(&command, ret, err);
    uint64_t begun_ns = clock_monotonic_ns(), begun_cpu_ns = cpu_ns();
    if (options.parse)
        parse(&options, &tally);
    else if (options.plain)
        scrape_plainly(&options, &tally);
    else
        scrape(&options, &tally);
    double seconds = (double)(clock_monotonic_ns() - begun_ns) / (double)NS_PER_S;
    double cpu_us = (double)(cpu_ns() - begun_cpu_ns) / (double)NS_PER_US;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"pages\": %llu, \"failed\": %llu, \"seconds\": %.6f, \"cpu_us_per_page\": %.3f, "
           "\"peak_kib\": %ld}\n",
           (unsigned long long)tally.pages, (unsigned long long)tally.failed, seconds,
           cpu_us / (double)tally.pages, usage.ru_maxrss);
    return 0;
}
