#include "ctl/cluster/kustomize.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/cluster/dig.h"
#include "ctl/cluster/manifests.h"

/* As `kubectl kustomize` (v5.7.1) names a configMapGenerator's ConfigMap with this data. */
Test(kustomize, hashes_as_kustomize_does)
{
    char suffix[11];
    json_auto_t *plain = json_pack("{s:s}", "a", "1");
    json_auto_t *odd = json_pack("{s:s, s:s}", "b.yaml", "x: \"<&>\"\ny: \\\t\n", "a", "");
    cr_assert_eq(kustomize_hash(plain, suffix, NULL), 0);
    cr_assert_str_eq(suffix, "h29d89cmmt");
    cr_assert_eq(kustomize_hash(odd, suffix, NULL), 0);
    cr_assert_str_eq(suffix, "td2474d6bt");
}

/* What it does not understand is refused, not passed over. */
Test(kustomize, refuses_what_it_does_not_know)
{
    static const char *const texts[] = {
        "{\"resources\": [], \"patches\": []}",
        "{\"configMapGenerator\": [{\"name\": \"a\", \"literals\": [\"a=b\"]}]}",
        "{\"configMapGenerator\": [{\"name\": \"a\", \"options\": {\"immutable\": true}}]}",
        "{\"images\": [{\"name\": \"a\", \"digest\": \"sha256:1\"}]}",
    };
    static const char *const names[] = {"patches", "configMapGenerator.literals",
                                        "configMapGenerator.options.immutable", "images.digest"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cleanup_error struct error *err = NULL;
        json_auto_t *one = json_loads(texts[i], 0, NULL);
        cr_assert_eq(kustomize_check(one, &err), -EPROTO, "%s", texts[i]);
        cr_assert(strstr(error_message(err), names[i]), "%s", error_message(err));
    }
    json_auto_t *fine = json_loads("{\"resources\": [\"a\"], \"images\": [{\"name\": \"a\", "
                                   "\"newTag\": \"1\"}]}",
                                   0, NULL);
    cr_assert_eq(kustomize_check(fine, NULL), 0);
}

static json_t *deployment(const char *image)
{
    return json_pack("{s:s, s:{s:s, s:s}, s:{s:{s:{s:[{s:s, s:s}], s:[{s:{s:s}}]}}}}", "kind",
                     "Deployment", "metadata", "name", "d", "namespace", "old", "spec", "template",
                     "spec", "containers", "name", "c", "image", image, "volumes", "configMap",
                     "name", "settings");
}

static const char *image_of(const json_t *objects)
{
    const json_t *pod = dig(json_array_get(objects, 0), "spec", "template", "spec", NULL);
    return dig_text(json_array_get(json_object_get(pod, "containers"), 0), "image", NULL);
}

static void expect_image(const char *before, const char *whole, const char *after)
{
    json_auto_t *objects = json_pack("[o]", deployment(before));
    json_auto_t *rules =
        json_loads("{\"images\": [{\"name\": \"op\", \"newTag\": \"2\"}, {\"name\": "
                   "\"r:5000/op\", \"newName\": \"q/op\"}]}",
                   0, NULL);
    kustomize_images(objects, rules, whole);
    cr_assert_str_eq(image_of(objects), after);
}

Test(kustomize, names_images)
{
    expect_image("op:latest", NULL, "op:2");
    expect_image("op", NULL, "op:2");
    expect_image("op@sha256:1", NULL, "op:2");
    expect_image("operator:latest", NULL, "operator:latest");
    expect_image("r:5000/op:7", NULL, "q/op:7");
    expect_image("op:latest", "r:5000/mine:1", "r:5000/mine:1");
    expect_image("busybox:1", "r:5000/mine:1", "busybox:1");
}

Test(kustomize, moves_all_into_a_namespace_and_renames_references)
{
    json_auto_t *data = json_pack("{s:s}", "a", "1");
    json_auto_t *generator = json_pack("{s:s, s:s}", "name", "settings", "namespace", "old");
    json_auto_t *objects =
        json_pack("[{s:s, s:{s:s}}, o, {s:s, s:{s:s}, s:[{s:s}, {s:s}]}]", "kind", "Namespace",
                  "metadata", "name", "old", deployment("op"), "kind", "ClusterRoleBinding",
                  "metadata", "name", "b", "subjects", "namespace", "old", "namespace", "other");
    cr_assert_eq(kustomize_add_config_map(objects, generator, data, NULL), 0);
    kustomize_namespace(objects, "new");
    const json_t *map = json_array_get(objects, 3), *pod = json_array_get(objects, 1);
    const char *name = dig_text(map, "metadata", "name", NULL);
    const json_t *volume = json_array_get(dig(pod, "spec", "template", "spec", "volumes", NULL), 0);
    const json_t *subjects = json_object_get(json_array_get(objects, 2), "subjects");
    cr_assert_str_eq(name, "settings-h29d89cmmt");
    cr_assert_str_eq(dig_text(volume, "configMap", "name", NULL), name);
    cr_assert_str_eq(dig_text(map, "metadata", "namespace", NULL), "new");
    cr_assert_str_eq(dig_text(pod, "metadata", "namespace", NULL), "new");
    cr_assert_str_eq(dig_text(json_array_get(objects, 0), "metadata", "name", NULL), "new");
    cr_assert_str_eq(dig_text(json_array_get(subjects, 0), "namespace", NULL), "new");
    cr_assert_str_eq(dig_text(json_array_get(subjects, 1), "namespace", NULL), "other");
}

/* What the program holds can be rendered, and each object's kind is known. */
Test(manifests, render)
{
    struct manifest_options options = {.namespace = NULL};
    json_auto_t *objects = NULL;
    size_t i;
    json_t *object;
    cr_assert_eq(manifests_render(&options, &objects, NULL), 0);
    cr_assert_gt(json_array_size(objects), 10);
    json_array_foreach(objects, i, object) cr_assert_not_null(manifest_resource(object));
}

static struct embedded_file file_of(const char *name, const char *text)
{
    return (struct embedded_file){name, (const unsigned char *)text, strlen(text)};
}

static void expect_refusal(const char *kustomization, const char *base, const char *sentence)
{
    const struct embedded_file files[] = {
        file_of("deploy/base/kustomization.yaml", kustomization),
        file_of("deploy/base/a.yaml", base),
        {NULL, NULL, 0},
    };
    struct manifest_options options = {.namespace = NULL};
    cleanup_error struct error *err = NULL;
    json_t *objects = NULL;
    cr_assert_eq(manifests_render_files(files, &options, &objects, &err), -EPROTO);
    cr_assert(strstr(error_message(err), sentence), "%s", error_message(err));
}

Test(manifests, refuse_what_they_can_not_render)
{
    expect_refusal("resources: [b.yaml]", "", "deploy/base/b.yaml is not in this program");
    expect_refusal("resources: [a.yaml]", "kind: [", "deploy/base/a.yaml");
    expect_refusal("resources: [a.yaml]", "{apiVersion: v1, kind: Secret}",
                   "deploy/ has a Secret of v1, which install does not know");
    expect_refusal("resources: [a.yaml]\nbases: []", "{}", "bases");
    expect_refusal("configMapGenerator: [{name: m, files: [c.yaml]}]", "{}",
                   "deploy/base/c.yaml is not in this program");
}
