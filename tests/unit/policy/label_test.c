// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/label.h"

#include <criterion/criterion.h>

static void assert_uses(const char *label, const char *name)
{
    cr_assert(policy_label_uses(label, name), "\"%s\" uses %s", label, name);
}

static void assert_not_uses(const char *label, const char *name)
{
    cr_assert_not(policy_label_uses(label, name), "\"%s\" does not use %s", label, name);
}

Test(label, plain_profiles_in_every_mode)
{
    assert_uses("p (enforce)\n", "p");
    assert_uses("p (complain)", "p");
    assert_uses("p (kill)", "p");
    assert_uses("p (unconfined)", "p");
    assert_uses("p (user)", "p");
    assert_uses("p", "p");
    assert_not_uses("unconfined\n", "p");
    assert_not_uses("pp (enforce)", "p");
    assert_not_uses("p (enforce)", "pp");
    assert_not_uses("P (enforce)", "p");
    assert_not_uses("", "p");
    assert_not_uses("p (enforce)", "");
}

Test(label, children_hats_and_null_profiles_belong_to_their_parent)
{
    assert_uses("p//kid (enforce)", "p");
    assert_uses("p//kid//hat (enforce)", "p");
    assert_uses("p//null-/bin/x (complain)", "p");
    assert_uses("p//null-/bin/a b (complain)//null-/c (complain)", "p");
    assert_uses("p//kid (enforce)", "p//kid");
    assert_not_uses("p/kid (enforce)", "p");
    assert_not_uses("q//p (enforce)", "p");
    assert_not_uses("p (enforce)", "p//kid");
}

Test(label, stacks_in_any_order)
{
    assert_uses("a//&p (enforce)", "p");
    assert_uses("p//&a (mixed)", "p");
    assert_uses("a//&p//&b (mixed)", "p");
    assert_uses("p//&unconfined (enforce)", "p");
    assert_uses("unconfined//&p//kid (enforce)", "p");
    assert_uses("a//kid//&p//null-/x (complain)", "p");
    assert_not_uses("a//&pp (mixed)", "p");
    assert_not_uses("a//&b (mixed)", "p");
    assert_not_uses("//&//& (mixed)", "p");
}

Test(label, other_namespaces_count_as_well)
{
    assert_uses(":ns:p (enforce)", "p");
    assert_uses(":ns://p (enforce)", "p");
    assert_uses(":ns//sub:p//kid (enforce)", "p");
    assert_uses("a//&:ns:p//kid (mixed)", "p");
    assert_not_uses(":p:a (enforce)", "p");
    assert_not_uses(":ns:a (enforce)", "p");
    assert_not_uses(":p", "p");
    assert_not_uses(":", "p");
}

Test(label, names_may_look_like_modes_and_paths)
{
    assert_uses("p (enforce) (complain)", "p (enforce)");
    assert_uses("p (enforce)", "p (enforce)");
    assert_uses("a (enforce) b (kill)", "a (enforce) b");
    assert_not_uses("a (enforce) b (kill)", "a");
    assert_uses("/usr/bin/x (enforce)", "/usr/bin/x");
    assert_uses("/usr/{bin,sbin}/x//kid (enforce)", "/usr/{bin,sbin}/x");
    assert_not_uses("/usr/bin/xy (enforce)", "/usr/bin/x");
    assert_uses("a//&b (enforce)", "a//&b");
    assert_not_uses("(enforce)", "p");
    assert_uses("(x) (enforce)", "(x)");
}

Test(label, unconfined_is_a_word_or_the_mode_of_all)
{
    cr_assert(policy_label_is_unconfined("unconfined"));
    cr_assert(policy_label_is_unconfined("unconfined\n"));
    /* As Ubuntu ships it for what a runtime starts. */
    cr_assert(policy_label_is_unconfined("runc (unconfined)\n"));
    cr_assert(policy_label_is_unconfined("a//&b (unconfined)"));
}

Test(label, what_has_a_profile_is_confined)
{
    cr_assert_not(policy_label_is_unconfined("p (enforce)\n"));
    cr_assert_not(policy_label_is_unconfined("p (complain)"));
    cr_assert_not(policy_label_is_unconfined("unconfined (enforce)"));
    cr_assert_not(policy_label_is_unconfined("p//&unconfined (enforce)"));
    cr_assert_not(policy_label_is_unconfined("a//&b (mixed)"));
    cr_assert_not(policy_label_is_unconfined("p (unconfined) (enforce)"));
    cr_assert_not(policy_label_is_unconfined("unconfined2"));
    cr_assert_not(policy_label_is_unconfined("(unconfined)"));
    cr_assert_not(policy_label_is_unconfined(""));
}

Test(label, null_profiles_are_what_complain_mode_has_made_up)
{
    cr_assert(policy_label_learnt("p//null-/bin/sh (complain)\n", "p"));
    cr_assert(policy_label_learnt("p//kid//null-17 (complain)", "p"));
    cr_assert(policy_label_learnt("a//&p//null-x (mixed)", "p"));
    cr_assert_not(policy_label_learnt("p//&a//null-x (mixed)", "p"));
    cr_assert_not(policy_label_learnt("p (complain)", "p"));
    cr_assert_not(policy_label_learnt("p//kid (complain)", "p"));
    cr_assert_not(policy_label_learnt("pp//null-x (complain)", "p"));
    cr_assert_not(policy_label_learnt("a//null-p (complain)", "p"));
}

Test(label, what_is_let_through_shows_in_the_mode)
{
    cr_assert(policy_label_may_complain("p (complain)\n"));
    cr_assert(policy_label_may_complain("p//null-/bin/sh (complain)"));
    cr_assert(policy_label_may_complain("a//&b (mixed)\n"));
    cr_assert_not(policy_label_may_complain("p (enforce)\n"));
    cr_assert_not(policy_label_may_complain("p (complain) (enforce)\n"));
    cr_assert_not(policy_label_may_complain("unconfined\n"));
    cr_assert_not(policy_label_may_complain("(complain)"));
    cr_assert_not(policy_label_may_complain(""));
}
