#include "kube/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/buffer.h"
#include "directory.h"

TestSuite(exec, .init = directory_setup, .fini = directory_teardown);

#define SECRET "s3cr3tVALUE"

static char version[] = "client.authentication.k8s.io/v1";
static char where[] = "config: user u: exec plugin p";
static char hint[] = "get it with apt-get install p";
static char info[] = "{}";

/* Runs a program of the directory. */
static int run(const char *name, char **environment, uint64_t timeout_ns,
               struct kube_exec_answer *ret_answer, struct error **err)
{
    cleanup_free char *path = strchr(name, '/') ? xstrdup(name) : directory_path(name);
    char *arguments[] = {path, NULL}, *nothing[] = {NULL};
    struct kube_exec exec = {.where = where,
                             .api_version = version,
                             .arguments = arguments,
                             .environment = environment ? environment : nothing,
                             .install_hint = hint,
                             .info = info};
    return kube_exec_run(&exec, timeout_ns, ret_answer, err);
}

/* Runs a script that should fail with this sentence behind `where`. */
static void refuses(const char *script, uint64_t timeout_ns, int number, const char *sentence)
{
    cleanup_exec_answer struct kube_exec_answer answer = KUBE_EXEC_ANSWER_INIT;
    cleanup_error struct error *err = NULL;
    cleanup_free char *expected = xasprintf("%s %s", where, sentence);
    directory_script("p", script);
    cr_assert_eq(run("p", NULL, timeout_ns, &answer, &err), -number, "%s", script);
    directory_expect(error_message(err), expected);
    cr_assert_null(answer.token);
}

#define CREDENTIAL(status)                                                                         \
    "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","             \
    "\"status\":" status "}"
#define PRINT(status) "echo '" CREDENTIAL(status) "'"

enum { SECOND = 1000 };
static const uint64_t long_ns = 20 * NS_PER_S, short_ns = 300 * NS_PER_MS;

Test(exec, a_token)
{
    cleanup_exec_answer struct kube_exec_answer answer = KUBE_EXEC_ANSWER_INIT;
    cleanup_error struct error *err = NULL;
    directory_script("p", PRINT("{\"token\":\"" SECRET "\",\"expirationTimestamp\":"
                                "\"2026-11-23T10:00:00Z\",\"other\":1}"));
    cr_assert_eq(run("p", NULL, long_ns, &answer, &err), 0, "%s", error_message(err));
    cr_assert_str_eq(answer.token, SECRET);
    cr_assert_eq(answer.expires_unix_ns, 1795428000 * NS_PER_S);
    cr_assert(!answer.cert_pem && !answer.key_pem);
}

/* A new process as a new process expects it, whatever ours looks like. */
Test(exec, what_a_plugin_finds)
{
    cleanup_exec_answer struct kube_exec_answer answer = KUBE_EXEC_ANSWER_INIT;
    cleanup_error struct error *err = NULL;
    char mine[] = "MINE=theirs", other[] = "OTHER=a b";
    char *environment[] = {mine, other, NULL};
    sigset_t all;
    cleanup_close int open_here = open("/dev/null", O_RDONLY); /* no O_CLOEXEC */

    setenv("MINE", "ours", 1);
    setenv("KUBERNETES_EXEC_INFO", "of somebody else", 1);
    signal(SIGPIPE, SIG_IGN);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    directory_script("p", "cd \"$(dirname \"$0\")\"\n"
                          "test \"$MINE\" = theirs && test \"$OTHER\" = 'a b' &&\n"
                          "test \"$(env | grep -c MINE=)\" = 1 &&\n"
                          "test \"$KUBERNETES_EXEC_INFO\" = '{}' && test -n \"$PATH\" || exit 10\n"
                          "read line && exit 11\n"
                          "for fd in /proc/$$/fd/*; do case $fd in */0|*/1|*/2|*/10) ;; "
                          "*) test -e $fd && exit 12;; esac; done\n"
                          "test \"$(ps -o pgid= -p $$ | tr -d ' ')\" = $$ || exit 14\n"
                          "grep -q 'SigIgn:.*[13579bdf]...$' /proc/$$/status && exit 15\n" PRINT(
                              "{\"token\":\"t\"}"));
    cr_assert_eq(run("p", environment, long_ns, &answer, &err), 0, "%s", error_message(err));
    cr_assert_eq(answer.expires_unix_ns, UINT64_MAX);
    cr_assert_geq(open_here, 0);
}

/* Shells clear their own mask; awk does not. */
Test(exec, signals_that_we_block_are_not_blocked_there)
{
    cleanup_exec_answer struct kube_exec_answer answer = KUBE_EXEC_ANSWER_INIT;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = directory_path("p");
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    directory_write("p", "#!/usr/bin/awk -f\n"
                         "BEGIN {\n"
                         "  while ((getline line < \"/proc/self/status\") > 0)\n"
                         "    if (line ~ /SigBlk/ && line !~ /SigBlk:\t0*$/) exit 13\n"
                         "  print \"{\\\"kind\\\":\\\"ExecCredential\\\",\\\"apiVersion\\\":"
                         "\\\"client.authentication.k8s.io/v1\\\",\"\n"
                         "  print \"\\\"status\\\":{\\\"token\\\":\\\"t\\\"}}\"\n"
                         "}\n");
    cr_assert_eq(chmod(path, 0755), 0);
    cr_assert_eq(run("p", NULL, long_ns, &answer, &err), 0, "%s", error_message(err));
}

/* Then there is no status to be had: what was printed counts. */
Test(exec, where_children_are_not_waited_for)
{
    cleanup_exec_answer struct kube_exec_answer answer = KUBE_EXEC_ANSWER_INIT;
    cleanup_error struct error *err = NULL;
    signal(SIGCHLD, SIG_IGN);
    directory_script("p", PRINT("{\"token\":\"t\"}") "; exit 1");
    cr_assert_eq(run("p", NULL, long_ns, &answer, &err), 0, "%s", error_message(err));
    cr_assert_str_eq(answer.token, "t");
}

Test(exec, a_certificate)
{
    cleanup_exec_answer struct kube_exec_answer answer = KUBE_EXEC_ANSWER_INIT;
    cleanup_error struct error *err = NULL;
    directory_write("out", CREDENTIAL("{\"clientCertificateData\":\"-----BEGIN "
                                      "CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n\","
                                      "\"clientKeyData\":\"-----BEGIN PRIVATE KEY-----\\nMIIE\\n"
                                      "-----END PRIVATE KEY-----\\n\"}"));
    directory_script("p", "cat \"$(dirname \"$0\")/out\"");
    cr_assert_eq(run("p", NULL, long_ns, &answer, &err), 0, "%s", error_message(err));
    cr_assert_str_eq(answer.cert_pem, PEM_CERT);
    cr_assert_str_eq(answer.key_pem, PEM_KEY);
    cr_assert_null(answer.token);
}

Test(exec, what_is_wrong_with_an_answer)
{
    static const struct {
        const char *script, *sentence;
    } cases[] = {
        {"true",
         "printed no JSON (line 1, column 0); it should print an ExecCredential and nothing "
         "else"},
        {"echo; echo ' " SECRET "'", "printed no JSON (line 2, column 2); it should print an "
                                     "ExecCredential and nothing else"},
        {"echo '[]'", "printed JSON that is not of kind ExecCredential"},
        {"echo '{\"kind\":\"Pod\"}'", "printed JSON that is not of kind ExecCredential"},
        {"echo '{\"kind\":\"ExecCredential\",\"apiVersion\":"
         "\"client.authentication.k8s.io/v1beta1\"}'",
         "speaks another version than the client.authentication.k8s.io/v1 of its apiVersion field; "
         "set the field to the plugin's"},
        {PRINT("null"), "printed an ExecCredential without a status; is it logged in?"},
        {PRINT("{}"), "gave neither a token nor a client certificate; is it logged in?"},
        {PRINT("{\"token\":\"\"}"),
         "gave neither a token nor a client certificate; is it logged in?"},
        {PRINT("{\"token\":[\"" SECRET "\"]}"), "printed a field of status that is not text"},
        {PRINT("{\"token\":\"" SECRET " \"}"), "gave a token with characters that no token has"},
        {PRINT("{\"clientKeyData\":\"" SECRET "\"}"),
         "gave half of a pair: clientCertificateData and clientKeyData belong together"},
        {PRINT("{\"clientCertificateData\":\"a\",\"clientKeyData\":\"" SECRET "\"}"),
         "gave clientCertificateData that holds no PEM certificate"},
        {PRINT("{\"clientCertificateData\":\"-----BEGIN "
               "CERTIFICATE-----\",\"clientKeyData\":\"" SECRET "\"}"),
         "gave clientKeyData that holds no PEM private key without a passphrase"},
        {PRINT("{\"token\":\"" SECRET "\",\"expirationTimestamp\":\"soon\"}"),
         "gave an expirationTimestamp that is not of RFC 3339"},
        {"exit 3", "failed with status 3; its own messages say why"},
        {PRINT("{\"token\":\"" SECRET "\"}") "; exit 1",
         "failed with status 1; its own messages say why"},
        {"kill -TERM $$", "was ended by signal 15"},
        {"head -c 70000 /dev/zero | tr '\\0' a > \"$(dirname \"$0\")/t\"; printf "
         "'{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
         "\"status\":{\"token\":\"'; cat \"$(dirname \"$0\")/t\"; printf '\"}}'",
         "gave a token that is longer than any server takes (64 KiB)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refuses(cases[i].script, long_ns, EPROTO, cases[i].sentence);
}

Test(exec, what_can_not_be_run)
{
    cleanup_exec_answer struct kube_exec_answer answer = KUBE_EXEC_ANSWER_INIT;
    cleanup_error struct error *err = NULL;
    cr_assert_eq(run("none", NULL, long_ns, &answer, &err), -ENOENT);
    cr_assert_str_eq(error_message(err), "config: user u: exec plugin p is not installed; install "
                                         "it, or put it in PATH: get it with apt-get install p");
    directory_write("plain", "text");
    cr_assert_eq(run("plain", NULL, long_ns, &answer, &err), -EACCES);
    cr_assert_str_eq(error_message(err),
                     "config: user u: exec plugin p can't be run: Permission denied");
}

Test(exec, too_much_output)
{
    refuses("exec cat /dev/zero", long_ns, EPROTO,
            "printed more than 1024 KiB; an ExecCredential is short");
}

/* Whether a process is there (and no zombie that nobody waited for). */
static bool is_running(pid_t pid)
{
    cleanup_free char *path = xasprintf("/proc/%d/stat", (int)pid);
    cleanup_buffer struct buffer text = BUFFER_INIT(4096);
    if (file_read(path, &text, NULL) < 0)
        return false;
    return !strstr(buffer_terminate(&text), ") Z ");
}

/* It and what it started are ended, by their group. */
Test(exec, too_slow)
{
    static const char *const scripts[] = {
        "sleep 100 & echo $! > \"$(dirname \"$0\")/pid\"; wait",
        "exec >&-; echo $$ > \"$(dirname \"$0\")/pid\"; exec sleep 100",
        "trap '' TERM; echo $$ > \"$(dirname \"$0\")/pid\"; while :; do echo; done",
    };
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        cleanup_buffer struct buffer text = BUFFER_INIT(100);
        cleanup_free char *path = directory_path("pid");
        uint64_t before_ns = clock_monotonic_ns();
        refuses(scripts[i], short_ns, ETIMEDOUT, "did not end within 300ms and was stopped");
        cr_assert_lt(clock_monotonic_ns() - before_ns, 5 * NS_PER_S);
        cr_assert_eq(file_read(path, &text, NULL), 0);
        pid_t pid = (pid_t)strtol(buffer_terminate(&text), NULL, 10);
        for (int look = 0; look < 200 && is_running(pid); look++)
            usleep(10 * SECOND);
        cr_assert(!is_running(pid), "%s", scripts[i]);
    }
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1); /* and no zombie is left */
    cr_assert_eq(errno, ECHILD);
}

/* An agent that a plugin leaves running keeps the output open; that is not waited for. */
Test(exec, what_it_leaves_running)
{
    cleanup_exec_answer struct kube_exec_answer answer = KUBE_EXEC_ANSWER_INIT;
    cleanup_error struct error *err = NULL;
    directory_script("p",
                     "sleep 30 & echo $! > \"$(dirname \"$0\")/pid\"\n" PRINT("{\"token\":\"t\"}"));
    uint64_t before_ns = clock_monotonic_ns();
    cr_assert_eq(run("p", NULL, long_ns, &answer, &err), 0, "%s", error_message(err));
    cr_assert_lt(clock_monotonic_ns() - before_ns, 10 * NS_PER_S);
    cleanup_buffer struct buffer text = BUFFER_INIT(100);
    cleanup_free char *path = directory_path("pid");
    cr_assert_eq(file_read(path, &text, NULL), 0);
    pid_t pid = (pid_t)strtol(buffer_terminate(&text), NULL, 10);
    cr_assert(is_running(pid));
    kill(pid, SIGKILL);
}

Test(exec, nothing_stays_open)
{
    size_t first = 0;
    for (int round = 0; round < 5; round++) {
        cleanup_exec_answer struct kube_exec_answer answer = KUBE_EXEC_ANSWER_INIT;
        size_t open_now = 0;
        directory_script("p", PRINT("{\"token\":\"t\"}"));
        cr_assert_eq(run("p", NULL, long_ns, &answer, NULL), 0);
        cr_assert_eq(run("none", NULL, long_ns, &answer, NULL), -ENOENT);
        for (int fd = 0; fd < 1000; fd++)
            open_now += fcntl(fd, F_GETFD) >= 0;
        first = round == 0 ? open_now : first;
        cr_assert_eq(open_now, first);
    }
}

/* ---- what a plugin is told ---- */

Test(exec, info_with_and_without_the_cluster)
{
    struct kube_exec exec = {.api_version = version};
    struct kube_exec_cluster cluster = {.server = "https://a:6443"};
    kube_exec_describe(&exec, &cluster);
    cr_assert_str_eq(exec.info, "{\"kind\":\"ExecCredential\",\"apiVersion\":"
                                "\"client.authentication.k8s.io/v1\","
                                "\"spec\":{\"interactive\":false}}");
    free(exec.info);

    exec = (struct kube_exec){.api_version = version,
                              .cluster_info = true,
                              .cluster_config = json_pack("{s:s}", "audience", "x")};
    cluster = (struct kube_exec_cluster){.server = "https://a:6443",
                                         .tls_server_name = "b",
                                         .proxy_url = "http://p:1",
                                         .insecure = true,
                                         .ca_pem = PEM_CERT};
    kube_exec_describe(&exec, &cluster);
    json_auto_t *got = json_loads(exec.info, 0, NULL);
    json_auto_t *expected = json_loads(
        "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
        "\"spec\":{\"interactive\":false,\"cluster\":{\"server\":\"https://a:6443\","
        "\"tls-server-name\":\"b\",\"proxy-url\":\"http://p:1\",\"insecure-skip-tls-verify\":true,"
        "\"certificate-authority-data\":\"" PEM_CERT_BASE64 "\",\"config\":{\"audience\":\"x\"}}}}",
        0, NULL);
    cr_assert(json_equal(got, expected), "%s", exec.info);
    cr_assert_null(exec.cluster_config);
    free(exec.info);
}
