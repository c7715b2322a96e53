#include "ctl/assign.h"

#include <criterion/criterion.h>
#include <string.h>

Test(assign, reads_lists)
{
    cleanup_assignments struct assignments list = ASSIGNMENTS_INIT;
    cr_assert_eq(assignments_parse("s0=3", 1000, &list, NULL), 0);
    cr_assert_eq(assignments_parse("s1=0,a-b=1000", 1000, &list, NULL), 0);
    cr_assert_eq(list.count, 3);
    cr_assert_str_eq(list.items[0].service, "s0");
    cr_assert_eq(list.items[0].replicas, 3);
    cr_assert_str_eq(list.items[1].service, "s1");
    cr_assert_eq(list.items[1].replicas, 0);
    cr_assert_str_eq(list.items[2].service, "a-b");
    cr_assert_eq(list.items[2].replicas, 1000);
}

Test(assign, refuses_with_what_would_be_right)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "s0=3"},
        {"s0", "\"s0\" is not SERVICE=N"},
        {"=3", "is not SERVICE=N"},
        {"s0=", "of s0"},
        {"s0=-1", "of s0"},
        {"s0=x", "of s0"},
        {"s0=1001", "1000"},
        {"s0=1,", "is not SERVICE=N"},
        {"s0=1,s0=2", "twice"},
        {"s0=1.5", "of s0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_assignments struct assignments list = ASSIGNMENTS_INIT;
        cr_expect_lt(assignments_parse(cases[i].text, 1000, &list, &err), 0, "%s", cases[i].text);
        cr_expect(strstr(error_message(err), cases[i].says), "%s: %s", cases[i].text,
                  error_message(err));
    }
}
