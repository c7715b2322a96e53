#include "kube/credential.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "kube/config.h"
#include "kube/secret.h"
#include "kube/time.h"

#define RENEW_BEFORE_NS (10 * NS_PER_S) /* but at most a tenth of the credential's life */
#define RENEW_AGAIN_NS  (1 * NS_PER_S)  /* after a renewal that brought nothing better */

static const char bearer[] = "Bearer ";

/* A certificate that another one replaced; others may still read it. */
struct retired {
    struct retired *next;
    uint64_t retired_ns;
    struct kube_key_pair_text text;
};

/* What a plugin gave, and how its last run went. */
struct renewal {
    bool valid;               /* a run has succeeded */
    bool running;             /* somebody runs it, with the lock given back */
    unsigned runs;            /* that have ended */
    int last;                 /* what the last one returned */
    struct error *err;        /* and said */
    uint64_t renew_unix_ns;   /* when to run it again */
    uint64_t expires_unix_ns; /* when the server refuses it */
    struct kube_key_pair_text certificate;
};

struct kube_credential_source {
    pthread_mutex_t lock; /* guards all below but exec, which is immutable */
    pthread_cond_t ended; /* a run has */
    char *header;         /* NULL: not known yet */
    struct kube_token_file file;
    struct kube_exec *exec;
    struct renewal renewal;
    struct kube_key_pair pair;           /* its files may be NULL */
    struct kube_key_pair_text pair_text; /* what they held when they were last good */
    struct retired *retired;             /* certificates, newest first */
    unsigned certificate_number;         /* counts the changes of any */
};

/* ---- the beginning ---- */

static struct kube_credential_source *source_new(void)
{
    struct kube_credential_source *source = xcalloc(1, sizeof(*source));
    pthread_mutex_init(&source->lock, NULL);
    pthread_cond_init(&source->ended, NULL);
    return source;
}

static void set_token(struct kube_credential_source *source, const char *token)
{
    kube_secret_free(source->header);
    source->header = token ? xasprintf("%s%s", bearer, token) : xstrdup("");
}

struct kube_credential_source *kube_credential_fixed(char *header)
{
    struct kube_credential_source *source = source_new();
    source->header = header;
    return source;
}

struct kube_credential_source *kube_credential_token_file(struct kube_token_file *file)
{
    struct kube_credential_source *source = source_new();
    source->file = *file;
    *file = (struct kube_token_file){.path = NULL};
    set_token(source, source->file.token);
    return source;
}

struct kube_credential_source *kube_credential_exec(struct kube_exec *exec)
{
    struct kube_credential_source *source = source_new();
    source->exec = exec;
    return source;
}

void kube_credential_add_key_pair(struct kube_credential_source *source, struct kube_key_pair *pair,
                                  struct kube_key_pair_text *text)
{
    source->pair = *pair;
    source->pair_text = *text;
    *pair = (struct kube_key_pair){.cert_file = NULL};
    *text = (struct kube_key_pair_text)KUBE_KEY_PAIR_TEXT_INIT;
}

/* ---- certificates ---- */

static void free_retired(struct retired *retired)
{
    while (retired) {
        struct retired *next = retired->next;
        kube_key_pair_text_free(&retired->text);
        free(retired);
        retired = next;
    }
}

/* Keeps what another certificate replaces for a while, and frees what was kept for long enough. */
static void retire_certificate(struct kube_credential_source *source,
                               struct kube_key_pair_text *text)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (text->cert_pem) {
        struct retired *retired = xmalloc(sizeof(*retired));
        *retired = (struct retired){source->retired, now_ns, *text};
        source->retired = retired;
        *text = (struct kube_key_pair_text)KUBE_KEY_PAIR_TEXT_INIT;
    }
    struct retired **old = &source->retired;
    while (*old && now_ns - (*old)->retired_ns < KUBE_CERTIFICATE_KEPT_NS)
        old = &(*old)->next;
    free_retired(*old);
    *old = NULL;
}

static bool same_text(const char *one, const char *other)
{
    return one == other || (one && other && strcmp(one, other) == 0);
}

/* Makes present what was given, and takes it. The same certificate stays where it is, so that its
 * address and number tell whether it changed. */
static void set_certificate(struct kube_credential_source *source,
                            struct kube_key_pair_text *present, char **cert_pem, char **key_pem)
{
    if (same_text(present->cert_pem, *cert_pem) && same_text(present->key_pem, *key_pem))
        return;
    retire_certificate(source, present);
    present->cert_pem = STEAL_POINTER(*cert_pem);
    present->key_pem = STEAL_POINTER(*key_pem);
    source->certificate_number++;
}

/* What can't be read, or is half of a renewal, waits: the one that was good is still there. */
static void refresh_key_pair(struct kube_credential_source *source, bool refused)
{
    cleanup_key_pair_text struct kube_key_pair_text text = KUBE_KEY_PAIR_TEXT_INIT;
    if (source->pair.cert_file &&
        kube_key_pair_refresh(&source->pair, clock_monotonic_ns(), refused, &text, NULL) == 0 &&
        text.cert_pem)
        set_certificate(source, &source->pair_text, &text.cert_pem, &text.key_pem);
}

/* ---- running a plugin ---- */

/* 10 s or a tenth of its life before it expires. One that is expired already is used as client-go
 * uses it: it may be our clock that is wrong. */
static uint64_t renew_at(uint64_t now_ns, uint64_t expires_ns)
{
    if (expires_ns == UINT64_MAX)
        return UINT64_MAX;
    if (expires_ns <= now_ns)
        return now_ns + RENEW_AGAIN_NS;
    uint64_t before_ns = (expires_ns - now_ns) / 10;
    return expires_ns - (before_ns < RENEW_BEFORE_NS ? before_ns : RENEW_BEFORE_NS);
}

static void note_run(struct kube_credential_source *source, int ret,
                     struct kube_exec_answer *answer, struct error *err)
{
    struct renewal *renewal = &source->renewal;
    uint64_t now_ns = kube_time_now_ns();

    renewal->runs++;
    renewal->last = ret;
    error_free(renewal->err);
    renewal->err = err;
    if (ret < 0) { /* what is left of the old one is used up first */
        uint64_t again_ns = now_ns + RENEW_AGAIN_NS, expires_ns = renewal->expires_unix_ns;
        renewal->renew_unix_ns = again_ns < expires_ns ? again_ns : expires_ns;
        return;
    }
    renewal->valid = true;
    renewal->expires_unix_ns = answer->expires_unix_ns;
    renewal->renew_unix_ns = renew_at(now_ns, answer->expires_unix_ns);
    set_token(source, answer->token);
    set_certificate(source, &renewal->certificate, &answer->cert_pem, &answer->key_pem);
}

/* With the lock held, which is given back meanwhile: others go on with what is still good. */
static void run_plugin(struct kube_credential_source *source)
{
    cleanup_exec_answer struct kube_exec_answer answer = KUBE_EXEC_ANSWER_INIT;
    struct error *err = NULL;

    source->renewal.running = true;
    pthread_mutex_unlock(&source->lock);
    int ret = kube_exec_run(source->exec, KUBE_EXEC_TIMEOUT_NS, &answer, &err);
    pthread_mutex_lock(&source->lock);
    source->renewal.running = false;
    note_run(source, ret, &answer, err);
    pthread_cond_broadcast(&source->ended);
}

/*
 * Makes source->header current. refused: the server does not take the present one any more. A
 * caller runs the plugin at most once, and not at all when somebody else did since it came.
 */
static int refresh_exec(struct kube_credential_source *source, bool refused, struct error **err)
{
    struct renewal *renewal = &source->renewal;
    unsigned runs_before = renewal->runs;

    for (;;) {
        uint64_t now_ns = kube_time_now_ns();
        bool usable = renewal->valid && !refused;
        bool renewed = renewal->runs != runs_before;
        if (renewed && renewal->last == 0)
            return 0;
        if (usable && now_ns < renewal->renew_unix_ns)
            return 0;
        if (usable && now_ns < renewal->expires_unix_ns && renewal->running)
            return 0;
        if (renewed)
            return error_make(err, -renewal->last, "%s", error_message(renewal->err));
        if (renewal->running)
            pthread_cond_wait(&source->ended, &source->lock);
        else
            run_plugin(source);
    }
}

static int refresh_file(struct kube_credential_source *source, bool refused, struct error **err)
{
    bool changed = false;
    int ret = kube_token_file_refresh(&source->file, clock_monotonic_ns(), refused, &changed, err);
    if (changed)
        set_token(source, source->file.token);
    return ret;
}

/* ---- asking ---- */

/* Whether the present credential is the one that the caller has, or it can't be told. */
static bool is_what_caller_has(const struct kube_credential_source *source,
                               const struct buffer *callers)
{
    return callers->length == 0 || !source->header ||
           (strlen(source->header) == callers->length &&
            memcmp(source->header, callers->data, callers->length) == 0);
}

static int put_header(const char *header, struct buffer *ret, struct error **err)
{
    if (strlen(header) > ret->max)
        return error_make(err, ENOBUFS, "the credential is longer than the %zu bytes it may have",
                          ret->max);
    if (ret->data) /* before it moves: growing would leave the old one behind */
        explicit_bzero(ret->data, ret->capacity);
    buffer_clear(ret);
    return buffer_puts(ret, header);
}

int kube_credential(const struct kube_config *config, bool stale, struct buffer *ret,
                    struct error **err)
{
    struct kube_credential_source *source = config->credential;
    int result = 0;

    pthread_mutex_lock(&source->lock);
    bool refused = stale && is_what_caller_has(source, ret);
    refresh_key_pair(source, stale);
    if (source->exec)
        result = refresh_exec(source, refused, err);
    else if (source->file.path)
        result = refresh_file(source, refused, err);
    if (result == 0)
        result = put_header(source->header, ret, err);
    pthread_mutex_unlock(&source->lock);
    return result;
}

unsigned kube_credential_certificate(const struct kube_config *config, const char **ret_cert_pem,
                                     const char **ret_key_pem)
{
    struct kube_credential_source *source = config->credential;
    pthread_mutex_lock(&source->lock);
    const struct kube_key_pair_text *text =
        source->renewal.certificate.cert_pem ? &source->renewal.certificate : &source->pair_text;
    *ret_cert_pem = text->cert_pem;
    *ret_key_pem = text->key_pem;
    unsigned number = source->certificate_number;
    pthread_mutex_unlock(&source->lock);
    return number;
}

void kube_credential_free(struct kube_credential_source *source)
{
    if (!source)
        return;
    kube_secret_free(source->header);
    kube_token_file_free(&source->file);
    kube_exec_free(source->exec);
    error_free(source->renewal.err);
    kube_key_pair_text_free(&source->renewal.certificate);
    kube_key_pair_text_free(&source->pair_text);
    kube_key_pair_free(&source->pair);
    free_retired(source->retired);
    pthread_cond_destroy(&source->ended);
    pthread_mutex_destroy(&source->lock);
    free(source);
}
