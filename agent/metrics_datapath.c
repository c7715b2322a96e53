/* The metrics of the modelled data path. */
#include "agent/io_private.h"

static const char *const directions[POD_DIRECTIONS] = {"in", "out"};

static struct metric *series(struct agent *agent, const struct metric_spec *spec, const char *value)
{
    return metric_series(metrics_family(agent->registry, spec), (const char *[]){value});
}

void agent_metrics_declare_datapath(struct agent *agent)
{
    static const double seconds[] = {0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005,
                                     0.001,   0.0025,   0.005,   0.01,   0.025,   0.1};
    static const char *const stations[MODELLED_STATIONS] = {"in", "out", "wake"};
    struct agent_metrics *m = &agent->metrics;
    struct metric_spec modelled = {.name = "dpumesh_host_cpu_modelled_seconds_total",
                                   .help = "CPU time of the host that the profile asks for: of "
                                           "messages in and out, and of wake-ups.",
                                   .kind = METRIC_COUNTER,
                                   .labels = {"station"}};
    struct metric_spec asked = {.name = "dpumesh_datapath_delay_asked_seconds",
                                .help = "Delay of a crossing that the model asked for.",
                                .kind = METRIC_HISTOGRAM,
                                .labels = {"direction"},
                                .buckets = seconds,
                                .bucket_count = sizeof seconds / sizeof *seconds};
    struct metric_spec delivered = asked;
    delivered.name = "dpumesh_datapath_delay_delivered_seconds";
    delivered.help = "Delay that crossings really had, on the monotonic clock.";
    struct metric_spec full = {.name = "dpumesh_datapath_ring_full_total",
                               .help = "Requests refused because the data path had no room.",
                               .kind = METRIC_COUNTER,
                               .labels = {"ring"}};
    struct metric_spec late = {.name = "dpumesh_datapath_late_total",
                               .help = "Crossings that came later than the model asked for by more "
                                       "than a tenth and 50 us, and rounds of a sidecar's proxy "
                                       "that waited for the processor for more than 1 ms.",
                               .kind = METRIC_COUNTER};
    for (unsigned i = 0; i < MODELLED_STATIONS; i++)
        m->modelled[i] = series(agent, &modelled, stations[i]);
    for (unsigned i = 0; i < POD_DIRECTIONS; i++) {
        m->delay_asked[i] = series(agent, &asked, directions[i]);
        m->delay_delivered[i] = series(agent, &delivered, directions[i]);
        m->crossing_full[i] = series(agent, &full, directions[i]);
    }
    m->late = series(agent, &late, NULL);
}

/* ---- read from the models, in the scraping thread, which is the I/O thread ---- */

static struct crossing_totals totals(void *context)
{
    const struct io *io = context;
    struct crossing_totals totals;
    crossing_totals(&io->crossing, &totals);
    return totals;
}

static double arm_busy(void *context)
{
    return totals(context).arm_ns / 1e9;
}
static double dma_busy(void *context)
{
    return totals(context).dma_ns / 1e9;
}
static double dma_copies_in(void *context)
{
    return ((struct io *)context)->crossing.dma_copies[POD_IN];
}
static double dma_copies_out(void *context)
{
    return ((struct io *)context)->crossing.dma_copies[POD_OUT];
}
static double dma_bytes_in(void *context)
{
    return totals(context).dma_bytes[POD_IN];
}
static double dma_bytes_out(void *context)
{
    return totals(context).dma_bytes[POD_OUT];
}
static double interrupts_in(void *context)
{
    return (double)totals(context).interrupts[POD_IN];
}
static double interrupts_out(void *context)
{
    return (double)totals(context).interrupts[POD_OUT];
}
static double deliveries_in(void *context)
{
    return (double)totals(context).deliveries[POD_IN];
}
static double deliveries_out(void *context)
{
    return (double)totals(context).deliveries[POD_OUT];
}
static double delivered_in(void *context)
{
    return (double)totals(context).delivered[POD_IN];
}
static double delivered_out(void *context)
{
    return (double)totals(context).delivered[POD_OUT];
}
static double ratio(uint64_t messages, uint64_t deliveries)
{
    return deliveries > 0 ? (double)messages / (double)deliveries : 1;
}
static double ratio_in(void *context)
{
    struct crossing_totals t = totals(context);
    return ratio(t.delivered[POD_IN], t.deliveries[POD_IN]);
}
static double ratio_out(void *context)
{
    struct crossing_totals t = totals(context);
    return ratio(t.delivered[POD_OUT], t.deliveries[POD_OUT]);
}
static double depth_in(void *context)
{
    return crossing_depth(&((struct io *)context)->crossing, POD_IN);
}
static double depth_out(void *context)
{
    return crossing_depth(&((struct io *)context)->crossing, POD_OUT);
}
static double capacity(void *context)
{
    const struct io *io = context;
    return crossing_needed(io) ? io->crossing.slots : 0;
}
static double servers(const struct io *io, enum profile_parameter parameter)
{
    /* Each direction has its own. */
    return io->crossing.mode == DATAPATH_DPU ? 2 * io->crossing.profile.value[parameter] : 0;
}
static double arm_servers(void *context)
{
    return servers(context, PROFILE_ARM_WORKERS);
}
static double dma_servers(void *context)
{
    return servers(context, PROFILE_DMA_UNITS);
}
static double io_servers(void *context)
{
    return ((struct io *)context)->crossing.mode == DATAPATH_DPU;
}
static double busy(void *context)
{
    return crossing_busy(context);
}

static const struct {
    const char *name, *help, *label, *value;
    enum metric_kind kind;
    double (*function)(void *io);
} rows[] = {
    {"dpumesh_dpu_busy_seconds_total", "", "unit", "arm", METRIC_COUNTER, arm_busy},
    {"dpumesh_dpu_busy_seconds_total", "", "unit", "dma", METRIC_COUNTER, dma_busy},
    {"dpumesh_dpu_servers",
     "How many of the DPU's units work side by side, both directions; 0 without a DPU.", "unit",
     "io", METRIC_GAUGE, io_servers},
    {"dpumesh_dpu_servers", "", "unit", "arm", METRIC_GAUGE, arm_servers},
    {"dpumesh_dpu_servers", "", "unit", "dma", METRIC_GAUGE, dma_servers},
    {"dpumesh_dma_operations_total", "Copies by the modelled DMA units.", "direction", "in",
     METRIC_COUNTER, dma_copies_in},
    {"dpumesh_dma_operations_total", "", "direction", "out", METRIC_COUNTER, dma_copies_out},
    {"dpumesh_dma_bytes_total", "Bytes that the modelled DMA units copied.", "direction", "in",
     METRIC_COUNTER, dma_bytes_in},
    {"dpumesh_dma_bytes_total", "", "direction", "out", METRIC_COUNTER, dma_bytes_out},
    {"dpumesh_datapath_interrupts_total", "Rounds of the host's core that the model asked for.",
     "direction", "in", METRIC_COUNTER, interrupts_in},
    {"dpumesh_datapath_interrupts_total", "", "direction", "out", METRIC_COUNTER, interrupts_out},
    {"dpumesh_datapath_deliveries_total", "Deliveries of coalesced messages by the DPU.",
     "direction", "in", METRIC_COUNTER, deliveries_in},
    {"dpumesh_datapath_deliveries_total", "", "direction", "out", METRIC_COUNTER, deliveries_out},
    {"dpumesh_datapath_coalesced_total", "Messages in these deliveries.", "direction", "in",
     METRIC_COUNTER, delivered_in},
    {"dpumesh_datapath_coalesced_total", "", "direction", "out", METRIC_COUNTER, delivered_out},
    {"dpumesh_datapath_coalescing_ratio", "Messages a delivery, since the start.", "direction",
     "in", METRIC_GAUGE, ratio_in},
    {"dpumesh_datapath_coalescing_ratio", "", "direction", "out", METRIC_GAUGE, ratio_out},
    {"dpumesh_datapath_ring_depth", "Messages inside the data path.", "ring", "in", METRIC_GAUGE,
     depth_in},
    {"dpumesh_datapath_ring_depth", "", "ring", "out", METRIC_GAUGE, depth_out},
    {"dpumesh_datapath_ring_capacity",
     "Messages that the data path can hold; 0 in mode direct, where nothing crosses.", "ring", "in",
     METRIC_GAUGE, capacity},
    {"dpumesh_datapath_ring_capacity", "", "ring", "out", METRIC_GAUGE, capacity},
    {"dpumesh_datapath_host_busy",
     "1 while the host is too busy to keep the model's time: figures of now are not the model's.",
     NULL, NULL, METRIC_GAUGE, busy},
};

static void attach(struct agent *agent, struct io *io)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct metric_spec spec = {.name = rows[i].name,
                                   .help = rows[i].help,
                                   .kind = rows[i].kind,
                                   .labels = {rows[i].label}};
        metric_callback(series(agent, &spec, rows[i].value), io ? rows[i].function : NULL, io);
    }
}

void agent_metrics_attach_datapath(struct agent *agent, struct io *io)
{
    attach(agent, io);
}

void agent_metrics_detach_datapath(struct agent *agent)
{
    attach(agent, NULL);
}
