#include "ctl/load_stats.h"

#include "base/memory.h"

const char *load_failure_name(enum load_failure failure)
{
    static const char *const names[LOAD_FAILURES] = {
        [LOAD_REFUSED] = "refused", [LOAD_UNREACHABLE] = "unreachable", [LOAD_RESET] = "reset",
        [LOAD_TIMEOUT] = "timeout", [LOAD_BAD_ANSWER] = "bad_answer",   [LOAD_LOST] = "lost",
        [LOAD_DOUBLED] = "doubled",
    };
    return names[failure];
}

struct load_stats *load_stats_new(void)
{
    struct load_stats *stats = xcalloc(1, sizeof(*stats));
    stats->first_ns = UINT64_MAX;
    stats->latency = histogram_new();
    return stats;
}

void load_stats_free(struct load_stats *stats)
{
    if (!stats)
        return;
    histogram_free(stats->latency);
    free(stats);
}

void load_stats_merge(struct load_stats *into, const struct load_stats *from)
{
    into->started += from->started;
    into->answered += from->answered;
    into->failed += from->failed;
    into->host_busy += from->host_busy;
    into->unfinished += from->unfinished;
    into->unsent += from->unsent;
    into->warmup += from->warmup;
    into->warmup_failed += from->warmup_failed;
    for (int i = 0; i < LOAD_FAILURES; i++)
        into->failures[i] += from->failures[i];
    for (int i = 0; i < LOAD_STATUS_MAX; i++)
        into->status[i] += from->status[i];
    into->connections += from->connections;
    into->bytes_sent += from->bytes_sent;
    into->bytes_received += from->bytes_received;
    if (from->first_ns < into->first_ns)
        into->first_ns = from->first_ns;
    if (from->last_ns > into->last_ns)
        into->last_ns = from->last_ns;
    if (from->connect_errno)
        into->connect_errno = from->connect_errno;
    histogram_merge(into->latency, from->latency);
}

uint64_t load_stats_bad(const struct load_stats *stats)
{
    uint64_t bad = stats->failed + stats->failures[LOAD_DOUBLED] + stats->warmup_failed;
    for (int i = 400; i < LOAD_STATUS_MAX; i++)
        bad += stats->status[i];
    return bad;
}

double load_stats_seconds(const struct load_stats *stats)
{
    if (stats->first_ns >= stats->last_ns)
        return 0;
    return (double)(stats->last_ns - stats->first_ns) / 1e9;
}
