#include "agent/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int ring_init(struct ring *ring, uint32_t capacity, struct error **err)
{
    if (capacity < 2 || capacity > 65536 || (capacity & (capacity - 1)))
        return error_make(err, EINVAL, "queue of %u entries; give a power of two from 2 to 65536",
                          capacity);
    memset(ring, 0, sizeof *ring);
    /* Mapped, not allocated: slots that were never used cost no memory. */
    void *slots = mmap(NULL, capacity * sizeof *ring->slots, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slots == MAP_FAILED)
        return error_make(err, ENOMEM, "can't map a queue of %u entries: %s", capacity,
                          strerror(errno));
    ring->slots = slots;
    ring->mask = capacity - 1;
    return 0;
}

void ring_destroy(struct ring *ring)
{
    if (ring->slots)
        munmap(ring->slots, ((size_t)ring->mask + 1) * sizeof *ring->slots);
    memset(ring, 0, sizeof *ring);
}
