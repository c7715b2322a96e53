#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "model/pi.h"

/*
 * Digits by Machin's formula, pi = 16 arctan(1/5) - 4 arctan(1/239), in fixed point with nine
 * digits a word: another way than the one that is tested.
 */
enum { WORD = 1000000000 };

struct number {
    size_t words; /* word 0 is the integer part */
    uint32_t *at;
};

static struct number number_new(size_t words)
{
    return (struct number){words, xcalloc(words, sizeof(uint32_t))};
}

static bool divide(struct number n, uint32_t divisor)
{
    uint64_t rest = 0;
    bool zero = true;
    for (size_t i = 0; i < n.words; i++) {
        uint64_t value = rest * WORD + n.at[i];
        n.at[i] = (uint32_t)(value / divisor);
        rest = value % divisor;
        zero &= n.at[i] == 0;
    }
    return !zero;
}

static void add(struct number to, struct number n, bool subtract)
{
    int64_t carry = 0;
    for (size_t i = to.words; i-- > 0;) {
        int64_t value =
            (int64_t)to.at[i] + (subtract ? -(int64_t)n.at[i] : (int64_t)n.at[i]) + carry;
        carry = value < 0 ? -1 : value >= WORD ? 1 : 0;
        to.at[i] = (uint32_t)(value - carry * WORD);
    }
}

/* sum += sign * factor * arctan(1/x) */
static void add_arctan(struct number sum, uint32_t factor, uint32_t x, bool minus)
{
    struct number power = number_new(sum.words), term = number_new(sum.words);
    power.at[0] = factor * x;
    bool more = true;
    for (uint32_t odd = 1; more; odd += 2, minus = !minus) {
        more = divide(power, x * x);
        for (size_t i = 0; i < sum.words; i++)
            term.at[i] = power.at[i];
        divide(term, odd);
        add(sum, term, minus);
    }
    free(power.at);
    free(term.at);
}

static char *machin(size_t digits)
{
    struct number pi = number_new(digits / 9 + 5);
    add_arctan(pi, 16, 5, false);
    add_arctan(pi, 4, 239, true);
    char *text = xmalloc(pi.words * 9 + 2), *out = text;
    out += snprintf(out, 2, "%u", pi.at[0]);
    for (size_t i = 1; i < pi.words; i++)
        out += snprintf(out, 10, "%09u", pi.at[i]);
    free(pi.at);
    return text;
}

static uint32_t last_nine(const char *text, uint32_t digits)
{
    uint32_t value = 0;
    for (uint32_t i = digits > 9 ? digits - 9 : 0; i < digits; i++)
        value = value * 10 + (uint32_t)(text[i] - '0');
    return value;
}

Test(pi, gives_the_digits_of_pi, .timeout = 60)
{
    char *digits = machin(3000);
    cr_assert_arr_eq(digits, "31415926535897932384626433832795028841971693993751", 50);
    /* The six nines at the 762nd place, behind which a digit can't be told for long. */
    cr_assert_arr_eq(digits + 762, "999999", 6);
    for (uint32_t n = 1; n <= 800; n += n < 20 || n > 750 ? 1 : 13)
        cr_assert_eq(pi_digits(n), last_nine(digits, n), "%u digits", n);
    static const uint32_t some[] = {1000, 1763, 3000};
    for (unsigned i = 0; i < sizeof some / sizeof some[0]; i++)
        cr_assert_eq(pi_digits(some[i]), last_nine(digits, some[i]), "%u digits", some[i]);
    free(digits);
}
