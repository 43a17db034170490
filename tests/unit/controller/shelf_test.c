// SPDX-License-Identifier: Apache-2.0
#include "controller/shelf.h"

#include "lib/policy/rollout.h"
#include "tests/unit/controller/support.h"

TestSuite(shelf, .init = alloc_init);

static void add(struct shelf *shelf, const char *uid, const char *revision, int64_t number)
{
    _cleanup_free_ char *name = policy_rollout_kept_name("web", uid, revision);
    const struct book book = {.name = name,
                              .uid = (char *) uid,
                              .revision = (char *) revision,
                              .number = number};

    shelf_add(shelf, &book);
}

static void assert_revisions(const struct shelf *shelf, const char *uid, const char *expected)
{
    _cleanup_strv_ struct strv list = {0};
    _cleanup_free_ char *found = NULL;

    shelf_revisions(shelf, uid, &list);
    found = strv_join(&list, " ");
    cr_assert_str_eq(found, expected);
}

Test(shelf, the_newest_comes_first)
{
    _cleanup_(shelf_freep) struct shelf *shelf = shelf_new();

    add(shelf, "u", "a", 1);
    add(shelf, "u", "c", 10);
    add(shelf, "u", "b", 9);
    assert_revisions(shelf, "u", "c b a");
    cr_assert_eq(shelf_last_number(shelf, "u"), 10);
    add(shelf, "u", "a", 11); /* again */
    assert_revisions(shelf, "u", "a c b");
    cr_assert_eq(shelf_size(shelf), 3);
    shelf_remove(shelf, shelf_find(shelf, "u", "c")->name);
    assert_revisions(shelf, "u", "a b");
    shelf_remove(shelf, "nobody");
    cr_assert_eq(shelf_size(shelf), 2);
}

Test(shelf, another_object_of_the_name_has_its_own)
{
    _cleanup_(shelf_freep) struct shelf *shelf = shelf_new();

    add(shelf, "old", "a", 7);
    add(shelf, "new", "a", 1);
    assert_revisions(shelf, "new", "a");
    cr_assert_eq(shelf_last_number(shelf, "new"), 1);
    cr_assert_str_eq(shelf_find(shelf, "new", "a")->uid, "new");
    cr_assert_null(shelf_find(shelf, "newest", "a"));
}

Test(shelf, nothing_is_known_of_none)
{
    assert_revisions(NULL, "u", "");
    cr_assert_eq(shelf_last_number(NULL, "u"), 0);
    cr_assert_null(shelf_find(NULL, "u", "a"));
    cr_assert_null(shelf_surplus(NULL, "u", 1, NULL));
}

#define R(digit) #digit #digit "111111111111111111111111111111"

Test(shelf, the_oldest_goes_unless_a_rollout_needs_it)
{
    static const char *const revisions[] = {R(2), R(3), R(4), R(5)};
    _cleanup_(shelf_freep) struct shelf *shelf = shelf_new();
    struct policy_rollout rollout = {.percent = 1, .ns = "system"};
    _cleanup_free_ char *published = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(revisions); i++)
        add(shelf, "u", revisions[i], (int64_t) i + 1);
    cr_assert_null(shelf_surplus(shelf, "u", 4, NULL));
    cr_assert_str_eq(shelf_surplus(shelf, "u", 3, NULL)->revision, R(2));
    cr_assert_str_eq(shelf_surplus(shelf, "u", 3, "nonsense")->revision, R(2));
    memcpy(rollout.revision, R(3), POLICY_REVISION_SIZE);
    memcpy(rollout.previous, R(2), POLICY_REVISION_SIZE);
    published = policy_rollout_print(&rollout);
    cr_assert_str_eq(shelf_surplus(shelf, "u", 3, published)->revision, R(4));
    cr_assert_str_eq(shelf_surplus(shelf, "u", 0, NULL)->revision, R(2), "never the newest");
    shelf_remove(shelf, shelf_find(shelf, "u", R(4))->name);
    cr_assert_null(shelf_surplus(shelf, "u", 1, published));
}
