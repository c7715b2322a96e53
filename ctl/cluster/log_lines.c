#include "ctl/cluster/log_lines.h"

#include <errno.h>
#include <string.h>

static void flush_line(struct log_lines *lines)
{
    static const char *const said[] = {"dpumesh: ", "dpumesh load: "};
    FILE *file = lines->out;
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        size_t length = strlen(said[i]);
        if (lines->line.length >= length && memcmp(lines->line.data, said[i], length) == 0)
            file = lines->err;
    }
    fwrite(lines->line.data, 1, lines->line.length, file);
    buffer_clear(&lines->line);
}

int log_lines_feed(struct log_lines *lines, const char *data, size_t size)
{
    while (size > 0) {
        const char *end = memchr(data, '\n', size);
        size_t length = end ? (size_t)(end - data) + 1 : size;
        if (buffer_append(&lines->line, data, length) < 0) {
            flush_line(lines);
            fwrite(data, 1, length, lines->out);
        } else if (end) {
            flush_line(lines);
        }
        data += length;
        size -= length;
    }
    fflush(lines->out);
    return ferror(lines->out) ? -EPIPE : 0;
}

void log_lines_end(struct log_lines *lines)
{
    if (lines->line.length > 0)
        flush_line(lines);
    fflush(lines->out);
}

void log_lines_free(struct log_lines *lines)
{
    buffer_free(&lines->line);
}
