#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "operator/settings.h"

/* What a reading of these flags (separated by spaces) and this file said and came to. */
struct reading {
    struct operator_settings settings;
    int ret, status;
    char said[16384];
    char path[64];
    char words[512];
    char *argv[32];
};

static void write_file(struct reading *reading, const char *text)
{
    snprintf(reading->path, sizeof(reading->path), "/tmp/dpumesh-settings-XXXXXX");
    int fd = mkstemp(reading->path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void split(struct reading *reading, const char *flags, int *ret_argc)
{
    char *save = NULL;
    int argc = 0;
    snprintf(reading->words, sizeof(reading->words), "dpumesh-operator %s", flags);
    for (char *word = strtok_r(reading->words, " ", &save); word; word = strtok_r(NULL, " ", &save))
        reading->argv[argc++] = word;
    if (reading->path[0]) {
        static char option[] = "--config";
        reading->argv[argc++] = option;
        reading->argv[argc++] = reading->path;
    }
    *ret_argc = argc;
}

/* Standard error goes into reading->said, standard output nowhere. */
static void read_settings(struct reading *reading, const char *flags, const char *file)
{
    int argc, kept = dup(STDERR_FILENO), kept_out = dup(STDOUT_FILENO);
    *reading = (struct reading){.ret = 1, .status = -1};
    if (file)
        write_file(reading, file);
    split(reading, flags, &argc);
    FILE *said = tmpfile();
    fflush(stderr);
    fflush(stdout);
    dup2(fileno(said), STDERR_FILENO);
    dup2(fileno(said), STDOUT_FILENO);
    reading->ret =
        operator_settings_read(argc, reading->argv, &reading->settings, &reading->status);
    fflush(stderr);
    fflush(stdout);
    dup2(kept, STDERR_FILENO);
    dup2(kept_out, STDOUT_FILENO);
    close(kept);
    close(kept_out);
    rewind(said);
    size_t length = fread(reading->said, 1, sizeof(reading->said) - 1, said);
    reading->said[length] = '\0';
    fclose(said);
    if (reading->path[0])
        unlink(reading->path);
}

static void expect_read(struct reading *reading, const char *flags, const char *file)
{
    read_settings(reading, flags, file);
    cr_assert_eq(reading->ret, 0, "%s: %s", flags, reading->said);
}

Test(settings, defaults)
{
    struct reading reading;
    expect_read(&reading, "", NULL);
    const struct operator_settings *s = &reading.settings;
    cr_expect_null(s->kubeconfig);
    cr_expect_eq(s->namespaces.count, 0);
    cr_expect_null(s->selector);
    cr_expect_eq(s->workers, 8);
    cr_expect_eq(s->resync_ns, 10 * 3600 * NS_PER_S);
    cr_expect_not(s->no_leader_election);
    cr_expect_str_eq(s->lease_name, "dpumesh-operator");
    cr_expect_eq(s->lease_duration_ns, 15 * NS_PER_S);
    cr_expect_eq(s->lease_renew_deadline_ns, 10 * NS_PER_S);
    cr_expect_eq(s->lease_retry_ns, 2 * NS_PER_S);
    cr_expect_eq(s->backoff_most_ns, 120 * NS_PER_S);
    cr_expect_str_eq(s->metrics_address, ":9090");
    operator_settings_free(&reading.settings);
}

static const char whole_file[] = "# the whole of it\n"
                                 "kubeconfig: /etc/kubeconfig\n"
                                 "context: prod\n"
                                 "namespace: [shop, bank]\n"
                                 "selector: team=a\n"
                                 "workers: 3\n"
                                 "resync: 1h\n"
                                 "no-leader-election: false\n"
                                 "lease-namespace: system\n"
                                 "lease-name: mine\n"
                                 "identity: me\n"
                                 "lease-duration: 30s\n"
                                 "lease-renew-deadline: 20s\n"
                                 "lease-retry: 4s\n"
                                 "qps: 12.5\n"
                                 "burst: 7\n"
                                 "request-timeout: 9s\n"
                                 "watch-timeout: 2m\n"
                                 "watch-idle: 40s\n"
                                 "backoff-first: 1s\n"
                                 "backoff-most: 10s\n"
                                 "autoscale-interval: 3s\n"
                                 "scrape-timeout: 500ms\n"
                                 "scrape-connections: 4\n"
                                 "metrics-address: 127.0.0.1:1\n"
                                 "health-address: 127.0.0.1:2\n"
                                 "log-level: debug\n"
                                 "log-format: json\n"
                                 "paged-lists: true\n"
                                 "http2: true\n";

/* Every setting can stand in the file, and /config shows what is in force. */
Test(settings, file)
{
    struct reading reading;
    cleanup_buffer struct buffer shown = BUFFER_INIT(1 << 16);
    expect_read(&reading, "", whole_file);
    cr_expect_eq(operator_settings_print(&reading.settings, &shown), 0);
    json_auto_t *got = json_loads(buffer_terminate(&shown), 0, NULL);
    json_auto_t *expected = json_pack(
        "{s:[s,s], s:s, s:i, s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:i, s:s, s:s, s:s, s:s, "
        "s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:b, s:b}",
        "namespace", "shop", "bank", "selector", "team=a", "workers", 3, "resync", "1h",
        "no-leader-election", 0, "lease-namespace", "system", "lease-name", "mine", "identity",
        "me", "lease-duration", "30s", "lease-renew-deadline", "20s", "lease-retry", "4s", "qps",
        12.5, "burst", 7, "request-timeout", "9s", "watch-timeout", "2m", "watch-idle", "40s",
        "backoff-first", "1s", "backoff-most", "10s", "log-level", "debug", "log-format", "json",
        "autoscale-interval", "3s", "scrape-timeout", "500ms", "scrape-connections", 4,
        "metrics-address", "127.0.0.1:1", "health-address", "127.0.0.1:2", "paged-lists", 1,
        "http2", 1);
    cr_assert_not_null(expected);
    cr_expect(json_equal(got, expected), "%s", buffer_terminate(&shown));
    cr_expect_str_eq(reading.settings.kubeconfig, "/etc/kubeconfig");
    cr_expect_str_eq(reading.settings.context, "prod");
    operator_settings_free(&reading.settings);

    cleanup_buffer struct buffer small = BUFFER_INIT(10);
    expect_read(&reading, "", "{\"workers\": 2}");
    cr_expect_eq(reading.settings.workers, 2, "JSON");
    cr_expect_lt(operator_settings_print(&reading.settings, &small), 0);
    operator_settings_free(&reading.settings);
}

Test(settings, flags_win)
{
    struct reading reading;
    expect_read(&reading, "--workers=5 --namespace=a -n b --lease-retry 3s", whole_file);
    cr_expect_eq(reading.settings.workers, 5);
    cr_expect_eq(reading.settings.lease_retry_ns, 3 * NS_PER_S);
    cr_expect_eq(reading.settings.burst, 7);
    cr_assert_eq(reading.settings.namespaces.count, 2, "a list replaces the file's");
    cr_expect_str_eq(reading.settings.namespaces.items[0], "a");
    cr_expect_str_eq(reading.settings.namespaces.items[1], "b");
    operator_settings_free(&reading.settings);
    expect_read(&reading, "", "paged-lists: null\nworkers: 4\nnamespace: shop\n");
    cr_expect_not(reading.settings.paged_lists);
    cr_expect_eq(reading.settings.namespaces.count, 1);
    operator_settings_free(&reading.settings);
}

static const struct {
    const char *flags, *file, *said; /* FILE stands for the path */
} refusals[] = {
    {"--workers=0", NULL, "--workers"},
    {"--worker=1", NULL, "did you mean --workers?"},
    {"--lease-duration=500ms", NULL, "--lease-duration"},
    {"operand", NULL, "operand"},
    {"--lease-duration=10s", NULL,
     "--lease-renew-deadline must be less than --lease-duration: a leader stops writing before "
     "others may begin"},
    {"--lease-retry=9s", NULL,
     "--lease-renew-deadline must be more than 1.2 times --lease-retry: a leader tries more than "
     "once"},
    {"--request-timeout=6s", NULL,
     "--request-timeout is longer than --lease-duration less --lease-renew-deadline; a write could "
     "outlive the lease"},
    {"--namespace=Shop", NULL,
     "--namespace: \"Shop\" is not a namespace (lower-case letters, digits and -, at most 63); "
     "without the option it is all of them"},
    {"--namespace=", NULL, "--namespace: \"\" is not a namespace"},
    {"--namespace=-a", NULL, "--namespace: \"-a\" is not a namespace"},
    {"-n a -n b -n a", NULL, "--namespace: a is named twice; once will do"},
    {"--config=/nowhere/x.yaml", NULL, "/nowhere/x.yaml: can't open: No such file or directory"},
    {"", "worker: 3\n", "FILE:1: worker: unknown setting; did you mean workers?"},
    {"", "\nfrobnicate: 3\n",
     "FILE:2: frobnicate: unknown setting; dpumesh-operator --help lists them"},
    {"", "config: other.yaml\n", "FILE:1: config: "},
    {"", "workers: {}\n",
     "FILE:1: workers: give a text, a number, true, false, or a list of texts"},
    {"", "namespace: [[a]]\n",
     "FILE:1: namespace[0]: give a text, a number, true, false, or a list of texts"},
    {"", "workers: many\n", "--workers"},
    {"", "log-level: loud\n", "--log-level"},
    {"", "paged-lists: perhaps\n", "--paged-lists"},
    {"", "# nothing\n", "FILE: no document in it"},
    {"", "- a\n", "FILE:1"},
    {"", "workers: [\n", "FILE:"},
};

Test(settings, refusals)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct reading reading;
        char expected[512];
        read_settings(&reading, refusals[i].flags, refusals[i].file);
        const char *file = strstr(refusals[i].said, "FILE");
        snprintf(expected, sizeof(expected), "%.*s%s%s",
                 (int)(file ? (size_t)(file - refusals[i].said) : strlen(refusals[i].said)),
                 refusals[i].said, file ? reading.path : "", file ? file + 4 : "");
        cr_expect_lt(reading.ret, 0, "%s%s passes", refusals[i].flags,
                     refusals[i].file ? refusals[i].file : "");
        cr_expect_eq(reading.status, 2);
        cr_expect_not_null(strstr(reading.said, expected), "%s: said %s", expected, reading.said);
        cr_expect_eq(strncmp(reading.said, "dpumesh-operator: ", 18), 0, "%s", reading.said);
        cr_expect_eq(reading.settings.namespaces.count, 0);
        cr_expect_null(reading.settings.made);
    }
}

/* All that is wrong in a file is told at once. */
Test(settings, several_problems)
{
    struct reading reading;
    read_settings(&reading, "", "workres: 3\nresinc: 1h\nburst: {}\n");
    cr_expect_eq(reading.status, 2);
    cr_expect_not_null(strstr(reading.said, "did you mean workers?"), "%s", reading.said);
    cr_expect_not_null(strstr(reading.said, "did you mean resync?"), "%s", reading.said);
    cr_expect_not_null(strstr(reading.said, ":3: burst: give"), "%s", reading.said);
}

Test(settings, times_without_a_lease)
{
    struct reading reading;
    expect_read(&reading, "--no-leader-election --request-timeout=60s --lease-duration=5s", NULL);
    operator_settings_free(&reading.settings);
}

Test(settings, help)
{
    struct reading reading;
    read_settings(&reading, "--help", NULL);
    cr_expect_lt(reading.ret, 0);
    cr_expect_eq(reading.status, 0);
    cr_expect_not_null(strstr(reading.said, "--lease-duration=TIME"), "%s", reading.said);
    read_settings(&reading, "--version", NULL);
    cr_expect_eq(reading.status, 0);
}
