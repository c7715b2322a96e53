/*
 * What an API server, or who stands in for it, sends: a watch's stream, a list, a Status. The first
 * byte's lowest bits choose which, and whether managed fields are cut out; its upper bits how long
 * the pieces are. Whatever the bytes, reading them ends and touches no foreign memory, and:
 *   - cut into pieces, the same values come as from the whole;
 *   - what jansson reads as one object comes as this one value, and means the same, but for
 *     managed fields where they are cut out;
 *   - a refusal has a number and a sentence that a terminal can show.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "kube/client_private.h"
#include "kube/json_split.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VALUE_BYTES = 1 << 12, ALL_BYTES = 1 << 22 };

/* All values, a NUL after each, and how it ended. */
struct outcome {
    struct buffer values, rest;
    size_t count;
    int ret;
};

static int take(void *context, const char *text, size_t length)
{
    struct outcome *outcome = context;
    REQUIRE(length <= VALUE_BYTES && length >= 2 && text[0] == '{' && text[length] == '\0');
    buffer_append(&outcome->values, text, length + 1);
    outcome->count++;
    return 0;
}

static void split(const struct json_split_options *how, const char *text, size_t length,
                  size_t piece, struct outcome *outcome)
{
    struct json_split_options options = *how;
    struct json_split splitter;

    *outcome = (struct outcome){.values = BUFFER_INIT(ALL_BYTES), .rest = BUFFER_INIT(ALL_BYTES)};
    options.value = take;
    options.value_bytes = VALUE_BYTES;
    options.context = outcome;
    json_split_init(&splitter, &options);
    for (size_t at = 0; at < length && outcome->ret == 0; at += piece) {
        /* A copy of its own, so that a read past the end is seen. */
        size_t now = length - at < piece ? length - at : piece;
        char *copy = malloc(now);
        memcpy(copy, text + at, now);
        outcome->ret = json_split_feed(&splitter, copy, now);
        free(copy);
    }
    int ended = json_split_end(&splitter);
    REQUIRE(outcome->ret == 0 || ended == outcome->ret);
    outcome->ret = ended;
    size_t rest_length;
    const char *rest = json_split_rest(&splitter, &rest_length);
    buffer_append(&outcome->rest, rest, rest_length);
    json_split_free(&splitter);
}

static void outcome_free(struct outcome *outcome)
{
    buffer_free(&outcome->values);
    buffer_free(&outcome->rest);
}

static bool same(const struct buffer *a, const struct buffer *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

/* Empties managedFields where the splitter cuts them out. */
static void strip(json_t *object)
{
    json_t *metadata = json_object_get(object, "metadata");
    if (json_object_get(metadata, "managedFields"))
        json_object_set_new(metadata, "managedFields", json_array());
}

/* One JSON object as jansson sees it, against the splitter's one value. */
static void check_event(const char *text, size_t length, bool stripped,
                        const struct outcome *outcome)
{
    json_auto_t *whole = json_loadb(text, length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(whole) || outcome->ret == -EMSGSIZE)
        return;
    REQUIRE(outcome->ret == 0 && outcome->count == 1);
    json_auto_t *value =
        json_loadb(outcome->values.data, outcome->values.length - 1, JSON_ALLOW_NUL, NULL);
    if (stripped)
        strip(json_object_get(whole, "object"));
    /* A key that is written with escapes is the same key to jansson, and not to the splitter. */
    REQUIRE(value && (json_equal(whole, value) || memchr(text, '\\', length)));
}

static void check_list(const char *text, size_t length, bool stripped,
                       const struct outcome *outcome)
{
    json_auto_t *whole = json_loadb(text, length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    json_t *items = json_object_get(whole, "items"), *item;
    const char *at = outcome->values.data;
    size_t i;

    if (!json_is_object(whole) || outcome->ret < 0 || memchr(text, '\\', length))
        return;
    json_auto_t *rest = json_loadb(outcome->rest.data, outcome->rest.length, JSON_ALLOW_NUL, NULL);
    REQUIRE(outcome->count == json_array_size(items));
    json_array_foreach(items, i, item)
    {
        json_auto_t *value = json_loadb(at, strlen(at), 0, NULL);
        if (stripped)
            strip(item);
        REQUIRE(value && json_equal(item, value));
        at += strlen(at) + 1;
    }
    json_array_clear(items);
    REQUIRE(rest && json_equal(whole, rest));
}

static void check_split(uint8_t how, const char *text, size_t length)
{
    struct json_split_options options = {.items = how & 1, .strip_managed_fields = how & 2};
    struct outcome whole, pieces;

    split(&options, text, length, length ? length : 1, &whole);
    split(&options, text, length, (size_t)(how >> 3) + 1, &pieces);
    REQUIRE(whole.ret == pieces.ret && whole.count == pieces.count);
    REQUIRE(same(&whole.values, &pieces.values));
    if (whole.ret == 0)
        REQUIRE(same(&whole.rest, &pieces.rest));
    if (options.items)
        check_list(text, length, options.strip_managed_fields, &whole);
    else
        check_event(text, length, options.strip_managed_fields, &whole);
    outcome_free(&whole);
    outcome_free(&pieces);
}

static void check_status(uint8_t how, const char *text, size_t length)
{
    static const long statuses[] = {200, 201, 302, 400, 401, 403, 404, 409,
                                    410, 418, 422, 429, 500, 503, 504, 0};
    struct kube_call call = {.what = "GET v1 pods a/b"};
    struct kube_attempt attempt = {.call = &call, .body = BUFFER_INIT(ALL_BYTES)};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    attempt.status = statuses[how >> 4];
    buffer_append(&attempt.body, text, length);
    int ret = kube_attempt_result(&attempt, &result);
    REQUIRE((ret < 0) == (result.message != NULL));
    if (ret < 0) {
        size_t size = strlen(result.message);
        REQUIRE(size <= KUBE_MESSAGE_MAX && text_utf8_valid(result.message, size));
        for (size_t i = 0; i < size; i++)
            REQUIRE((unsigned char)result.message[i] >= 0x20 && result.message[i] != 0x7f);
    }
    kube_attempt_free(&attempt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    cleanup_free char *text = xmalloc(size);
    memcpy(text, data + 1, size - 1);
    if (data[0] & 4)
        check_status(data[0], text, size - 1);
    else
        check_split(data[0], text, size - 1);
    return 0;
}
