#include "ctl/terminal.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/memory.h"

static bool styled(FILE *file)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    if ((no_color && no_color[0]) || (term && strcmp(term, "dumb") == 0))
        return false;
    return isatty(fileno(file));
}

const char *terminal_style(FILE *file, enum terminal_style style)
{
    static const char *const codes[] = {
        [STYLE_NONE] = "\033[0m",   [STYLE_BOLD] = "\033[1m",    [STYLE_RED] = "\033[31m",
        [STYLE_GREEN] = "\033[32m", [STYLE_YELLOW] = "\033[33m", [STYLE_DIM] = "\033[2m",
    };
    return styled(file) ? codes[style] : "";
}

static bool own_file;

void terminal_own_file(void)
{
    own_file = true;
}

/* A supervisor may print for months. */
static void cap_file(void)
{
    struct stat status;
    if (own_file && fstat(STDERR_FILENO, &status) == 0 && status.st_size > TERMINAL_FILE_MAX &&
        ftruncate(STDERR_FILENO, 0) < 0)
        own_file = false;
}

static void __attribute__((format(printf, 2, 0)))
print(enum terminal_style style, const char *format, va_list arguments)
{
    cleanup_free char *text = xvasprintf(format, arguments);
    cap_file();
    fprintf(stderr, "dpumesh: %s%s%s\n", style == STYLE_NONE ? "" : terminal_style(stderr, style),
            text, style == STYLE_NONE ? "" : terminal_style(stderr, STYLE_NONE));
    fflush(stderr);
}

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print(STYLE_NONE, format, arguments);
    va_end(arguments);
}

int complain(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print(STYLE_RED, format, arguments);
    va_end(arguments);
    return status;
}
