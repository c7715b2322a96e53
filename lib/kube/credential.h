/*
 * Private to the configuration: what stands behind kube_credential(). Made once, then any thread.
 */
#ifndef DPUMESH_KUBE_CREDENTIAL_H
#define DPUMESH_KUBE_CREDENTIAL_H

#include "kube/exec.h"
#include "kube/key_pair.h"
#include "kube/token_file.h"

/* How long a certificate stays valid memory after another one took its place. */
#define KUBE_CERTIFICATE_KEPT_NS (60 * NS_PER_S)

struct kube_credential_source;

/* Each takes what it is given and returns what the caller owns. */

/* The same header for ever; "" for none. */
struct kube_credential_source *kube_credential_fixed(char *header);

/* A token file that was read already, or whose token is a fallback until it can be read. */
struct kube_credential_source *kube_credential_token_file(struct kube_token_file *file);

/* A plugin; it runs when it is first asked. */
struct kube_credential_source *kube_credential_exec(struct kube_exec *exec);

/* Adds a client certificate in files, and what was read of them already. */
void kube_credential_add_key_pair(struct kube_credential_source *source, struct kube_key_pair *pair,
                                  struct kube_key_pair_text *text);

/* Wipes and frees it; NULL is fine. */
void kube_credential_free(struct kube_credential_source *source);

#endif
