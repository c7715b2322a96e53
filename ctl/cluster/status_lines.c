#include "ctl/cluster/status_lines.h"

#include <string.h>

#include "ctl/cluster/dig.h"

static struct status_line line_of(const char *condition, const json_t *told)
{
    return (struct status_line){.condition = condition,
                                .reason = dig_text(told, "reason", NULL),
                                .message = dig_text(told, "message", NULL),
                                .since = dig_text(told, "lastTransitionTime", NULL)};
}

/* Spec and status are of different generations, or nobody wrote a status yet. */
static bool is_unseen(const json_t *service)
{
    return !dig_condition(service, "Ready") ||
           dig_number(service, "status", "observedGeneration", NULL) <
               dig_number(service, "metadata", "generation", NULL);
}

/* Somebody set replicas to 0, which is how an autoscaler is told to rest. */
static bool is_switched_off(const json_t *autoscaling)
{
    return strcmp(dig_text(autoscaling, "reason", NULL), "ScalingDisabled") == 0;
}

size_t status_lines(const json_t *service, struct status_line ret_lines[STATUS_LINES_MAX])
{
    const json_t *autoscaling = dig_condition(service, "Autoscaling");
    size_t count = 0;
    if (is_unseen(service))
        ret_lines[count++] =
            (struct status_line){.condition = "Not seen",
                                 .reason = "NoOperator",
                                 .message = "no operator has looked at its present spec",
                                 .since = dig_text(service, "metadata", "creationTimestamp", NULL)};
    else if (dig_is_true(service, "Stalled"))
        ret_lines[count++] = line_of("Stalled", dig_condition(service, "Stalled"));
    else if (!dig_is_true(service, "Ready"))
        ret_lines[count++] = line_of("Not ready", dig_condition(service, "Ready"));
    else if (dig_is_true(service, "Reconciling"))
        ret_lines[count++] = line_of("Reconciling", dig_condition(service, "Reconciling"));
    if (strcmp(dig_text(autoscaling, "status", NULL), "False") == 0 &&
        !is_switched_off(autoscaling))
        ret_lines[count++] = line_of("Autoscaling", autoscaling);
    return count;
}
