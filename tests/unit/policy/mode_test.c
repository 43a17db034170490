// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/mode.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(mode, names_are_read_back)
{
    for (enum policy_mode mode = POLICY_MODE_UNSET; mode <= POLICY_UNCONFINED; mode++) {
        enum policy_mode back = POLICY_MIXED;

        cr_assert_eq(policy_mode_parse(policy_mode_name(mode), &back), 0);
        cr_assert_eq(back, mode);
    }
    for (enum policy_mode mode = POLICY_ENFORCE; mode <= POLICY_MIXED; mode++) {
        enum policy_mode back = POLICY_MODE_UNSET;

        cr_assert_eq(policy_mode_parse_kernel(policy_mode_kernel_name(mode), &back), 0);
        cr_assert_eq(back, mode);
    }
}

Test(mode, names_are_those_of_the_api_and_the_kernel)
{
    cr_assert_str_eq(policy_mode_name(POLICY_UNCONFINED), "Unconfined");
    cr_assert_str_eq(policy_mode_kernel_name(POLICY_UNCONFINED), "unconfined");
    cr_assert_str_eq(policy_mode_kernel_name(POLICY_USER), "user");
    cr_assert_str_eq(policy_mode_name((enum policy_mode) 99), "");
}

Test(mode, absent_is_unset)
{
    enum policy_mode mode = POLICY_KILL;

    cr_assert_eq(policy_mode_parse(NULL, &mode), 0);
    cr_assert_eq(mode, POLICY_MODE_UNSET);
}

Test(mode, refuses_other_words_and_leaves_the_output_alone)
{
    static const char *const words[] = {"enforce", "Enforce ", "User", "Mixed", "x"};
    static const char *const kernel_words[] = {"Enforce", "", "enforce\n", "kil"};
    enum policy_mode mode = POLICY_KILL;

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        cr_assert_eq(policy_mode_parse(words[i], &mode), -EINVAL, "%s", words[i]);
    for (size_t i = 0; i < ARRAY_SIZE(kernel_words); i++)
        cr_assert_eq(policy_mode_parse_kernel(kernel_words[i], &mode), -EINVAL);
    cr_assert_eq(policy_mode_parse_kernel(NULL, &mode), -EINVAL);
    cr_assert_eq(mode, POLICY_KILL);
}
