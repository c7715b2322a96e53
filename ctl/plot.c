#include "ctl/plot.h"

#include <math.h>
#include <stdio.h>

enum {
    PANEL_WIDTH = 300,
    PANEL_HEIGHT = 200,
    LEFT = 62,
    TOP = 46,
    GAP_X = 66,
    GAP_Y = 62,
    CURVE_POINTS = 40,
    FRAMES_MAX = 12
};

/* One panel: where it lies and what its axes cover; both are logarithmic, cores are not. */
struct panel {
    double left, top;
    double x_low, x_high, y_low, y_high;
    bool y_log;
};

static double at_x(const struct panel *panel, double x)
{
    return panel->left + PANEL_WIDTH * log(x / panel->x_low) / log(panel->x_high / panel->x_low);
}

static double at_y(const struct panel *panel, double y)
{
    double part =
        panel->y_log ? log(fmax(y, panel->y_low) / panel->y_low) / log(panel->y_high / panel->y_low)
                     : (y - panel->y_low) / (panel->y_high - panel->y_low);

    return panel->top + PANEL_HEIGHT * (1 - fmin(part, 1));
}

/* 12345678 as 12M: what a tick says. */
static const char *short_number(double value, char text[32])
{
    static const char *const suffixes[] = {"", "K", "M", "G"};
    unsigned i = 0;

    for (; value >= 1000 && i < 3; i++)
        value /= 1000;
    snprintf(text, 32, "%g%s", value, suffixes[i]);
    return text;
}

/* Frame, grid and numbers. */
static void draw_axes(const struct panel *panel, const char *title, const char *y_name,
                      struct buffer *out)
{
    static const double steps[] = {1, 2, 5};
    char text[32];
    double bottom = panel->top + PANEL_HEIGHT;

    buffer_printf(out,
                  "<rect x='%.1f' y='%.1f' width='%d' height='%d' class='frame'/>\n"
                  "<text x='%.1f' y='%.1f' class='title'>%s</text>\n"
                  "<text x='%.1f' y='%.1f' class='name' "
                  "transform='rotate(-90 %.1f %.1f)'>%s</text>\n",
                  panel->left, panel->top, PANEL_WIDTH, PANEL_HEIGHT, panel->left, panel->top - 8,
                  title, panel->left - 46, panel->top + PANEL_HEIGHT / 2.0, panel->left - 46,
                  panel->top + PANEL_HEIGHT / 2.0, y_name);
    int first = (int)floor(log10(panel->x_low)), last = (int)floor(log10(panel->x_high));
    for (int power = first; power <= last; power++)
        for (size_t i = 0; i < 3; i++) {
            double x = pow(10, power) * steps[i];
            if (x < panel->x_low || x > panel->x_high)
                continue;
            buffer_printf(out, "<path d='M%.1f %.1fV%.1f' class='grid'/>\n", at_x(panel, x),
                          panel->top, bottom);
            buffer_printf(out, "<text x='%.1f' y='%.1f' class='x'>%s</text>\n", at_x(panel, x),
                          bottom + 14, short_number(x, text));
        }
    /* Powers of ten, or halves. */
    first = panel->y_log ? (int)ceil(log10(panel->y_low)) : 0;
    last = panel->y_log ? (int)floor(log10(panel->y_high)) : (int)(2 * panel->y_high);
    for (int i = first; i <= last; i++) {
        double y = panel->y_log ? pow(10, i) : i / 2.0;
        buffer_printf(out,
                      "<path d='M%.1f %.1fh%d' class='grid'/>\n"
                      "<text x='%.1f' y='%.1f' class='y'>%s</text>\n",
                      panel->left, at_y(panel, y), PANEL_WIDTH, panel->left - 6, at_y(panel, y) + 4,
                      short_number(y, text));
    }
}

/* One quantity of a row, measured or predicted. */
enum quantity { HOST, CLIENT, P99 };

static double measured(const struct measurement *row, enum quantity quantity)
{
    switch (quantity) {
    case HOST:
        return row->client_cores + row->server_cores;
    case CLIENT:
        return row->client_cores;
    case P99:
        break;
    }
    return row->p99_us;
}

static double predicted(const struct path_result *result, enum quantity quantity)
{
    switch (quantity) {
    case HOST:
        return result->client_cores + result->server_cores;
    case CLIENT:
        return result->client_cores;
    case P99:
        break;
    }
    return result->p99_us;
}

static void draw_curve(const struct panel *panel, const struct path_result *curve,
                       const double *rates, enum quantity quantity, struct buffer *out)
{
    buffer_printf(out, "<path class='line%d' d='", (int)quantity);
    for (unsigned i = 0; i < CURVE_POINTS; i++)
        buffer_printf(out, "%s%.1f %.1f", i == 0 ? "M" : "L", at_x(panel, rates[i]),
                      at_y(panel, predicted(&curve[i], quantity)));
    buffer_puts(out, "'/>\n");
}

bool plot_fitted(const struct profile *profile, const struct measurement *row)
{
    for (size_t i = 0; i < profile->fitted_count; i++)
        if (profile->fitted[i].frame_bytes == row->frame_bytes &&
            fabs(profile->fitted[i].offered_per_s - row->offered_per_s) < 1)
            return true;
    return false;
}

static void draw_dots(const struct panel *panel, const struct profile *profile,
                      const struct score *scores, size_t count, enum quantity quantity,
                      struct buffer *out)
{
    for (size_t i = 0; i < count; i++)
        buffer_printf(out, "<circle cx='%.1f' cy='%.1f' r='3' class='dot%d%s'/>\n",
                      at_x(panel, scores[i].row->offered_per_s),
                      at_y(panel, measured(scores[i].row, quantity)), (int)quantity,
                      plot_fitted(profile, scores[i].row) ? "" : " open");
}

/* The two panels of one frame size: rows first to first + count. */
static void draw_frame(const struct profile *profile, const struct score *scores, size_t count,
                       const struct score_settings *settings, unsigned column, struct buffer *out)
{
    struct path_result curve[CURVE_POINTS];
    double rates[CURVE_POINTS], low = INFINITY, high = 0, frame = scores[0].row->frame_bytes;
    char title[64];

    for (size_t i = 0; i < count; i++) {
        low = fmin(low, scores[i].row->offered_per_s);
        high = fmax(high, scores[i].row->offered_per_s);
    }
    low /= 1.3;
    high *= 1.1;
    for (unsigned i = 0; i < CURVE_POINTS; i++) {
        rates[i] = low * pow(high / low, i / (CURVE_POINTS - 1.0));
        struct path_load load = {.frame_bytes = frame,
                                 .rate_per_s = rates[i],
                                 .connections = settings->connections,
                                 .duration_s = 10,
                                 .messages_max = settings->messages,
                                 .seed = settings->seed};
        path_simulate(profile, &load, &curve[i]);
    }
    struct panel cores = {.left = LEFT + column * (double)(PANEL_WIDTH + GAP_X),
                          .top = TOP,
                          .x_low = low,
                          .x_high = high,
                          .y_low = 0,
                          .y_high = 2};
    struct panel latency = cores;
    latency.top += PANEL_HEIGHT + GAP_Y;
    latency.y_low = 10;
    latency.y_high = 1e6;
    latency.y_log = true;
    snprintf(title, sizeof title, "%.0f B: host cores", frame);
    draw_axes(&cores, title, "cores", out);
    draw_curve(&cores, curve, rates, HOST, out);
    draw_curve(&cores, curve, rates, CLIENT, out);
    draw_dots(&cores, profile, scores, count, HOST, out);
    draw_dots(&cores, profile, scores, count, CLIENT, out);
    snprintf(title, sizeof title, "%.0f B: p99", frame);
    draw_axes(&latency, title, "us", out);
    draw_curve(&latency, curve, rates, P99, out);
    draw_dots(&latency, profile, scores, count, P99, out);
}

static const char style[] =
    "<style>text{font:11px sans-serif;fill:#222}.head{font-size:14px;font-weight:bold}"
    ".title{font-weight:bold}.name,.x{text-anchor:middle}.y{text-anchor:end}"
    ".frame{fill:none;stroke:#888}.grid{stroke:#e4e4e4;fill:none}"
    ".line0{fill:none;stroke:#0b6e4f;stroke-width:2}.dot0{fill:#0b6e4f;stroke:#0b6e4f}"
    ".line1{fill:none;stroke:#c06014;stroke-width:1.5;stroke-dasharray:5 3}"
    ".dot1{fill:#c06014;stroke:#c06014}"
    ".line2{fill:none;stroke:#1f4e9c;stroke-width:2}.dot2{fill:#1f4e9c;stroke:#1f4e9c}"
    ".open{fill:#fff}</style>\n";

int plot_validation(const struct profile *profile, const struct score *scores, size_t count,
                    const struct score_settings *settings, struct buffer *out)
{
    unsigned frames = 0;

    for (size_t i = 0; i < count; i++)
        if (i == 0 || scores[i].row->frame_bytes != scores[i - 1].row->frame_bytes)
            frames++;
    if (frames > FRAMES_MAX)
        frames = FRAMES_MAX;
    double width = LEFT + frames * (double)(PANEL_WIDTH + GAP_X) - GAP_X + 20;
    double height = TOP + 2.0 * PANEL_HEIGHT + GAP_Y + 40;
    buffer_printf(out,
                  "<svg xmlns='http://www.w3.org/2000/svg' width='%.0f' height='%.0f' "
                  "viewBox='0 0 %.0f %.0f'>\n%s<rect width='100%%' height='100%%' fill='#fff'/>\n"
                  "<text x='%d' y='20' class='head'>%s: measured (dots; hollow: not fitted) and "
                  "predicted (lines); cores of client and server (green), of the client "
                  "(orange)</text>\n",
                  width, height, width, height, style, LEFT - 46, profile->name);
    unsigned column = 0;
    for (size_t first = 0, next; first < count && column < frames; first = next, column++) {
        next = first;
        while (next < count && scores[next].row->frame_bytes == scores[first].row->frame_bytes)
            next++;
        draw_frame(profile, &scores[first], next - first, settings, column, out);
    }
    buffer_printf(out, "<text x='%.0f' y='%.0f' class='name'>messages offered a second</text>\n",
                  width / 2, height - 8);
    return buffer_puts(out, "</svg>\n");
}
