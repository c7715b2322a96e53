#include "obs/answer.h"

#include <string.h>

static const char text_plain[] = "text/plain; charset=utf-8";
static const char json[] = "application/json";

enum page { PAGE_METRICS, PAGE_HEALTHZ, PAGE_READYZ, PAGE_CONFIG, PAGE_ROUTE, PAGE_NONE };

static const char *const page_paths[] = {[PAGE_METRICS] = "/metrics",
                                         [PAGE_HEALTHZ] = "/healthz",
                                         [PAGE_READYZ] = "/readyz",
                                         [PAGE_CONFIG] = "/config"};

static bool page_exists(const struct answer_hooks *hooks, enum page page)
{
    return (page != PAGE_METRICS || hooks->metrics) && (page != PAGE_CONFIG || hooks->config);
}

static bool path_is(const char *path, const char *known)
{
    size_t length = strcspn(path, "?#");
    return strlen(known) == length && memcmp(path, known, length) == 0;
}

static enum page page_find(const struct answer_hooks *hooks, const char *path,
                           const struct answer_route **ret_route)
{
    for (enum page page = PAGE_METRICS; page <= PAGE_CONFIG; page++)
        if (page_exists(hooks, page) && path_is(path, page_paths[page]))
            return page;
    for (size_t i = 0; i < hooks->route_count; i++) {
        if (path_is(path, hooks->routes[i].path)) {
            *ret_route = &hooks->routes[i];
            return PAGE_ROUTE;
        }
    }
    return PAGE_NONE;
}

bool answer_knows(const struct answer_hooks *hooks, const char *path)
{
    const struct answer_route *route;
    return page_find(hooks, path, &route) != PAGE_NONE;
}

static void answer_sentence(struct answer *answer, struct buffer *body, int status,
                            const char *sentence)
{
    answer->status = status;
    answer->content_type = text_plain;
    buffer_clear(body);
    buffer_puts(body, sentence); /* shorter than any cap that body may have */
}

/* "there is no such page; try /metrics, /healthz or /readyz": all paths that do exist. */
static void answer_not_found(const struct answer_hooks *hooks, struct answer *answer,
                             struct buffer *body)
{
    const char *separator = "";
    answer_sentence(answer, body, 404, "there is no such page; try ");
    for (enum page page = PAGE_METRICS; page <= PAGE_CONFIG; page++) {
        if (!page_exists(hooks, page))
            continue;
        buffer_printf(body, "%s%s", separator, page_paths[page]);
        separator = ", ";
    }
    for (size_t i = 0; i < hooks->route_count; i++)
        buffer_printf(body, ", %s", hooks->routes[i].path);
    buffer_puts(body, "\n");
}

static void answer_check(const struct answer_hooks *hooks, enum page page, struct answer *answer,
                         struct buffer *body)
{
    bool (*check)(void *, struct buffer *) = page == PAGE_READYZ ? hooks->ready : hooks->healthy;
    answer->content_type = text_plain;
    bool good = !check || check(hooks->context, body);
    answer->status = good ? 200 : 503;
    if (good || body->length == 0) {
        buffer_clear(body);
        buffer_puts(body, good ? "ok" : page == PAGE_READYZ ? "not ready" : "not healthy");
    }
    buffer_puts(body, "\n");
}

static int answer_metrics(const struct answer_hooks *hooks, const char *path, const char *accept,
                          struct answer *answer, struct buffer *body)
{
    const char *query = path + strcspn(path, "?#");
    enum metrics_format format = metrics_negotiate(accept);
    if (strlen(path) > ANSWER_PATH_MAX) {
        answer_sentence(answer, body, 400, "path and query take more than 2048 bytes\n");
        return 0;
    }
    answer->content_type = metrics_content_type(format);
    return metrics_expose_asked(hooks->metrics, format, *query == '?' ? query + 1 : "", body);
}

static int answer_page(const struct answer_hooks *hooks, enum page page,
                       const struct answer_route *route, const char *path, const char *accept,
                       struct answer *answer, struct buffer *body)
{
    answer->status = 200;
    switch (page) {
    case PAGE_METRICS:
        return answer_metrics(hooks, path, accept, answer, body);
    case PAGE_CONFIG:
        answer->content_type = json;
        return hooks->config(hooks->context, body);
    case PAGE_ROUTE:
        answer->content_type = route->content_type;
        return route->write(route->context, body);
    case PAGE_HEALTHZ:
    case PAGE_READYZ:
    case PAGE_NONE:
        break;
    }
    answer_check(hooks, page, answer, body);
    return 0;
}

void answer_request(const struct answer_hooks *hooks, const char *method, const char *path,
                    const char *accept, struct answer *ret_answer, struct buffer *body)
{
    const struct answer_route *route = NULL;
    enum page page = page_find(hooks, path, &route);
    *ret_answer = (struct answer){.head = strcmp(method, "HEAD") == 0};
    buffer_clear(body);
    if (page == PAGE_NONE) {
        answer_not_found(hooks, ret_answer, body);
    } else if (!ret_answer->head && strcmp(method, "GET") != 0) {
        answer_sentence(ret_answer, body, 405, "this page is read with GET or HEAD\n");
        ret_answer->allow = "GET, HEAD";
    } else if (answer_page(hooks, page, route, path, accept, ret_answer, body) < 0) {
        answer_sentence(ret_answer, body, 500, "the page is larger than may be sent\n");
    }
}
