/*
 * Profiles from outside: whatever the bytes, reading them ends and either gives a profile that can
 * be written, read again and simulated, or says at least one sentence.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "model/path.h"
#include "require.h"
#include "spec/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Full memory is emptied once: of that much, in a moment. */
static const double buffer_max = 10e6;

static void check_problems(int ret, const struct problems *problems)
{
    REQUIRE((ret < 0) == (problems->count > 0));
    for (size_t i = 0; i < problems->count && i < PROBLEMS_MAX; i++)
        REQUIRE(text_utf8_valid(problems->texts[i], strlen(problems->texts[i])));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT, more = PROBLEMS_INIT;
    const char *sources[PROFILE_PARAMETERS] = {NULL};
    struct profile profile, again;

    int r = profile_parse((const char *)data, size, "fuzz", &profile, &problems);
    check_problems(r, &problems);
    if (r < 0)
        return 0;
    json_auto_t *root = profile_json(&profile, "fuzz", sources);
    cleanup_free char *text = json_dumps(root, 0);
    REQUIRE(text);
    /* Four digits are written, so a value at its bound may come back a little outside. */
    r = profile_parse(text, strlen(text), "again", &again, &more);
    check_problems(r, &more);
    struct path_load load = {
        .frame_bytes = 1000, .rate_per_s = 1000, .connections = 3, .duration_s = 0.05, .seed = 1};
    struct path_result result;
    struct path_means means;
    path_estimate(&profile, 1000, 1000, &means);
    REQUIRE(means.client_cores >= 0 && means.client_cores <= 1);
    if (profile.value[PROFILE_BUFFER_BYTES] == 0 ||
        profile.value[PROFILE_BUFFER_BYTES] > buffer_max)
        profile.value[PROFILE_BUFFER_BYTES] = buffer_max;
    path_simulate(&profile, &load, &result);
    REQUIRE(result.client_cores >= 0 && result.client_cores <= 1);
    REQUIRE(result.drop_fraction >= 0 && result.drop_fraction <= 1);
    REQUIRE(isfinite(result.p999_us));
    return 0;
}
