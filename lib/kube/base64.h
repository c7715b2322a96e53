/*
 * Base64 as kubeconfig files and Basic authentication use it: the standard alphabet with padding
 * (RFC 4648 section 4). Any thread.
 */
#ifndef DPUMESH_KUBE_BASE64_H
#define DPUMESH_KUBE_BASE64_H

#include <stddef.h>

#include "base/buffer.h"

/*
 * Appends what length bytes of text stand for. Strict: padding is required, and the bits that it
 * leaves over must be zero; line ends are skipped, as Go's decoder does. 0; -EINVAL; -ENOBUFS when
 * it does not fit. On failure out is as long as it was. The result is never longer than the text.
 */
int kube_base64_decode(const char *text, size_t length, struct buffer *out);

/* Appends length bytes in base64. 0, or -ENOBUFS (nothing appended). */
int kube_base64_encode(const char *bytes, size_t length, struct buffer *out);

#endif
