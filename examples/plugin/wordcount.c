/* A plugin for internalService.plugin: counts the words of a request's body. docs/plugins.md walks
 * through it.
 *
 *     cc -std=c17 -Wall -shared -fPIC -o wordcount.so wordcount.c
 */
#include <ctype.h>
#include <dpumesh/plugin.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What open() makes of params: {"least": 3} counts words of at least three bytes. */
struct wordcount {
    size_t least;
};

/* Finds "least" in flat JSON. A plugin with more to read links a JSON library. */
static int wordcount_open(const char *params, void **ret_state, char *sentence, size_t size)
{
    const char *key = strstr(params, "\"least\":");
    long least = key ? strtol(key + strlen("\"least\":"), NULL, 10) : 1;
    if (least < 1) {
        snprintf(sentence, size, "least: must be a whole number of at least 1");
        return -EINVAL;
    }
    struct wordcount *state = malloc(sizeof *state);
    if (!state)
        return -ENOMEM;
    state->least = (size_t)least;
    *ret_state = state;
    return 0;
}

static int wordcount_run(struct dpumesh_call *call)
{
    const struct wordcount *state = call->state;
    size_t words = 0, length = 0;
    for (size_t i = 0; i <= call->body_length; i++) {
        if (i < call->body_length && !isspace((unsigned char)call->body[i])) {
            length++;
            continue;
        }
        words += length > 0 && length >= state->least;
        length = 0;
        /* Nobody waits any more: there is no use in going on. */
        if (i % 65536 == 0 && call->stopped(call))
            return -ETIMEDOUT;
    }
    char text[32];
    int written = snprintf(text, sizeof text, "%zu\n", words);
    return call->answer(call, text, (size_t)written);
}

static const struct dpumesh_function functions[] = {
    {.name = "wordcount", .run = wordcount_run, .open = wordcount_open, .close = free},
    {.name = NULL},
};
DPUMESH_PLUGIN(functions);
