// SPDX-License-Identifier: Apache-2.0
#include "lib/base/buf.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/alloc.h"

Test(buf, grows_to_its_ceiling_and_no_further)
{
    _cleanup_buf_ struct buf buf = BUF_INIT(5);

    cr_assert_str_eq(buf_string(&buf), "");
    cr_assert_eq(buf_add(&buf, "abc", 3), 0);
    cr_assert_eq(buf_add(&buf, "de", 2), 0);
    cr_assert_not(buf.overflow);
    cr_assert_eq(buf_add_char(&buf, 'f'), -EFBIG);
    cr_assert(buf.overflow);
    cr_assert_str_eq(buf_string(&buf), "abcde");
    cr_assert_leq(buf.capacity, 6);
}

Test(buf, after_an_overflow_nothing_is_added)
{
    _cleanup_buf_ struct buf buf = BUF_INIT(4);

    cr_assert_eq(buf_add_string(&buf, "toolong"), -EFBIG);
    cr_assert_eq(buf_add_string(&buf, "a"), -EFBIG);
    cr_assert_eq(buf_addf(&buf, "%d", 1), -EFBIG);
    cr_assert_eq(buf.len, 0);
    buf_reset(&buf);
    cr_assert_eq(buf_add_string(&buf, "a"), 0);
    cr_assert_str_eq(buf_string(&buf), "a");
}

Test(buf, formats_across_its_growth)
{
    _cleanup_buf_ struct buf buf = BUF_INIT(100000);
    _cleanup_free_ char *expected = xmalloc(70001);

    for (int i = 0; i < 10000; i++) {
        cr_assert_eq(buf_addf(&buf, "%06d,", i), 0);
        snprintf(expected + i * 7, 8, "%06d,", i);
    }
    cr_assert_eq(buf.len, 70000);
    cr_assert_str_eq(buf_string(&buf), expected);
}

Test(buf, consumes_from_the_front)
{
    _cleanup_buf_ struct buf buf = BUF_INIT(100);

    buf_consume(&buf, 3);
    buf_add(&buf, "a\0bcd", 5);
    buf_consume(&buf, 2);
    cr_assert_str_eq(buf_string(&buf), "bcd");
    cr_assert_eq(buf.len, 3);
    buf_consume(&buf, 99);
    cr_assert_str_eq(buf_string(&buf), "");
    cr_assert_eq(buf.len, 0);
}

Test(buf, hands_over_its_content_and_starts_anew)
{
    _cleanup_buf_ struct buf buf = BUF_INIT(10);
    _cleanup_free_ char *empty = buf_take(&buf);

    cr_assert_str_eq(empty, "");
    buf_add_string(&buf, "abc");
    _cleanup_free_ char *text = buf_take(&buf);
    cr_assert_str_eq(text, "abc");
    cr_assert_eq(buf.len, 0);
    cr_assert_eq(buf_add_string(&buf, "0123456789"), 0);
    cr_assert_eq(buf_add_char(&buf, 'x'), -EFBIG);
}
