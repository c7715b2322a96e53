/* The rows of a comparison, which the table and the page both show. Pure; any thread. */
#ifndef DPUMESH_CTL_COMPARE_ROWS_H
#define DPUMESH_CTL_COMPARE_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct compare_row {
    const char *title;
    const char *within; /* an object of the run that holds key; NULL: the run itself */
    const char *key;    /* NULL: the sum of within */
    double factor;      /* of what is shown */
    bool parts;         /* followed by a row for each label of within that is not zero in all */
};

extern const struct compare_row compare_rows[];
extern const size_t compare_row_count;

/* The labels of such a row, in the order in which they are shown; an array owned by the caller. */
json_t *compare_row_labels(const struct compare_row *row, const json_t *runs);

/* Longest text of the two below with its NUL. */
enum { COMPARE_NUMBER_MAX = 32 };

/* The row of a run, or one label of it (NULL: the row itself), as text: "0.123", "-" when the run
 * has no such figure. Returns text. */
const char *compare_row_text(const struct compare_row *row, const json_t *run, const char *label,
                             char text[COMPARE_NUMBER_MAX]);

/* A number with the digits that mean something: 12345, 123.4, 0.123, 0.00120; 3 when it is
 * whole. Returns text. */
const char *compare_number(double value, char text[COMPARE_NUMBER_MAX]);

#endif
