/*
 * Files of samples from outside: whatever the bytes, reading them ends and gives a sound quantile
 * table within bounds, or one sentence.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "require.h"
#include "spec/latency.h"
#include "spec/samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct distribution_point *table = NULL;
    cleanup_error struct error *err = NULL;
    size_t count = 0;

    int r = samples_parse((const char *)data, size, "fuzz", &table, &count, &err);
    REQUIRE((r < 0) == (err != NULL) && (r < 0) == (table == NULL));
    if (r < 0) {
        REQUIRE(text_utf8_valid(error_message(err), strlen(error_message(err))));
        return 0;
    }
    struct distribution latency = {
        .kind = DISTRIBUTION_EMPIRICAL, .table = table, .point_count = count};
    REQUIRE(distribution_check(&latency, NULL) == 0);
    REQUIRE((double)table[count - 1].ns <= LATENCY_MAX_NS);
    /* A sum of shares of equal delays is off by rounding. */
    REQUIRE(distribution_mean_ns(&latency) <= (double)table[count - 1].ns * (1 + 1e-9));
    free(table);
    return 0;
}
