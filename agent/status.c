// SPDX-License-Identifier: Apache-2.0
#include "agent/status.h"

#include "lib/base/alloc.h"
#include "lib/policy/profile.h"

static void add_if(cJSON *json, const char *key, const char *value)
{
    if (value && *value)
        json_add_string(json, key, value);
}

static void add_profiles(cJSON *status, const struct records *records)
{
    _cleanup_free_ const char **names = records_sorted(records);
    cJSON *profiles = cJSON_CreateArray();
    int64_t loaded = 0, failed = 0;

    for (size_t i = 0; i < records_size(records); i++) {
        const struct record *record = records_get(records, names[i]);

        if (!profile_phase_is_shown(record->state.phase))
            continue;
        loaded += record->state.revision[0] != '\0';
        failed += record->state.phase == PROFILE_FAILED;
        json_append(profiles, profile_state_json(record->name, &record->state));
    }
    json_add_int(status, "loaded", loaded);
    json_add_int(status, "failed", failed);
    json_add(status, "profiles", profiles);
}

cJSON *status_json(const struct status_node *node, const struct records *records)
{
    cJSON *status = cJSON_CreateObject();

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

void status_adopt_times(const struct records *records, const cJSON *old)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, json_get(old, "profiles"))
    {
        const char *name = json_string(entry, "name");
        struct record *record = name ? records_get(records, name) : NULL;

        if (record)
            profile_state_adopt_time(&record->state, entry);
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
