#include "ctl/local/plan.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "spec/agent_config.h"
#include "spec/application.h"

static const char YAML[] = "apiVersion: dpumesh.io/v1alpha1\n"
                           "kind: DpuService\n"
                           "metadata: {name: front}\n"
                           "spec:\n"
                           "  replicas: 2\n"
                           "  service: {type: NodePort, nodePorts: {bridge: 30005}}\n"
                           "  workload:\n"
                           "    path: /shop\n"
                           "    externalServices: [{services: [back]}]\n"
                           "---\n"
                           "apiVersion: dpumesh.io/v1alpha1\n"
                           "kind: DpuService\n"
                           "metadata: {name: back}\n";

static struct plan *make(const char *base)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_application struct application application = APPLICATION_INIT;
    struct in_addr address;
    inet_pton(AF_INET, base, &address);
    cr_assert_eq(documents_parse(YAML, strlen(YAML), "test.yaml", &documents, &problems), 0);
    cr_assert_eq(application_parse(&documents, "test.yaml", &application, &problems), 0, "%s",
                 problems.count ? problems.texts[0] : "");
    struct plan *plan = plan_new(address);
    for (size_t i = 0; i < application.count; i++) {
        cleanup_children struct children children = CHILDREN_INIT;
        cleanup_error struct error *err = NULL;
        spec_children(application.services[i], &children);
        cr_assert_eq(plan_add(plan, &children, &err), 0, "%s", error_message(err));
        cr_expect_lt(plan_add(plan, &children, &err), 0, "a name twice");
    }
    plan_connect(plan);
    return plan;
}

static bool has_endpoint(const struct plan_service *service, const char *text, bool node_port)
{
    bool found = false;
    for (size_t i = 0; i < service->endpoint_count; i++) {
        cleanup_buffer struct buffer out = BUFFER_INIT(256);
        plan_format_endpoint(service, &service->endpoints[i], &out);
        found |= strcmp(buffer_terminate(&out), text) == 0 &&
                 service->endpoints[i].node_port == node_port;
    }
    return found;
}

Test(plan, gives_each_service_an_address_and_node_ports)
{
    cleanup_plan struct plan *plan = make("127.0.0.1");
    cr_assert_eq(plan->service_count, 2);
    const struct plan_service *front = plan_find(plan, "front"), *back = plan_find(plan, "back");
    cr_assert(front && back);
    cr_expect_null(plan_find(plan, "other"));
    cr_expect_eq(front->replicas, 2);
    cr_expect_eq(back->replicas, 1);
    cr_expect(has_endpoint(front, "127.0.0.1:5005", false));
    cr_expect(has_endpoint(front, "http://127.0.0.1:8080/shop", false));
    cr_expect(has_endpoint(front, "127.0.0.1:30005", true));
    cr_expect(has_endpoint(back, "127.0.0.2:5005", false));
    cr_expect(has_endpoint(back, "http://127.0.0.2:8080/api/v1", false));
    cr_expect_eq(back->endpoint_count, 2);
    cr_expect_gt(front->drain_ns, 0);
}

Test(plan, makes_configurations_that_the_agent_accepts)
{
    cleanup_plan struct plan *plan = make("127.0.0.9");
    const struct plan_service *front = plan_find(plan, "front");
    char *text = plan_agent_config(front, "front-1", "127.0.0.1:4567");
    cleanup_agent_config struct agent_config *config = NULL;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cr_assert_eq(agent_config_parse(text, strlen(text), "x", &config, &problems), 0, "%s",
                 problems.count ? problems.texts[0] : "");
    cr_expect_str_eq(config->service, "front");
    cr_expect_str_eq(config->replica, "front-1");
    cr_assert(config->listen.bridge_count == 2 && config->listen.admin_count == 1);
    cr_expect_str_eq(config->listen.bridge[0], "127.0.0.9:5005");
    cr_expect_str_eq(config->listen.admin[0], "127.0.0.1:4567");
    cr_assert(config->peers_known && config->peer_count == 2);
    cr_expect_str_eq(config->peers[0].name, "back");
    cr_expect_str_eq(config->peers[0].bridge, "127.0.0.10:5005");
    cr_expect_str_eq(config->peers[0].http, "http://127.0.0.10:8080/api/v1");
    cr_expect_str_eq(config->peers[1].http, "http://127.0.0.9:8080/shop");
    free(text);
    /* The service's own configuration is not touched by one replica's. */
    cr_expect_null(json_object_get(front->agent, "replica"));
}
