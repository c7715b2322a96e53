#include "ctl/workmodel_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "ctl/local/supervisor.h"
#include "ctl/terminal.h"

enum {
    OUTPUT_BYTES_MAX = 64 << 20, /* a work model of 4 MiB makes some 20 */
    OUTPUT_MODE = 0644
};

int workmodel_file_read(const char *path, struct workmodel_file *ret_file,
                        struct problems *repeated, struct problems *problems)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(DOCUMENT_BYTES_MAX);
    cleanup_error struct error *err = NULL;
    bool standard_input = strcmp(path, "-") == 0;
    const char *name = standard_input ? "standard input" : path;
    json_t *root;

    int ret = file_read(standard_input ? "/dev/stdin" : path, &text, &err);
    if (ret < 0) {
        problem_add(problems, "%s", error_message(err));
        return ret;
    }
    ret = document_parse_json_repeating(buffer_terminate(&text), text.length, name, &root, repeated,
                                        problems);
    if (ret == 0)
        *ret_file = (struct workmodel_file){name, root};
    return ret;
}

/* A field of the tables by its path. */
static const struct field *field_at(const char *const path[])
{
    const struct record *record = &dpuservice_record;
    const struct field *field = NULL;

    for (; *path; path++) {
        size_t i = 0;
        while (strcmp(record->fields[i].name, *path) != 0)
            i++;
        field = &record->fields[i];
        record = field->record;
    }
    return field;
}

int workmodel_check_options(const char *image, const char *egress, struct error **err)
{
    static const char *const image_path[] = {"spec", "image", NULL};
    static const char *const mode_path[] = {"spec", "egress", "mode", NULL};
    const struct field_pattern *pattern = field_at(image_path)->pattern;
    const char *const *mode = field_at(mode_path)->names;

    if (image && !pattern->valid(image))
        return error_make(err, EINVAL, "--image: \"%.64s\" is not %s", image, pattern->says);
    while (egress && *mode && strcmp(*mode, egress) != 0)
        mode++;
    if (egress && !*mode)
        return error_make(err, EINVAL, "--egress: \"%.64s\" is no mode of this version; give %s",
                          egress, field_at(mode_path)->names[0]);
    return 0;
}

int workmodel_file_write(const char *path, const struct buffer *text, struct error **err)
{
    if (path && strcmp(path, "-") != 0)
        return file_write(path, text->data, text->length, OUTPUT_MODE, err);
    if (fwrite(text->data, 1, text->length, stdout) != text->length || fflush(stdout) != 0)
        return error_make(err, errno, "standard output: %s", strerror(errno));
    return 0;
}

void workmodel_note_repeated(const struct problems *repeated, json_t *notes)
{
    for (size_t i = 0; i < repeated->count && i < PROBLEMS_MAX; i++) {
        cleanup_free char *note = xasprintf("%s (the last counts)", repeated->texts[i]);
        json_array_insert_new(notes, i, json_string_nocheck(note));
    }
    if (repeated->count > PROBLEMS_MAX) {
        cleanup_free char *note =
            xasprintf("and %zu more repeated keys", repeated->count - PROBLEMS_MAX);
        json_array_insert_new(notes, PROBLEMS_MAX, json_string(note));
    }
}

void workmodel_say_notes(json_t *notes)
{
    json_t *note;
    size_t i;

    json_array_foreach(notes, i, note) say("%s", json_string_value(note));
}

int workmodel_make(const struct workmodel_source *source, struct workmodel_documents *ret_documents)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;

    if (workmodel_import(source, ret_documents, &problems) == 0)
        return STATUS_OK;
    problems_print(&problems, stderr, "dpumesh: ");
    return STATUS_USAGE;
}

int workmodel_write(const struct workmodel_documents *documents, const char *path,
                    const char *title)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(OUTPUT_BYTES_MAX);
    cleanup_error struct error *err = NULL;

    if (workmodel_print(documents, title, &text) < 0)
        return complain(STATUS_FAILED, "more than %d MiB of documents; import it in parts",
                        OUTPUT_BYTES_MAX >> 20);
    if (workmodel_file_write(path, &text, &err) < 0)
        return complain(STATUS_FAILED, "%s", error_message(err));
    workmodel_say_notes(documents->notes);
    for (size_t i = 0; i < documents->count; i++)
        workmodel_say_notes(documents->items[i].notes);
    if (text.length > DOCUMENT_BYTES_MAX)
        say("%s: %zu bytes, and dpumesh reads files of %d MiB; divide it at a \"---\" and give the "
            "parts",
            path ? path : "standard output", text.length, DOCUMENT_BYTES_MAX >> 20);
    return STATUS_OK;
}
