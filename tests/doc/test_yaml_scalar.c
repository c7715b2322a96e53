#include <criterion/criterion.h>
#include <string.h>

#include "doc/document_private.h"

/* What kubectl's reader (goyaml.v2) makes of plain scalars. */
Test(yaml_scalar, resolves_as_kubectl_does)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"true", "true"},
        {"True", "true"},
        {"yes", "true"},
        {"on", "true"},
        {"y", "true"},
        {"false", "false"},
        {"No", "false"},
        {"OFF", "false"},
        {"n", "false"},
        {"tRue", "\"tRue\""},
        {"yess", "\"yess\""},
        {"", "null"},
        {"~", "null"},
        {"null", "null"},
        {"NULL", "null"},
        {"nil", "\"nil\""},
        {"0", "0"},
        {"-0", "0"},
        {"12", "12"},
        {"+12", "12"},
        {"-12", "-12"},
        {"1_000", "1000"},
        {"0x1f", "31"},
        {"0X1F", "31"},
        {"-0x10", "-16"},
        {"0o17", "15"},
        {"017", "15"},
        {"0b101", "5"},
        {"-0b11", "-3"},
        {"08", "8.0"},
        {"0x", "\"0x\""},
        {"0xg", "\"0xg\""},
        {"0x0x1", "\"0x0x1\""},
        {"1.5", "1.5"},
        {"1.", "1.0"},
        {".5", "0.5"},
        {"-.5", "-0.5"},
        {"1e3", "1000.0"},
        {"1.5E-2", "0.015"},
        {"1e", "\"1e\""},
        {".", "\".\""},
        {"-", "\"-\""},
        {"+", "\"+\""},
        {"1.2.3", "\"1.2.3\""},
        {"10ms", "\"10ms\""},
        {"1:30", "\"1:30\""},
        {"2024-06-07", "\"2024-06-07\""},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775807", "-9223372036854775807"},
        {"9223372036854775808", "9.2233720368547758e18"},
        {"0.0.0.0:5005", "\"0.0.0.0:5005\""},
        {"1 2", "\"1 2\""},
        {"s0", "\"s0\""},
        {"1__0", "10"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_auto_t *expected = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
        json_auto_t *value = NULL;
        cr_assert_not_null(expected, "%s", cases[i].json);
        yaml_resolve(cases[i].text, &value);
        cr_assert(json_equal(value, expected), "%s", cases[i].text);
    }

    static const char *const unusable[] = {".inf", "-.Inf", "+.INF", ".nan", ".NaN", "1e999"};
    for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++) {
        json_t *value = NULL;
        cr_assert_eq(yaml_resolve(unusable[i], &value), YAML_UNUSABLE, "%s", unusable[i]);
        cr_assert_null(value);
    }
}
