/*
 * What an application looks like from outside: the table at its start, the object behind
 * `dpumesh ps --json` (docs/local-mode.md has its fields), and Prometheus' targets.
 */
#ifndef DPUMESH_CTL_LOCAL_REPORT_H
#define DPUMESH_CTL_LOCAL_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "ctl/local/supervisor.h"

/* The application as JSON; the caller owns it. */
json_t *report_application(const struct supervisor *up);

/* Prints an application as report_application() made it: one row a service; wide: one a replica
 * too. */
void report_print(const json_t *application, bool wide, FILE *file);

/* Prometheus' http_sd document (an array of target groups) of the same object; the caller owns it.
 */
json_t *report_targets(const json_t *application);

#endif
