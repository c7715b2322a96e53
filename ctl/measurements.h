/*
 * Measurements of a data path, one row for each rate: a CSV file with a line of column names first.
 * The columns config, frame (bytes), offered, achieved (messages a second), client, server (host
 * cores used) and p99 (microseconds) must be there, drop (fraction) and clean (0 or 1) may; others
 * are not read. Cells may be quoted, and have blanks around them; a byte order mark and any line
 * ends are fine. Owned by who read them; one thread.
 */
#ifndef DPUMESH_CTL_MEASUREMENTS_H
#define DPUMESH_CTL_MEASUREMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "doc/problem.h"

enum { MEASUREMENTS_MAX = 100000, MEASUREMENT_NAME_MAX = 64 };

struct measurement {
    char config[MEASUREMENT_NAME_MAX];
    double frame_bytes;
    double offered_per_s, achieved_per_s;
    double client_cores, server_cores;
    double p99_us;
    double drop_fraction;
    bool clean;    /* all was carried, in time; without that column: achieved / offered >= 0.98,
                      drops <= 0.1 % and p99 <= 10 ms */
    unsigned line; /* of the file, from 1 */
    unsigned rank; /* of its rate among those of its config and frame, the lowest is 0; rates that
                      are less than 0.1 % apart are one */
    bool first;    /* exactly one row of each config and frame */
    unsigned contradicts; /* the line of a row of the same rate that measured something else: host
                             cores or achieved rate 25 % off, or p99 three times; 0: none */
};

struct measurements {
    size_t count;
    struct measurement *items;
};

#define MEASUREMENTS_INIT                                                                          \
    {                                                                                              \
        .count = 0, .items = NULL                                                                  \
    }

/* Reads a file. 0, or a negative errno and a sentence for each bad line in problems. */
int measurements_load(const char *path, struct measurements *ret, struct problems *problems);

/* The same from length bytes of text; file: for messages. */
int measurements_parse(const char *bytes, size_t length, const char *file, struct measurements *ret,
                       struct problems *problems);

/*
 * The rows of one configuration, in a new list by frame and line. A profile's name finds
 * the configuration that it is of: the one of its name, else the first that has it without
 * "dpumesh-" or "bluefield3-" in front of both. 0, or -ENOENT and a problem that lists those there
 * are.
 */
int measurements_select(const struct measurements *all, const char *config,
                        struct measurements *ret, struct problems *problems);

/* Adds a sentence to notes for each row that contradicts another; path: the file's. */
void measurements_contradictions(const struct measurements *list, const char *path,
                                 struct problems *notes);

/* The highest rate achieved with frames of this size; 0 when there are none. */
double measurements_ceiling(const struct measurements *list, double frame_bytes);

/* Whether that rate is known to be all that the path carries: the row of it, or one with more
 * offered, is not clean. Else the ceiling is somewhere above it. */
bool measurements_reach_ceiling(const struct measurements *list, double frame_bytes);

/* Frees the rows; the list is empty again. */
void measurements_free(struct measurements *list);

#define cleanup_measurements CLEANUP(measurements_free)

#endif
