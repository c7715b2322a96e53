#include "obs/exposition_read.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "obs/metric.h"

/* Writes a sample down as name[label=value;...]=value. */
static int write_down(void *context, const struct exposition_sample *sample)
{
    struct buffer *out = context;

    buffer_append(out, sample->name.data, sample->name.length);
    buffer_puts(out, "[");
    for (size_t i = 0; i < sample->label_count; i++) {
        const struct exposition_label *label = &sample->labels[i];
        buffer_printf(out, "%s%.*s=%.*s", i ? ";" : "", (int)label->name.length, label->name.data,
                      (int)label->value.length, label->value.data);
    }
    return buffer_printf(out, "]=%.17g ", sample->value);
}

/* Reads text from memory of its own length, so that a sanitizer sees a read past its end. */
static int read_all(const char *text, size_t length, struct buffer *out, struct error **err)
{
    cleanup_free char *copy = xmalloc(length ? length : 1);
    if (length)
        memcpy(copy, text, length);
    return exposition_read(copy, length, write_down, out, err);
}

Test(exposition_read, reads_what_the_format_has)
{
    static const struct {
        const char *text, *written;
    } cases[] = {
        {"", ""},
        {"\n", ""},
        {" \t \n\n", ""},
        {"# HELP a b \\ \"\n# TYPE a counter\n#\n  # x\n# EOF\n", ""},
        {"a 1\n", "a[]=1 "},
        {"  a\t 1 \t\n", "a[]=1 "},
        {":_aZ09 1\n", ":_aZ09[]=1 "},
        {"a{} 1\n", "a[]=1 "},
        {"a {b=\"c\"} 1\n", "a[b=c]=1 "},
        {"a{b=\"c\"}1\n", "a[b=c]=1 "},
        {"a{ b = \"c\" , _d9 = \"\" , } 1\n", "a[b=c;_d9=]=1 "},
        {"a{b=\"c\",d=\"e\"} 1 1395066363000\n", "a[b=c;d=e]=1 "},
        {"a{b=\"} # {\"} 1\n", "a[b=} # {]=1 "},
        {"a{b=\"\\\\ \\\" \\n \\\\n\",c=\"\\\\\\\\\"} 1\n", "a[b=\\ \" \n \\n;c=\\\\]=1 "},
        {"a{b=\"\xC3\xA4\xF0\x9F\x98\x80\"} 1\n", "a[b=\xC3\xA4\xF0\x9F\x98\x80]=1 "},
        {"a 1 -5\na 1 +5 \na 1 9223372036854775807\na 1 -9223372036854775808\n",
         "a[]=1 a[]=1 a[]=1 a[]=1 "},
        {"a\t1\t5\t\n", "a[]=1 "},
        {"a NaN\na +Inf\na -Inf\na 1e3\n", "a[]=nan a[]=inf a[]=-inf a[]=1000 "},
        {"# first\na 1\n\n# second\nb 2\n", "a[]=1 b[]=2 "},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_buffer struct buffer out = BUFFER_INIT(1000);
        cleanup_error struct error *err = NULL;
        int ret = read_all(cases[i].text, strlen(cases[i].text), &out, &err);
        cr_assert_eq(ret, 0, "%s: %s", cases[i].text, error_message(err));
        cr_assert_str_eq(buffer_terminate(&out), cases[i].written);
        cr_assert_null(err);
    }
}

Test(exposition_read, says_what_is_wrong_and_where)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a 1", "line 1: the page ends within it"},
        {"a 1\nb", "line 2: the page ends within it"},
        {"# x", "line 1: the page ends within it"},
        {"9a 1\n", "line 1: it begins with neither a metric's name nor '#'"},
        {"\r\n", "line 1: it begins with neither a metric's name nor '#'"},
        {"{b=\"c\"} 1\n", "line 1: it begins with neither a metric's name nor '#'"},
        {"a 1\n\n\xC3\xA4 1\n", "line 3: it begins with neither a metric's name nor '#'"},
        {"a-b 1\n", "line 1: a character that a metric's name can't have"},
        {"a\"b\" 1\n", "line 1: a character that a metric's name can't have"},
        {"a\n", "line 1: the value is missing"},
        {"a \n", "line 1: the value is missing"},
        {"a{}\n", "line 1: the value is missing"},
        {"a 1\r\n", "line 1: the value is not a number"},
        {"a x\n", "line 1: the value is not a number"},
        {"a 1 x\n", "line 1: the timestamp is not a whole number of milliseconds"},
        {"a 1 -\n", "line 1: the timestamp is not a whole number of milliseconds"},
        {"a 1 1.5\n", "line 1: the timestamp is not a whole number of milliseconds"},
        {"a 1 9223372036854775808\n",
         "line 1: the timestamp is not a whole number of milliseconds"},
        {"a 1 -9223372036854775809\n",
         "line 1: the timestamp is not a whole number of milliseconds"},
        {"a 1 99999999999999999999\n",
         "line 1: the timestamp is not a whole number of milliseconds"},
        {"a 1 # {b=\"c\"} 1\n", "line 1: the timestamp is not a whole number of milliseconds"},
        {"a 1 5 6\n", "line 1: there is more after the timestamp"},
        {"a{\n", "line 1: the name of a label is missing"},
        {"a{,} 1\n", "line 1: the name of a label is missing"},
        {"a{9=\"\"} 1\n", "line 1: the name of a label is missing"},
        {"a{:b=\"\"} 1\n", "line 1: the name of a label is missing"},
        {"a{b=\"\",,} 1\n", "line 1: the name of a label is missing"},
        {"a{b\n", "line 1: no '=' after the name of a label"},
        {"a{b:c=\"\"} 1\n", "line 1: no '=' after the name of a label"},
        {"a{b=c} 1\n", "line 1: no quote before the value of a label"},
        {"a{b=\n", "line 1: no quote before the value of a label"},
        {"a{b=\"\n", "line 1: the value of a label does not end in a quote"},
        {"a{b=\"\\\n", "line 1: the value of a label does not end in a quote"},
        {"a{b=\"\\\"\n", "line 1: the value of a label does not end in a quote"},
        {"a{b=\"c\"\n", "line 1: neither ',' nor '}' after the value of a label"},
        {"a{b=\"c\" d=\"e\"} 1\n", "line 1: neither ',' nor '}' after the value of a label"},
        {"a{b=\"\",c=\"\",b=\"\"} 1\n", "line 1: a label is there twice"},
        {"a{b=\"\\t\"} 1\n",
         "line 1: an escape in the value of a label is none of \\\\, \\\" and \\n"},
        {"a{b=\"\xFF\"} 1\n", "line 1: the value of a label is not UTF-8"},
        {"a{b=\"\xC3\"} 1\n", "line 1: the value of a label is not UTF-8"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_buffer struct buffer out = BUFFER_INIT(1000);
        cleanup_error struct error *err = NULL;
        int ret = read_all(cases[i].text, strlen(cases[i].text), &out, &err);
        cr_assert_eq(ret, -EINVAL, "%s", cases[i].text);
        cr_assert_str_eq(error_message(err), cases[i].message);
    }
    cleanup_error struct error *err = NULL;
    cr_assert_eq(exposition_read("a{b=\"\0\"} 1\n", 11, write_down, NULL, &err), -EINVAL);
    cr_assert_str_eq(error_message(err), "line 1: the value of a label is not UTF-8");
    cr_assert_eq(exposition_read("a 1\0\n", 5, write_down, NULL, NULL), -EINVAL);
}

static int count(void *context, const struct exposition_sample *sample)
{
    size_t *most = context;
    if (sample->label_count > *most)
        *most = sample->label_count;
    return 0;
}

/* A line of so many bytes, and its line feed. */
static size_t make_line(struct buffer *out, size_t length, char fill)
{
    buffer_clear(out);
    buffer_puts(out, "a{b=\"");
    while (out->length < length - 4)
        buffer_append(out, &fill, 1);
    buffer_puts(out, "\"} 1\n");
    return out->length;
}

Test(exposition_read, keeps_its_limits)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(EXPOSITION_LINE_MAX + 2);
    cleanup_error struct error *err = NULL;
    size_t most = 0;

    make_line(&text, EXPOSITION_LINE_MAX, 'x');
    cr_assert_eq(text.length, EXPOSITION_LINE_MAX + 1);
    cr_assert_eq(exposition_read(text.data, text.length, count, &most, NULL), 0);
    make_line(&text, EXPOSITION_LINE_MAX + 1, 'x');
    cr_assert_eq(exposition_read(text.data, text.length, count, &most, &err), -EINVAL);
    cr_assert_str_eq(error_message(err), "line 1: more than 16384 bytes");
    text.data[0] = '#'; /* a comment may not be longer either */
    cr_assert_eq(exposition_read(text.data, text.length, count, &most, NULL), -EINVAL);

    /* As many escapes as a line can have. */
    make_line(&text, EXPOSITION_LINE_MAX - 1, '\\');
    cr_assert_eq(exposition_read(text.data, text.length, count, &most, &err), 0, "%s",
                 error_message(err));

    for (int labels = EXPOSITION_LABELS_MAX; labels <= EXPOSITION_LABELS_MAX + 1; labels++) {
        buffer_clear(&text);
        buffer_puts(&text, "a{");
        for (int i = 0; i < labels; i++)
            buffer_printf(&text, "l%d=\"\",", i);
        buffer_puts(&text, "} 1\n");
        int ret = exposition_read(text.data, text.length, count, &most, &err);
        cr_assert_eq(ret, labels == EXPOSITION_LABELS_MAX ? 0 : -EINVAL);
    }
    cr_assert_eq(most, EXPOSITION_LABELS_MAX);
    cr_assert_str_eq(error_message(err), "line 1: more than 32 labels");

    cr_assert_eq(exposition_read(NULL, 0, count, &most, NULL), 0);
    cr_assert_eq(exposition_read("", EXPOSITION_TEXT_MAX + 1, count, &most, &err), -EINVAL);
    cr_assert_str_eq(error_message(err), "the page has more than 67108864 bytes");
}

static int stop_at_b(void *context, const struct exposition_sample *sample)
{
    ++*(size_t *)context;
    return exposition_is(sample, "b") ? -ECANCELED : 0;
}

Test(exposition_read, ends_when_the_visit_says_so)
{
    cleanup_error struct error *err = NULL;
    size_t visits = 0;

    cr_assert_eq(exposition_read("a 1\nb 1\nc 1\n?\n", 14, stop_at_b, &visits, &err), -ECANCELED);
    cr_assert_eq(visits, 2);
    cr_assert_null(err);
    visits = 0;
    cr_assert_eq(exposition_read("a 1\nc 1\n?\n", 10, stop_at_b, &visits, NULL), -EINVAL);
    cr_assert_eq(visits, 2, "what came before the malformed line was visited");
}

static int look(void *context, const struct exposition_sample *sample)
{
    (void)context;
    cr_assert(exposition_is(sample, "abc"));
    cr_assert_not(exposition_is(sample, "ab"));
    cr_assert_not(exposition_is(sample, "abcd"));
    cr_assert(exposition_equal(exposition_label(sample, "x"), "1"));
    cr_assert(exposition_equal(exposition_label(sample, "xy"), ""));
    cr_assert_null(exposition_label(sample, "y"));
    return 0;
}

Test(exposition_read, finds_names_and_labels)
{
    cr_assert_eq(exposition_read("abc{x=\"1\",xy=\"\"} 1\n", 19, look, NULL, NULL), 0);
}

/* What our own registry exposes is read back, in both formats. */
Test(exposition_read, reads_what_lib_obs_writes)
{
    static const double bounds[] = {0.5, 1, 10000000};
    static const struct metric_spec counter = {
        .name = "a_total", .help = "A\n\\.", .kind = METRIC_COUNTER, .labels = {"x", "y"}};
    static const struct metric_spec histogram = {
        .name = "h", .help = "H.", .kind = METRIC_HISTOGRAM, .buckets = bounds, .bucket_count = 3};
    struct metrics *metrics = metrics_new();
    metrics_thread_attach(metrics);
    metric_add(metric_series(metrics_family(metrics, &counter), (const char *[]){"\"\n\\", "}"}),
               0.1);
    metric_observe(metric_series(metrics_family(metrics, &histogram), NULL), 2);
    for (int open = 0; open < 2; open++) {
        cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16), out = BUFFER_INIT(1 << 16);
        cleanup_error struct error *err = NULL;
        metrics_expose(metrics, open ? METRICS_OPENMETRICS_TEXT : METRICS_PROMETHEUS_TEXT, &text);
        cr_assert_eq(read_all(text.data, text.length, &out, &err), 0, "%s", error_message(err));
        cr_assert_str_eq(buffer_terminate(&out),
                         "a_total[x=\"\n\\;y=}]=0.10000000000000001 h_bucket[le=0.5]=0 "
                         "h_bucket[le=1.0]=0 h_bucket[le=1e+07]=1 h_bucket[le=+Inf]=1 h_sum[]=2 "
                         "h_count[]=1 ");
    }
    metrics_thread_detach();
    metrics_free(metrics);
}
