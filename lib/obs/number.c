/* Numbers as expositions print them. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "obs/registry.h"

size_t metric_number_format(double value, char text[METRIC_NUMBER_MAX])
{
    int size = 0;
    if (isnan(value))
        return (size_t)snprintf(text, METRIC_NUMBER_MAX, "NaN");
    if (isinf(value))
        return (size_t)snprintf(text, METRIC_NUMBER_MAX, value > 0 ? "+Inf" : "-Inf");
    /* Nearly all values are counts; below 2^53 every whole number is exact. */
    if (fabs(value) < 9007199254740992.0 && value == (double)(int64_t)value)
        return (size_t)snprintf(text, METRIC_NUMBER_MAX, "%" PRId64, (int64_t)value);
    for (int digits = 15; digits <= 17; digits++) {
        size = snprintf(text, METRIC_NUMBER_MAX, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return (size_t)size;
}

void metric_bound_format(double value, char text[METRIC_BOUND_TEXT_MAX])
{
    int decimals = 0;
    do {
        snprintf(text, METRIC_BOUND_TEXT_MAX, "%.*e", decimals, value);
    } while (strtod(text, NULL) != value && ++decimals < 17);
    int exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    /* OpenMetrics 1.0, "Considerations: canonical numbers": exponents below -4 and from 6 on. */
    if (exponent < -4 || exponent >= 6)
        return;
    int after_point = decimals - exponent;
    snprintf(text, METRIC_BOUND_TEXT_MAX, "%.*f", after_point < 1 ? 1 : after_point, value);
}
