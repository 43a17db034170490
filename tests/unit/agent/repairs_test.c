// SPDX-License-Identifier: Apache-2.0
#include "agent/repairs.h"

#include <criterion/criterion.h>

Test(repairs, a_few_at_once_are_allowed)
{
    struct repairs repairs = {0};

    for (unsigned i = 0; i < REPAIRS_MAX; i++) {
        cr_assert_eq(repairs_wait_ms(&repairs, 0), 0);
        repairs_count(&repairs, 0);
    }
    cr_assert_gt(repairs_wait_ms(&repairs, 1), 0);
}

Test(repairs, never_more_than_those_in_any_window)
{
    struct repairs repairs = {0};
    uint64_t made[100];
    unsigned count = 0;

    for (uint64_t now = 1000000; count < 100; now += 700) {
        if (repairs_wait_ms(&repairs, now) > 0)
            continue;
        repairs_count(&repairs, now);
        made[count++] = now;
    }
    for (unsigned i = REPAIRS_MAX; i < count; i++)
        cr_assert_geq(made[i] - made[i - REPAIRS_MAX], REPAIRS_WINDOW_MS);
}

Test(repairs, the_wait_is_as_long_as_it_says)
{
    struct repairs repairs = {0};

    for (uint64_t i = 0; i < REPAIRS_MAX; i++)
        repairs_count(&repairs, 5000 + i * 1000);
    cr_assert_eq(repairs_wait_ms(&repairs, 10000), 55000);
    cr_assert_eq(repairs_wait_ms(&repairs, 64999), 1);
    cr_assert_eq(repairs_wait_ms(&repairs, 65000), 0);
    repairs_count(&repairs, 65000);
    cr_assert_eq(repairs_wait_ms(&repairs, 65000), 1000);
}
