/*
 * Text before it is a document. Apart from document.c so that a program that reads JSON alone, as
 * the agent does, does not link the YAML reader.
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "doc/document_private.h"

struct document_text document_text_of(const char *bytes, size_t length, const char *file,
                                      struct problems *problems)
{
    size_t mark = text_mark(bytes, length);

    return (struct document_text){bytes + mark, length - mark, file, problems};
}

void document_position(const struct document_text *text, size_t offset, unsigned *ret_line,
                       unsigned *ret_column)
{
    unsigned line = 1, column = 1;

    for (size_t i = 0; i < offset && i < text->length; i++) {
        if (text->text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text->text[i] & 0xc0) != 0x80) {
            column++; /* characters, not bytes */
        }
    }
    *ret_line = line;
    *ret_column = column;
}

void document_ends_early(const struct document_text *text, const char *syntax)
{
    size_t end = text->length;
    unsigned line, column;

    while (end > 0 && memchr(" \t\r\n", text->text[end - 1], 4))
        end--;
    document_position(text, end, &line, &column);
    problem_add(text->problems, "%s:%u:%u: the %s ends in the middle; is the file complete?",
                text->file, line, column, syntax);
}

int document_check_text(const struct document_text *text)
{
    unsigned line, column;
    uint32_t code;

    if (text->length > DOCUMENT_BYTES_MAX) {
        problem_add(text->problems, "%s: larger than %d MiB", text->file, DOCUMENT_BYTES_MAX >> 20);
        return -EINVAL;
    }
    for (size_t i = 0; i < text->length;) {
        size_t size = text_utf8_decode(text->text + i, text->length - i, &code);
        if (size > 0 && code != 0) {
            i += size;
            continue;
        }
        document_position(text, i, &line, &column);
        if (size > 0)
            problem_add(text->problems, "%s:%u:%u: a NUL byte; save the file as UTF-8 text",
                        text->file, line, column);
        else
            problem_add(text->problems,
                        "%s:%u:%u: bytes that are not UTF-8; save the file as UTF-8", text->file,
                        line, column);
        return -EINVAL;
    }
    return 0;
}
