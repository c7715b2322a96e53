/* Digests of children; tests/kube/test_children.py has what a real API server makes of them. */
#include <criterion/criterion.h>
#include <string.h>

#include "spec/children.h"

static json_t *load(const char *text)
{
    json_error_t error;
    json_t *object = json_loads(text, 0, &error);
    cr_assert_not_null(object, "%s: %s", error.text, text);
    return object;
}

static bool same(enum child_kind kind, const char *a, const char *b)
{
    json_auto_t *one = load(a), *other = load(b);
    return spec_child_fingerprint(kind, one) == spec_child_fingerprint(kind, other);
}

#define OWNED(names, spec)                                                                         \
    "{\"metadata\":{\"annotations\":{\"dpumesh.io/owns\":\"" names                                 \
    "\"}},\"spec\":{\"template\":{\"spec\":{" spec "}}}}"
#define AGENT(spec) "\"containers\":[{\"name\":\"other\"},{\"name\":\"agent\"," spec "}]"

Test(fingerprint, owned_or_not)
{
    const enum child_kind kind = CHILD_DEPLOYMENT;

    /* What is not named is somebody else's; what is named is ours, and so is the list of names. */
    cr_assert(same(kind, OWNED("", "\"nodeSelector\":{\"a\":\"b\"}"), OWNED("", "")));
    cr_assert(!same(kind, OWNED("nodeSelector", "\"nodeSelector\":{\"a\":\"b\"}"),
                    OWNED("nodeSelector", "")));
    cr_assert(!same(kind, OWNED("nodeSelector", ""), OWNED("", "")));
    cr_assert(
        same(kind, OWNED("request:a", AGENT("\"resources\":{\"requests\":{\"a\":\"1\"}}")),
             OWNED("request:a", AGENT("\"resources\":{\"requests\":{\"a\":\"1\",\"b\":\"1\"}}"))));
    cr_assert(!same(kind, OWNED("request:ab", AGENT("\"resources\":{\"requests\":{\"ab\":\"1\"}}")),
                    OWNED("request:ab", AGENT("\"resources\":{\"requests\":{\"a\":\"1\"}}"))));
}

Test(fingerprint, one_form)
{
    const enum child_kind kind = CHILD_DEPLOYMENT;

    /* The order of keys, and what the API server drops, do not matter. */
    cr_assert(same(kind, OWNED("nodeSelector", "\"nodeSelector\":{\"a\":\"b\",\"c\":\"d\"}"),
                   OWNED("nodeSelector", "\"nodeSelector\":{\"c\":\"d\",\"a\":\"b\"}")));
    cr_assert(same(kind, OWNED("tolerations", "\"tolerations\":[{\"key\":\"\",\"x\":[],\"y\":{}}]"),
                   OWNED("tolerations", "\"tolerations\":[{\"z\":null}]")));
    cr_assert(same(kind,
                   OWNED("request:cpu", AGENT("\"resources\":{\"requests\":{\"cpu\":\"0.5\"}}")),
                   OWNED("request:cpu", AGENT("\"resources\":{\"requests\":{\"cpu\":\"500m\"}}"))));
    /* The order of a list does, an empty selector too, and where one text ends. */
    cr_assert(!same(kind, OWNED("tolerations", "\"tolerations\":[{\"a\":1},{\"a\":2}]"),
                    OWNED("tolerations", "\"tolerations\":[{\"a\":2},{\"a\":1}]")));
    cr_assert(!same(kind, OWNED("affinity", "\"affinity\":{\"namespaceSelector\":{}}"),
                    OWNED("affinity", "\"affinity\":{\"namespaceSelector\":null,\"a\":0}")));
    cr_assert(!same(kind, OWNED("nodeSelector", "\"nodeSelector\":{\"a\":\"bc\"}"),
                    OWNED("nodeSelector", "\"nodeSelector\":{\"ab\":\"c\"}")));
    cr_assert(!same(kind, OWNED("tolerations", "\"tolerations\":[{\"s\":1}]"),
                    OWNED("tolerations", "\"tolerations\":[{\"s\":\"1\"}]")));
}

/* Whatever is in an object, a digest comes of it. */
Test(fingerprint, odd_objects)
{
    static const char *const texts[] = {
        "{}",
        "{\"metadata\":1,\"spec\":[]}",
        "{\"metadata\":{\"annotations\":{\"dpumesh.io/owns\":7}}}",
        "{\"metadata\":{\"annotations\":{\"dpumesh.io/owns\":\"   label: label:  x \"}}}",
        OWNED("request:cpu", AGENT("\"resources\":{\"requests\":{\"cpu\":\"lots\"}}")),
        OWNED("request:cpu", AGENT("\"resources\":{\"requests\":{\"cpu\":1}}")),
        "{\"spec\":{\"template\":{\"spec\":{\"containers\":{\"name\":\"agent\"}}}}}",
        "{\"spec\":{\"ports\":[null,1,{\"name\":2},{\"name\":\"bridge\"}]}}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_auto_t *object = load(texts[i]);
        for (enum child_kind kind = 0; kind < CHILD_KINDS; kind++)
            cr_assert_neq(spec_child_fingerprint(kind, object), 0);
    }
    cr_assert_neq(spec_child_fingerprint(CHILD_SERVICE, NULL), 0);
}
