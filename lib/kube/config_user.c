/* A user: who we are. One way at most, and no way that we would have to leave out in silence. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kube/config_private.h"
#include "kube/secret.h"

static void check_fields(const struct kube_entry *user, struct problems *problems)
{
    static const char *const known[] = {"client-certificate",
                                        "client-certificate-data",
                                        "client-key",
                                        "client-key-data",
                                        "token",
                                        "tokenFile",
                                        "username",
                                        "password",
                                        "exec",
                                        "auth-provider",
                                        "as",
                                        "as-uid",
                                        "as-groups",
                                        "as-user-extra",
                                        "extensions",
                                        NULL};
    const json_t *provider = json_object_get(user->value, "auth-provider");

    kube_entry_check_fields(user, known, true, problems);
    /* Leaving it out would make us somebody else. */
    if (provider && !json_is_null(provider))
        kube_entry_problem(user, "auth-provider", problems,
                           "auth providers are gone since Kubernetes 1.26; use exec with the "
                           "provider's plugin, or a token");
}

static void resolve_certificate(const struct kube_entry *user, struct kube_access *access,
                                struct problems *problems)
{
    size_t before = problems->count;
    kube_access_material(user, "client-certificate", "client-certificate-data",
                         &access->client_cert, problems);
    kube_access_material(user, "client-key", "client-key-data", &access->client_key, problems);
    bool cert = access->client_cert.file || access->client_cert.data;
    bool key = access->client_key.file || access->client_key.data;
    if (problems->count > before || cert == key)
        return;
    kube_entry_problem(user, NULL, problems,
                       cert ? "has a client certificate without its key; add client-key or "
                              "client-key-data"
                            : "has a client key without its certificate; add client-certificate "
                              "or client-certificate-data");
}

static char *copy(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

static void resolve_token(const struct kube_entry *user, struct kube_access *access,
                          struct problems *problems)
{
    const char *file = kube_entry_text(user, "tokenFile", problems);
    access->token = copy(kube_entry_text(user, "token", problems));
    access->token_file = file ? kube_entry_path(user, file) : NULL;
    if (access->token && strlen(access->token) > KUBE_TOKEN_BYTES_MAX)
        kube_entry_problem(user, "token", problems, "is longer than any server takes (64 KiB)");
    else if (access->token && !kube_token_valid(access->token))
        kube_entry_problem(user, "token", problems,
                           "has characters that no token has; is a line end in it?");
}

static void resolve_password(const struct kube_entry *user, struct kube_access *access,
                             struct problems *problems)
{
    access->username = copy(kube_entry_text(user, "username", problems));
    access->password = copy(kube_entry_text(user, "password", problems));
    if (access->password && !access->username)
        kube_entry_problem(user, "username", problems, "missing; a password needs one");
    else if (access->username && strchr(access->username, ':'))
        kube_entry_problem(user, "username", problems,
                           "has a colon, which Basic authentication can't carry");
    else if (access->username &&
             strlen(access->username) + (access->password ? strlen(access->password) : 0) >
                 KUBE_TOKEN_BYTES_MAX / 2)
        kube_entry_problem(user, "password", problems, "is longer than any server takes");
}

void kube_access_user(const struct kube_entry *user, struct kube_access *access,
                      struct problems *problems)
{
    const json_t *exec = json_object_get(user->value, "exec");

    check_fields(user, problems);
    resolve_certificate(user, access, problems);
    resolve_token(user, access, problems);
    resolve_password(user, access, problems);
    access->impersonate = kube_access_impersonation(user, problems);
    if (exec && !json_is_null(exec))
        access->exec = kube_access_exec(user, problems);
    int ways =
        (access->token || access->token_file) + (access->username != NULL) + (access->exec != NULL);
    if (ways > 1)
        kube_entry_problem(user, NULL, problems,
                           "says in several ways who we are; keep one of token, username with "
                           "password, and exec");
}
