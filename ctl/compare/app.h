/*
 * The application under comparison, run by a `dpumesh up` of our own: started with one data path,
 * asked where it answers and what its agents count, and taken down. It can't outlive us.
 *
 * Main thread only: the process dies with the thread that started it.
 */
#ifndef DPUMESH_CTL_COMPARE_APP_H
#define DPUMESH_CTL_COMPARE_APP_H

#include <jansson.h>
#include <sys/types.h>

#include "base/option.h"
#include "ctl/local/rundir.h"

struct compare_app_options {
    const struct option_list *files;
    const char *mode;    /* "direct", "sidecar", "dpu" */
    const char *profile; /* NULL: what the files say, or the mode's own */
    const char *address; /* of the first service */
    const char *agent;   /* path; NULL: beside us */
};

struct compare_app {
    struct rundir dir;
    pid_t pid;
    int pidfd;
    int output; /* what the process said, a file in memory */
    char *name;
    json_t *state; /* as `dpumesh ps --json` has it */
};

#define COMPARE_APP_INIT                                                                           \
    {                                                                                              \
        .dir = RUNDIR_INIT, .pidfd = -1, .output = -1                                              \
    }

/*
 * Starts it and waits until all replicas are ready. 0; or the exit status that `dpumesh up` ended
 * with, after printing what it said; or -errno and a sentence. In any case: compare_app_stop().
 */
int compare_app_start(const struct compare_app_options *options, struct compare_app *app,
                      struct error **err);

/* The service of this name, or the first one (name NULL), as `dpumesh ps --json` has it; borrowed.
 * NULL: there is none. */
const json_t *compare_app_service(const struct compare_app *app, const char *name);

/*
 * Reads a page of each replica: visit gets the text of each. query: "/metrics" and what follows.
 * 0, what visit returned, or -errno and a sentence.
 */
int compare_app_pages(const struct compare_app *app, const char *query,
                      int (*visit)(void *context, const char *text, size_t length,
                                   struct error **err),
                      void *context, struct error **err);

/* Drains it and waits for its end. Once or again. */
void compare_app_stop(struct compare_app *app);

#define cleanup_compare_app CLEANUP(compare_app_stop)

#endif
