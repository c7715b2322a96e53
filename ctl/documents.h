/* What verbs that read DpuServices share: the files, and what overrides the data path in them. */
#ifndef DPUMESH_CTL_DOCUMENTS_H
#define DPUMESH_CTL_DOCUMENTS_H

#include "base/option.h"
#include "spec/application.h"

/* The rows of an option table that override the data path: unsigned mode, const char *profile. */
#define DOCUMENTS_OVERRIDE_ENTRIES(type)                                                           \
    {'m',                                                                                          \
     "mode",                                                                                       \
     OPTION_TO_CHOICE(type, mode),                                                                 \
     .argument = "MODE",                                                                           \
     .choices = datapath_mode_names,                                                               \
     .help = "The data path of every service, whatever the file says: direct, sidecar or dpu. A "  \
             "profile of another kind makes way for the mode's own."},                             \
    {                                                                                              \
        'p', "profile", OPTION_TO_STRING(type, profile),                                           \
            .argument = "NAME|FILE",                                                               \
            .help = "The profile of every service: a shipped one, one of a ConfigMap among the "   \
                    "files, or a file (its path has a / or a .)."                                  \
    }

/* What these rows said. */
struct datapath_override documents_override(const struct options *options, unsigned mode,
                                            const char *profile);

/* The table of a verb whose only options these are: -f FILE, several times, and the override. */
extern const struct option_entry documents_entries[3];

/*
 * Reads the verb's arguments and the files that they name. 0: *ret_application is read, and the
 * caller's; -1: the verb ends with *ret_status, and why was told (after --help that is 0).
 */
int documents_read(const struct option_command *command, int argc, char **argv,
                   struct application *ret_application, int *ret_status);

/* The files alone, at least one; override: NULL takes them as they are; err: where none is named.
 * The same results; -EINVAL and *err when the list is empty. */
int documents_open(const struct option_list *files, const struct datapath_override *override,
                   struct application *ret_application, int *ret_status, struct error **err);

#endif
