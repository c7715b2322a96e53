#include "agents_page.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

enum { PAGE_MAX = 16 << 20 };

/* What takes the place of a value. */
enum moving {
    MOVING_NOTHING,
    MOVING_ZERO,
    MOVING_REQUESTS,
    MOVING_SHARE,  /* a part of the requests, whole */
    MOVING_AMOUNT, /* so much a request */
    MOVING_IN_FLIGHT,
    MOVING_QUEUE,
    MOVING_CPU,
    MOVING_HOST,
    MOVING_DPU,
    MOVING_START
};

/* Text that stays, up to a value that moves. */
struct piece {
    size_t begin, end; /* of the text */
    enum moving value;
    double factor; /* of MOVING_SHARE and MOVING_AMOUNT */
};

struct page_template {
    char *text;
    struct piece *pieces;
    size_t count;
};

#define LATENCY "mub_request_processing_latency_milliseconds_bucket_"

static const struct {
    const char *series; /* how the line begins */
    enum moving value;
} moving[] = {
    {LATENCY "bucket{", MOVING_SHARE},
    {LATENCY "count{", MOVING_SHARE},
    {LATENCY "sum{", MOVING_AMOUNT},
    {"dpumesh_requests_total{protocol=\"http\"}", MOVING_REQUESTS},
    {"dpumesh_requests_total{", MOVING_ZERO},
    {"dpumesh_rejected_requests_total{", MOVING_ZERO},
    {"dpumesh_requests_in_flight ", MOVING_IN_FLIGHT},
    {"dpumesh_queue_depth{queue=\"ingress_submission\"}", MOVING_QUEUE},
    {"process_cpu_seconds_total ", MOVING_CPU},
    {"process_start_time_seconds ", MOVING_START},
    {"dpumesh_host_cpu_seconds_total{stage=\"application\"}", MOVING_HOST},
    {"dpumesh_host_cpu_seconds_total{", MOVING_ZERO},
    {"dpumesh_dpu_busy_seconds_total{unit=\"io\"}", MOVING_DPU},
};

/* ---- states ---- */

static double seconds_since(const struct agent_state *state, uint64_t now_ns)
{
    return (double)(now_ns - state->since_ns) / (double)NS_PER_S;
}

void agent_state_begin(struct agent_state *state, uint64_t now_ns)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    state->start_seconds = (double)now.tv_sec + (double)now.tv_nsec / (double)NS_PER_S;
    state->since_ns = now_ns;
}

bool agent_state_set(struct agent_state *state, const char *name, double value, uint64_t now_ns)
{
    double passed = seconds_since(state, now_ns);

    state->requests += state->rate * passed;
    state->cpu_seconds += state->cpu * passed;
    state->dpu_seconds += state->dpu * passed;
    state->since_ns = now_ns;
    if (strcmp(name, "rate") == 0)
        state->rate = value;
    else if (strcmp(name, "in-flight") == 0)
        state->in_flight = value;
    else if (strcmp(name, "queue") == 0)
        state->queue = value;
    else if (strcmp(name, "cpu") == 0)
        state->cpu = value;
    else if (strcmp(name, "dpu") == 0)
        state->dpu = value;
    else if (strcmp(name, "silent") == 0)
        state->silent = value != 0;
    else
        return false;
    return true;
}

/* ---- templates ---- */

static enum moving moving_of(const char *line)
{
    for (size_t i = 0; i < sizeof(moving) / sizeof(moving[0]); i++)
        if (strncmp(line, moving[i].series, strlen(moving[i].series)) == 0)
            return moving[i].value;
    return MOVING_NOTHING;
}

static void add_piece(struct page_template *template, size_t begin, size_t end, enum moving value,
                      double factor)
{
    template->pieces =
        xreallocarray(template->pieces, template->count + 1, sizeof(*template->pieces));
    template->pieces[template->count++] =
        (struct piece){.begin = begin, .end = end, .value = value, .factor = factor};
}

static void cut(struct page_template *template)
{
    size_t begin = 0;

    for (char *line = template->text, *feed; (feed = strchr(line, '\n')); line = feed + 1) {
        enum moving value = moving_of(line);
        if (value == MOVING_NOTHING)
            continue;
        char *number = feed;
        while (number > line && number[-1] != ' ')
            number--;
        add_piece(template, begin, (size_t)(number - template->text), value, strtod(number, NULL));
        begin = (size_t)(feed - template->text);
    }
    add_piece(template, begin, strlen(template->text), MOVING_NOTHING, 0);
}

/* Makes parts of all requests out of the numbers of the histogram. 0, or -1: it has none. */
static int make_parts(struct page_template *template)
{
    double all = 0;

    for (size_t i = 0; i < template->count; i++) {
        const struct piece *piece = &template->pieces[i];
        size_t length = strlen("le=\"+Inf\"} ");
        if (piece->value == MOVING_SHARE && piece->end - piece->begin > length &&
            strncmp(template->text + piece->end - length, "le=\"+Inf\"} ", length) == 0)
            all += piece->factor;
    }
    for (size_t i = 0; i < template->count; i++)
        template->pieces[i].factor /= all;
    return all > 0 ? 0 : -1;
}

int page_template_load(const char *path, struct page_template **ret, struct error **err)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(PAGE_MAX);
    int number = file_read(path, &text, err);

    if (number < 0)
        return number;
    struct page_template *template = xcalloc(1, sizeof(*template));
    buffer_terminate(&text);
    template->text = STEAL_POINTER(text.data);
    cut(template);
    if (make_parts(template) < 0) {
        page_template_free(template);
        return error_make(err, EINVAL, "%s: this agent had not answered a request yet", path);
    }
    *ret = template;
    return 0;
}

void page_template_free(struct page_template *template)
{
    free(template->text);
    free(template->pieces);
    free(template);
}

/* ---- pages ---- */

void page_write(const struct page_template *template, const struct agent_state *state,
                uint64_t now_ns, struct buffer *out)
{
    double passed = seconds_since(state, now_ns);
    double requests = floor(state->requests + state->rate * passed);
    double cpu = state->cpu_seconds + state->cpu * passed;
    double dpu = state->dpu_seconds + state->dpu * passed;

    for (size_t i = 0; i < template->count; i++) {
        const struct piece *piece = &template->pieces[i];
        const double values[] = {[MOVING_ZERO] = 0,
                                 [MOVING_REQUESTS] = requests,
                                 [MOVING_SHARE] = floor(requests * piece->factor),
                                 [MOVING_AMOUNT] = requests * piece->factor,
                                 [MOVING_IN_FLIGHT] = state->in_flight,
                                 [MOVING_QUEUE] = state->queue,
                                 [MOVING_CPU] = cpu,
                                 [MOVING_HOST] = cpu - dpu,
                                 [MOVING_DPU] = dpu,
                                 [MOVING_START] = state->start_seconds};
        buffer_append(out, template->text + piece->begin, piece->end - piece->begin);
        if (piece->value != MOVING_NOTHING)
            buffer_printf(out, "%.15g", values[piece->value]);
    }
}
