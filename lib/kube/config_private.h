/*
 * Private to the configuration. A configuration is made in two steps, so that the first can be
 * tested and fuzzed without a file system:
 *
 *   kubeconfig_parse()       config_file.c    the text of each file, checked in its shape
 *   kube_access_resolve()    config_access.c  what the files say of one context; reads no file
 *   kube_access_open()       config_open.c    certificates and tokens are read
 *
 * and config.c chooses where it comes from. One thread at a time.
 */
#ifndef DPUMESH_KUBE_CONFIG_PRIVATE_H
#define DPUMESH_KUBE_CONFIG_PRIVATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "doc/document.h"
#include "kube/config.h"
#include "kube/exec.h"

enum {
    KUBECONFIGS_MAX = 64,       /* files named by KUBECONFIG */
    KUBE_PROBLEMS_SHOWN = 8,    /* in one sentence */
    KUBE_SENTENCE_BYTES = 16384 /* of all of them */
};

/* ---- files ---- */

struct kubeconfig {
    char *path;
    struct documents documents; /* one, or none when the file says nothing */
};

struct kubeconfigs {
    size_t count;
    struct kubeconfig items[KUBECONFIGS_MAX];
};

#define KUBECONFIGS_INIT                                                                           \
    {                                                                                              \
        .count = 0                                                                                 \
    }

/*
 * Appends a file's text. Its shape is checked: one document, kind Config, lists of named entries,
 * no name twice. Sentences never quote what may be a secret. 0, or -EINVAL after problems.
 */
int kubeconfig_parse(const char *bytes, size_t length, const char *path, struct kubeconfigs *files,
                     struct problems *problems);

/* The same from the file's path. -ENOENT without a problem when it is not there. */
int kubeconfig_load(const char *path, struct kubeconfigs *files, struct problems *problems);

/* Whether no file has any cluster, user or context. */
bool kubeconfigs_empty(const struct kubeconfigs *files);

/* Wipes and frees them; empty again. */
void kubeconfigs_free(struct kubeconfigs *files);
#define cleanup_kubeconfigs CLEANUP(kubeconfigs_free)

/* ---- entries of a file, and what is wrong with them ---- */

enum kubeconfig_list { KUBECONFIG_CLUSTERS, KUBECONFIG_USERS, KUBECONFIG_CONTEXTS };

/* A named cluster, user or context, or a record inside of one. Borrows from the files. */
struct kube_entry {
    const struct kubeconfig *file; /* NULL: nothing was found */
    enum kubeconfig_list list;
    size_t index;
    const char *name;
    const char *record;  /* the field of the entry that value is ("exec"); NULL: value is all */
    const json_t *value; /* an object */
};

/* The entry of the first file that has this name; false when none has. */
bool kubeconfigs_find(const struct kubeconfigs *files, enum kubeconfig_list list, const char *name,
                      struct kube_entry *ret_entry);

/* current-context of the first file that sets it; NULL: none does. */
const char *kubeconfigs_current_context(const struct kubeconfigs *files);

/* Appends ": there are a, b and c" for the names of a list, or nothing. */
void kubeconfigs_names(const struct kubeconfigs *files, enum kubeconfig_list list,
                       struct buffer *out);

/* Adds a problem of a field (NULL: of the entry itself). */
void kube_entry_problem(const struct kube_entry *entry, const char *field,
                        struct problems *problems, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A field's text, borrowed; NULL when it is not there, null or empty, or after a problem because it
 * is something else. */
const char *kube_entry_text(const struct kube_entry *entry, const char *field,
                            struct problems *problems);

/* The same for a truth value; false when it is not there. */
bool kube_entry_truth(const struct kube_entry *entry, const char *field, struct problems *problems);

/*
 * Adds a problem for each field that is not known (a NULL ends the list). strict: any; otherwise
 * only what looks like a slip of the pen, so that fields of later versions do no harm.
 */
void kube_entry_check_fields(const struct kube_entry *entry, const char *const *known, bool strict,
                             struct problems *problems);

/* path as a file of this entry means it: relative to the file's directory. Owned by the caller. */
char *kube_entry_path(const struct kube_entry *entry, const char *path);

/* ---- what the files say ---- */

/* Bytes that stand in a file, or in the configuration in base64. */
struct kube_material {
    char *file; /* its path; or */
    char *data; /* PEM; both NULL: nothing */
    struct kube_entry entry;
    const char *field; /* where it was said, for messages */
};

struct kube_access {
    char *source;
    char *namespace;
    char *server;
    char *tls_server_name;
    char *proxy_url;
    bool insecure;
    struct kube_material ca, client_cert, client_key;
    char *token; /* the fallback when there is a file, too */
    char *token_file;
    char *username, *password;
    char **impersonate; /* header lines, as in struct kube_config */
    struct kube_exec *exec;
};

#define KUBE_ACCESS_INIT                                                                           \
    {                                                                                              \
        .source = NULL                                                                             \
    }

/* Finds the context and puts cluster, user and flags together; server and namespace of the options
 * were checked. 0, or -EINVAL after problems. */
int kube_access_resolve(const struct kubeconfigs *files, const struct kube_config_options *options,
                        struct kube_access *ret_access, struct problems *problems);

/* The parts of it: config_cluster.c and config_user.c. */
void kube_access_cluster(const struct kube_entry *cluster,
                         const struct kube_config_options *options, struct kube_access *access,
                         struct problems *problems);
void kube_access_user(const struct kube_entry *user, struct kube_access *access,
                      struct problems *problems);

/* A field in base64 or (field "-data" less) a file's path; one of the two. */
void kube_access_material(const struct kube_entry *entry, const char *file_field,
                          const char *data_field, struct kube_material *material,
                          struct problems *problems);

/* Whom the user acts as, as lines of a request's head, NULL at the end (owned by the caller); NULL:
 * nobody else, or after problems. */
char **kube_access_impersonation(const struct kube_entry *user, struct problems *problems);

/* The exec section of a user; NULL after problems. */
struct kube_exec *kube_access_exec(const struct kube_entry *user, struct problems *problems);

/* An http or https URL of a server: why it is none, or NULL; *ret_server without a final slash
 * (owned by the caller). */
const char *kube_server_url(const char *text, char **ret_server);

/* Whether text can be a namespace: a DNS label of at most 63. */
bool kube_namespace_valid(const char *text);

/* Reads certificates and the token file. 0 and *ret_config, or -errno and a sentence. Takes from
 * access what it needs. */
int kube_access_open(struct kube_access *access, struct kube_config **ret_config,
                     struct error **err);

/* Wipes and frees it; empty again. */
void kube_access_free(struct kube_access *access);
#define cleanup_kube_access CLEANUP(kube_access_free)

/* Problems as one error; -number. */
int kube_problems_error(const struct problems *problems, int number, struct error **err);

#endif
