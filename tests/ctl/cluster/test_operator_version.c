#include "ctl/cluster/operator_version.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/cleanup.h"

static void expect(json_t *versions, const char *text)
{
    cleanup_free char *joined = operator_versions_join(versions);
    if (text)
        cr_assert_str_eq(joined, text);
    else
        cr_assert_null(joined);
    json_decref(versions);
}

Test(operator_version, each_once_also_when_one_is_part_of_another)
{
    expect(json_array(), NULL);
    expect(json_pack("[s, s]", "0.1.0", "0.1.0"), "0.1.0");
    expect(json_pack("[s, s, s]", "1.0.10", "1.0.1", "1.0.10"), "1.0.10, 1.0.1");
    expect(json_pack("[s, s]", "1.0.1", "1.0.10"), "1.0.1, 1.0.10");
}

Test(operator_version, is_a_label_of_the_page)
{
    static const char page[] = "dpumesh_other{version=\"9\"} 1\n"
                               "dpumesh_build_info{program=\"o\",version=\"0.2.0\"} 1\n";
    static const char none[] = "dpumesh_other{version=\"9\"} 1\n";
    cleanup_free char *version = operator_version_read(page, strlen(page));
    cr_assert_str_eq(version, "0.2.0");
    cr_assert_null(operator_version_read(none, strlen(none)));
}
