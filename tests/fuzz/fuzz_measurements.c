/*
 * Measurements from outside: whatever the bytes, reading them ends and either gives rows within
 * bounds or says at least one sentence.
 */
#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "ctl/measurements.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_measurements struct measurements list = MEASUREMENTS_INIT, some = MEASUREMENTS_INIT;

    int r = measurements_parse((const char *)data, size, "fuzz", &list, &problems);
    REQUIRE((r < 0) == (problems.count > 0));
    REQUIRE((r < 0) == (list.count == 0));
    for (size_t i = 0; i < problems.count && i < PROBLEMS_MAX; i++)
        REQUIRE(text_utf8_valid(problems.texts[i], strlen(problems.texts[i])));
    for (size_t i = 0; i < list.count; i++) {
        REQUIRE(list.items[i].frame_bytes >= 1 && list.items[i].p99_us > 0);
        REQUIRE(list.items[i].rank < list.count);
        REQUIRE(measurements_ceiling(&list, list.items[i].frame_bytes) > 0);
    }
    if (list.count > 0)
        REQUIRE(measurements_select(&list, list.items[0].config, &some, &problems) == 0);
    return 0;
}
