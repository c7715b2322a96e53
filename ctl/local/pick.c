#include "ctl/local/pick.h"

#include <errno.h>

#include "base/buffer.h"
#include "ctl/local/control.h"
#include "ctl/local/supervisor.h"
#include "ctl/terminal.h"

int pick_application(const char *name, struct rundir *ret_dir, struct error **err)
{
    if (name && !rundir_name_valid(name)) {
        error_make(err, EINVAL,
                   "--name %s: an application's name has lower-case letters, digits and dashes",
                   name);
        return STATUS_USAGE;
    }
    if (name)
        return rundir_open(name, ret_dir, err) < 0 ? STATUS_NOT_RUNNING : STATUS_OK;

    char **names;
    size_t count;
    if (rundir_list(&names, &count, err) < 0)
        return STATUS_NOT_RUNNING;
    int status = STATUS_OK;
    cleanup_buffer struct buffer list = BUFFER_INIT(65536);
    for (size_t i = 0; i < count; i++)
        buffer_printf(&list, "%s%s", i ? ", " : "", names[i]);
    if (count == 0) {
        error_make(err, ENOENT, "no application is running; start one with \"dpumesh up -f FILE\"");
        status = STATUS_NOT_RUNNING;
    } else if (count > 1) {
        error_make(err, EINVAL, "several applications are running (%s); choose one with --name",
                   buffer_terminate(&list));
        status = STATUS_USAGE;
    } else if (rundir_open(names[0], ret_dir, err) < 0) {
        status = STATUS_NOT_RUNNING;
    }
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return status;
}

/* What an answer that did not come in time waits for: the replicas that are not ready, and why. */
static void tell_who_is_late(const struct rundir *dir)
{
    json_auto_t *answer = NULL;
    if (control_call(dir, json_pack("{s:s}", "verb", "ps"), CONTROL_TIMEOUT_NS, false, &answer,
                     NULL) < 0)
        return;
    const json_t *application = json_object_get(answer, "application");
    size_t i, j;
    json_t *service, *replica;
    json_array_foreach(json_object_get(application, "services"), i, service)
    {
        json_array_foreach(json_object_get(service, "replicas"), j, replica)
        {
            const char *end = json_string_value(json_object_get(replica, "lastEnd"));
            if (!json_is_true(json_object_get(replica, "ready")))
                say("%s is in state %s%s%s", json_string_value(json_object_get(replica, "name")),
                    json_string_value(json_object_get(replica, "state")), end ? "; last end: " : "",
                    end ? end : "");
        }
    }
}

int pick_and_call(const char *name, json_t *request, uint64_t timeout_ns, bool until_gone,
                  json_t **ret_application)
{
    cleanup_error struct error *err = NULL;
    cleanup_rundir struct rundir dir = RUNDIR_INIT;
    json_auto_t *answer = NULL;
    int status = pick_application(name, &dir, &err);
    if (status != STATUS_OK) {
        json_decref(request);
        return complain(status, "%s", error_message(err));
    }
    int r = control_call(&dir, request, timeout_ns, until_gone, &answer, &err);
    if (r < 0) {
        complain(STATUS_FAILED, "%s: %s", dir.name, error_message(err));
        if (r == -ETIMEDOUT)
            tell_who_is_late(&dir);
        return STATUS_FAILED;
    }
    if (!json_is_true(json_object_get(answer, "ok"))) {
        const char *why = json_string_value(json_object_get(answer, "error"));
        json_int_t code = json_integer_value(json_object_get(answer, "status"));
        return complain(code > 0 && code < 126 ? (int)code : STATUS_FAILED, "%s",
                        why ? why : "refused without a reason");
    }
    if (ret_application)
        *ret_application = json_incref(json_object_get(answer, "application"));
    return STATUS_OK;
}
