#include "ctl/load_report.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"

void load_report_header(FILE *out, const struct load_plan *plan)
{
    const char *open = strchr(plan->host, ':') ? "[" : "", *close = *open ? "]" : "";
    fprintf(out, "=== Starting Load Test with %u Concurrent Requests ===\n",
            plan->concurrency * plan->depth);
    fprintf(out, "Target: %s%s%s:%s\n", open, plan->host, close, plan->port);
    fflush(out);
}

static const char *failure_sentence(enum load_failure failure, int number)
{
    switch (failure) {
    case LOAD_TIMEOUT:
        return "no answer in time";
    case LOAD_BAD_ANSWER:
        return "not an answer";
    case LOAD_LOST:
        return "closed without an answer";
    case LOAD_DOUBLED:
        return "an answer too many";
    case LOAD_REFUSED:
    case LOAD_UNREACHABLE:
    case LOAD_RESET:
    case LOAD_FAILURES:
        break;
    }
    return strerror(number);
}

void load_report_first(void *context, unsigned client, const struct load_answer *answer,
                       uint64_t latency_ns, enum load_failure failure, int number)
{
    FILE *out = context;
    double latency_ms = (double)latency_ns / 1e6;
    flockfile(out);
    fprintf(out, "[Client %02u] ", client + 1);
    if (!answer) {
        fprintf(out, "❌ Error: %s | Latency: %.2fms\n", failure_sentence(failure, number),
                latency_ms);
    } else {
        fputs(answer->status < 400 ? "✅ Status: " : "❌ Status: ", out);
        if (answer->status)
            fprintf(out, "%d", answer->status);
        else
            fputc('-', out);
        if (answer->req_id >= 0)
            fprintf(out, " | ReqID: %" PRId64, answer->req_id);
        fprintf(out, " | Latency: %.2fms\n", latency_ms);
    }
    funlockfile(out);
}

void load_report_progress(FILE *out, uint64_t answered, uint64_t failed, double elapsed_s,
                          double rate_per_s)
{
    fprintf(out, "\r\033[K%.0f s: %" PRIu64 " answered, %" PRIu64 " failed, %.0f/s", elapsed_s,
            answered, failed, rate_per_s);
    fflush(out);
}

void load_report_progress_end(FILE *out)
{
    fputs("\r\033[K", out);
    fflush(out);
}

static void print_latency(FILE *out, const struct histogram *latency)
{
    static const struct {
        const char *name;
        double quantile;
    } rows[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};
    fputs("Latency:    ", out);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        fprintf(out, "%s%s %.2fms", i ? "  " : "", rows[i].name,
                (double)histogram_quantile(latency, rows[i].quantile) / 1e6);
    fputc('\n', out);
}

static void print_bytes(FILE *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1000;
        unit++;
    }
    fprintf(out, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static double rate_of(const struct load_stats *stats)
{
    double seconds = load_stats_seconds(stats);
    return seconds > 0 ? (double)stats->answered / seconds : 0;
}

static void print_counts(FILE *out, const char *title, bool *any)
{
    fputs(*any ? ", " : title, out);
    *any = true;
}

void load_report_text(FILE *out, const struct load_plan *plan, const struct load_stats *stats)
{
    bool any = false;
    fprintf(out, "\nRequests:   %" PRIu64 " in %.2fs, %" PRIu64 " answered, %.1f/s\n",
            stats->started, load_stats_seconds(stats), stats->answered, rate_of(stats));
    for (int i = 1; i < LOAD_STATUS_MAX; i++) {
        if (stats->status[i]) {
            print_counts(out, "Status:     ", &any);
            fprintf(out, "%d: %" PRIu64, i, stats->status[i]);
        }
    }
    if (any)
        fputc('\n', out);
    any = false;
    for (int i = 0; i < LOAD_FAILURES; i++) {
        if (stats->failures[i]) {
            print_counts(out, "Errors:     ", &any);
            fprintf(out, "%s: %" PRIu64, load_failure_name((enum load_failure)i),
                    stats->failures[i]);
        }
    }
    if (stats->warmup_failed) {
        print_counts(out, "Errors:     ", &any);
        fprintf(out, "in the warm-up: %" PRIu64, stats->warmup_failed);
    }
    fputs(any ? "\n" : "Errors:     none\n", out);
    if (stats->unfinished)
        fprintf(out, "Unfinished: %" PRIu64 " were in flight when the test was stopped\n",
                stats->unfinished);
    if (stats->unsent)
        fprintf(out,
                "Unsent:     %" PRIu64 " were due and found no free connection at %.0f/s; "
                "the target is slower, or needs more --concurrency or --depth\n",
                stats->unsent, plan->rate);
    if (stats->host_busy)
        fprintf(out,
                "Host busy:  %" PRIu64 " answers say that the agent's host was too busy to keep "
                "the model's time; do not trust the latencies\n",
                stats->host_busy);
    if (stats->answered)
        print_latency(out, stats->latency);
    fputs("Bytes:      ", out);
    print_bytes(out, stats->bytes_sent);
    fputs(" sent, ", out);
    print_bytes(out, stats->bytes_received);
    fputs(" received\n", out);
    fflush(out);
}

static json_t *count(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *microseconds(const struct histogram *latency, double quantile)
{
    return json_real((double)histogram_quantile(latency, quantile) / 1e3);
}

static json_t *latency_json(const struct histogram *latency)
{
    if (latency->count == 0)
        return json_null();
    return json_pack("{so, so, so, so, so, sf}", "p50", microseconds(latency, 0.5), "p90",
                     microseconds(latency, 0.9), "p99", microseconds(latency, 0.99), "p999",
                     microseconds(latency, 0.999), "max", microseconds(latency, 1), "mean",
                     histogram_mean(latency) / 1e3);
}

json_t *load_report_json(const struct load_plan *plan, const struct load_stats *stats)
{
    json_t *status = json_object(), *errors = json_object(), *report = json_object();
    for (int i = 1; i < LOAD_STATUS_MAX; i++) {
        char name[4];
        snprintf(name, sizeof(name), "%d", i);
        if (stats->status[i])
            json_object_set_new(status, name, count(stats->status[i]));
    }
    for (int i = 0; i < LOAD_FAILURES; i++)
        json_object_set_new(errors, load_failure_name((enum load_failure)i),
                            count(stats->failures[i]));
    json_object_set_new(report, "target", json_sprintf("%s:%s", plan->host, plan->port));
    json_object_set_new(report, "protocol", json_string(plan->http ? "http" : "tcp"));
    json_object_set_new(report, "connections", count(plan->concurrency));
    json_object_set_new(report, "depth", count(plan->depth));
    json_object_set_new(report, "keep_alive", json_boolean(plan->keep_alive));
    json_object_set_new(report, "threads", count(plan->threads));
    json_object_set_new(report, "requests", count(stats->started));
    json_object_set_new(report, "answered", count(stats->answered));
    json_object_set_new(report, "failed", count(stats->failed));
    json_object_set_new(report, "host_busy", count(stats->host_busy));
    json_object_set_new(report, "unfinished", count(stats->unfinished));
    json_object_set_new(report, "unsent", count(stats->unsent));
    json_object_set_new(report, "warmup", count(stats->warmup));
    json_object_set_new(report, "warmup_failed", count(stats->warmup_failed));
    json_object_set_new(report, "connections_made", count(stats->connections));
    json_object_set_new(report, "duration_s", json_real(load_stats_seconds(stats)));
    json_object_set_new(report, "rate_per_s", json_real(rate_of(stats)));
    json_object_set_new(report, "offered_per_s",
                        plan->rate > 0 ? json_real(plan->rate) : json_null());
    json_object_set_new(report, "status", status);
    json_object_set_new(report, "errors", errors);
    json_object_set_new(report, "latency_us", latency_json(stats->latency));
    json_object_set_new(report, "bytes_sent", count(stats->bytes_sent));
    json_object_set_new(report, "bytes_received", count(stats->bytes_received));
    return report;
}
