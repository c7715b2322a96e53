#include "kube/key_pair.h"

#include <errno.h>
#include <fcntl.h>

#include "directory.h"
#include "pairs.h"

TestSuite(key_pair, .init = directory_setup, .fini = directory_teardown);

static const uint64_t second = NS_PER_S;

static struct kube_key_pair pair_of_files(void)
{
    return (struct kube_key_pair){.cert_file = directory_path("tls.crt"),
                                  .key_file = directory_path("tls.key")};
}

/* Looks at the instant at; what is new is this certificate, or nothing (NULL). */
static void look(struct kube_key_pair *pair, uint64_t at, bool now, const char *expected)
{
    cleanup_error struct error *err = NULL;
    cleanup_key_pair_text struct kube_key_pair_text text = KUBE_KEY_PAIR_TEXT_INIT;
    cr_assert_eq(kube_key_pair_refresh(pair, at, now, &text, &err), 0, "%s", error_message(err));
    cr_assert_eq(!text.cert_pem, !expected);
    if (expected)
        cr_assert_str_eq(text.cert_pem, expected);
}

static void fails(struct kube_key_pair *pair, uint64_t at, int number, const char *sentence)
{
    cleanup_error struct error *err = NULL;
    cleanup_key_pair_text struct kube_key_pair_text text = KUBE_KEY_PAIR_TEXT_INIT;
    cr_assert_eq(kube_key_pair_refresh(pair, at, false, &text, &err), -number);
    cr_assert(!text.cert_pem && !text.key_pem);
    directory_expect(error_message(err), sentence);
}

Test(key_pair, files_are_looked_at_once_a_second)
{
    struct kube_key_pair pair = pair_of_files();
    fails(&pair, 100 * second, ENOENT, "^/tls.crt: can't open: No such file or directory");
    directory_write("tls.crt", CERT_ONE);
    directory_write("tls.key", KEY_ONE);
    look(&pair, 101 * second - 1, false, NULL);
    look(&pair, 101 * second, false, CERT_ONE);
    directory_write("tls.key", KEY_TWO);
    directory_write("tls.crt", CERT_TWO);
    look(&pair, 102 * second - 1, false, NULL);
    look(&pair, 102 * second, false, CERT_TWO);
    look(&pair, 104 * second, false, NULL);
    /* At once when it was refused. */
    directory_write("tls.key", KEY_ONE);
    directory_write("tls.crt", CERT_ONE);
    look(&pair, 104 * second + 1, true, CERT_ONE);
    kube_key_pair_free(&pair);
    cr_assert_null(pair.cert_file);
}

/* One file is replaced before the other, and a file may be written while it is read. */
Test(key_pair, half_of_a_renewal_is_no_pair)
{
    struct kube_key_pair pair = pair_of_files();
    directory_write("tls.crt", CERT_ONE);
    directory_write("tls.key", KEY_ONE);
    look(&pair, second, false, CERT_ONE);
    directory_write("tls.key", KEY_TWO);
    fails(&pair, 2 * second, EINVAL,
          "^/tls.key: is not the key of the certificate beside it; are both of one renewal?");
    directory_write("tls.crt", "");
    fails(&pair, 3 * second, EINVAL,
          "^/tls.key: stands beside a certificate that is broken or not whole");
    /* The chain breaks off after the first certificate. */
    cleanup_free char *chain = xasprintf("%s%s", CERT_TWO, CERT_ONE);
    for (size_t length = 1; length < strlen(chain); length += 7) {
        cleanup_free char *part = xstrndup(chain, length);
        /* Until the second one has begun, this can't be told from a chain of one. */
        bool whole = strlen(CERT_TWO) - 1 <= length &&
                     length < strlen(CERT_TWO "-----BEGIN CERTIFICATE-----\n");
        if (!whole)
            cr_expect_str_eq(kube_key_pair_problem(part, KEY_TWO),
                             "stands beside a certificate that is broken or not whole", "%zu",
                             length);
    }
    for (size_t length = 0; length < strlen(KEY_TWO) - 1; length++) {
        cleanup_free char *part = xstrndup(KEY_TWO, length);
        cr_expect_str_eq(kube_key_pair_problem(CERT_TWO, part), "is broken or not whole", "%zu",
                         length);
    }
    cr_assert_null(kube_key_pair_problem(chain, KEY_TWO));
    directory_write("tls.crt", CERT_TWO CERT_ONE);
    look(&pair, 4 * second, false, CERT_TWO CERT_ONE);
    kube_key_pair_free(&pair);
}

/* Nobody is asked for a passphrase. */
Test(key_pair, a_key_with_a_passphrase_is_none)
{
    cr_assert_str_eq(kube_key_pair_problem(CERT_ONE,
                                           "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                           "MIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBA=\n"
                                           "-----END ENCRYPTED PRIVATE KEY-----\n"),
                     "is broken or not whole");
}

/* Another content under the same inode, size and time is seen within a minute. */
Test(key_pair, files_are_read_once_a_minute_whatever_they_look_like)
{
    static const char *const texts[] = {CERT_ONE, KEY_ONE, CERT_TWO, KEY_TWO};
    const struct timespec same[] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct kube_key_pair pair = pair_of_files();
    const char *const paths[] = {pair.cert_file, pair.key_file};
    cr_assert_eq(strlen(CERT_ONE), strlen(CERT_TWO));
    for (int i = 0; i < 4; i++) {
        if (i == 2)
            look(&pair, 100 * second, false, CERT_ONE);
        cleanup_close int fd = open(paths[i % 2], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        cr_assert_eq(pwrite(fd, texts[i], strlen(texts[i]), 0), (ssize_t)strlen(texts[i]));
        cr_assert_eq(futimens(fd, same), 0);
    }
    look(&pair, 159 * second, false, NULL);
    look(&pair, 160 * second, false, CERT_TWO);
    kube_key_pair_free(&pair);
}
