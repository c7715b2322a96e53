/* The tables of where TLS has its certificates from: files, and in a DpuService Secrets and
 * ConfigMaps, which become files in the pods. */
#include <string.h>

#include "spec/children.h"
#include "spec/settings.h"
#include "spec/settings_private.h"

static bool given(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return value && !json_is_null(value);
}

/* ---- files ---- */

#define PAIR_SENTENCE "certificate and key belong together; give both or neither"

static void check_pair(const void *record, json_t *object, const struct place *place,
                       struct problems *problems)
{
    (void)record;
    if (given(object, "certificate") != given(object, "key"))
        place_problem(place, problems, PAIR_SENTENCE);
}

#define TLS_FILE_FIELD(name_, member_, unset_, help_)                                              \
    {                                                                                              \
        .name = (name_), .type = FIELD_STRING, FIELD_AT(struct tls_settings, member_),             \
        .flags = FIELD_OPTIONAL, .min = 1, .max = 1000, .pattern = &pattern_absolute_path,         \
        .unset = (unset_), .help = (help_)                                                         \
    }
#define TLS_FILE_FIELDS                                                                            \
    TLS_FILE_FIELD("ca", ca, "the system's",                                                       \
                   "File with the authorities (PEM) that callees at `https` "                      \
                   "URLs are verified by."),                                                       \
        TLS_FILE_FIELD(                                                                            \
            "certificate", certificate, "none",                                                    \
            "File with the certificate (PEM, its chain behind it) that is shown to callees."),     \
        TLS_FILE_FIELD("key", key, "none", "File with that certificate's key (PEM).")
#define TLS_FILE_CHECK                                                                             \
    {                                                                                              \
        .run = check_pair, .reads = {"certificate", "key"},                                        \
        .rule = "has(self.certificate) == has(self.key)", .sentence = PAIR_SENTENCE                \
    }

static const struct field tls_fields[] = {TLS_FILE_FIELDS};
static const struct record_check tls_checks[] = {TLS_FILE_CHECK};
const struct record tls_record = {FIELDS(tls_fields), CHECKS(tls_checks),
                                  .size = sizeof(struct tls_settings)};

/* ---- Secrets and ConfigMaps ---- */

static const struct field key_ref_fields[] = {
    {.name = "name",
     .type = FIELD_STRING,
     FIELD_AT(struct key_ref, name),
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = 253,
     .pattern = &pattern_object_name,
     .example = "our-ca",
     .help = "Its name, in the namespace of the DpuService."},
    {.name = "key",
     .type = FIELD_STRING,
     FIELD_AT(struct key_ref, key),
     .fallback = CHILD_CA_KEY,
     .min = 1,
     .max = 253,
     .pattern = &pattern_data_key,
     .help = "Where in its data the certificates (PEM) stand."},
};
static const struct record key_ref_record = {FIELDS(key_ref_fields),
                                             .size = sizeof(struct key_ref)};

static const struct field ca_from_fields[] = {
    {.name = "configMapKeyRef",
     .type = FIELD_RECORD,
     FIELD_AT(struct ca_from, refs[KEY_OF_CONFIG_MAP]),
     .record = &key_ref_record,
     .choice = KEY_OF_CONFIG_MAP,
     .help = "Of a ConfigMap, such as trust-manager and OpenShift make."},
    {.name = "secretKeyRef",
     .type = FIELD_RECORD,
     FIELD_AT(struct ca_from, refs[KEY_OF_SECRET]),
     .record = &key_ref_record,
     .choice = KEY_OF_SECRET,
     .help = "Of a Secret, such as cert-manager makes; nothing else of it comes into the pods."},
};
const struct record ca_from_record = {FIELDS(ca_from_fields), .size = sizeof(struct ca_from),
                                      .choice = true, .chosen = offsetof(struct ca_from, object)};

void check_ca_from(const void *record, json_t *object, const struct place *place,
                   struct problems *problems)
{
    struct place at = PLACE_KEY(place, "caFrom");

    (void)record;
    if (given(object, "ca") && given(object, "caFrom"))
        place_problem(&at, problems, CA_FROM_SENTENCE);
}

#define SECRET_SENTENCE                                                                            \
    "it gives certificate and key, which also stand here as files; give the Secret or the files"

static void check_secret(const void *record, json_t *object, const struct place *place,
                         struct problems *problems)
{
    struct place at = PLACE_KEY(place, "secretName");

    (void)record;
    if (given(object, "secretName") && (given(object, "certificate") || given(object, "key")))
        place_problem(&at, problems, SECRET_SENTENCE);
}

static const struct field dpuservice_tls_fields[] = {
    TLS_FILE_FIELDS,
    {.name = "secretName",
     .type = FIELD_STRING,
     FIELD_AT(struct tls_settings, secret),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = 253,
     .pattern = &pattern_object_name,
     .unset = "none",
     .help = "A Secret of type kubernetes.io/tls, whose `tls.crt` and `tls.key` are shown to "
             "callees, instead of `certificate` and `key`."},
    CA_FROM_FIELD(struct tls_settings, ca_from),
};
static const struct record_check dpuservice_tls_checks[] = {
    TLS_FILE_CHECK,
    {.run = check_secret,
     .reads = {"secretName", "certificate", "key"},
     .rule = "!has(self.secretName) || (!has(self.certificate) && !has(self.key))",
     .at = ".secretName",
     .sentence = SECRET_SENTENCE},
    CA_FROM_CHECK,
};
const struct record dpuservice_tls_record = {FIELDS(dpuservice_tls_fields),
                                             CHECKS(dpuservice_tls_checks),
                                             .size = sizeof(struct tls_settings)};
