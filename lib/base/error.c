#include "base/error.h"

#include <stdarg.h>

#include "base/memory.h"
#include "base/text.h"

struct error {
    int number;
    char *message;
};

int error_make(struct error **err, int number, const char *format, ...)
{
    if (err) {
        struct error *made = xmalloc(sizeof(*made));
        va_list arguments;
        va_start(arguments, format);
        made->number = number;
        made->message = text_one_line(xvasprintf(format, arguments));
        va_end(arguments);
        /* Freed last: the arguments may point into the sentence that is replaced. */
        error_free(*err);
        *err = made;
    }
    return -number;
}

int error_prefix(struct error **err, int ret, const char *format, ...)
{
    if (err && *err) {
        va_list arguments;
        va_start(arguments, format);
        cleanup_free char *prefix = text_one_line(xvasprintf(format, arguments));
        va_end(arguments);
        cleanup_free char *old = (*err)->message;
        (*err)->message = xasprintf("%s: %s", prefix, old);
    }
    return ret;
}

const char *error_message(const struct error *err)
{
    return err ? err->message : "no error";
}

int error_number(const struct error *err)
{
    return err ? err->number : 0;
}

void error_free(struct error *err)
{
    if (!err)
        return;
    free(err->message);
    free(err);
}
