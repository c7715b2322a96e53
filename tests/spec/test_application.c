#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/application.h"

static char directory[] = "/tmp/dpumesh-application-XXXXXX";

static char *write_file(const char *name, const char *text)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

#define SERVICE(name, spec)                                                                        \
    "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\nmetadata: {name: " name "}\nspec: " spec   \
    "\n---\n"

Test(application, services_in_the_order_of_the_files)
{
    cleanup_application struct application app = APPLICATION_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;

    cr_assert_not_null(mkdtemp(directory));
    const char *paths[] = {
        write_file("a.yaml",
                   "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n" SERVICE(
                       "s2", "{workload: {externalServices: [{services: [s0, s1__2]}]}}")),
        write_file("b.json", "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n"
                             "{\"apiVersion\": \"dpumesh.io/v1alpha1\", \"kind\": \"DpuService\","
                             " \"metadata\": {\"name\": \"s1\"}}]}"),
        write_file("c.yaml", SERVICE("s0", "{replicas: 2}")),
    };
    cr_assert_eq(application_load(paths, 3, &app, &problems), 0, "%s",
                 problems.count ? problems.texts[0] : "no sentence");
    cr_assert_eq(app.count, 3);
    cr_assert_str_eq(app.services[0]->name, "s2");
    cr_assert_str_eq(app.services[1]->name, "s1");
    cr_assert_str_eq(app.services[2]->name, "s0");
    cr_assert_eq(application_find(&app, "s0"), app.services[2]);
    cr_assert_null(application_find(&app, "s3"));
    cr_assert_eq(app.skipped.count, 1);
    cr_assert(strstr(app.skipped.texts[0], "a.yaml:1: shop: Namespace"));
    for (size_t i = 0; i < 3; i++)
        unlink(paths[i]);
    rmdir(directory);
}

/* A problem in one file does not hide those in another, and names its file. */
Test(application, problems_of_all_files)
{
    cleanup_application struct application app = APPLICATION_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    char expected[300];

    cr_assert_not_null(mkdtemp(directory));
    const char *paths[] = {
        write_file("a.yaml", SERVICE("s0", "{replicas: -1}")),
        "/nonexistent.yaml",
        write_file("b.yaml", "a: [\n"),
        write_file("c.yaml", SERVICE("s0", "{workload: {externalServices: [{services: [s1]}]}}")),
    };
    cr_assert_eq(application_load(paths, 4, &app, &problems), -ENOENT, "the first errno");
    cr_assert_eq(problems.count, 4, "s1 may be in the files that could not be read");
    cr_assert_str_eq(problems.texts[0], "/nonexistent.yaml: can't open: No such file or directory");
    snprintf(expected, sizeof(expected),
             "%s:1:5: the YAML ends in the middle; is the file complete?", paths[2]);
    cr_assert_str_eq(problems.texts[1], expected);
    snprintf(expected, sizeof(expected), "%s:4: s0: spec.replicas: -1 is below 0; give 0 to 1000",
             paths[0]);
    cr_assert_str_eq(problems.texts[2], expected);
    snprintf(expected, sizeof(expected),
             "%s:3: s0: metadata.name: a second DpuService of this name, the first is in %s:1; "
             "rename one",
             paths[3], paths[0]);
    cr_assert_str_eq(problems.texts[3], expected);
    unlink(paths[0]);
    unlink(paths[2]);
    unlink(paths[3]);
    rmdir(directory);

    problems_free(&problems);
    cr_assert_eq(application_load(NULL, 0, &app, &problems), -EINVAL);
    cr_assert_str_eq(problems.texts[0], "no file: no DpuService in it");
}
