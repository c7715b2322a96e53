/*
 * Text that comes from people and from the network: numbers with bounds, UTF-8, JSON strings, and
 * the known name that somebody probably meant. Any thread; nothing here keeps state.
 */
#ifndef DPUMESH_BASE_TEXT_H
#define DPUMESH_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/*
 * A search for the known name nearest to one that is unknown:
 *
 *     struct text_nearest search = TEXT_NEAREST_INIT("replcas");
 *     for (each known name)
 *         text_nearest_offer(&search, name);
 *     if (search.best)
 *         "did you mean %s?"
 *
 * Near means a third of the letters wrong at most (optimal string alignment: insertions, deletions,
 * substitutions and swaps of neighbours count one each; case counts nothing), or that the unknown
 * name, of three letters or more, begins a known one. best points to the name that was offered.
 */
struct text_nearest {
    const char *name;
    const char *best; /* NULL: nothing is near */
    size_t distance;  /* of best */
};

#define TEXT_NEAREST_INIT(unknown_name)                                                            \
    {                                                                                              \
        .name = (unknown_name), .best = NULL, .distance = 0                                        \
    }

void text_nearest_offer(struct text_nearest *search, const char *candidate);

/* The same over count names (entries may be NULL); NULL when nothing is near. */
const char *text_nearest(const char *name, const char *const *candidates, size_t count);

/*
 * The first character of text (size bytes), strictly: no overlong form, no surrogate, nothing past
 * U+10FFFF. Returns its length, 1 to 4, and *ret_code; 0 when the bytes are not a character or size
 * is 0.
 */
size_t text_utf8_decode(const char *text, size_t size, uint32_t *ret_code);

/*
 * Makes a sentence one line of UTF-8 that can't steer a terminal, whatever it quotes, in place:
 * white space becomes blanks, and each byte of another control character (C0, DEL, C1) or of what
 * is not UTF-8 (a quotation that was cut within a character) a question mark. Returns text.
 */
char *text_one_line(char *text);

/* Bytes of the byte order mark that text (size bytes) begins with: 3, or 0 without one. */
size_t text_mark(const char *text, size_t size);

/* Whether size bytes are UTF-8 throughout. */
bool text_utf8_valid(const char *text, size_t size);

/*
 * Appends size bytes as a JSON string with its quotes (RFC 8259 section 7). Each byte that is not
 * UTF-8 becomes U+FFFD, so that the result is always JSON. 0, or -ENOBUFS (nothing appended).
 */
int text_append_json(struct buffer *buffer, const char *text, size_t size);

/*
 * Reads a whole number from min to max; digits only. 0 and *ret, or -EINVAL and a sentence such as
 * `"x" is not a whole number; give 1 to 100`.
 */
int text_parse_unsigned(const char *text, uint64_t min, uint64_t max, uint64_t *ret,
                        struct error **err);

/*
 * Reads a size in bytes from min to max: digits and K, M, G or T (powers of 1024; Ki, KiB and KB
 * read the same). 0 and *ret_bytes, or -EINVAL and a sentence.
 */
int text_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *ret_bytes,
                    struct error **err);

/* Reads a finite decimal number from min to max. 0 and *ret, or -EINVAL and a sentence. */
int text_parse_double(const char *text, double min, double max, double *ret, struct error **err);

/* Longest text of text_format_size() with its NUL. */
#define TEXT_SIZE_MAX 24

/* Prints bytes as text_parse_size() reads them, in the largest unit that stays whole; returns text.
 */
char *text_format_size(uint64_t bytes, char text[TEXT_SIZE_MAX]);

#endif
