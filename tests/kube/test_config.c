#include "kube/config.h"

#include <errno.h>

#include "directory.h"
#include "pairs.h"

TestSuite(config, .init = directory_setup, .fini = directory_teardown);

static const char simple[] = "apiVersion: v1\n"
                             "kind: Config\n"
                             "current-context: main\n"
                             "clusters:\n"
                             "- name: c\n"
                             "  cluster: {server: 'https://10.0.0.1:6443/'}\n"
                             "users:\n"
                             "- name: u\n"
                             "  user: {token: abc}\n"
                             "contexts:\n"
                             "- name: main\n"
                             "  context: {cluster: c, user: u}\n"
                             "- name: other\n"
                             "  context: {cluster: c, namespace: shop}\n";

static struct kube_config *load(const struct kube_config_options *options)
{
    cleanup_error struct error *err = NULL;
    struct kube_config *config = NULL;
    cr_assert_eq(kube_config_load(options, &config, &err), 0, "%s", error_message(err));
    return config;
}

static void refuse(const struct kube_config_options *options, int number, const char *sentence)
{
    cleanup_error struct error *err = NULL;
    struct kube_config *config = NULL;
    cr_assert_eq(kube_config_load(options, &config, &err), -number, "%s", error_message(err));
    cr_assert_null(config);
    directory_expect(error_message(err), sentence);
}

/* The credential as it is without anything stale. */
static void expect_credential(const struct kube_config *config, const char *expected)
{
    cleanup_error struct error *err = NULL;
    struct buffer header = BUFFER_INIT(KUBE_TOKEN_BYTES_MAX + 16);
    cr_assert_eq(kube_credential(config, false, &header, &err), 0, "%s", error_message(err));
    cr_assert_str_eq(buffer_terminate(&header), expected);
    kube_credential_wipe(&header);
    cr_assert_null(header.data);
}

Test(config, a_file_of_everything)
{
    directory_write("certs/ca.crt", PEM_CERT);
    directory_write("certs/tls.crt", CERT_ONE);
    directory_write("certs/tls.key", KEY_ONE);
    cleanup_kube_config struct kube_config *config =
        directory_load("kind: Config\n"
                       "preferences: {colors: true}\n"
                       "extensions: [{name: x, extension: {}}]\n"
                       "current-context: main\n"
                       "clusters:\n"
                       "- name: c\n"
                       "  cluster:\n"
                       "    server: https://[::1]:6443/k8s/\n"
                       "    certificate-authority: certs/ca.crt\n"
                       "    tls-server-name: api.example\n"
                       "    proxy-url: socks5://user:secret@10.0.0.3:1080\n"
                       "    disable-compression: true\n"
                       "    a-field-of-a-later-version: 1\n"
                       "    extensions: []\n"
                       "users:\n"
                       "- name: u\n"
                       "  user:\n"
                       "    client-certificate: ^/certs/tls.crt\n"
                       "    client-key: certs/tls.key\n"
                       "    as: ''\n"
                       "contexts:\n"
                       "- name: main\n"
                       "  context: {cluster: c, user: u, namespace: shop, extensions: []}\n");
    cr_assert_str_eq(config->server, "https://[::1]:6443/k8s");
    cr_assert_str_eq(config->namespace, "shop");
    directory_expect(config->source, "^/config, context main");
    directory_expect(config->ca_file, "^/certs/ca.crt");
    cr_assert_null(config->ca_pem);
    cr_assert(!config->client_cert_pem && !config->client_key_pem);
    cr_assert_str_eq(config->tls_server_name, "api.example");
    cr_assert_str_eq(config->proxy_url, "socks5h://user:secret@10.0.0.3:1080");
    cr_assert(!config->insecure);
    expect_credential(config, "");
    const char *cert = "", *key = "";
    kube_credential_certificate(config, &cert, &key);
    cr_assert_str_eq(cert, CERT_ONE);
    cr_assert_str_eq(key, KEY_ONE);
}

Test(config, inline_data)
{
    cleanup_kube_config struct kube_config *config = directory_load(
        "current-context: main\n"
        "clusters: [{name: c, cluster: {server: 'https://a',\n"
        "  certificate-authority-data: " PEM_CERT_BASE64 "}}]\n"
        "users: [{name: u, user: {client-certificate-data: " PEM_CERT_BASE64 ",\n"
        "  client-key-data: " PEM_KEY_BASE64 ", username: alice, password: 'p:w'}}]\n"
        "contexts: [{name: main, context: {cluster: c, user: u}}]\n");
    cr_assert_null(config->ca_file);
    cr_assert_str_eq(config->ca_pem, PEM_CERT);
    cr_assert_str_eq(config->client_cert_pem, PEM_CERT);
    cr_assert_str_eq(config->client_key_pem, PEM_KEY);
    cr_assert_str_eq(config->namespace, "default");
    expect_credential(config, "Basic YWxpY2U6cDp3");
}

Test(config, json_is_read_too)
{
    cleanup_kube_config struct kube_config *config = directory_load(
        "{\"kind\": \"Config\", \"apiVersion\": \"v1\", \"current-context\": \"m\","
        " \"clusters\": [{\"name\": \"c\", \"cluster\": {\"server\": \"https://a\","
        "  \"insecure-skip-tls-verify\": true}}],"
        " \"contexts\": [{\"name\": \"m\", \"context\": {\"cluster\": \"c\"}}], \"users\": null}");
    cr_assert(config->insecure);
    expect_credential(config, "");
}

Test(config, options_go_before_the_file)
{
    directory_write("config", simple);
    cleanup_free char *path = directory_path("config");
    struct kube_config_options options = {
        .kubeconfig = path, .context = "other", .server = "", .namespace = ""};
    cleanup_kube_config struct kube_config *other = load(&options);
    directory_expect(other->source, "^/config, context other");
    cr_assert_str_eq(other->namespace, "shop");
    expect_credential(other, "");

    options = (struct kube_config_options){
        .kubeconfig = path, .server = "https://b:1//", .namespace = "mine"};
    cleanup_kube_config struct kube_config *config = load(&options);
    cr_assert_str_eq(config->server, "https://b:1");
    cr_assert_str_eq(config->namespace, "mine");
    expect_credential(config, "Bearer abc");

    options.context = "mian";
    refuse(&options, EINVAL,
           "^/config: no context named mian; choose one with --context: there is main, other");
    options.context = NULL;
    options.namespace = "-no";
    refuse(&options, EINVAL,
           "the namespace -no given as an option can't be one: lower-case letters, digits and "
           "dashes, at most 63");
    options.namespace = NULL;
    options.server = "b:1";
    refuse(&options, EINVAL,
           "the server given as an option is not a URL of a server; give one as "
           "https://10.0.0.1:6443");
    options = (struct kube_config_options){.kubeconfig = "/nowhere/config"};
    refuse(&options, ENOENT, "/nowhere/config: is not there; give a kubeconfig file");
    options = (struct kube_config_options){.kubeconfig = directory};
    refuse(&options, EISDIR, "^: is a directory; give a file");
}

/* As clientcmd: another server has another name, and whoever is asked over http is told nothing. */
Test(config, another_server_takes_only_what_fits_it)
{
    cleanup_kube_config struct kube_config *first =
        directory_load("current-context: m\n"
                       "clusters: [{name: c, cluster: {server: 'https://a', tls-server-name: x}}]\n"
                       "users: [{name: u, user: {token: abc,\n"
                       "  client-certificate-data: " PEM_CERT_BASE64 ",\n"
                       "  client-key-data: " PEM_KEY_BASE64 "}}]\n"
                       "contexts: [{name: m, context: {cluster: c, user: u}}]\n");
    cr_assert_str_eq(first->tls_server_name, "x");
    cleanup_free char *path = directory_path("config");
    struct kube_config_options options = {.kubeconfig = path, .server = "http://127.0.0.1:8001"};
    cleanup_kube_config struct kube_config *plain = load(&options);
    cr_assert_null(plain->tls_server_name);
    cr_assert_null(plain->client_cert_pem);
    cr_assert_null(plain->client_key_pem);
    expect_credential(plain, "");
}

Test(config, several_files_are_merged)
{
    directory_write("a/config", "current-context: ''\n"
                                "users: [{name: u, user: {tokenFile: token}}]\n"
                                "contexts: [{name: main, context: {cluster: c, user: u}}]\n");
    directory_write("a/token", "a\n");
    directory_write("b/config", "current-context: main\n"
                                "clusters: [{name: c, cluster: {server: 'https://b'}}]\n"
                                "users: [{name: u, user: {username: b, password: b}}]\n"
                                "contexts: [{name: main, context: {cluster: c, namespace: b}}]\n");
    directory_write("c/config", "current-context: other\n"
                                "clusters: [{name: c, cluster: {server: 'https://c',"
                                "  insecure-skip-tls-verify: true}}]\n"
                                "contexts: [{name: other, context: {cluster: c}}]\n");
    directory_write("empty", " \n");
    cleanup_free char *list = xasprintf(
        ":%s/missing:%s/empty:%s/a/config:%s/b/config::%s/a/config:%s/c/config:", directory,
        directory, directory, directory, directory, directory);
    setenv("KUBECONFIG", list, 1);
    struct kube_config_options options = {0};
    cleanup_kube_config struct kube_config *config = load(&options);
    /* The context of a, all of it; the cluster of b, all of it; the current context of b. */
    cr_assert_str_eq(config->server, "https://b");
    cr_assert_str_eq(config->namespace, "default");
    cr_assert(!config->insecure);
    directory_expect(config->source, "^/a/config, context main");
    expect_credential(config, "Bearer a");

    options.context = "other";
    cleanup_kube_config struct kube_config *other = load(&options);
    cr_assert_str_eq(other->server, "https://b");
    directory_expect(other->source, "^/c/config, context other");

    options.context = "none";
    refuse(&options, EINVAL,
           "^/empty, ^/a/config, ^/b/config, ^/c/config: no context named none; choose one with "
           "--context: there is main, main, other");
}

Test(config, home_is_looked_at_last)
{
    struct kube_config_options options = {0};
    directory_write(".kube/config", simple);
    cleanup_kube_config struct kube_config *config = load(&options);
    cr_assert_str_eq(config->server, "https://10.0.0.1:6443");
    cleanup_free char *missing = directory_path("missing");
    setenv("KUBECONFIG", missing, 1);
    options.service_account_directory = "/nowhere";
    refuse(&options, ENOENT,
           "no kubeconfig (looked at KUBECONFIG, which is ^/missing), and this is no pod with a "
           "service account (looked at /nowhere); give --kubeconfig, or set KUBECONFIG");
    unsetenv("KUBECONFIG");
    unsetenv("HOME");
    refuse(&options, ENOENT,
           "no kubeconfig (looked at ~/.kube/config, but HOME is not set), and this is no pod with "
           "a service account (looked at /nowhere); give --kubeconfig, or set KUBECONFIG");
    /* As kubectl --server. */
    options.server = "http://localhost:8001";
    options.namespace = "shop";
    cleanup_kube_config struct kube_config *plain = load(&options);
    cr_assert_str_eq(plain->server, "http://localhost:8001");
    cr_assert_str_eq(plain->namespace, "shop");
    expect_credential(plain, "");
}

/* ---- in a pod ---- */

static void make_pod(const char *host)
{
    directory_write("sa/token", "pod-token");
    directory_write("sa/ca.crt", PEM_CERT);
    directory_write("sa/namespace", "shop");
    setenv("KUBERNETES_SERVICE_HOST", host, 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
}

Test(config, in_cluster)
{
    cleanup_free char *account = directory_path("sa");
    struct kube_config_options options = {.service_account_directory = account};
    make_pod("10.96.0.1");
    cleanup_kube_config struct kube_config *config = load(&options);
    cr_assert_str_eq(config->server, "https://10.96.0.1:443");
    cr_assert_str_eq(config->namespace, "shop");
    cr_assert_str_eq(config->source, "in-cluster");
    directory_expect(config->ca_file, "^/sa/ca.crt");
    cr_assert_null(config->ca_pem);
    expect_credential(config, "Bearer pod-token");

    make_pod("fd00::1");
    options.namespace = "other";
    cleanup_kube_config struct kube_config *six = load(&options);
    cr_assert_str_eq(six->server, "https://[fd00::1]:443");
    cr_assert_str_eq(six->namespace, "other");
    cleanup_free char *namespace_file = directory_path("sa/namespace");
    cr_assert_eq(unlink(namespace_file), 0);
    options.namespace = NULL;
    cleanup_kube_config struct kube_config *nameless = load(&options);
    cr_assert_str_eq(nameless->namespace, "default");

    /* A kubeconfig goes first, unless the pod is asked for. */
    directory_write(".kube/config", simple);
    cleanup_kube_config struct kube_config *file = load(&options);
    directory_expect(file->source, "^/.kube/config, context main");
    options.in_cluster = true;
    options.server = "https://c";
    cleanup_kube_config struct kube_config *pod = load(&options);
    cr_assert_str_eq(pod->source, "in-cluster");
    cr_assert_str_eq(pod->server, "https://c");
}

Test(config, in_cluster_says_what_is_missing)
{
    cleanup_free char *account = directory_path("sa"), *ca = directory_path("sa/ca.crt");
    struct kube_config_options options = {.service_account_directory = account, .in_cluster = true};
    refuse(&options, ENOENT,
           "in-cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this "
           "is no pod; give --kubeconfig");
    make_pod("10.96.0.1");
    setenv("KUBERNETES_SERVICE_PORT", "443x", 1);
    refuse(&options, EINVAL,
           "in-cluster: KUBERNETES_SERVICE_PORT: \"443x\" is not a whole number; give 1 to 65535");
    make_pod("10.96.0.1/x?");
    refuse(&options, EINVAL, "in-cluster: KUBERNETES_SERVICE_HOST is not a host's name or address");
    make_pod("10.96.0.1");
    directory_write("sa/namespace", "No Name");
    refuse(&options, EINVAL, "in-cluster: ^/sa/namespace: holds no namespace");
    make_pod("10.96.0.1");
    directory_write("sa/ca.crt", "nothing");
    refuse(&options, EINVAL,
           "^/sa/ca.crt: holds no PEM certificate; one begins with -----BEGIN CERTIFICATE-----");
    cr_assert_eq(unlink(ca), 0);
    cleanup_free char *token = directory_path("sa/token");
    cr_assert_eq(unlink(token), 0);
    refuse(&options, ENOENT,
           "^/sa/ca.crt: can't open: No such file or directory; in-cluster: the token: "
           "^/sa/token: can't open: No such file or directory; a pod gets these files unless "
           "automountServiceAccountToken is false");
    /* Without a token it is no pod at all, unless it was asked for. */
    options.in_cluster = false;
    refuse(&options, ENOENT,
           "no kubeconfig (looked at ^/.kube/config), and this is no pod with a service account "
           "(looked at ^/sa); give --kubeconfig, or set KUBECONFIG");
    make_pod("10.96.0.1");
    options.context = "prod";
    refuse(&options, ENOENT,
           "no kubeconfig (looked at ^/.kube/config), and this is no pod with a service account "
           "(looked at ^/sa); give --kubeconfig, or set KUBECONFIG");
}

/* ---- as somebody else ---- */

#define AS_CONFIG(server, as)                                                                      \
    "current-context: m\n"                                                                         \
    "clusters: [{name: c, cluster: {server: '" server "'}}]\n"                                     \
    "users: [{name: u, user: {token: t" as "}}]\n"                                                 \
    "contexts: [{name: m, context: {cluster: c, user: u}}]\n"

static void expect_lines(char **lines, const char *expected)
{
    cleanup_buffer struct buffer all = BUFFER_INIT(1 << 16);
    for (; lines && *lines; lines++)
        buffer_printf(&all, "%s\n", *lines);
    cr_assert_str_eq(buffer_terminate(&all), expected);
}

Test(config, whom_we_act_as)
{
    cleanup_kube_config struct kube_config *whole = directory_load(AS_CONFIG(
        "https://a", ", as: 'system:serviceaccount:a:b', as-uid: 0-1, as-groups: [x, y z],"
                     "  as-user-extra: {example.org/Foo%: [1 2, '\"'], \"\u00e4\": [c]}"));
    expect_lines(whole->impersonate, "Impersonate-User: system:serviceaccount:a:b\n"
                                     "Impersonate-Uid: 0-1\n"
                                     "Impersonate-Group: x\n"
                                     "Impersonate-Group: y z\n"
                                     "Impersonate-Extra-example.org%2FFoo%25: 1 2\n"
                                     "Impersonate-Extra-example.org%2FFoo%25: \"\n"
                                     "Impersonate-Extra-%C3%A4: c\n");
    expect_credential(whole, "Bearer t");
    /* A proxy on this machine may be somebody, and has to be told whom we mean. */
    cleanup_kube_config struct kube_config *plain =
        directory_load(AS_CONFIG("http://127.0.0.1:8001", ", as: alice"));
    expect_lines(plain->impersonate, "Impersonate-User: alice\n");
    expect_credential(plain, "");
    /* Empty ones say nothing. */
    cleanup_kube_config struct kube_config *nobody = directory_load(
        AS_CONFIG("https://a", ", as: '', as-uid: null, as-groups: [], as-user-extra: {}"));
    cr_assert_null(nobody->impersonate);
}

Test(config, whom_we_act_as_has_a_limit)
{
    cleanup_buffer struct buffer groups = BUFFER_INIT(1 << 16);
    for (int i = 0; i < 1000; i++)
        buffer_puts(&groups, "g, ");
    cleanup_free char *text =
        xasprintf(AS_CONFIG("https://a", ", as: u, as-groups: [%s]"), buffer_terminate(&groups));
    directory_refuses(text, "^/config:3: u: users[0].user.as-groups: is more than the 1000 values "
                            "and 32 KiB that whom we act as may have");
}
