#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "doc/problem.h"

Test(problem, kept_up_to_a_cap_and_counted_beyond)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    for (unsigned i = 0; i < PROBLEMS_MAX + 20; i++)
        problem_add(&problems, "sentence %u", i);
    cr_assert_eq(problems.count, PROBLEMS_MAX + 20);
    cr_assert_str_eq(problems.texts[0], "sentence 0");
    cr_assert_str_eq(problems.texts[PROBLEMS_MAX - 1], "sentence 99");

    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    problems_print(&problems, file, "dpumesh: ");
    fclose(file);
    cr_assert_eq(strncmp(text, "dpumesh: sentence 0\ndpumesh: sentence 1\n", 40), 0);
    cr_assert(strstr(text, "dpumesh: sentence 99\ndpumesh: ... and 20 more\n"));
    free(text);

    problems_free(&problems);
    cr_assert_eq(problems.count, 0);
    problem_add(&problems, "usable again");
    cr_assert_str_eq(problems.texts[0], "usable again");
}

Test(problem, is_one_line_whatever_it_quotes)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    problem_add(&problems, "\"%s\" is none", "a\n\x1b[31m\x7f\xc3\xa9");
    cr_assert_str_eq(problems.texts[0], "\"a ?[31m?\xc3\xa9\" is none");
}
