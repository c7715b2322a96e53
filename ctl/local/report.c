#include "ctl/local/report.h"

#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "ctl/local/admin_page.h"
#include "ctl/local/listener.h"
#include "ctl/table.h"

static const char *const PHASES[] = {
    [PHASE_STARTING] = "starting",
    [PHASE_RUNNING] = "running",
    [PHASE_STOPPING] = "stopping",
};

static json_t *endpoints(const struct plan_service *service, enum plan_kind kind)
{
    json_t *list = json_array();
    for (size_t i = 0; i < service->endpoint_count; i++) {
        if (service->endpoints[i].kind != kind)
            continue;
        cleanup_buffer struct buffer text = BUFFER_INIT(65536);
        plan_format_endpoint(service, &service->endpoints[i], &text);
        json_array_append_new(list, json_string(buffer_terminate(&text)));
    }
    return list;
}

static json_t *instant(time_t at)
{
    struct tm utc;
    char text[32];
    if (at == 0 || !gmtime_r(&at, &utc))
        return json_null();
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
    return json_string(text);
}

static json_t *report_replica(const struct replica *replica)
{
    char address[LISTENER_TEXT_MAX];
    cleanup_free char *admin = xasprintf("http://%s", listener_format(&replica->admin, address));
    cleanup_free char *log = rundir_file(replica->shared->dir, "logs", replica->name, ".log");
    return json_pack("{s:s, s:i, s:s, s:b, s:i, s:s, s:o, s:s?, s:s}", "name", replica->name, "pid",
                     (int)replica->pid, "state", replica_state_name(replica->state), "ready",
                     replica->state == REPLICA_READY, "restarts", (int)replica->restarts, "admin",
                     admin, "startedAt", instant(replica->started_at), "lastEnd", replica->last_end,
                     "log", log);
}

static json_t *report_service(const struct local_service *service)
{
    json_t *replicas = json_array();
    for (size_t i = 0; i < service->replica_count; i++)
        json_array_append_new(replicas, report_replica(service->replicas[i]));
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:o, s:o, s:o}", "name", service->plan->name,
                     "mode", plan_mode(service->plan), "profile", plan_profile(service->plan),
                     "desired", (int)service->desired, "ready", (int)supervisor_ready(service),
                     "restarts", (int)supervisor_restarts(service), "bridge",
                     endpoints(service->plan, PLAN_BRIDGE), "http",
                     endpoints(service->plan, PLAN_HTTP), "replicas", replicas);
}

json_t *report_application(const struct supervisor *up)
{
    json_t *services = json_array();
    for (size_t i = 0; i < up->service_count; i++)
        json_array_append_new(services, report_service(&up->services[i]));
    cleanup_free char *page =
        up->page ? xasprintf("http://%s", admin_page_address(up->page)) : NULL;
    return json_pack("{s:s, s:i, s:s, s:s, s:s?, s:o}", "name", up->options->name, "pid",
                     (int)getpid(), "state", PHASES[up->phase], "runDirectory", up->dir.path,
                     "page", page, "services", services);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static char *join(const json_t *list)
{
    struct buffer text = BUFFER_INIT(65536);
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
        buffer_printf(&text, "%s%s", i ? ", " : "", json_string_value(item));
    return buffer_terminate(&text);
}

static void print_replicas(const json_t *services, FILE *file)
{
    cleanup_table struct table table = TABLE_INIT;
    table_column(&table, "REPLICA");
    table_column(&table, "STATE");
    table_column(&table, ">PID");
    table_column(&table, ">RESTARTS");
    table_column(&table, "ADMIN");
    table_column(&table, "LAST END");
    size_t i, j;
    json_t *service, *replica;
    json_array_foreach(services, i, service)
    {
        json_array_foreach(json_object_get(service, "replicas"), j, replica)
        {
            table_cell(&table, "%s", text_of(replica, "name"));
            table_cell(&table, "%s", text_of(replica, "state"));
            if (number_of(replica, "pid") > 0)
                table_cell(&table, "%lld", number_of(replica, "pid"));
            else
                table_cell(&table, "-");
            table_cell(&table, "%lld", number_of(replica, "restarts"));
            table_cell(&table, "%s", text_of(replica, "admin"));
            table_cell(&table, "%s", text_of(replica, "lastEnd"));
        }
    }
    table_print(&table, file);
}

void report_print(const json_t *application, bool wide, FILE *file)
{
    cleanup_table struct table table = TABLE_INIT;
    table_column(&table, "SERVICE");
    table_column(&table, "MODE");
    table_column(&table, ">REPLICAS");
    table_column(&table, ">READY");
    table_column(&table, "BRIDGE");
    table_column(&table, "HTTP");
    const json_t *services = json_object_get(application, "services");
    size_t i;
    json_t *service;
    json_array_foreach(services, i, service)
    {
        cleanup_free char *bridge = join(json_object_get(service, "bridge"));
        cleanup_free char *http = join(json_object_get(service, "http"));
        table_cell(&table, "%s", text_of(service, "name"));
        table_cell(&table, "%s", text_of(service, "mode"));
        table_cell(&table, "%lld", number_of(service, "desired"));
        table_cell(&table, "%lld/%lld", number_of(service, "ready"), number_of(service, "desired"));
        table_cell(&table, "%s", bridge);
        table_cell(&table, "%s", http);
    }
    table_print(&table, file);
    if (wide) {
        fputc('\n', file);
        print_replicas(services, file);
    }
    const char *page = text_of(application, "page");
    if (page[0])
        fprintf(file, "metrics: %s/metrics   targets: %s/targets\n", page, page);
    fflush(file);
}

json_t *report_targets(const json_t *application)
{
    json_t *groups = json_array();
    size_t i, j;
    json_t *service, *replica;
    json_array_foreach(json_object_get(application, "services"), i, service)
    {
        json_array_foreach(json_object_get(service, "replicas"), j, replica)
        {
            const char *admin = text_of(replica, "admin");
            if (strncmp(admin, "http://", 7) != 0)
                continue;
            json_array_append_new(
                groups, json_pack("{s:[s], s:{s:s, s:s, s:s}}", "targets", admin + 7, "labels",
                                  "application", text_of(application, "name"), "service",
                                  text_of(service, "name"), "replica", text_of(replica, "name")));
        }
    }
    return groups;
}
