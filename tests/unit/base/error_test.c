// SPDX-License-Identifier: Apache-2.0
#include "lib/base/error.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(error, carries_code_reason_and_message)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(error_set_reason(&err, -EPERM, "Forbidden", "no %s", "way"), -EPERM);
    cr_assert_eq(err.code, -EPERM);
    cr_assert_str_eq(error_reason(&err, "Other"), "Forbidden");
    cr_assert_str_eq(error_message(&err), "no way");
}

Test(error, context_comes_first)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(error_set_errno(&err, -ENOENT, "cannot open %s", "f"), -ENOENT);
    cr_assert_eq(error_wrap(&err, "profile %s", "p"), -ENOENT);
    cr_assert_str_eq(err.message, "profile p: cannot open f: No such file or directory");
}

Test(error, a_new_error_replaces_the_old_wholly)
{
    _cleanup_error_ struct error err = {0};

    error_set_reason(&err, -EPERM, "Forbidden", "first");
    err.http_status = 403;
    error_set(&err, -EIO, "after %s", err.message);
    cr_assert_str_eq(err.message, "after first");
    cr_assert_null(err.reason);
    cr_assert_eq(err.http_status, 0);
}

Test(error, without_a_place_only_the_code_counts)
{
    struct error err = {0};

    cr_assert_eq(error_set(NULL, -EIO, "x"), -EIO);
    cr_assert_eq(error_set_errno(NULL, -EIO, "x"), -EIO);
    cr_assert_eq(error_set_reason(NULL, -EIO, "R", "x"), -EIO);
    error_done(NULL);
    error_set(&err, -EBUSY, "x");
    cr_assert_eq(error_move(NULL, &err), -EBUSY);
    cr_assert_eq(err.code, 0);
    cr_assert_null(err.message);
}

Test(error, moves_and_copies)
{
    _cleanup_error_ struct error a = {0}, b = {0}, c = {0};

    error_set_reason(&a, -EPERM, "Forbidden", "text");
    a.http_status = 403;
    cr_assert_eq(error_copy(&b, &a), -EPERM);
    cr_assert_str_eq(a.message, "text");
    cr_assert_eq(b.http_status, 403);
    cr_assert_str_eq(b.reason, "Forbidden");
    error_set(&c, -EIO, "old");
    cr_assert_eq(error_move(&c, &b), -EPERM);
    cr_assert_str_eq(c.message, "text");
    cr_assert_null(b.message);
    cr_assert_eq(error_copy(&c, &c), -EPERM);
    cr_assert_str_eq(c.message, "text");
}

Test(error, always_has_something_to_say)
{
    struct error none = {0}, code_only = {.code = -ENOMEM};

    cr_assert_str_eq(error_message(&none), "no error");
    cr_assert_str_eq(error_message(&code_only), "Cannot allocate memory");
    cr_assert_str_eq(error_message(NULL), "unknown error");
    cr_assert_str_eq(error_reason(&none, "Fallback"), "Fallback");
}
