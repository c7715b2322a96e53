#include "agent/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

enum tls_file { FILE_CA, FILE_CERTIFICATE, FILE_KEY, FILES };

/* What tells that a file is another one: Kubernetes replaces a symbolic link, people write. */
struct file_stamp {
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct tls {
    const char *section;
    char *paths[FILES]; /* NULL: none */
    struct file_stamp stamps[FILES];
    uint64_t looked_ns;  /* when the stamps were last compared; 0: never */
    SSL_CTX *context;    /* NULL: no files were usable yet */
    uint64_t generation; /* of the files in force; another one with each change */
    char *complaint;     /* what is wrong with the files that are there; NULL: nothing */
};

struct tls_session {
    SSL *ssl;
    uint64_t generation; /* of the files that it was opened with */
};

struct tls *tls_new(const char *section)
{
    struct tls *tls = xcalloc(1, sizeof *tls);
    tls->section = section;
    return tls;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    for (unsigned i = 0; i < FILES; i++)
        free(tls->paths[i]);
    SSL_CTX_free(tls->context);
    free(tls->complaint);
    free(tls);
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

void tls_files(struct tls *tls, const char *ca, const char *certificate, const char *key)
{
    const char *const paths[FILES] = {ca, certificate, key};
    bool changed = false;
    for (unsigned i = 0; i < FILES; i++) {
        if (same(tls->paths[i], paths[i]))
            continue;
        free(tls->paths[i]);
        tls->paths[i] = paths[i] ? xstrdup(paths[i]) : NULL;
        changed = true;
    }
    if (!changed)
        return;
    SSL_CTX_free(tls->context);
    tls->context = NULL;
    tls->generation++;
    tls->looked_ns = 0;
    memset(tls->stamps, 0, sizeof tls->stamps);
}

const char *tls_reason(void)
{
    unsigned long oldest = ERR_peek_error(), code = ERR_peek_last_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    /* Of a file that can't be read the newest is but "system lib". */
    if (ERR_SYSTEM_ERROR(oldest))
        text = strerror(ERR_GET_REASON(oldest));
    ERR_clear_error();
    return text ? text : "no reason is known";
}

static int load(const struct tls *tls, SSL_CTX *context, struct error **err)
{
    const char *ca = tls->paths[FILE_CA], *certificate = tls->paths[FILE_CERTIFICATE];
    const char *key = tls->paths[FILE_KEY];
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (ca ? !SSL_CTX_load_verify_file(context, ca) : !SSL_CTX_set_default_verify_paths(context))
        return error_make(err, EPROTO, "%s: %s", ca ? ca : "the system's authorities",
                          tls_reason());
    if (!certificate)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        return error_make(err, EPROTO, "%s: %s", certificate, tls_reason());
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return error_make(err, EPROTO, "%s: %s", key, tls_reason());
    return 0;
}

/* Whether a file is another one than it was when it was last read; notes what it is. */
static bool looks_new(struct tls *tls)
{
    bool changed = false;
    for (unsigned i = 0; i < FILES; i++) {
        struct stat now;
        struct file_stamp stamp = {0};
        if (tls->paths[i] && stat(tls->paths[i], &now) == 0) {
            stamp.inode = now.st_ino;
            stamp.size = now.st_size;
            stamp.changed = now.st_mtim;
        }
        changed |= stamp.inode != tls->stamps[i].inode || stamp.size != tls->stamps[i].size ||
                   stamp.changed.tv_sec != tls->stamps[i].changed.tv_sec ||
                   stamp.changed.tv_nsec != tls->stamps[i].changed.tv_nsec;
        tls->stamps[i] = stamp;
    }
    return changed;
}

/* New files are in force. */
static void take(struct tls *tls, SSL_CTX *context)
{
    if (tls->context)
        log_info("new files of TLS are in force", LOG_STR("section", tls->section));
    SSL_CTX_free(tls->context);
    tls->context = context;
    tls->generation++;
    free(tls->complaint);
    tls->complaint = NULL;
}

/* The files that are there can't be used. Says so once for each reason: they are tried each second.
 */
static void complain(struct tls *tls, const char *why)
{
    if (same(tls->complaint, why))
        return;
    free(tls->complaint);
    tls->complaint = xstrdup(why);
    if (tls->context)
        log_warn("files of TLS can't be used, the old ones stay", LOG_STR("section", tls->section),
                 LOG_STR("reason", why));
}

/* Makes the context stand for the files as they are now, or leaves the old one. */
static void look_again(struct tls *tls, uint64_t now_ns)
{
    if (tls->looked_ns && now_ns - tls->looked_ns < NS_PER_S)
        return;
    tls->looked_ns = now_ns;
    if (!looks_new(tls) && tls->context)
        return;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    cleanup_error struct error *why = NULL;
    if (context && load(tls, context, &why) == 0) {
        take(tls, context);
        return;
    }
    SSL_CTX_free(context);
    complain(tls, why ? error_message(why) : tls_reason());
    /* Half written, perhaps: looked at again in a second, whether or not it changes once more. */
    memset(tls->stamps, 0, sizeof tls->stamps);
}

bool tls_current(struct tls *tls, const struct tls_session *session, uint64_t now_ns)
{
    look_again(tls, now_ns);
    return session->generation == tls->generation;
}

int tls_open(struct tls *tls, int fd, const char *host, uint64_t now_ns,
             struct tls_session **ret_session, struct error **err)
{
    unsigned char address[sizeof(struct in6_addr)];
    look_again(tls, now_ns);
    if (!tls->context)
        return error_make(err, EPROTO, "%s: %s", tls->section, tls->complaint);
    SSL *ssl = SSL_new(tls->context);
    bool is_address =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    bool ready = ssl && SSL_set_fd(ssl, fd) == 1;
    cleanup_free char *name = xstrdup(host); /* OpenSSL's macro casts const away */
    if (ready && is_address)
        ready = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    else if (ready)
        ready = SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
    if (!ready) {
        SSL_free(ssl);
        return error_make(err, EPROTO, "no TLS session: %s", tls_reason());
    }
    SSL_set_connect_state(ssl);
    *ret_session = xmalloc(sizeof **ret_session);
    **ret_session = (struct tls_session){.ssl = ssl, .generation = tls->generation};
    return 0;
}

int tls_handshake(struct tls_session *session, int *ret_writable, struct error **err)
{
    ERR_clear_error();
    int result = SSL_do_handshake(session->ssl);
    if (result == 1)
        return 0;
    int why = SSL_get_error(session->ssl, result);
    *ret_writable = why == SSL_ERROR_WANT_WRITE;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return -EAGAIN;
    long verified = SSL_get_verify_result(session->ssl);
    if (verified != X509_V_OK)
        return error_make(err, EPROTO, "%s", X509_verify_cert_error_string(verified));
    return error_make(err, EPROTO, "%s",
                      why == SSL_ERROR_SYSCALL ? "the connection ended in the handshake"
                                               : tls_reason());
}

/* What a read or write that brought nothing stands for. */
static ssize_t failure(SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return -ECONNRESET;
    default:
        return ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING
                   ? -ECONNRESET
                   : -EPROTO;
    }
}

ssize_t tls_read(struct tls_session *session, void *data, size_t size)
{
    size_t done;
    ERR_clear_error();
    int result = SSL_read_ex(session->ssl, data, size, &done);
    return result == 1 ? (ssize_t)done : failure(session->ssl, result);
}

ssize_t tls_write(struct tls_session *session, const void *data, size_t size)
{
    size_t done;
    ERR_clear_error();
    int result = SSL_write_ex(session->ssl, data, size, &done);
    return result == 1 ? (ssize_t)done : failure(session->ssl, result);
}

void tls_close(struct tls_session *session)
{
    if (!session)
        return;
    ERR_clear_error();
    SSL_shutdown(session->ssl); /* says goodbye; the answer is not waited for */
    SSL_free(session->ssl);
    free(session);
}
