#include "kube/base64.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static void decodes(const char *text, const char *bytes, size_t length)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(1000);
    cr_assert_eq(kube_base64_decode(text, strlen(text), &out), 0, "%s", text);
    cr_assert_eq(out.length, length, "%s", text);
    cr_assert(length == 0 || memcmp(out.data, bytes, length) == 0, "%s", text);
}

static void refuses(const char *text)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(1000);
    buffer_puts(&out, "kept");
    cr_assert_eq(kube_base64_decode(text, strlen(text), &out), -EINVAL, "%s", text);
    cr_assert_str_eq(buffer_terminate(&out), "kept");
}

Test(base64, vectors_of_rfc_4648)
{
    static const char *const texts[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                        "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cleanup_buffer struct buffer out = BUFFER_INIT(100);
        decodes(texts[i], "foobar", i);
        cr_assert_eq(kube_base64_encode("foobar", i, &out), 0);
        cr_assert_str_eq(buffer_terminate(&out), texts[i]);
    }
    decodes("Zm9v\nYmFy\r\n", "foobar", 6);
    decodes("+/+/", "\xfb\xff\xbf", 3);
}

Test(base64, is_strict)
{
    static const char *const bad[] = {
        "Z",     "Zg",     "Zg=",    "Zg===",    "Zg==Zg==", "=Zg=",   "Z===",
        "Z=g=",  "====",   "Zh==",   "Zm9=",     "Zm-_",     "Zm9 ",   " Zm9v",
        "Zm9v=", "Zm9v==", "Zm\t9v", "Zm9v\x80", "Zg=g",     "Zg==\n="};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuses(bad[i]);
}

Test(base64, comes_back_as_written)
{
    unsigned char bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 151 + i / 7);
    for (size_t length = 0; length <= sizeof(bytes); length++) {
        cleanup_buffer struct buffer text = BUFFER_INIT(400), back = BUFFER_INIT(300);
        cr_assert_eq(kube_base64_encode((const char *)bytes, length, &text), 0);
        cr_assert_eq(text.length, (length + 2) / 3 * 4);
        cr_assert_eq(kube_base64_decode(buffer_terminate(&text), text.length, &back), 0);
        cr_assert_eq(back.length, length);
        cr_assert(length == 0 || memcmp(back.data, bytes, length) == 0);
    }
}

Test(base64, has_a_cap)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(5);
    cr_assert_eq(kube_base64_decode("Zm9vYmFy", 8, &out), -ENOBUFS);
    cr_assert_eq(out.length, 0);
    cr_assert_eq(kube_base64_encode("foob", 4, &out), -ENOBUFS);
    cr_assert_eq(out.length, 0);
}
