/*
 * Tables for people: columns as wide as their widest cell, two spaces between, no trailing blanks.
 * A header line in bold on a terminal. One thread; the table owns copies of its cells.
 */
#ifndef DPUMESH_CTL_TABLE_H
#define DPUMESH_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"

enum { TABLE_COLUMNS_MAX = 12 };

struct table {
    size_t column_count;
    bool right[TABLE_COLUMNS_MAX]; /* numbers stand to the right */
    size_t cell_count;
    char **cells; /* the header first, row after row */
};

#define TABLE_INIT                                                                                 \
    {                                                                                              \
        .column_count = 0, .cell_count = 0, .cells = NULL                                          \
    }

/* Adds a column; all columns before the first row. A title that begins with '>' is set to the
 * right. */
void table_column(struct table *table, const char *title);

/* Adds the next cell of the current row. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints header and rows. */
void table_print(const struct table *table, FILE *file);

/* Frees the cells. */
void table_free(struct table *table);

#define cleanup_table CLEANUP(table_free)

#endif
