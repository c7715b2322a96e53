#include "ctl/load_plan.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

/* A request names no work by itself; muBench's services answer on this path. */
#define DEFAULT_PATH "/api/v1"

static int body_read(const char *option, struct buffer *out, struct error **err)
{
    if (option[0] != '@')
        return buffer_puts(out, option) < 0
                   ? error_make(err, EINVAL, "--body: longer than %d bytes", LOAD_BODY_MAX)
                   : 0;
    if (file_read(option + 1, out, err) < 0)
        return error_prefix(err, -EINVAL, "--body");
    return 0;
}

/* The value of a "Name: value" header, or NULL when it is not this one (or has no colon). */
static const char *header_value(const char *header, const char *name)
{
    size_t size = strlen(name);
    if (strncasecmp(header, name, size) != 0 || header[size] != ':')
        return NULL;
    return header + size + 1 + strspn(header + size + 1, " \t");
}

static bool has_header(const struct load_options *options, const char *name)
{
    for (size_t i = 0; i < options->headers.count; i++)
        if (header_value(options->headers.items[i], name))
            return true;
    return false;
}

static int headers_check(const struct load_options *options, struct error **err)
{
    for (size_t i = 0; i < options->headers.count; i++) {
        const char *header = options->headers.items[i], *colon = strchr(header, ':');
        if (!colon || colon == header || strpbrk(header, "\r\n") ||
            strcspn(header, " \t") < (size_t)(colon - header))
            return error_make(err, EINVAL, "--header \"%s\": give \"Name: value\"", header);
    }
    return 0;
}

static const char *method_of(const struct load_options *options, bool body)
{
    return options->method ? options->method : body ? "POST" : "GET";
}

static int write_http(const struct load_target *target, const struct load_options *options,
                      const char *path, const char *query, const char *body, size_t body_length,
                      bool keep_alive, struct buffer *out)
{
    bool v6 = strchr(target->host, ':');
    int r = buffer_printf(out, "%s %s%s%s HTTP/1.1\r\n", method_of(options, body), path,
                          query ? "?" : "", query ? query : "");
    if (!has_header(options, "host"))
        r |= buffer_printf(out, "Host: %s%s%s:%s\r\n", v6 ? "[" : "", target->host, v6 ? "]" : "",
                           target->port);
    for (size_t i = 0; i < options->headers.count; i++)
        r |= buffer_printf(out, "%s\r\n", options->headers.items[i]);
    if (body && !has_header(options, "content-type"))
        r |= buffer_puts(out, "Content-Type: application/json\r\n");
    if (body)
        r |= buffer_printf(out, "Content-Length: %zu\r\n", body_length);
    if (!keep_alive)
        r |= buffer_puts(out, "Connection: close\r\n");
    r |= buffer_puts(out, "\r\n");
    if (body)
        r |= buffer_append(out, body, body_length);
    return r;
}

static int put_json(struct buffer *out, const char *text)
{
    return text_append_json(out, text, strlen(text));
}

static int write_object(const struct load_options *options, const char *path, const char *query,
                        const char *body, size_t body_length, bool keep_alive, struct buffer *out)
{
    bool first = true;
    int r = buffer_puts(out, "{\"method\": ");
    r |= put_json(out, method_of(options, body));
    r |= buffer_puts(out, ", \"path\": ");
    r |= put_json(out, path);
    r |= buffer_puts(out, ", \"headers\": {");
    if (body && !has_header(options, "content-type")) {
        r |= buffer_puts(out, "\"Content-Type\": \"application/json\"");
        first = false;
    }
    for (size_t i = 0; i < options->headers.count; i++) {
        const char *header = options->headers.items[i], *colon = strchr(header, ':');
        r |= buffer_puts(out, first ? "" : ", ");
        r |= text_append_json(out, header, (size_t)(colon - header));
        r |= buffer_puts(out, ": ");
        r |= put_json(out, colon + 1 + strspn(colon + 1, " \t"));
        first = false;
    }
    r |= buffer_puts(out, "}, \"body\": ");
    r |= body ? text_append_json(out, body, body_length) : buffer_puts(out, "null");
    r |= buffer_puts(out, ", \"query_string\": ");
    r |= put_json(out, query ? query : "");
    r |= buffer_puts(out, keep_alive ? "}\n" : "}");
    return r;
}

int load_request_write(const struct load_target *target, const struct load_options *options,
                       const char *body, size_t body_length, bool keep_alive, struct buffer *out,
                       struct error **err)
{
    const char *path = options->path ? options->path : target->path ? target->path : DEFAULT_PATH;
    const char *query = options->query ? options->query : target->query;
    int r = headers_check(options, err);
    if (r < 0)
        return r;
    if (path[0] != '/' || strpbrk(path, " \r\n\t"))
        return error_make(err, EINVAL, "--path \"%s\": a path begins with / and has no spaces",
                          path);
    if (query && strpbrk(query, " \r\n\t"))
        return error_make(err, EINVAL, "--query \"%s\": write a space as %%20", query);
    if (options->method && (!options->method[0] || strpbrk(options->method, " \r\n\t")))
        return error_make(err, EINVAL, "--method \"%s\": give a word such as GET or POST",
                          options->method);
    r = target->http ? write_http(target, options, path, query, body, body_length, keep_alive, out)
                     : write_object(options, path, query, body, body_length, keep_alive, out);
    return r < 0 ? error_make(err, ENOBUFS, "the request is larger than %zu bytes", out->max) : 0;
}

static int options_check(const struct load_options *o, bool keep_alive, struct error **err)
{
    if (o->concurrency < 1 || o->concurrency > LOAD_CONCURRENCY_MAX)
        return error_make(err, EINVAL, "--concurrency %u: give 1 to %d", o->concurrency,
                          LOAD_CONCURRENCY_MAX);
    if (o->depth < 1 || o->depth > LOAD_DEPTH_MAX)
        return error_make(err, EINVAL, "--depth %u: give 1 to %d", o->depth, LOAD_DEPTH_MAX);
    if (o->threads > LOAD_THREADS_MAX)
        return error_make(err, EINVAL, "--threads %u: give 1 to %d", o->threads, LOAD_THREADS_MAX);
    if (o->keep_alive && o->one_shot)
        return error_make(err, EINVAL, "--keep-alive and --one-shot exclude each other; give one");
    if (o->depth > 1 && !keep_alive)
        return error_make(err, EINVAL,
                          "--depth %u needs --keep-alive: a one-shot connection "
                          "carries one request",
                          o->depth);
    if (o->timeout_ns == 0)
        return error_make(err, EINVAL, "--timeout 0: give a duration such as 30s");
    if (o->any_answer && !keep_alive)
        return error_make(err, EINVAL, "--any-answer counts lines, so it needs --keep-alive");
    return 0;
}

/* Makes sure of a descriptor for each connection, as far as the hard limit lets us. */
static int descriptors_reserve(unsigned connections, struct error **err)
{
    struct rlimit limit;
    const rlim_t needed = (rlim_t)connections + 64 + 4 * LOAD_THREADS_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= needed)
        return 0;
    if (limit.rlim_max < needed && limit.rlim_max != RLIM_INFINITY)
        return error_make(err, EINVAL,
                          "--concurrency %u needs %ju file descriptors and the hard limit is %ju; "
                          "raise it (ulimit -Hn) or use fewer connections with more --depth",
                          connections, (uintmax_t)needed, (uintmax_t)limit.rlim_max);
    limit.rlim_cur = needed;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return error_make(err, EINVAL, "can't raise the limit of file descriptors to %ju: %s",
                          (uintmax_t)needed, strerror(errno));
    return 0;
}

static unsigned cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* As many copies as fit a send of LOAD_BLOCK_BYTES, at least one and at most depth. */
static void block_make(struct load_plan *plan)
{
    size_t count = 1;
    while (count < plan->depth && (count + 1) * plan->request_length <= LOAD_BLOCK_BYTES)
        count++;
    plan->block = xreallocarray(NULL, count, plan->request_length);
    plan->block_count = count;
    for (size_t i = 0; i < count; i++)
        memcpy(plan->block + i * plan->request_length, plan->request, plan->request_length);
}

static int request_make(struct load_plan *plan, const struct load_target *target,
                        const struct load_options *options, struct error **err)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(LOAD_BODY_MAX);
    cleanup_buffer struct buffer request = BUFFER_INIT(LOAD_BODY_MAX * 7 + (1 << 20));
    int r = options->body ? body_read(options->body, &body, err) : 0;
    if (r < 0)
        return r;
    const char *text = options->body ? buffer_terminate(&body) : NULL;
    r = load_request_write(target, options, text, body.length, plan->keep_alive, &request, err);
    if (r < 0)
        return r;
    plan->request_length = request.length;
    plan->request = STEAL_POINTER(request.data);
    block_make(plan);
    return 0;
}

int load_plan_make(const struct load_options *options, struct load_plan **ret_plan,
                   struct error **err)
{
    cleanup_load_plan struct load_plan *plan = xcalloc(1, sizeof(*plan));
    __attribute__((cleanup(load_target_free))) struct load_target target = {0};
    int r = load_target_parse(options->target, &target, err);
    if (r < 0)
        return r;
    plan->http = target.http;
    /* One-shot is what the original's clients do on the bridge; HTTP keeps its connections. */
    plan->keep_alive = options->keep_alive || (target.http && !options->one_shot);
    if ((r = options_check(options, plan->keep_alive, err)) < 0)
        return r;
    plan->concurrency = options->concurrency;
    plan->depth = options->depth;
    plan->requests = options->requests;
    plan->duration_ns = options->duration_ns;
    if (!plan->requests && !plan->duration_ns)
        plan->requests = plan->concurrency;
    if (plan->requests && plan->concurrency > plan->requests)
        plan->concurrency = (unsigned)plan->requests; /* more clients would have nothing to do */
    plan->warmup_ns = options->warmup_ns;
    plan->timeout_ns = options->timeout_ns;
    plan->rate = options->rate;
    plan->arrivals = (enum load_arrivals)options->arrivals;
    plan->seed = options->seed;
    plan->threads = options->threads ? options->threads : cores();
    if (plan->threads > plan->concurrency)
        plan->threads = plan->concurrency;
    plan->answers = target.http           ? LOAD_ANSWER_HTTP
                    : options->any_answer ? LOAD_ANSWER_ANY
                    : plan->keep_alive    ? LOAD_ANSWER_FRAMES
                                          : LOAD_ANSWER_OBJECT;
    plan->head_request = target.http && options->method && strcmp(options->method, "HEAD") == 0;
    if ((r = request_make(plan, &target, options, err)) < 0 ||
        (r = descriptors_reserve(plan->concurrency, err)) < 0 ||
        (r = load_target_resolve(&target, plan->timeout_ns, &plan->address, &plan->address_length,
                                 err)) < 0)
        return r;
    memcpy(plan->port, target.port, sizeof(plan->port));
    plan->host = STEAL_POINTER(target.host);
    *ret_plan = STEAL_POINTER(plan);
    return 0;
}

void load_plan_free(struct load_plan *plan)
{
    if (!plan)
        return;
    free(plan->host);
    free(plan->request);
    free(plan->block);
    free(plan);
}
