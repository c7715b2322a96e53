/* Which files a session is bound to, on a clock of the test's; handshakes are tests/e2e's. */
#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/tls.h"
#include "base/cleanup.h"
#include "base/clock.h"

enum { PATH_BYTES = 128 };

static char folder[] = "/tmp/test-tls-XXXXXX";
static char ca[PATH_BYTES];

/* A new self-signed certificate in the place of ca, by a rename. */
static void write_certificate(long serial)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    char beside[PATH_BYTES + 8];
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    cr_assert_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    snprintf(beside, sizeof beside, "%s.new", ca);
    FILE *out = fopen(beside, "w");
    cr_assert_eq(PEM_write_X509(out, certificate), 1);
    fclose(out);
    cr_assert_eq(rename(beside, ca), 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void write_garbage(void)
{
    FILE *out = fopen(ca, "w");
    fputs("no certificate", out);
    fclose(out);
}

static void set_up(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(ca, sizeof ca, "%s/ca.crt", folder);
}

static void tear_down(void)
{
    unlink(ca);
    rmdir(folder);
}

/* A session over no socket: no handshake is tried. */
static struct tls_session *opened(struct tls *tls, uint64_t now_ns)
{
    struct tls_session *session = NULL;
    cleanup_error struct error *err = NULL;
    int result = tls_open(tls, -1, "callee", now_ns, &session, &err);
    cr_assert_eq(result, 0, "%s", error_message(err));
    return session;
}

TestSuite(tls, .init = set_up, .fini = tear_down);

Test(tls, renewed_files_end_what_was_opened_with_the_old_ones)
{
    uint64_t now_ns = 100 * NS_PER_S;
    struct tls *tls = tls_new("test");
    write_certificate(1);
    tls_files(tls, ca, NULL, NULL);
    struct tls_session *old = opened(tls, now_ns);
    cr_expect(tls_current(tls, old, now_ns + 2 * NS_PER_S), "nothing has changed");

    write_certificate(2);
    cr_expect(tls_current(tls, old, now_ns + 3 * NS_PER_S - 1), "not looked at yet");
    cr_expect_not(tls_current(tls, old, now_ns + 3 * NS_PER_S));
    struct tls_session *new = opened(tls, now_ns + 3 * NS_PER_S);
    cr_expect(tls_current(tls, new, now_ns + 9 * NS_PER_S));
    cr_expect_not(tls_current(tls, old, now_ns + 9 * NS_PER_S), "it stays of the old files");
    tls_close(old);
    tls_close(new);
    tls_free(tls);
}

Test(tls, unusable_files_end_nothing)
{
    uint64_t now_ns = 100 * NS_PER_S;
    struct tls *tls = tls_new("test");
    write_certificate(1);
    tls_files(tls, ca, NULL, NULL);
    struct tls_session *old = opened(tls, now_ns);
    write_garbage();
    cr_expect(tls_current(tls, old, now_ns + 2 * NS_PER_S));
    unlink(ca);
    cr_expect(tls_current(tls, old, now_ns + 4 * NS_PER_S));
    struct tls_session *other = opened(tls, now_ns + 5 * NS_PER_S);
    cr_expect(tls_current(tls, old, now_ns + 6 * NS_PER_S), "opened with the same files");
    write_certificate(2);
    cr_expect_not(tls_current(tls, old, now_ns + 8 * NS_PER_S));
    cr_expect_not(tls_current(tls, other, now_ns + 8 * NS_PER_S));
    tls_close(old);
    tls_close(other);
    tls_free(tls);
}

Test(tls, other_paths_count_at_once)
{
    uint64_t now_ns = 100 * NS_PER_S;
    struct tls *tls = tls_new("egress.forward.tls");
    struct tls_session *session = NULL;
    cleanup_error struct error *err = NULL;
    tls_files(tls, NULL, NULL, NULL);
    struct tls_session *old = opened(tls, now_ns);
    tls_files(tls, ca, NULL, NULL);
    cr_expect_not(tls_current(tls, old, now_ns + 1));
    for (uint64_t later_ns = 2; later_ns <= 2 * NS_PER_S; later_ns += NS_PER_S) {
        cr_assert_eq(tls_open(tls, -1, "callee", now_ns + later_ns, &session, &err), -EPROTO);
        cr_expect(strstr(error_message(err), "egress.forward.tls: "), "%s", error_message(err));
        cr_expect(strstr(error_message(err), ca), "%s", error_message(err));
    }
    tls_close(old);
    tls_free(tls);
}
