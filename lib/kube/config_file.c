/* kubeconfig files: read, and checked in their shape. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "kube/config_private.h"
#include "kube/secret.h"

static const char *const list_names[] = {"clusters", "users", "contexts"};
static const char *const record_names[] = {"cluster", "user", "context"};

static const json_t *root_of(const struct kubeconfig *file)
{
    return file->documents.count ? file->documents.items[0].root : NULL;
}

/* ---- what a reader of YAML says, without secrets ---- */

/* Words that may be quoted from a file: they are names of fields. */
static const char *const public_words[] = {
    "apiVersion",
    "args",
    "certificate-authority",
    "certificate-authority-data",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "cluster",
    "clusters",
    "command",
    "context",
    "contexts",
    "current-context",
    "exec",
    "extensions",
    "insecure-skip-tls-verify",
    "kind",
    "name",
    "namespace",
    "password",
    "preferences",
    "server",
    "token",
    "tokenFile",
    "user",
    "username",
    "users",
    "value",
};

static bool is_public(const char *word, size_t length)
{
    for (size_t i = 0; i < sizeof(public_words) / sizeof(public_words[0]); i++)
        if (strlen(public_words[i]) == length && memcmp(public_words[i], word, length) == 0)
            return true;
    return false;
}

/*
 * Whether a sentence about a file has a word from it: what can't be parsed may be a secret, or the
 * whole file may be one that was given by mistake. A word in common by chance costs only a plainer
 * sentence.
 */
static bool quotes(const char *sentence, const char *bytes, size_t length)
{
    enum { SHORTEST = 4 };
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
    for (const char *word = sentence; *word;) {
        size_t size = strspn(word, letters);
        if (size >= SHORTEST && memmem(bytes, length, word, size) && !is_public(word, size))
            return true;
        word += size ? size : 1;
    }
    return false;
}

/* Length of the position that a sentence begins with: "12:5: ". */
static size_t position_length(const char *text)
{
    size_t digits = strspn(text, "0123456789:");
    return digits > 0 && text[digits] == ' ' ? digits + 1 : 0;
}

/* Takes over what was said of a file's syntax. */
static void tell_syntax(const struct problems *said, const char *bytes, size_t length,
                        const char *path, struct problems *problems)
{
    for (size_t i = 0; i < said->count && i < PROBLEMS_MAX; i++) {
        const char *text = said->texts[i];
        size_t prefix = strlen(path) + 1; /* "path:" */
        if (strncmp(text, path, strlen(path)) != 0 || strlen(text) < prefix) {
            problem_add(problems, "%s: can't be read as YAML or JSON", path);
            continue;
        }
        prefix += position_length(text + prefix);
        if (quotes(text + prefix, bytes, length))
            problem_add(problems, "%.*s%scan't be read as a kubeconfig here; check the YAML",
                        (int)prefix, text, text[prefix - 1] == ' ' ? "" : " ");
        else
            problem_add(problems, "%s", text);
    }
}

/* ---- shape ---- */

struct shape {
    const struct kubeconfig *file;
    struct source source;
    struct problems *problems;
};

static void check_kind(const struct shape *shape, const struct place *root)
{
    const json_t *kind = json_object_get(root_of(shape->file), "kind");
    const json_t *version = json_object_get(root_of(shape->file), "apiVersion");
    struct place kind_place = PLACE_KEY(root, "kind");
    struct place version_place = PLACE_KEY(root, "apiVersion");

    if (kind && !json_is_null(kind) &&
        (!json_is_string(kind) || strcmp(json_string_value(kind), "Config") != 0))
        place_problem(&kind_place, shape->problems, "is not Config: is this a kubeconfig file?");
    if (version && !json_is_null(version) &&
        (!json_is_string(version) || strcmp(json_string_value(version), "v1") != 0))
        place_problem(&version_place, shape->problems, "is not v1, the one version there is");
}

static void check_item(const struct shape *shape, enum kubeconfig_list list,
                       const struct place *place, const json_t *item)
{
    const json_t *name = json_object_get(item, "name");
    const json_t *record = json_object_get(item, record_names[list]);
    struct place name_place = PLACE_KEY(place, "name");
    struct place record_place = PLACE_KEY(place, record_names[list]);

    if (!json_is_object(item)) {
        place_problem(place, shape->problems, "must be an object with name and %s",
                      record_names[list]);
        return;
    }
    if (!json_is_string(name))
        place_problem(&name_place, shape->problems, "%s",
                      name ? "must be text; put it in quotes" : "missing; give each entry a name");
    if (record && !json_is_null(record) && !json_is_object(record))
        place_problem(&record_place, shape->problems, "must be an object");
}

static void check_list(const struct shape *shape, const struct place *root,
                       enum kubeconfig_list list)
{
    const json_t *items = json_object_get(root_of(shape->file), list_names[list]), *item;
    struct place place = PLACE_KEY(root, list_names[list]);
    json_auto_t *seen = json_object();
    size_t i;

    if (!items || json_is_null(items))
        return;
    if (!json_is_array(items)) {
        place_problem(&place, shape->problems, "must be a list of named entries");
        return;
    }
    json_array_foreach(items, i, item)
    {
        struct place item_place = PLACE_INDEX(&place, i);
        const char *name = json_string_value(json_object_get(item, "name"));
        check_item(shape, list, &item_place, item);
        if (name && json_object_get(seen, name))
            place_problem(&item_place, shape->problems,
                          "a second entry of the same name; remove one of the two");
        else if (name)
            json_object_set_new(seen, name, json_true());
    }
}

static int check_shape(const struct kubeconfig *file, struct problems *problems)
{
    size_t before = problems->count;
    struct shape shape = {file, document_source(&file->documents.items[0], NULL), problems};
    struct place root = PLACE_ROOT(&shape.source);
    struct place current_place = PLACE_KEY(&root, "current-context");
    const json_t *current = json_object_get(root_of(file), "current-context");

    if (file->documents.count > 1)
        problem_add(problems, "%s:%u: a second document; a kubeconfig is one, split the file",
                    file->path, file->documents.items[1].line);
    check_kind(&shape, &root);
    if (current && !json_is_null(current) && !json_is_string(current))
        place_problem(&current_place, problems, "must be text; put it in quotes");
    for (unsigned list = KUBECONFIG_CLUSTERS; list <= KUBECONFIG_CONTEXTS; list++)
        check_list(&shape, &root, list);
    return problems->count > before ? -EINVAL : 0;
}

static bool is_blank(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!isspace((unsigned char)bytes[i]))
            return false;
    return true;
}

int kubeconfig_parse(const char *bytes, size_t length, const char *path, struct kubeconfigs *files,
                     struct problems *problems)
{
    cleanup_problems struct problems said = PROBLEMS_INIT;
    if (files->count == KUBECONFIGS_MAX) {
        problem_add(problems, "%s: one file more than the %d that are read at most", path,
                    KUBECONFIGS_MAX);
        return -EINVAL;
    }
    struct kubeconfig *file = &files->items[files->count++];
    *file = (struct kubeconfig){.path = xstrdup(path), .documents = DOCUMENTS_INIT};
    if (is_blank(bytes, length)) /* says nothing, as to kubectl */
        return 0;
    if (documents_parse(bytes, length, path, &file->documents, &said) < 0) {
        tell_syntax(&said, bytes, length, path, problems);
        kube_secret_free_documents(&file->documents);
        return -EINVAL;
    }
    int ret = file->documents.count ? check_shape(file, problems) : 0;
    if (ret < 0)
        kube_secret_free_documents(&file->documents);
    return ret;
}

int kubeconfig_load(const char *path, struct kubeconfigs *files, struct problems *problems)
{
    cleanup_secret_buffer struct buffer text = BUFFER_INIT(KUBE_CONFIG_BYTES_MAX);
    cleanup_error struct error *err = NULL;
    int ret = file_read(path, &text, &err);
    if (ret == -ENOENT)
        return ret;
    if (ret < 0) {
        problem_add(problems, "%s", error_message(err));
        return ret;
    }
    return kubeconfig_parse(buffer_terminate(&text), text.length, path, files, problems);
}

/* ---- looking into them ---- */

bool kubeconfigs_empty(const struct kubeconfigs *files)
{
    for (size_t i = 0; i < files->count; i++)
        for (unsigned list = KUBECONFIG_CLUSTERS; list <= KUBECONFIG_CONTEXTS; list++)
            if (json_array_size(json_object_get(root_of(&files->items[i]), list_names[list])) > 0)
                return false;
    return true;
}

bool kubeconfigs_find(const struct kubeconfigs *files, enum kubeconfig_list list, const char *name,
                      struct kube_entry *ret_entry)
{
    for (size_t i = 0; i < files->count; i++) {
        const json_t *items = json_object_get(root_of(&files->items[i]), list_names[list]), *item;
        size_t index;
        json_array_foreach(items, index, item)
        {
            const char *found = json_string_value(json_object_get(item, "name"));
            if (!found || strcmp(found, name) != 0)
                continue;
            *ret_entry = (struct kube_entry){.file = &files->items[i],
                                             .list = list,
                                             .index = index,
                                             .name = found,
                                             .value = json_object_get(item, record_names[list])};
            return true;
        }
    }
    return false;
}

const char *kubeconfigs_current_context(const struct kubeconfigs *files)
{
    for (size_t i = 0; i < files->count; i++) {
        const char *name =
            json_string_value(json_object_get(root_of(&files->items[i]), "current-context"));
        if (name && *name)
            return name;
    }
    return NULL;
}

void kubeconfigs_names(const struct kubeconfigs *files, enum kubeconfig_list list,
                       struct buffer *out)
{
    enum { SHOWN = 10 };
    size_t shown = 0;
    for (size_t i = 0; i < files->count; i++) {
        const json_t *items = json_object_get(root_of(&files->items[i]), list_names[list]), *item;
        size_t index;
        json_array_foreach(items, index, item)
        {
            const char *name = json_string_value(json_object_get(item, "name"));
            if (!name || shown > SHOWN)
                continue;
            const char *before = shown == 0 ? ": there is " : ", ";
            if (shown++ == SHOWN)
                buffer_puts(out, ", ...");
            else
                buffer_printf(out, "%s%.64s", before, name);
        }
    }
}

void kube_entry_problem(const struct kube_entry *entry, const char *field,
                        struct problems *problems, const char *format, ...)
{
    struct source source = document_source(&entry->file->documents.items[0], entry->name);
    struct place root = PLACE_ROOT(&source);
    struct place list = PLACE_KEY(&root, list_names[entry->list]);
    struct place item = PLACE_INDEX(&list, entry->index);
    struct place value = PLACE_KEY(&item, record_names[entry->list]);
    struct place record = PLACE_KEY(&value, entry->record);
    struct place inner = PLACE_KEY(entry->record ? &record : &value, field);
    const struct place *place = field ? &inner : inner.parent;
    va_list arguments;

    va_start(arguments, format);
    cleanup_free char *sentence = xvasprintf(format, arguments);
    va_end(arguments);
    place_problem(place, problems, "%s", sentence);
}

void kubeconfigs_free(struct kubeconfigs *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->items[i].path);
        kube_secret_free_documents(&files->items[i].documents);
    }
    files->count = 0;
}
