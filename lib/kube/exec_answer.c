/* ExecCredential: what a plugin is told, and what it printed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kube/base64.h"
#include "kube/config.h"
#include "kube/exec.h"
#include "kube/secret.h"
#include "kube/time.h"

/* ---- checks ---- */

bool kube_token_valid(const char *token)
{
    if (!*token)
        return false;
    for (; *token; token++)
        if ((unsigned char)*token <= ' ' || (unsigned char)*token >= 0x7f)
            return false;
    return true;
}

const char *kube_pem_certificate_problem(const char *pem)
{
    if (!strstr(pem, "-----BEGIN CERTIFICATE-----") &&
        !strstr(pem, "-----BEGIN TRUSTED CERTIFICATE-----"))
        return "holds no PEM certificate; one begins with -----BEGIN CERTIFICATE-----";
    return NULL;
}

const char *kube_pem_key_problem(const char *pem)
{
    if (strstr(pem, "-----BEGIN ENCRYPTED PRIVATE KEY-----") || strstr(pem, "4,ENCRYPTED"))
        return "holds a key with a passphrase, which nobody can type here; store it without one";
    if (!strstr(pem, "PRIVATE KEY-----"))
        return "holds no PEM private key; one has a line that ends in PRIVATE KEY-----";
    return NULL;
}

/* ---- what it is told ---- */

static json_t *describe_cluster(struct kube_exec *exec, const struct kube_exec_cluster *cluster)
{
    json_t *object = json_pack("{s:s, s:s*, s:s*}", "server", cluster->server, "tls-server-name",
                               cluster->tls_server_name, "proxy-url", cluster->proxy_url);
    if (cluster->insecure)
        json_object_set_new(object, "insecure-skip-tls-verify", json_true());
    if (cluster->ca_pem) {
        cleanup_buffer struct buffer text = BUFFER_INIT(2 * KUBE_CONFIG_BYTES_MAX);
        kube_base64_encode(cluster->ca_pem, strlen(cluster->ca_pem), &text);
        json_object_set_new(object, "certificate-authority-data",
                            json_stringn(buffer_terminate(&text), text.length));
    }
    if (exec->cluster_config)
        json_object_set_new(object, "config", STEAL_POINTER(exec->cluster_config));
    return object;
}

void kube_exec_describe(struct kube_exec *exec, const struct kube_exec_cluster *cluster)
{
    json_auto_t *root = json_pack("{s:s, s:s, s:{s:b}}", "kind", "ExecCredential", "apiVersion",
                                  exec->api_version, "spec", "interactive", 0);
    if (exec->cluster_info)
        json_object_set_new(json_object_get(root, "spec"), "cluster",
                            describe_cluster(exec, cluster));
    exec->info = json_dumps(root, JSON_COMPACT);
    kube_secret_wipe_json(root); /* a proxy's password */
}

/* ---- what it printed ---- */

static int refuse(const struct kube_exec *exec, const char *sentence, struct error **err)
{
    return error_make(err, EPROTO, "%s %s", exec->where, sentence);
}

/* *ret_text: borrowed, NULL when the field is not there or empty. False when it is no text. */
static bool text_in(const json_t *status, const char *field, const char **ret_text)
{
    const json_t *value = json_object_get(status, field);
    *ret_text = json_string_length(value) ? json_string_value(value) : NULL;
    return !value || json_is_null(value) || json_is_string(value);
}

static const char *status_problem(const char *token, const char *cert, const char *key)
{
    if (!token && !cert && !key)
        return "gave neither a token nor a client certificate; is it logged in?";
    if (!cert != !key)
        return "gave half of a pair: clientCertificateData and clientKeyData belong together";
    if (token && strlen(token) > KUBE_TOKEN_BYTES_MAX)
        return "gave a token that is longer than any server takes (64 KiB)";
    if (token && !kube_token_valid(token))
        return "gave a token with characters that no token has";
    if (cert && kube_pem_certificate_problem(cert))
        return "gave clientCertificateData that holds no PEM certificate";
    if (key && kube_pem_key_problem(key))
        return "gave clientKeyData that holds no PEM private key without a passphrase";
    return NULL;
}

static int read_status(const struct kube_exec *exec, const json_t *status,
                       struct kube_exec_answer *ret_answer, struct error **err)
{
    const char *token, *cert, *key, *expires;
    uint64_t expires_unix_ns = UINT64_MAX;

    if (!json_is_object(status))
        return refuse(exec, "printed an ExecCredential without a status; is it logged in?", err);
    if (!text_in(status, "token", &token) || !text_in(status, "clientCertificateData", &cert) ||
        !text_in(status, "clientKeyData", &key) ||
        !text_in(status, "expirationTimestamp", &expires))
        return refuse(exec, "printed a field of status that is not text", err);
    const char *problem = status_problem(token, cert, key);
    if (problem)
        return refuse(exec, problem, err);
    if (expires && kube_time_parse(expires, &expires_unix_ns, NULL) < 0)
        return refuse(exec, "gave an expirationTimestamp that is not of RFC 3339", err);
    *ret_answer = (struct kube_exec_answer){.token = token ? xstrdup(token) : NULL,
                                            .cert_pem = cert ? xstrdup(cert) : NULL,
                                            .key_pem = key ? xstrdup(key) : NULL,
                                            .expires_unix_ns = expires_unix_ns};
    return 0;
}

static bool is_text(const json_t *value, const char *wanted)
{
    const char *text = json_string_value(value);
    return text && strcmp(text, wanted) == 0;
}

static int read_credential(const struct kube_exec *exec, const json_t *root,
                           struct kube_exec_answer *ret_answer, struct error **err)
{
    if (!is_text(json_object_get(root, "kind"), "ExecCredential"))
        return refuse(exec, "printed JSON that is not of kind ExecCredential", err);
    if (!is_text(json_object_get(root, "apiVersion"), exec->api_version))
        return error_make(err, EPROTO,
                          "%s speaks another version than the %s of its apiVersion field; set the "
                          "field to the plugin's",
                          exec->where, exec->api_version);
    return read_status(exec, json_object_get(root, "status"), ret_answer, err);
}

int kube_exec_parse(const struct kube_exec *exec, const char *text, size_t length,
                    struct kube_exec_answer *ret_answer, struct error **err)
{
    json_error_t error; /* its text may quote the secret: not shown */
    json_t *root = json_loadb(text, length, 0, &error);
    if (!root)
        return error_make(err, EPROTO,
                          "%s printed no JSON (line %d, column %d); it should print an "
                          "ExecCredential and nothing else",
                          exec->where, error.line, error.column);
    int ret = read_credential(exec, root, ret_answer, err);
    kube_secret_wipe_json(root);
    json_decref(root);
    return ret;
}

/* ---- the end ---- */

void kube_exec_answer_free(struct kube_exec_answer *answer)
{
    kube_secret_free(answer->token);
    free(answer->cert_pem);
    kube_secret_free(answer->key_pem);
    *answer = (struct kube_exec_answer)KUBE_EXEC_ANSWER_INIT;
}

void kube_exec_free(struct kube_exec *exec)
{
    if (!exec)
        return;
    free(exec->where);
    free(exec->api_version);
    kube_texts_free(exec->arguments);
    kube_texts_free(exec->environment);
    free(exec->install_hint);
    json_decref(exec->cluster_config);
    kube_secret_free(exec->info);
    free(exec);
}
