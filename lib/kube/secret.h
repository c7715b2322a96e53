/*
 * Private to the configuration: what holds a secret is overwritten before it is freed. What the
 * libraries below us copied while they parsed (libyaml's buffers) is out of reach.
 */
#ifndef DPUMESH_KUBE_SECRET_H
#define DPUMESH_KUBE_SECRET_H

#include <jansson.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "doc/document.h"

/* Overwrites and frees a text; NULL is fine. */
void kube_secret_free(char *secret);

static inline void kube_secret_cleanup_fn(char **secret)
{
    kube_secret_free(*secret);
}
#define cleanup_secret CLEANUP(kube_secret_cleanup_fn)

/* The same for texts in an array of their own, NULL at the end. */
void kube_texts_free(char **texts);

/* The content of a buffer as a text of its own (owned by the caller); the buffer is wiped. */
char *kube_secret_take(struct buffer *buffer);

/* kube_credential_wipe() as a cleanup. */
#define cleanup_secret_buffer CLEANUP(kube_credential_wipe)

/* Overwrites every string in a tree that is about to be freed. */
void kube_secret_wipe_json(json_t *value);

/* Overwrites and frees documents. */
void kube_secret_free_documents(struct documents *documents);

#define cleanup_secret_documents CLEANUP(kube_secret_free_documents)

#endif
