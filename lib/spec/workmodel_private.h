/* Private to the conversion of work models: what its files share. */
#ifndef DPUMESH_SPEC_WORKMODEL_PRIVATE_H
#define DPUMESH_SPEC_WORKMODEL_PRIVATE_H

#include <stdbool.h>

#include "doc/place.h"
#include "spec/field.h"
#include "spec/workmodel.h"

/* A call that a service may make. */
struct workmodel_call {
    size_t caller;
    const char *callee; /* of length bytes; borrowed from the file */
    size_t length;
    char *origin; /* "workmodel.json: /s0/external_services/0/services/1" */
    bool certain; /* each request makes it */
    bool never;   /* its probability is 0 */
};

struct workmodel_calls {
    size_t count, room;
    struct workmodel_call *items;
};

/* An import under way. document, origins and notes are those of the service being converted. */
struct conversion {
    const struct workmodel_source *source;
    const char *name; /* of the service */
    size_t index;     /* of the service in the model */
    json_t *document, *origins, *notes;
    bool overriding;  /* what is put takes the place of what is there */
    bool alternative; /* inside alternative_behaviors */
    struct workmodel_calls calls;
    struct problems *problems;
};

/* Whether key is name (camelCase) in any spelling that muBench's files have had: case, "-" and "_"
 * count nothing; but "_" in front takes a key out of a file, which has no comments. */
bool workmodel_same_name(const char *key, const char *name);

/* name as muBench writes it: mean_response_size. Owned by the caller. */
char *workmodel_snake(const char *name);

/* The field that key means; NULL: none. */
const struct field *workmodel_field(const struct record *record, const char *key);

/* The field of this very name in record, or NULL. */
const struct field *workmodel_named(const struct record *record, const char *name);

/* The tables of spec and of spec.workload. */
const struct record *workmodel_spec_record(void);
const struct record *workmodel_workload_record(void);

/* Notes what happens to a part of a file. */
void convert_note(struct conversion *conversion, const struct place *from, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Remembers that the document's part at `to` comes from `from`. */
void convert_remember(struct conversion *conversion, const struct place *to,
                      const struct place *from);

/*
 * The value of a field of the tables made from the file's; owned by the caller, and may share parts
 * with the file. NULL: it says nothing, which was noted where it matters. to: the place in the
 * document.
 */
json_t *convert_value(struct conversion *conversion, const struct field *field, json_t *value,
                      const struct place *from, const struct place *to);

/* The same for an object of a record. */
json_t *convert_record(struct conversion *conversion, const struct record *record, json_t *value,
                       const struct place *from, const struct place *to);

/* The same for external_services[i], whose calls are remembered. */
json_t *convert_group(struct conversion *conversion, json_t *value, const struct place *from,
                      const struct place *to);

/* The same for internal_service. */
json_t *convert_internal(struct conversion *conversion, json_t *value, const struct place *from,
                         const struct place *to);

/* muBench always calls a function: one that does nothing and answers as little as may be, as an
 * export writes it for a service without internal work. Owned by the caller. */
json_t *workmodel_idle(void);

/* A place of the document by the keys of path, which NULL ends; deepest first in storage, of
 * which there must be one more than keys. Returns the deepest. */
enum { WORKMODEL_PATH_MAX = 5 };
const struct place *convert_path(const char *const path[WORKMODEL_PATH_MAX],
                                 struct place storage[WORKMODEL_PATH_MAX + 1]);

/*
 * Puts value (which is stolen; NULL: nothing happens) at path into the document, and remembers
 * where it comes from. A second value for the same place is a problem unless it is the same or
 * overrides.
 */
void convert_put(struct conversion *conversion, const char *const path[WORKMODEL_PATH_MAX],
                 json_t *value, const struct place *from);

/* Converts all keys of a service, from the work model or (overriding) K8sParameters. */
void convert_service(struct conversion *conversion, json_t *service, const struct place *from);

/* Notes a url in another namespace than the converted service's. The cells of a fork would call
 * there; muBench's deployer writes both anew, so it is not for services whose namespace
 * K8sParameters sets. */
void convert_compare_url(struct conversion *conversion, const json_t *service,
                         const struct place *from);

/* Begins the document of the service called name. */
void convert_begin(struct conversion *conversion, const char *name, const struct place *from);

/* Reads the finished document, so that its problems are told. Whether it is right. */
bool convert_check(struct conversion *conversion);

/* Frees what belongs to the service's conversion alone. */
void convert_end(struct conversion *conversion);

/* Whether K8sParameters' key is one that counts for each service. */
bool workmodel_overrides(const char *key);

/* Says what is wrong with the parameters' file and notes what has no counterpart. The object whose
 * keys override, NULL when there is none that is right; *ret_place, of two, is its place. */
json_t *workmodel_parameters(struct conversion *conversion, json_t *notes,
                             struct place ret_place[2], struct source *source);

/* Callees that do not exist, and calls that come back; names: the model's services, in order. */
void workmodel_check_calls(const struct workmodel_calls *calls, json_t *model, json_t *notes,
                           struct problems *problems);

/* A service as an end of a call; borrowed texts. namespace NULL: none is given. */
struct workmodel_end {
    const char *name, *namespace, *path;
};

/* The URL that the caller must be given to reach the callee in a cluster; NULL when the callee's
 * name is enough. Owned by the caller of this. */
char *workmodel_url(const struct workmodel_end *caller, const struct workmodel_end *callee);

/* Writes these URLs into the documents, one for each service of the model; all calls are right. */
void workmodel_add_urls(const struct workmodel_calls *calls, struct workmodel_documents *made);

/* Whom a service calls. */
struct workmodel_edge {
    size_t caller, callee;             /* places in the model */
    const struct workmodel_call *call; /* one of them, borrowed; NULL: not of an import */
};

/* The edges of calls that may be made, once each, sorted by caller; owned by the caller of this,
 * *ret_count of them. */
struct workmodel_edge *workmodel_edges(const struct workmodel_calls *calls,
                                       const struct workmodel_documents *made, size_t *ret_count);

/* Writes spec.egress.forward.hops into the documents to which more calls in a row lead than the
 * default lets pass, and notes at whom the most is not enough; all calls are right. model: the
 * file's root. */
void workmodel_add_hops(const struct workmodel_calls *calls, const struct place *model,
                        struct workmodel_documents *made);

/* The longest way of calls to each of the application's services, before a call comes back. Owned
 * by the caller. */
unsigned *workmodel_depths(const struct application *application);

/* The value of spec.egress.forward.hops that an import gives a service of this depth. */
unsigned workmodel_hops(unsigned depth);

void workmodel_calls_free(struct workmodel_calls *calls);

#endif
