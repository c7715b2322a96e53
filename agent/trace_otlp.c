#include "agent/trace_otlp.h"

#include <string.h>
#include <time.h>

#include "agent/io.h"
#include "agent/json.h"
#include "agent/targets.h"
#include "base/clock.h"
#include "model/random.h"

/* opentelemetry/proto/trace/v1/trace.proto */
enum { KIND_INTERNAL = 1, KIND_SERVER = 2, KIND_CLIENT = 3 };

struct span {
    const struct trace_context *trace; /* whose trace id it has */
    const char *name, *name_more;      /* the name is both together; name_more may be NULL */
    uint64_t id, parent, begin_ns, end_ns;
    unsigned kind;
    bool failed;
};

static void put(struct otlp *o, const char *text)
{
    buffer_puts(o->out, text);
}

/* A JSON string of any bytes. */
static void put_string(struct otlp *o, const char *text, size_t length)
{
    size_t most = json_escaped_length(text, length);
    put(o, "\"");
    if (buffer_reserve(o->out, most) == 0)
        o->out->length += (size_t)(json_escape(text, length, o->out->data + o->out->length) -
                                   (o->out->data + o->out->length));
    put(o, "\"");
}

static void put_id(struct otlp *o, const char *key, uint64_t high, uint64_t low, bool wide)
{
    char text[33], *end = text;
    if (wide)
        end = trace_hex(high, 16, end);
    *trace_hex(low, 16, end) = '\0';
    buffer_printf(o->out, "\"%s\":\"%s\"", key, text);
}

/* ---- attributes: each but the first behind a comma ---- */

static void key(struct otlp *o, const char *name, bool first)
{
    buffer_printf(o->out, "%s{\"key\":\"%s\",\"value\":{", first ? "" : ",", name);
}

static void text_attribute(struct otlp *o, const char *name, const char *text, size_t length,
                           bool first)
{
    key(o, name, first);
    put(o, "\"stringValue\":");
    put_string(o, text, length);
    put(o, "}}");
}

static void word_attribute(struct otlp *o, const char *name, const char *word)
{
    text_attribute(o, name, word, strlen(word), false);
}

static void number_attribute(struct otlp *o, const char *name, unsigned value)
{
    key(o, name, false);
    buffer_printf(o->out, "\"intValue\":\"%u\"}}", value);
}

static void seconds_attribute(struct otlp *o, const char *name, double seconds, bool first)
{
    key(o, name, first);
    buffer_printf(o->out, "\"doubleValue\":%.9f}}", seconds);
}

/* ---- spans ---- */

/* Opens a span, up to its attributes. */
static void open_span(struct otlp *o, const struct span *span)
{
    put(o, o->any ? ",{" : "{");
    o->any = true;
    put_id(o, "traceId", span->trace->trace_id[0], span->trace->trace_id[1], true);
    put(o, ",");
    put_id(o, "spanId", 0, span->id, false);
    if (span->parent) {
        put(o, ",");
        put_id(o, "parentSpanId", 0, span->parent, false);
    }
    /* Two threads read their clocks at the beginning of a turn: one can be a little ahead. */
    uint64_t end_ns = span->end_ns > span->begin_ns ? span->end_ns : span->begin_ns;
    unsigned long long begin_unix_ns = span->begin_ns + o->to_unix_ns;
    unsigned long long end_unix_ns = end_ns + o->to_unix_ns;
    buffer_printf(o->out,
                  ",\"name\":\"%s%s\",\"kind\":%u,\"startTimeUnixNano\":\"%llu\","
                  "\"endTimeUnixNano\":\"%llu\",\"status\":{%s},\"attributes\":[",
                  span->name, span->name_more ? span->name_more : "", span->kind, begin_unix_ns,
                  end_unix_ns, span->failed ? "\"code\":2" : "");
}

static void close_span(struct otlp *o)
{
    put(o, "]}");
}

static uint64_t inner_id(struct otlp *o)
{
    uint64_t id;
    do
        id = random_splitmix64(&o->span_ids);
    while (id == 0);
    return id;
}

/* A span inside of another one, of this name. */
static void inner(struct otlp *o, const struct trace_context *parent, const char *name,
                  uint64_t begin_ns, uint64_t end_ns)
{
    open_span(o, &(struct span){.trace = parent,
                                .name = name,
                                .id = inner_id(o),
                                .parent = parent->span_id,
                                .begin_ns = begin_ns,
                                .end_ns = end_ns,
                                .kind = KIND_INTERNAL});
}

static void queue(struct otlp *o, const struct trace_context *parent, const char *name,
                  uint64_t begin_ns, uint64_t end_ns)
{
    inner(o, parent, name, begin_ns, end_ns);
    close_span(o);
}

static void crossing(struct otlp *o, const struct trace_context *parent, const char *name,
                     uint64_t begin_ns, const struct trace_crossing *crossing)
{
    uint64_t over_ns = crossing->over_ns;
    inner(o, parent, name, begin_ns, over_ns);
    seconds_attribute(o, "dpumesh.model.asked_seconds", crossing->asked_ns / 1e9, true);
    seconds_attribute(o, "dpumesh.model.delivered_seconds",
                      over_ns > begin_ns ? (double)(over_ns - begin_ns) / 1e9 : 0, false);
    close_span(o);
}

static unsigned put_call(struct otlp *o, const struct trace_call *call)
{
    const struct trace_context *context = &call->context;
    unsigned spans = 2;
    const char *callee = call->target == TARGET_NONE ? "?" : target_name(call->target);
    open_span(o, &(struct span){.trace = context,
                                .name = "call ",
                                .name_more = callee,
                                .id = context->span_id,
                                .parent = context->parent_id,
                                .begin_ns = call->submitted_ns,
                                .end_ns = call->ended_ns,
                                .kind = KIND_CLIENT,
                                .failed = call->status != 200});
    text_attribute(o, "peer.service", callee, strlen(callee), true);
    word_attribute(o, "http.request.method", call->posted ? "POST" : "GET");
    word_attribute(o, "dpumesh.egress.mode", call->real ? "forward" : "simulate");
    number_attribute(o, "http.response.status_code", call->status);
    if (!call->real && call->begun_ns) {
        seconds_attribute(o, "dpumesh.egress.asked_seconds", (double)call->asked_us / 1e6, false);
        seconds_attribute(o, "dpumesh.egress.delivered_seconds",
                          (double)(call->answered_ns - call->begun_ns) / 1e9, false);
    }
    if (call->status != 200)
        word_attribute(o, "error.type", call->status == 504 ? "timeout" : "error");
    close_span(o);
    queue(o, context, "egress submission queue", call->submitted_ns, call->taken_ns);
    if (call->out.over_ns) {
        crossing(o, context, "data path out", call->taken_ns, &call->out);
        spans++;
    }
    if (call->in.over_ns) {
        crossing(o, context, "data path in", call->answered_ns, &call->in);
        spans++;
    }
    return spans;
}

static void put_server(struct otlp *o, const struct trace_request *r)
{
    static const char *const methods[] = {[METHOD_GET] = "GET",
                                          [METHOD_POST] = "POST",
                                          [METHOD_HEAD] = "HEAD",
                                          [METHOD_OTHER] = "_OTHER"};
    const char *method = methods[r->method];
    open_span(o, &(struct span){.trace = &r->context,
                                .name = method,
                                .id = r->context.span_id,
                                .parent = r->context.parent_id,
                                .begin_ns = r->begun_ns,
                                .end_ns = r->ended_ns,
                                .kind = KIND_SERVER,
                                .failed = r->status >= 500});
    char path[TRACE_PATH_MAX];
    /* It is what a client sent, and may be cut in the middle of a character. */
    for (unsigned i = 0; i < r->path_length; i++)
        path[i] = (char)(r->path[i] >= ' ' && r->path[i] <= '~' ? r->path[i] : '?');
    text_attribute(o, "url.path", path, r->path_length, true);
    word_attribute(o, "http.request.method", method);
    number_attribute(o, "http.response.status_code", r->status);
    word_attribute(o, "dpumesh.protocol", r->protocol == LISTEN_BRIDGE ? "bridge" : "http");
    word_attribute(o, "dpumesh.trace.kept_for",
                   r->context.decision == TRACE_SAMPLED ? "sampling" : "error");
    if (r->reason)
        word_attribute(o, "error.type", reject_name((enum reject_reason)r->reason));
    if (r->calls_lost)
        number_attribute(o, "dpumesh.trace.calls_lost", r->calls_lost);
    close_span(o);
}

/* The steps of a request, and its calls; how many spans. */
static unsigned put_steps(struct otlp *o, const struct trace *trace, const struct trace_request *r)
{
    const struct trace_context *context = &r->context;
    unsigned spans = 0;
    if (r->in.over_ns) {
        crossing(o, context, "data path in", r->begun_ns, &r->in);
        spans++;
    }
    if (r->queued_ns && r->application.taken_ns) {
        queue(o, context, "ingress submission queue", r->queued_ns, r->application.taken_ns);
        spans++;
    }
    if (r->application.worked_ns) {
        queue(o, context, "internal work", r->application.taken_ns, r->application.worked_ns);
        spans++;
    }
    for (uint32_t index = r->first_call; index != POOL_NONE;) {
        const struct trace_call *call = trace_call_at(trace, index + 1);
        spans += put_call(o, call);
        index = call->link;
    }
    if (r->application.answered_ns && r->returned_ns) {
        queue(o, context, "ingress completion queue", r->application.answered_ns, r->returned_ns);
        spans++;
    }
    if (r->out.over_ns) {
        crossing(o, context, "data path out", r->returned_ns, &r->out);
        spans++;
    }
    return spans;
}

unsigned otlp_request(struct otlp *o, const struct trace *trace, const struct trace_request *r)
{
    if (buffer_reserve(o->out, OTLP_REQUEST_BYTES + (size_t)r->call_count * OTLP_CALL_BYTES +
                                   OTLP_FRAME_BYTES) < 0)
        return 0;
    put_server(o, r);
    return 1 + put_steps(o, trace, r);
}

void otlp_begin(struct otlp *o, struct buffer *out, const struct agent_config *config,
                uint64_t span_seed)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t unix_ns = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
    *o = (struct otlp){
        .out = out, .to_unix_ns = unix_ns - clock_monotonic_ns(), .span_ids = span_seed};
    buffer_clear(out);
    put(o, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    text_attribute(o, "service.name", config->service, strlen(config->service), true);
    word_attribute(o, "service.instance.id", config->replica);
    word_attribute(o, "service.version", DPUMESH_VERSION);
    word_attribute(o, "dpumesh.zone", config->zone);
    put(o,
        "]},\"scopeSpans\":[{\"scope\":{\"name\":\"dpumesh-agent\",\"version\":\"" DPUMESH_VERSION
        "\"},\"spans\":[");
}

void otlp_end(struct otlp *o)
{
    put(o, "]}]}]}");
}
