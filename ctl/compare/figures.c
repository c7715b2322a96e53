#include "ctl/compare/figures.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "obs/exposition_read.h"

enum { LABEL_BYTES_MAX = 64 };

/* The families, and what each is called in a report; by the values of label, if there is one. */
static const struct family {
    const char *name, *label, *member;
} families[] = {
    {"dpumesh_requests_total", NULL, "requests"},
    {"dpumesh_host_cpu_seconds_total", "stage", "host_cpu_s"},
    {"dpumesh_host_cpu_modelled_seconds_total", "station", "host_cpu_modelled_s"},
    {"dpumesh_handover_cpu_seconds_total", NULL, "handover_cpu_s"},
    {"dpumesh_dpu_busy_seconds_total", "unit", "dpu_busy_s"},
    {"dpumesh_dma_operations_total", "direction", "dma_operations"},
    {"dpumesh_dma_bytes_total", "direction", "dma_bytes"},
    {"dpumesh_datapath_interrupts_total", "direction", "interrupts"},
    {"dpumesh_datapath_deliveries_total", "direction", "deliveries"},
    {"dpumesh_datapath_coalesced_total", "direction", "coalesced"},
    {"dpumesh_datapath_ring_full_total", "ring", "ring_full"},
    {"dpumesh_datapath_late_total", NULL, "late"},
    {"dpumesh_datapath_delay_asked_seconds_sum", "direction", "delay_asked_s"},
    {"dpumesh_datapath_delay_delivered_seconds_sum", "direction", "delay_delivered_s"},
    {"dpumesh_datapath_delay_asked_seconds_count", "direction", "crossings"},
    {"process_cpu_seconds_total", NULL, "process_cpu_s"},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

json_t *compare_figures_new(void)
{
    json_t *figures = json_object();
    for (size_t i = 0; i < FAMILIES; i++)
        json_object_set_new(figures, families[i].member,
                            families[i].label ? json_object() : json_real(0));
    return figures;
}

static void add_to(json_t *object, const char *key, double value)
{
    double sum = json_number_value(json_object_get(object, key));
    json_object_set_new(object, key, json_real(sum + value));
}

static int take(void *context, const struct exposition_sample *sample)
{
    json_t *figures = context;
    for (size_t i = 0; i < FAMILIES; i++) {
        const struct family *family = &families[i];
        if (!exposition_is(sample, family->name) || !isfinite(sample->value))
            continue;
        if (!family->label) {
            add_to(figures, family->member, sample->value);
            break;
        }
        const struct exposition_text *value = exposition_label(sample, family->label);
        if (!value || value->length >= LABEL_BYTES_MAX)
            break;
        char key[LABEL_BYTES_MAX];
        memcpy(key, value->data, value->length);
        key[value->length] = '\0';
        add_to(json_object_get(figures, family->member), key, sample->value);
        break;
    }
    return 0;
}

int compare_figures_add(json_t *figures, const char *text, size_t length, struct error **err)
{
    return exposition_read(text, length, take, figures, err);
}

static double fallen(double after, double before)
{
    return after >= before ? after - before : after;
}

void compare_figures_subtract(json_t *figures, const json_t *before)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        const char *member = families[i].member, *key;
        json_t *after = json_object_get(figures, member), *value;
        const json_t *was = json_object_get(before, member);
        if (!families[i].label) {
            double more = fallen(json_number_value(after), json_number_value(was));
            json_object_set_new(figures, member, json_real(more));
            continue;
        }
        json_object_foreach(after, key, value)
        {
            double earlier = json_number_value(json_object_get(was, key));
            double more = fallen(json_number_value(value), earlier);
            json_object_set_new(after, key, json_real(more));
        }
    }
}

double compare_figures_sum(const json_t *figures, const char *member)
{
    json_t *found = json_object_get(figures, member), *value;
    const char *key;
    double sum = json_number_value(found);
    json_object_foreach(found, key, value) sum += json_number_value(value);
    return sum;
}

double compare_figures_of(const json_t *figures, const char *member, const char *label)
{
    return json_number_value(json_object_get(json_object_get(figures, member), label));
}

static int look_for_busy(void *context, const struct exposition_sample *sample)
{
    if (exposition_is(sample, "dpumesh_datapath_host_busy") && sample->value > 0)
        *(bool *)context = true;
    return 0;
}

int compare_figures_busy(const char *text, size_t length, bool *ret_busy, struct error **err)
{
    bool busy = false;
    int ret = exposition_read(text, length, look_for_busy, &busy, err);
    if (ret == 0)
        *ret_busy = busy;
    return ret;
}
