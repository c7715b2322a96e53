#include "kube/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

int kube_digest(const void *data, size_t length, char text[KUBE_DIGEST_TEXT_MAX],
                struct error **err)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    if (EVP_Digest(data, length, bytes, &size, EVP_sha256(), NULL) != 1 ||
        size * 2 + 1 != KUBE_DIGEST_TEXT_MAX)
        return error_make(err, ENOSYS, "SHA-256 can't be computed by this machine's libcrypto");
    for (unsigned i = 0; i < size; i++)
        snprintf(text + (size_t)2 * i, 3, "%02x", bytes[i]);
    return 0;
}
