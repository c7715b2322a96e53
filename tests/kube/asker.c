/*
 * A client of lib/kube for the tests of TLS and of who we are, which need a whole process and a
 * kubeconfig. One request a line of standard input, one JSON object a line of standard output:
 *
 *     $ asker KUBECONFIG              or the directory of a service account, as a pod has it
 *     GET /version
 *     {"ret": 0, "status": 200, "message": null, "answer": {...}, "warnings": []}
 *     POST /apis/... {"kind": ...}
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kube/client.h"

static void warned(void *context, const char *what, const char *text)
{
    (void)what;
    json_array_append_new(context, json_string(text));
}

/* line: "METHOD PATH [BODY]"; changed. */
static void ask(struct kube_client *client, json_t *warnings, char *line)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    char *path = line + strcspn(line, " \n");
    if (*path)
        *path++ = '\0';
    char *text = path + strcspn(path, " \n");
    if (*text)
        *text++ = '\0';
    json_auto_t *body = *text ? json_loads(text, 0, NULL) : NULL;
    int ret = kube_request(client, line, path, NULL, NULL, body, &result);
    json_auto_t *said =
        json_pack("{s:i, s:i, s:s?, s:O?, s:O}", "ret", ret, "status", result.status, "message",
                  result.message, "answer", result.object, "warnings", warnings);
    json_dumpf(said, stdout, JSON_COMPACT);
    json_array_clear(warnings);
    putchar('\n');
    fflush(stdout);
}

int main(int argc, char **argv)
{
    cleanup_error struct error *err = NULL;
    cleanup_kube_config struct kube_config *config = NULL;
    json_auto_t *warnings = json_array();
    struct kube_config_options options = {.kubeconfig = argc > 1 ? argv[1] : ""};
    struct kube_client_options calls = {.user_agent = "asker/1",
                                        .timeout_ns = 5 * NS_PER_S,
                                        .warning = warned,
                                        .warning_context = warnings};
    struct kube_client *client = NULL;
    struct stat status;

    if (stat(options.kubeconfig, &status) == 0 && S_ISDIR(status.st_mode)) {
        options.in_cluster = true;
        options.service_account_directory = options.kubeconfig;
    }
    if (kube_config_load(&options, &config, &err) < 0 ||
        kube_client_new(config, &calls, &client, &err) < 0) {
        fprintf(stderr, "%s\n", error_message(err));
        return 1;
    }
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0)
        ask(client, warnings, line);
    free(line);
    kube_client_free(client);
    return 0;
}
