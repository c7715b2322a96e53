#include "ctl/cluster/load_job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/cluster/dig.h"
#include "doc/document.h"
#include "spec/dpuservice.h"

enum {
    USER = 65532,      /* as the agent's image */
    GRACE_S = 30,      /* to answer what is in flight and print */
    AFTER_END_S = 300, /* that it stays when nobody deletes it */
    START_S = 600,     /* that pulling the image and starting may take */
    UNKNOWN_S = 6 * 3600
};

int load_job_aim(struct load_job *job, const json_t *service, struct error **err)
{
    char file[] = "the cluster";
    struct document document = {.file = file, .root = (json_t *)(uintptr_t)service};
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_dpuservice struct dpuservice *read = NULL;
    if (dpuservice_parse(&document, &read, &problems) < 0)
        return error_make(err, EINVAL, "%s",
                          problems.count ? problems.texts[0] : "the DpuService can't be read");
    job->target =
        xasprintf("tcp://%s.%s.svc:%u", read->name, read->namespace, read->service.bridge_port);
    if (!job->image)
        job->image = xstrdup(read->image);
    job->pull_policy = xstrdup(read->image_pull_policy);
    job->pull_secrets =
        json_deep_copy(dig(service, "spec", "podTemplate", "imagePullSecrets", NULL));
    return 0;
}

/* How long the pod may live from the making of the Job on, should nobody end it. */
static json_int_t deadline_s(const struct load_job *job)
{
    return job->longest_ns ? (json_int_t)(job->longest_ns / NS_PER_S) + START_S + GRACE_S
                           : UNKNOWN_S;
}

/* An argument as it must stand in a container, where $(NAME) is expanded and $$ means $. */
static json_t *quote_dollars(const char *text)
{
    size_t length = 0;
    char *quoted = xmalloc(2 * strlen(text) + 1);
    for (; *text; text++) {
        quoted[length++] = *text;
        if (*text == '$')
            quoted[length++] = '$';
    }
    json_t *string = json_stringn(quoted, length);
    free(quoted);
    return string;
}

static json_t *make_container(const struct load_job *job)
{
    size_t i;
    json_t *argument, *arguments = json_pack("[s, o]", "load", quote_dollars(job->target));
    json_array_foreach(job->arguments, i, argument)
        json_array_append_new(arguments, quote_dollars(json_string_value(argument)));
    json_t *container = json_pack("{s:s, s:s, s:[s], s:o}", "name", LOAD_JOB_CONTAINER, "image",
                                  job->image, "command", "/usr/bin/dpumesh", "args", arguments);
    if (job->pull_policy)
        json_object_set_new(container, "imagePullPolicy", json_string(job->pull_policy));
    json_object_set_new(container, "resources",
                        json_pack("{s:{s:s, s:s}}", "requests", "cpu", "100m", "memory", "64Mi"));
    json_object_set_new(container, "securityContext",
                        json_pack("{s:b, s:b, s:{s:[s]}}", "allowPrivilegeEscalation", 0,
                                  "readOnlyRootFilesystem", 1, "capabilities", "drop", "ALL"));
    return container;
}

static json_t *make_pod(const struct load_job *job, json_t *labels)
{
    json_t *spec = json_pack("{s:[o], s:s, s:i, s:b, s:b}", "containers", make_container(job),
                             "restartPolicy", "Never", "terminationGracePeriodSeconds", GRACE_S,
                             "automountServiceAccountToken", 0, "enableServiceLinks", 0);
    json_object_set_new(spec, "securityContext",
                        json_pack("{s:b, s:i, s:i, s:{s:s}}", "runAsNonRoot", 1, "runAsUser", USER,
                                  "runAsGroup", USER, "seccompProfile", "type", "RuntimeDefault"));
    if (json_array_size(job->pull_secrets) > 0)
        json_object_set(spec, "imagePullSecrets", job->pull_secrets);
    return json_pack("{s:{s:O}, s:o}", "metadata", "labels", labels, "spec", spec);
}

json_t *load_job_make(const struct load_job *job)
{
    json_auto_t *labels = json_pack("{s:s, s:s, s:s}", "app.kubernetes.io/name", LOAD_JOB_APP,
                                    "app.kubernetes.io/part-of", "mubench-dpu",
                                    "app.kubernetes.io/managed-by", "dpumesh");
    json_t *spec =
        json_pack("{s:i, s:i, s:I, s:o}", "backoffLimit", 0, "ttlSecondsAfterFinished", AFTER_END_S,
                  "activeDeadlineSeconds", deadline_s(job), "template", make_pod(job, labels));
    return json_pack("{s:s, s:s, s:{s:s, s:O}, s:o}", "apiVersion", "batch/v1", "kind", "Job",
                     "metadata", "generateName", LOAD_JOB_APP "-", "labels", labels, "spec", spec);
}

void load_job_free(struct load_job *job)
{
    free(job->target);
    free(job->image);
    free(job->pull_policy);
    json_decref(job->pull_secrets);
    *job = (struct load_job){.target = NULL};
}
