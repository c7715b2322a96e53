#include "ctl/cluster/kustomize.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "ctl/cluster/dig.h"
#include "kube/digest.h"

enum { HASH_BYTES_MAX = 4 << 20, HASH_DIGITS = 10 };

static int check_keys(json_t *object, const char *const *known, const char *what,
                      struct error **err)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i])
            return error_make(err, EPROTO,
                              "deploy/base/kustomization.yaml: %s%s is more than install knows of "
                              "kustomize",
                              what, key);
    }
    return 0;
}

int kustomize_check(json_t *kustomization, struct error **err)
{
    static const char *const top[] = {"apiVersion",         "kind",   "resources",
                                      "configMapGenerator", "images", NULL};
    static const char *const generator_keys[] = {"name", "namespace", "files", "options", NULL};
    static const char *const option_keys[] = {"labels", NULL};
    static const char *const image_keys[] = {"name", "newName", "newTag", NULL};
    size_t i;
    json_t *one;
    int r = check_keys(kustomization, top, "", err);
    json_array_foreach(json_object_get(kustomization, "configMapGenerator"), i, one)
    {
        if (r == 0)
            r = check_keys(one, generator_keys, "configMapGenerator.", err);
        if (r == 0)
            r = check_keys(json_object_get(one, "options"), option_keys,
                           "configMapGenerator.options.", err);
    }
    json_array_foreach(json_object_get(kustomization, "images"), i, one)
    {
        if (r == 0)
            r = check_keys(one, image_keys, "images.", err);
    }
    return r;
}

/* ---- ConfigMaps ---- */

/* As Go's encoding/json writes it: keys in order, and <, > and & escaped. */
static void go_json(const json_t *value, struct buffer *out)
{
    cleanup_free char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    for (const char *at = text; at && *at; at++) {
        if (*at == '<' || *at == '>' || *at == '&')
            buffer_printf(out, "\\u%04x", (unsigned)*at);
        else
            buffer_append(out, at, 1);
    }
}

int kustomize_hash(json_t *data, char ret_suffix[11], struct error **err)
{
    /* Vowels and what looks like them are replaced, so that no hash is a word. */
    static const char from[] = "013ae", to[] = "ghkmt";
    char digest[KUBE_DIGEST_TEXT_MAX];
    cleanup_buffer struct buffer text = BUFFER_INIT(HASH_BYTES_MAX);
    /* kustomize means to hash the name as well, but looks for it where it is not. */
    json_auto_t *whole =
        json_pack("{s:O, s:s, s:s}", "data", data, "kind", "ConfigMap", "name", "");

    go_json(whole, &text);
    int r = kube_digest(text.data, text.length, digest, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < HASH_DIGITS; i++) {
        const char *replaced = strchr(from, digest[i]);
        ret_suffix[i] = replaced ? to[replaced - from] : digest[i];
    }
    ret_suffix[HASH_DIGITS] = '\0';
    return 0;
}

/* Has whatever names the ConfigMap name it by its new name. */
static void rename_references(json_t *value, const char *name, const char *new_name)
{
    static const char *const members[] = {"configMap", "configMapRef", "configMapKeyRef"};
    const char *key;
    json_t *child;
    size_t i;
    json_array_foreach(value, i, child) rename_references(child, name, new_name);
    json_object_foreach(value, key, child)
    {
        for (i = 0; i < sizeof members / sizeof members[0]; i++)
            if (strcmp(key, members[i]) == 0 && strcmp(dig_text(child, "name", NULL), name) == 0)
                json_object_set_new(child, "name", json_string(new_name));
        rename_references(child, name, new_name);
    }
}

int kustomize_add_config_map(json_t *objects, const json_t *generator, json_t *data,
                             struct error **err)
{
    const char *name = dig_text(generator, "name", NULL);
    char suffix[HASH_DIGITS + 1];
    int r = kustomize_hash(data, suffix, err);
    if (r < 0)
        return r;
    cleanup_free char *new_name = xasprintf("%s-%s", name, suffix);
    json_t *metadata = json_pack("{s:s}", "name", new_name);
    json_t *namespace = json_object_get(generator, "namespace");
    json_t *labels = dig(generator, "options", "labels", NULL);
    if (namespace)
        json_object_set(metadata, "namespace", namespace);
    if (labels)
        json_object_set_new(metadata, "labels", json_deep_copy(labels));
    rename_references(objects, name, new_name);
    json_array_append_new(objects, json_pack("{s:s, s:s, s:o, s:O}", "apiVersion", "v1", "kind",
                                             "ConfigMap", "metadata", metadata, "data", data));
    return 0;
}

/* ---- images ---- */

/* The length of an image's name, without tag and digest. */
static size_t image_name_length(const char *image)
{
    const char *slash = strrchr(image, '/'), *from = slash ? slash : image;
    return (size_t)(from - image) + strcspn(from, ":@");
}

static void set_image(json_t *container, const json_t *kustomization, const char *whole)
{
    const char *image = dig_text(container, "image", NULL);
    size_t length = image_name_length(image), i;
    json_t *row;
    json_array_foreach(json_object_get(kustomization, "images"), i, row)
    {
        const char *name = dig_text(row, "name", NULL), *tag = dig_text(row, "newTag", NULL);
        const char *new_name = dig_text(row, "newName", NULL);
        if (strlen(name) != length || strncmp(name, image, length) != 0)
            continue;
        cleanup_free char *made = whole ? xstrdup(whole)
                                        : xasprintf("%s%s%s", *new_name ? new_name : name,
                                                    *tag ? ":" : image + length, tag);
        json_object_set_new(container, "image", json_string(made));
        return;
    }
}

void kustomize_images(json_t *objects, const json_t *kustomization, const char *image)
{
    size_t i, j;
    json_t *object, *container;
    json_array_foreach(objects, i, object)
    {
        json_array_foreach(dig(object, "spec", "template", "spec", "containers", NULL), j,
                           container) set_image(container, kustomization, image);
    }
}

/* ---- namespace ---- */

static const char *own_namespace(const json_t *objects)
{
    size_t i;
    json_t *object;
    json_array_foreach(objects, i, object)
    {
        if (strcmp(dig_text(object, "kind", NULL), "Namespace") == 0)
            return dig_text(object, "metadata", "name", NULL);
    }
    return "";
}

static void move(json_t *place, const char *key, const char *from, const char *to)
{
    if (strcmp(dig_text(place, key, NULL), from) == 0)
        json_object_set_new(place, key, json_string(to));
}

void kustomize_namespace(json_t *objects, const char *namespace)
{
    cleanup_free char *from = xstrdup(own_namespace(objects));
    size_t i, j;
    json_t *object, *subject;
    json_array_foreach(objects, i, object)
    {
        bool itself = strcmp(dig_text(object, "kind", NULL), "Namespace") == 0;
        move(json_object_get(object, "metadata"), itself ? "name" : "namespace", from, namespace);
        json_array_foreach(json_object_get(object, "subjects"), j, subject)
            move(subject, "namespace", from, namespace);
    }
}
