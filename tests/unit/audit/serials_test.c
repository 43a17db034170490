// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/serials.h"

#include <criterion/criterion.h>

/* From `first` to `last`, both included. */
static uint32_t add_range(struct audit_serials *serials, uint32_t first, uint32_t last)
{
    uint32_t missed = 0;

    for (uint32_t serial = first; serial != last + 1; serial++)
        missed += audit_serials_add(serials, serial);
    return missed;
}

Test(serials, without_gaps_nothing_is_missed)
{
    struct audit_serials serials = {0};

    cr_expect_eq(add_range(&serials, 5000, 6000), 0);
}

Test(serials, a_gap_counts_once_no_late_record_can_fill_it)
{
    struct audit_serials serials = {0};

    cr_expect_eq(add_range(&serials, 1, 100), 0);
    cr_expect_eq(add_range(&serials, 111, 300), 10);
    cr_expect_eq(audit_serials_add(&serials, 1300), 936);
    cr_expect_eq(add_range(&serials, 1301, 1500), 63);
}

Test(serials, order_does_not_matter_nor_do_records_of_one_event)
{
    static const uint32_t serials_of[] = {10, 12, 11, 11, 11, 14, 13, 14, 18, 17, 15, 16, 18};
    struct audit_serials serials = {0};
    uint32_t missed = 0;

    for (size_t i = 0; i < sizeof(serials_of) / sizeof(serials_of[0]); i++)
        missed += audit_serials_add(&serials, serials_of[i]);
    missed += add_range(&serials, 19, 500);
    cr_expect_eq(missed, 0);
}

Test(serials, they_begin_anew_after_the_last_number)
{
    struct audit_serials serials = {0};

    cr_expect_eq(add_range(&serials, UINT32_MAX - 100, UINT32_MAX - 2), 0);
    cr_expect_eq(add_range(&serials, 3, 300), 5);
}

Test(serials, another_kernel_s_begin_anew)
{
    struct audit_serials serials = {0};

    cr_expect_eq(add_range(&serials, 3000000000, 3000000100), 0);
    cr_expect_eq(add_range(&serials, 1, 300), 0);
}
