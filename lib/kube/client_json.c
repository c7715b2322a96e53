#include "kube/client_private.h"

/* jansson has no whole number beyond int64_t, JSON has: one such number in one object must not make
 * the list that holds it unreadable. Such an object's whole numbers are then reals, all of them. */
json_t *kube_json_load(const char *text, size_t length, json_error_t *ret_where)
{
    json_t *value = json_loadb(text, length, JSON_ALLOW_NUL, ret_where);

    if (!value && json_error_code(ret_where) == json_error_numeric_overflow)
        value = json_loadb(text, length, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, ret_where);
    return value;
}
