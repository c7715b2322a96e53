/* Private to the reading of muBench's parameter files: what its files share. */
#ifndef DPUMESH_CTL_GENERATE_PARAMETERS_PRIVATE_H
#define DPUMESH_CTL_GENERATE_PARAMETERS_PRIVATE_H

#include "ctl/generate_parameters.h"
#include "doc/place.h"

/* A reading under way. */
struct reading {
    struct generate *generate;
    struct generate_parameters *parameters; /* generate's */
    const struct options *options;
    struct problems *problems;
};

/* Notes what becomes of a part of a file. */
void parameters_note(const struct reading *reading, const struct place *at, const char *sentence);

/* Notes a key for which there is no use. */
void parameters_note_rest(const struct reading *reading, const char *key, const struct place *at);

/* The text, which is stolen, for as long as the parameters live. */
const char *parameters_keep(const struct reading *reading, char *text);

/* Reads the object WorkModelParameters. */
void parameters_read_work(const struct reading *reading, json_t *object, const struct place *at);

#endif
