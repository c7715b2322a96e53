/* Wrong kubeconfig files: each sentence names file, field and remedy, and none holds a secret. */
#include <errno.h>

#include "directory.h"

TestSuite(config_refused, .init = directory_setup, .fini = directory_teardown);

/* Stands where secrets stand. */
#define SECRET  "s3cr3tVALUE"
#define LETTERS "secretVALUE"

struct refused {
    const char *text, *sentence;
};

static void refuse_all(const struct refused *cases, size_t count, const char *before,
                       const char *after)
{
    for (size_t i = 0; i < count; i++) {
        cleanup_free char *text = xasprintf("%s%s%s", before, cases[i].text, after);
        cr_assert_null(strstr(cases[i].sentence, SECRET));
        cr_assert_null(strstr(cases[i].sentence, LETTERS));
        directory_refuses(text, cases[i].sentence);
    }
}

#define REFUSE_ALL(cases, before, after)                                                           \
    refuse_all(cases, sizeof(cases) / sizeof((cases)[0]), before, after)

Test(config_refused, shape)
{
    static const struct refused cases[] = {
        {"kind: Pod\nusers: []\n", "^/config:1: kind: is not Config: is this a kubeconfig file?"},
        {"apiVersion: v2\n", "^/config:1: apiVersion: is not v1, the one version there is"},
        {"current-context: 7\n", "^/config:1: current-context: must be text; put it in quotes"},
        {"clusters: {}\nusers: x\n", "^/config:1: clusters: must be a list of named entries; "
                                     "^/config:2: users: must be a list of named entries"},
        {"users:\n- " SECRET "\n", "^/config:2: users[0]: must be an object with name and user"},
        {"users:\n- user: {}\n", "^/config:2: users[0].name: missing; give each entry a name"},
        {"users:\n- name: 1\n", "^/config:2: users[0].name: must be text; put it in quotes"},
        {"contexts:\n- name: a\n  context: []\n",
         "^/config:3: contexts[0].context: must be an object"},
        {"users:\n- name: a\n- name: b\n- name: a\n",
         "^/config:4: users[2]: a second entry of the same name; remove one of the two"},
        {"a: 1\n---\nb: 1\n", "^/config:3: a second document; a kubeconfig is one, split the file"},
        {"kind: Config\n", "^/config: current-context is not set; give --context, or set it with "
                           "kubectl config use-context"},
        {"current-context: main\ncontexts: [{name: prod, context: {}}, {name: test}]\n",
         "^/config: no context named main; choose one with --context: there is prod, test"},
        {"", "^/config: current-context is not set; give --context, or set it with kubectl config "
             "use-context"},
    };
    REFUSE_ALL(cases, "", "");
}

/* What can't be parsed is told by its place, without what stands there. */
Test(config_refused, syntax)
{
    static const struct refused cases[] = {
        {"users:\n- name: a\n\tuser: {}\n",
         "^/config:3:1: a tab; YAML is indented with spaces, use spaces here"},
        {"users:\nusers:\n", "^/config:2:1: duplicate key users, first on line 1; remove one"},
        {SECRET "\n", "^/config:1: can't be read as a kubeconfig here; check the YAML"},
        {"\"" SECRET SECRET SECRET SECRET SECRET SECRET SECRET "\"\n",
         "^/config:1: can't be read as a kubeconfig here; check the YAML"},
        {"users: [{name: a, user: {token: *" SECRET "}}]\n",
         "^/config:1:33: can't be read as a kubeconfig here; check the YAML"},
        {"users: [{name: a, user: {token: !" SECRET " x}}]\n",
         "^/config:1:33: can't be read as a kubeconfig here; check the YAML"},
        {SECRET ": 1\n" SECRET ": 2\n",
         "^/config:2:1: can't be read as a kubeconfig here; check the YAML"},
        {"{\"token\": " LETTERS "}\n",
         "^/config:1:22: can't be read as a kubeconfig here; check the YAML"},
        {"{\"token\": \"" SECRET "\n",
         "^/config:1:23: can't be read as a kubeconfig here; check the YAML"},
        {"\xff\xfe", "^/config:1:1: bytes that are not UTF-8; save the file as UTF-8"},
    };
    REFUSE_ALL(cases, "", "");
}

Test(config_refused, context)
{
    static const struct refused cases[] = {
        {"{user: u}", "^/config:4: m: contexts[0].context.cluster: missing; name one of clusters: "
                      "there is c"},
        {"{cluster: x, user: u}",
         "^/config:4: m: contexts[0].context.cluster: no entry of clusters "
         "is named x: there is c"},
        {"{cluster: c, user: w}",
         "^/config:4: m: contexts[0].context.user: no entry of users is named w: there is u"},
        {"{cluster: [c], user: u}",
         "^/config:4: m: contexts[0].context.cluster: must be text; put it in quotes"},
        {"{cluster: c, usr: u}",
         "^/config:4: m: contexts[0].context.usr: is not known; did you mean user?"},
        {"{cluster: c, namespace: Shop}",
         "^/config:4: m: contexts[0].context.namespace: can't be a "
         "namespace: lower-case letters, digits and dashes, at "
         "most 63"},
    };
    REFUSE_ALL(cases,
               "current-context: m\n"
               "clusters: [{name: c, cluster: {server: 'https://a'}}]\n"
               "users: [{name: u}]\n"
               "contexts: [{name: m, context: ",
               "}]\n");
}

#define CLUSTER "^/config:4: c: clusters[0].cluster"

Test(config_refused, cluster)
{
    static const struct refused cases[] = {
        {"", CLUSTER ".server: missing; give the API server as https://10.0.0.1:6443"},
        {"server: 6443", CLUSTER ".server: must be text; put it in quotes; " CLUSTER
                                 ".server: missing; give the API server as https://10.0.0.1:6443"},
        {"server: 10.0.0.1:6443", CLUSTER ".server: is not a URL of a server; give one as "
                                          "https://10.0.0.1:6443"},
        {"server: 'https://a b'", CLUSTER ".server: is not a URL of a server; give one as "
                                          "https://10.0.0.1:6443"},
        {"server: 'ftp://a'", CLUSTER ".server: must begin with https:// (or http://)"},
        {"server: 'https://u:" SECRET "@a'",
         CLUSTER ".server: has a user in it; give username and password of the user instead"},
        {"server: 'https://a/?x=1'", CLUSTER ".server: has a query or a fragment in it; give "
                                             "scheme, host, port and path alone"},
        {"server: 'https://a', tls-server-name: 'https://b'",
         CLUSTER ".tls-server-name: is not a host name; give the name in the server's certificate"},
        {"server: 'https://a', insecure-skip-tls-verify: 'true'",
         CLUSTER ".insecure-skip-tls-verify: must be true or false, without quotes"},
        {"server: 'https://a', insecure-skip-tls-verify: true, certificate-authority: ca.crt",
         CLUSTER ".insecure-skip-tls-verify: stands beside certificate-authority, which it would "
                 "make useless; remove one of the two"},
        {"server: 'https://a', certificate-authority: ca.crt, certificate-authority-data: aaaa",
         CLUSTER ".certificate-authority-data: stands beside certificate-authority; keep one of "
                 "the two"},
        {"server: 'https://a', certificate-authority-data: '%'",
         CLUSTER ".certificate-authority-data: is not base64 of PEM text; make it with base64 -w0 "
                 "FILE"},
        {"server: 'https://a', certificate-authority-data: AAAA",
         CLUSTER ".certificate-authority-data: is not base64 of PEM text; make it with base64 -w0 "
                 "FILE"},
        {"server: 'https://a', certificate-authority-data: " PEM_KEY_BASE64, CLUSTER
         ".certificate-authority-data: holds no PEM certificate; one begins with -----BEGIN "
         "CERTIFICATE-----"},
        {"server: 'https://a', certificate-authority: missing.crt",
         CLUSTER ".certificate-authority: ^/missing.crt: can't open: No such file or directory"},
        {"server: 'https://a', certificate-authority: config",
         CLUSTER ".certificate-authority: ^/config: holds no PEM certificate; one begins with "
                 "-----BEGIN CERTIFICATE-----"},
        {"server: 'https://a', certificat-authority: ca.crt",
         CLUSTER ".certificat-authority: is not known; did you mean certificate-authority?"},
        {"server: 'https://a', proxy-url: '10.0.0.1:3128'",
         CLUSTER ".proxy-url: is not a URL; give one as http://10.0.0.1:3128"},
        {"server: 'https://a', proxy-url: 'ssh://u:" SECRET "@b'",
         CLUSTER ".proxy-url: must begin with http://, https:// or socks5://"},
    };
    REFUSE_ALL(cases,
               "current-context: m\n"
               "contexts: [{name: m, context: {cluster: c}}]\n"
               "clusters:\n"
               "- {name: c, cluster: {",
               "}}\n");
}

#define USER "^/config:5: u: users[0].user"
#define USERS                                                                                      \
    "current-context: m\n"                                                                         \
    "contexts: [{name: m, context: {cluster: c, user: u}}]\n"                                      \
    "clusters: [{name: c, cluster: {server: 'https://a'}}]\n"                                      \
    "users:\n"                                                                                     \
    "- {name: u, user: {"

#define NO_VALUE                                                                                   \
    "must be text that a header can carry: not empty, no blanks at its ends, no control "          \
    "characters"

Test(config_refused, user)
{
    static const struct refused cases[] = {
        {"auth-provider: {name: gcp, config: {access-token: " SECRET "}}",
         USER ".auth-provider: auth providers are gone since Kubernetes 1.26; use exec with the "
              "provider's plugin, or a token"},
        {"as-groups: [a], as-uid: b, token: " SECRET,
         USER ".as-uid: stands without as, and only a user can be acted as; add as; " USER
              ".as-groups: stands without as, and only a user can be acted as; add as"},
        {"as: \"a\\r\\nX: b\"", USER ".as: " NO_VALUE},
        {"as: a, as-uid: 7", USER ".as-uid: " NO_VALUE},
        {"as: a, as-groups: [b, '']", USER ".as-groups: " NO_VALUE},
        {"as: a, as-groups: b", USER ".as-groups: must be a list of texts"},
        {"as: a, as-user-extra: {k: [b, ' c']}", USER ".as-user-extra: " NO_VALUE},
        {"as: a, as-user-extra: {k: b}", USER ".as-user-extra: must be a list of texts"},
        {"as: a, as-user-extra: [b]", USER ".as-user-extra: must be an object of lists of texts"},
        {"as: a, as-user-extra: {'': [b]}",
         USER ".as-user-extra: has a key that is empty or longer than any server takes"},
        {"kerberos: {ticket: " SECRET "}", USER ".kerberos: is not known here; remove it, or use a "
                                                "token, tokenFile, client-certificate or exec"},
        {"tokn: " SECRET, USER ".tokn: is not known; did you mean token?"},
        {"token: 12345", USER ".token: must be text; put it in quotes"},
        {"token: " SECRET ", username: a",
         USER ": says in several ways who we are; keep one of token, username with password, and "
              "exec"},
        {"token: \"" SECRET "\\n\"",
         USER ".token: has characters that no token has; is a line end in it?"},
        {"password: " SECRET, USER ".username: missing; a password needs one"},
        {"password: " SECRET ", username: 'a:b'",
         USER ".username: has a colon, which Basic authentication can't carry"},
        {"client-certificate: a.crt", USER ": has a client certificate without its key; add "
                                           "client-key or client-key-data"},
        {"client-key-data: " PEM_KEY_BASE64,
         USER ": has a client key without its certificate; add client-certificate or "
              "client-certificate-data"},
        {"client-certificate: a.crt, client-key: a.key",
         USER ".client-certificate: ^/a.crt: can't open: No such file or directory; " USER
              ".client-key: ^/a.key: can't open: No such file or directory"},
        {"client-certificate-data: " PEM_CERT_BASE64 ", client-key-data: " PEM_CERT_BASE64,
         USER ".client-key-data: holds no PEM private key; one has a line that ends in PRIVATE "
              "KEY-----"},
        {"client-certificate-data: " PEM_CERT_BASE64 ", client-key: locked.key",
         USER ".client-key: ^/locked.key: holds a key with a passphrase, which nobody can type "
              "here; store it without one"},
        {"tokenFile: none", "^/config, context m: the token: ^/none: can't open: No such file or "
                            "directory"},
        {"tokenFile: blank", "^/config, context m: the token: ^/blank: is empty; it should hold a "
                             "token"},
        {"tokenFile: two", "^/config, context m: the token: ^/two: holds characters that no token "
                           "has; it should hold a token alone"},
    };
    directory_write("blank", " \n");
    directory_write("two", SECRET " " SECRET "\n");
    directory_write("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    REFUSE_ALL(cases, USERS, "}}\n");
}

#define EXEC USER ".exec"
#define V1   "apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, "

Test(config_refused, exec)
{
    static const struct refused cases[] = {
        {"exec: []", USER ".exec: must be an object with apiVersion and command"},
        {"exec: {command: a}",
         EXEC ".apiVersion: missing; give the one that the plugin speaks, "
              "client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1"},
        {"exec: {command: a, apiVersion: client.authentication.k8s.io/v1alpha1}",
         EXEC ".apiVersion: is no version that is known here; give client.authentication.k8s.io/v1 "
              "or client.authentication.k8s.io/v1beta1, and a plugin that speaks it"},
        {"exec: {command: a, apiVersion: client.authentication.k8s.io/v1}",
         EXEC ".interactiveMode: missing, which client.authentication.k8s.io/v1 does not allow; "
              "give Never or IfAvailable"},
        {"exec: {command: a, interactiveMode: Always, apiVersion: "
         "client.authentication.k8s.io/v1beta1}",
         EXEC ".interactiveMode: is Always, but nobody sits at a terminal here; use a credential "
              "that needs none"},
        {"exec: {command: a, interactiveMode: never, apiVersion: client.authentication.k8s.io/v1}",
         EXEC ".interactiveMode: is not Never or IfAvailable"},
        {"exec: {" V1 "command: ''}", EXEC ".command: missing; give the plugin's program"},
        {"exec: {" V1 "command: a, args: {}}", EXEC ".args: must be a list"},
        {"exec: {" V1 "command: a, args: [" SECRET ", 1]}",
         EXEC ".args: must be a list of texts; use quotes"},
        {"exec: {" V1 "command: a, env: [{name: A, value: " SECRET "}, {name: B}]}",
         EXEC ".env: must be a list of objects with name and value, both text"},
        {"exec: {" V1 "command: a, env: [{name: 'A=B', value: " SECRET "}]}",
         EXEC ".env: must be a list of objects with name and value, both text"},
        {"exec: {" V1 "command: a, provideClusterInfo: 1}",
         EXEC ".provideClusterInfo: must be true or false, without quotes"},
        {"exec: {" V1 "comand: a}", EXEC ".comand: is not known; did you mean command?; " EXEC
                                         ".command: missing; give the plugin's program"},
        {"exec: {" V1 "command: a}, token: " SECRET,
         USER ": says in several ways who we are; keep one of token, username with password, and "
              "exec"},
    };
    REFUSE_ALL(cases, USERS, "}}\n");
}

/* A text of count letters, owned by the caller. */
static char *letters(size_t count)
{
    char *text = xmalloc(count + 1);
    memset(text, 'a', count);
    text[count] = '\0';
    return text;
}

Test(config_refused, caps)
{
    cleanup_free char *most = letters(KUBE_TOKEN_BYTES_MAX), *half = letters(1 << 15);
    cleanup_free char *token = xasprintf(USERS "token: %s}}\n", most);
    cleanup_kube_config struct kube_config *config = directory_load(token);
    cr_assert_not_null(config);
    cleanup_free char *longer = xasprintf(USERS "token: %sa}}\n", most);
    directory_refuses(longer, USER ".token: is longer than any server takes (64 KiB)");
    cleanup_free char *password = xasprintf(USERS "username: u, password: %s}}\n", half);
    directory_refuses(password, USER ".password: is longer than any server takes");

    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 20);
    buffer_puts(&text, USERS "exec: {" V1 "command: a, args: [");
    for (int i = 0; i < 1001; i++)
        buffer_puts(&text, "x, ");
    buffer_puts(&text, "]}}}\n");
    directory_refuses(buffer_terminate(&text), EXEC ".args: has more than 1000 items");

    buffer_clear(&text);
    buffer_puts(&text, "contexts: [");
    for (int i = 0; i < 12; i++)
        buffer_printf(&text, "{name: c%d}, ", i);
    buffer_puts(&text, "]\n");
    directory_refuses(buffer_terminate(&text),
                      "^/config: current-context is not set; give --context, or set it with "
                      "kubectl config use-context: there is c0, c1, c2, c3, c4, c5, c6, c7, c8, "
                      "c9, ...");
}

Test(config_refused, too_many_files)
{
    cleanup_buffer struct buffer list = BUFFER_INIT(1 << 16);
    cleanup_error struct error *err = NULL;
    struct kube_config_options options = {0};
    struct kube_config *config = NULL;
    for (int i = 0; i < 65; i++) {
        cleanup_free char *name = xasprintf("c%d", i);
        directory_write(name, "");
        buffer_printf(&list, "%s/%s:", directory, name);
    }
    setenv("KUBECONFIG", buffer_terminate(&list), 1);
    cr_assert_eq(kube_config_load(&options, &config, &err), -EINVAL);
    directory_expect(error_message(err), "^/c64: one file more than the 64 that are read at most");
}

/* Entries that the context does not use may be as wrong as they like. */
Test(config_refused, other_entries_do_not_count)
{
    cleanup_kube_config struct kube_config *config =
        directory_load("current-context: m\n"
                       "contexts: [{name: m, context: {cluster: c}}, {name: w, context: {x: 1}}]\n"
                       "clusters: [{name: c, cluster: {server: 'https://a'}}, {name: d}]\n"
                       "users: [{name: old, user: {auth-provider: {name: gcp}}}]\n");
    cr_assert_str_eq(config->server, "https://a");
}

Test(config_refused, all_at_once_up_to_a_number)
{
    directory_refuses("kind: 1\napiVersion: 2\ncurrent-context: 3\nclusters: 4\nusers: 5\n"
                      "contexts: 6\n",
                      "^/config:1: kind: is not Config: is this a kubeconfig file?; ^/config:2: "
                      "apiVersion: is not v1, the one version there is; ^/config:3: "
                      "current-context: must be text; put it in quotes; ^/config:4: clusters: must "
                      "be a list of named entries; ^/config:5: users: must be a list of named "
                      "entries; ^/config:6: contexts: must be a list of named entries");
    directory_refuses("users: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n",
                      "^/config:1: users[0]: must be an object with name and user; ^/config:1: "
                      "users[1]: must be an object with name and user; ^/config:1: users[2]: must "
                      "be an object with name and user; ^/config:1: users[3]: must be an object "
                      "with name and user; ^/config:1: users[4]: must be an object with name and "
                      "user; ^/config:1: users[5]: must be an object with name and user; "
                      "^/config:1: users[6]: must be an object with name and user; ^/config:1: "
                      "users[7]: must be an object with name and user; and 2 more");
}
