#include "base/memory.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

Test(memory, allocates)
{
    cleanup_free char *nothing = xmalloc(0);
    cr_assert_not_null(nothing);
    cleanup_free char *none = xcalloc(0, 8);
    cr_assert_not_null(none);
    cleanup_free unsigned *zeros = xcalloc(100, sizeof(unsigned));
    for (size_t i = 0; i < 100; i++)
        cr_assert_eq(zeros[i], 0);
    zeros[99] = 7;
    zeros = xreallocarray(zeros, 1000, sizeof(unsigned));
    cr_assert_eq(zeros[99], 7);
    zeros = xreallocarray(zeros, 0, sizeof(unsigned));
    cr_assert_not_null(zeros);

    cleanup_free char *copy = xstrdup("text");
    cr_assert_str_eq(copy, "text");
    cleanup_free char *part = xstrndup("text", 2);
    cr_assert_str_eq(part, "te");
    cleanup_free char *whole = xstrndup("text", 200);
    cr_assert_str_eq(whole, "text");
    cleanup_free char *printed = xasprintf("%s %d", "a", 1);
    cr_assert_str_eq(printed, "a 1");
}

/* What a child that runs out of memory in `way` prints, and its status. */
static int child_status(int way, char *text, size_t size)
{
    int pipes[2], status;
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        dup2(pipes[1], STDERR_FILENO);
        volatile size_t half = SIZE_MAX / 2 + 1;
        if (way == 0)
            free(xreallocarray(NULL, half, 2));
        else
            free(xcalloc(half, 2));
        _exit(0);
    }
    close(pipes[1]);
    size_t length = 0;
    for (ssize_t got = 1; got > 0 && length<size - 1; length += got> 0 ? (size_t)got : 0)
        got = read(pipes[0], text + length, size - 1 - length);
    text[length] = '\0';
    close(pipes[0]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(memory, an_impossible_size_ends_the_process)
{
    for (int way = 0; way < 2; way++) {
        char text[8000] = "";
        int status = child_status(way, text, sizeof(text));
        /* A sanitizer's allocator reports an overflowing product by itself, as an error. */
        if (strstr(text, "Sanitizer") == NULL) {
            cr_assert_eq(status, 71);
            cr_assert_str_eq(text, "out of memory\n");
        }
        cr_assert_neq(status, 0);
    }
}

/* A figure of /proc/self/status in KiB. */
static unsigned long status_kib(const char *name)
{
    char line[256];
    unsigned long value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtoul(line + strlen(name) + 1, NULL, 10);
    fclose(file);
    return value;
}

Test(memory, what_starting_took_is_given_back_and_the_program_goes_on)
{
    unsigned long before = status_kib("RssFile");
    for (int i = 0; i < 3; i++)
        memory_trim();
    unsigned long after = status_kib("RssFile");
    cr_assert_lt(after, before);
    /* Code that was let go of runs as before. */
    cleanup_free char *text = xasprintf("%d and %s", 7, "seven");
    cr_assert_str_eq(text, "7 and seven");
}
