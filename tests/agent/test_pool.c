#include <criterion/criterion.h>
#include <string.h>

#include "agent/pool.h"
#include "model/random.h"

enum { CAPACITY = 500, STRIDE = 24 };

Test(pool, indices_are_distinct_and_memory_is_reused)
{
    struct pool pool;
    struct random_stream r;
    bool taken[CAPACITY] = {false};
    uint32_t held[CAPACITY], count = 0, peak = 0, last_given = POOL_NONE;
    random_seed(&r, 3, 0);
    cr_assert_eq(pool_init(&pool, STRIDE, CAPACITY, NULL), 0);
    for (unsigned step = 0; step < 50000; step++) {
        bool grow = random_range(&r, 0, 9) < (step / 3000 % 2 ? 3u : 7u);
        if (grow) {
            uint32_t index = pool_take(&pool);
            if (count == CAPACITY) {
                cr_assert_eq(index, POOL_NONE);
                continue;
            }
            cr_assert_lt(index, CAPACITY);
            cr_assert_not(taken[index], "index %u was handed out twice", index);
            if (last_given != POOL_NONE)
                cr_assert_eq(index, last_given, "the last one given back comes first");
            last_given = POOL_NONE;
            taken[index] = true;
            memset(pool_at(&pool, index), (int)(index & 0xff), STRIDE);
            held[count++] = index;
        } else if (count) {
            uint32_t at = (uint32_t)random_range(&r, 0, count - 1), index = held[at];
            const unsigned char *object = pool_at(&pool, index);
            for (unsigned i = 0; i < STRIDE; i++)
                cr_assert_eq(object[i], index & 0xff, "object %u was written to", index);
            pool_give(&pool, index);
            last_given = index;
            taken[index] = false;
            held[at] = held[--count];
        }
        peak = count > peak ? count : peak;
        cr_assert_eq(pool.used, count);
        cr_assert_eq(pool.touched, peak, "the pool touches what the peak needed");
    }
    cr_assert_eq(peak, CAPACITY, "the test never filled the pool");
    pool_destroy(&pool);
    pool_destroy(&pool); /* harmless */
}
