#include <criterion/criterion.h>
#include <string.h>

#include "spec/quantity.h"

Test(quantity, values)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"0", 0},
        {"1", 1},
        {"0.5", 0.5},
        {".5", 0.5},
        {"1.", 1},
        {"100m", 0.1},
        {"300m", 0.3},
        {"1500u", 0.0015},
        {"5n", 5e-9},
        {"1k", 1000},
        {"64Mi", 67108864},
        {"64M", 64e6},
        {"1Gi", 1073741824},
        {"2e3", 2000},
        {"2E3", 2000},
        {"1e-3", 0.001},
        {"1E", 1e18},
        {"1Ei", 1152921504606846976.0},
        {"1.5Ki", 1536},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double value = -1;
        cr_assert_eq(quantity_parse(cases[i].text, &value, NULL), 0, "%s", cases[i].text);
        cr_assert_eq(value, cases[i].value, "%s is %.17g", cases[i].text, value);
    }
}

/* tests/kube/test_children.py holds these against the API server. */
Test(quantity, canonical)
{
    static const struct {
        const char *text, *canonical;
    } cases[] = {
        {"0", "0"},
        {"0.0", "0"},
        {"0Ki", "0"},
        {"1", "1"},
        {"100m", "100m"},
        {"0.5", "500m"},
        {".5", "500m"},
        {"1.", "1"},
        {"1.500", "1500m"},
        {"1000m", "1"},
        {"1500m", "1500m"},
        {"2500", "2500"},
        {"1000", "1k"},
        {"10000", "10k"},
        {"1k", "1k"},
        {"1500k", "1500k"},
        {"64M", "64M"},
        {"1000M", "1G"},
        {"1E", "1E"},
        {"5n", "1m"},
        {"1500u", "2m"},
        {"0.0001", "1m"},
        {"0.1234", "124m"},
        {"1e3", "1e3"},
        {"1e4", "10e3"},
        {"2E3", "2e3"},
        {"1e-3", "1e-3"},
        {"1.5e0", "1500e-3"},
        {"1e0", "1"},
        {"1Ki", "1Ki"},
        {"1024Mi", "1Gi"},
        {"1536Mi", "1536Mi"},
        {"1.5Gi", "1536Mi"},
        {"0.5Ki", "512"},
        {"0.001Mi", "1048576m"},
        {"1023", "1023"},
        {"8192Pi", "9223372036854775807"},
        {"1Ei", "1Ei"},
        {"0.1Ki", "102400m"},
        {"2.5Ki", "2560"},
        {"007Mi", "7Mi"},
        {"1e-12", "1e-3"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[QUANTITY_TEXT_MAX] = "", again[QUANTITY_TEXT_MAX] = "";
        cleanup_error struct error *err = NULL;
        int ret = quantity_canonical(cases[i].text, text, &err);
        if (strcmp(cases[i].text, "8192Pi") == 0) {
            cr_assert_lt(ret, 0, "2^63 is too large");
            continue;
        }
        cr_assert_eq(ret, 0, "%s", cases[i].text);
        cr_assert_str_eq(text, cases[i].canonical, "%s is %s", cases[i].text, text);
        cr_assert_eq(quantity_canonical(text, again, NULL), 0);
        cr_assert_str_eq(again, text, "canonical is canonical");
    }
}

Test(quantity, refused)
{
    static const char *const cases[] = {
        "",
        "m",
        "-1",
        "+1",
        "1 Mi",
        "1Mb",
        "1mi",
        "1K",
        "0x10",
        "1e",
        "1e3Mi",
        "1.2.3",
        "nan",
        "inf",
        ".",
        "1e9999",
        "12345678901234567890123456789012345678901",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_error struct error *err = NULL;
        double value = 7;
        cr_assert_lt(quantity_parse(cases[i], &value, &err), 0, "%s", cases[i]);
        cr_assert_eq(value, 7, "untouched on failure");
        cr_assert(strstr(error_message(err), "such as 100m"), "%s", error_message(err));
    }
}
