// SPDX-License-Identifier: Apache-2.0
#include "controller/declared.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

static struct declared *declared;

static void setup(void)
{
    alloc_init();
    declared = declared_new();
}

static void teardown(void)
{
    declared_free(declared);
}

TestSuite(declared, .init = setup, .fini = teardown);

static void set(const char *text)
{
    _cleanup_json_ cJSON *object = NULL;

    cr_assert_eq(json_parse(text, strlen(text), &object, NULL), 0, "%s", text);
    declared_set(declared, object);
}

static void check(const char *profile, const char *objects, bool loaded)
{
    _cleanup_strv_ struct strv found = {0};
    _cleanup_free_ char *joined = NULL;
    bool is_loaded = declared_find(declared, profile, &found);

    joined = strv_join(&found, " ");
    cr_assert_str_eq(joined, objects, "%s: «%s»", profile, joined);
    cr_assert_eq(is_loaded, loaded, "%s", profile);
    cr_assert_eq(declared_has(declared, profile), *objects != '\0');
}

Test(declared, the_objects_name_stands_for_what_nobody_has_compiled)
{
    set("{\"metadata\":{\"name\":\"a\"},\"spec\":{}}");
    check("a", "a", false);
    set("{\"metadata\":{\"name\":\"a\"},\"spec\":{},\"status\":{\"profileNames\":[\"x\",\"y\"],"
        "\"nodes\":{\"loaded\":1}}}");
    check("a", "", false);
    check("x", "a", true);
    check("y", "a", true);
    cr_assert_eq(declared_by(declared, "a")->len, 2);
    cr_assert_null(declared_by(declared, "x"));
}

Test(declared, several_objects_may_declare_a_name)
{
    set("{\"metadata\":{\"name\":\"a\"},\"status\":{\"profileNames\":[\"x\"]}}");
    set("{\"metadata\":{\"name\":\"b\"},\"spec\":{\"nodeSelector\":{}},\"status\":{"
        "\"profileNames\":[\"x\"],\"nodes\":{\"outdated\":2}}}");
    check("x", "a b", true);
    cr_assert(declared_everywhere(declared, "a"));
    cr_assert_not(declared_everywhere(declared, "b"));
    declared_remove(declared, "a");
    check("x", "b", true);
    declared_remove(declared, "b");
    check("x", "", false);
    declared_remove(declared, "b");
}

Test(declared, what_is_being_deleted_declares_nothing)
{
    set("{\"metadata\":{\"name\":\"a\"}}");
    set("{\"metadata\":{\"name\":\"a\",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"}}");
    check("a", "", false);
    cr_assert_not(declared_everywhere(declared, "a"));
}

Test(declared, a_name_may_stand_twice)
{
    set("{\"metadata\":{\"name\":\"a\"},\"status\":{\"profileNames\":[\"x\",\"x\",3]}}");
    check("x", "a", false);
    declared_remove(declared, "a");
    check("x", "", false);
    set("{}");
}
