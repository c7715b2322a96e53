#include "ctl/crossval.h"

#include <math.h>
#include <nlopt.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"

/* The straight line of one side. */
struct line {
    const struct measurements *rows;
    bool server;
};

static double line_cores(const double *x, const struct measurement *row)
{
    return fmin(1, row->achieved_per_s / 1e9 * (exp(x[0]) + exp(x[1]) * row->frame_bytes));
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is nlopt_func's */
static double line_cost(unsigned n, const double *x, double *gradient, void *context)
{
    const struct line *line = context;
    double sum = 0;

    (void)n;
    (void)gradient;
    for (size_t i = 0; i < line->rows->count; i++) {
        const struct measurement *row = &line->rows->items[i];
        double measured = line->server ? row->server_cores : row->client_cores;
        sum += fabs(log(line_cores(x, row) / measured));
    }
    return sum;
}

/* The best line, from a few starts. */
static void line_fit(const struct line *line, double *ret_x)
{
    static const double starts[][2] = {{100, 0.5}, {1000, 1}, {5000, 2}, {500, 5}};
    double best = INFINITY;

    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        nlopt_opt optimiser = nlopt_create(NLOPT_LN_SBPLX, 2);
        double x[2] = {log(starts[i][0]), log(starts[i][1])}, cost = INFINITY;
        nlopt_set_min_objective(optimiser, line_cost, (void *)(uintptr_t)line);
        nlopt_set_maxeval(optimiser, 2000);
        nlopt_set_xtol_abs1(optimiser, 1e-5);
        nlopt_optimize(optimiser, x, &cost);
        nlopt_destroy(optimiser);
        if (cost < best) {
            best = cost;
            memcpy(ret_x, x, sizeof x);
        }
    }
}

/* Fits to the rows that are seen and predicts the others. */
static int fold(const struct profile *start, const struct measurements *seen,
                const struct measurements *unseen, const struct fit_settings *fit,
                const struct score_settings *settings, struct crossval_errors *ret,
                struct profile *ret_profile, struct error **err)
{
    struct line client = {seen, false}, server = {seen, true};
    double client_x[2], server_x[2];
    struct fit_result result;

    int r = fit_profile(start, seen, fit, &result, err);
    if (r < 0)
        return r;
    line_fit(&client, client_x);
    line_fit(&server, server_x);
    for (size_t i = 0; i < unseen->count; i++) {
        const struct measurement *row = &unseen->items[i];
        struct score score = score_row(&result.profile, row, settings);
        double measured = row->client_cores + row->server_cores;
        double line = line_cores(client_x, row) + line_cores(server_x, row);
        score_list_add(&ret->host, fabs(score.host_error));
        score_list_add(&ret->line, fabs(line / measured - 1));
        if (score.timed)
            score_list_add(&ret->p99, exp(fabs(log(score.p99_factor))));
    }
    *ret_profile = result.profile;
    return 0;
}

/* The ceiling of a frame that was left out, as the fold's profile has it. */
static void score_ceiling(const struct profile *profile, const struct measurements *rows,
                          double frame_bytes, struct crossval_errors *ret)
{
    struct path_means means;

    path_estimate(profile, frame_bytes, 1, &means);
    score_list_add(&ret->ceiling,
                   fabs(means.ceiling_per_s / measurements_ceiling(rows, frame_bytes) - 1));
}

struct split {
    struct measurements seen, unseen;
};

/* Divides the rows; unseen: those of this rank (frame 0) or of this frame. */
static struct split divide(const struct measurements *rows, unsigned rank, double frame_bytes)
{
    struct split split = {.seen = {.items = xcalloc(rows->count, sizeof *rows->items)},
                          .unseen = {.items = xcalloc(rows->count, sizeof *rows->items)}};

    for (size_t i = 0; i < rows->count; i++) {
        const struct measurement *row = &rows->items[i];
        bool out = frame_bytes > 0 ? row->frame_bytes == frame_bytes : row->rank == rank;
        struct measurements *list = out ? &split.unseen : &split.seen;
        list->items[list->count++] = *row;
    }
    return split;
}

/* How many rows are left when the rate or the frame with most of them is left out. */
static size_t least_left(const struct measurements *rows)
{
    cleanup_free size_t *of_rank = xcalloc(rows->count, sizeof *of_rank);
    size_t most = 0, of_frame = 0;

    for (size_t i = 0; i < rows->count; i++) {
        const struct measurement *row = &rows->items[i];
        of_frame = i > 0 && row->frame_bytes == row[-1].frame_bytes ? of_frame + 1 : 1;
        of_rank[row->rank]++;
        if (most < of_frame)
            most = of_frame;
        if (most < of_rank[row->rank])
            most = of_rank[row->rank];
    }
    return rows->count - most;
}

int crossval_check(const struct profile *start, const struct measurements *rows, struct error **err)
{
    return error_prefix(err, fit_enough(start, least_left(rows), err),
                        "--cross-validate leaves out each rate and each frame size in turn");
}

int crossval_run(const struct profile *start, const struct measurements *rows,
                 const struct fit_settings *fit, const struct score_settings *score,
                 struct crossval *ret, struct error **err)
{
    struct profile profile;
    unsigned ranks = 0;
    int r = 0;

    for (size_t i = 0; i < rows->count; i++)
        if (rows->items[i].rank >= ranks)
            ranks = rows->items[i].rank + 1;
    for (unsigned k = 0; k < ranks && r == 0; k++) {
        struct split split = divide(rows, k, 0);
        r = fold(start, &split.seen, &split.unseen, fit, score, &ret->rate, &profile, err);
        measurements_free(&split.seen);
        measurements_free(&split.unseen);
    }
    for (size_t i = 0; i < rows->count && r == 0; i++) {
        if (!rows->items[i].first)
            continue; /* one row stands for its frame */
        double frame_bytes = rows->items[i].frame_bytes;
        struct split split = divide(rows, 0, frame_bytes);
        r = fold(start, &split.seen, &split.unseen, fit, score, &ret->frame, &profile, err);
        if (r == 0)
            score_ceiling(&profile, rows, frame_bytes, &ret->frame);
        measurements_free(&split.seen);
        measurements_free(&split.unseen);
    }
    return r;
}

static void errors_free(struct crossval_errors *errors)
{
    score_list_free(&errors->host);
    score_list_free(&errors->p99);
    score_list_free(&errors->ceiling);
    score_list_free(&errors->line);
}

void crossval_free(struct crossval *crossval)
{
    errors_free(&crossval->rate);
    errors_free(&crossval->frame);
}
