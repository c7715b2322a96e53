#include "agent/fault.h"

#include <string.h>
#include <strings.h>

#include "model/random.h"

/* Uniform in [0, 100): the same for the same three numbers. */
static double percentile(uint64_t seed, uint64_t number, unsigned which)
{
    uint64_t state = seed;
    state = random_splitmix64(&state) ^ number;
    state = random_splitmix64(&state) ^ which;
    return (double)(random_splitmix64(&state) >> 11) * (100.0 / 9007199254740992.0);
}

static bool same_name(const char *text, size_t length, const char *name)
{
    return strlen(name) == length && strncasecmp(text, name, length) == 0;
}

/* A line of headers without its end, as http.c let it pass. */
static bool line_matches(const char *line, size_t length, const char *name, const char *value)
{
    const char *colon = memchr(line, ':', length);
    if (!colon || !same_name(line, (size_t)(colon - line), name))
        return false;
    const char *begin = colon + 1, *end = line + length;
    while (begin < end && (*begin == ' ' || *begin == '\t'))
        begin++;
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t bytes = (size_t)(end - begin);
    return !value || (strlen(value) == bytes && memcmp(begin, value, bytes) == 0);
}

static bool in_lines(const char *at, size_t length, const char *name, const char *value)
{
    for (const char *end = at + length, *newline; at < end; at = newline + 1) {
        newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            newline = end;
        size_t line = (size_t)(newline - at);
        if (line > 0 && at[line - 1] == '\r')
            line--;
        if (line_matches(at, line, name, value))
            return true;
    }
    return false;
}

static bool key_matches(const struct json_text *key, const char *name)
{
    char plain[6 * POLICY_HEADER_NAME_MAX];
    if (!key->escaped)
        return same_name(key->data, key->length, name);
    return key->length <= sizeof plain && same_name(plain, json_unescape(key, plain), name);
}

static bool in_object(const char *text, size_t length, const char *name, const char *value)
{
    struct json_cursor c = json_cursor(text, length);
    int more = json_object_begin(&c);
    for (; more > 0; more = json_object_next(&c)) {
        struct json_text key, found;
        if (json_key(&c, &key) < 0 || json_read_string(&c, &found) < 0)
            return false;
        if (key_matches(&key, name) && (!value || json_text_equals(&found, value, strlen(value))))
            return true;
    }
    return false;
}

bool fault_header(const struct request_draft *draft, const char *name, const char *value)
{
    return draft->head_json ? in_object(draft->head, draft->head_length, name, value)
                            : in_lines(draft->head, draft->head_length, name, value);
}

struct fault_outcome fault_draw(const struct policy_settings *settings, uint64_t seed,
                                uint64_t number, const struct request_draft *draft)
{
    struct fault_outcome outcome = {0};
    for (size_t i = 0; i < settings->fault_count && !outcome.abort_status; i++) {
        const struct policy_fault *fault = &settings->faults[i];
        if (fault->header && !fault_header(draft, fault->header, fault->value))
            continue;
        unsigned which = 2 * (unsigned)i;
        if (fault->delay_percent > 0 && percentile(seed, number, which) < fault->delay_percent)
            outcome.delay_ns += fault->delay_ns;
        if (fault->abort_percent > 0 && percentile(seed, number, which + 1) < fault->abort_percent)
            outcome.abort_status = fault->abort_status;
    }
    return outcome;
}
