/* Records between an I/O thread, an application thread and a real exporter, whose collector
 * answers, refuses, hangs up and talks rubbish by turns, while configurations change: no record is
 * lost or used twice, and every span that was wanted was sent or dropped and counted.
 * ThreadSanitizer watches. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/trace_export.h"
#include "base/clock.h"

enum { REQUESTS = 60000, ALARM_S = 110, RING = 256 };

struct world {
    struct agent agent;
    struct trace *trace;
    struct ring to_application, from_application;
    uint32_t over; /* atomic */
    int listener;
    unsigned in_flight;
    double wanted;
};

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_trace: %s\n", what);
    exit(1);
}

/* ---- the collector ---- */

/* Reads a request; false at the end of the connection. */
static bool read_request(int fd)
{
    static char data[1 << 16];
    size_t length = 0;
    const char *end = NULL;
    while (!end) {
        ssize_t got = recv(fd, data + length, sizeof data - 1 - length, 0);
        if (got <= 0)
            return false;
        length += (size_t)got;
        data[length] = '\0';
        end = strstr(data, "\r\n\r\n");
    }
    const char *number = strstr(data, "Content-Length: ");
    check(number != NULL, "no Content-Length");
    size_t left = strtoull(number + 16, NULL, 10) - (length - (size_t)(end + 4 - data));
    while (left > 0) {
        ssize_t got = recv(fd, data, left < sizeof data ? left : sizeof data, 0);
        if (got <= 0)
            return false;
        left -= (size_t)got;
    }
    return true;
}

static void *collect(void *argument)
{
    static const char partial[] = "HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n"
                                  "{\"partialSuccess\":{\"rejectedSpans\":\"2\"}";
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        partial,
        "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "what is this\r\n\r\n",
    };
    struct world *w = argument;
    for (unsigned turn = 0;;) {
        int fd = accept(w->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        while (read_request(fd)) {
            const char *answer = answers[turn++ % (sizeof answers / sizeof *answers)];
            /* Rubbish costs a wait, so it is rare. */
            if (*answer == 'w' && turn % 40)
                answer = answers[0];
            send(fd, answer, strlen(answer), MSG_NOSIGNAL);
            if (turn % 7 == 0)
                break;
        }
        close(fd);
    }
}

/* ---- the application ---- */

static void *apply(void *argument)
{
    struct world *w = argument;
    const struct descriptor *d;
    while (!__atomic_load_n(&w->over, __ATOMIC_ACQUIRE)) {
        while ((d = ring_pop(&w->to_application))) {
            struct trace_request *r = trace_request_at(w->trace, d->tag);
            uint64_t now_ns = clock_monotonic_ns();
            check(r->application.taken_ns == 0, "a record is used twice");
            r->application.taken_ns = r->application.worked_ns = now_ns;
            r->application.answered_ns = now_ns;
            struct descriptor *back = ring_slot(&w->from_application);
            check(back != NULL, "more in flight than there are");
            back->tag = d->tag;
            ring_submit(&w->from_application, back);
        }
        ring_release(&w->to_application);
    }
    return NULL;
}

/* ---- the I/O thread ---- */

static void submit(struct world *w, unsigned i)
{
    struct trace_headers headers = {0};
    uint32_t number = trace_request_new(w->trace, &headers, clock_monotonic_ns());
    if (!number)
        return;
    struct trace_request *r = trace_request_at(w->trace, number);
    r->queued_ns = r->begun_ns;
    r->status = i % 5 ? 200 : 500;
    for (unsigned call = 0; call < i % 3; call++) {
        uint32_t made = trace_call_new(w->trace, number, r->begun_ns);
        if (made)
            trace_call_at(w->trace, made)->target = 0xffff;
    }
    struct descriptor *d = ring_slot(&w->to_application);
    check(d != NULL, "no room for the application");
    d->tag = number;
    ring_submit(&w->to_application, d);
    w->in_flight++;
}

static void complete(struct world *w)
{
    const struct descriptor *d;
    while ((d = ring_pop(&w->from_application))) {
        const struct trace_request *r = trace_request_at(w->trace, d->tag);
        trace_request_at(w->trace, d->tag)->returned_ns = clock_monotonic_ns();
        if (r->context.decision == TRACE_SAMPLED || r->status >= 500)
            w->wanted += trace_span_count(w->trace, r);
        trace_request_end(w->trace, d->tag, clock_monotonic_ns());
        w->in_flight--;
    }
    ring_release(&w->from_application);
    trace_turn(w->trace);
}

static struct config_ref *configuration(const struct world *w, unsigned which)
{
    static const char *const more[] = {"\"ratio\":0.5,\"delay\":\"5ms\",\"batch\":32",
                                       "\"ratio\":1,\"delay\":\"0s\",\"batch\":1",
                                       "\"ratio\":0.1,\"queue\":16,\"delay\":\"20ms\""};
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    char text[512];
    struct agent_config *config;
    struct config_ref *ref = NULL;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    getsockname(w->listener, (struct sockaddr *)&address, &size);
    snprintf(text, sizeof text,
             "{\"apiVersion\":\"dpumesh.io/agent/v1alpha1\",\"service\":\"s0\",\"tracing\":{"
             "\"endpoint\":\"http://127.0.0.1:%u\",%s}}",
             ntohs(address.sin_port), more[which % 3]);
    check(agent_config_parse(text, strlen(text), "race", &config, &problems) == 0 &&
              config_ref_new(config, "race", &ref, &problems) == 0,
          "the configuration is refused");
    return ref;
}

static void serve(struct world *w, struct config_ref *refs[3])
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        if (i % 5000 == 0) {
            struct config_ref *ref = refs[i / 5000 % 3];
            trace_set(w->trace, &ref->config->tracing);
            trace_exporter_configure(w->trace->exporter, ref);
        }
        submit(w, i);
        while (w->in_flight >= RING / 2)
            complete(w);
        complete(w);
    }
    while (w->in_flight > 0)
        complete(w);
}

static double total(const struct world *w)
{
    const struct trace_metrics *m = &w->agent.metrics.trace;
    double sum = metric_value(m->exported);
    for (unsigned i = 0; i < TRACE_DROPS; i++)
        if (i != TRACE_DROP_MEMORY)
            sum += metric_value(m->dropped[i]);
    return sum;
}

int main(void)
{
    static struct world w;
    struct config_ref *refs[3];
    pthread_t collector, application;
    alarm(ALARM_S);
    w.listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    check(bind(w.listener, (struct sockaddr *)&address, sizeof address) == 0 &&
              listen(w.listener, 16) == 0,
          "no listener");
    for (unsigned i = 0; i < 3; i++)
        refs[i] = configuration(&w, i);
    w.agent.registry = metrics_new();
    trace_metrics_declare(w.agent.registry, &w.agent.metrics.trace);
    metrics_thread_attach(w.agent.registry);
    check(ring_init(&w.to_application, RING, NULL) == 0 &&
              ring_init(&w.from_application, RING, NULL) == 0 &&
              trace_new(&w.agent.metrics.trace, &w.trace, NULL) == 0 &&
              trace_exporter_start(w.trace, &w.agent, &w.trace->exporter, NULL) == 0,
          "no world");
    trace_metrics_attach(w.agent.registry, w.trace);
    pthread_create(&collector, NULL, collect, &w);
    pthread_create(&application, NULL, apply, &w);
    serve(&w, refs);
    __atomic_store_n(&w.over, 1, __ATOMIC_RELEASE);
    pthread_join(application, NULL);
    trace_metrics_attach(w.agent.registry, NULL);
    trace_exporter_stop(w.trace->exporter, clock_monotonic_ns() + 20 * NS_PER_S);
    shutdown(w.listener, SHUT_RDWR);
    close(w.listener);
    pthread_join(collector, NULL);
    printf("%g spans wanted, %g sent, %g for want of room\n", w.wanted,
           metric_value(w.agent.metrics.trace.exported),
           metric_value(w.agent.metrics.trace.dropped[TRACE_DROP_QUEUE]));
    check(metric_value(w.agent.metrics.trace.exported) > 0, "nothing was sent");
    check(total(&w) == w.wanted, "spans are lost, or were counted twice");
    metrics_thread_detach();
    trace_free(w.trace);
    metrics_free(w.agent.registry);
    for (unsigned i = 0; i < 3; i++)
        config_ref_drop(refs[i]);
    ring_destroy(&w.to_application);
    ring_destroy(&w.from_application);
    return 0;
}
