/*
 * Keeps what is printed from the field tables equal to them. A page of docs/ is written by hand but
 * for what stands between its two marker lines, which is printed from a table:
 *
 *     reference --check docs/dpuservice.md     exit status 1 when the page differs
 *     reference --write docs/dpuservice.md     makes it the same
 *
 * crds/dpuservices.dpumesh.io.yaml is printed as a whole.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "doc/yaml_text.h"
#include "spec/agent_config.h"
#include "spec/crd.h"
#include "spec/dpuservice.h"

enum { PAGE_BYTES_MAX = 1 << 20 };

static const char begin_marker[] = "<!-- fields: printed by `reference --write` -->\n";
static const char end_marker[] = "<!-- end of fields -->\n";

static const char crd_head[] =
    "# Printed from the tables of lib/spec by\n"
    "#     build/asan/tests/spec/reference --write crds/" DPUSERVICE_CRD_NAME ".yaml\n";

static const char *base_name(const char *path)
{
    return strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
}

static const struct record *record_of_page(const char *path)
{
    const char *name = base_name(path);
    if (strcmp(name, "dpuservice.md") == 0)
        return &dpuservice_record;
    if (strcmp(name, "agent-config.md") == 0)
        return &agent_config_record;
    return NULL;
}

/* The page with a fresh table between its markers. */
static int make_page(const char *path, const char *page, const struct record *record,
                     struct buffer *out, struct error **err)
{
    const char *begin = strstr(page, begin_marker), *end = strstr(page, end_marker);

    if (!begin || !end || end < begin)
        return error_make(err, EINVAL, "%s: has no place for the fields; it needs the lines\n%s%s",
                          path, begin_marker, end_marker);
    buffer_append(out, page, (size_t)(begin - page) + strlen(begin_marker));
    buffer_puts(out, "\n");
    if (record_reference(record, "", out) < 0 || buffer_puts(out, "\n") < 0 ||
        buffer_puts(out, end) < 0)
        return error_make(err, ENOBUFS, "%s: the page grew past %d bytes", path, PAGE_BYTES_MAX);
    return 0;
}

static int make_crd(const char *path, struct buffer *out, struct error **err)
{
    json_auto_t *crd = dpuservice_crd();

    buffer_puts(out, crd_head);
    if (yaml_text(crd, out) < 0)
        return error_make(err, ENOBUFS, "%s: grew past %d bytes", path, PAGE_BYTES_MAX);
    return 0;
}

static int make(const char *path, const struct record *record, struct buffer *page,
                struct buffer *fresh, struct error **err)
{
    bool there = record || access(path, F_OK) == 0; /* else it is written anew */
    int ret = there ? file_read(path, page, err) : 0;
    if (ret < 0)
        return ret;
    return record ? make_page(path, buffer_terminate(page), record, fresh, err)
                  : make_crd(path, fresh, err);
}

int main(int argc, char **argv)
{
    cleanup_buffer struct buffer page = BUFFER_INIT(PAGE_BYTES_MAX);
    cleanup_buffer struct buffer fresh = BUFFER_INIT(PAGE_BYTES_MAX);
    cleanup_error struct error *err = NULL;
    const struct record *record = argc == 3 ? record_of_page(argv[2]) : NULL;
    bool known =
        record || (argc == 3 && strcmp(base_name(argv[2]), DPUSERVICE_CRD_NAME ".yaml") == 0);
    bool writing = known && strcmp(argv[1], "--write") == 0;

    if (!known || (!writing && strcmp(argv[1], "--check") != 0)) {
        fprintf(stderr,
                "usage: reference --check|--write "
                "docs/dpuservice.md|docs/agent-config.md|crds/" DPUSERVICE_CRD_NAME ".yaml\n");
        return 2;
    }
    if (make(argv[2], record, &page, &fresh, &err) < 0) {
        fprintf(stderr, "reference: %s\n", error_message(err));
        return 2;
    }
    if (page.length == fresh.length && memcmp(page.data, fresh.data, fresh.length) == 0)
        return 0;
    if (!writing) {
        fprintf(stderr, "%s differs from the field tables; run: %s --write %s\n", argv[2], argv[0],
                argv[2]);
        return 1;
    }
    if (file_write(argv[2], fresh.data, fresh.length, 0644, &err) < 0) {
        fprintf(stderr, "reference: %s\n", error_message(err));
        return 2;
    }
    return 0;
}
