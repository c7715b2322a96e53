#include "kube/base64.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The six bits of a digit, or -1. */
static int digit_value(char digit)
{
    const char *at = digit ? strchr(alphabet, digit) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

/* Four digits being collected. */
struct quantum {
    uint32_t bits;
    unsigned digits, padding;
};

static bool quantum_add(struct quantum *quantum, char c)
{
    int value = digit_value(c);
    if (c == '=' && quantum->digits >= 2)
        quantum->padding++;
    else if (value < 0 || quantum->padding > 0)
        return false;
    quantum->bits = quantum->bits << 6 | (c == '=' ? 0 : (uint32_t)value);
    quantum->digits++;
    return true;
}

/* Appends the bytes of a full quantum. */
static int quantum_flush(const struct quantum *quantum, struct buffer *out)
{
    const unsigned char bytes[3] = {(unsigned char)(quantum->bits >> 16),
                                    (unsigned char)(quantum->bits >> 8),
                                    (unsigned char)quantum->bits};
    size_t count = 3 - quantum->padding;
    for (size_t i = count; i < 3; i++)
        if (bytes[i])
            return -EINVAL;
    return buffer_append(out, bytes, count);
}

int kube_base64_decode(const char *text, size_t length, struct buffer *out)
{
    struct quantum quantum = {0};
    size_t before = out->length;
    bool ended = false;
    int ret = 0;

    for (size_t i = 0; i < length && ret == 0; i++) {
        if (text[i] == '\n' || text[i] == '\r')
            continue;
        if (ended || !quantum_add(&quantum, text[i])) {
            ret = -EINVAL;
        } else if (quantum.digits == 4) {
            ret = quantum_flush(&quantum, out);
            ended = quantum.padding > 0;
            quantum = (struct quantum){0};
        }
    }
    if (ret == 0 && quantum.digits > 0)
        ret = -EINVAL;
    if (ret < 0)
        out->length = before;
    return ret;
}

int kube_base64_encode(const char *bytes, size_t length, struct buffer *out)
{
    if (length > SIZE_MAX / 2 || buffer_reserve(out, (length + 2) / 3 * 4) < 0)
        return -ENOBUFS;
    for (size_t i = 0; i < length; i += 3) {
        size_t count = length - i < 3 ? length - i : 3;
        uint32_t bits = 0;
        for (size_t j = 0; j < 3; j++)
            bits = bits << 8 | (j < count ? (unsigned char)bytes[i + j] : 0);
        char digits[4] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63],
                          count > 1 ? alphabet[bits >> 6 & 63] : '=',
                          count > 2 ? alphabet[bits & 63] : '='};
        buffer_append(out, digits, sizeof(digits));
    }
    return 0;
}
