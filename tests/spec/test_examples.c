/* Every file under examples/ is a right application, and its children can be made. */
#include <criterion/criterion.h>
#include <glob.h>
#include <string.h>

#include "base/clock.h"
#include "spec/agent_config.h"
#include "spec/application.h"
#include "spec/children.h"

static void check_children(const struct dpuservice *service, const char *path)
{
    cleanup_children struct children children = CHILDREN_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_agent_config struct agent_config *config = NULL;

    spec_children(service, &children);
    const char *text = json_string_value(json_object_get(
        json_object_get(children.objects[CHILD_CONFIG_MAP], "data"), CHILD_CONFIG_KEY));
    cr_assert_eq(agent_config_parse(text, strlen(text), path, &config, &problems), 0, "%s",
                 problems.count ? problems.texts[0] : "no sentence");
}

Test(examples, all_are_right)
{
    glob_t files;
    cr_assert_eq(glob(EXAMPLES_DIRECTORY "/*.yaml", 0, NULL, &files), 0);
    cr_assert_geq(files.gl_pathc, 4);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        cleanup_application struct application app = APPLICATION_INIT;
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        const char *path = files.gl_pathv[i];
        int ret = application_load(&path, 1, &app, &problems);
        cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "no sentence");
        cr_assert_eq(app.skipped.count, 0);
        for (size_t j = 0; j < app.count; j++)
            check_children(app.services[j], path);
    }
    globfree(&files);
}

/* The README's promise: s0 on node port 30005 calls s1 and s2, 50 ms each. */
Test(examples, original)
{
    cleanup_application struct application app = APPLICATION_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    const char *path = EXAMPLES_DIRECTORY "/original.yaml";

    cr_assert_eq(application_load(&path, 1, &app, &problems), 0);
    cr_assert_eq(app.count, 3);
    const struct dpuservice *s0 = application_find(&app, "s0");
    cr_assert_not_null(s0);
    cr_assert_eq(s0->service.type, SERVICE_NODE_PORT);
    cr_assert_eq(s0->service.bridge_node_port, 30005);
    cr_assert_eq(s0->egress.latency.kind, DISTRIBUTION_CONSTANT);
    cr_assert_eq(s0->egress.latency.value_ns, 50 * NS_PER_MS);
    cr_assert_eq(s0->workload.group_count, 1);
    cr_assert_str_eq(s0->workload.groups[0].calls[0].service, "s1");
    cr_assert_str_eq(s0->workload.groups[0].calls[1].service, "s2");
    cr_assert_not_null(application_find(&app, "s1"));
    cr_assert_not_null(application_find(&app, "s2"));
}
