#include "ctl/cluster/status_lines.h"

#include <criterion/criterion.h>

#include "base/cleanup.h"

struct condition {
    const char *type, *status, *reason;
};

/* A DpuService of generation 2, whose status is of this one. */
static json_t *service(int observed, const struct condition *conditions, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "type", conditions[i].type,
                                              "status", conditions[i].status, "reason",
                                              conditions[i].reason, "message", "m"));
    return json_pack("{s:{s:i}, s:{s:i, s:o}}", "metadata", "generation", 2, "status",
                     "observedGeneration", observed, "conditions", list);
}

static void expect(int observed, const struct condition *conditions, size_t count,
                   const char *first, const char *second)
{
    struct status_line lines[STATUS_LINES_MAX];
    const char *wanted[] = {first, second};
    json_auto_t *one = service(observed, conditions, count);
    size_t found = status_lines(one, lines);
    cr_assert_eq(found, (size_t)((first != NULL) + (second != NULL)));
    for (size_t i = 0; i < found; i++)
        cr_assert_str_eq(lines[i].condition, wanted[i]);
}

Test(status_lines, one_state_of_affairs_is_one_line)
{
    static const struct condition fine[] = {{"Ready", "True", "AllReplicasReady"},
                                            {"Reconciling", "False", "Settled"},
                                            {"Stalled", "False", "NoObstacle"},
                                            {"Scaling", "True", "ScaledByOthers"},
                                            {"Autoscaling", "True", "Steady"}};
    static const struct condition stalled[] = {{"Ready", "False", "ImagePullBackOff"},
                                               {"Stalled", "True", "ImagePullBackOff"}};
    static const struct condition rolling[] = {{"Ready", "False", "RollingOut"},
                                               {"Reconciling", "True", "RollingOut"}};
    static const struct condition busy[] = {{"Ready", "True", "AllReplicasReady"},
                                            {"Reconciling", "True", "WaitingForDeletion"}};
    static const struct condition blind[] = {{"Ready", "False", "RollingOut"},
                                             {"Autoscaling", "False", "NoFigures"}};
    static const struct condition off[] = {{"Ready", "True", "AllReplicasReady"},
                                           {"Autoscaling", "False", "ScalingDisabled"}};
    expect(2, fine, 5, NULL, NULL);
    expect(2, off, 2, NULL, NULL);
    expect(1, fine, 5, "Not seen", NULL);
    expect(2, NULL, 0, "Not seen", NULL);
    expect(2, stalled, 2, "Stalled", NULL);
    expect(2, rolling, 2, "Not ready", NULL);
    expect(2, busy, 2, "Reconciling", NULL);
    expect(2, blind, 2, "Not ready", "Autoscaling");
}
