/* Of an API that is yet to come: all but the number may be otherwise. */
#include <stdint.h>

extern const struct {
    uint32_t api;
    uint32_t other[8];
} dpumesh_plugin;
const __typeof__(dpumesh_plugin) dpumesh_plugin = {.api = 999};
