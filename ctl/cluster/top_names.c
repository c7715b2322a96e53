#include "ctl/cluster/top_names.h"

#include <errno.h>
#include <string.h>

/* "dpu/s0" as kubectl writes it, or "s0". */
static const char *bare(const char *name)
{
    return strncmp(name, "dpu/", 4) == 0 ? name + 4 : name;
}

bool top_is_named(char *const *names, size_t count, const char *service)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(bare(names[i]), service) == 0)
            return true;
    return count == 0;
}

int top_all_found(const struct top_round *round, char *const *names, size_t count,
                  struct error **err)
{
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < round->count && strcmp(bare(names[i]), round->services[j].name) != 0)
            j++;
        if (j == round->count)
            return error_make(err, ENOENT, "there is no DpuService %s", bare(names[i]));
    }
    return 0;
}
