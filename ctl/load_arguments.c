#include "ctl/load_arguments.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

/* They say where the test runs, which is settled there. */
static bool stays_here(const char *name)
{
    static const char *const names[] = {"in-cluster", "namespace", "image", "kubeconfig",
                                        "context"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static const void *value_of(const struct option_entry *entry, const struct load_options *load)
{
    return (const char *)load + entry->offset;
}

/* One value as a user would write it, for the kinds that the table of load has. */
static json_t *argument_of(const struct option_entry *entry, const struct load_options *load)
{
    const void *value = value_of(entry, load);
    char duration[DURATION_TEXT_MAX];
    switch (entry->kind) {
    case OPTION_FLAG:
        return json_sprintf("--%s", entry->name);
    case OPTION_STRING:
        return json_sprintf("--%s=%s", entry->name, *(const char *const *)value);
    case OPTION_UNSIGNED:
        return json_sprintf("--%s=%u", entry->name, *(const unsigned *)value);
    case OPTION_UINT64:
        return json_sprintf("--%s=%" PRIu64, entry->name, *(const uint64_t *)value);
    case OPTION_DURATION:
        return json_sprintf("--%s=%s", entry->name,
                            duration_format(*(const uint64_t *)value, duration));
    case OPTION_SIZE:
        return json_sprintf("--%s=%zu", entry->name, *(const size_t *)value);
    case OPTION_DOUBLE:
        return json_sprintf("--%s=%.17g", entry->name, *(const double *)value);
    case OPTION_CHOICE:
        return json_sprintf("--%s=%s", entry->name, entry->choices[*(const unsigned *)value]);
    case OPTION_LIST:
        break;
    }
    return NULL;
}

static void add_list(const struct option_entry *entry, const struct load_options *load,
                     json_t *arguments)
{
    const struct option_list *list = value_of(entry, load);
    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(arguments, json_sprintf("--%s=%s", entry->name, list->items[i]));
}

static int add_body(const char *option, json_t *arguments, struct error **err)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(LOAD_ARGUMENT_MAX);
    int r = option[0] == '@' ? file_read(option + 1, &text, err) : buffer_puts(&text, option);
    if (r == -EFBIG || r == -ENOBUFS)
        return error_make(err, EINVAL,
                          "--body: longer than %d bytes, which a pod's argument can't be",
                          LOAD_ARGUMENT_MAX);
    if (r < 0)
        return error_prefix(err, -EINVAL, "--body");
    if (option[0] == '@' && text.length > 0 && text.data[0] == '@')
        return error_make(err, EINVAL, "--body: %s begins with @, which means a file in the pod",
                          option + 1);
    if (memchr(buffer_terminate(&text), '\0', text.length) ||
        !text_utf8_valid(text.data, text.length))
        return error_make(err, EINVAL,
                          "--body: %s is not UTF-8 text, which a pod's argument has "
                          "to be",
                          option[0] == '@' ? option + 1 : "it");
    json_array_append_new(arguments, json_sprintf("--body=%s", text.data));
    return 0;
}

int load_arguments(const struct option_command *command, const struct options *given,
                   const struct load_options *load, json_t **ret_arguments, struct error **err)
{
    json_auto_t *arguments = json_array();
    for (size_t i = 0; i < command->entry_count; i++) {
        const struct option_entry *entry = &command->entries[i];
        if (!options_given(given, entry->name) || stays_here(entry->name))
            continue;
        if (strcmp(entry->name, "body") == 0) {
            int r = add_body(load->body, arguments, err);
            if (r < 0)
                return r;
        } else if (entry->kind == OPTION_LIST) {
            add_list(entry, load, arguments);
        } else {
            json_array_append_new(arguments, argument_of(entry, load));
        }
    }
    *ret_arguments = json_incref(arguments);
    return 0;
}
