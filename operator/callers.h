/*
 * Who calls whom: which DpuServices were told where which others answer. When a DpuService comes,
 * goes or answers elsewhere, those of its callers that were told otherwise are visited again, and
 * nobody else. A DpuService that nobody was told of, and that is told of nobody, is not kept.
 *
 * What is told is read from the store with the lock held, as is what it is compared with. So
 * whoever is told of an address after a change of the store is told the new one, and whoever was
 * told before is found.
 *
 * Any thread.
 */
#ifndef DPUMESH_OPERATOR_CALLERS_H
#define DPUMESH_OPERATOR_CALLERS_H

#include "kube/controller.h"
#include "spec/dpuservice.h"

struct callers;

struct callers *callers_new(void);
void callers_free(struct callers *callers); /* NULL is fine */

/* Fills in service->callees from the store of DpuServices, and remembers what it was told. id:
 * written_name() of the service. */
void callers_resolve(struct callers *callers, struct kube_store *store, uint64_t id,
                     const char *namespace, struct dpuservice *service);

/* The service calls nobody any more: it is gone. */
void callers_forget(struct callers *callers, uint64_t id);

/* Calls add with the key of each DpuService that was told otherwise of this one than the store has
 * it now. id: written_name() of it. At rest it costs the same for any number of callers. */
void callers_each(struct callers *callers, struct kube_store *store, uint64_t id,
                  const char *namespace, const char *name, kube_key_add *add, void *adding);

/* DpuServices kept, for tests. */
size_t callers_count(struct callers *callers);

#endif
