/*
 * What tells us where the API server is and who we are: kubeconfig files, what a credential plugin
 * prints, timestamps and base64. The input's first byte chooses; tests/fuzz/corpus/kubeconfig has
 * examples of each. No file that a kubeconfig names is opened, and no plugin runs. These hold:
 *   - a refusal is at least one sentence that a terminal can show, without the user's secrets;
 *   - what is accepted is whole: a server, a namespace, one way at most to say who we are;
 *   - a timestamp comes back as it is printed, and is none any more when it is cut short;
 *   - base64 that is accepted is what encoding its bytes gives.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "kube/base64.h"
#include "kube/config_private.h"
#include "kube/time.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte of the input. */
enum {
    FUZZ_FILE = 'k',
    FUZZ_FILES = 'm', /* two, a NUL between them */
    FUZZ_ANSWER = 'e',
    FUZZ_TIME = 't',
    FUZZ_BASE64 = 'b'
};

static void check_sentence(const char *text)
{
    REQUIRE(*text && text_utf8_valid(text, strlen(text)));
}

/* ---- secrets ---- */

/* How often part is in text. */
static size_t occurrences(const char *text, size_t length, const char *part)
{
    size_t count = 0, part_length = strlen(part);
    const char *end = text + length, *at = text;
    while ((at = memmem(at, (size_t)(end - at), part, part_length))) {
        count++;
        at++;
    }
    return count;
}

/*
 * A secret that stands in the file once, and so is no name of something as well, is in no sentence.
 * Short ones are there by chance.
 */
static void check_secret(const char *text, size_t length, const char *secret,
                         const struct problems *problems)
{
    enum { LONG_ENOUGH = 12 };
    if (!secret || strlen(secret) < LONG_ENOUGH || occurrences(text, length, secret) != 1)
        return;
    for (size_t i = 0; i < problems->count && i < PROBLEMS_MAX; i++)
        REQUIRE(!strstr(problems->texts[i], secret));
}

static void check_secrets(const char *text, size_t length, const struct problems *problems)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems unused = PROBLEMS_INIT;
    const json_t *item;
    size_t i;
    if (documents_parse(text, length, "fuzz", &documents, &unused) < 0)
        return;
    json_array_foreach(json_object_get(documents.items[0].root, "users"), i, item)
    {
        const json_t *user = json_object_get(item, "user");
        check_secret(text, length, json_string_value(json_object_get(user, "token")), problems);
        check_secret(text, length, json_string_value(json_object_get(user, "password")), problems);
        check_secret(text, length, json_string_value(json_object_get(user, "client-key-data")),
                     problems);
    }
}

/* ---- files ---- */

static void check_material(const struct kube_material *material)
{
    REQUIRE(!material->file || !material->data);
    REQUIRE(!material->file || *material->file);
}

static void check_exec(const struct kube_exec *exec)
{
    REQUIRE(exec->arguments[0] && *exec->arguments[0]);
    REQUIRE(strncmp(exec->api_version, "client.authentication.k8s.io/v1", 31) == 0);
    for (size_t i = 0; exec->environment[i]; i++)
        REQUIRE(strchr(exec->environment[i], '=') > exec->environment[i]);
}

static void check_access(struct kube_access *access)
{
    size_t length = strlen(access->server);
    REQUIRE(length > strlen("http://") && access->server[length - 1] != '/');
    REQUIRE(kube_namespace_valid(access->namespace));
    REQUIRE(access->source);
    REQUIRE(!access->insecure || (!access->ca.file && !access->ca.data));
    check_material(&access->ca);
    check_material(&access->client_cert);
    check_material(&access->client_key);
    /* Each a header, and the first the user. */
    for (char **line = access->impersonate; line && *line; line++) {
        REQUIRE((line == access->impersonate) == (strncmp(*line, "Impersonate-User: ", 18) == 0));
        REQUIRE(strncmp(*line, "Impersonate-", 12) == 0 && !strpbrk(*line, "\r\n"));
    }
    bool cert = access->client_cert.file || access->client_cert.data;
    REQUIRE(cert == (access->client_key.file || access->client_key.data));
    REQUIRE(!access->token || kube_token_valid(access->token));
    REQUIRE((access->token || access->token_file) + (access->username != NULL) +
                (access->exec != NULL) <=
            1);
    REQUIRE(!access->password || access->username);
    if (!access->exec)
        return;
    check_exec(access->exec);
    struct kube_exec_cluster cluster = {.server = access->server,
                                        .tls_server_name = access->tls_server_name,
                                        .proxy_url = access->proxy_url,
                                        .ca_pem = access->ca.data};
    kube_exec_describe(access->exec, &cluster);
    json_auto_t *info = json_loads(access->exec->info, 0, NULL);
    REQUIRE(json_is_object(info));
}

static void check_resolve(const struct kubeconfigs *files, const char *context,
                          struct problems *problems)
{
    cleanup_kube_access struct kube_access access = KUBE_ACCESS_INIT;
    cleanup_error struct error *err = NULL;
    struct kube_config_options options = {.context = context};
    size_t before = problems->count;
    int ret = kube_access_resolve(files, &options, &access, problems);
    REQUIRE((ret < 0) == (problems->count > before));
    if (ret < 0) {
        kube_problems_error(problems, EINVAL, &err);
        check_sentence(error_message(err));
    } else {
        check_access(&access);
    }
}

static void check_files(const char *const *texts, const size_t *lengths, size_t count)
{
    cleanup_kubeconfigs struct kubeconfigs files = KUBECONFIGS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    bool readable = true;
    for (size_t i = 0; i < count; i++) {
        size_t before = problems.count;
        int ret = kubeconfig_parse(texts[i], lengths[i], i ? "dir/other" : "/dir/config", &files,
                                   &problems);
        REQUIRE((ret < 0) == (problems.count > before));
        readable = readable && ret == 0;
    }
    if (readable) {
        check_resolve(&files, NULL, &problems);
        check_resolve(&files, "c", &problems);
    }
    for (size_t i = 0; i < problems.count && i < PROBLEMS_MAX; i++)
        check_sentence(problems.texts[i]);
    if (count == 1)
        check_secrets(texts[0], lengths[0], &problems);
}

static void check_two_files(const char *text, size_t length)
{
    const char *end = memchr(text, '\0', length);
    size_t first = end ? (size_t)(end - text) : length;
    size_t second = end ? length - first - 1 : 0;
    const char *texts[] = {text, end ? end + 1 : text};
    check_files(texts, (const size_t[]){first, second}, 2);
}

/* ---- the rest ---- */

static void check_answer(const char *text, size_t length)
{
    static char version[] = "client.authentication.k8s.io/v1", where[] = "plugin";
    static const struct kube_exec exec = {.api_version = version, .where = where};
    cleanup_exec_answer struct kube_exec_answer answer = KUBE_EXEC_ANSWER_INIT;
    cleanup_error struct error *err = NULL;
    if (kube_exec_parse(&exec, text, length, &answer, &err) < 0) {
        check_sentence(error_message(err));
        REQUIRE(!answer.token && !answer.cert_pem && !answer.key_pem);
        return;
    }
    REQUIRE(answer.token || answer.cert_pem);
    REQUIRE(!answer.token || kube_token_valid(answer.token));
    REQUIRE(!answer.cert_pem == !answer.key_pem);
}

static void check_time(const char *bytes, size_t length)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *text = xstrndup(bytes, length);
    char printed[KUBE_TIME_TEXT_MAX];
    uint64_t ns, again;
    if (kube_time_parse(text, &ns, &err) < 0) {
        check_sentence(error_message(err));
        return;
    }
    REQUIRE(kube_time_parse(kube_micro_time_format(ns, printed), &again, NULL) == 0);
    REQUIRE(again == ns - ns % 1000);
    REQUIRE(kube_time_parse(kube_time_format(ns, printed), &again, NULL) == 0);
    REQUIRE(again == ns - ns % 1000000000);
    for (size_t cut = strlen(text); cut > 0; cut--) {
        text[cut - 1] = '\0';
        REQUIRE(kube_time_parse(text, &again, NULL) < 0);
    }
}

static void check_base64(const char *text, size_t length)
{
    cleanup_buffer struct buffer bytes = BUFFER_INIT(length), back = BUFFER_INIT(length + 4);
    if (kube_base64_decode(text, length, &bytes) < 0)
        return;
    REQUIRE(kube_base64_encode(bytes.data, bytes.length, &back) == 0);
    size_t at = 0;
    for (size_t i = 0; i < length; i++)
        if (text[i] != '\n' && text[i] != '\r')
            REQUIRE(at < back.length && back.data[at++] == text[i]);
    REQUIRE(at == back.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t length = size - 1;
    char *text = xmalloc(length ? length : 1); /* so that a step past the end is seen */
    memcpy(text, data + 1, length);
    switch (data[0]) {
    case FUZZ_FILE:
        check_files((const char *const[]){text}, &length, 1);
        break;
    case FUZZ_FILES:
        check_two_files(text, length);
        break;
    case FUZZ_ANSWER:
        check_answer(text, length);
        break;
    case FUZZ_TIME:
        check_time(text, length);
        break;
    case FUZZ_BASE64:
        check_base64(text, length);
        break;
    default:
        break;
    }
    free(text);
    return 0;
}
