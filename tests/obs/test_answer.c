#include "obs/answer.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/cleanup.h"

struct program {
    bool alive, ready;
    const char *reason;
    size_t config_bytes;
};

static bool alive(void *context, struct buffer *reason)
{
    struct program *program = context;
    if (!program->alive && program->reason)
        buffer_puts(reason, program->reason);
    return program->alive;
}

static bool ready(void *context, struct buffer *reason)
{
    struct program *program = context;
    buffer_puts(reason, program->reason ? program->reason : "");
    return program->ready;
}

static int config(void *context, struct buffer *body)
{
    struct program *program = context;
    int ret = buffer_puts(body, "{");
    for (size_t i = 0; ret == 0 && i < program->config_bytes; i++)
        ret = buffer_puts(body, " ");
    return ret < 0 ? ret : buffer_puts(body, "}");
}

static int targets(void *context, struct buffer *body)
{
    return buffer_printf(body, "[\"%s\"]", (const char *)context);
}

static struct program program;
static struct answer_route routes[] = {{"/targets", "application/json", targets, NULL}};
static struct answer_hooks hooks;

static void setup(void)
{
    static const struct metric_spec spec = {"x_total", "X.", .kind = METRIC_COUNTER};
    static char who[] = "me";
    program = (struct program){.alive = true, .ready = true};
    routes[0].context = who;
    hooks = (struct answer_hooks){.metrics = metrics_new(),
                                  .healthy = alive,
                                  .ready = ready,
                                  .config = config,
                                  .context = &program,
                                  .routes = routes,
                                  .route_count = 1};
    metric_series(metrics_family(hooks.metrics, &spec), NULL);
}

static void teardown(void)
{
    metrics_free(hooks.metrics);
}

TestSuite(answer, .init = setup, .fini = teardown);

static void expect(const char *method, const char *path, const char *accept, int status,
                   const char *type, const char *want)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(4096);
    struct answer answer;
    buffer_puts(&body, "left over");
    answer_request(&hooks, method, path, accept, &answer, &body);
    cr_assert_eq(answer.status, status, "%s %s: %d", method, path, answer.status);
    cr_assert_str_eq(answer.content_type, type);
    cr_assert_str_eq(buffer_terminate(&body), want);
    cr_assert_eq(answer.head, strcmp(method, "HEAD") == 0);
    if (status == 405)
        cr_assert_str_eq(answer.allow, "GET, HEAD");
    else
        cr_assert_null(answer.allow);
}

static const char plain[] = "text/plain; charset=utf-8";

Test(answer, pages)
{
    static const char metrics_text[] = "# HELP x_total X.\n# TYPE x_total counter\nx_total 0\n";
    static const char open[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    expect("GET", "/metrics", NULL, 200, "text/plain; version=0.0.4; charset=utf-8", metrics_text);
    expect("HEAD", "/metrics?name=x", "*/*", 200, "text/plain; version=0.0.4; charset=utf-8",
           metrics_text);
    expect("GET", "/metrics", "application/openmetrics-text", 200, open,
           "# HELP x X.\n# TYPE x counter\nx_total 0\n# EOF\n");
    expect("GET", "/healthz", NULL, 200, plain, "ok\n");
    expect("GET", "/readyz?verbose", NULL, 200, plain, "ok\n");
    expect("GET", "/config", NULL, 200, "application/json", "{}");
    expect("GET", "/targets", NULL, 200, "application/json", "[\"me\"]");

    program = (struct program){.alive = false, .ready = false};
    expect("GET", "/healthz", NULL, 503, plain, "not healthy\n");
    expect("HEAD", "/readyz", NULL, 503, plain, "not ready\n");
    program.reason = "draining";
    expect("GET", "/healthz", NULL, 503, plain, "draining\n");
    expect("GET", "/readyz", NULL, 503, plain, "draining\n");
    program.ready = true;
    expect("GET", "/readyz", NULL, 200, plain, "ok\n");
}

Test(answer, families_that_a_query_names)
{
    static const struct metric_spec gauge = {"y", "Y.", .kind = METRIC_GAUGE};
    static const char text[] = "text/plain; version=0.0.4; charset=utf-8";
    static const char open[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    static const char x[] = "# HELP x_total X.\n# TYPE x_total counter\nx_total 0\n";
    static const char y[] = "# HELP y Y.\n# TYPE y gauge\ny 0\n";
    static const char both[] = "# HELP x_total X.\n# TYPE x_total counter\nx_total 0\n"
                               "# HELP y Y.\n# TYPE y gauge\ny 0\n";
    metric_series(metrics_family(hooks.metrics, &gauge), NULL);

    expect("GET", "/metrics?name[]=y", NULL, 200, text, y);
    expect("HEAD", "/metrics?name%5B%5D=x_total", NULL, 200, text, x);
    expect("GET", "/metrics?name[]=y&name[]=x_total&name[]=z", NULL, 200, text, both);
    expect("GET", "/metrics?", NULL, 200, text, both);
    expect("GET", "/metrics#?name[]=y", NULL, 200, text, both);
    expect("GET", "/metrics?name[]=z", NULL, 200, text, "");
    expect("GET", "/metrics?name[]=x_total", "application/openmetrics-text", 200, open,
           "# HELP x X.\n# TYPE x counter\nx_total 0\n# EOF\n");
    expect("GET", "/metrics?name[]=z", "application/openmetrics-text", 200, open, "# EOF\n");
    expect("GET", "/healthz?name[]=z", NULL, 200, plain, "ok\n");

    /* As long as it may be, and a byte longer. */
    char path[ANSWER_PATH_MAX + 2] = "/metrics?name[]=y&";
    size_t begin = strlen(path);
    memset(path + begin, 'a', ANSWER_PATH_MAX - begin);
    expect("GET", path, NULL, 200, text, y);
    path[ANSWER_PATH_MAX] = 'a';
    expect("GET", path, NULL, 400, plain, "path and query take more than 2048 bytes\n");
    memcpy(path, "/healthz", 8);
    expect("GET", path, NULL, 200, plain, "ok\n");
}

Test(answer, refusals)
{
    static const char all[] =
        "there is no such page; try /metrics, /healthz, /readyz, /config, /targets\n";
    static const char *const wrong[] = {"/",        "",          "/metrics/",   "/metricsx",
                                        "/METRICS", "/metric",   "metrics",     "//metrics",
                                        "/target",  "?/metrics", "/../metrics", "/healthz%20"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expect("GET", wrong[i], NULL, 404, plain, all);
        expect("POST", wrong[i], NULL, 404, plain, all);
        cr_assert_not(answer_knows(&hooks, wrong[i]), "%s", wrong[i]);
    }
    static const char *const known[] = {"/metrics", "/healthz?x", "/readyz", "/config",
                                        "/targets?"};
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "get", ""};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        cr_assert(answer_knows(&hooks, known[i]));
        for (size_t j = 0; j < sizeof(methods) / sizeof(methods[0]); j++)
            expect(methods[j], known[i], NULL, 405, plain, "this page is read with GET or HEAD\n");
    }
    program.config_bytes = 5000;
    expect("GET", "/config", NULL, 500, plain, "the page is larger than may be sent\n");

    /* Hooks that are not there: no such page, or good by default. */
    metrics_free(hooks.metrics);
    hooks = (struct answer_hooks){.metrics = NULL};
    expect("GET", "/healthz", NULL, 200, plain, "ok\n");
    expect("GET", "/readyz", NULL, 200, plain, "ok\n");
    expect("GET", "/metrics", NULL, 404, plain, "there is no such page; try /healthz, /readyz\n");
    expect("GET", "/config", NULL, 404, plain, "there is no such page; try /healthz, /readyz\n");
}
