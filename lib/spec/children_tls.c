/*
 * Certificates of Secrets and ConfigMaps in the pods. Each section of the configuration has one
 * projected volume with exactly the keys that it names: what else is in a Secret stays out, and the
 * kubelet swaps all files of a volume at once when one of the objects changes, so that a
 * certificate is never seen with another's key. A file mounted by itself (subPath) would never be
 * renewed. Nothing is optional: the kubelet keeps a pod waiting whose objects are not there,
 * instead of starting it without.
 */
#include "base/memory.h"
#include "spec/children_private.h"

/* The volume is the pod's own and its container the only one that has it, with one user: readable
 * for all needs neither that user's group on the files nor their owner changed at each renewal. */
enum { FILE_MODE = 0444 };

#define SECRETS_PATH   "/var/run/secrets/dpumesh.io"
#define FORWARD_PATH   SECRETS_PATH "/forward"
#define TRACING_PATH   SECRETS_PATH "/tracing"
#define CERTIFICATE    "tls.crt" /* keys of Secrets of the type kubernetes.io/tls */
#define KEY            "tls.key"
#define AUTHORITIES    "ca.crt" /* in the pod, whatever the key is */
#define FORWARD_VOLUME "forward-tls"
#define TRACING_VOLUME "tracing-ca"

static const char *const kinds[] = {[KEY_OF_CONFIG_MAP] = "ConfigMap", [KEY_OF_SECRET] = "Secret"};
static const char *const source_words[] = {
    [KEY_OF_CONFIG_MAP] = "configMap", [KEY_OF_SECRET] = "secret"};

static void add_authorities(json_t *sources, const struct ca_from *from)
{
    const struct key_ref *ref = &from->refs[from->object];

    if (from->object == KEY_OF_NOTHING)
        return;
    json_array_append_new(sources,
                          json_pack("{s:{s:s, s:[{s:s, s:s}]}}", source_words[from->object], "name",
                                    ref->name, "items", "key", ref->key, "path", AUTHORITIES));
}

static void add_volume(const char *name, const char *path, json_t *sources, json_t *container,
                       json_t *volumes, struct buffer *owns)
{
    if (json_array_size(sources) == 0)
        return;
    json_array_append_new(
        json_object_get(container, "volumeMounts"),
        json_pack("{s:s, s:s, s:b}", "name", name, "mountPath", path, "readOnly", 1));
    json_array_append_new(volumes, json_pack("{s:s, s:{s:O, s:i}}", "name", name, "projected",
                                             "sources", sources, "defaultMode", FILE_MODE));
    child_owns(owns, name, NULL);
}

void child_add_tls(const struct dpuservice *service, json_t *container, json_t *volumes,
                   struct buffer *owns)
{
    const struct tls_settings *tls = &service->egress.forward.tls;
    json_auto_t *forward = json_array(), *tracing = json_array();

    if (tls->secret)
        json_array_append_new(forward, json_pack("{s:{s:s, s:[{s:s, s:s}, {s:s, s:s}]}}", "secret",
                                                 "name", tls->secret, "items", "key", CERTIFICATE,
                                                 "path", CERTIFICATE, "key", KEY, "path", KEY));
    add_authorities(forward, &tls->ca_from);
    add_authorities(tracing, &service->tracing.ca_from);
    add_volume(FORWARD_VOLUME, FORWARD_PATH, forward, container, volumes, owns);
    add_volume(TRACING_VOLUME, TRACING_PATH, tracing, container, volumes, owns);
}

void child_tls_files(struct agent_config *config)
{
    static char certificate[] = FORWARD_PATH "/" CERTIFICATE, key[] = FORWARD_PATH "/" KEY;
    static char ca[] = FORWARD_PATH "/" AUTHORITIES, tracing_ca[] = TRACING_PATH "/" AUTHORITIES;
    struct tls_settings *tls = &config->egress.forward.tls;

    if (tls->secret) {
        tls->certificate = certificate;
        tls->key = key;
    }
    if (tls->ca_from.object != KEY_OF_NOTHING)
        tls->ca = ca;
    if (config->tracing.ca_from.object != KEY_OF_NOTHING)
        config->tracing.ca = tracing_ca;
}

/* Appends "Secret a", unless it stands there already. */
static void need(json_t *needed, enum key_object object, const char *name)
{
    size_t i;
    json_t *other;

    if (object == KEY_OF_NOTHING)
        return;
    json_auto_t *text = json_sprintf("%s %s", kinds[object], name);
    json_array_foreach(needed, i, other) if (json_equal(text, other)) return;
    json_array_append(needed, text);
}

char *spec_needed_objects(const struct dpuservice *service)
{
    const struct tls_settings *tls = &service->egress.forward.tls;
    const struct ca_from *tracing = &service->tracing.ca_from;
    json_auto_t *needed = json_array();
    char *text = NULL;

    need(needed, tls->secret ? KEY_OF_SECRET : KEY_OF_NOTHING, tls->secret);
    need(needed, tls->ca_from.object, tls->ca_from.refs[tls->ca_from.object].name);
    need(needed, tracing->object, tracing->refs[tracing->object].name);
    for (size_t i = 0; i < json_array_size(needed); i++) {
        cleanup_free char *before = text;
        text = xasprintf("%s%s%s", before ? before : "", before ? " and " : "",
                         json_string_value(json_array_get(needed, i)));
    }
    return text;
}
