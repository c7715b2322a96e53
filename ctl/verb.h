/*
 * The verbs of the program dpumesh, one file and one option table each. Each command's run() parses
 * its own arguments and returns the exit status. To add a verb: write ctl/VERB.c with its
 * struct option_command, name it here, and add it to the table in main.c.
 */
#ifndef DPUMESH_CTL_VERB_H
#define DPUMESH_CTL_VERB_H

#include "base/option.h"

/* Whether the program was called as kubectl's plugin; set once, by main(). */
extern bool verb_is_plugin;

extern const struct option_command verb_up;
extern const struct option_command verb_ps;
extern const struct option_command verb_scale;
extern const struct option_command verb_logs;
extern const struct option_command verb_apply;
extern const struct option_command verb_down;
extern const struct option_command verb_render;
extern const struct option_command verb_validate;
extern const struct option_command verb_predict;
extern const struct option_command verb_calibrate;
extern const struct option_command verb_import;
extern const struct option_command verb_export;
extern const struct option_command verb_generate;
extern const struct option_command verb_compare;

#endif
