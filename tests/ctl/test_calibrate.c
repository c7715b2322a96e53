/* `dpumesh calibrate` in a program that has no NLopt: this one links dpumesh_ctl_core alone. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include "ctl/calibrate.h"
#include "ctl/verb.h"

TestSuite(ctl_calibrate, .timeout = 30);

static char verb[] = "calibrate", data[] = "--data=/nowhere.csv", config[] = "--config=proxy";
static char *arguments[] = {verb, data, config, NULL};

static struct calibrate seen;

static int remember(const struct calibrate *calibrate)
{
    seen = *calibrate;
    return 7;
}

Test(ctl_calibrate, is_refused_with_a_sentence_where_nothing_fits)
{
    cr_redirect_stderr();
    cr_assert_eq(verb_calibrate.run(&verb_calibrate, 3, arguments), 2);
    fflush(stderr);
    cr_assert_stderr_eq_str("dpumesh: this dpumesh was built without NLopt, which fits "
                            "profiles\n");
}

Test(ctl_calibrate, gives_its_options_to_what_fits_and_exits_with_its_status)
{
    calibrate_run = remember;
    cr_assert_eq(verb_calibrate.run(&verb_calibrate, 3, arguments), 7);
    cr_assert_str_eq(seen.data, "/nowhere.csv");
    cr_assert_str_eq(seen.config, "proxy");
    cr_assert_null(seen.output);
    cr_assert_eq(seen.starts, 12);
}
