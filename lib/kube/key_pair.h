/*
 * Private to the configuration: a client certificate and its key, in two files that somebody
 * replaces when they are renewed (cert-manager, kubeadm). Two files can't change at one instant, so
 * a pair counts only when both are whole and belong together. Time is an argument. One thread at a
 * time.
 */
#ifndef DPUMESH_KUBE_KEY_PAIR_H
#define DPUMESH_KUBE_KEY_PAIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"

/* As for token files. A look is two stat(2): cheap enough that a certificate that is renewed in the
 * last moment of its life, or after it leaked, is in use a second later. */
#define KUBE_KEY_PAIR_LOOK_NS (1 * NS_PER_S) /* how often the files are looked at */
#define KUBE_KEY_PAIR_READ_NS                                                                      \
    (60 * NS_PER_S) /* how often they are read whatever they look like                             \
                     */

struct kube_key_pair {
    char *cert_file, *key_file;
    struct stat cert_seen, key_seen; /* of the last pair that was good; zero: none was read yet */
    uint64_t looked_ns, read_ns;     /* monotonic; 0: never */
};

/* What was in the files. */
struct kube_key_pair_text {
    char *cert_pem, *key_pem; /* both or none */
};

#define KUBE_KEY_PAIR_TEXT_INIT                                                                    \
    {                                                                                              \
        .cert_pem = NULL                                                                           \
    }

/*
 * Looks at the files, at most once in KUBE_KEY_PAIR_LOOK_NS unless now is given, and reads them
 * when they changed. 0, and *ret_text (owned by the caller) holds what was read or NULLs when there
 * is nothing new; or -errno and a sentence when the pair can't be read or is not whole: then what
 * was good before goes on being used, and the next look tries again.
 */
int kube_key_pair_refresh(struct kube_key_pair *pair, uint64_t now_ns, bool now,
                          struct kube_key_pair_text *ret_text, struct error **err);

/* Whether the texts are certificates, a private key without a passphrase, and the key is that of
 * the first certificate. NULL, or the end of a sentence about the key: "is not the key of ...". */
const char *kube_key_pair_problem(const char *cert_pem, const char *key_pem);

/* Wipe and free what they hold; empty again. */
void kube_key_pair_text_free(struct kube_key_pair_text *text);
#define cleanup_key_pair_text CLEANUP(kube_key_pair_text_free)
void kube_key_pair_free(struct kube_key_pair *pair);

#endif
