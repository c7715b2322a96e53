/* Texts of events, and Event objects. */
#include "kube/event_text.h"

#include <ctype.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/text.h"
#include "kube/time.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
static const char ellipsis[] = "...";

/* Appends at most max bytes of text as UTF-8 in whole characters, with "..." at the end where it is
 * cut. */
static void append_clean(struct buffer *out, const char *text, size_t max)
{
    size_t begin = out->length, left = strlen(text), room = 0;
    while (left > 0) {
        uint32_t code;
        size_t length = text_utf8_decode(text, left, &code);
        const char *character = length ? text : replacement;
        size_t bytes = length ? length : sizeof(replacement) - 1;
        size_t used = out->length - begin;
        if (used + bytes > max) {
            /* Back to the last end of a character that leaves room for the ellipsis. */
            out->length = begin + room;
            buffer_append(out, ellipsis, sizeof(ellipsis) - 1);
            return;
        }
        buffer_append(out, character, bytes);
        if (used + bytes + sizeof(ellipsis) - 1 <= max)
            room = used + bytes;
        text += length ? length : 1;
        left -= length ? length : 1;
    }
}

static size_t field_max(enum event_field field)
{
    if (field == EVENT_NOTE)
        return EVENT_NOTE_MAX;
    return field == EVENT_REASON || field == EVENT_ACTION ? EVENT_WORD_MAX : EVENT_FIELD_MAX;
}

struct event_occurrence *event_occurrence_new(const char *const fields[EVENT_FIELDS],
                                              uint64_t at_ns, uint64_t unix_ns)
{
    cleanup_buffer struct buffer texts = BUFFER_INIT(SIZE_MAX);
    size_t offsets[EVENT_FIELDS + 1];
    for (int i = 0; i < EVENT_FIELDS; i++) {
        offsets[i] = texts.length;
        append_clean(&texts, fields[i] ? fields[i] : "", field_max((enum event_field)i));
        buffer_append(&texts, "", 1);
    }
    struct event_occurrence *occurrence = xmalloc(sizeof(*occurrence) + texts.length);
    *occurrence = (struct event_occurrence){.at_ns = at_ns,
                                            .unix_ns = unix_ns,
                                            .object_length = offsets[EVENT_TYPE],
                                            .series_length = offsets[EVENT_RESOURCE_VERSION]};
    memcpy(occurrence->block, texts.data, texts.length);
    for (int i = 0; i < EVENT_FIELDS; i++)
        occurrence->fields[i] = occurrence->block + offsets[i];
    return occurrence;
}

struct kube_lru_key event_occurrence_key(const struct event_occurrence *occurrence)
{
    return kube_lru_key(occurrence->block, occurrence->series_length);
}

struct kube_lru_key event_occurrence_object(const struct event_occurrence *occurrence)
{
    return kube_lru_key(occurrence->block, occurrence->object_length);
}

const char *event_occurrence_namespace(const struct event_occurrence *occurrence)
{
    const char *namespace = occurrence->fields[EVENT_NAMESPACE];
    return namespace[0] ? namespace : "default";
}

/* Whether text is a DNS subdomain (RFC 1123 as Kubernetes reads it: labels of lower-case letters,
 * digits and inner dashes), its length aside. */
static bool is_subdomain(const char *text)
{
    bool begin = true; /* of a label */
    char last = '.';
    for (; *text; text++) {
        bool word = islower((unsigned char)*text) || isdigit((unsigned char)*text);
        if (!word && (begin || (*text != '-' && *text != '.')))
            return false;
        if (*text == '.' && last == '-')
            return false;
        begin = *text == '.';
        last = *text;
    }
    return last != '.' && last != '-';
}

char *event_name(const char *object_name, uint64_t number)
{
    size_t most = EVENT_NAME_MAX - 1 - 16; /* a dot, and 64 bits in hexadecimal */
    size_t length = strlen(object_name);
    if (!is_subdomain(object_name))
        return xasprintf("event.%llx", (unsigned long long)number);
    if (length > most)
        length = most;
    while (object_name[length - 1] == '-' || object_name[length - 1] == '.')
        length--;
    return xasprintf("%.*s.%llx", (int)length, object_name, (unsigned long long)number);
}

char *event_clean(const char *text, size_t max)
{
    cleanup_buffer struct buffer clean = BUFFER_INIT(SIZE_MAX);
    append_clean(&clean, text, max);
    return xstrdup(buffer_terminate(&clean));
}

static json_t *micro_time(uint64_t unix_ns)
{
    char text[KUBE_TIME_TEXT_MAX];
    return json_string(kube_micro_time_format(unix_ns, text));
}

static void set_unless_empty(json_t *object, const char *key, const char *text)
{
    if (text[0])
        json_object_set_new(object, key, json_string(text));
}

json_t *event_body(const struct event_occurrence *occurrence, const char *name,
                   const char *controller, const char *instance)
{
    const char *const *fields = occurrence->fields;
    json_t *regarding = json_object();
    json_t *body =
        json_pack("{s:s, s:s, s:{s:s, s:s}}", "apiVersion", "events.k8s.io/v1", "kind", "Event",
                  "metadata", "namespace", event_occurrence_namespace(occurrence), "name", name);
    set_unless_empty(regarding, "apiVersion", fields[EVENT_API_VERSION]);
    set_unless_empty(regarding, "kind", fields[EVENT_KIND]);
    set_unless_empty(regarding, "namespace", fields[EVENT_NAMESPACE]);
    set_unless_empty(regarding, "name", fields[EVENT_NAME]);
    set_unless_empty(regarding, "uid", fields[EVENT_UID]);
    set_unless_empty(regarding, "resourceVersion", fields[EVENT_RESOURCE_VERSION]);
    json_object_set_new(body, "eventTime", micro_time(occurrence->unix_ns));
    json_object_set_new(body, "regarding", regarding);
    json_object_set_new(body, "type", json_string(fields[EVENT_TYPE]));
    json_object_set_new(body, "reason", json_string(fields[EVENT_REASON]));
    json_object_set_new(body, "action", json_string(fields[EVENT_ACTION]));
    json_object_set_new(body, "note", json_string(fields[EVENT_NOTE]));
    json_object_set_new(body, "reportingController", json_string(controller));
    json_object_set_new(body, "reportingInstance", json_string(instance));
    return body;
}

json_t *event_series_body(unsigned count, uint64_t unix_ns)
{
    json_t *body = json_object();
    json_object_set_new(body, "count", json_integer(count));
    json_object_set_new(body, "lastObservedTime", micro_time(unix_ns));
    return body;
}
