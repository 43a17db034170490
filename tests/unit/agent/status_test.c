// SPDX-License-Identifier: Apache-2.0
#include "agent/status.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"

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
    status_adopt(records, before);
    cr_assert_eq(records_get(records, "web")->state.transition_ms, 1577836800000);
    cr_assert_neq(records_get(records, "db")->state.transition_ms, 1577836800000);
}

/* An agent that starts anew has not looked at processes yet, and writes nothing. */
Test(status, processes_are_told_in_complain_and_survive_a_restart)
{
    struct record *record = add("web", PROFILE_LOADED, "r");
    _cleanup_json_ cJSON *enforced = status_json(&node, records);

    cr_assert_null(json_get(cJSON_GetArrayItem(json_get(enforced, "profiles"), 0), "processes"));
    record->state.mode = POLICY_COMPLAIN;
    sightings_adopt(&record->sightings, "r", 99);

    _cleanup_json_ cJSON *before = status_json(&node, records);
    const cJSON *entry = cJSON_GetArrayItem(json_get(before, "profiles"), 0);

    cr_assert_eq(json_int(json_get(entry, "processes"), -1), 50, "coarsely");
    sightings_done(&record->sightings);
    status_adopt(records, before);

    _cleanup_json_ cJSON *after = status_json(&node, records);
    _cleanup_json_ cJSON *patch = status_patch(before, after);

    cr_assert_null(patch);
    profile_state_set_loaded(&record->state, "another", &record->state.names, POLICY_COMPLAIN);

    _cleanup_json_ cJSON *updated = status_json(&node, records);

    entry = cJSON_GetArrayItem(json_get(updated, "profiles"), 0);
    cr_assert_eq(json_int(json_get(entry, "processes"), -1), 0);
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

/* maxItems of the CRD: a longer list would be refused as a whole, and with it every change. */
Test(status, more_profiles_than_the_api_takes_are_cut_and_that_is_said)
{
    _cleanup_buf_ struct buf message = BUF_INIT(100000);

    for (int i = 0; i < 8000; i++)
        buf_add_string(&message, "at length ");
    for (int i = 0; i < 2300; i++) {
        _cleanup_free_ char *name = xasprintf("p%04d", i);
        struct record *record = add(name, PROFILE_LOADED, "r");

        if (i >= 1000)
            profile_state_set(&record->state, PROFILE_FAILED, "CompileError", buf_string(&message));
    }
    _cleanup_json_ cJSON *status = status_json(&node, records);
    const cJSON *profiles = json_get(status, "profiles");
    _cleanup_free_ char *text = json_print(status);

    cr_assert_eq(cJSON_GetArraySize(profiles), 2000);
    cr_assert_str_eq(json_string(cJSON_GetArrayItem(profiles, 699), "name"), "p0699");
    cr_assert_str_eq(json_string(cJSON_GetArrayItem(profiles, 700), "name"), "p1000");
    cr_assert_str_eq(json_string(cJSON_GetArrayItem(profiles, 1999), "name"), "p2299");
    cr_assert_eq(json_int(json_get(status, "loaded"), -1), 2300);
    cr_assert_eq(json_int(json_get(status, "failed"), -1), 1300);
    cr_assert_str_eq(json_string(status, "reason"), "NotAllListed");
    cr_assert_not_null(strstr(json_string(status, "message"), "2000 of the 2300"));
    cr_assert_lt(strlen(text), 1500000, "more than etcd takes");
}

Test(status, what_ails_the_node_is_said_beside_what_is_not_listed)
{
    struct status_node stuck = node;

    stuck.reason = "KernelStuck";
    stuck.message = "the lock is stuck";
    for (int i = 0; i < 2001; i++) {
        _cleanup_free_ char *name = xasprintf("p%04d", i);

        add(name, PROFILE_LOADED, "r");
    }
    _cleanup_json_ cJSON *status = status_json(&stuck, records);

    cr_assert_str_eq(json_string(status, "reason"), "KernelStuck");
    cr_assert_eq(strncmp(json_string(status, "message"), "the lock is stuck; 2000 of", 25), 0);
}

/* --- containers that are not confined as their pods ask --- */

static void add_unconfined(struct findings *findings, unsigned count)
{
    struct containers seen = {.items = xcalloc(count, sizeof(*seen.items)), .len = count};

    for (unsigned i = 0; i < count; i++) {
        seen.items[i].pid = (pid_t) i + 1;
        seen.items[i].label = xstrdup(i == 0 ? "runc (unconfined)" : "unconfined");
        (void) snprintf(seen.items[i].place.container, CGROUP_CONTAINER_SIZE, "%03u", i);
    }
    for (unsigned i = 0; i < count * 2; i++) {
        struct node_container web = {.ns = "shop",
                                     .pod = "web-1",
                                     .uid = "u1",
                                     .cgroup_pod = "",
                                     .name = "web",
                                     .id = seen.items[i % count].place.container,
                                     .asked = "Localhost/web",
                                     .running = true};
        if (i % count == 0)
            findings_begin(findings, &seen, i ? FINDINGS_CONFIRM_MS : 0);
        findings_check(findings, &web);
        if (i % count == count - 1)
            (void) findings_end(findings);
    }
    for (unsigned i = 0; i < count; i++)
        free(seen.items[i].label);
    free(seen.items);
}

Test(status, unconfined_containers_are_listed)
{
    _cleanup_(findings_freep) struct findings *findings = findings_new();
    struct status_node with = node;
    size_t position = 0;

    add_unconfined(findings, 1);
    findings_next(findings, &position)->profile_loaded = true;
    with.findings = findings;
    _cleanup_json_ cJSON *status = status_json(&with, records);
    const cJSON *entry = cJSON_GetArrayItem(json_get(status, "unconfined"), 0);
    _cleanup_free_ char *text = json_print(entry);

    cr_assert_eq(json_int(json_get(status, "unconfinedContainers"), -1), 1);
    cr_assert_str_eq(text, "{\"namespace\":\"shop\",\"pod\":\"web-1\",\"podUID\":\"u1\","
                           "\"container\":\"web\",\"containerID\":\"000\","
                           "\"asked\":\"Localhost/web\",\"actual\":\"runc (unconfined)\","
                           "\"profileLoaded\":true}");
}

Test(status, of_many_unconfined_containers_the_first_are_listed_and_all_counted)
{
    _cleanup_(findings_freep) struct findings *findings = findings_new();
    struct status_node with = node;

    add_unconfined(findings, 100);
    with.findings = findings;
    _cleanup_json_ cJSON *status = status_json(&with, records);

    cr_assert_eq(json_int(json_get(status, "unconfinedContainers"), -1), 100);
    cr_assert_eq(cJSON_GetArraySize(json_get(status, "unconfined")), 20);
}

Test(status, when_all_are_confined_the_list_goes)
{
    _cleanup_(findings_freep) struct findings *findings = findings_new();
    struct status_node with = node;

    add_unconfined(findings, 1);
    with.findings = findings;
    _cleanup_json_ cJSON *before = status_json(&with, records);
    static const struct containers none = {0};
    findings_begin(findings, &none, 0);
    (void) findings_end(findings);
    _cleanup_json_ cJSON *after = status_json(&with, records);
    _cleanup_json_ cJSON *patch = status_patch(before, after);
    _cleanup_free_ char *text = json_print(patch);

    cr_assert_str_eq(text, "{\"status\":{\"unconfinedContainers\":0,\"unconfined\":null}}");
}

/* An agent that has just started does not know yet, and writes nothing. */
Test(status, what_is_not_known_yet_stays)
{
    _cleanup_(findings_freep) struct findings *findings = findings_new();
    struct status_node with = node, off = {.enabled = false};

    add_unconfined(findings, 1);
    with.findings = findings;
    _cleanup_json_ cJSON *before = status_json(&with, records);
    _cleanup_json_ cJSON *after = status_json(&node, records);
    status_keep(after, &node, before);
    cr_assert(json_equal(before, after));

    _cleanup_json_ cJSON *known = status_json(&with, records);
    status_keep(known, &with, before);
    cr_assert(json_equal(before, known));

    _cleanup_json_ cJSON *without = status_json(&off, NULL);
    status_keep(without, &off, before);
    cr_assert_null(json_get(without, "unconfined"));
    status_keep(after, &node, NULL);
}
