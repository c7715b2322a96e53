#include "ctl/cluster/log_lines.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct streams {
    char *out, *err;
    size_t out_size, err_size;
    struct log_lines lines;
};

static void start(struct streams *s)
{
    *s = (struct streams){.out = NULL};
    s->lines = (struct log_lines)LOG_LINES_INIT(open_memstream(&s->out, &s->out_size),
                                                open_memstream(&s->err, &s->err_size));
}

static void stop(struct streams *s)
{
    log_lines_end(&s->lines);
    fclose(s->lines.out);
    fclose(s->lines.err);
    log_lines_free(&s->lines);
}

Test(log_lines, tell_the_two_streams_apart_however_they_are_cut)
{
    static const char text[] = "dpumesh load: can't reach x\n{\n  \"dpumesh load: \": 1\n}\n\n"
                               "dpumesh: waiting\nlast";
    for (size_t size = 1; size < sizeof text; size++) {
        struct streams s;
        start(&s);
        for (size_t at = 0; at < sizeof text - 1; at += size) {
            size_t left = sizeof text - 1 - at;
            cr_assert_eq(log_lines_feed(&s.lines, text + at, left < size ? left : size), 0);
        }
        stop(&s);
        cr_assert_str_eq(s.out, "{\n  \"dpumesh load: \": 1\n}\n\nlast");
        cr_assert_str_eq(s.err, "dpumesh load: can't reach x\ndpumesh: waiting\n");
        free(s.out);
        free(s.err);
    }
}

Test(log_lines, a_line_beyond_the_cap_comes_in_pieces)
{
    size_t size = LOG_LINES_BYTES_MAX + 10;
    char *text = malloc(size + 1);
    struct streams s;
    memset(text, 'x', size);
    text[size] = '\0';
    start(&s);
    for (size_t at = 0; at < size; at += 65536)
        log_lines_feed(&s.lines, text + at, size - at < 65536 ? size - at : 65536);
    stop(&s);
    cr_assert_eq(s.out_size, size);
    cr_assert_str_eq(s.out, text);
    free(text);
    free(s.out);
    free(s.err);
}

Test(log_lines, an_output_that_takes_nothing_is_told)
{
    struct log_lines lines = LOG_LINES_INIT(fopen("/dev/full", "w"), stderr);
    cr_assert_eq(log_lines_feed(&lines, "a\n", 2), -EPIPE);
    fclose(lines.out);
    log_lines_free(&lines);
}
