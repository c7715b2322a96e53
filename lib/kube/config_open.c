/* The files that a configuration names: certificates, keys, tokens. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/memory.h"
#include "kube/base64.h"
#include "kube/config_private.h"
#include "kube/credential.h"
#include "kube/secret.h"

/* What goes wrong while files are opened. */
struct opening {
    struct problems problems;
    int number; /* errno of the first problem; 0: none */
};

static void tell(struct opening *opening, int number, const struct kube_material *material,
                 const char *sentence)
{
    if (!opening->number)
        opening->number = number;
    if (material->entry.file)
        kube_entry_problem(&material->entry, material->field, &opening->problems, "%s", sentence);
    else
        problem_add(&opening->problems, "%s", sentence);
}

/*
 * The PEM text of material (NULL when there is none, or after a problem); owned by the caller, to
 * be wiped. check: see kube_pem_certificate_problem().
 */
static char *read_pem(struct opening *opening, const struct kube_material *material,
                      const char *(*check)(const char *))
{
    cleanup_secret_buffer struct buffer text = BUFFER_INIT(KUBE_CONFIG_BYTES_MAX);
    cleanup_error struct error *err = NULL;
    if (!material->file && !material->data)
        return NULL;
    int ret = material->file ? file_read(material->file, &text, &err)
                             : buffer_puts(&text, material->data);
    if (ret < 0) {
        tell(opening, -ret, material, err ? error_message(err) : "is too long");
        return NULL;
    }
    const char *problem = check(buffer_terminate(&text));
    if (problem) {
        cleanup_free char *sentence = xasprintf("%s%s%s", material->file ? material->file : "",
                                                material->file ? ": " : "", problem);
        tell(opening, EINVAL, material, sentence);
        return NULL;
    }
    return kube_secret_take(&text);
}

static char *basic_header(const char *username, const char *password)
{
    cleanup_secret char *pair = xasprintf("%s:%s", username, password ? password : "");
    cleanup_secret_buffer struct buffer header = BUFFER_INIT(KUBE_TOKEN_BYTES_MAX + 16);
    buffer_reserve(&header, header.max);
    buffer_puts(&header, "Basic ");
    kube_base64_encode(pair, strlen(pair), &header);
    return kube_secret_take(&header);
}

static struct kube_credential_source *open_token_file(struct opening *opening,
                                                      struct kube_access *access)
{
    struct kube_token_file file = {.path = STEAL_POINTER(access->token_file)};
    cleanup_error struct error *err = NULL;
    bool changed;

    file.token = STEAL_POINTER(access->token);
    int ret = kube_token_file_refresh(&file, clock_monotonic_ns(), false, &changed, &err);
    if (ret < 0) {
        if (!opening->number)
            opening->number = -ret;
        problem_add(&opening->problems, "%s: the token: %s", access->source, error_message(err));
        kube_token_file_free(&file);
        return NULL;
    }
    return kube_credential_token_file(&file);
}

/* Who we are. Over http nobody is asked, and nothing is told, as clientcmd has it. */
static struct kube_credential_source *open_credential(struct opening *opening,
                                                      struct kube_access *access, bool tls)
{
    if (tls && access->exec)
        return kube_credential_exec(STEAL_POINTER(access->exec));
    if (tls && access->token_file)
        return open_token_file(opening, access);
    if (tls && access->token)
        return kube_credential_fixed(xasprintf("Bearer %s", access->token));
    if (tls && access->username)
        return kube_credential_fixed(basic_header(access->username, access->password));
    return kube_credential_fixed(xstrdup(""));
}

/* The client certificate: what stands in two files may be renewed, anything else stays. */
static void open_certificate(struct opening *opening, struct kube_access *access,
                             struct kube_config *config)
{
    cleanup_key_pair_text struct kube_key_pair_text text = {
        .cert_pem = read_pem(opening, &access->client_cert, kube_pem_certificate_problem),
        .key_pem = read_pem(opening, &access->client_key, kube_pem_key_problem)};
    bool read = text.cert_pem && text.key_pem;

    if (!read || !access->client_cert.file || !access->client_key.file) {
        config->client_cert_pem = STEAL_POINTER(text.cert_pem);
        config->client_key_pem = STEAL_POINTER(text.key_pem);
        return;
    }
    const char *problem = kube_key_pair_problem(text.cert_pem, text.key_pem);
    if (problem) {
        cleanup_free char *sentence = xasprintf("%s: %s", access->client_key.file, problem);
        tell(opening, EINVAL, &access->client_key, sentence);
    }
    if (problem || !config->credential) /* which has a problem of its own */
        return;
    struct kube_key_pair pair = {.cert_file = STEAL_POINTER(access->client_cert.file),
                                 .key_file = STEAL_POINTER(access->client_key.file)};
    kube_credential_add_key_pair(config->credential, &pair, &text);
}

static void describe_to_exec(struct kube_access *access, const char *ca_pem)
{
    struct kube_exec_cluster cluster = {.server = access->server,
                                        .tls_server_name = access->tls_server_name,
                                        .proxy_url = access->proxy_url,
                                        .insecure = access->insecure,
                                        .ca_pem = ca_pem};
    if (access->exec)
        kube_exec_describe(access->exec, &cluster);
}

int kube_access_open(struct kube_access *access, struct kube_config **ret_config,
                     struct error **err)
{
    struct opening opening = {.problems = PROBLEMS_INIT};
    cleanup_kube_config struct kube_config *config = xcalloc(1, sizeof(*config));
    bool tls = strncasecmp(access->server, "http:", 5) != 0;

    cleanup_free char *ca = read_pem(&opening, &access->ca, kube_pem_certificate_problem);
    describe_to_exec(access, ca);
    config->credential = open_credential(&opening, access, tls);
    if (tls)
        open_certificate(&opening, access, config);
    if (opening.number) {
        int ret = kube_problems_error(&opening.problems, opening.number, err);
        problems_free(&opening.problems);
        return ret;
    }
    config->ca_file = STEAL_POINTER(access->ca.file);
    config->ca_pem = config->ca_file ? NULL : STEAL_POINTER(ca);
    config->server = STEAL_POINTER(access->server);
    config->namespace = STEAL_POINTER(access->namespace);
    config->source = STEAL_POINTER(access->source);
    config->tls_server_name = STEAL_POINTER(access->tls_server_name);
    config->proxy_url = STEAL_POINTER(access->proxy_url);
    config->impersonate = STEAL_POINTER(access->impersonate);
    config->insecure = access->insecure;
    *ret_config = STEAL_POINTER(config);
    return 0;
}

void kube_config_free(struct kube_config *config)
{
    if (!config)
        return;
    free(config->server);
    free(config->namespace);
    free(config->source);
    free(config->ca_file);
    free(config->ca_pem);
    free(config->client_cert_pem);
    kube_secret_free(config->client_key_pem);
    free(config->tls_server_name);
    kube_secret_free(config->proxy_url);
    kube_texts_free(config->impersonate);
    kube_credential_free(config->credential);
    free(config);
}
