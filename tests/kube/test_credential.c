#include "kube/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "directory.h"
#include "kube/secret.h"
#include "pairs.h"

TestSuite(credential, .init = directory_setup, .fini = directory_teardown);

static struct buffer header_of(const struct kube_config *config, bool stale)
{
    cleanup_error struct error *err = NULL;
    struct buffer header = BUFFER_INIT(KUBE_TOKEN_BYTES_MAX + 16);
    cr_assert_eq(kube_credential(config, stale, &header, &err), 0, "%s", error_message(err));
    buffer_terminate(&header);
    return header;
}

static void expect(const struct kube_config *config, bool stale, const char *expected)
{
    struct buffer header = header_of(config, stale);
    cr_assert_str_eq(header.data, expected);
    kube_credential_wipe(&header);
}

static void fail(const struct kube_config *config, bool stale, int number, const char *sentence)
{
    cleanup_error struct error *err = NULL;
    cleanup_buffer struct buffer header = BUFFER_INIT(KUBE_TOKEN_BYTES_MAX + 16);
    cr_assert_eq(kube_credential(config, stale, &header, &err), -number);
    cr_assert_eq(header.length, 0);
    directory_expect(error_message(err), sentence);
}

/* ---- token files, with a clock of our own ---- */

static const uint64_t second = NS_PER_S;

/* Looks at the instant at; whether the token is the expected one and changed. */
static void look(struct kube_token_file *file, uint64_t at, bool now, const char *expected,
                 bool expect_changed)
{
    cleanup_error struct error *err = NULL;
    bool changed = !expect_changed;
    cr_assert_eq(kube_token_file_refresh(file, at, now, &changed, &err), 0, "%s",
                 error_message(err));
    cr_assert_str_eq(file->token, expected);
    cr_assert_eq(changed, expect_changed);
}

Test(credential, a_token_file_is_looked_at_once_a_second)
{
    struct kube_token_file file = {.path = directory_path("token")};
    directory_write("token", " \n");
    bool changed;
    cr_assert_eq(kube_token_file_refresh(&file, 100 * second, false, &changed, NULL), -EINVAL);
    directory_write("token", "one\n");
    look(&file, 100 * second, false, "one", true);
    directory_write("token", "second");
    look(&file, 101 * second - 1, false, "one", false);
    look(&file, 101 * second, false, "second", true);
    look(&file, 103 * second, false, "second", false);
    /* At once when it was refused. */
    directory_write("token", "third\r\n\n");
    look(&file, 103 * second + 1, true, "third", true);
    look(&file, 103 * second + 2, true, "third", false);
    kube_token_file_free(&file);
    cr_assert_null(file.token);
}

/* The kubelet swaps the directory that a symbolic link in the middle names. */
Test(credential, a_projected_token_is_swapped)
{
    struct kube_token_file file = {.path = directory_path("sa/token")};
    cleanup_free char *data = directory_path("sa/..data"), *next = directory_path("sa/..next");
    cleanup_free char *token = directory_path("sa/token");
    const struct timespec same[] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    for (int i = 1; i <= 2; i++) {
        cleanup_free char *name = xasprintf("sa/..%d/token", i), *path = directory_path(name);
        directory_write(name, i == 1 ? "aaaa" : "bbbb");
        cr_assert_eq(utimensat(AT_FDCWD, path, same, 0), 0);
    }
    cr_assert_eq(symlink("..1", data), 0);
    cr_assert_eq(symlink("..data/token", token), 0);
    look(&file, second, false, "aaaa", true);
    cr_assert_eq(symlink("..2", next), 0);
    cr_assert_eq(rename(next, data), 0);
    look(&file, 2 * second, false, "bbbb", true);
    kube_token_file_free(&file);
}

/* Another content under the same inode, size and time is seen within a minute. */
Test(credential, a_token_file_is_read_once_a_minute_whatever_it_looks_like)
{
    struct kube_token_file file = {.path = directory_path("token")};
    const struct timespec same[] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    directory_write("token", "aaaa");
    cleanup_close int fd = open(file.path, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(futimens(fd, same), 0);
    look(&file, 100 * second, false, "aaaa", true);
    cr_assert_eq(pwrite(fd, "bbbb", 4, 0), 4);
    cr_assert_eq(futimens(fd, same), 0);
    look(&file, 159 * second, false, "aaaa", false);
    look(&file, 160 * second, false, "bbbb", true);
    kube_token_file_free(&file);
}

Test(credential, a_token_outlives_its_file_for_a_while)
{
    struct kube_token_file file = {.path = directory_path("token")};
    cleanup_error struct error *err = NULL;
    bool changed;
    directory_write("token", "aaaa");
    look(&file, second, false, "aaaa", true);
    cr_assert_eq(unlink(file.path), 0);
    look(&file, 3 * second, false, "aaaa", false);
    cr_assert_eq(kube_token_file_refresh(&file, 3 * second, true, &changed, &err), -ENOENT);
    directory_expect(error_message(err), "^/token: can't open: No such file or directory");
    directory_write("token", "");
    look(&file, 5 * second, false, "aaaa", false);
    directory_write("token", "bbbb");
    look(&file, 6 * second, false, "bbbb", true);
    kube_token_file_free(&file);
}

#define USER(user)                                                                                 \
    "current-context: m\n"                                                                         \
    "contexts: [{name: m, context: {cluster: c, user: u}}]\n"                                      \
    "clusters: [{name: c, cluster: {server: 'https://a',\n"                                        \
    "  extensions: [{name: client.authentication.k8s.io/exec, extension: {x: 1}}]}}]\n"            \
    "users: [{name: u, user: " user "}]\n"

Test(credential, a_token_file_behind_a_config)
{
    directory_write("token", "aaaa\n");
    cleanup_kube_config struct kube_config *config = directory_load(USER("{tokenFile: token}"));
    expect(config, false, "Bearer aaaa");
    directory_write("token", "bbbb\n");
    expect(config, false, "Bearer aaaa");
    expect(config, true, "Bearer bbbb");
    cleanup_free char *path = directory_path("token");
    cr_assert_eq(unlink(path), 0);
    fail(config, true, ENOENT, "^/token: can't open: No such file or directory");
    expect(config, false, "Bearer bbbb");

    /* Beside a token the file goes first, and the token helps out. */
    cleanup_kube_config struct kube_config *both =
        directory_load(USER("{tokenFile: token, token: fallback}"));
    expect(both, false, "Bearer fallback");
    directory_write("token", "cccc\n");
    expect(both, true, "Bearer cccc");
}

Test(credential, what_never_changes)
{
    cleanup_kube_config struct kube_config *token = directory_load(USER("{token: t}"));
    expect(token, false, "Bearer t");
    expect(token, true, "Bearer t");
    cleanup_kube_config struct kube_config *nobody = directory_load(USER("{}"));
    expect(nobody, true, "");

    /* A buffer that is too small keeps what it had. */
    cleanup_error struct error *err = NULL;
    cleanup_buffer struct buffer small = BUFFER_INIT(4);
    buffer_puts(&small, "old");
    cr_assert_eq(kube_credential(token, false, &small, &err), -ENOBUFS);
    cr_assert_str_eq(error_message(err), "the credential is longer than the 4 bytes it may have");
    cr_assert_str_eq(buffer_terminate(&small), "old");
}

/* What held a secret is overwritten before it is freed or used for something shorter. */
Test(credential, secrets_are_overwritten)
{
    static const char zeros[11];
    cleanup_kube_config struct kube_config *config = directory_load(USER("{token: t}"));
    struct buffer header = BUFFER_INIT(KUBE_TOKEN_BYTES_MAX + 16);
    buffer_puts(&header, "Bearer t and the end of an older one");
    cr_assert_eq(kube_credential(config, false, &header, NULL), 0);
    cr_assert_eq(header.length, 8);
    for (size_t i = header.length; i < 36; i++)
        cr_assert_eq(header.data[i], 0);
    kube_credential_wipe(&header);
    cr_assert(!header.data && header.length == 0 && header.capacity == 0);
    kube_credential_wipe(&header);

    json_auto_t *tree =
        json_pack("{s:[s, {s:s}], s:i}", "a", "s3cr3tVALUE", "b", "s3cr3tVALUE", "c", 1);
    kube_secret_wipe_json(tree);
    const json_t *list = json_object_get(tree, "a");
    cr_assert_arr_eq(json_string_value(json_array_get(list, 0)), zeros, sizeof(zeros));
    cr_assert_arr_eq(json_string_value(json_object_get(json_array_get(list, 1), "b")), zeros,
                     sizeof(zeros));
}

/* ---- plugins ---- */

#define EXEC_USER                                                                                  \
    USER("{exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: IfAvailable,\n"    \
         "  command: bin/plugin, provideClusterInfo: true, args: [a, 'b c'],\n"                    \
         "  env: [{name: DIRECTORY, value: ^}]}}")

/* A plugin that counts its runs in "runs" and then does what body says. */
static void plugin(const char *body)
{
    cleanup_free char *script =
        xasprintf("echo -n x >> \"$DIRECTORY/runs\"\n"
                  "runs=$(wc -c < \"$DIRECTORY/runs\")\n"
                  "print() { echo '{\"kind\":\"ExecCredential\",\"apiVersion\":"
                  "\"client.authentication.k8s.io/v1\",\"status\":{'\"$1\"'}}'; }\n"
                  "token() { print '\"token\":\"t'$runs'\"'\"$1\"; }\n"
                  "expires() { token ',\"expirationTimestamp\":\"'$(date -u -d \"$1\" "
                  "+%%Y-%%m-%%dT%%H:%%M:%%SZ)'\"'; }\n"
                  "%s",
                  body);
    directory_script("bin/plugin", script);
}

Test(credential, a_plugin_runs_when_it_is_asked_and_when_it_is_refused)
{
    plugin("test \"$1\" = a && test \"$2\" = 'b c' && test $# = 2 || exit 9\n"
           "echo \"$KUBERNETES_EXEC_INFO\" > \"$DIRECTORY/info\"\n"
           "token");
    cleanup_kube_config struct kube_config *config = directory_load(EXEC_USER);
    cr_assert_eq(directory_size("runs"), 0);
    expect(config, false, "Bearer t1");
    expect(config, false, "Bearer t1");
    expect(config, true, "Bearer t2");
    cleanup_buffer struct buffer text = BUFFER_INIT(1000);
    cleanup_free char *path = directory_path("info");
    cr_assert_eq(file_read(path, &text, NULL), 0);
    cr_assert_str_eq(buffer_terminate(&text),
                     "{\"kind\":\"ExecCredential\",\"apiVersion\":"
                     "\"client.authentication.k8s.io/v1\",\"spec\":{\"interactive\":false,"
                     "\"cluster\":{\"server\":\"https://a\",\"config\":{\"x\":1}}}}\n");

    /* Who comes with an older credential than the present one gets that. */
    struct buffer old = BUFFER_INIT(100);
    buffer_puts(&old, "Bearer t1");
    cr_assert_eq(kube_credential(config, true, &old, NULL), 0);
    cr_assert_str_eq(buffer_terminate(&old), "Bearer t2");
    cr_assert_eq(kube_credential(config, true, &old, NULL), 0);
    cr_assert_str_eq(buffer_terminate(&old), "Bearer t3");
    kube_credential_wipe(&old);
}

Test(credential, a_plugin_runs_again_before_its_token_expires)
{
    plugin("expires '+3 seconds'");
    cleanup_kube_config struct kube_config *config = directory_load(EXEC_USER);
    expect(config, false, "Bearer t1");
    expect(config, false, "Bearer t1");
    /* Two to three seconds of life, of which the last tenth does not count. */
    sleep(3);
    expect(config, false, "Bearer t2");
    cr_assert_eq(directory_size("runs"), 2);
}

/* Our clock may be wrong: it is used, but the plugin does not run for each request. */
Test(credential, a_token_that_has_expired_is_used)
{
    plugin("expires '-1 hour'");
    cleanup_kube_config struct kube_config *config = directory_load(EXEC_USER);
    for (int i = 0; i < 20; i++)
        expect(config, false, "Bearer t1");
    usleep(1100000);
    expect(config, false, "Bearer t2");
}

Test(credential, what_has_not_expired_is_used_up_when_the_plugin_fails)
{
    plugin("test $runs = 1 || exit 7; expires '+4 seconds'");
    cleanup_kube_config struct kube_config *config = directory_load(EXEC_USER);
    expect(config, false, "Bearer t1");
    fail(config, true, EPROTO,
         "^/config: user u: exec plugin ^/bin/plugin failed with status 7; its own messages say "
         "why");
    expect(config, false, "Bearer t1");
    cr_assert_eq(directory_size("runs"), 2);
    usleep(4100000);
    fail(config, false, EPROTO,
         "^/config: user u: exec plugin ^/bin/plugin failed with status 7; its own messages say "
         "why");
    plugin("expires '+1 hour'");
    expect(config, false, "Bearer t4");
}

/* In the last tenth of its life a token is renewed, but it is still good. */
Test(credential, a_token_that_is_to_be_renewed_is_good_until_it_expires)
{
    plugin("test $runs = 1 || exit 7\n"
           "token ',\"expirationTimestamp\":\"'$(date -u -d '+3 seconds' "
           "+%Y-%m-%dT%H:%M:%S.%NZ)'\"'");
    cleanup_kube_config struct kube_config *config = directory_load(EXEC_USER);
    uint64_t begin_ns = clock_monotonic_ns();
    expect(config, false, "Bearer t1");
    usleep(2800000);
    for (int i = 0; i < 3; i++) {
        cleanup_secret_buffer struct buffer header = BUFFER_INIT(KUBE_TOKEN_BYTES_MAX + 16);
        int ret = kube_credential(config, false, &header, NULL);
        if (clock_monotonic_ns() - begin_ns > 2950 * NS_PER_MS)
            return; /* a machine so slow that the window is past */
        cr_assert_eq(ret, 0);
        cr_assert_str_eq(buffer_terminate(&header), "Bearer t1");
        cr_assert_eq(directory_size("runs"), 2);
    }
}

Test(credential, a_plugin_that_is_not_there)
{
    cleanup_kube_config struct kube_config *config = directory_load(
        USER("{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: no-such-plugin,\n"
             "  installHint: get it from the shop}}"));
    fail(config, false, ENOENT,
         "^/config: user u: exec plugin no-such-plugin is not installed; install it, or put it in "
         "PATH: get it from the shop");
    /* Found in PATH the next time. */
    directory_script("no-such-plugin",
                     "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":"
                     "\"client.authentication.k8s.io/v1beta1\",\"status\":{\"token\":\"b\"}}'");
    cleanup_free char *path = xasprintf("%s:%s", directory, getenv("PATH"));
    setenv("PATH", path, 1);
    expect(config, false, "Bearer b");
}

Test(credential, certificates_of_a_plugin)
{
    plugin("test $runs -lt 3 && n=1 || n=$runs\n"
           "print '\"clientCertificateData\":\"-----BEGIN CERTIFICATE-----\\\\n'$n'\",'"
           "'\"clientKeyData\":\"-----BEGIN PRIVATE KEY-----\\\\n\"'");
    cleanup_kube_config struct kube_config *config = directory_load(EXEC_USER);
    const char *cert, *key, *again, *later;
    kube_credential_certificate(config, &cert, &key);
    cr_assert(!cert && !key);
    expect(config, false, "");
    kube_credential_certificate(config, &cert, &key);
    cr_assert_str_eq(cert, "-----BEGIN CERTIFICATE-----\n1");
    cr_assert_str_eq(key, "-----BEGIN PRIVATE KEY-----\n");
    /* The same one lies where it lay; after another one the old one is still there. */
    expect(config, true, "");
    kube_credential_certificate(config, &again, &key);
    cr_assert_eq(cert, again);
    expect(config, true, "");
    kube_credential_certificate(config, &later, &key);
    cr_assert_str_eq(later, "-----BEGIN CERTIFICATE-----\n3");
    cr_assert_str_eq(cert, "-----BEGIN CERTIFICATE-----\n1");
    cr_assert_eq(directory_size("runs"), 3);
}

#define FILES_USER USER("{client-certificate: tls.crt, client-key: tls.key}")

/* What is handed out now; its number. */
static unsigned certificate(const struct kube_config *config, bool stale, const char *expected)
{
    const char *cert, *key;
    expect(config, stale, "");
    unsigned number = kube_credential_certificate(config, &cert, &key);
    cr_assert_str_eq(cert, expected);
    cr_assert_str_eq(key, strcmp(cert, CERT_ONE) == 0 ? KEY_ONE : KEY_TWO);
    return number;
}

Test(credential, a_certificate_is_renewed_with_its_files)
{
    directory_write("tls.crt", CERT_ONE);
    directory_write("tls.key", KEY_ONE);
    cleanup_kube_config struct kube_config *config = directory_load(FILES_USER);
    const char *first, *key;
    unsigned number = certificate(config, false, CERT_ONE);
    cr_assert_eq(certificate(config, true, CERT_ONE), number, "what did not change has its number");
    cr_assert_eq(kube_credential_certificate(config, &first, &key), number);
    directory_write("tls.crt", CERT_TWO);
    cr_assert_eq(certificate(config, true, CERT_ONE), number, "half a pair waits");
    directory_write("tls.key", KEY_TWO);
    usleep(1100000);
    cr_assert_neq(certificate(config, false, CERT_TWO), number);
    cr_assert_str_eq(first, CERT_ONE);
    /* At once, when the server does not like it any more. */
    directory_write("tls.crt", CERT_ONE);
    directory_write("tls.key", KEY_ONE);
    certificate(config, false, CERT_TWO);
    certificate(config, true, CERT_ONE);
    /* Without its files it goes on. */
    cleanup_free char *path = directory_path("tls.key");
    cr_assert_eq(unlink(path), 0);
    certificate(config, true, CERT_ONE);
}

Test(credential, a_pair_that_is_none_is_refused_at_the_start)
{
    directory_write("tls.crt", CERT_ONE);
    directory_write("tls.key", KEY_TWO);
    directory_refuses(
        FILES_USER,
        "^/config:5: u: users[0].user.client-key: ^/tls.key: is not the key of the certificate "
        "beside it; are both of one renewal?");
}
