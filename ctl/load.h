/*
 * `dpumesh load TARGET`: sends requests to a bridge or an HTTP service and measures the answers.
 * ctl/main.c calls load_main() for the verb; everything else is private to ctl/load_*.c:
 *
 *     load_plan     options to a plan          load_conn    one connection
 *     load_target   where to                   load_answer  reading the answers
 *     load_worker   a thread's event loop      load_report  what is shown
 *     load_arrival  an open loop's schedule    load_stats   what is counted
 */
#ifndef DPUMESH_CTL_LOAD_H
#define DPUMESH_CTL_LOAD_H

#include "base/option.h"

/* The verb's options, for the program's own help, man page and completions; its run is load_run. */
extern const struct option_command load_command;

/*
 * Runs the verb; argv[0] is "load". Exit status: 0 every request was answered below 400; 1 one was
 * not; 2 the command line is wrong; 3 the target was never reached.
 */
int load_main(int argc, char **argv);

#endif
