#include "ctl/local/loop.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"

struct record {
    char text[16];
    size_t length;
    struct loop *loop;
};

struct mark {
    struct record *record;
    char letter;
    struct loop_timer timer;
};

static void on_timer(void *context)
{
    struct mark *mark = context;
    mark->record->text[mark->record->length++] = mark->letter;
    if (mark->letter == 'z')
        loop_stop(mark->record->loop);
}

Test(loop, runs_timers_in_order_and_takes_them_back)
{
    cleanup_loop struct loop *loop = NULL;
    cr_assert_eq(loop_new(&loop, NULL), 0);
    struct record record = {.loop = loop};
    struct mark marks[] = {{&record, 'c', {0}}, {&record, 'a', {0}}, {&record, 'x', {0}},
                           {&record, 'b', {0}}, {&record, 'z', {0}}, {&record, 'm', {0}}};
    uint64_t now_ns = clock_monotonic_ns();
    static const uint64_t after_ms[] = {6, 2, 3, 4, 12, 1};
    for (size_t i = 0; i < 6; i++)
        loop_timer_set(loop, &marks[i].timer, now_ns + after_ms[i] * NS_PER_MS, on_timer,
                       &marks[i]);
    loop_timer_stop(loop, &marks[2].timer);
    loop_timer_stop(loop, &marks[2].timer);
    loop_timer_set(loop, &marks[5].timer, now_ns + 8 * NS_PER_MS, on_timer, &marks[5]); /* moved */
    cr_assert_eq(loop_run(loop, NULL), 0);
    cr_expect_eq(record.length, 5);
    cr_expect_eq(strncmp(record.text, "abcmz", 5), 0, "%.5s", record.text);
    cr_expect_geq(clock_monotonic_ns() - now_ns, 12 * NS_PER_MS);
}

struct pair {
    struct loop *loop;
    struct loop_source source, other;
    unsigned calls;
};

static void on_first(void *context, uint32_t events)
{
    struct pair *pair = context;
    (void)events;
    pair->calls++;
    /* Whichever of the two comes first takes the other out: the other must not be called. */
    loop_remove(pair->loop, &pair->source);
    loop_remove(pair->loop, &pair->other);
}

Test(loop, never_calls_a_removed_source)
{
    cleanup_loop struct loop *loop = NULL;
    cr_assert_eq(loop_new(&loop, NULL), 0);
    int one[2], two[2];
    cr_assert(pipe(one) == 0 && pipe(two) == 0);
    cr_assert(write(one[1], "x", 1) == 1 && write(two[1], "x", 1) == 1);
    struct pair pair = {.loop = loop};
    cr_assert_eq(loop_add(loop, &pair.source, one[0], EPOLLIN, on_first, &pair, NULL), 0);
    cr_assert_eq(loop_add(loop, &pair.other, two[0], EPOLLIN, on_first, &pair, NULL), 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(loop_step(loop, 1, NULL), 0);
    cr_expect_eq(pair.calls, 1);
    for (int i = 0; i < 2; i++) {
        close(one[i]);
        close(two[i]);
    }
}
