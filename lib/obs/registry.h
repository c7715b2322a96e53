/*
 * What the files of the metric registry share; private to lib/obs. Everything here is guarded by
 * metrics.lock, but for the cells of a block, which their thread writes without it (metric.h).
 */
#ifndef DPUMESH_OBS_REGISTRY_H
#define DPUMESH_OBS_REGISTRY_H

#include <pthread.h>

#include "obs/metric.h"

/* A thread's cells. Blocks are never given back before metrics_free(): their counts must stay. */
struct metric_block {
    struct metrics *metrics;
    struct metric_block *next;
    double *cells; /* METRIC_CELLS_MAX, mapped; untouched pages cost nothing */
    bool attached; /* false: the next thread that attaches takes it over */
};

/* A series as the registry sees it. */
struct metric_record {
    struct metric metric; /* first: struct metric pointers are cast to this */
    struct metric_record *next_same_hash;
    double (*function)(void *context); /* NULL: the value lies in the cells */
    void *context;
    char **values; /* one a label, UTF-8 */
};

enum { METRIC_BOUND_TEXT_MAX = 32 };

struct metric_family {
    struct metrics *metrics;
    const struct metric_family *of; /* a histogram's summary: the histogram; it has no series */
    struct metric_family *next;
    char *name, *help;
    enum metric_kind kind;
    size_t label_count;
    char *labels[METRIC_LABELS_MAX];
    size_t bucket_count;
    double *buckets;
    char (*bound_texts)[METRIC_BOUND_TEXT_MAX]; /* buckets as the label le prints them */
    size_t series_max, series_count, series_capacity;
    struct metric_record **series; /* in order of creation, the overflow series not counted */
    size_t slot_count;             /* a power of two */
    struct metric_record **slots;  /* hash table over series, chained */
    struct metric_record
        *overflow; /* made when first needed; its cells are reserved from the start */
};

struct metrics {
    pthread_mutex_t lock;
    struct metric_family *families, **families_end;
    struct metric_block *blocks;
    size_t cells_used, cells_reserved; /* reserved: for overflow series that are not there yet */
    void *process;                     /* metrics_declare_process()'s state */
};

/* Ends the process: a declaration that can't be right is a mistake in the program. */
_Noreturn void metric_misdeclared(const char *family, const char *why);

/* Checks names, labels and bounds, and returns how many labels there are. */
size_t metric_spec_check(const struct metric_spec *spec);

/* Whether two families would make a series of one name. */
bool metric_families_collide(const char *a, enum metric_kind a_kind, const char *b,
                             enum metric_kind b_kind);

/* Unmaps all blocks; takes the calling thread's away first when it belongs to this registry. */
void metrics_blocks_free(struct metrics *metrics);

/* Sum of a cell over all blocks. Lock held. */
double metrics_cell_sum(const struct metrics *metrics, uint32_t cell);

/* The value of a counter or gauge: its callback's, or its cell's. Lock held. */
double metric_record_value(const struct metric_record *record);

/* Whether a query, without its question mark, asks for a family: names it, or names none. */
bool metrics_query_asks(const char *query, const char *family);

/* Longest text of the two below with its NUL. */
enum { METRIC_NUMBER_MAX = 32 };

/* Prints value in the fewest digits (15 to 17) that read back the same; NaN, +Inf, -Inf. */
size_t metric_number_format(double value, char text[METRIC_NUMBER_MAX]);

/* Prints a bucket's bound in OpenMetrics' canonical form, as Go and Python do: 0.5, 1.0, 1e+06. */
void metric_bound_format(double value, char text[METRIC_BOUND_TEXT_MAX]);

#endif
