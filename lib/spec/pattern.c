#include "spec/pattern.h"

#include <ctype.h>
#include <string.h>

/* Names and values of labels, names of objects: k8s.io/apimachinery, util/validation. */

static bool is_name_part(const char *text, size_t length, size_t max)
{
    if (length == 0 || length > max || !isalnum((unsigned char)text[0]) ||
        !isalnum((unsigned char)text[length - 1]))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("-_.", text[i]))
            return false;
    return true;
}

static bool label_name_valid(const char *text)
{
    const char *slash = strchr(text, '/');
    const char *name = slash ? slash + 1 : text;

    if (slash && !is_name_part(text, (size_t)(slash - text), 253))
        return false;
    return is_name_part(name, strlen(name), 63);
}

static bool label_value_valid(const char *text)
{
    return !*text || is_name_part(text, strlen(text), 63);
}

/* A DNS label (RFC 1123) of length bytes. */
static bool is_dns_label(const char *text, size_t length)
{
    if (!is_name_part(text, length, 63))
        return false;
    for (size_t i = 0; i < length; i++)
        if (isupper((unsigned char)text[i]) || text[i] == '.' || text[i] == '_')
            return false;
    return true;
}

static bool namespace_valid(const char *text)
{
    return is_dns_label(text, strlen(text));
}

static bool object_name_valid(const char *text)
{
    if (strlen(text) > 253)
        return false;
    for (;; text++) {
        size_t length = strcspn(text, ".");
        if (!is_dns_label(text, length))
            return false;
        text += length;
        if (!*text)
            return true;
    }
}

/* Is a file's name in the pod: "." and what begins with ".." is the kubelet's. */
static bool data_key_valid(const char *text)
{
    size_t length = strlen(text);

    if (length == 0 || length > 253 || strcmp(text, ".") == 0 || strncmp(text, "..", 2) == 0)
        return false;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
            return false;
    return true;
}

static bool image_valid(const char *text)
{
    return isalnum((unsigned char)text[0]) &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./:@_-") ==
               strlen(text);
}

static bool service_name_valid(const char *text)
{
    size_t length = strlen(text);

    if (length == 0 || !islower((unsigned char)text[0]) || text[length - 1] == '-')
        return false;
    for (const char *c = text; *c; c++)
        if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-')
            return false;
    return true;
}

static bool path_valid(const char *text)
{
    if (text[0] != '/')
        return false;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("/._~!$&'()*+,;=:@%-", *c))
            return false;
    return true;
}

const struct field_pattern pattern_label_name = {
    .valid = label_name_valid,
    .expression = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?/)?"
                  "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
    .says = "a label's name (letters, digits, -, _ and ., at most 63, and an optional prefix/)",
};
const struct field_pattern pattern_label_value = {
    .valid = label_value_valid,
    .expression = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
    .max = 63,
    .says = "a label's value (letters, digits, -, _ and ., at most 63)",
};
const struct field_pattern pattern_namespace = {
    .valid = namespace_valid,
    .expression = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    .max = 63,
    .says = "a namespace (lower-case letters, digits and -), such as mubench-dpu",
};
const struct field_pattern pattern_object_name = {
    .valid = object_name_valid,
    .expression = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$",
    .max = 253,
    .says = "an object's name (lower-case letters, digits, - and .), such as my-name",
};
const struct field_pattern pattern_data_key = {
    .valid = data_key_valid,
    .expression = "^([-A-Za-z0-9_]|[.][-A-Za-z0-9_])[-A-Za-z0-9_.]*$",
    .max = 253,
    .says = "a key of its data (letters, digits, -, _ and .), such as ca.crt",
};
const struct field_pattern pattern_image = {
    .valid = image_valid,
    .expression = "^[a-zA-Z0-9][a-zA-Z0-9./:@_-]*$",
    .says = "an image's name, such as registry.example/mubench-dpu-agent:1.0",
};
const struct field_pattern pattern_service_name = {
    .valid = service_name_valid,
    .expression = "^[a-z]([-a-z0-9]*[a-z0-9])?$",
    .max = SERVICE_NAME_MAX,
    .says =
        "a service name (lower-case letters, digits and -, beginning with a letter), such as s0",
};
const struct field_pattern pattern_path = {
    .valid = path_valid,
    .expression = "^/[A-Za-z0-9/._~!$&'()*+,;=:@%-]*$",
    .says = "a path that begins with / and has no query and no spaces, such as /api/v1",
};
