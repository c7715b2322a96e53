#include "kube/hash.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

static uint64_t process_key[2];
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;

static void draw_process_key(void)
{
    /* Without entropy (a very early boot) the clock is better than a constant. */
    if (getrandom(process_key, sizeof(process_key), GRND_NONBLOCK) != sizeof(process_key)) {
        process_key[0] = clock_monotonic_ns() * UINT64_C(0x9E3779B97F4A7C15);
        process_key[1] = (uint64_t)(uintptr_t)&process_key;
    }
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

uint64_t kube_hash(const void *data, size_t length, uint64_t seed)
{
    pthread_once(&process_key_once, draw_process_key);
    const uint64_t key[2] = {process_key[0] ^ seed, process_key[1]};
    uint64_t v[4] = {key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
                     key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};
    const char *bytes = data;
    uint64_t word;
    size_t left = length;
    for (; left >= sizeof(word); left -= sizeof(word), bytes += sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    memcpy(&word, bytes, left);
    word |= (uint64_t)length << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t kube_hash_text(const char *text, uint64_t seed)
{
    return kube_hash(text, strlen(text), seed);
}

uint64_t kube_hash_random(void)
{
    static atomic_ullong calls;
    uint64_t call = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    return kube_hash(&call, sizeof(call), 0);
}
