#include <criterion/criterion.h>

#include "operator/written.h"

static const struct written_id one = {.name = 1, .uid = 11};
static const uint64_t begin = UINT64_C(1000000000);

static const char *const names[] = {"in sync", "wait", "drift"};

static void expect(enum written_verdict got, enum written_verdict wanted, const char *what)
{
    cr_expect_eq(got, wanted, "%s: %s, expected %s", what, names[got], names[wanted]);
}

Test(written, nothing_is_known)
{
    struct written *written = written_new();
    expect(written_judge(written, one, CHILD_SERVICE, 5, true, 5, 1, begin), WRITTEN_IN_SYNC,
           "as desired");
    expect(written_judge(written, one, CHILD_SERVICE, 5, true, 6, 1, begin), WRITTEN_DRIFT,
           "differs");
    expect(written_judge(written, one, CHILD_SERVICE, 5, false, 0, 0, begin), WRITTEN_DRIFT,
           "not there");
    cr_expect_eq(written_count(written), 0);
    written_free(written);
    written_free(NULL);
}

/* After the child was applied as 5 at version 100, and the server made `live` of it. */
struct judgement {
    const char *what;
    uint64_t made; /* of 5 by the server */
    uint64_t desired;
    bool present;
    uint64_t live, version;
    uint64_t later_ns;
    enum written_verdict verdict;
    bool kept; /* afterwards */
};

#define SOON UINT64_C(1000000)
#define LATE (WRITTEN_PATIENCE_NS + 1)

static const struct judgement judgements[] = {
    {"seen as written", 5, 5, true, 5, 100, SOON, WRITTEN_IN_SYNC, false},
    {"seen later, unchanged", 5, 5, true, 5, 120, SOON, WRITTEN_IN_SYNC, false},
    {"changed after us", 5, 5, true, 6, 101, SOON, WRITTEN_DRIFT, true},
    {"the store is behind", 5, 5, true, 4, 99, SOON, WRITTEN_WAIT, true},
    {"the store is behind, and looks right", 5, 5, true, 5, 99, SOON, WRITTEN_WAIT, true},
    {"the store is behind for too long", 5, 5, true, 4, 99, LATE, WRITTEN_DRIFT, true},
    {"not in the store yet", 5, 5, false, 0, 0, SOON, WRITTEN_WAIT, true},
    {"not in the store for too long", 5, 5, false, 0, 0, LATE, WRITTEN_DRIFT, false},
    {"at the last instant of patience", 5, 5, false, 0, 0, WRITTEN_PATIENCE_NS - 1, WRITTEN_WAIT,
     true},
    {"at the first after it", 5, 5, false, 0, 0, WRITTEN_PATIENCE_NS, WRITTEN_DRIFT, false},
    {"the server made something else of it", 7, 5, true, 7, 100, SOON, WRITTEN_IN_SYNC, true},
    {"and then it became as asked", 7, 5, true, 5, 101, SOON, WRITTEN_IN_SYNC, false},
    {"and then somebody changed it", 7, 5, true, 8, 101, SOON, WRITTEN_DRIFT, true},
    {"the spec changed meanwhile", 5, 9, true, 5, 100, SOON, WRITTEN_DRIFT, true},
    {"the spec changed, and the store is behind", 5, 9, true, 4, 99, SOON, WRITTEN_DRIFT, true},
    {"the spec changed back, and the store is behind", 5, 4, true, 4, 99, SOON, WRITTEN_DRIFT,
     false},
    {"the spec changed, and the child is so already", 5, 9, true, 9, 101, SOON, WRITTEN_IN_SYNC,
     false},
    {"the spec changed, and the child is not seen", 5, 9, false, 0, 0, SOON, WRITTEN_DRIFT, false},
};

Test(written, after_an_apply)
{
    for (size_t i = 0; i < sizeof(judgements) / sizeof(judgements[0]); i++) {
        const struct judgement *j = &judgements[i];
        struct written *written = written_new();
        written_child(written, one, CHILD_DEPLOYMENT, 5, j->made, 100, begin);
        cr_expect_eq(written_count(written), 1);
        expect(written_judge(written, one, CHILD_DEPLOYMENT, j->desired, j->present, j->live,
                             j->version, begin + j->later_ns),
               j->verdict, j->what);
        cr_expect_eq(written_count(written), j->kept ? 1 : 0, "%s: %zu entries", j->what,
                     written_count(written));
        /* Other kinds and other DpuServices know nothing of it. */
        expect(written_judge(written, one, CHILD_SERVICE, 5, true, 6, 1, begin), WRITTEN_DRIFT,
               j->what);
        struct written_id other = {.name = 1 + (UINT64_C(1) << 40), .uid = 11};
        expect(written_judge(written, other, CHILD_DEPLOYMENT, 5, false, 0, 0, begin),
               WRITTEN_DRIFT, j->what);
        written_free(written);
    }
}

Test(written, deleted_after_it_was_seen)
{
    struct written *written = written_new();
    written_child(written, one, CHILD_SERVICE, 5, 7, 100, begin);
    expect(written_judge(written, one, CHILD_SERVICE, 5, true, 7, 100, begin), WRITTEN_IN_SYNC,
           "seen");
    /* No patience: it was there. */
    expect(written_judge(written, one, CHILD_SERVICE, 5, false, 0, 0, begin + 1), WRITTEN_DRIFT,
           "gone");
    cr_expect_eq(written_count(written), 0);
    written_free(written);
}

/* A digest that the server keeps making is accepted for ever; another change of others is drift,
 * and accepted once it came of an apply of ours. */
Test(written, no_apply_for_ever)
{
    struct written *written = written_new();
    uint64_t version = 100, now = begin;
    written_child(written, one, CHILD_SERVICE, 5, 7, version, now);
    for (int i = 0; i < 100; i++) {
        now += WRITTEN_PATIENCE_NS;
        expect(written_judge(written, one, CHILD_SERVICE, 5, true, 7, version, now),
               WRITTEN_IN_SYNC, "as the server made it");
    }
    expect(written_judge(written, one, CHILD_SERVICE, 5, true, 8, ++version, now), WRITTEN_DRIFT,
           "changed");
    written_child(written, one, CHILD_SERVICE, 5, 8, ++version, now);
    expect(written_judge(written, one, CHILD_SERVICE, 5, true, 8, version, now), WRITTEN_IN_SYNC,
           "applied, and no better");
    written_free(written);
}

Test(written, of_a_predecessor)
{
    struct written *written = written_new();
    struct written_id again = {.name = one.name, .uid = 12};
    written_child(written, one, CHILD_SERVICE, 5, 5, 100, begin);
    written_status(written, one, 101, NULL);
    expect(written_judge(written, again, CHILD_SERVICE, 5, false, 0, 0, begin), WRITTEN_DRIFT,
           "made anew under its name");
    cr_expect_eq(written_count(written), 0);
    written_child(written, one, CHILD_SERVICE, 5, 5, 100, begin);
    written_child(written, again, CHILD_SERVICE, 5, 5, 200, begin);
    cr_expect_eq(written_count(written), 1);
    expect(written_judge(written, again, CHILD_SERVICE, 5, true, 5, 200, begin), WRITTEN_IN_SYNC,
           "its own");
    written_free(written);
}

Test(written, status)
{
    struct written *written = written_new();
    json_auto_t *status = json_pack("{s:i}", "replicas", 2);
    cr_expect_null(written_status_after(written, one, 1));
    written_status(written, one, 100, status);
    json_t *kept = written_status_after(written, one, 99);
    cr_expect(json_equal(kept, status), "the store is behind");
    cr_expect_neq(kept, status, "no thread shares its JSON");
    json_decref(kept);
    cr_expect_not(written_status_seen(written, one, 99), "somebody else's");
    cr_expect_eq(written_count(written), 1);
    cr_expect(written_status_seen(written, one, 100), "ours");
    cr_expect_eq(written_count(written), 0);
    cr_expect_not(written_status_seen(written, one, 100), "once");

    written_status(written, one, 100, status);
    cr_expect_not(written_status_seen(written, one, 101), "later, so ours was not seen");
    cr_expect_eq(written_count(written), 0);

    written_status(written, one, 100, status);
    cr_expect_null(written_status_after(written, one, 100), "the store has it");
    cr_expect_eq(written_count(written), 0);

    written_status(written, one, 100, status);
    written_status(written, one, 110, status);
    cr_expect_not(written_status_seen(written, one, 100), "the first of two");
    cr_expect(written_status_seen(written, one, 110), "the second");
    cr_expect_eq(status->refcount, 1, "%zu references", status->refcount);
    written_free(written);
}

Test(written, an_entry_goes_with_its_last_part)
{
    struct written *written = written_new();
    json_auto_t *status = json_object();
    written_status(written, one, 100, status);
    written_child(written, one, CHILD_SERVICE, 5, 5, 90, begin);
    written_child(written, one, CHILD_DEPLOYMENT, 6, 6, 91, begin);
    cr_expect(written_status_seen(written, one, 100));
    cr_expect_eq(written_count(written), 1);
    written_judge(written, one, CHILD_SERVICE, 5, true, 5, 90, begin);
    cr_expect_eq(written_count(written), 1);
    written_judge(written, one, CHILD_DEPLOYMENT, 6, true, 6, 91, begin);
    cr_expect_eq(written_count(written), 0);
    written_free(written);
}

Test(written, forgotten)
{
    struct written *written = written_new();
    json_auto_t *status = json_object();
    /* Many, so that they share buckets. */
    for (uint64_t i = 0; i < 10000; i++) {
        struct written_id id = {.name = i * 7919, .uid = i + 1};
        written_child(written, id, CHILD_CONFIG_MAP, i, i, 100, begin);
        written_status(written, id, 100, status);
    }
    cr_expect_eq(written_count(written), 10000);
    for (uint64_t i = 0; i < 10000; i += 2)
        written_forget(written, i * 7919);
    written_forget(written, 1);
    cr_expect_eq(written_count(written), 5000);
    for (uint64_t i = 0; i < 10000; i++) {
        struct written_id id = {.name = i * 7919, .uid = i + 1};
        cr_expect_eq(written_status_seen(written, id, 100), i % 2 == 1);
    }
    written_free(written);
    cr_expect_eq(status->refcount, 1);
}

Test(written, names)
{
    cr_expect_neq(written_name("a", "b"), written_name("b", "a"));
    cr_expect_neq(written_name("a", "b"), written_name("a", "c"));
    cr_expect_eq(written_name("shop", "s0"), written_name("shop", "s0"));
}
