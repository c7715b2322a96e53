#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/stress.h"

enum { WRITE_BYTES = 1 << 20 /* between two looks at stop */ };

static bool stopped(const bool *stop)
{
    return __atomic_load_n(stop, __ATOMIC_RELAXED);
}

/* volatile: each of the reads and writes is really made. */
static uint32_t visit(volatile unsigned char *memory, uint32_t blocks, uint32_t operations,
                      const bool *stop)
{
    uint32_t check = 0, block = 0;
    for (uint32_t i = 0; i < operations && !((i & 0xffff) == 0xffff && stopped(stop)); i++) {
        volatile unsigned char *byte = memory + (size_t)block * STRESS_BLOCK_BYTES;
        check = check * 31 + *byte;
        *byte = (unsigned char)i;
        if (++block == blocks)
            block = 0;
    }
    return check;
}

int stress_memory(uint32_t blocks, uint32_t operations, const bool *stop, uint32_t *ret_check)
{
    size_t size = (size_t)blocks * STRESS_BLOCK_BYTES;
    /* Of its own, so that unmapping gives it back at once; the heap keeps what is freed. */
    unsigned char *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    madvise(memory, size, MADV_HUGEPAGE); /* where there are some: fewer faults */
    for (size_t at = 0; at < size && !stopped(stop); at += WRITE_BYTES) {
        size_t length = size - at < WRITE_BYTES ? size - at : WRITE_BYTES;
        /* One call for all of its pages is cheaper than a fault each; where the kernel does not
         * know it, these come. */
        madvise(memory + at, length, MADV_POPULATE_WRITE);
        memset(memory + at, 'A', length);
    }
    *ret_check = visit(memory, blocks, operations, stop);
    munmap(memory, size);
    return 0;
}
