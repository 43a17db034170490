// SPDX-License-Identifier: Apache-2.0
#include "lib/base/strv.h"

#include <criterion/criterion.h>

#include "lib/base/alloc.h"

Test(strv, keeps_order_and_owns_its_strings)
{
    _cleanup_strv_ struct strv list = {0};
    char text[] = "b";

    strv_add(&list, text);
    text[0] = 'x';
    strv_take(&list, xstrdup("a"));
    cr_assert_eq(list.len, 2);
    cr_assert_str_eq(list.items[0], "b");
    cr_assert(strv_contains(&list, "a"));
    cr_assert_not(strv_contains(&list, "x"));
    strv_sort(&list);
    cr_assert_str_eq(list.items[0], "a");
}

Test(strv, joins)
{
    _cleanup_strv_ struct strv list = {0};
    _cleanup_free_ char *empty = strv_join(&list, ", ");

    cr_assert_str_eq(empty, "");
    for (char c = 'a'; c < 'a' + 20; c++)
        strv_take(&list, xasprintf("%c", c));
    _cleanup_free_ char *text = strv_join(&list, ", ");
    cr_assert_str_eq(text, "a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t");
}

Test(strv, copies_and_compares)
{
    _cleanup_strv_ struct strv a = {0}, b = {0};

    cr_assert(strv_equal(&a, &b));
    strv_sort(&a);
    strv_add(&a, "x");
    strv_add(&b, "old");
    cr_assert_not(strv_equal(&a, &b));
    strv_copy(&b, &a);
    cr_assert(strv_equal(&a, &b));
    cr_assert_neq(a.items[0], b.items[0]);
    strv_copy(&b, &b);
    cr_assert(strv_equal(&a, &b));
    strv_add(&b, "y");
    cr_assert_not(strv_equal(&a, &b));
}
