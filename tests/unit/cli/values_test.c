// SPDX-License-Identifier: Apache-2.0
#include "cli/values.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

static void expect_age(const char *then, const char *expected)
{
    _cleanup_free_ char *age = NULL;
    int64_t now_ms;

    cr_assert_eq(clock_parse("2026-01-03T12:00:00Z", &now_ms), 0);
    age = value_age(then, now_ms);
    cr_assert_str_eq(age, expected);
}

Test(values, ages_are_short)
{
    expect_age("2026-01-03T11:59:55Z", "5s");
    expect_age("2026-01-03T11:58:05Z", "115s");
    expect_age("2026-01-03T11:50:00Z", "10m");
    expect_age("2026-01-02T12:00:00Z", "24h");
    expect_age("2025-12-24T12:00:00Z", "10d");
    expect_age("2027-01-01T00:00:00Z", "0s");
    expect_age("yesterday", "");
    expect_age("", "");
    expect_age(NULL, "");
}

static void expect_some(size_t count, size_t max, const char *expected)
{
    _cleanup_strv_ struct strv names = {0};
    _cleanup_free_ char *text = NULL;

    for (size_t i = 0; i < count; i++)
        strv_take(&names, xasprintf("n%zu", i));
    text = value_some(&names, max);
    cr_assert_str_eq(text, expected);
}

Test(values, a_list_of_names_is_cut)
{
    expect_some(0, 3, "");
    expect_some(1, 3, "n0");
    expect_some(3, 3, "n0, n1 and n2");
    expect_some(4, 3, "n0, n1, n2 and 1 other");
    expect_some(5000, 2, "n0, n1 and 4998 others");
}
