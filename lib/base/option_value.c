/* Values of options: texts into destinations, and back into words about them. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/option_private.h"
#include "base/text.h"

enum { CHOICES_TEXT_MAX = 4096 };

static uint64_t upper_bound(const struct option_entry *entry)
{
    uint64_t widest = entry->kind == OPTION_UNSIGNED   ? UINT32_MAX
                      : entry->kind == OPTION_DURATION ? INT64_MAX
                                                       : UINT64_MAX;
    return entry->max && entry->max < widest ? entry->max : widest;
}

static bool is_bounded(const struct option_entry *entry)
{
    return entry->low != 0 || entry->high != 0;
}

static int duration_set(const struct option_entry *entry, const char *text, uint64_t *ret_ns,
                        struct error **err)
{
    char low[DURATION_TEXT_MAX], high[DURATION_TEXT_MAX];
    uint64_t ns;
    int ret = duration_parse(text, &ns, err);
    if (ret < 0)
        return ret;
    if (ns < entry->min)
        return error_make(err, EINVAL, "\"%s\" is too short; give %s or more", text,
                          duration_format(entry->min, low));
    if (ns > upper_bound(entry))
        return error_make(err, EINVAL, "\"%s\" is too long; give %s to %s", text,
                          duration_format(entry->min, low),
                          duration_format(upper_bound(entry), high));
    *ret_ns = ns;
    return 0;
}

/* Appends "a, b, c". */
static void append_choices(const struct option_entry *entry, struct buffer *out)
{
    for (size_t i = 0; entry->choices[i]; i++)
        buffer_printf(out, "%s%s", i ? ", " : "", entry->choices[i]);
}

static int choice_set(const struct option_entry *entry, const char *text, unsigned *ret,
                      struct error **err)
{
    struct text_nearest search = TEXT_NEAREST_INIT(text);
    for (unsigned i = 0; entry->choices[i]; i++) {
        if (strcmp(entry->choices[i], text) == 0) {
            *ret = i;
            return 0;
        }
        text_nearest_offer(&search, entry->choices[i]);
    }
    if (search.best)
        return error_make(err, EINVAL, "\"%s\" is no choice; did you mean %s?", text, search.best);
    cleanup_buffer struct buffer choices = BUFFER_INIT(CHOICES_TEXT_MAX);
    append_choices(entry, &choices);
    return error_make(err, EINVAL, "\"%s\" is no choice; give one of %s", text,
                      buffer_terminate(&choices));
}

static void list_append(struct option_list *list, const char *text, bool again)
{
    if (!again)
        option_list_free(list);
    list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = text;
}

int option_value_set(const struct option_entry *entry, void *destination, const char *text,
                     bool again, struct error **err)
{
    void *at = (char *)destination + entry->offset;
    uint64_t number = 0;
    int ret = 0;
    switch (entry->kind) {
    case OPTION_FLAG:
        *(bool *)at = strcmp(text, "false") != 0;
        break;
    case OPTION_STRING:
        *(const char **)at = text;
        break;
    case OPTION_UNSIGNED:
        ret = text_parse_unsigned(text, entry->min, upper_bound(entry), &number, err);
        if (ret == 0)
            *(unsigned *)at = (unsigned)number;
        break;
    case OPTION_UINT64:
        ret = text_parse_unsigned(text, entry->min, upper_bound(entry), at, err);
        break;
    case OPTION_DURATION:
        ret = duration_set(entry, text, at, err);
        break;
    case OPTION_SIZE:
        ret = text_parse_size(text, entry->min, upper_bound(entry), &number, err);
        if (ret == 0)
            *(size_t *)at = (size_t)number;
        break;
    case OPTION_DOUBLE:
        ret = text_parse_double(text, is_bounded(entry) ? entry->low : -INFINITY,
                                is_bounded(entry) ? entry->high : INFINITY, at, err);
        break;
    case OPTION_CHOICE:
        ret = choice_set(entry, text, at, err);
        break;
    case OPTION_LIST:
        list_append(at, text, again);
        break;
    }
    return ret;
}

static size_t destination_size(enum option_kind kind)
{
    switch (kind) {
    case OPTION_FLAG:
        return sizeof(bool);
    case OPTION_STRING:
        return sizeof(const char *);
    case OPTION_UNSIGNED:
    case OPTION_CHOICE:
        return sizeof(unsigned);
    case OPTION_UINT64:
    case OPTION_DURATION:
        return sizeof(uint64_t);
    case OPTION_SIZE:
        return sizeof(size_t);
    case OPTION_DOUBLE:
        return sizeof(double);
    case OPTION_LIST:
        return sizeof(struct option_list);
    }
    abort();
}

void option_value_default(const struct option_entry *entry, void *destination)
{
    cleanup_error struct error *err = NULL;
    memset((char *)destination + entry->offset, 0, destination_size(entry->kind));
    if (!entry->fallback)
        return;
    if (option_value_set(entry, destination, entry->fallback, false, &err) < 0) {
        fprintf(stderr, "default of --%s: %s\n", entry->name, error_message(err));
        abort(); /* a mistake in the table, found at the first start */
    }
}

void option_value_free(const struct option_entry *entry, void *destination)
{
    if (entry->kind == OPTION_LIST)
        option_list_free((void *)((char *)destination + entry->offset));
}

void option_list_free(struct option_list *list)
{
    free((void *)list->items);
    *list = (struct option_list){0, NULL};
}

static void append_bounds(const struct option_entry *entry, struct buffer *out)
{
    char low[DURATION_TEXT_MAX], high[DURATION_TEXT_MAX];
    switch (entry->kind) {
    case OPTION_UNSIGNED:
    case OPTION_UINT64:
        if (entry->max)
            buffer_printf(out, "%" PRIu64 " to %" PRIu64, entry->min, entry->max);
        break;
    case OPTION_DURATION:
        if (entry->max)
            buffer_printf(out, "%s to %s", duration_format(entry->min, low),
                          duration_format(entry->max, high));
        break;
    case OPTION_SIZE:
        if (entry->max)
            buffer_printf(out, "%s to %s", text_format_size(entry->min, low),
                          text_format_size(entry->max, high));
        break;
    case OPTION_DOUBLE:
        if (is_bounded(entry))
            buffer_printf(out, "%g to %g", entry->low, entry->high);
        break;
    case OPTION_CHOICE:
        append_choices(entry, out);
        break;
    case OPTION_FLAG:
    case OPTION_STRING:
    case OPTION_LIST:
        break;
    }
}

void option_append_details(const struct option_entry *entry, struct buffer *out)
{
    cleanup_buffer struct buffer details = BUFFER_INIT(CHOICES_TEXT_MAX);
    append_bounds(entry, &details);
    if (entry->fallback)
        buffer_printf(&details, "%sdefault: %s", details.length ? "; " : "", entry->fallback);
    if (details.length)
        buffer_printf(out, " (%s)", buffer_terminate(&details));
    if (entry->kind == OPTION_LIST)
        buffer_puts(out, " May be given several times.");
}
