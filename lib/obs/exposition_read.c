#include "obs/exposition_read.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"

/* A line that is read, from at to end; lines hold no line feed. */
struct reader {
    const char *at, *end;
    size_t number; /* of the line, from 1 */
    struct error **err;
    size_t escaped; /* bytes used of scratch */
    struct exposition_label labels[EXPOSITION_LABELS_MAX];
    size_t label_count;
    char scratch[EXPOSITION_LINE_MAX]; /* values whose escapes are undone: shorter than the line */
};

static int refuse(const struct reader *reader, const char *what)
{
    return error_make(reader->err, EINVAL, "line %zu: %s", reader->number, what);
}

/* ---- names ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_blanks(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t'))
        reader->at++;
}

/* Whether the next byte is c, which is then read. */
static bool take(struct reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

/* A name; length 0: there is none. */
static struct exposition_text take_name(struct reader *reader, bool colons)
{
    struct exposition_text name = {.data = reader->at, .length = 0};

    while (reader->at < reader->end && (is_letter(*reader->at) || (colons && *reader->at == ':') ||
                                        (reader->at > name.data && is_digit(*reader->at))))
        reader->at++;
    name.length = (size_t)(reader->at - name.data);
    return name;
}

/* ---- labels ---- */

/* Copies a value of the line from text on, without its escapes, to scratch. -1: an escape that
 * there is not. */
static int undo_escapes(struct reader *reader, struct exposition_text *value)
{
    char *out = reader->scratch + reader->escaped, *begin = out;

    for (size_t i = 0; i < value->length; i++) {
        char c = value->data[i];
        if (c == '\\') {
            c = value->data[++i]; /* the closing quote's escape was seen, so there is one */
            if (c == 'n')
                c = '\n';
            else if (c != '\\' && c != '"')
                return -1;
        }
        *out++ = c;
    }
    value->data = begin;
    value->length = (size_t)(out - begin);
    reader->escaped += value->length;
    return 0;
}

/* The value of a label, after its opening quote. */
static int take_value(struct reader *reader, struct exposition_text *ret)
{
    struct exposition_text value = {.data = reader->at, .length = 0};
    bool escapes = false, plain = true;

    for (; reader->at < reader->end && *reader->at != '"'; reader->at++) {
        if (*reader->at == '\\') {
            escapes = true;
            if (++reader->at == reader->end)
                break;
        }
        plain = plain && (unsigned char)*reader->at - 1U < 0x7f; /* ASCII without NUL */
    }
    if (reader->at == reader->end)
        return refuse(reader, "the value of a label does not end in a quote");
    value.length = (size_t)(reader->at - value.data);
    reader->at++;
    if (!plain &&
        (memchr(value.data, 0, value.length) || !text_utf8_valid(value.data, value.length)))
        return refuse(reader, "the value of a label is not UTF-8");
    if (escapes && undo_escapes(reader, &value) < 0)
        return refuse(reader, "an escape in the value of a label is none of \\\\, \\\" and \\n");
    *ret = value;
    return 0;
}

static bool same(const struct exposition_text *a, const struct exposition_text *b)
{
    return a->length == b->length && memcmp(a->data, b->data, a->length) == 0;
}

static int take_label(struct reader *reader)
{
    struct exposition_label *label = &reader->labels[reader->label_count];

    if (reader->label_count == EXPOSITION_LABELS_MAX)
        return error_make(reader->err, EINVAL, "line %zu: more than %d labels", reader->number,
                          EXPOSITION_LABELS_MAX);
    label->name = take_name(reader, false);
    if (label->name.length == 0)
        return refuse(reader, "the name of a label is missing");
    for (size_t i = 0; i < reader->label_count; i++)
        if (same(&reader->labels[i].name, &label->name))
            return refuse(reader, "a label is there twice");
    skip_blanks(reader);
    if (!take(reader, '='))
        return refuse(reader, "no '=' after the name of a label");
    skip_blanks(reader);
    if (!take(reader, '"'))
        return refuse(reader, "no quote before the value of a label");
    int ret = take_value(reader, &label->value);
    if (ret == 0)
        reader->label_count++;
    return ret;
}

/* After the opening brace; a comma may stand before the closing one. */
static int take_labels(struct reader *reader)
{
    skip_blanks(reader);
    while (!take(reader, '}')) {
        int ret = take_label(reader);
        if (ret < 0)
            return ret;
        skip_blanks(reader);
        if (take(reader, ','))
            skip_blanks(reader);
        else if (reader->at == reader->end || *reader->at != '}')
            return refuse(reader, "neither ',' nor '}' after the value of a label");
    }
    return 0;
}

/* ---- value and timestamp ---- */

/* What stands before the next blank. */
static struct exposition_text take_word(struct reader *reader)
{
    struct exposition_text word = {.data = reader->at, .length = 0};

    while (reader->at < reader->end && *reader->at != ' ' && *reader->at != '\t')
        reader->at++;
    word.length = (size_t)(reader->at - word.data);
    return word;
}

/* Milliseconds: an int64_t, as Go's ParseInt reads it; word has a byte at least. */
static bool is_timestamp(struct exposition_text word)
{
    bool negative = word.data[0] == '-';
    size_t i = negative || word.data[0] == '+';
    uint64_t value = 0, most = (uint64_t)INT64_MAX + negative;

    if (i == word.length)
        return false;
    for (; i < word.length; i++) {
        if (!is_digit(word.data[i]))
            return false;
        unsigned digit = (unsigned)(word.data[i] - '0');
        if (value > (most - digit) / 10)
            return false;
        value = 10 * value + digit;
    }
    return true;
}

static int take_numbers(struct reader *reader, double *ret_value)
{
    skip_blanks(reader);
    struct exposition_text word = take_word(reader);
    if (word.length == 0)
        return refuse(reader, "the value is missing");
    if (exposition_number(word.data, word.length, ret_value) < 0)
        return refuse(reader, "the value is not a number");
    skip_blanks(reader);
    if (reader->at == reader->end)
        return 0;
    if (!is_timestamp(take_word(reader)))
        return refuse(reader, "the timestamp is not a whole number of milliseconds");
    skip_blanks(reader);
    return reader->at == reader->end ? 0 : refuse(reader, "there is more after the timestamp");
}

/* ---- lines ---- */

static int read_line(struct reader *reader, exposition_visit *visit, void *context)
{
    struct exposition_sample sample = {.labels = reader->labels};
    int ret = 0;

    if (reader->end - reader->at > EXPOSITION_LINE_MAX)
        return error_make(reader->err, EINVAL, "line %zu: more than %d bytes", reader->number,
                          EXPOSITION_LINE_MAX);
    skip_blanks(reader);
    if (reader->at == reader->end || *reader->at == '#')
        return 0;
    reader->label_count = reader->escaped = 0;
    sample.name = take_name(reader, true);
    if (sample.name.length == 0)
        return refuse(reader, "it begins with neither a metric's name nor '#'");
    const char *after = reader->at;
    skip_blanks(reader);
    if (take(reader, '{'))
        ret = take_labels(reader);
    else if (reader->at == after && reader->at < reader->end)
        return refuse(reader, "a character that a metric's name can't have");
    if (ret == 0)
        ret = take_numbers(reader, &sample.value);
    if (ret < 0)
        return ret;
    sample.label_count = reader->label_count;
    return visit(context, &sample);
}

int exposition_read(const char *text, size_t length, exposition_visit *visit, void *context,
                    struct error **err)
{
    struct reader reader; /* not zeroed: most of it is never touched */
    int ret = 0;

    if (length == 0)
        return 0; /* text may be NULL */
    if (length > EXPOSITION_TEXT_MAX)
        return error_make(err, EINVAL, "the page has more than %d bytes", EXPOSITION_TEXT_MAX);
    const char *end = text + length;
    reader.err = err;
    reader.number = 0;
    for (const char *at = text; at < end && ret == 0; at = reader.end + 1) {
        reader.number++;
        reader.at = at;
        reader.end = memchr(at, '\n', (size_t)(end - at));
        if (!reader.end)
            return refuse(&reader, "the page ends within it");
        ret = read_line(&reader, visit, context);
    }
    return ret;
}

/* ---- what a visit asks ---- */

bool exposition_equal(const struct exposition_text *text, const char *string)
{
    return strlen(string) == text->length && memcmp(text->data, string, text->length) == 0;
}

bool exposition_is(const struct exposition_sample *sample, const char *name)
{
    return exposition_equal(&sample->name, name);
}

const struct exposition_text *exposition_label(const struct exposition_sample *sample,
                                               const char *name)
{
    for (size_t i = 0; i < sample->label_count; i++)
        if (exposition_equal(&sample->labels[i].name, name))
            return &sample->labels[i].value;
    return NULL;
}
