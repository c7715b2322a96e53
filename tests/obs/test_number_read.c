#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <locale.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "obs/exposition_read.h"

static int read_number(const char *text, double *ret)
{
    size_t length = strlen(text);
    cleanup_free char *copy = xmalloc(length ? length : 1); /* without a NUL */
    if (length)
        memcpy(copy, text, length);
    return exposition_number(copy, length, ret);
}

Test(number_read, reads_decimal_numbers_and_words)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"0", 0},
        {"00", 0},
        {"7", 7},
        {"-7", -7},
        {"+7", 7},
        {"123456789012345", 123456789012345.0},
        {"9007199254740993", 9007199254740992.0},
        {"18446744073709551616", 18446744073709551616.0},
        {"0.1", 0.1},
        {".5", 0.5},
        {"5.", 5},
        {"1e3", 1000},
        {"1E+3", 1000},
        {"1.5e-3", 0.0015},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"1e-400", 0},
        {"4.9e-324", 4.9e-324},
        {"Inf", INFINITY},
        {"+Inf", INFINITY},
        {"-Inf", -INFINITY},
        {"-infinity", -INFINITY},
        {"INFINITY", INFINITY},
    };
    double value = 0;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(read_number(cases[i].text, &value), 0, "%s", cases[i].text);
        cr_assert(value == cases[i].value, "%s: %g", cases[i].text, value);
    }
    cr_assert(read_number("-0", &value) == 0 && signbit(value));
    cr_assert(read_number("NaN", &value) == 0 && isnan(value));
    cr_assert(read_number("nan", &value) == 0 && isnan(value));
}

Test(number_read, refuses_anything_else)
{
    static const char *const cases[] = {
        "",     "-",     "+",      ".",      "e5",    "1e",        "1e+",  "--1",  "+-1",  "1.2.3",
        "1,5",  "0x10",  "1_000",  " 1",     "1 ",    "1x",        "1\r",  "inf1", "Infi", "+NaN",
        "-nan", "1e999", "nan(1)", "-1e999", "1e5e5", "\302\2401", "Infx", "++Inf"};
    char longest[EXPOSITION_NUMBER_MAX + 2];
    double value = 42;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_eq(read_number(cases[i], &value), -EINVAL, "%s", cases[i]);
    cr_assert_eq(exposition_number("1.5\0", 4, &value), -EINVAL);
    cr_assert_eq(value, 42, "untouched");
    memset(longest, '1', sizeof(longest));
    cr_assert_eq(exposition_number(longest, EXPOSITION_NUMBER_MAX, &value), 0);
    cr_assert_eq(exposition_number(longest, EXPOSITION_NUMBER_MAX + 1, &value), -EINVAL);
}

/* Makes a locale "comma" below directory: its decimal point is a comma. localedef complains that it
 * has nothing else. */
static void make_locale(const char *directory)
{
    static const char text[] = "LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \"\"\n"
                               "grouping -1\nEND LC_NUMERIC\n";
    cleanup_free char *source = xasprintf("%s/source", directory);
    cleanup_free char *made = xasprintf("%s/comma", directory);
    char program[] = "localedef", anyway[] = "-c", quiet[] = "--quiet", input[] = "-i";
    char *arguments[] = {program, anyway, quiet, input, source, made, NULL};
    int status;
    pid_t child;

    FILE *file = fopen(source, "we");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    cr_assert_eq(posix_spawnp(&child, program, NULL, NULL, arguments, environ), 0);
    cr_assert_eq(waitpid(child, &status, 0), child);
}

static int unlink_it(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

Test(number_read, does_not_mind_the_locale)
{
    char directory[] = "/tmp/test-number-read-XXXXXX";
    double value = 0;

    cr_assert_not_null(mkdtemp(directory));
    make_locale(directory);
    setenv("LOCPATH", directory, 1);
    const char *set = setlocale(LC_NUMERIC, "comma");
    nftw(directory, unlink_it, 8, FTW_DEPTH | FTW_PHYS);
    cr_assert_not_null(set);
    cr_assert_eq(strtod("1,5", NULL), 1.5, "the locale is in force");
    cr_assert_eq(read_number("1.5", &value), 0);
    cr_assert_eq(value, 1.5);
    cr_assert_eq(read_number("1,5", &value), -EINVAL);
}
