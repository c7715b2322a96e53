/* Functions that behave, and that do not, for the tests of agent/plugin.c and of whole programs. */
#include <dpumesh/plugin.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int put(struct dpumesh_call *call, const char *name, const char *text)
{
    char line[4096];
    int length = snprintf(line, sizeof line, "%s=%s\n", name, text);
    return call->answer(call, line, (size_t)length);
}

/* Says all that it was told. */
static int echo(struct dpumesh_call *call)
{
    char numbers[64];
    snprintf(numbers, sizeof numbers, "%zu %zu", call->body_length, call->answer_max);
    int result = put(call, "service", call->service);
    result |= put(call, "method", call->method);
    result |= put(call, "path", call->path);
    result |= put(call, "query", call->query);
    result |= put(call, "body", call->body);
    result |= put(call, "params", call->params);
    return result | put(call, "numbers", numbers);
}

static int nothing(struct dpumesh_call *call)
{
    (void)call;
    return 0;
}

static int fail(struct dpumesh_call *call)
{
    put(call, "half", "done");
    return -EPERM;
}

static int not_utf8(struct dpumesh_call *call)
{
    return call->answer(call, "a\xc3", 2);
}

/* As much as it may, in pieces; then says whether more was refused. */
static int fill(struct dpumesh_call *call)
{
    char piece[1000];
    memset(piece, '"', sizeof piece);
    size_t written = 0;
    while (call->answer(call, piece, sizeof piece) == 0)
        written += sizeof piece;
    while (call->answer(call, piece, 1) == 0)
        written++;
    return written == call->answer_max ? 0 : -EIO;
}

static int take_and_fail(struct dpumesh_call *call)
{
    char piece[1000] = {0};
    int result = 0;
    while (result == 0)
        result = call->answer(call, piece, sizeof piece);
    return result;
}

static void nap(void)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    nanosleep(&moment, NULL);
}

/* Until nobody waits any more. */
static int patient(struct dpumesh_call *call)
{
    while (!call->stopped(call))
        nap();
    return 0;
}

static unsigned long milliseconds(const char *params)
{
    const char *colon = strchr(params, ':');
    return colon ? strtoul(colon + 1, NULL, 10) : 0;
}

/* {"ms": 500}: that long, whatever anybody says. */
static int stubborn(struct dpumesh_call *call)
{
    for (unsigned long i = milliseconds(call->params); i > 0; i--)
        nap();
    return put(call, "slept", "well");
}

/* {"file": "..."}: appends to it what happens. */
static int note_open(const char *params, void **ret_state, char *sentence, size_t size)
{
    static const char before[] = "{\"file\":\"";
    if (strncmp(params, before, sizeof before - 1) != 0) {
        snprintf(sentence, size, "params.file: missing");
        return -EINVAL;
    }
    char *path = strdup(params + sizeof before - 1);
    path[strlen(path) - 2] = '\0';
    *ret_state = path;
    return 0;
}

static void note(const char *path, const char *what)
{
    FILE *file = fopen(path, "a");
    if (!file)
        abort();
    fprintf(file, "%s\n", what);
    fclose(file);
}

static int note_run(struct dpumesh_call *call)
{
    note(call->state, "run");
    return 0;
}

static void note_close(void *state)
{
    note(state, "close");
    free(state);
}

/* The same, and notes the open(), which lasts until there is a file of that name and ".go". */
static int gate_open(const char *params, void **ret_state, char *sentence, size_t size)
{
    int result = note_open(params, ret_state, sentence, size);
    if (result < 0)
        return result;
    char go[4096];
    snprintf(go, sizeof go, "%s.go", (const char *)*ret_state);
    note(*ret_state, "open");
    while (access(go, F_OK) < 0)
        nap();
    return 0;
}

static const struct dpumesh_function functions[] = {
    {.name = "echo", .run = echo},
    {.name = "nothing", .run = nothing},
    {.name = "fail", .run = fail},
    {.name = "not_utf8", .run = not_utf8},
    {.name = "fill", .run = fill},
    {.name = "take_and_fail", .run = take_and_fail},
    {.name = "patient", .run = patient},
    {.name = "stubborn", .run = stubborn},
    {.name = "note", .run = note_run, .open = note_open, .close = note_close},
    {.name = "gate", .run = note_run, .open = gate_open, .close = note_close},
    {.name = NULL},
};
DPUMESH_PLUGIN(functions);
