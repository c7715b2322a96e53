/* A client certificate and its key in files. */
#include "kube/key_pair.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "kube/config.h"
#include "kube/exec.h"
#include "kube/same_file.h"
#include "kube/secret.h"

/* ---- whether they belong together ---- */

/* A reader of a text, which must stay. */
static BIO *reader_of(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    if (!bio)
        abort(); /* as xmalloc(): out of memory */
    return bio;
}

/* Whether the reader stopped because there is no further PEM block, and not in the middle of one.
 */
static bool at_end(void)
{
    unsigned long last = ERR_peek_last_error();
    return ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
}

/* The first certificate, owned by the caller; NULL when there is none, or one after it is not
 * whole. */
static X509 *read_certificates(const char *pem)
{
    BIO *bio = reader_of(pem);
    X509 *first = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL), *next = NULL;
    bool whole = first != NULL;
    while (whole && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        X509_free(next);
    whole = whole && at_end();
    BIO_free(bio);
    if (whole)
        return first;
    X509_free(first);
    return NULL;
}

static EVP_PKEY *read_key(const char *pem)
{
    BIO *bio = reader_of(pem);
    /* With a passphrase of our own, so that the terminal is not asked for one. */
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "");
    BIO_free(bio);
    return key;
}

const char *kube_key_pair_problem(const char *cert_pem, const char *key_pem)
{
    const char *problem = NULL;

    ERR_set_mark(); /* what fails here is not to be found by the next TLS call of this thread */
    X509 *cert = read_certificates(cert_pem);
    EVP_PKEY *key = read_key(key_pem);
    if (!cert)
        problem = "stands beside a certificate that is broken or not whole";
    else if (!key)
        problem = "is broken or not whole";
    else if (X509_check_private_key(cert, key) != 1)
        problem = "is not the key of the certificate beside it; are both of one renewal?";
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    return problem;
}

/* ---- files ---- */

static int read_text(const char *path, char **ret_text, struct error **err)
{
    cleanup_secret_buffer struct buffer text = BUFFER_INIT(KUBE_CONFIG_BYTES_MAX);
    int ret = file_read(path, &text, err);
    if (ret < 0)
        return ret;
    buffer_terminate(&text);
    *ret_text = kube_secret_take(&text);
    return 0;
}

static int read_pair(const struct kube_key_pair *pair, struct kube_key_pair_text *ret_text,
                     struct error **err)
{
    cleanup_key_pair_text struct kube_key_pair_text text = KUBE_KEY_PAIR_TEXT_INIT;
    int ret = read_text(pair->cert_file, &text.cert_pem, err);
    if (ret == 0)
        ret = read_text(pair->key_file, &text.key_pem, err);
    if (ret < 0)
        return ret;
    const char *problem = kube_pem_key_problem(text.key_pem);
    if (!problem)
        problem = kube_key_pair_problem(text.cert_pem, text.key_pem);
    if (problem)
        return error_make(err, EINVAL, "%s: %s", pair->key_file, problem);
    *ret_text =
        (struct kube_key_pair_text){STEAL_POINTER(text.cert_pem), STEAL_POINTER(text.key_pem)};
    return 0;
}

int kube_key_pair_refresh(struct kube_key_pair *pair, uint64_t now_ns, bool now,
                          struct kube_key_pair_text *ret_text, struct error **err)
{
    cleanup_key_pair_text struct kube_key_pair_text text = KUBE_KEY_PAIR_TEXT_INIT;
    struct stat cert = {0}, key = {0};

    if (!now && pair->looked_ns && now_ns - pair->looked_ns < KUBE_KEY_PAIR_LOOK_NS)
        return 0;
    pair->looked_ns = now_ns;
    /* Looked at before they are read: what is swapped in between is read once more later. */
    if (stat(pair->cert_file, &cert) == 0 && stat(pair->key_file, &key) == 0 && !now &&
        kube_same_file(&cert, &pair->cert_seen) && kube_same_file(&key, &pair->key_seen) &&
        now_ns - pair->read_ns < KUBE_KEY_PAIR_READ_NS)
        return 0;
    int ret = read_pair(pair, &text, err);
    if (ret < 0)
        return ret;
    pair->cert_seen = cert;
    pair->key_seen = key;
    pair->read_ns = now_ns;
    *ret_text =
        (struct kube_key_pair_text){STEAL_POINTER(text.cert_pem), STEAL_POINTER(text.key_pem)};
    return 0;
}

/* ---- the end ---- */

void kube_key_pair_text_free(struct kube_key_pair_text *text)
{
    free(text->cert_pem);
    kube_secret_free(text->key_pem);
    *text = (struct kube_key_pair_text)KUBE_KEY_PAIR_TEXT_INIT;
}

void kube_key_pair_free(struct kube_key_pair *pair)
{
    free(pair->cert_file);
    free(pair->key_file);
    *pair = (struct kube_key_pair){.cert_file = NULL};
}
