/* What the two files of the fake server share. */
#ifndef DPUMESH_TESTS_KUBE_FAKE_PRIVATE_H
#define DPUMESH_TESTS_KUBE_FAKE_PRIVATE_H

#include "kube/thread.h"
#include "tests/kube/dice.h"
#include "tests/kube/fake_client.h"

enum { TEXT = 32, ORDERS_MAX = 16 };

/* An object, or an event about one, which has the object's new state. */
struct entry {
    char type[TEXT], plural[TEXT], namespace[TEXT], name[TEXT], spec[TEXT];
    unsigned version;
};

struct entries {
    struct entry *entries;
    size_t count, capacity;
};

struct orders {
    struct fake_fault faults[ORDERS_MAX], always;
    unsigned count, calls;
};

struct kube_client {
    struct kube_bell bell; /* of all below */
    struct entries objects, events;
    unsigned version, compacted;
    unsigned epoch; /* counts cuts */
    unsigned bookmarks, watching;
    struct fake_fault cut;
    struct orders orders[FAKE_CALLS];
    struct dice dice;
    unsigned once_in;
};

struct entries entries_copy(const struct entries *entries);
void entries_free(struct entries *entries);

/* Counts a call and tells what goes wrong with it; with the lock held. */
struct fake_fault fake_begin_call(struct kube_client *server, enum fake_call call);

#endif
