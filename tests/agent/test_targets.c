/* Names and their numbers. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/targets.h"

static uint16_t number(const char *name)
{
    return target_number(name, strlen(name));
}

Test(targets, a_name_keeps_its_number)
{
    uint16_t s1 = number("s1"), s2 = target_number("s2xyz", 2);
    cr_assert_neq(s1, s2);
    cr_assert_eq(number("s1"), s1);
    cr_assert_eq(number("s2"), s2);
    cr_assert_str_eq(target_name(s2), "s2");
    cr_assert_neq(number("s2x"), s2);
}

Test(targets, what_is_no_service_has_none)
{
    static const char *const names[] = {
        "",    "S1",       "1s",
        "s_1", "s1.other", "s1/",
        "s1-", "a b",      "a123456789012345678901234567890123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect_eq(number(names[i]), TARGET_NONE, "%s", names[i]);
    cr_expect_eq(target_number("s1\0x", 4), TARGET_NONE);
}

Test(targets, the_table_has_an_end)
{
    char name[16];
    uint16_t first = number("first");
    for (unsigned i = 1; i < TARGETS_MAX; i++) {
        snprintf(name, sizeof name, "s%u", i);
        cr_assert_neq(number(name), TARGET_NONE, "%s", name);
    }
    cr_assert_eq(number("one-more"), TARGET_NONE);
    cr_assert_eq(number("first"), first);
    cr_assert_eq(number(name), TARGETS_MAX - 1);
}
