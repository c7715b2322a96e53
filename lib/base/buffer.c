#include "base/buffer.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { CAPACITY_FIRST = 64 };

/*
 * Grows to hold length + more bytes and a NUL. Doubling keeps appends linear; the cap keeps the
 * last doubling from allocating nearly twice of what may ever be used. The byte for the NUL comes
 * on top of max so that buffer_terminate() can't fail.
 */
int buffer_reserve(struct buffer *buffer, size_t more)
{
    if (more > buffer->max - buffer->length)
        return -ENOBUFS;
    size_t need = buffer->length + more;
    if (need < buffer->capacity)
        return 0;
    size_t capacity = buffer->capacity ? buffer->capacity : CAPACITY_FIRST;
    while (capacity <= need && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    if (capacity > buffer->max)
        capacity = buffer->max + (buffer->max < SIZE_MAX);
    buffer->data = xreallocarray(buffer->data, capacity, 1);
    buffer->capacity = capacity;
    return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return 0;
    int ret = buffer_reserve(buffer, size);
    if (ret < 0)
        return ret;
    memcpy(buffer->data + buffer->length, data, size);
    buffer->length += size;
    return 0;
}

int buffer_puts(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int ret = buffer_vprintf(buffer, format, arguments);
    va_end(arguments);
    return ret;
}

int buffer_vprintf(struct buffer *buffer, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    /* Most text fits in what is there; what does not is measured by the same call. */
    size_t room = buffer->capacity - buffer->length;
    int size = vsnprintf(room ? buffer->data + buffer->length : NULL, room, format, arguments);
    int ret = size < 0 ? -EINVAL : buffer_reserve(buffer, (size_t)size);
    if (ret == 0 && (size_t)size >= room)
        vsnprintf(buffer->data + buffer->length, (size_t)size + 1, format, again);
    if (ret == 0)
        buffer->length += (size_t)size;
    va_end(again);
    return ret;
}

char *buffer_terminate(struct buffer *buffer)
{
    buffer_reserve(buffer, 0); /* can't fail: the NUL's byte lies beyond max */
    buffer->data[buffer->length] = '\0';
    return buffer->data;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    if (size >= buffer->length) {
        buffer->length = 0;
    } else if (size > 0) {
        memmove(buffer->data, buffer->data + size, buffer->length - size);
        buffer->length -= size;
    }
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer)BUFFER_INIT(buffer->max);
}
