// SPDX-License-Identifier: Apache-2.0
#include "agent/status.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/coarse.h"
#include "lib/base/utf8.h"
#include "lib/policy/profile.h"

/* Of the API (crds/apparmornodes.yaml). */
#define ENTRIES_MAX 2000
/* Names and messages of all entries: an object takes 1.5 MiB in etcd, and 2000 entries without them
 * take half of it. */
#define TEXT_MAX ((size_t) 512 * 1024)
#define REASON_NOT_ALL_LISTED "NotAllListed"
/* Of STATUS_UNCONFINED; status.unconfinedContainers has the number of all. */
#define UNCONFINED_MAX 20
#define UNCONFINED_COUNT "unconfinedContainers"
#define LABEL_MAX 256
#define PROCESSES "processes"

static void add_if(cJSON *json, const char *key, const char *value)
{
    if (value && *value)
        json_add_string(json, key, value);
}

/* What is in order is left out first: nobody has to look for it. */
static int by_need(const void *a, const void *b)
{
    const struct record *const *left = a, *const *right = b;
    bool left_loaded = (*left)->state.phase == PROFILE_LOADED;
    bool right_loaded = (*right)->state.phase == PROFILE_LOADED;

    if (left_loaded != right_loaded)
        return left_loaded ? 1 : -1;
    return strcmp((*left)->name, (*right)->name);
}

static int by_name(const void *a, const void *b)
{
    const struct record *const *left = a, *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

static size_t collect(const struct records *records, const struct record **ret)
{
    const struct record *record;
    size_t position = 0, count = 0;

    while ((record = records_next(records, &position)))
        if (profile_phase_is_shown(record->state.phase))
            ret[count++] = record;
    return count;
}

static cJSON *entry_json(const struct record *record, size_t space)
{
    const struct profile_state *state = &record->state;
    cJSON *entry = profile_state_json(record->name, state, space);

    if (state->mode == POLICY_COMPLAIN && *state->revision)
        json_add_int(entry, PROCESSES,
                     (int64_t) coarse_floor(sightings_count(&record->sightings, state->revision)));
    return entry;
}

static void say_not_all(cJSON *status, size_t count)
{
    const char *reason = json_string(status, "reason");
    const char *message = json_string(status, "message");
    _cleanup_free_ char *text =
        xasprintf("%s%s%d of the %zu AppArmorProfiles of this node are listed, Loaded ones last; "
                  "the agent's metric apparmor_profile_loaded has all",
                  message ? message : "", message ? "; " : "", ENTRIES_MAX, count);

    if (!reason)
        json_add_string(status, "reason", REASON_NOT_ALL_LISTED);
    cJSON_DeleteItemFromObjectCaseSensitive(status, "message");
    json_add_string(status, "message", text);
}

static void add_profiles(cJSON *status, const struct records *records)
{
    _cleanup_free_ const struct record **shown =
        xcalloc(records_size(records) + 1, sizeof(struct record *));
    size_t count = collect(records, shown);
    size_t listed = count > ENTRIES_MAX ? ENTRIES_MAX : count;
    int64_t loaded = 0, failed = 0;
    cJSON *profiles;

    for (size_t i = 0; i < count; i++) {
        loaded += shown[i]->state.revision[0] != '\0';
        failed += shown[i]->state.phase == PROFILE_FAILED;
    }
    json_add_int(status, "loaded", loaded);
    json_add_int(status, "failed", failed);
    profiles = json_add_array(status, "profiles");
    qsort(shown, count, sizeof(struct record *), by_need);
    qsort(shown, listed, sizeof(struct record *), by_name);
    for (size_t i = 0; i < listed; i++)
        json_append(profiles, entry_json(shown[i], TEXT_MAX / listed));
    if (listed < count)
        say_not_all(status, count);
}

static cJSON *unconfined_json(const struct finding *finding)
{
    cJSON *entry = cJSON_CreateObject();
    bool is_text = utf8_valid(finding->label, strlen(finding->label));
    _cleanup_free_ char *label =
        is_text
            ? xstrndup(finding->label, utf8_cut(finding->label, strlen(finding->label), LABEL_MAX))
            : xstrdup("?");

    json_add_string(entry, "namespace", finding->ns);
    json_add_string(entry, "pod", finding->pod);
    json_add_string(entry, "podUID", finding->uid);
    json_add_string(entry, "container", finding->container);
    json_add_string(entry, "containerID", finding->id);
    json_add_string(entry, "asked", finding->asked);
    json_add_string(entry, "actual", label);
    json_add_bool(entry, "profileLoaded", finding->profile_loaded);
    return entry;
}

static void add_unconfined(cJSON *status, const struct findings *findings)
{
    const struct finding *finding;
    size_t position = 0;
    cJSON *list;

    json_add_int(status, UNCONFINED_COUNT, (int64_t) findings_size(findings));
    if (findings_size(findings) == 0)
        return;
    list = json_add_array(status, STATUS_UNCONFINED);
    while (position < UNCONFINED_MAX && (finding = findings_next(findings, &position)))
        json_append(list, unconfined_json(finding));
}

void status_keep(cJSON *status, const struct status_node *node, const cJSON *old)
{
    static const char *const keys[] = {UNCONFINED_COUNT, STATUS_UNCONFINED};

    if (!node->enabled || node->findings)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const cJSON *value = json_get(old, keys[i]);

        if (value)
            json_add(status, keys[i], cJSON_Duplicate(value, true));
    }
}

cJSON *status_json(const struct status_node *node, const struct records *records)
{
    cJSON *status = cJSON_CreateObject();
    const cJSON *field;

    json_add_string(status, "apparmor", node->enabled ? "Enabled" : "Disabled");
    add_if(status, "reason", node->reason);
    add_if(status, "message", node->message);
    add_if(status, "kernelRelease", node->kernel_release);
    add_if(status, "featuresID", node->features_id);
    add_if(status, "parserVersion", node->parser_version);
    add_if(status, "agentVersion", node->agent_version);
    if (records) {
        add_profiles(status, records);
    } else {
        json_add_int(status, "loaded", 0);
        json_add_int(status, "failed", 0);
        json_add_array(status, "profiles");
    }
    if (node->findings)
        add_unconfined(status, node->findings);
    cJSON_ArrayForEach(field, node->denials)
    {
        json_add(status, field->string, cJSON_Duplicate(field, true));
    }
    return status;
}

cJSON *status_patch(const cJSON *old, const cJSON *status)
{
    cJSON *patch, *changes;
    const cJSON *field;

    if (old && json_equal(old, status))
        return NULL;
    patch = cJSON_CreateObject();
    changes = json_add_object(patch, "status");
    cJSON_ArrayForEach(field, status)
    {
        if (!json_equal(field, json_get(old, field->string)))
            json_add(changes, field->string, cJSON_Duplicate(field, true));
    }
    cJSON_ArrayForEach(field, old)
    {
        if (!json_get(status, field->string))
            json_add(changes, field->string, cJSON_CreateNull());
    }
    return patch;
}

static void adopt_processes(struct record *record, const cJSON *entry)
{
    const char *revision = json_string(entry, "revision");
    int64_t count = json_int(json_get(entry, PROCESSES), 0);

    if (revision && count > 0)
        sightings_adopt(&record->sightings, revision, (uint64_t) count);
}

void status_adopt(const struct records *records, const cJSON *old)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, json_get(old, "profiles"))
    {
        const char *name = json_string(entry, "name");
        struct record *record = name ? records_get(records, name) : NULL;

        if (!record)
            continue;
        profile_state_adopt_time(&record->state, entry);
        adopt_processes(record, entry);
    }
}

cJSON *status_object(const char *node, const char *node_uid)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *metadata, *owners, *owner = cJSON_CreateObject();

    json_add_string(object, "apiVersion", POLICY_API_VERSION);
    json_add_string(object, "kind", "AppArmorNode");
    metadata = json_add_object(object, "metadata");
    json_add_string(metadata, "name", node);
    owners = json_add_array(metadata, "ownerReferences");
    json_add_string(owner, "apiVersion", "v1");
    json_add_string(owner, "kind", "Node");
    json_add_string(owner, "name", node);
    json_add_string(owner, "uid", node_uid);
    json_append(owners, owner);
    return object;
}
