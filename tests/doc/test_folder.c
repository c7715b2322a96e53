#include "doc/folder.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_text(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

static void forget(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    cr_assert_eq(remove(path), 0, "%s", path);
}

/* Documents in the order of names; other files and hidden ones are left alone. */
Test(folder, files_in_order)
{
    char folder[] = "/tmp/dpumesh-folder-XXXXXX", inner[256];
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;

    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(documents_load_path(folder, &documents, &problems), -EINVAL);
    cr_assert(strstr(problems.texts[0], ": no file in it ends in .yaml, .yml or .json"));
    write_text(folder, "b.json", "{\"is\": \"b\"}");
    write_text(folder, "a.yml", "is: a\n");
    write_text(folder, "c.yaml", "is: c\n---\nis: d\n");
    write_text(folder, "README.md", "[not a document");
    write_text(folder, ".yaml", "[nor this");
    snprintf(inner, sizeof inner, "%s/inner", folder);
    cr_assert_eq(mkdir(inner, 0700), 0);

    cr_assert_eq(documents_load_path(folder, &documents, &problems), 0);
    cr_assert_eq(documents.count, 4);
    for (size_t i = 0; i < 4; i++) {
        const char expected[] = {(char)('a' + i), '\0'};
        cr_assert_str_eq(json_string_value(json_object_get(documents.items[i].root, "is")),
                         expected);
    }
    cr_assert(strstr(documents.items[0].file, "/a.yml"));
    cr_assert_null(strstr(documents.items[0].file, "//"));

    /* One that is wrong does not hide the others. */
    write_text(folder, "b.json", "{");
    documents_free(&documents);
    problems_free(&problems);
    snprintf(inner, sizeof inner, "%s/", folder);
    cr_assert_eq(documents_load_path(inner, &documents, &problems), -EINVAL);
    cr_assert_eq(problems.count, 1);
    cr_assert_eq(documents.count, 3);
    cr_assert_null(strstr(documents.items[0].file, "//"));

    static const char *const names[] = {"b.json", "a.yml", "c.yaml", "README.md", ".yaml", "inner"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        forget(folder, names[i]);
    rmdir(folder);
    problems_free(&problems);
    cr_assert_eq(documents_load_path(folder, &documents, &problems), -ENOENT);
    cr_assert(strstr(problems.texts[0], "can't open: No such file or directory"));
}
