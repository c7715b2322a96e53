/* Files of samples in place of quantiles. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "spec/application.h"
#include "spec/samples.h"

static struct distribution parse(const char *text)
{
    struct distribution_point *table = NULL;
    cleanup_error struct error *err = NULL;
    size_t count = 0;

    cr_assert_eq(samples_parse(text, strlen(text), "s.txt", &table, &count, &err), 0, "%s",
                 err ? error_message(err) : "");
    return (struct distribution){
        .kind = DISTRIBUTION_EMPIRICAL, .table = table, .point_count = count};
}

Test(samples, lines)
{
    struct distribution three = parse("# measured\n  5ms\n\n1ms # fast\r\n9ms");

    cr_assert_eq(three.point_count, 5);
    cr_assert_eq(distribution_quantile_ns(&three, 0.5), 5e6);
    cr_assert_eq(distribution_quantile_ns(&three, 0), 1e6);
    cr_assert_float_eq(distribution_mean_ns(&three), 5e6, 1);
    free((void *)(uintptr_t)three.table);
}

Test(samples, bad_lines)
{
    static const char *const cases[][2] = {
        {"", "s.txt: no samples; give a delay such as 12.5ms on each line"},
        {"# none\n\n", "s.txt: no samples; give a delay such as 12.5ms on each line"},
        {"1ms\n12.5\n",
         "s.txt:2: duration \"12.5\" has no unit; write a number and a unit (ns, us, "
         "ms, s, m, h), such as 50ms or 1.5s"},
        {"1ms 2ms\n", "s.txt:1: duration \"1ms 2ms\" has an unknown unit \"ms 2ms\"; write a "
                      "number and a unit (ns, us, "
                      "ms, s, m, h), such as 50ms or 1.5s"},
        {"2h\n", "s.txt:1: 2h is above 1h"},
        {"1ms\n\xf1s\n", "s.txt: not a text"},
        {"1ms\n\1\n", "s.txt: not a text"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct distribution_point *table = NULL;
        cleanup_error struct error *err = NULL;
        size_t count;
        cr_assert_eq(samples_parse(cases[i][0], strlen(cases[i][0]), "s.txt", &table, &count, &err),
                     -EINVAL);
        cr_expect_str_eq(error_message(err), cases[i][1]);
        cr_expect_null(table);
    }
    cleanup_error struct error *err = NULL;
    struct distribution_point *table = NULL;
    size_t count;
    cr_assert_eq(samples_parse("1ms\0\n", 5, "s.txt", &table, &count, &err), -EINVAL);
}

/* A directory of its own with a document and a file of samples; both paths. */
static void write_files(const char *latency, const char *samples, char document[256])
{
    char directory[] = "/tmp/samples.XXXXXX", path[256];
    cleanup_free char *text = xasprintf("apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\n"
                                        "metadata: {name: s0}\nspec:\n  egress:\n    latency: %s\n",
                                        latency);

    cr_assert(mkdtemp(directory));
    snprintf(document, 256, "%s/app.yaml", directory);
    snprintf(path, sizeof(path), "%s/measured.txt", directory);
    cr_assert_eq(file_write(document, text, strlen(text), 0600, NULL), 0);
    if (samples)
        cr_assert_eq(file_write(path, samples, strlen(samples), 0600, NULL), 0);
}

static void remove_files(const char *document)
{
    cleanup_free char *directory = xstrndup(document, strlen(document) - strlen("/app.yaml"));
    cleanup_free char *path = xasprintf("%s/measured.txt", directory);

    unlink(document);
    unlink(path);
    rmdir(directory);
}

/* Ten thousand samples of an exponential distribution: what is left of them has its quantiles, and
 * their largest. */
Test(samples, a_file_beside_the_document)
{
    enum { SAMPLES = 10000 };
    cleanup_buffer struct buffer samples = BUFFER_INIT(1 << 20);
    char document[256], one[DURATION_TEXT_MAX];
    const char *paths[] = {document};
    cleanup_application struct application application = APPLICATION_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;

    for (unsigned i = 0; i < SAMPLES; i++) {
        double ns = -1e6 * log1p(-(i + 0.5) / SAMPLES);
        buffer_printf(&samples, "%s\n", duration_format((uint64_t)ns, one));
    }
    write_files("{distribution: empirical, samples: measured.txt, shift: 1ms}",
                buffer_terminate(&samples), document);
    int ret = application_load(paths, 1, &application, &problems);
    remove_files(document);
    cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "");
    const struct distribution *latency = &application.services[0]->egress.latency;
    cr_assert_eq(latency->point_count, 1000);
    cr_assert_eq(distribution_check(latency, NULL), 0);
    cr_expect_float_eq(distribution_mean_ns(latency) / 1e6, 2, 0.002);
    for (unsigned percent = 5; percent < 100; percent += 5) {
        double q = percent / 100.0;
        cr_expect_float_eq(distribution_quantile_ns(latency, q) / 1e6, 1 - log1p(-q), 0.002, "%g",
                           q);
    }
    cr_expect_float_eq(distribution_quantile_ns(latency, 0.999) / 1e6, 1 - log(0.001), 0.02);
    cr_expect_float_eq(distribution_quantile_ns(latency, 1) / 1e6, 1 - log(0.5 / SAMPLES), 1e-4);

    /* What is emitted has quantiles, and is read again without the file. */
    json_auto_t *emitted = dpuservice_emit(application.services[0]);
    struct document again = {.file = document, .root = emitted};
    cleanup_dpuservice struct dpuservice *service = NULL;
    cr_assert_eq(dpuservice_parse(&again, &service, &problems), 0);
    cr_expect_eq(service->egress.latency.point_count, 1000);
}

Test(samples, in_a_part_of_a_mixture)
{
    char document[256];
    const char *paths[] = {document};
    cleanup_application struct application application = APPLICATION_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;

    write_files("{distribution: mixture, parts: [{value: 1ms}, {distribution: empirical, samples: "
                "measured.txt}]}",
                "7ms\n7ms\n", document);
    int ret = application_load(paths, 1, &application, &problems);
    remove_files(document);
    cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "");
    cr_expect_float_eq(distribution_mean_ns(&application.services[0]->egress.latency), 4e6, 1);
}

/* One cause, one problem. */
/* The latency is the document's last line: destinations follow it here. */
Test(samples, of_a_destination)
{
    char document[256];
    const char *paths[] = {document};
    cleanup_application struct application application = APPLICATION_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buffer struct buffer samples = BUFFER_INIT(1 << 20);

    for (unsigned i = 1; i <= 5000; i++)
        buffer_printf(&samples, "%uus\n", i);
    write_files("{value: 2ms}\n    destinations: [{name: s0}, {name: s2, url: http://s2/, latency: "
                "{distribution: empirical, samples: measured.txt}}]",
                buffer_terminate(&samples), document);
    int ret = application_load(paths, 1, &application, &problems);
    remove_files(document);
    cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "");
    const struct egress_settings *egress = &application.services[0]->egress;
    cr_assert_eq(egress->latency.value_ns, 2000000);
    const struct distribution *latency = egress_latency(egress, &egress->destinations[1]);
    cr_assert_eq(latency->point_count, 100);
    cr_expect_float_eq(distribution_quantile_ns(latency, 0.5), 2.5e6, 2.5e4);
    cr_expect_eq(egress->destinations[1].mode, EGRESS_SIMULATE);
}

Test(samples, bad_files)
{
    static const char *const cases[][3] = {
        {"{distribution: empirical, samples: measured.txt}", NULL, ": can't open: No such file"},
        {"{distribution: empirical, samples: measured.txt}", "fast\n",
         "measured.txt:1: \"fast\" is not a duration"},
        {"{distribution: empirical, samples: 5}", "1ms\n", "samples: must be the name of a file"},
        {"{distribution: empirical, samples: measured.txt, quantiles: [{fraction: 0, delay: 1ms}, "
         "{fraction: 1, delay: 2ms}]}",
         "1ms\n", "samples: quantiles are also given; remove one"},
        {"{distribution: gamma, shape: 1, scale: 1ms, samples: measured.txt}", "1ms\n",
         "quantiles: only with distribution empirical; here it is gamma"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char document[256];
        const char *paths[] = {document};
        cleanup_application struct application application = APPLICATION_INIT;
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        write_files(cases[i][0], cases[i][1], document);
        cr_expect_lt(application_load(paths, 1, &application, &problems), 0);
        remove_files(document);
        cr_assert_eq(problems.count, 1, "%s: %zu", cases[i][0], problems.count);
        cr_expect(strstr(problems.texts[0], cases[i][2]), "%s", problems.texts[0]);
        cr_expect(strstr(problems.texts[0], ": s0: spec.egress.latency."), "%s", problems.texts[0]);
    }
}

/* Who reads no files refuses it. */
Test(samples, not_in_a_cluster)
{
    static const char text[] =
        "{\"apiVersion\": \"dpumesh.io/v1alpha1\", \"kind\": \"DpuService\", "
        "\"metadata\": {\"name\": \"s0\"}, \"spec\": {\"egress\": "
        "{\"latency\": {\"distribution\": \"empirical\", \"samples\": "
        "\"/etc/hostname\"}}}}";
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_dpuservice struct dpuservice *service = NULL;

    cr_assert_eq(documents_parse(text, strlen(text), "x.json", &documents, &problems), 0);
    cr_assert_eq(dpuservice_parse(&documents.items[0], &service, &problems), -EINVAL);
    cr_expect(strstr(problems.texts[1], "latency.samples: unknown field"), "%s", problems.texts[1]);
}
