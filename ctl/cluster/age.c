#include "ctl/cluster/age.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "kube/time.h"

char *age_format(uint64_t ns, char text[AGE_TEXT_MAX])
{
    uint64_t s = ns / NS_PER_S, minutes = s / 60, hours = minutes / 60;
    if (s < 120)
        snprintf(text, AGE_TEXT_MAX, "%" PRIu64 "s", s);
    else if (minutes < 10 && s % 60)
        snprintf(text, AGE_TEXT_MAX, "%" PRIu64 "m%" PRIu64 "s", minutes, s % 60);
    else if (minutes < 180)
        snprintf(text, AGE_TEXT_MAX, "%" PRIu64 "m", minutes);
    else if (hours < 48)
        snprintf(text, AGE_TEXT_MAX, "%" PRIu64 "h", hours);
    else
        snprintf(text, AGE_TEXT_MAX, "%" PRIu64 "d", hours / 24);
    return text;
}

char *age_since(const char *timestamp, uint64_t now_ns, char text[AGE_TEXT_MAX])
{
    uint64_t then_ns;
    if (kube_time_parse(timestamp, &then_ns, NULL) < 0) {
        snprintf(text, AGE_TEXT_MAX, "?");
        return text;
    }
    return age_format(now_ns > then_ns ? now_ns - then_ns : 0, text);
}
