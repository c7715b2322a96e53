#include "kube/client_warning.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "kube/client_private.h"
#include "kube/lru.h"

/* ---- reading ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip(const char *at, const char *end, const char *these)
{
    while (at < end && strchr(these, *at) && *at)
        at++;
    return at;
}

/* The instant behind a quoted string that begins at at; NULL when none does, or it does not end.
 * out: its content without the escapes, as far as it fits; NULL: nobody wants it. */
static const char *quoted(const char *at, const char *end, struct buffer *out)
{
    if (at == end || *at++ != '"')
        return NULL;
    for (; at < end && *at != '"'; at++) {
        if (*at == '\\' && ++at == end)
            return NULL;
        if (out && out->length < out->max)
            buffer_append(out, at, 1);
    }
    return at < end ? at + 1 : NULL;
}

/* The place behind "299 agent " and whether that was the code; NULL: it is something else. */
static const char *code_and_agent(const char *at, const char *end, bool *ret_wanted)
{
    if (end - at < 4 || !is_digit(at[0]) || !is_digit(at[1]) || !is_digit(at[2]) || at[3] != ' ')
        return NULL;
    *ret_wanted = memcmp(at, "299", 3) == 0;
    const char *agent = skip(at + 3, end, " "), *behind = agent;
    while (behind < end && *behind != ' ' && *behind != '"' && *behind != ',')
        behind++;
    if (behind == agent || behind == end || *behind != ' ')
        return NULL;
    return skip(behind, end, " ");
}

bool kube_warning_next(const char **at, const char *end, struct buffer *text)
{
    for (const char *c = *at; (c = skip(c, end, " \t,")) < end;) {
        bool wanted = false;
        buffer_clear(text);
        c = code_and_agent(c, end, &wanted);
        c = c ? quoted(c, end, text) : NULL;
        if (!c)
            break;
        const char *date = skip(c, end, " ");
        if (date < end && *date == '"')
            c = quoted(date, end, NULL);
        if (!c)
            break;
        c = skip(c, end, " \t\r\n");
        if (c < end && *c != ',')
            break;
        *at = c;
        if (wanted && text->length > 0)
            return true;
    }
    *at = end;
    return false;
}

/* ---- remembering ---- */

struct kube_lru *kube_warnings_new(void)
{
    return xcalloc(1, sizeof(struct kube_lru));
}

static void forget_oldest(struct kube_lru *warned)
{
    struct kube_lru_entry *oldest = warned->oldest;
    kube_lru_remove(warned, oldest);
    free(oldest);
}

void kube_warnings_free(struct kube_lru *warned)
{
    while (warned && warned->count > 0)
        forget_oldest(warned);
    free(warned);
}

/* Whether the text is new. With the client's lock held. */
static bool remember(struct kube_lru *warned, const char *text)
{
    struct kube_lru_key key = kube_lru_key(text, strlen(text));
    struct kube_lru_entry *entry = kube_lru_find(warned, &key);
    if (entry) {
        kube_lru_touch(warned, entry);
        return false;
    }
    if (warned->count == KUBE_WARNINGS_KEPT)
        forget_oldest(warned);
    entry = xcalloc(1, sizeof(*entry));
    entry->key = key;
    kube_lru_add(warned, entry);
    return true;
}

void kube_warning_take(struct kube_attempt *attempt, const char *line, size_t length)
{
    static const char name[] = "Warning:";
    const struct kube_call *call = attempt->call;
    struct kube_client *client = call->client;
    const char *at = line + sizeof(name) - 1, *end = line + length;

    if (!client->warning || length < sizeof(name) || strncasecmp(line, name, sizeof(name) - 1) != 0)
        return;
    cleanup_buffer struct buffer text = BUFFER_INIT(KUBE_WARNING_BYTES + 1);
    while (attempt->warnings < KUBE_WARNINGS_AN_ANSWER && kube_warning_next(&at, end, &text)) {
        cleanup_free char *tidy =
            kube_tidy(xstrndup(buffer_terminate(&text), text.length), KUBE_WARNING_BYTES);
        attempt->warnings++;
        pthread_mutex_lock(&client->lock);
        bool fresh = remember(client->warned, tidy);
        pthread_mutex_unlock(&client->lock);
        if (fresh)
            client->warning(client->warning_context, call->what, tidy);
    }
}
