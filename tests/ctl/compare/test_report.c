/* What people read of a comparison: rows, numbers, what is saved, the table and the page. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/compare/report.h"
#include "ctl/compare/rows.h"

static const char comparison_text[] =
    "{\"files\": [\"a<b>.yaml\"], \"rate_per_s\": 500, \"duration_s\": 10, \"connections\": 8,"
    " \"arrivals\": \"poisson\", \"request_bytes\": 1024, \"machine_cores\": 2, \"runs\": ["
    "{\"mode\": \"direct\", \"profile\": \"\", \"seconds\": 10, \"host_cores\": 0.1,"
    "  \"host_us_per_request\": 200, \"host_modelled_cores\": 0, \"latency_us\": null,"
    "  \"host_cpu_s\": {\"application\": 0.6, \"io\": 0.4}, \"dpu_busy_s\": {}, \"errors\": 3,"
    "  \"host_busy\": false},"
    "{\"mode\": \"sidecar\", \"profile\": \"envoy & co\", \"seconds\": 10, \"host_cores\": 0.5,"
    "  \"host_us_per_request\": 1000, \"host_modelled_cores\": 0.3,"
    "  \"latency_us\": {\"p50\": 2000, \"p90\": 3000, \"p99\": 4000},"
    "  \"host_cpu_s\": {\"zebra\": 1, \"datapath\": 4, \"application\": 0, \"io\": 1.5}, "
    "\"dpu_busy_s\": {},"
    "  \"host_busy\": true},"
    "{\"mode\": \"dpu\", \"profile\": \"x\", \"seconds\": 10, \"host_cores\": 0.2,"
    "  \"host_us_per_request\": 400, \"host_modelled_cores\": 0.1,"
    "  \"latency_us\": {\"p50\": 2500, \"p90\": 3000, \"p99\": 3000},"
    "  \"host_cpu_s\": {\"datapath\": 2}, \"dpu_busy_s\": {\"arm\": 5}, \"dma_bytes\":"
    "  {\"in\": 3000000, \"out\": 500000}, \"host_busy\": false}]}";

static json_t *comparison(void)
{
    json_t *made = json_loads(comparison_text, 0, NULL);
    cr_assert_not_null(made);
    json_object_set_new(made, "saving", compare_saving(json_object_get(made, "runs")));
    return made;
}

Test(compare_report, numbers)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},           {1e-7, "0"},       {-1e-7, "0"},     {0.00012, "0.00012"},
        {0.12345, "0.123"}, {9.8765, "9.877"}, {12.345, "12.3"}, {-12.345, "-12.3"},
        {1234.5, "1234"},   {3, "3"},          {-10, "-10"},     {12345678, "12345678"},
    };
    char text[COMPARE_NUMBER_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_str_eq(compare_number(cases[i].value, text), cases[i].text, "%s", text);
}

Test(compare_report, what_is_saved)
{
    json_auto_t *made = comparison();
    const json_t *saving = json_object_get(made, "saving");

    cr_expect_float_eq(json_number_value(json_object_get(saving, "host_cores")), 0.3, 1e-9);
    cr_expect_float_eq(json_number_value(json_object_get(saving, "host_share")), 0.6, 1e-9);
    cr_expect_float_eq(json_number_value(json_object_get(saving, "host_us_per_request")), 600,
                       1e-9);
    cr_expect_float_eq(json_number_value(json_object_get(saving, "modelled_cores")), 0.2, 1e-9);
    cr_expect_float_eq(json_number_value(json_object_get(saving, "datapath_cores")), 0.2, 1e-9);
    cr_expect_float_eq(json_number_value(json_object_get(saving, "network_cores")), 0.15, 1e-9);
    cleanup_free char *parts = compare_saving_parts(saving);
    cr_expect_str_eq(parts, "of it 0.200 on the data path, where the profiles say 0.200, 0.150 on "
                            "the network, which a DPU takes over, and -0.050 elsewhere");
    cr_expect_float_eq(json_number_value(json_object_get(saving, "p50_us")), 500, 1e-9);
    cr_expect_float_eq(json_number_value(json_object_get(saving, "p99_us")), -1000, 1e-9);

    /* Without one of the two there is nothing to compare; without answers no latency. */
    json_auto_t *runs = json_deep_copy(json_object_get(made, "runs"));
    json_object_set_new(json_array_get(runs, 2), "latency_us", json_null());
    json_auto_t *silent = compare_saving(runs);
    cr_expect(json_is_null(json_object_get(silent, "p50_us")));
    json_array_remove(runs, 1);
    json_auto_t *none = compare_saving(runs);
    cr_expect(json_is_null(none));
}

/* Known labels in their order, then others; what is zero in all runs is left out. */
Test(compare_report, labels)
{
    json_auto_t *made = comparison();
    const struct compare_row *row = compare_rows;
    while (!row->within || strcmp(row->within, "host_cpu_s") != 0)
        row++;
    json_auto_t *labels = compare_row_labels(row, json_object_get(made, "runs"));
    json_auto_t *expected = json_pack("[s, s, s, s]", "application", "datapath", "io", "zebra");
    cr_assert(json_equal(labels, expected));
}

Test(compare_report, table)
{
    json_auto_t *made = comparison();
    cleanup_free char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);

    compare_print(made, file);
    fclose(file);
    static const char *const lines[] = {
        "DIRECT   SIDECAR *    DPU\n",
        "profile                    -  envoy & co      x\n",
        "p50 ms                     -           2  2.500\n",
        "errors                     3           -      -\n",
        "host CPU s, measured       1       6.500      2\n",
        "  application          0.600           0      0\n",
        "  zebra                    0           1      0\n",
        "DMA MB                     0           0  3.500\n",
        ("Against the sidecar the DPU saves 0.300 host cores (60 %), 600.0 us a request:\n"
         "of it 0.200 on the data path,"),
        "Latency: p50 +0.500 ms, p99 -1.000 ms.\n",
        "* sidecar: an agent said that this machine was too busy",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        cr_expect(strstr(text, lines[i]), "no \"%s\" in\n%s", lines[i], text);
    cr_expect_null(strchr(text, '\033'));
}

Test(compare_report, page)
{
    json_auto_t *made = comparison();
    cleanup_buffer struct buffer page = BUFFER_INIT(1 << 20), small = BUFFER_INIT(4096);

    cr_assert_eq(compare_page(made, &page), 0);
    const char *text = buffer_terminate(&page);
    cr_expect(strstr(text, "a&lt;b&gt;.yaml"));
    cr_expect_null(strstr(text, "a<b>"));
    cr_expect(strstr(text, "<td>envoy &amp; co</td>"));
    cr_expect(strstr(text, "saves <b>0.300</b> host cores (60&nbsp;%)"));
    cr_expect(strstr(text, "<p class=\"mark\">* sidecar: "));
    cr_expect(strstr(text, "<title>dpu data path: 0.2 cores</title>"));
    cr_expect(strstr(text, "<td class=\"in\">zebra</td><td>0</td><td>1</td><td>0</td>"));
    cr_expect_null(strstr(text, "nan"));
    cr_expect_lt(compare_page(made, &small), 0, "it does not fit");
}

/* Nothing ran: no division by nothing. */
Test(compare_report, nothing)
{
    json_auto_t *empty = json_loads("{\"files\": [], \"runs\": [], \"saving\": null}", 0, NULL);
    cleanup_buffer struct buffer page = BUFFER_INIT(1 << 20);
    cleanup_free char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);

    cr_assert_eq(compare_page(empty, &page), 0);
    cr_expect_null(strstr(buffer_terminate(&page), "nan"));
    compare_print(empty, file);
    fclose(file);
    cr_expect_null(strstr(text, "Against"));
}
