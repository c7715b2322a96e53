/* What the files that hold the tables of settings.h share. */
#ifndef DPUMESH_SPEC_SETTINGS_PRIVATE_H
#define DPUMESH_SPEC_SETTINGS_PRIVATE_H

#include "spec/settings.h"

enum { DESTINATIONS_MAX = 64 }; /* of egress; CEL compares each with each */

/* egress_forward.c */
extern const char *const egress_mode_names[];
extern const struct record forward_record, dpuservice_forward_record, destination_record;

/* tls_source.c */
extern const struct record tls_record, dpuservice_tls_record, ca_from_record;

/* The field caFrom of a record that has also a field ca, and the check that only one is given. */
#define CA_FROM_FIELD(owner, member)                                                               \
    {                                                                                              \
        .name = "caFrom", .type = FIELD_RECORD, FIELD_AT(owner, member), .flags = FIELD_OPTIONAL,  \
        .record = &ca_from_record, .unset = "the system's",                                        \
        .help = "Where in the namespace the authorities stand, instead of `ca`: exactly one of "   \
                "the two."                                                                         \
    }
#define CA_FROM_SENTENCE                                                                           \
    "it gives the authorities, which ca gives as a file too; give one of the two"
#define CA_FROM_CHECK                                                                              \
    {                                                                                              \
        .run = check_ca_from, .reads = {"ca", "caFrom"},                                           \
        .rule = "!has(self.caFrom) || !has(self.ca)", .at = ".caFrom",                             \
        .sentence = CA_FROM_SENTENCE                                                               \
    }
void check_ca_from(const void *record, json_t *object, const struct place *place,
                   struct problems *problems);

/* egress_faults.c */
extern const struct record faults_record;

/* Two record_checks of egress: timeouts need a timeout. */
void check_timeouts(const void *record, json_t *object, const struct place *place,
                    struct problems *problems);
void check_destination_timeouts(const void *record, json_t *object, const struct place *place,
                                struct problems *problems);

/* Two record_checks of egress: no attempt has more time than its call. */
void check_try_timeouts(const void *record, json_t *object, const struct place *place,
                        struct problems *problems);
void check_destination_try_timeouts(const void *record, json_t *object, const struct place *place,
                                    struct problems *problems);

/* A record_check of egress: each name once. */
void check_destinations(const void *record, json_t *object, const struct place *place,
                        struct problems *problems);

#endif
