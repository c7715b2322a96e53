#include <criterion/criterion.h>

#include "obs/registry.h"

Test(query, names_families_or_means_all)
{
    static const struct {
        const char *query;
        bool asks_a, asks_total;
    } cases[] = {
        {"", true, true},
        {"verbose", true, true},
        {"name=a", true, true},
        {"names[]=a&name[=a&name%5=a", true, true},
        {"&&=&", true, true},
        {"name[]=a", true, false},
        {"name[]=a_total", false, true},
        {"name[]=a&name[]=a_total", true, true},
        {"name%5B%5d=a%5ftotal", false, true},
        {"%6Eame[]=%61", true, false},
        {"x=y&name[]=a&z", true, false},
        {"name[]=a#&name[]=a_total", true, false},
        {"x#name[]=a", true, true},
        {"name[]", false, false},
        {"name[]=", false, false},
        {"name[]=b", false, false},
        {"name[]=A", false, false},
        {"name[]=a_", false, false},
        {"name[]=a&name[]", true, false},
        {"name[]=a=", false, false},
        {"name[]=a+", false, false},
        {"name[]=a%", false, false},
        {"name[]=a%0", false, false},
        {"name[]=a%00", false, false},
        {"name[]=%zz%", false, false},
        {"name[]=a%26name[]=a_total", false, false},
        {"name[]=%&name[]=a", true, false},
        {"name[]=%6&1", false, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(metrics_query_asks(cases[i].query, "a"), cases[i].asks_a, "%s",
                     cases[i].query);
        cr_assert_eq(metrics_query_asks(cases[i].query, "a_total"), cases[i].asks_total, "%s",
                     cases[i].query);
    }
}
