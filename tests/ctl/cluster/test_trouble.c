#include "ctl/cluster/trouble.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/cluster/operator_version.h"

static void expect(const char *status, const char *trouble)
{
    json_auto_t *pod = json_pack("{s:o}", "status", json_loads(status, 0, NULL));
    cleanup_free char *text = trouble_of_pod(pod);
    if (trouble)
        cr_assert_str_eq(text ? text : "none", trouble);
    else
        cr_assert_null(text, "%s", text);
}

Test(trouble, tells_what_keeps_a_pod_from_running)
{
    expect("{}", NULL);
    expect("{\"phase\": \"Running\", \"containerStatuses\": [{\"state\": {\"running\": {}}}]}",
           NULL);
    expect("{\"containerStatuses\": [{\"state\": {\"waiting\": {\"reason\": "
           "\"ContainerCreating\"}}}]}",
           NULL);
    expect("{\"containerStatuses\": [{\"state\": {\"waiting\": {\"reason\": \"ErrImagePull\", "
           "\"message\": \"no such image\"}}}]}",
           "ErrImagePull: no such image");
    expect("{\"containerStatuses\": [{\"state\": {\"waiting\": {\"reason\": \"CrashLoopBackOff\", "
           "\"message\": \"back-off\"}}, \"lastState\": {\"terminated\": {\"exitCode\": 2, "
           "\"reason\": \"Error\"}}}]}",
           "CrashLoopBackOff: it ended with status 2");
    expect("{\"containerStatuses\": [{\"state\": {\"terminated\": {\"exitCode\": 137, \"reason\": "
           "\"OOMKilled\"}}}]}",
           "it was killed by signal 9 (OOMKilled)");
    expect("{\"containerStatuses\": [{\"state\": {\"terminated\": {\"exitCode\": 0}}}]}", NULL);
    expect(
        "{\"initContainerStatuses\": [{\"state\": {\"waiting\": {\"reason\": \"RunError\"}}}], "
        "\"containerStatuses\": [{\"state\": {\"waiting\": {\"reason\": \"PodInitializing\"}}}]}",
        "RunError");
    expect("{\"conditions\": [{\"type\": \"PodScheduled\", \"status\": \"False\", \"reason\": "
           "\"Unschedulable\", \"message\": \"0/1 nodes are available\"}]}",
           "Unschedulable: 0/1 nodes are available");
    expect("{\"phase\": \"Failed\", \"reason\": \"Evicted\", \"message\": \"low on memory\"}",
           "Evicted: low on memory");
}

Test(trouble, a_pod_that_goes_is_not_ready)
{
    const char *ready = "{\"conditions\": [{\"type\": \"Ready\", \"status\": \"True\"}]}";
    json_auto_t *pod = json_pack("{s:o, s:{}}", "status", json_loads(ready, 0, NULL), "metadata");
    cr_assert(pod_is_ready(pod));
    json_object_set_new(json_object_get(pod, "metadata"), "deletionTimestamp", json_string("x"));
    cr_assert_not(pod_is_ready(pod));
}

static char *version_on(const char *page)
{
    return operator_version_read(page, strlen(page));
}

Test(operator_version, is_what_the_page_says)
{
    cleanup_free char *version = version_on("up{version=\"9\"} 1\ndpumesh_build_info{component="
                                            "\"operator\",version=\"0.1.0\"} 1\n");
    cr_assert_str_eq(version, "0.1.0");
    cr_assert_null(version_on("dpumesh_build_info 1\n"));
    cr_assert_null(version_on("dpumesh_build_info{version=\"1\"} 1\n<html>\n"));
    cr_assert_null(version_on(""));
}
