// SPDX-License-Identifier: Apache-2.0
#include "agent/status.h"

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

TestSuite(status, .init = setup, .fini = teardown);

static struct record *add(const char *name, enum profile_phase phase, const char *revision)
{
    struct record *record = records_add(records, name);
    struct strv names = {0};

    profile_state_set(&record->state, phase, NULL, NULL);
    profile_state_set_loaded(&record->state, revision, &names, POLICY_ENFORCE);
    record->state.transition_ms = 1577836800000;
    return record;
}

static const struct status_node node = {.enabled = true,
                                        .kernel_release = "6.1",
                                        .agent_version = "v1"};

Test(status, entries_are_sorted_and_counted)
{
    add("web", PROFILE_LOADED, "r");
    add("db", PROFILE_FAILED, "r");
    add("api", PROFILE_FAILED, "");
    add("not-here", PROFILE_UNSELECTED, "");
    add("not-yet", PROFILE_UNDECIDED, "");

    _cleanup_json_ cJSON *status = status_json(&node, records);
    const cJSON *profiles = json_get(status, "profiles");

    cr_assert_eq(cJSON_GetArraySize(profiles), 3);
    cr_assert_str_eq(json_string(cJSON_GetArrayItem(profiles, 0), "name"), "api");
    cr_assert_str_eq(json_string(cJSON_GetArrayItem(profiles, 2), "name"), "web");
    cr_assert_eq(json_int(json_get(status, "loaded"), -1), 2);
    cr_assert_eq(json_int(json_get(status, "failed"), -1), 2);
    cr_assert_str_eq(json_string(status, "apparmor"), "Enabled");
    cr_assert_null(json_get(status, "reason"));
}

Test(status, a_node_without_apparmor_says_why)
{
    struct status_node off = {.reason = "AppArmorDisabled", .message = "boot it with apparmor=1"};
    _cleanup_json_ cJSON *status = status_json(&off, NULL);

    cr_assert_str_eq(json_string(status, "apparmor"), "Disabled");
    cr_assert_str_eq(json_string(status, "reason"), "AppArmorDisabled");
    cr_assert_eq(cJSON_GetArraySize(json_get(status, "profiles")), 0);
}

Test(status, what_is_the_same_is_not_written)
{
    add("web", PROFILE_LOADED, "r");

    _cleanup_json_ cJSON *before = status_json(&node, records);
    _cleanup_json_ cJSON *after = status_json(&node, records);
    _cleanup_json_ cJSON *patch = status_patch(before, after);

    cr_assert_null(patch);
}

Test(status, the_patch_has_what_differs_and_nulls_what_is_gone)
{
    struct status_node off = {.reason = "AppArmorDisabled", .agent_version = "v1"};
    _cleanup_json_ cJSON *before = status_json(&off, NULL);
    _cleanup_json_ cJSON *after = status_json(&node, records);
    _cleanup_json_ cJSON *patch = status_patch(before, after);
    _cleanup_free_ char *text = json_print(patch);

    cr_assert_str_eq(text,
                     "{\"status\":{\"apparmor\":\"Enabled\",\"kernelRelease\":\"6.1\","
                     "\"reason\":null}}",
                     "%s", text);
}

Test(status, a_restart_keeps_the_times_of_what_has_not_changed)
{
    add("web", PROFILE_LOADED, "r");
    add("db", PROFILE_FAILED, "");

    _cleanup_json_ cJSON *before = status_json(&node, records);

    records_get(records, "web")->state.transition_ms = 1700000000000;
    profile_state_set(&records_get(records, "db")->state, PROFILE_LOADED, NULL, NULL);
    status_adopt_times(records, before);
    cr_assert_eq(records_get(records, "web")->state.transition_ms, 1577836800000);
    cr_assert_neq(records_get(records, "db")->state.transition_ms, 1577836800000);
}

Test(status, the_object_is_owned_by_its_node_and_blocks_no_deletion)
{
    _cleanup_json_ cJSON *object = status_object("node-1", "uid-1");
    const cJSON *owner = cJSON_GetArrayItem(json_get(object, "metadata", "ownerReferences"), 0);

    cr_assert_str_eq(json_string(object, "metadata", "name"), "node-1");
    cr_assert_str_eq(json_string(owner, "kind"), "Node");
    cr_assert_str_eq(json_string(owner, "apiVersion"), "v1");
    cr_assert_str_eq(json_string(owner, "uid"), "uid-1");
    cr_assert_null(json_get(owner, "blockOwnerDeletion"));
    cr_assert_null(json_get(owner, "controller"));
}
