#include "ctl/measurements.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/profile.h"

enum { FILE_BYTES_MAX = 16 << 20, COLUMNS_MAX = 64, CELL_SHOWN_MAX = 64 };

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

/* Cuts line at its commas; returns how many cells there are, at most COLUMNS_MAX of them kept. */
static unsigned split(char *line, char *cells[COLUMNS_MAX])
{
    unsigned count = 0;

    for (char *cell = line; cell; count++) {
        char *comma = strchr(cell, ',');
        if (comma)
            *comma = '\0';
        if (count < COLUMNS_MAX)
            cells[count] = cell;
        cell = comma ? comma + 1 : NULL;
    }
    return count;
}

static int read_header(struct reader *reader, char *line)
{
    char *cells[COLUMNS_MAX];
    int r = 0;

    unsigned width = split(line, cells);
    if (width > COLUMNS_MAX) {
        problem_add(reader->problems, "%s:%u: %u columns; at most %d can be read", reader->path,
                    reader->line, width, COLUMNS_MAX);
        return -EINVAL;
    }
    for (int c = 0; c < COLUMNS; c++) {
        reader->where[c] = -1;
        for (unsigned i = 0; i < width; i++)
            if (strcmp(cells[i], columns[c].name) == 0)
                reader->where[c] = (int)i;
        if (reader->where[c] < 0 && !columns[c].optional) {
            problem_add(reader->problems,
                        "%s:%u: no column is called %s; the first line must name config, frame, "
                        "offered, achieved, client, server and p99",
                        reader->path, reader->line, columns[c].name);
            r = -EINVAL;
        }
    }
    if (r == 0)
        reader->width = width;
    return r;
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

static int read_row(struct reader *reader, char *line, struct measurement *ret)
{
    char *cells[COLUMNS_MAX];
    unsigned width = split(line, cells);
    double clean = -1;
    struct measurement row = {.rank = 0};

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
        read_number(reader, cells, CLEAN, &clean) < 0)
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

static void rank(struct measurements *list)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t j = 0; j < list->count; j++)
            if (same_curve(&list->items[i], &list->items[j]) &&
                list->items[j].offered_per_s < list->items[i].offered_per_s)
                list->items[i].rank++;
}

/* One line, a header or a row; lines that say nothing are skipped. 0 or -EINVAL after a problem. */
static int read_line(struct reader *reader, char *line, struct measurements *list)
{
    reader->line++;
    line[strcspn(line, "\r")] = '\0';
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
    char *rest = text, *line;
    int result = 0;

    while ((line = strsep(&rest, "\n"))) {
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
    rank(&list);
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

int measurements_select(const struct measurements *all, const char *config,
                        struct measurements *ret, struct problems *problems)
{
    cleanup_measurements struct measurements list = MEASUREMENTS_INIT;
    cleanup_buffer struct buffer names = BUFFER_INIT(4096);

    for (size_t i = 0; i < all->count; i++) {
        const struct measurement *row = &all->items[i];
        if (strcmp(bare(row->config), bare(config)) == 0) {
            list.items = xreallocarray(list.items, list.count + 1, sizeof *list.items);
            list.items[list.count++] = *row;
        } else if (i == 0 || strcmp(row->config, all->items[i - 1].config) != 0) {
            buffer_printf(&names, "%s%s", names.length > 0 ? ", " : "", row->config);
        }
    }
    if (list.count == 0) {
        problem_add(problems, "no measurements of %s; there are some of %s", config,
                    buffer_terminate(&names));
        return -ENOENT;
    }
    *ret = (struct measurements){list.count, STEAL_POINTER(list.items)};
    return 0;
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
