/* What the files that hold the tables of settings.h share. */
#ifndef DPUMESH_SPEC_SETTINGS_PRIVATE_H
#define DPUMESH_SPEC_SETTINGS_PRIVATE_H

#include "spec/settings.h"

enum { DESTINATIONS_MAX = 64 }; /* of egress; CEL compares each with each */

/* egress_forward.c */
extern const char *const egress_mode_names[];
extern const struct record forward_record, destination_record;

/* egress_faults.c */
extern const struct record faults_record;

/* Two record_checks of egress: timeouts need a timeout. */
void check_timeouts(const void *record, json_t *object, const struct place *place,
                    struct problems *problems);
void check_destination_timeouts(const void *record, json_t *object, const struct place *place,
                                struct problems *problems);

/* A record_check of egress: each name once. */
void check_destinations(const void *record, json_t *object, const struct place *place,
                        struct problems *problems);

#endif
