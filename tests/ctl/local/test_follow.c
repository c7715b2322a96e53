#include "ctl/local/follow.h"

#include <criterion/criterion.h>

Test(follow, knows_which_logs_are_meant)
{
    static const struct {
        const char *name, *which;
        bool matches;
    } cases[] = {
        {"s0-0.log", NULL, true},     {"s0-0.log.1", NULL, false},  {".log", NULL, false},
        {"s0-0.log", "s0", true},     {"s0-12.log", "s0", true},    {"s0-0.log", "s0-0", true},
        {"s0-0.log", "s0-1", false},  {"s0-0.log", "s", false},     {"s0-b-1.log", "s0", false},
        {"s0-b-1.log", "s0-b", true}, {"s0-10.log", "s0-1", false}, {"s0-.log", "s0", false},
        {"s0-1x.log", "s0", false},   {"s0-0.log", "", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(follow_matches(cases[i].name, cases[i].which), cases[i].matches, "%s of %s",
                     cases[i].name, cases[i].which ? cases[i].which : "all");
}
