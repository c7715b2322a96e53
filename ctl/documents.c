#include "ctl/documents.h"

#include <errno.h>
#include <stdio.h>

#include "ctl/local/supervisor.h"

struct documents_options {
    struct option_list files;
    unsigned mode;
    const char *profile;
};

const struct option_entry documents_entries[3] = {
    {'f', "file", OPTION_TO_LIST(struct documents_options, files), .argument = "FILE",
     .help = "A file of DpuServices, YAML or JSON, or a folder of such files; \"-\" reads "
             "standard input."},
    DOCUMENTS_OVERRIDE_ENTRIES(struct documents_options),
};

struct datapath_override documents_override(const struct options *options, unsigned mode,
                                            const char *profile)
{
    return (struct datapath_override){.mode_given = options_given(options, "mode"),
                                      .mode = (enum datapath_mode)mode,
                                      .profile = profile};
}

int documents_open(const struct option_list *files, const struct datapath_override *override,
                   struct application *ret_application, int *ret_status, struct error **err)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;

    if (files->count == 0)
        return error_make(err, EINVAL, "no file is given; add -f FILE");
    const struct datapath_override none = {.profile = NULL};
    if (application_load_with(files->items, files->count, override ? override : &none,
                              ret_application, &problems) < 0) {
        problems_print(&problems, stderr, "dpumesh: ");
        *ret_status = STATUS_USAGE;
        return -1;
    }
    return 0;
}

int documents_read(const struct option_command *command, int argc, char **argv,
                   struct application *ret_application, int *ret_status)
{
    struct documents_options given;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    int r = options_parse(command, argc, argv, &given, &options, &err);
    cleanup_option_list struct option_list files = given.files;
    if (r == 0) {
        struct datapath_override override = documents_override(&options, given.mode, given.profile);
        r = documents_open(&files, &override, ret_application, ret_status, &err);
    }
    if (r != 0 && (r == OPTIONS_DONE || err)) {
        *ret_status = options_exit(command, r, err);
        return -1;
    }
    return r;
}
