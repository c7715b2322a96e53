/*
 * SHA-256 as a text, for names that tell what an object holds. Any thread.
 */
#ifndef DPUMESH_KUBE_DIGEST_H
#define DPUMESH_KUBE_DIGEST_H

#include <stddef.h>

#include "base/error.h"

enum { KUBE_DIGEST_TEXT_MAX = 65 }; /* 64 hexadecimal digits and a NUL */

/* The digest of length bytes in lower-case hexadecimal, into text. 0, or -ENOSYS and a sentence:
 * this machine's libcrypto refuses SHA-256. */
int kube_digest(const void *data, size_t length, char text[KUBE_DIGEST_TEXT_MAX],
                struct error **err);

#endif
