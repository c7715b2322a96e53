#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "ctl/predict.h"

/* One rate, with or without a percent sign. */
static int parse_rate(char *text, double *ret, bool *ret_percent, struct error **err)
{
    size_t length = strlen(text);
    bool percent = length > 0 && text[length - 1] == '%';

    if (percent)
        text[length - 1] = '\0';
    int r = text_parse_double(text, 1e-3, percent ? 1000 : 1e12, ret, err);
    if (r == 0)
        *ret_percent = percent;
    return r;
}

/* FROM:TO:COUNT. */
static int parse_range(char *text, struct predict_values *values, struct error **err)
{
    char *to_text = strchr(text, ':'), *count_text = strchr(to_text + 1, ':');
    double from = 0, to = 0;
    bool from_percent = false, to_percent = false;
    uint64_t count = 0;

    *to_text++ = '\0';
    if (!count_text)
        return error_make(err, EINVAL, "a range is FROM:TO:COUNT, such as 10000:100000:10");
    *count_text++ = '\0';
    if (parse_rate(text, &from, &from_percent, err) < 0 ||
        parse_rate(to_text, &to, &to_percent, err) < 0 ||
        text_parse_unsigned(count_text, 2, PREDICT_VALUES_MAX, &count, err) < 0)
        return -EINVAL;
    if (from >= to || from_percent != to_percent)
        return error_make(err, EINVAL,
                          "a range goes from a lower to a higher rate, both in %% or "
                          "both not");
    values->count = count;
    for (size_t i = 0; i < count; i++) {
        values->value[i] = from + (to - from) * (double)i / (double)(count - 1);
        values->percent[i] = from_percent;
    }
    return 0;
}

int predict_parse_rates(const char *text, struct predict_values *ret, struct error **err)
{
    cleanup_free char *copy = xstrdup(text);
    cleanup_free struct predict_values *values = xcalloc(1, sizeof *values);
    char *rest = copy, *item;

    if (strchr(copy, ':')) {
        if (parse_range(copy, values, err) < 0)
            return -EINVAL;
    } else {
        while ((item = strsep(&rest, ","))) {
            if (values->count == PREDICT_VALUES_MAX)
                return error_make(err, EINVAL, "more than %d rates", PREDICT_VALUES_MAX);
            size_t i = values->count++;
            if (parse_rate(item, &values->value[i], &values->percent[i], err) < 0)
                return -EINVAL;
        }
    }
    *ret = *values;
    return 0;
}

int predict_parse_frames(const char *text, struct predict_values *ret, struct error **err)
{
    cleanup_free char *copy = xstrdup(text);
    cleanup_free struct predict_values *values = xcalloc(1, sizeof *values);
    char *rest = copy, *item;
    uint64_t bytes;

    while ((item = strsep(&rest, ","))) {
        if (values->count == PREDICT_VALUES_MAX)
            return error_make(err, EINVAL, "more than %d frames", PREDICT_VALUES_MAX);
        if (text_parse_size(item, 1, (uint64_t)PROFILE_FRAME_MAX, &bytes, err) < 0)
            return -EINVAL;
        values->value[values->count++] = (double)bytes;
    }
    *ret = *values;
    return 0;
}

double predict_rate(const struct profile *profile, const struct predict_values *rates, size_t index,
                    double frame_bytes)
{
    struct path_means means;

    if (!rates->percent[index])
        return rates->value[index];
    path_estimate(profile, frame_bytes, 1, &means);
    return rates->value[index] / 100 * means.ceiling_per_s;
}

bool predict_clean(const struct path_load *load, const struct path_result *result)
{
    return result->achieved_per_s >= 0.98 * load->rate_per_s && result->drop_fraction <= 0.001 &&
           result->p99_us <= 10000;
}
