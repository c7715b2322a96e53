/*
 * The value of a Warning header. Whatever the bytes, reading them ends and touches no foreign
 * memory, each warning is a text that is not empty and within its cap, and what is read of a value
 * is read of it when something follows behind a comma, too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kube/client_warning.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_BYTES = 64, ALL_BYTES = 1 << 22 };

/* Appends each text with its length in front. */
static size_t read_all(const char *value, size_t length, struct buffer *all)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(TEXT_BYTES);
    const char *at = value, *end = value + length, *before = at;
    size_t count = 0;
    while (kube_warning_next(&at, end, &text)) {
        REQUIRE(at > before && at <= end);
        REQUIRE(text.length > 0 && text.length <= TEXT_BYTES);
        buffer_printf(all, "%zu:", text.length);
        buffer_append(all, text.data, text.length);
        before = at;
        count++;
    }
    REQUIRE(at == end);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char more[] = ",299 - \"more\"";
    cleanup_buffer struct buffer once = BUFFER_INIT(ALL_BYTES), longer = BUFFER_INIT(ALL_BYTES);
    char *value = xmalloc(size + sizeof(more));
    memcpy(value, data, size);
    /* Of its own length, so that a read past the end is seen. */
    char *exact = xmalloc(size ? size : 1);
    memcpy(exact, data, size);
    size_t count = read_all(exact, size, &once);
    memcpy(value + size, more, sizeof(more) - 1);
    REQUIRE(read_all(value, size + sizeof(more) - 1, &longer) >= count);
    REQUIRE(longer.length >= once.length &&
            (once.length == 0 || memcmp(once.data, longer.data, once.length) == 0));
    free(value);
    free(exact);
    return 0;
}
