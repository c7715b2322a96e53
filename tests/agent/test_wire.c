#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/wire.h"
#include "base/buffer.h"
#include "base/memory.h"

/* A copy in an allocation of its own size, so that AddressSanitizer sees a step past it. */
static char *exact(const char *text, size_t length)
{
    char *copy = xmalloc(length ? length : 1);
    memcpy(copy, text, length);
    return copy;
}

Test(wire, the_first_byte_chooses)
{
    for (int byte = 0; byte < 256; byte++) {
        enum wire_mode expected = byte == '\n' ? WIRE_LINES
                                  : byte == 0  ? WIRE_PREFIXED
                                               : WIRE_ONE_SHOT;
        cr_assert_eq(wire_mode_of((char)byte), expected, "%d", byte);
    }
}

struct stream {
    enum wire_mode mode;
    const char *input;
    size_t length, max;
    bool ended; /* the peer ends it: said with the last piece */
};

/* A front without a place for the answer asks once more: it is told the same. */
static enum wire_state next_twice(const struct stream *s, const char *input, size_t length,
                                  bool ended, struct wire_progress *progress,
                                  struct wire_span *span)
{
    struct wire_span again = {0};
    enum wire_state state = wire_next(s->mode, input, length, s->max, ended, progress, span);
    cr_assert_eq(wire_next(s->mode, input, length, s->max, ended, progress, &again), state);
    if (state == WIRE_FRAME || state == WIRE_BLANK) {
        cr_assert(again.taken == span->taken && again.length == span->length);
        cr_assert(span->taken > 0 && span->taken <= length, "no progress, or too much");
        cr_assert_leq(span->offset + span->length, span->taken);
    }
    return state;
}

/* Takes all that is there; the bytes taken, or SIZE_MAX when nothing more can be read. */
static size_t take(const struct stream *s, const char *input, size_t length, bool ended,
                   struct wire_progress *progress, struct buffer *said)
{
    size_t taken = 0;
    for (;;) {
        struct wire_span span = {0};
        switch (next_twice(s, input + taken, length - taken, ended, progress, &span)) {
        case WIRE_MORE:
            return taken;
        case WIRE_FRAME:
            buffer_puts(said, "<");
            buffer_append(said, input + taken + span.offset, span.length);
            buffer_puts(said, ">");
            break;
        case WIRE_BLANK:
            break;
        case WIRE_TOO_LARGE:
            buffer_puts(said, "!large");
            return SIZE_MAX;
        case WIRE_NOT_OBJECT:
            buffer_puts(said, "!other");
            return SIZE_MAX;
        }
        taken += span.taken;
        *progress = (struct wire_progress){0};
    }
}

/*
 * Reads a stream that comes as `first` bytes and then `step` at a time, and says what was found:
 * <frames> (NUL as @), why it went no further, or how many bytes are left over. What has arrived
 * moves to another place each time.
 */
static void check_pieces(const struct stream *s, size_t first, size_t step, const char *expected)
{
    cleanup_buffer struct buffer said = BUFFER_INIT(1 << 16);
    struct wire_progress progress = {0};
    size_t begin = 0, end = first;
    for (;; end += step) {
        if (end > s->length)
            end = s->length;
        char *copy = exact(s->input + begin, end - begin);
        size_t taken = take(s, copy, end - begin, s->ended && end == s->length, &progress, &said);
        free(copy);
        if (taken == SIZE_MAX)
            break;
        begin += taken;
        if (end == s->length) {
            if (begin < end)
                buffer_printf(&said, "+%zu", end - begin);
            break;
        }
    }
    for (size_t i = 0; i < said.length; i++)
        if (said.data[i] == '\0')
            said.data[i] = '@';
    cr_assert_str_eq(buffer_terminate(&said), expected, "mode %d, %zu and %zu at a time: %s",
                     (int)s->mode, first, step, said.data);
}

/* All at once, byte for byte, cut in two anywhere, and in small pieces. */
static void check_stream(const struct stream *s, const char *expected)
{
    check_pieces(s, s->length, 1, expected);
    check_pieces(s, 0, 1, expected);
    for (size_t cut = 0; cut <= s->length; cut++)
        check_pieces(s, cut, s->length, expected);
    for (size_t step = 2; step < 9; step++)
        check_pieces(s, step, step, expected);
}

#define BYTES(text) text, sizeof(text) - 1

struct stream_case {
    const char *input;
    size_t length;
    const char *expected;
};

static void check_cases(enum wire_mode mode, bool ended, const struct stream_case *cases,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct stream s = {mode, cases[i].input, cases[i].length, 256, ended};
        check_stream(&s, cases[i].expected);
    }
}

Test(wire, one_shot_objects, .timeout = 60)
{
    static const struct stream_case cases[] = {
        {BYTES(""), ""},
        {BYTES("{}"), "<{}>"},
        {BYTES(" \t\r\n{}"), "<{}>"},
        {BYTES("{} \r\n\t"), "<{}>"},
        {BYTES("{\n\"a\" :\r\n\"b\"\n}\n"), "<{\n\"a\" :\r\n\"b\"\n}>"},
        /* Objects in a row, with and without something between them. */
        {BYTES("{}{\"a\":1}\n\n{\"b\":{}} "), "<{}><{\"a\":1}><{\"b\":{}}>"},
        {BYTES("{\"a\":[{},[{}]]}{"), "<{\"a\":[{},[{}]]}>+1"},
        /* Braces and quotes in strings end nothing. */
        {BYTES("{\"}\":\"{\"}{}"), "<{\"}\":\"{\"}><{}>"},
        {BYTES("{\"\\\"}\":\"\\\\\"}{}"), "<{\"\\\"}\":\"\\\\\"}><{}>"},
        {BYTES("{\"\\\\\\\"}\":1}{}"), "<{\"\\\\\\\"}\":1}><{}>"},
        {BYTES("{\"a\":\"}"), "+7"},
        {BYTES("{\"a\":\"\\"), "+7"},
        /* The reader refuses these, but knows where they end. */
        {BYTES("{]{}"), "<{]><{}>"},
        {BYTES("{\0}{}"), "<{@}><{}>"},
        /* What is no object, first or behind one. */
        {BYTES("[]"), "!other"},
        {BYTES("\"{}\""), "!other"},
        {BYTES("null"), "!other"},
        {BYTES(" }"), "!other"},
        {BYTES("GET / HTTP/1.1\r\n"), "!other"},
        {BYTES("\x16\x03\x01"), "!other"},
        {BYTES("\xef\xbb\xbf{}"), "!other"},
        {BYTES("\v{}"), "!other"},
        {BYTES("{},{}"), "<{}>!other"},
        {BYTES("{} \0"), "<{}>!other"},
    };
    check_cases(WIRE_ONE_SHOT, false, cases, sizeof cases / sizeof cases[0]);
    /* The end of the stream makes no frame of a part. */
    check_cases(WIRE_ONE_SHOT, true, cases, sizeof cases / sizeof cases[0]);
}

Test(wire, lines, .timeout = 60)
{
    static const struct stream_case cases[] = {
        {BYTES("\n"), ""},
        {BYTES("\n{}\n"), "<{}>"},
        {BYTES("\n{}\n{\"a\":1}\n"), "<{}><{\"a\":1}>"},
        /* Blank lines, CRLF, white space around. */
        {BYTES("\n\n\r\n \t\n{}\r\n\n\n{}\n\r\n"), "<{}><{}>"},
        {BYTES("\n \t{\"a\": \"b c\"} \r\r\n"), "<{\"a\": \"b c\"}>"},
        /* A line is a frame whatever stands in it: what is wrong is the reader's to say. */
        {BYTES("\n[]\nx\n}{\n{\"a\":\"\n\"}\n{}\n"), "<[]><x><}{><{\"a\":\"><\"}><{}>"},
    };
    static const struct stream_case unterminated[] = {
        {BYTES("\n{}"), "+2"},
        {BYTES("\n{}\n{\"a\":"), "<{}>+5"},
        {BYTES("\n{}\r"), "+3"},
        {BYTES("\n  "), "+2"},
    };
    /* The last line needs no end when the peer sends nothing more. */
    static const struct stream_case ended[] = {
        {BYTES("\n{}"), "<{}>"},           {BYTES("\n{}\n{\"a\":"), "<{}><{\"a\":>"},
        {BYTES("\n{} \r"), "<{}>"},        {BYTES("\n  "), ""},
        {BYTES("{}\n{}\n\n"), "<{}><{}>"},
    };
    check_cases(WIRE_LINES, false, cases, sizeof cases / sizeof cases[0]);
    check_cases(WIRE_LINES, true, cases, sizeof cases / sizeof cases[0]);
    check_cases(WIRE_LINES, false, unterminated, sizeof unterminated / sizeof unterminated[0]);
    check_cases(WIRE_LINES, true, ended, sizeof ended / sizeof ended[0]);
}

Test(wire, prefixed_frames, .timeout = 60)
{
    static const struct stream_case cases[] = {
        {BYTES("\0"), "+1"},
        {BYTES("\0\0\0"), "+3"},
        {BYTES("\0\0\0\2{}"), "<{}>"},
        {BYTES("\0\0\0\2{"), "+5"},
        {BYTES("\0\0\0\2{}\0\0\0\4 {}\n\0\0\0\1x"), "<{}>< {}\n><x>"},
        /* An empty frame is one: the reader says what is missing. */
        {BYTES("\0\0\0\0\0\0\0\2{}"), "<><{}>"},
        /* Most significant byte first, compared with the cap of 256 as soon as it is there. */
        {BYTES("\0\0\1\0"), "+4"},
        {BYTES("\0\0\1\1"), "!large"},
        {BYTES("\0\1\0\0"), "!large"},
        {BYTES("\1\0\0\0"), "!large"},
        {BYTES("\0\0\0\1x\377\377\377\377"), "<x>!large"},
    };
    check_cases(WIRE_PREFIXED, false, cases, sizeof cases / sizeof cases[0]);
    check_cases(WIRE_PREFIXED, true, cases, sizeof cases / sizeof cases[0]);
}

/* Before its last byte a frame is not there, and nothing else is said. */
Test(wire, a_frame_that_was_cut_is_none)
{
    static const struct stream_case cases[] = {
        {BYTES("{\"a\":\"}\\\"{\",\"b\":[{}]}"), ""},
        {BYTES("{\"a\":\"b\"}\r\n"), ""},
        {BYTES("\0\0\0\7{\"a\":1}"), ""},
    };
    for (size_t i = 0; i < 3; i++) {
        enum wire_mode mode = (enum wire_mode)(WIRE_ONE_SHOT + i);
        for (size_t cut = 0; cut < cases[i].length; cut++) {
            struct wire_progress progress = {0};
            struct wire_span span;
            char *part = exact(cases[i].input, cut);
            cr_assert_eq(wire_next(mode, part, cut, 256, false, &progress, &span), WIRE_MORE,
                         "mode %d, byte %zu", (int)mode, cut);
            free(part);
            cr_assert_eq(
                wire_next(mode, cases[i].input, cases[i].length, 256, false, &progress, &span),
                WIRE_FRAME);
            cr_assert_eq(span.taken, cases[i].length);
        }
    }
}

/* Where nothing has come there need not even be a buffer. */
Test(wire, nothing_is_no_frame)
{
    for (int mode = WIRE_ONE_SHOT; mode <= WIRE_PREFIXED; mode++)
        for (int ended = 0; ended < 2; ended++) {
            struct wire_progress progress = {0};
            struct wire_span span;
            cr_assert_eq(wire_next((enum wire_mode)mode, NULL, 0, 256, ended, &progress, &span),
                         WIRE_MORE);
        }
}

/* One object of `length` bytes and what its mode puts around it; the bytes written. */
static size_t frame_of(enum wire_mode mode, size_t length, char *out)
{
    size_t head = 0;
    if (mode == WIRE_PREFIXED) {
        memcpy(out, (char[]){0, 0, 0, (char)length}, 4);
        head = 4;
    }
    memset(out + head, ' ', length);
    out[head] = '{';
    out[head + length - 1] = '}';
    out[head + length] = '\n';
    return head + length + (mode == WIRE_LINES ? 1 : 0);
}

Test(wire, the_cap_is_exact, .timeout = 60)
{
    enum { MAX = 40 };
    for (int i = WIRE_ONE_SHOT; i <= WIRE_PREFIXED; i++)
        for (size_t length = MAX - 1; length <= MAX + 2; length++) {
            char input[MAX + 10], expected[MAX + 10];
            enum wire_mode mode = (enum wire_mode)i;
            struct stream s = {mode, input, frame_of(mode, length, input), MAX, false};
            size_t head = mode == WIRE_PREFIXED ? 4 : 0;
            snprintf(expected, sizeof expected, "<%.*s>", (int)length, input + head);
            check_stream(&s, length > MAX ? "!large" : expected);
            s.ended = true;
            check_stream(&s, length > MAX ? "!large" : expected);
            /* Without its end it is too large from the byte behind the cap on, not before. */
            s.ended = false;
            s.length = head + length - (mode == WIRE_LINES ? 0 : 1);
            bool large = mode == WIRE_PREFIXED ? length > MAX : s.length > MAX;
            snprintf(expected, sizeof expected, large ? "!large" : "+%zu", s.length);
            check_stream(&s, expected);
        }
    /* White space before an object is not part of it; in a line it counts. */
    struct stream s = {WIRE_ONE_SHOT, BYTES("    {}    {}    "), 4, false};
    check_stream(&s, "<{}><{}>");
    s = (struct stream){WIRE_LINES, BYTES("\n {} \n{}\r\n {}\r\n  {}\r\n"), 4, false};
    check_stream(&s, "<{}><{}><{}>!large");
}
