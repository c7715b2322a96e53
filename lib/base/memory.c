#include "base/memory.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

/* Ends the process without allocating: stdio could want memory too. */
static _Noreturn void out_of_memory(void)
{
    static const char sentence[] = "out of memory\n";
    ssize_t ignored = write(STDERR_FILENO, sentence, sizeof(sentence) - 1);
    (void)ignored;
    _exit(EX_OSERR);
}

void *xmalloc(size_t size)
{
    void *pointer = malloc(size ? size : 1);
    if (!pointer)
        out_of_memory();
    return pointer;
}

void *xcalloc(size_t count, size_t size)
{
    void *pointer = count && size ? calloc(count, size) : calloc(1, 1);
    if (!pointer)
        out_of_memory();
    return pointer;
}

void *xreallocarray(void *pointer, size_t count, size_t size)
{
    /* A size of zero would free the old block and return NULL. */
    void *resized = count && size ? reallocarray(pointer, count, size) : realloc(pointer, 1);
    if (!resized)
        out_of_memory();
    return resized;
}

char *xstrdup(const char *text)
{
    return xstrndup(text, strlen(text));
}

char *xstrndup(const char *text, size_t length)
{
    length = strnlen(text, length);
    char *copy = xmalloc(length + 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *xasprintf(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = xvasprintf(format, arguments);
    va_end(arguments);
    return text;
}

char *xvasprintf(const char *format, va_list arguments)
{
    char *text;
    if (vasprintf(&text, format, arguments) < 0)
        out_of_memory();
    return text;
}

/* Read-only segments of one object: clean copies of a file, which can always be read again. */
static int let_go(struct dl_phdr_info *object, size_t size, void *context)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)size;
    (void)context;
    /* The vDSO is no file. */
    if (!object->dlpi_name || strstr(object->dlpi_name, "vdso"))
        return 0;
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || segment->p_flags & PF_W)
            continue;
        uintptr_t begin = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
        uintptr_t end = object->dlpi_addr + segment->p_vaddr + segment->p_filesz;
        madvise((void *)begin, (end - begin + page - 1) & ~(page - 1), MADV_DONTNEED);
    }
    return 0;
}

void memory_trim(void)
{
    malloc_trim(0);
    dl_iterate_phdr(let_go, NULL);
}
