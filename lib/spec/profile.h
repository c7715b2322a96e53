/*
 * Profiles in JSON: every parameter with value, unit, source and, where it was fitted, its error.
 *
 *     {"name": "bluefield3-native", "kind": "dpu", "description": "...",
 *      "parameters": {"wake": {"value": 1.4, "unit": "us", "source": "fitted to ..."}, ...},
 *      "fitted": [[64, 526621], ...]}
 *
 * "fitted" has the frame (bytes) and the offered rate of each measurement that was fitted to.
 * The parameters are the rows of model/profile.h. Some profiles are compiled in, so that every
 * program has them wherever it runs; their files are profiles/ in the source tree and
 * share/dpumesh/profiles where it is installed, to copy from. Any thread.
 */
#ifndef DPUMESH_SPEC_PROFILE_H
#define DPUMESH_SPEC_PROFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "doc/place.h"
#include "doc/problem.h"
#include "model/profile.h"

enum { PROFILE_FILE_BYTES_MAX = 1 << 20, PROFILE_SOURCE_MAX = 200 };

/* The compiled-in profiles. */
struct profile_file {
    const char *name;
    const char *text; /* JSON */
};

extern const struct profile_file profile_files[];
extern const size_t profile_file_count;

/*
 * Reads a profile: one that is compiled in by its name, else the file of that path (a name with a
 * slash or a dot). 0, or a negative errno and sentences in problems; *ret is then untouched.
 */
int profile_load(const char *name_or_path, struct profile *ret, struct problems *problems);

/* The same from length bytes of JSON; file: for messages. */
int profile_parse(const char *bytes, size_t length, const char *file, struct profile *ret,
                  struct problems *problems);

/* The same from JSON that is already read. place: the profile's, in whatever document holds it. */
int profile_read(json_t *object, const struct place *place, struct profile *ret,
                 struct problems *problems);

/* Looks for values that contradict each other; 0, or -EINVAL and sentences at place. */
int profile_check(const struct profile *profile, const struct place *place,
                  struct problems *problems);

/* Whether a profile may have this name: 1 to PROFILE_NAME_MAX - 1 letters, digits, '.', '_', '-'.
 */
bool profile_name_valid(const char *name);

/*
 * The profile as JSON, owned by the caller; parameters at their defaults that were not fitted are
 * left out unless they are required. sources: of each parameter, NULL entries read "not stated".
 */
json_t *profile_json(const struct profile *profile, const char *description,
                     const char *const sources[PROFILE_PARAMETERS]);

#endif
