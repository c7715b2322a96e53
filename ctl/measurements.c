#include "ctl/measurements.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "ctl/csv.h"
#include "model/profile.h"

enum { FILE_BYTES_MAX = 16 << 20, COLUMNS_MAX = 64, CELL_SHOWN_MAX = 64, NAMES_SHOWN_MAX = 20 };

enum column { CONFIG, FRAME, OFFERED, ACHIEVED, CLIENT, SERVER, P99, DROP, CLEAN, COLUMNS };

static const struct {
    const char *name;
    bool optional;
    double low, high;
} columns[COLUMNS] = {
    [CONFIG] = {"config", false, 0, 0},
    [FRAME] = {"frame", false, 1, PROFILE_FRAME_MAX},
    [OFFERED] = {"offered", false, 1e-3, PROFILE_OFFERED_MAX},
    [ACHIEVED] = {"achieved", false, 1e-3, 1e12},
    [CLIENT] = {"client", false, 1e-9, 1e4},
    [SERVER] = {"server", false, 1e-9, 1e4},
    [P99] = {"p99", false, 1e-6, 1e12},
    [DROP] = {"drop", true, 0, 1},
    [CLEAN] = {"clean", true, 0, 1},
};

struct reader {
    const char *path;
    unsigned line;
    int where[COLUMNS]; /* the column's position in a line; -1: not there */
    unsigned width;     /* columns of the file */
    struct problems *problems;
};

static int bad_quotes(const struct reader *reader)
{
    problem_add(reader->problems,
                "%s:%u: a quote without its end, or text beside one; write \"...\" around a whole "
                "cell",
                reader->path, reader->line);
    return -EINVAL;
}

/* Finds column c among the names; 0, or -EINVAL when two have its name. */
static int find_column(struct reader *reader, char *const *cells, unsigned width, int c)
{
    reader->where[c] = -1;
    for (unsigned i = 0; i < width; i++) {
        if (strcmp(cells[i], columns[c].name) != 0)
            continue;
        if (reader->where[c] >= 0) {
            problem_add(reader->problems, "%s:%u: two columns are called %s; rename one of them",
                        reader->path, reader->line, columns[c].name);
            return -EINVAL;
        }
        reader->where[c] = (int)i;
    }
    return 0;
}

static int read_header(struct reader *reader, char *line)
{
    char *cells[COLUMNS_MAX];
    cleanup_buffer struct buffer missing = BUFFER_INIT(256);
    unsigned missed = 0;

    unsigned width = csv_split(line, cells, COLUMNS_MAX);
    if (width == 0)
        return bad_quotes(reader);
    if (width > COLUMNS_MAX) {
        problem_add(reader->problems, "%s:%u: %u columns; at most %d can be read", reader->path,
                    reader->line, width, COLUMNS_MAX);
        return -EINVAL;
    }
    for (int c = 0; c < COLUMNS; c++) {
        if (find_column(reader, cells, width, c) < 0)
            return -EINVAL;
        if (reader->where[c] < 0 && !columns[c].optional)
            buffer_printf(&missing, "%s%s", missed++ > 0 ? ", " : "", columns[c].name);
    }
    if (missed > 0) {
        problem_add(reader->problems,
                    "%s:%u: no column is called %s; the first line must name config, frame, "
                    "offered, achieved, client, server and p99%s",
                    reader->path, reader->line, buffer_terminate(&missing),
                    width == 1 ? ", with commas between them" : "");
        return -EINVAL;
    }
    reader->width = width;
    return 0;
}

/* One number of a row; *value keeps what it was where the column is not there. */
static int read_number(struct reader *reader, char *const *cells, enum column c, double *value)
{
    cleanup_error struct error *err = NULL;

    if (reader->where[c] < 0)
        return 0;
    const char *text = cells[reader->where[c]];
    if (*text == '\0') {
        problem_add(reader->problems, "%s:%u: %s is empty; give a number", reader->path,
                    reader->line, columns[c].name);
        return -EINVAL;
    }
    size_t length = strlen(text);
    if (length > CELL_SHOWN_MAX || !text_utf8_valid(text, length)) {
        problem_add(reader->problems, "%s:%u: %s is not a number; give one", reader->path,
                    reader->line, columns[c].name);
        return -EINVAL;
    }
    if (text_parse_double(text, columns[c].low, columns[c].high, value, &err) < 0) {
        problem_add(reader->problems, "%s:%u: %s: %s", reader->path, reader->line, columns[c].name,
                    error_message(err));
        return -EINVAL;
    }
    return 0;
}

/* What a row says of itself must agree, up to what clocks and rounding may add: 5 %. */
static int check_row(const struct reader *reader, const struct measurement *row, double clean)
{
    double carried = row->achieved_per_s / row->offered_per_s;
    char what[128] = "";

    if (row->frame_bytes != floor(row->frame_bytes))
        snprintf(what, sizeof what, "frame: %g is not a whole number of bytes", row->frame_bytes);
    else if (carried > 1.05)
        snprintf(what, sizeof what, "achieved: %g is more than the %g that were offered",
                 row->achieved_per_s, row->offered_per_s);
    else if (carried + row->drop_fraction > 1.05)
        snprintf(what, sizeof what, "drop: %g, though %.3g of what was offered was achieved",
                 row->drop_fraction, carried);
    else if (clean > 0 && carried < 0.9)
        snprintf(what, sizeof what, "clean: %g, though only %.3g of what was offered was achieved",
                 clean, carried);
    if (!*what)
        return 0;
    problem_add(reader->problems, "%s:%u: %s; correct the row, or leave it out", reader->path,
                reader->line, what);
    return -EINVAL;
}

static int read_row(struct reader *reader, char *line, struct measurement *ret)
{
    char *cells[COLUMNS_MAX];
    unsigned width = csv_split(line, cells, COLUMNS_MAX);
    double clean = -1;
    struct measurement row = {.line = reader->line};

    if (width == 0)
        return bad_quotes(reader);
    if (width != reader->width) {
        problem_add(reader->problems, "%s:%u: %u columns where the first line has %u", reader->path,
                    reader->line, width, reader->width);
        return -EINVAL;
    }
    const char *config = cells[reader->where[CONFIG]];
    size_t length = strlen(config);
    if (length == 0 || length >= sizeof row.config || !text_utf8_valid(config, length)) {
        problem_add(reader->problems, "%s:%u: config is %s; give a name of 1 to %d characters",
                    reader->path, reader->line,
                    length == 0                   ? "empty"
                    : length >= sizeof row.config ? "too long"
                                                  : "not UTF-8",
                    MEASUREMENT_NAME_MAX - 1);
        return -EINVAL;
    }
    memcpy(row.config, config, length + 1);
    if (read_number(reader, cells, FRAME, &row.frame_bytes) < 0 ||
        read_number(reader, cells, OFFERED, &row.offered_per_s) < 0 ||
        read_number(reader, cells, ACHIEVED, &row.achieved_per_s) < 0 ||
        read_number(reader, cells, CLIENT, &row.client_cores) < 0 ||
        read_number(reader, cells, SERVER, &row.server_cores) < 0 ||
        read_number(reader, cells, P99, &row.p99_us) < 0 ||
        read_number(reader, cells, DROP, &row.drop_fraction) < 0 ||
        read_number(reader, cells, CLEAN, &clean) < 0 || check_row(reader, &row, clean) < 0)
        return -EINVAL;
    row.clean = clean >= 0 ? clean > 0
                           : row.achieved_per_s >= 0.98 * row.offered_per_s &&
                                 row.drop_fraction <= 0.001 && row.p99_us <= 10000;
    *ret = row;
    return 0;
}

static bool same_curve(const struct measurement *a, const struct measurement *b)
{
    return strcmp(a->config, b->config) == 0 && a->frame_bytes == b->frame_bytes;
}

static int by_curve(const void *a, const void *b)
{
    const struct measurement *x = *(struct measurement *const *)a;
    const struct measurement *y = *(struct measurement *const *)b;
    int config = strcmp(x->config, y->config);

    if (config != 0)
        return config;
    if (x->frame_bytes != y->frame_bytes)
        return x->frame_bytes < y->frame_bytes ? -1 : 1;
    if (x->offered_per_s != y->offered_per_s)
        return x->offered_per_s < y->offered_per_s ? -1 : 1;
    return x->line < y->line ? -1 : 1;
}

/* Whether two rows of one rate are further apart than runs of one path are. */
static bool contradict(const struct measurement *a, const struct measurement *b)
{
    double host =
        fabs(log((a->client_cores + a->server_cores) / (b->client_cores + b->server_cores)));
    double achieved = fabs(log(a->achieved_per_s / b->achieved_per_s));
    double p99 = a->clean && b->clean ? fabs(log(a->p99_us / b->p99_us)) : 0;

    return host > log(1.25) || achieved > log(1.25) || p99 > log(3);
}

/* What rows are to each other: ranks, first ones, contradictions. */
static void relate(struct measurements *list)
{
    cleanup_free struct measurement **sorted = xcalloc(list->count, sizeof *sorted);
    size_t rate = 0; /* the first row of the same rate */

    for (size_t i = 0; i < list->count; i++)
        sorted[i] = &list->items[i];
    qsort(sorted, list->count, sizeof *sorted, by_curve);
    for (size_t i = 0; i < list->count; i++) {
        struct measurement *row = sorted[i];
        row->first = i == 0 || !same_curve(row, sorted[i - 1]);
        if (row->first || row->offered_per_s > 1.001 * sorted[rate]->offered_per_s) {
            row->rank = row->first ? 0 : sorted[i - 1]->rank + 1;
            rate = i;
            continue;
        }
        row->rank = sorted[rate]->rank;
        for (size_t k = rate; k < i && row->contradicts == 0; k++)
            if (contradict(sorted[k], row))
                row->contradicts = sorted[k]->line;
    }
}

/* One line, a header or a row; lines that say nothing are skipped. 0 or -EINVAL after a problem. */
static int read_line(struct reader *reader, char *line, struct measurements *list)
{
    reader->line++;
    if (*line == '\0' || *line == '#')
        return 0;
    if (reader->width == 0)
        return read_header(reader, line);
    if (list->count == MEASUREMENTS_MAX) {
        problem_add(reader->problems, "%s:%u: more than %d rows", reader->path, reader->line,
                    MEASUREMENTS_MAX);
        return -EINVAL;
    }
    list->items = xreallocarray(list->items, list->count + 1, sizeof *list->items);
    int r = read_row(reader, line, &list->items[list->count]);
    if (r == 0)
        list->count++;
    return r;
}

int measurements_parse(const char *bytes, size_t length, const char *file, struct measurements *ret,
                       struct problems *problems)
{
    cleanup_measurements struct measurements list = MEASUREMENTS_INIT;
    cleanup_free char *text = xstrndup(bytes, length);
    struct reader reader = {.path = file, .problems = problems};
    char *rest = text + text_mark(bytes, length), *line;
    int result = 0;

    if (memchr(bytes, '\0', length)) {
        problem_add(problems, "%s: has a byte that is no text; save the file as CSV in UTF-8",
                    file);
        return -EINVAL;
    }
    while ((line = csv_next_line(&rest))) {
        if (read_line(&reader, line, &list) < 0) {
            result = -EINVAL;
            if (reader.width == 0 || list.count == MEASUREMENTS_MAX ||
                problems->count >= PROBLEMS_MAX)
                return result; /* without columns no row can be read */
        }
    }
    if (result == 0 && list.count == 0) {
        problem_add(problems, "%s: no measurements; give a line of column names and rows below it",
                    file);
        result = -EINVAL;
    }
    if (result < 0)
        return result;
    relate(&list);
    *ret = (struct measurements){list.count, STEAL_POINTER(list.items)};
    return 0;
}

int measurements_load(const char *path, struct measurements *ret, struct problems *problems)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(FILE_BYTES_MAX);
    cleanup_error struct error *err = NULL;

    int r = file_read(path, &text, &err);
    if (r < 0) {
        problem_add(problems, "%s", error_message(err));
        return r;
    }
    return measurements_parse(text.data ? text.data : "", text.length, path, ret, problems);
}

/* What is compared of a name of a configuration or a profile. */
static const char *bare(const char *name)
{
    static const char *const prefixes[] = {"dpumesh-", "bluefield3-"};

    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return name + strlen(prefixes[i]);
    return name;
}

/* The configuration that is meant: of that very name, or the first that is bare the same. */
static const char *find_config(const struct measurements *all, const char *config)
{
    const char *found = NULL;

    for (size_t i = 0; i < all->count; i++) {
        if (strcmp(all->items[i].config, config) == 0)
            return config;
        if (!found && strcmp(bare(all->items[i].config), bare(config)) == 0)
            found = all->items[i].config;
    }
    return found;
}

/* Says which configurations there are, each once, the first ones. */
static void complain_of(const struct measurements *all, const char *config,
                        struct problems *problems)
{
    cleanup_buffer struct buffer names = BUFFER_INIT(NAMES_SHOWN_MAX * (MEASUREMENT_NAME_MAX + 2));
    const char *shown[NAMES_SHOWN_MAX];
    unsigned count = 0;

    for (size_t i = 0; i < all->count && count <= NAMES_SHOWN_MAX; i++) {
        unsigned k = 0;
        while (k < count && strcmp(shown[k], all->items[i].config) != 0)
            k++;
        if (k < count || count++ == NAMES_SHOWN_MAX)
            continue;
        shown[k] = all->items[i].config;
        buffer_printf(&names, "%s%s", k > 0 ? ", " : "", shown[k]);
    }
    problem_add(problems, "no measurements of %s; there are some of %s%s", config,
                buffer_terminate(&names), count > NAMES_SHOWN_MAX ? " and others" : "");
}

static int by_frame(const void *a, const void *b)
{
    const struct measurement *x = a, *y = b;

    if (x->frame_bytes != y->frame_bytes)
        return x->frame_bytes < y->frame_bytes ? -1 : 1;
    return x->line < y->line ? -1 : 1;
}

int measurements_select(const struct measurements *all, const char *config,
                        struct measurements *ret, struct problems *problems)
{
    const char *name = find_config(all, config);

    if (!name) {
        complain_of(all, config, problems);
        return -ENOENT;
    }
    struct measurements list = {.items = xcalloc(all->count, sizeof *list.items)};
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->items[i].config, name) == 0)
            list.items[list.count++] = all->items[i];
    qsort(list.items, list.count, sizeof *list.items, by_frame);
    *ret = list;
    return 0;
}

void measurements_contradictions(const struct measurements *list, const char *path,
                                 struct problems *notes)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct measurement *row = &list->items[i];
        if (row->contradicts)
            problem_add(notes,
                        "%s:%u: measured something else than line %u at the same frame and rate; "
                        "all rows count, and no profile meets both",
                        path, row->line, row->contradicts);
    }
}

bool measurements_reach_ceiling(const struct measurements *list, double frame_bytes)
{
    double ceiling = measurements_ceiling(list, frame_bytes);

    for (size_t i = 0; i < list->count; i++) {
        const struct measurement *row = &list->items[i];
        if (row->frame_bytes == frame_bytes && !row->clean && row->offered_per_s >= 0.99 * ceiling)
            return true;
    }
    return false;
}

double measurements_ceiling(const struct measurements *list, double frame_bytes)
{
    double ceiling = 0;

    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].frame_bytes == frame_bytes && list->items[i].achieved_per_s > ceiling)
            ceiling = list->items[i].achieved_per_s;
    return ceiling;
}

void measurements_free(struct measurements *list)
{
    free(list->items);
    *list = (struct measurements)MEASUREMENTS_INIT;
}
