#include "agent/targets.h"

#include <pthread.h>
#include <string.h>

#include "spec/pattern.h"

enum { SLOTS = 2 * TARGETS_MAX }; /* of the hash table, a power of two */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char names[TARGETS_MAX][SERVICE_NAME_MAX + 1]; /* under lock until their number is given */
static uint16_t slots[SLOTS];                         /* under lock; a number plus one, 0: free */
static uint16_t count;                                /* under lock */

/* FNV-1a (Fowler, Noll and Vo). */
static uint32_t hash(const char *name, size_t length)
{
    uint32_t value = 2166136261u;
    for (size_t i = 0; i < length; i++)
        value = (value ^ (unsigned char)name[i]) * 16777619u;
    return value;
}

static uint16_t add(uint16_t *slot, const char *name, size_t length)
{
    if (count == TARGETS_MAX)
        return TARGET_NONE;
    memcpy(names[count], name, length);
    names[count][length] = '\0';
    if (!pattern_service_name.valid(names[count]))
        return TARGET_NONE;
    *slot = ++count;
    return (uint16_t)(count - 1);
}

uint16_t target_number(const char *name, size_t length)
{
    if (length == 0 || length > SERVICE_NAME_MAX || memchr(name, 0, length))
        return TARGET_NONE;
    pthread_mutex_lock(&lock);
    uint32_t at = hash(name, length) % SLOTS;
    while (slots[at] && (strncmp(names[slots[at] - 1], name, length) != 0 ||
                         names[slots[at] - 1][length] != '\0'))
        at = (at + 1) % SLOTS;
    uint16_t number = slots[at] ? (uint16_t)(slots[at] - 1) : add(&slots[at], name, length);
    pthread_mutex_unlock(&lock);
    return number;
}

const char *target_name(uint16_t number)
{
    return names[number];
}
