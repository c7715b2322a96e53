#include "agent/pool.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int pool_init(struct pool *pool, size_t stride, uint32_t capacity, struct error **err)
{
    void *base = mmap(NULL, stride * capacity, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return error_make(err, ENOMEM, "can't reserve %u objects of %zu bytes: %s", capacity,
                          stride, strerror(errno));
    madvise(base, stride * capacity, MADV_NOHUGEPAGE);
    *pool = (struct pool){.base = base, .stride = stride, .capacity = capacity, .free = POOL_NONE};
    return 0;
}

void pool_destroy(struct pool *pool)
{
    if (pool->base)
        munmap(pool->base, pool->stride * pool->capacity);
    memset(pool, 0, sizeof *pool);
}
