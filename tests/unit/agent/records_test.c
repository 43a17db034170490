// SPDX-License-Identifier: Apache-2.0
#include "agent/records.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

static struct records *records;

static void setup(void)
{
    alloc_init();
    records = records_new();
}

static void teardown(void)
{
    records_free(records);
}

TestSuite(records, .init = setup, .fini = teardown);

static struct record *add(const char *object, const char *uid, int64_t created_ms)
{
    struct record *record = records_add(records, object);
    struct policy_profile *spec = xcalloc(1, sizeof(*spec));

    spec->name = xstrdup(object);
    spec->uid = xstrdup(uid);
    spec->created_ms = created_ms;
    record_set_spec(record, spec, uid);
    return record;
}

static void hold(struct record *record, const char *name, bool leftover)
{
    struct marker *marker = record->marker;

    if (!marker) {
        marker = xcalloc(1, sizeof(*marker));
        marker->object = xstrdup(record->name);
        marker->uid = xstrdup("");
        record_set_marker(record, marker);
    }
    marker->profiles =
        xreallocarray(marker->profiles, marker->count + 1, sizeof(*marker->profiles));
    marker->profiles[marker->count] = (struct marker_profile){.name = xstrdup(name)};
    if (!leftover)
        memset(marker->profiles[marker->count].sha1, 'a', 40);
    marker->count++;
}

Test(records, a_record_is_found_by_name_and_made_once)
{
    struct record *record = records_add(records, "web");

    cr_assert_eq(records_add(records, "web"), record);
    cr_assert_eq(records_get(records, "web"), record);
    cr_assert_null(records_get(records, "db"));
    records_remove(records, "web");
    cr_assert_null(records_get(records, "web"));
}

Test(records, the_oldest_claim_owns_a_name_that_nobody_holds)
{
    struct record *young = add("a", "1", 20), *old = add("b", "2", 10);

    cr_assert_null(records_owner(records, "web", OWNER_FOREIGN_NONE));
    strv_add(&young->claims, "web");
    cr_assert_eq(records_owner(records, "web", OWNER_FOREIGN_NONE), young);
    strv_add(&old->claims, "web");
    cr_assert_eq(records_owner(records, "web", OWNER_FOREIGN_NONE), old);
}

Test(records, who_holds_the_name_keeps_it)
{
    struct record *holder = add("a", "1", 20), *older = add("b", "2", 10);

    hold(holder, "web", false);
    strv_add(&older->claims, "web");
    cr_assert_eq(records_owner(records, "web", OWNER_FOREIGN_NONE), holder);
    cr_assert_eq(records_holder(records, "web", NULL), holder);
    cr_assert_null(records_holder(records, "web", holder));
}

Test(records, who_goes_hands_over_at_once)
{
    struct record *going = add("a", "1", 10), *next = add("b", "2", 20);

    hold(going, "web", false);
    going->releasing = true;
    cr_assert_eq(records_owner(records, "web", OWNER_FOREIGN_NONE), going);
    strv_add(&next->claims, "web");
    cr_assert_eq(records_owner(records, "web", OWNER_FOREIGN_NONE), next);
}

Test(records, a_leftover_is_handed_over_but_not_lost)
{
    struct record *renamed = add("a", "1", 10), *next = add("b", "2", 20);

    hold(renamed, "old-name", true);
    cr_assert_eq(records_owner(records, "old-name", OWNER_FOREIGN_NONE), renamed);
    strv_add(&next->claims, "old-name");
    cr_assert_eq(records_owner(records, "old-name", OWNER_FOREIGN_NONE), next);
    /* Its object wants it again. */
    strv_add(&renamed->claims, "old-name");
    cr_assert_eq(records_owner(records, "old-name", OWNER_FOREIGN_NONE), renamed);
}

Test(records, names_are_dropped_one_by_one)
{
    struct record *record = add("a", "1", 10);

    hold(record, "x", false);
    hold(record, "y", true);
    hold(record, "z", false);
    cr_assert(marker_drop(record->marker, "y"));
    cr_assert_not(marker_drop(record->marker, "y"));
    cr_assert_eq(record->marker->count, 2);
    cr_assert_not_null(marker_find(record->marker, "x"));
    cr_assert_not_null(marker_find(record->marker, "z"));
    cr_assert_null(marker_find(NULL, "x"));
}

Test(records, another_spec_forgets_what_was_known_of_the_first)
{
    struct record *record = add("a", "1", 10);

    strv_add(&record->claims, "web");
    record->failed_build = xstrdup("b");
    add("a", "2", 20);
    cr_assert_eq(record->claims.len, 0);
    cr_assert_null(record->failed_build);
    cr_assert_str_eq(record->version, "2");
}
