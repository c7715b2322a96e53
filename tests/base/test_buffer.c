#include "base/buffer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

Test(buffer, holds_what_is_appended)
{
    cleanup_buffer struct buffer buffer = BUFFER_INIT(1000);
    cr_assert_eq(buffer_puts(&buffer, "one"), 0);
    cr_assert_eq(buffer_append(&buffer, "\0two", 4), 0);
    cr_assert_eq(buffer_append(&buffer, NULL, 0), 0);
    cr_assert_eq(buffer_printf(&buffer, "%s-%d", "three", 3), 0);
    cr_assert_eq(buffer.length, 14);
    cr_assert_arr_eq(buffer_terminate(&buffer), "one\0twothree-3", 15);
    cr_assert_eq(buffer.length, 14, "the NUL is not counted");

    /* Text longer than the first allocation, in one call. */
    buffer_clear(&buffer);
    cr_assert_eq(buffer_printf(&buffer, "%0200d", 7), 0);
    cr_assert_eq(buffer.length, 200);
    cr_assert_eq(buffer.data[199], '7');
    cr_assert_eq(buffer.data[0], '0');
}

Test(buffer, cap_is_exact)
{
    static const size_t caps[] = {0, 1, 2, 63, 64, 65, 127, 128, 129, 1000};
    for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        cleanup_buffer struct buffer buffer = BUFFER_INIT(caps[i]);
        for (size_t n = 0; n < caps[i]; n++)
            cr_assert_eq(buffer_append(&buffer, "x", 1), 0, "cap %zu, byte %zu", caps[i], n);
        cr_assert_eq(buffer_append(&buffer, "x", 1), -ENOBUFS);
        cr_assert_eq(buffer_puts(&buffer, "x"), -ENOBUFS);
        cr_assert_eq(buffer_printf(&buffer, "%s", "x"), -ENOBUFS);
        cr_assert_eq(buffer_reserve(&buffer, 1), -ENOBUFS);
        cr_assert_eq(buffer_reserve(&buffer, SIZE_MAX), -ENOBUFS);
        cr_assert_eq(buffer_reserve(&buffer, 0), 0);
        cr_assert_eq(buffer.length, caps[i]);
        cr_assert_eq(strlen(buffer_terminate(&buffer)), caps[i]);
        cr_assert_leq(buffer.capacity, caps[i] < 64 ? 64 : caps[i] + 1,
                      "the last doubling stops at the cap");
    }
    /* A refused append leaves everything as it was, also when part of it would fit. */
    cleanup_buffer struct buffer buffer = BUFFER_INIT(8);
    cr_assert_eq(buffer_puts(&buffer, "12345"), 0);
    cr_assert_eq(buffer_printf(&buffer, "%s", "6789"), -ENOBUFS);
    cr_assert_eq(buffer_append(&buffer, "6789", 4), -ENOBUFS);
    cr_assert_eq(buffer_printf(&buffer, "%s", "678"), 0);
    cr_assert_str_eq(buffer_terminate(&buffer), "12345678");
}

Test(buffer, grows_by_doubling)
{
    cleanup_buffer struct buffer buffer = BUFFER_INIT(1 << 20);
    size_t allocations = 0, capacity = 0;
    for (size_t i = 0; i < 1 << 20; i++) {
        cr_assert_eq(buffer_append(&buffer, "y", 1), 0);
        allocations += buffer.capacity != capacity;
        capacity = buffer.capacity;
    }
    cr_assert_leq(allocations, 16);
    /* Without a cap to speak of, too. */
    cleanup_buffer struct buffer endless = BUFFER_INIT(SIZE_MAX);
    cr_assert_eq(buffer_reserve(&endless, 100000), 0);
    cr_assert_lt(endless.capacity, 300000);
}

Test(buffer, gives_back)
{
    cleanup_buffer struct buffer buffer = BUFFER_INIT(100);
    cr_assert_str_eq(buffer_terminate(&buffer), "", "empty ones terminate too");
    cr_assert_eq(buffer_puts(&buffer, "abcdef"), 0);
    buffer_consume(&buffer, 0);
    cr_assert_eq(buffer.length, 6);
    buffer_consume(&buffer, 2);
    cr_assert_str_eq(buffer_terminate(&buffer), "cdef");
    buffer_consume(&buffer, 100);
    cr_assert_eq(buffer.length, 0);
    char *data = buffer.data;
    cr_assert_eq(buffer_puts(&buffer, "again"), 0);
    cr_assert_eq(buffer.data, data, "clearing keeps the memory");
    buffer_free(&buffer);
    cr_assert_null(buffer.data);
    cr_assert_eq(buffer.max, 100);
    cr_assert_eq(buffer_puts(&buffer, "usable"), 0);
}
