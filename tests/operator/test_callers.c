#include <criterion/criterion.h>
#include <string.h>

#include "base/memory.h"
#include "operator/callers.h"
#include "operator/trim.h"
#include "operator/written.h"

/* A store of DpuServices in namespace "shop", and who calls whom. */
struct world {
    struct kube_store *store;
    struct callers *callers;
    unsigned version;
    char keys[8192]; /* who was to be visited again, "shop/s0 shop/s1 " */
};

static void open_world(struct world *w)
{
    struct kube_store_options options;
    trim_store_options(SOURCE_DPUSERVICES, &options);
    *w = (struct world){.store = kube_store_new(&options), .callers = callers_new()};
}

static void close_world(struct world *w)
{
    cr_expect_eq(callers_count(w->callers), 0);
    callers_free(w->callers);
    kube_store_free(w->store);
}

static json_t *object_of(struct world *w, const char *namespace, const char *name, unsigned port,
                         const char *path)
{
    char version[16];
    snprintf(version, sizeof version, "%u", ++w->version);
    return json_pack("{s:{s:s, s:s, s:s}, s:{s:{s:{s:I}}, s:{s:s}}}", "metadata", "namespace",
                     namespace, "name", name, "resourceVersion", version, "spec", "service",
                     "ports", "http", (json_int_t)port, "workload", "path", path);
}

static void put_in(struct world *w, const char *namespace, const char *name, unsigned port,
                   const char *path)
{
    json_auto_t *object = object_of(w, namespace, name, port, path);
    kube_store_put(w->store, object, NULL, NULL);
}

static void put(struct world *w, const char *name, unsigned port, const char *path)
{
    put_in(w, "shop", name, port, path);
}

static void take_away(struct world *w, const char *name)
{
    json_auto_t *object = object_of(w, "shop", name, 1, "/");
    kube_store_delete(w->store, object, NULL, NULL);
}

/* A DpuService with this spec as JSON, single quotes for double. */
static struct dpuservice *read_service(const char *name, const char *spec)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct dpuservice *service = NULL;
    cleanup_free char *text =
        xasprintf("{'apiVersion': 'dpumesh.io/v1alpha1', 'kind': 'DpuService', "
                  "'metadata': {'name': '%s'}, 'spec': {%s}}",
                  name, spec);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_auto_t *root = json_loads(text, 0, NULL);
    char file[] = "test";
    struct document document = {.file = file, .root = root};
    int ret = dpuservice_parse(&document, &service, &problems);
    cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "no sentence");
    return service;
}

/* A visit to a caller with this path; it is told of s1 what is expected, "nothing" for its own
 * address. */
static void visit(struct world *w, const char *name, const char *path, const char *told)
{
    cleanup_free char *spec = xasprintf("'egress': {'mode': 'forward'}, 'workload': {'path': '%s', "
                                        "'externalServices': [{'services': ['s1', 's2']}]}",
                                        path);
    cleanup_dpuservice struct dpuservice *service = read_service(name, spec);
    callers_resolve(w->callers, w->store, written_name("shop", name), "shop", service);
    const char *url = json_string_value(json_object_get(service->callees, "s1"));
    cr_expect_str_eq(url ? url : "nothing", told, "%s", name);
}

static void add(void *context, const char *key)
{
    struct world *w = context;
    size_t length = strlen(w->keys);
    snprintf(w->keys + length, sizeof w->keys - length, "%s ", key);
}

/* A visit to s1 brings these callers back. */
static void expect_back(struct world *w, const char *keys)
{
    w->keys[0] = '\0';
    callers_each(w->callers, w->store, written_name("shop", "s1"), "shop", "s1", add, w);
    cr_expect_str_eq(w->keys, keys);
}

static void forget(struct world *w, const char *name)
{
    callers_forget(w->callers, written_name("shop", name));
}

Test(callers, a_callee_comes_moves_and_goes)
{
    struct world w;
    open_world(&w);
    expect_back(&w, ""); /* nobody calls it */
    visit(&w, "s0", "/api/v1", "nothing");
    cr_expect_eq(callers_count(w.callers), 3);
    expect_back(&w, "");
    put(&w, "s1", 9090, "/foo");
    expect_back(&w, "shop/s0 ");
    expect_back(&w, ""); /* once is enough: the key is in the queue */
    visit(&w, "s0", "/api/v1", "http://s1:9090/foo");
    expect_back(&w, "");
    put(&w, "s1", 9090, "/bar");
    expect_back(&w, "shop/s0 ");
    visit(&w, "s0", "/api/v1", "http://s1:9090/bar");
    take_away(&w, "s1");
    expect_back(&w, "shop/s0 ");
    visit(&w, "s0", "/api/v1", "nothing");
    expect_back(&w, "");
    forget(&w, "s0");
    forget(&w, "s0");
    close_world(&w);
}

/* The other order of creation: whoever finds it there is not visited again for it. */
Test(callers, a_callee_that_was_there_first)
{
    struct world w;
    open_world(&w);
    put(&w, "s1", 9090, "/foo");
    visit(&w, "s0", "/api/v1", "http://s1:9090/foo");
    expect_back(&w, "");
    forget(&w, "s0");
    close_world(&w);
}

/* One that comes where its callers look for it concerns none of them. */
Test(callers, only_those_who_were_told_otherwise)
{
    struct world w;
    open_world(&w);
    visit(&w, "s0", "/api/v1", "nothing");
    visit(&w, "s3", "/foo", "nothing");
    put(&w, "s1", 8080, "/api/v1");
    expect_back(&w, "shop/s3 ");
    visit(&w, "s3", "/foo", "http://s1:8080/api/v1");
    put(&w, "s1", 8080, "/foo");
    expect_back(&w, "shop/s3 shop/s0 ");
    visit(&w, "s3", "/foo", "nothing");
    visit(&w, "s0", "/api/v1", "http://s1:8080/foo");
    take_away(&w, "s1");
    expect_back(&w, "shop/s0 ");
    forget(&w, "s0");
    forget(&w, "s3");
    close_world(&w);
}

/* There and back between two visits to it: only who was told of the place between is wrong. */
Test(callers, there_and_back)
{
    struct world w;
    open_world(&w);
    put(&w, "s1", 9090, "/foo");
    visit(&w, "s0", "/api/v1", "http://s1:9090/foo");
    expect_back(&w, "");
    put(&w, "s1", 9090, "/bar");
    visit(&w, "s3", "/api/v1", "http://s1:9090/bar");
    put(&w, "s1", 9090, "/foo");
    expect_back(&w, "shop/s3 ");
    visit(&w, "s3", "/api/v1", "http://s1:9090/foo");
    expect_back(&w, "");
    forget(&w, "s0");
    forget(&w, "s3");
    close_world(&w);
}

/* Who has other callees now, or none, is not in the way of those who stay. */
Test(callers, they_change_their_callees)
{
    struct world w;
    open_world(&w);
    for (unsigned i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "c%u", i);
        visit(&w, name, "/api/v1", "nothing");
    }
    cleanup_dpuservice struct dpuservice *other =
        read_service("s0", "'egress': {'destinations': [{'name': 's1'}]}");
    cleanup_dpuservice struct dpuservice *none = read_service("c1", "'replicas': 1");
    callers_resolve(w.callers, w.store, written_name("shop", "c1"), "shop", none);
    callers_resolve(w.callers, w.store, written_name("shop", "s0"), "shop", other);
    put(&w, "s1", 9090, "/foo");
    expect_back(&w, "shop/s0 shop/c2 shop/c0 ");
    forget(&w, "c0");
    forget(&w, "s0");
    put(&w, "s1", 9090, "/bar");
    expect_back(&w, "shop/c2 ");
    cr_expect_eq(callers_count(w.callers), 3, "c2, s1 and s2");
    forget(&w, "c2");
    close_world(&w);
}

Test(callers, names_are_of_a_namespace)
{
    struct world w;
    open_world(&w);
    put_in(&w, "bank", "s1", 9090, "/foo");
    visit(&w, "s0", "/api/v1", "nothing");
    w.keys[0] = '\0';
    callers_each(w.callers, w.store, written_name("bank", "s1"), "bank", "s1", add, &w);
    cr_expect_str_eq(w.keys, "");
    forget(&w, "s0");
    close_world(&w);
}

Test(callers, freed_with_all_in_it)
{
    struct world w;
    open_world(&w);
    visit(&w, "s0", "/api/v1", "nothing");
    visit(&w, "c0", "/foo", "nothing");
    callers_free(w.callers);
    callers_free(NULL);
    kube_store_free(w.store);
}
