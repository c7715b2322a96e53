/*
 * The metric registry. Families are declared once from a table; a series is a family with label
 * values. The hot path costs a few adds to memory that only the calling thread writes: every
 * attached thread has a block of cells, and a scrape sums the blocks. No lock, no atomic
 * read-modify-write, no shared cache line on the hot path.
 *
 *     struct metrics *m = metrics_new();
 *     static const struct metric_spec spec = {.name = "dpumesh_requests_total",
 *                                             .help = "Requests answered.",
 *                                             .kind = METRIC_COUNTER,
 *                                             .labels = {"protocol"}};
 *     struct metric_family *family = metrics_family(m, &spec);
 *     struct metric *tcp = metric_series(family, (const char *[]){"tcp"});
 *     metrics_thread_attach(m);          once in each thread that counts
 *     metric_add(tcp, 1);                hot path
 *
 * Threads: metrics_family() and metric_series() take the registry's lock and may be called from any
 * thread at any time, but are meant for start-up and for first sights of a label; keep the pointer,
 * which stays valid until metrics_free(). metric_add() and metric_observe() may be called by
 * attached threads only (they do nothing in a thread that is not attached).
 */
#ifndef DPUMESH_OBS_METRIC_H
#define DPUMESH_OBS_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
    METRIC_LABELS_MAX = 8,    /* labels a family */
    METRIC_BUCKETS_MAX = 32,  /* histogram bounds a family, +Inf not counted */
    METRIC_VALUE_MAX = 256,   /* bytes of a label value; the rest is cut off */
    METRIC_CELLS_MAX = 65536, /* a registry: 1 a counter or gauge, 2 a summary, n + 2 a histogram */
};

enum metric_kind {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM,
    METRIC_SUMMARY /* _sum and _count, no quantiles, as prometheus_client's Summary */
};

struct metric_spec {
    const char *name; /* with its unit, and _total for a counter */
    const char *help; /* one sentence */
    enum metric_kind kind;
    const char *labels[METRIC_LABELS_MAX]; /* names; NULL ends the list */
    const double *buckets;                 /* histogram: ascending upper bounds >= 0 without +Inf */
    size_t bucket_count;                   /* at most METRIC_BUCKETS_MAX */
    size_t series_max;                     /* cap on series; 0 means 1024 */
    const char *summary; /* histogram: its sums and counts are printed once more, as a summary of
                            this name, at no cost where it is observed; NULL: they are not */
};

struct metrics;
struct metric_family;

/* A series. The fields are private to lib/obs; they are here so that the hot path is inline. */
struct metric {
    const struct metric_family *family;
    uint32_t cell; /* first cell of this series in every thread's block */
    uint8_t kind;
    uint8_t bucket_count;
    const double *buckets;
};

/* A new, empty registry; owned by the caller. */
struct metrics *metrics_new(void);

/* Frees the registry, its families, series and blocks. Every attached thread must have detached or
 * ended. NULL is fine. */
void metrics_free(struct metrics *metrics);

/*
 * Declares a family, or returns the one already declared with this name (then kind and labels must
 * agree: a mismatch, an invalid name, or a second family for the same series names is a programming
 * error and aborts). spec is copied.
 */
struct metric_family *metrics_family(struct metrics *metrics, const struct metric_spec *spec);

/*
 * The series with these label values, one for each label name in order (values are copied; NULL
 * reads ""; bytes that are not UTF-8 become U+FFFD). Past series_max (or METRIC_CELLS_MAX) the
 * family's overflow series is returned, in which every label reads "other": a bounded number of
 * series whatever the network sends. Never NULL.
 */
struct metric *metric_series(struct metric_family *family, const char *const *values);

/*
 * A gauge (or counter) whose value is asked for at each scrape. function runs in the scraping
 * thread, with the registry's lock held, so it must not call back into the registry; context must
 * outlive the registry or be withdrawn with function NULL.
 */
void metric_callback(struct metric *metric, double (*function)(void *context), void *context);

/* Gives the calling thread a block of cells of this registry. A thread is attached to one registry
 * at a time; attaching to the same one again is fine. Counts survive the thread. */
void metrics_thread_attach(struct metrics *metrics);

/* Takes the block away from the calling thread; its counts stay and another thread may reuse it. */
void metrics_thread_detach(void);

/* The calling thread's cells, or NULL when it is not attached. Private to the inlines below. */
extern __thread double *metrics_thread_cells __attribute__((tls_model("initial-exec")));

static inline void metric_cell_add(uint32_t cell, double value)
{
    double *slot = metrics_thread_cells + cell, sum;
    /* One writer a cell: a plain read, and a store that a scraping thread sees whole. */
    sum = *slot + value;
    __atomic_store(slot, &sum, __ATOMIC_RELAXED);
}

/* Adds value (>= 0) to a counter, or any value to a gauge that is not a callback. */
static inline void metric_add(const struct metric *metric, double value)
{
    if (metrics_thread_cells)
        metric_cell_add(metric->cell, value);
}

/*
 * Observes value in a histogram or a summary. Cells of a summary: sum, count; of a histogram: sum,
 * one a bucket (not cumulative), the rest; its count is their sum, so that a scrape in between is
 * consistent.
 */
static inline void metric_observe(const struct metric *metric, double value)
{
    if (!metrics_thread_cells)
        return;
    metric_cell_add(metric->cell, value);
    uint32_t i = 0;
    /* Written so that a NaN goes to +Inf; a summary has no buckets and counts in cell 1. */
    while (i < metric->bucket_count && !(value <= metric->buckets[i]))
        i++;
    metric_cell_add(metric->cell + 1 + i, 1);
}

/* The value of a counter or gauge, or the sum of a histogram or summary, over all threads as a
 * scrape would print it. Any thread, but not from within a metric_callback(). */
double metric_value(struct metric *metric);

/* How many values a histogram or summary observed, over all threads; 0 for other kinds. The same
 * rule. */
uint64_t metric_count(struct metric *metric);

enum metrics_format {
    METRICS_PROMETHEUS_TEXT, /* text/plain; version=0.0.4; charset=utf-8 */
    METRICS_OPENMETRICS_TEXT /* application/openmetrics-text; version=1.0.0; charset=utf-8 */
};

/* Chooses by the Accept header (RFC 9110 section 12.5.1, q values honoured); NULL is Prometheus
 * text. */
enum metrics_format metrics_negotiate(const char *accept);

/* The Content-Type of a format; static. */
const char *metrics_content_type(enum metrics_format format);

/* Appends the exposition of all families, in the order of their declaration. Any thread.
 * 0, or -ENOBUFS when out's cap is met. */
int metrics_expose(struct metrics *metrics, enum metrics_format format, struct buffer *out);

/* The same for the families that an URL's query (without the question mark) asks for:
 * "name[]=FAMILY", percent-encoded or not, any number of times. FAMILY is as it was declared; what
 * is no family adds nothing. Without a name[] that is all families; other parameters count for
 * nothing. The time grows with families times bytes of query: cap what comes from the network. */
int metrics_expose_asked(struct metrics *metrics, enum metrics_format format, const char *query,
                         struct buffer *out);

/*
 * Declares process_cpu_seconds_total, process_open_fds, process_max_fds,
 * process_virtual_memory_bytes, process_virtual_memory_max_bytes, process_resident_memory_bytes,
 * process_start_time_seconds and process_threads (the names and meanings of Prometheus' "Writing
 * client libraries", section "Standard and runtime collectors"), and
 * dpumesh_build_info{version,compiler, component} 1. They cost nothing until a scrape, which reads
 * /proc/self. component: the program, such as "agent"; copied. Once a registry.
 */
void metrics_declare_process(struct metrics *metrics, const char *component);

#endif
