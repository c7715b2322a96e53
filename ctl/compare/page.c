/* A comparison as one page of HTML: no script, nothing loaded from elsewhere. */
#include "ctl/compare/figures.h"
#include "ctl/compare/report.h"
#include "ctl/compare/rows.h"

enum { BAR_LEFT = 90, BAR_WIDTH = 460, BAR_HEIGHT = 26, BAR_STEP = 40, TEXT_WIDTH = 140 };

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>dpumesh compare</title>\n<style>\n"
    ":root{--paper:#fff;--ink:#1b1f24;--dim:#5b6570;--line:#d8dee4;--c0:#3b6fb6;--c1:#7aa6c2;"
    "--c2:#d97b29;--c3:#8a7fb8;--c4:#9aa3ac;--mark:#b42318}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e6e9ec;--dim:#9aa4ae;"
    "--line:#333a41;--c0:#6d9fe0;--c1:#8fbbd4;--c2:#ef9a4d;--c3:#aa9fd8;--c4:#7b858f;"
    "--mark:#ff8a7a}}\n"
    "body{margin:0 auto;max-width:62rem;padding:2rem 1.2rem;background:var(--paper);"
    "color:var(--ink);font:16px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.6rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}\n"
    "p.dim,.note{color:var(--dim)}.answer{font-size:1.25rem;margin:1.4rem 0}"
    ".answer b{font-size:2rem}\n"
    ".mark{color:var(--mark);font-weight:600}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right}"
    "th:first-child,td:first-child{text-align:left}td.in:first-child{padding-left:1.8rem;"
    "color:var(--dim)}\n"
    ".wide{overflow-x:auto}svg{max-width:100%;height:auto;display:block}"
    "svg text{font:13px system-ui,sans-serif;fill:var(--ink)}svg .dim{fill:var(--dim)}"
    "svg .line{stroke:var(--ink);stroke-width:2}\n"
    ".key span{display:inline-block;margin-right:1.2rem}.key i{display:inline-block;width:.8rem;"
    "height:.8rem;margin-right:.35rem;border-radius:2px}\n"
    "</style>\n</head>\n<body>\n";

static void put(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            buffer_puts(out, "&amp;");
            break;
        case '<':
            buffer_puts(out, "&lt;");
            break;
        case '>':
            buffer_puts(out, "&gt;");
            break;
        case '"':
            buffer_puts(out, "&quot;");
            break;
        default:
            buffer_append(out, text, 1);
        }
    }
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static bool is_busy(const json_t *run)
{
    return json_is_true(json_object_get(run, "host_busy"));
}

/* ---- what was asked, and the answer ---- */

static void put_head(const json_t *comparison, struct buffer *out)
{
    size_t i;
    json_t *file;
    buffer_puts(out, head);
    buffer_puts(out, "<h1>One application, three data paths</h1>\n<p class=\"dim\">");
    json_array_foreach(json_object_get(comparison, "files"), i, file)
    {
        buffer_puts(out, i ? ", " : "");
        put(out, json_string_value(file));
    }
    buffer_printf(out,
                  " &middot; %g requests a second due, %s &middot; %g s each &middot; %.0f "
                  "connections &middot; frames of %.0f bytes &middot; a machine of %.0f "
                  "cores</p>\n",
                  number_of(comparison, "rate_per_s"), text_of(comparison, "arrivals"),
                  number_of(comparison, "duration_s"), number_of(comparison, "connections"),
                  number_of(comparison, "request_bytes"), number_of(comparison, "machine_cores"));
}

static void put_saving(const json_t *saving, struct buffer *out)
{
    const json_t *share = json_object_get(saving, "host_share");
    double cores = number_of(saving, "host_cores");
    if (!json_is_object(saving))
        return;
    buffer_printf(out, "<p class=\"answer\">Against the sidecar the DPU %s <b>%.3f</b> host cores",
                  cores >= 0 ? "saves" : "costs", cores >= 0 ? cores : -cores);
    if (json_is_number(share))
        buffer_printf(out, " (%.0f&nbsp;%%)", json_number_value(share) * (cores >= 0 ? 100 : -100));
    cleanup_free char *parts = compare_saving_parts(saving);
    buffer_printf(out, ", %.1f&nbsp;&micro;s a request: %s.",
                  number_of(saving, "host_us_per_request") * (cores >= 0 ? 1 : -1), parts);
    if (json_is_number(json_object_get(saving, "p50_us")))
        buffer_printf(out, " Latency: p50 %+.3f&nbsp;ms, p99 %+.3f&nbsp;ms.",
                      number_of(saving, "p50_us") / 1e3, number_of(saving, "p99_us") / 1e3);
    buffer_puts(out, "</p>\n");
}

static void put_marks(const json_t *runs, struct buffer *out)
{
    size_t i;
    json_t *run;
    json_array_foreach(runs, i, run) if (is_busy(run))
        buffer_printf(out,
                      "<p class=\"mark\">* %s: an agent said that this machine was too busy to "
                      "keep the model's time. Its figures are not the model's.</p>\n",
                      text_of(run, "mode"));
}

/* ---- bars ---- */

/* A part of each bar: a label of a member, and what it is called. */
struct segment {
    const char *label, *title;
};

static double value_of(const json_t *run, const char *member, const char *label, bool a_second)
{
    double value = compare_figures_of(run, member, label);
    double seconds = number_of(run, "seconds");
    return !a_second ? value / 1e3 : seconds > 0 ? value / seconds : 0;
}

static double bar_end(const json_t *run, const char *member, const struct segment *segments,
                      size_t count, bool stacked)
{
    double end = 0;
    for (size_t i = 0; i < count; i++) {
        double value = value_of(run, member, segments[i].label, stacked);
        end = stacked ? end + value : value > end ? value : end;
    }
    return end;
}

static void put_key(const struct segment *segments, size_t count, struct buffer *out)
{
    buffer_puts(out, "<p class=\"key\">");
    for (size_t i = 0; i < count; i++)
        buffer_printf(out, "<span><i style=\"background:var(--c%zu)\"></i>%s</span>", i,
                      segments[i].title);
    buffer_puts(out, "</p>\n");
}

/* Stacked: the parts of a sum, a second; else each beside the last, in ms. mark: a number of the
 * run that is drawn as a line, NULL for none. */
static void put_bars(const json_t *runs, const char *member, const struct segment *segments,
                     size_t count, bool stacked, const char *mark, const char *unit,
                     struct buffer *out)
{
    double most = 0;
    size_t i, rows = json_array_size(runs), inner = stacked ? 1 : count;
    json_t *run;
    json_array_foreach(runs, i, run)
    {
        double end = bar_end(run, member, segments, count, stacked);
        double line = mark ? number_of(run, mark) : 0;
        most = end > most ? end : most;
        most = line > most ? line : most;
    }
    double scale = most > 0 ? BAR_WIDTH / most : 0;
    double step = BAR_STEP, height = (double)BAR_HEIGHT / (double)inner;
    buffer_printf(out, "<svg viewBox=\"0 0 %d %.0f\" role=\"img\">\n",
                  BAR_LEFT + BAR_WIDTH + TEXT_WIDTH, step * (double)rows);
    json_array_foreach(runs, i, run)
    {
        double top = step * (double)i + 6, left = BAR_LEFT;
        buffer_printf(out, "<text x=\"0\" y=\"%.1f\">%s%s</text>\n", top + 18, text_of(run, "mode"),
                      is_busy(run) ? " *" : "");
        for (size_t j = 0; j < count; j++) {
            double value = value_of(run, member, segments[j].label, stacked);
            buffer_printf(out,
                          "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                          "fill=\"var(--c%zu)\"><title>%s %s: %.4g %s</title></rect>\n",
                          left, top + (stacked ? 0 : height * (double)j), value * scale,
                          height - (stacked ? 0 : 1), j, text_of(run, "mode"), segments[j].title,
                          value, unit);
            left += stacked ? value * scale : 0;
        }
        double end = bar_end(run, member, segments, count, stacked);
        char text[COMPARE_NUMBER_MAX];
        buffer_printf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"dim\">%s %s</text>\n",
                      BAR_LEFT + end * scale + 6, top + 18, compare_number(end, text), unit);
        if (mark && number_of(run, mark) > 0) {
            double at = BAR_LEFT + number_of(run, mark) * scale;
            buffer_printf(out,
                          "<path d=\"M%.1f %.1fv%d\" class=\"line\"><title>%s by the profile: "
                          "%.4g %s</title></path>\n",
                          at, top - 3, BAR_HEIGHT + 6, text_of(run, "mode"), number_of(run, mark),
                          unit);
        }
    }
    buffer_puts(out, "</svg>\n");
}

static void put_charts(const json_t *runs, struct buffer *out)
{
    static const struct segment stages[] = {{"application", "application"},
                                            {"workers", "workers"},
                                            {"datapath", "data path"},
                                            {"io", "network"},
                                            {"other", "other"}};
    static const struct segment quantiles[] = {{"p50", "p50"}, {"p90", "p90"}, {"p99", "p99"}};
    static const struct segment units[] = {{"arm", "Arm"}, {"dma", "DMA"}};

    buffer_puts(out, "<h2>Host cores, measured</h2>\n");
    put_key(stages, 5, out);
    put_bars(runs, "host_cpu_s", stages, 5, true, "host_modelled_cores", "cores", out);
    buffer_puts(out, "<p class=\"note\">The upright line: what the profile alone asks of the "
                     "host, without the application.</p>\n<h2>Latency</h2>\n");
    put_key(quantiles, 3, out);
    put_bars(runs, "latency_us", quantiles, 3, false, NULL, "ms", out);
    buffer_puts(out, "<h2>DPU, modelled</h2>\n");
    put_key(units, 2, out);
    put_bars(runs, "dpu_busy_s", units, 2, true, NULL, "units busy", out);
}

/* ---- the table ---- */

static void put_row(const json_t *runs, const struct compare_row *row, const char *label,
                    struct buffer *out)
{
    char text[COMPARE_NUMBER_MAX];
    size_t i;
    json_t *run;

    buffer_printf(out, "<tr><td%s>", label ? " class=\"in\"" : "");
    put(out, label ? label : row->title);
    buffer_puts(out, "</td>");
    json_array_foreach(runs, i, run)
        buffer_printf(out, "<td>%s</td>", compare_row_text(row, run, label, text));
    buffer_puts(out, "</tr>\n");
}

static void put_rows(const json_t *runs, const struct compare_row *row, struct buffer *out)
{
    size_t i;
    json_t *label;

    put_row(runs, row, NULL, out);
    if (!row->parts)
        return;
    json_auto_t *labels = compare_row_labels(row, runs);
    json_array_foreach(labels, i, label) put_row(runs, row, json_string_value(label), out);
}

static void put_table(const json_t *runs, struct buffer *out)
{
    size_t i;
    json_t *run;
    buffer_puts(out, "<h2>All figures</h2>\n<div class=\"wide\"><table>\n<tr><th></th>");
    json_array_foreach(runs, i, run)
        buffer_printf(out, "<th>%s%s</th>", text_of(run, "mode"), is_busy(run) ? " *" : "");
    buffer_puts(out, "</tr>\n<tr><td>profile</td>");
    json_array_foreach(runs, i, run)
    {
        const char *profile = text_of(run, "profile");
        buffer_puts(out, "<td>");
        put(out, *profile ? profile : "-");
        buffer_puts(out, "</td>");
    }
    buffer_puts(out, "</tr>\n");
    for (i = 0; i < compare_row_count; i++)
        put_rows(runs, &compare_rows[i], out);
    buffer_puts(out, "</table></div>\n");
}

int compare_page(const json_t *comparison, struct buffer *out)
{
    const json_t *runs = json_object_get(comparison, "runs");

    put_head(comparison, out);
    put_saving(json_object_get(comparison, "saving"), out);
    put_marks(runs, out);
    put_charts(runs, out);
    put_table(runs, out);
    return buffer_puts(
        out, "<p class=\"note\">Host CPU is the clock of the agents' threads; what is modelled is "
             "what the profile asks for. Busy time of Arm and DMA is the model's. The unit io is "
             "the thread that plays the DPU's side of the sockets here: this machine's cost of "
             "the simulation, and no prediction. All figures were counted in these runs.</p>\n"
             "</body>\n</html>\n");
}
