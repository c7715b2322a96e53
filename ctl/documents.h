/* What render and validate share: verbs whose only option names files of DpuServices. */
#ifndef DPUMESH_CTL_DOCUMENTS_H
#define DPUMESH_CTL_DOCUMENTS_H

#include "base/option.h"
#include "spec/application.h"

/* The table of such a verb: -f FILE, several times. */
extern const struct option_entry documents_entries[1];

/*
 * Reads the verb's arguments and the files that they name. 0: *ret_application is read, and the
 * caller's; -1: the verb ends with *ret_status, and why was told (after --help that is 0).
 */
int documents_read(const struct option_command *command, int argc, char **argv,
                   struct application *ret_application, int *ret_status);

/* The files alone, at least one; err: where none is named. The same results; -EINVAL and *err when
 * the list is empty. */
int documents_open(const struct option_list *files, struct application *ret_application,
                   int *ret_status, struct error **err);

#endif
