// SPDX-License-Identifier: Apache-2.0
#include "lib/base/coarse.h"

#include <criterion/criterion.h>

TestSuite(coarse);

Test(coarse, is_one_two_or_five_of_a_power_of_ten)
{
    static const struct {
        uint64_t number, expected;
    } cases[] = {
        {0, 0},     {1, 1},     {2, 2},         {4, 2},
        {5, 5},     {9, 5},     {10, 10},       {19, 10},
        {20, 20},   {49, 20},   {50, 50},       {99, 50},
        {100, 100}, {999, 500}, {12345, 10000}, {UINT64_MAX, UINT64_C(10000000000000000000)},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_assert_eq(coarse_floor(cases[i].number), cases[i].expected, "%llu",
                     (unsigned long long) cases[i].number);
}

/* What is written only when it changes is written so often. */
Test(coarse, changes_seldom)
{
    size_t changes = 0;

    for (uint64_t i = 1; i <= 1000000; i++)
        changes += coarse_floor(i) != coarse_floor(i - 1);
    cr_assert_eq(changes, 19);
}
