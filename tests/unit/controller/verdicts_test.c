// SPDX-License-Identifier: Apache-2.0
#include "controller/verdicts.h"

#include <criterion/criterion.h>

#include "lib/base/alloc.h"

TestSuite(verdicts, .init = alloc_init);

static struct verdict *made(const char *reason)
{
    return verdict_undecided(reason, "");
}

static const char *found(struct verdicts *verdicts, const char *key)
{
    const struct verdict *verdict = verdicts_get(verdicts, key);

    return verdict ? verdict->reason : "";
}

Test(verdicts, the_one_not_asked_for_for_longest_goes_first)
{
    _cleanup_(verdicts_freep) struct verdicts *verdicts = verdicts_new(2);

    verdicts_put(verdicts, "a", made("A"));
    verdicts_put(verdicts, "b", made("B"));
    cr_assert_str_eq(found(verdicts, "a"), "A");
    verdicts_put(verdicts, "c", made("C"));
    cr_assert_str_eq(found(verdicts, "b"), "");
    cr_assert_str_eq(found(verdicts, "a"), "A");
    cr_assert_str_eq(found(verdicts, "c"), "C");
}

Test(verdicts, another_of_the_same_key_takes_its_place)
{
    _cleanup_(verdicts_freep) struct verdicts *verdicts = verdicts_new(2);

    verdicts_put(verdicts, "a", made("A"));
    verdicts_put(verdicts, "b", made("B"));
    verdicts_put(verdicts, "a", made("C"));
    cr_assert_str_eq(found(verdicts, "a"), "C");
    cr_assert_str_eq(found(verdicts, "b"), "B");
}
