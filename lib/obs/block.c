/* Threads and their cells. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>

#include "base/memory.h"
#include "obs/registry.h"

enum { BLOCK_BYTES = METRIC_CELLS_MAX * sizeof(double) };

__thread double *metrics_thread_cells __attribute__((tls_model("initial-exec")));

static __thread struct metric_block *thread_block __attribute__((tls_model("initial-exec")));

/* Gives a thread's block back when the thread ends without having detached. */
static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

static void block_release(struct metric_block *block)
{
    struct metrics *metrics = block->metrics;
    pthread_mutex_lock(&metrics->lock);
    block->attached = false;
    pthread_mutex_unlock(&metrics->lock);
}

static void thread_exits(void *block)
{
    metrics_thread_cells = NULL;
    thread_block = NULL;
    block_release(block);
}

static void exit_key_make(void)
{
    if (pthread_key_create(&exit_key, thread_exits) != 0)
        abort(); /* only when a program uses all 1024 keys */
}

/*
 * Address space, not memory: a page is there once one of its cells is written. Without the advice
 * the kernel may back neighbouring blocks with a huge page, 2 MiB for a handful of counters.
 */
static double *cells_map(void)
{
    void *cells = mmap(NULL, BLOCK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (cells == MAP_FAILED) {
        fprintf(stderr, "out of memory: metric cells: %s\n", strerror(errno));
        _exit(EX_OSERR);
    }
    madvise(cells, BLOCK_BYTES, MADV_NOHUGEPAGE);
    return cells;
}

static struct metric_block *block_take(struct metrics *metrics)
{
    pthread_mutex_lock(&metrics->lock);
    struct metric_block *block = metrics->blocks;
    while (block && block->attached)
        block = block->next;
    if (!block) {
        block = xcalloc(1, sizeof(*block));
        block->metrics = metrics;
        block->cells = cells_map();
        block->next = metrics->blocks;
        metrics->blocks = block;
    }
    block->attached = true;
    pthread_mutex_unlock(&metrics->lock);
    return block;
}

void metrics_thread_attach(struct metrics *metrics)
{
    if (thread_block && thread_block->metrics == metrics)
        return;
    metrics_thread_detach();
    pthread_once(&exit_once, exit_key_make);
    thread_block = block_take(metrics);
    pthread_setspecific(exit_key, thread_block);
    metrics_thread_cells = thread_block->cells;
}

void metrics_thread_detach(void)
{
    struct metric_block *block = thread_block;
    if (!block)
        return;
    metrics_thread_cells = NULL;
    thread_block = NULL;
    pthread_setspecific(exit_key, NULL);
    block_release(block);
}

void metrics_blocks_free(struct metrics *metrics)
{
    if (thread_block && thread_block->metrics == metrics)
        metrics_thread_detach();
    while (metrics->blocks) {
        struct metric_block *block = metrics->blocks;
        metrics->blocks = block->next;
        munmap(block->cells, BLOCK_BYTES);
        free(block);
    }
}

double metrics_cell_sum(const struct metrics *metrics, uint32_t cell)
{
    double sum = 0;
    for (const struct metric_block *block = metrics->blocks; block; block = block->next) {
        double value;
        __atomic_load(&block->cells[cell], &value, __ATOMIC_RELAXED);
        sum += value;
    }
    return sum;
}

double metric_record_value(const struct metric_record *record)
{
    if (record->function)
        return record->function(record->context);
    return metrics_cell_sum(record->metric.family->metrics, record->metric.cell);
}
