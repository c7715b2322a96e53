#include <criterion/criterion.h>

#include "obs/metric.h"

Test(negotiate, honours_the_accept_header)
{
    static const struct {
        const char *accept;
        bool open;
    } cases[] = {
        {NULL, false},
        {"", false},
        {"*/*", false},
        {"application/*", false},
        {"text/html,application/xhtml+xml,*/*;q=0.8", false},
        {"text/plain", false},
        {"application/openmetrics-text", true},
        {"Application/OpenMetrics-Text", true},
        {"application/openmetrics-text; version=1.0.0; charset=utf-8", true},
        {"application/openmetrics-text;version=\"1.0.0\"", true},
        {"application/openmetrics-text;version=0.0.1", false},
        {"application/openmetrics-text;version=2.0.0, text/plain", false},
        /* What Prometheus 2.42 sends, and a newer one. */
        {"application/openmetrics-text;version=1.0.0,application/"
         "openmetrics-text;version=0.0.1;q=0."
         "75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         true},
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/"
         "openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
         true},
        {"application/vnd.google.protobuf;q=0.7,application/openmetrics-text;version=1.0.0;q=0.6,"
         "text/plain;version=0.0.4;q=0.4",
         true},
        {"application/openmetrics-text;q=0", false},
        {"application/openmetrics-text;q=0.000, */*", false},
        {"application/openmetrics-text;q=0.5, text/plain;q=0.6", false},
        {"application/openmetrics-text;q=0.6, text/plain;q=0.5", true},
        {"text/plain, application/openmetrics-text", true},
        {"text/plain;q=0.9 , application/openmetrics-text ; q=1.000", true},
        {"application/openmetrics-text;q=0.001", true},
        {"application/openmetrics-text;q=0.4,text/*;q=0.5", false},
        {"application/openmetrics-text;q=0.4,*/*;q=0.5", false},
        {"application/openmetrics-text;q=0.5,text/*;q=1,text/plain;q=0.1", true},
        /* Not what the grammar allows, yet no reason to fail. */
        {",,;;q=,application/openmetrics-text;q=nonsense", true},
        {"application/openmetrics-text;q=", true},
        {"application/openmetrics-text;q=0.9999999999", true},
        {"x;a=\"application/openmetrics-text,\"", false},
        {"x;a=\"unclosed,application/openmetrics-text", false},
        {"application/openmetrics-textual", false},
        {"application/openmetrics", false},
        {";", false},
        {"\"", false},
        {"q=1", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_eq(metrics_negotiate(cases[i].accept) == METRICS_OPENMETRICS_TEXT, cases[i].open,
                     "%s", cases[i].accept);
    cr_assert_str_eq(metrics_content_type(METRICS_PROMETHEUS_TEXT),
                     "text/plain; version=0.0.4; charset=utf-8");
    cr_assert_str_eq(metrics_content_type(METRICS_OPENMETRICS_TEXT),
                     "application/openmetrics-text; version=1.0.0; charset=utf-8");
}
