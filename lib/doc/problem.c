#include "doc/problem.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"

void problem_add(struct problems *problems, const char *format, ...)
{
    va_list arguments;

    if (problems->count++ >= PROBLEMS_MAX)
        return;
    if (!problems->texts)
        problems->texts = xcalloc(PROBLEMS_MAX, sizeof(*problems->texts));
    va_start(arguments, format);
    problems->texts[problems->count - 1] = text_one_line(xvasprintf(format, arguments));
    va_end(arguments);
}

void problems_print(const struct problems *problems, FILE *file, const char *prefix)
{
    for (size_t i = 0; i < problems->count && i < PROBLEMS_MAX; i++)
        fprintf(file, "%s%s\n", prefix, problems->texts[i]);
    if (problems->count > PROBLEMS_MAX)
        fprintf(file, "%s... and %zu more\n", prefix, problems->count - PROBLEMS_MAX);
}

void problems_free(struct problems *problems)
{
    for (size_t i = 0; i < problems->count && i < PROBLEMS_MAX; i++)
        free(problems->texts[i]);
    free(problems->texts);
    *problems = (struct problems)PROBLEMS_INIT;
}
