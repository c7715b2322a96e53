/*
 * Lines and cells of a CSV file, cut in place: nothing is copied or owned. Any thread.
 */
#ifndef DPUMESH_CTL_CSV_H
#define DPUMESH_CTL_CSV_H

/* The next line of *rest, without its end, which is LF, CR LF or CR; NULL after the last. */
char *csv_next_line(char **rest);

/*
 * Cuts a line at its commas, and from each cell the blanks and quotes around it (RFC 4180: within
 * quotes "" stands for one, and a comma is text). Returns how many cells there are, of which the
 * first max are put into cells; 0 when a quote has no end, or text beside it.
 */
unsigned csv_split(char *line, char **cells, unsigned max);

#endif
