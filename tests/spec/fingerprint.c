/*
 * What lib/spec thinks of objects that an API server returned, for tests/kube.
 *
 *     fingerprint < LIST.json          "Deployment s0-dpu 0123456789abcdef" for each item
 *     fingerprint --quantities         a quantity a line; prints its canonical form, or "refused"
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "spec/children.h"
#include "spec/quantity.h"

static int print_quantities(void)
{
    char line[256], text[QUANTITY_TEXT_MAX];

    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        puts(quantity_canonical(line, text, NULL) == 0 ? text : "refused");
    }
    return 0;
}

/* 0, or 1 when it is of no kind that we make. */
static int print_fingerprint(const json_t *object)
{
    const char *kind = json_string_value(json_object_get(object, "kind"));
    const char *name =
        json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));

    for (enum child_kind child = 0; kind && name && child < CHILD_KINDS; child++) {
        if (strcmp(spec_child_identity(child).kind, kind) == 0) {
            printf("%s %s %016" PRIx64 "\n", kind, name, spec_child_fingerprint(child, object));
            return 0;
        }
    }
    fprintf(stderr, "fingerprint: \"%s\" is not a kind of child\n", kind ? kind : "");
    return 1;
}

int main(int argc, char **argv)
{
    json_error_t error;
    int status = 0;

    if (argc == 2 && strcmp(argv[1], "--quantities") == 0)
        return print_quantities();
    json_auto_t *list = json_loadf(stdin, 0, &error);
    if (argc != 1 || !list) {
        fprintf(stderr, "fingerprint: %s; usage: fingerprint [--quantities] < FILE\n",
                list ? "an argument too many" : error.text);
        return 2;
    }
    const json_t *items = json_object_get(list, "items");
    for (size_t i = 0; i < json_array_size(items); i++)
        status |= print_fingerprint(json_array_get(items, i));
    return status;
}
