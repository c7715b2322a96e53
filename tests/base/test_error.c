#include "base/error.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(error, carries_number_and_sentence)
{
    cleanup_error struct error *err = NULL;
    cr_assert_eq(error_make(&err, ENOENT, "%s: no such %s", "a.json", "file"), -ENOENT);
    cr_assert_str_eq(error_message(err), "a.json: no such file");
    cr_assert_eq(error_number(err), ENOENT);

    cr_assert_eq(error_prefix(&err, -ENOENT, "service %d", 3), -ENOENT);
    cr_assert_str_eq(error_message(err), "service 3: a.json: no such file");

    /* The arguments may come from the error that is replaced. */
    cr_assert_eq(error_make(&err, EINVAL, "[%s]", error_message(err)), -EINVAL);
    cr_assert_str_eq(error_message(err), "[service 3: a.json: no such file]");
    cr_assert_eq(error_number(err), EINVAL);
}

Test(error, nothing_is_fine)
{
    struct error *err = NULL;
    cr_assert_eq(error_make(NULL, EIO, "dropped %d", 1), -EIO);
    cr_assert_eq(error_prefix(NULL, -EIO, "x"), -EIO);
    cr_assert_eq(error_prefix(&err, -EIO, "x"), -EIO);
    cr_assert_null(err);
    cr_assert_str_eq(error_message(NULL), "no error");
    cr_assert_eq(error_number(NULL), 0);
    error_free(NULL);
}
