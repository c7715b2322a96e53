#include "ctl/cluster/dig.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

static json_t *follow(const json_t *object, va_list names)
{
    const json_t *at = object;
    for (const char *name; at && (name = va_arg(names, const char *));)
        at = json_object_get(at, name);
    return (json_t *)(uintptr_t)at;
}

json_t *dig(const json_t *object, ...)
{
    va_list names;
    va_start(names, object);
    json_t *found = follow(object, names);
    va_end(names);
    return found;
}

const char *dig_text(const json_t *object, ...)
{
    va_list names;
    va_start(names, object);
    const char *text = json_string_value(follow(object, names));
    va_end(names);
    return text ? text : "";
}

long long dig_number(const json_t *object, ...)
{
    va_list names;
    va_start(names, object);
    long long number = json_integer_value(follow(object, names));
    va_end(names);
    return number;
}

const json_t *dig_condition(const json_t *object, const char *type)
{
    size_t i;
    json_t *condition;
    json_array_foreach(dig(object, "status", "conditions", NULL), i, condition)
    {
        if (strcmp(dig_text(condition, "type", NULL), type) == 0)
            return condition;
    }
    return NULL;
}

bool dig_is_true(const json_t *object, const char *type)
{
    return strcmp(dig_text(dig_condition(object, type), "status", NULL), "True") == 0;
}

const char *dig_label(const json_t *object, const char *name)
{
    return dig_text(object, "metadata", "labels", name, NULL);
}
