/*
 * Many threads ask for one credential. However many come at once, a plugin runs once for all of
 * them; who has a credential that is good does not wait for a run that somebody else began; and
 * what a certificate's pointers name stays readable while others renew it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "kube/config.h"
#include "pairs.h"

enum { THREADS = 8, ROUNDS = 5, STORM = 300 };

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static char directory[] = "/tmp/dpumesh-race-XXXXXX";
static struct kube_config *config;
static pthread_barrier_t barrier;
static atomic_bool ended;

static void write_file(const char *name, const char *text, mode_t mode)
{
    cleanup_free char *path = xasprintf("%s/%s", directory, name);
    REQUIRE(file_write(path, text, strlen(text), mode, NULL) == 0);
}

static size_t runs(void)
{
    cleanup_free char *path = xasprintf("%s/runs", directory);
    struct stat status;
    return stat(path, &status) == 0 ? (size_t)status.st_size : 0;
}

static struct kube_config *load(const char *user)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = xasprintf("%s/config", directory);
    cleanup_free char *text = xasprintf("current-context: m\n"
                                        "contexts: [{name: m, context: {cluster: c, user: u}}]\n"
                                        "clusters: [{name: c, cluster: {server: 'https://a'}}]\n"
                                        "users: [{name: u, user: %s}]\n",
                                        user);
    struct kube_config_options options = {.kubeconfig = path};
    struct kube_config *loaded = NULL;
    write_file("config", text, 0644);
    if (kube_config_load(&options, &loaded, &err) < 0)
        fprintf(stderr, "%s\n", error_message(err));
    REQUIRE(loaded);
    return loaded;
}

/* A plugin that takes its time, and gives another token and certificate each run. more: further
 * fields. */
static void write_plugin(const char *pause, const char *more)
{
    cleanup_free char *script = xasprintf(
        "#!/bin/sh\n"
        "cd '%s'\n"
        "echo -n x >> runs\n"
        "sleep %s\n"
        "n=$(wc -c < runs)\n"
        "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
        "\"status\":{\"token\":\"t'$n'\",\"clientCertificateData\":\"-----BEGIN CERTIFICATE-----'$n"
        "'\",\"clientKeyData\":\"PRIVATE KEY-----'$n'\"%s}}'\n",
        directory, pause, more);
    write_file("plugin", script, 0755);
}

/* ---- all at once ---- */

static void *ask_at_once(void *unused)
{
    struct buffer header = BUFFER_INIT(KUBE_TOKEN_BYTES_MAX + 16);
    (void)unused;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        char expected[32];
        pthread_barrier_wait(&barrier);
        /* In the first round there is nothing to be refused yet. */
        REQUIRE(kube_credential(config, round > 1, &header, NULL) == 0);
        snprintf(expected, sizeof(expected), "Bearer t%u", round);
        REQUIRE(strcmp(buffer_terminate(&header), expected) == 0);
        pthread_barrier_wait(&barrier);
        REQUIRE(runs() == round);
    }
    kube_credential_wipe(&header);
    return NULL;
}

static void one_run_serves_all(void)
{
    pthread_t threads[THREADS];
    write_plugin("0.05", "");
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, ask_at_once, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- meanwhile ---- */

static void *renew(void *stale)
{
    struct buffer header = BUFFER_INIT(KUBE_TOKEN_BYTES_MAX + 16);
    REQUIRE(kube_credential(config, *(const bool *)stale, &header, NULL) == 0);
    kube_credential_wipe(&header);
    return NULL;
}

/* While another thread runs a plugin that takes three seconds. A machine too slow to ask before the
 * credential expires, at good_until_ns, may wait. */
static void ask_meanwhile(bool stale, uint64_t good_until_ns)
{
    pthread_t thread;
    struct buffer header = BUFFER_INIT(KUBE_TOKEN_BYTES_MAX + 16);
    size_t before = runs();
    REQUIRE(pthread_create(&thread, NULL, renew, &stale) == 0);
    while (runs() == before)
        usleep(1000);
    uint64_t before_ns = clock_monotonic_ns();
    REQUIRE(kube_credential(config, false, &header, NULL) == 0);
    REQUIRE(clock_monotonic_ns() - before_ns < 2 * NS_PER_S || before_ns >= good_until_ns);
    pthread_join(thread, NULL);
    kube_credential_wipe(&header);
}

static void others_do_not_wait(void)
{
    /* Nothing but a refusal is wrong with it; then, the last half second of its five is running. */
    write_plugin("3", ",\"expirationTimestamp\":\"'$(date -u -d '+5 seconds' "
                      "+%Y-%m-%dT%H:%M:%S.%NZ)'\"");
    ask_meanwhile(true, UINT64_MAX);
    uint64_t now_ns = clock_monotonic_ns();
    usleep(4600000);
    ask_meanwhile(false, now_ns + 4900 * NS_PER_MS);
}

/* ---- anything at any time ---- */

static void *storm(void *number)
{
    struct buffer header = BUFFER_INIT(KUBE_TOKEN_BYTES_MAX + 16);
    const char *cert, *key;
    bool stale = *(const int *)number == 0;
    for (int i = 0; stale ? i < STORM / 10 : !atomic_load(&ended); i++) {
        REQUIRE(kube_credential(config, stale, &header, NULL) == 0);
        REQUIRE(memcmp(header.data, "Bearer ", 7) == 0);
        kube_credential_certificate(config, &cert, &key);
        if (cert)
            REQUIRE(strncmp(cert, "-----BEGIN", 10) == 0 && strstr(key, "PRIVATE KEY-----"));
    }
    if (stale)
        atomic_store(&ended, true);
    kube_credential_wipe(&header);
    return NULL;
}

static void run_storm(void)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    atomic_store(&ended, false);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        REQUIRE(pthread_create(&threads[i], NULL, storm, &numbers[i]) == 0);
    }
    for (int i = 0; i < STORM; i++) {
        char token[32];
        snprintf(token, sizeof(token), "token-%d\n", i);
        write_file("token", token, 0600);
        write_file("tls.crt", i % 2 ? CERT_ONE : CERT_TWO, 0600);
        write_file("tls.key", i % 2 ? KEY_ONE : KEY_TWO, 0600);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void remove_directory(void)
{
    static const char *const names[] = {"plugin",  "runs",    "config", "token",
                                        "tls.crt", "tls.key", ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cleanup_free char *path = xasprintf("%s/%s", directory, names[i]);
        REQUIRE(remove(path) == 0);
    }
}

int main(void)
{
    REQUIRE(mkdtemp(directory));
    pthread_barrier_init(&barrier, NULL, THREADS);
    config = load("{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin,\n"
                  "  interactiveMode: Never}}");
    one_run_serves_all();
    others_do_not_wait();
    write_plugin("0", "");
    run_storm();
    kube_config_free(config);

    write_file("token", "first\n", 0600);
    config = load("{tokenFile: token, client-certificate: tls.crt, client-key: tls.key}");
    run_storm();
    kube_config_free(config);
    pthread_barrier_destroy(&barrier);
    remove_directory();
    printf("one plugin run for %d callers, %d times; token and certificate files under %d writes\n",
           THREADS, ROUNDS, STORM);
    return 0;
}
