/* The command line for people. It answers to the name kubectl-dpumesh too, so that kubectl finds it
 * as a plugin. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/local/supervisor.h"
#include "ctl/terminal.h"
#include "ctl/verb.h"

#ifdef DPUMESH_CLUSTER
#include "ctl/cluster/load.h"
#include "ctl/cluster/verbs.h"
#endif
#ifdef DPUMESH_FIT
#include "ctl/calibrate.h"
#endif
#ifdef DPUMESH_GRAPH
#include "ctl/generate.h"
#endif
#if __has_include("ctl/load.h")
#include "ctl/load.h"
#endif

static const struct option_command *const commands[] = {
    &verb_up,      &verb_ps,        &verb_scale,  &verb_logs,     &verb_apply,
    &verb_down,    &verb_validate,  &verb_render, &verb_predict,  &verb_calibrate,
    &verb_compare, &verb_import,    &verb_export, &verb_generate,
#if __has_include("ctl/load.h")
    &load_command,
#endif
#ifdef DPUMESH_CLUSTER
    &verb_install, &verb_uninstall, &verb_status, &verb_top,
#endif
    NULL,
};

static const struct option_example examples[] = {
    {"dpumesh up -f app.yaml", "runs an application on this machine"},
    {"dpumesh ps", "shows what runs and where it answers"},
    {"dpumesh scale s0 3", "three replicas of s0, from another terminal"},
};

static const struct option_command program = {
    .name = "dpumesh",
    .summary = "run microservices whose network sidecar is on a simulated DPU",
    .commands = commands,
    OPTION_EXAMPLES(examples),
};

static const struct option_command plugin = {
    .name = "kubectl-dpumesh",
    .summary = "run microservices whose network sidecar is on a simulated DPU",
    .commands = commands,
    OPTION_EXAMPLES(examples),
};

/* What was printed and could not be written (a full disk) is no success. */
static int finish(int status)
{
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || status != STATUS_OK)
        return status;
    return complain(STATUS_FAILED, "can't write to standard output%s%s", errno ? ": " : "",
                    errno ? strerror(errno) : "");
}

int main(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";
    verb_is_plugin = strcmp(name, plugin.name) == 0;
    const struct option_command *command = verb_is_plugin ? &plugin : &program;

#ifdef DPUMESH_CLUSTER
    load_cluster_run = cluster_load;
#endif
#ifdef DPUMESH_FIT
    calibrate_run = calibrate_fit;
#endif
#ifdef DPUMESH_GRAPH
    graph_barabasi = graph_barabasi_igraph;
#endif

    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    int r = options_parse(command, argc, argv, NULL, &options, &err);
    if (r != 0)
        return options_exit(command, r, err);
    return finish(options.command->run(options.command, options.argc, options.argv));
}
