// SPDX-License-Identifier: Apache-2.0
#include "agent/labels.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/names.h"

static bool has_value(const cJSON *labels, const char *key, const char *value)
{
    const char *present = json_string(labels, key);

    return present && strcmp(present, value) == 0;
}

bool labels_has_profile(const cJSON *labels, const char *object)
{
    _cleanup_free_ char *key = xasprintf(POLICY_NODE_PROFILE "%s", object);

    return has_value(labels, key, "true");
}

static void set(cJSON *changes, const cJSON *labels, const char *key, const char *value)
{
    if (!has_value(labels, key, value))
        json_add_string(changes, key, value);
}

static void set_wanted(cJSON *changes, const cJSON *labels, const struct labels_wanted *wanted)
{
    set(changes, labels, POLICY_NODE_ENABLED, wanted->enabled ? "true" : "false");
    for (size_t i = 0; i < wanted->profiles.len; i++) {
        _cleanup_free_ char *key = xasprintf(POLICY_NODE_PROFILE "%s", wanted->profiles.items[i]);

        set(changes, labels, key, "true");
    }
}

static void null_others(cJSON *changes, const cJSON *labels, const struct labels_wanted *wanted)
{
    const size_t prefix = strlen(POLICY_NODE_PROFILE);
    const cJSON *label;

    cJSON_ArrayForEach(label, labels)
    {
        if (strncmp(label->string, POLICY_NODE_PROFILE, prefix) == 0 &&
            !strv_contains(&wanted->profiles, label->string + prefix))
            json_add(changes, label->string, cJSON_CreateNull());
    }
}

cJSON *labels_patch(const cJSON *labels, const char *uid, const struct labels_wanted *wanted)
{
    _cleanup_json_ cJSON *changes = cJSON_CreateObject();
    cJSON *patch, *metadata;

    set_wanted(changes, labels, wanted);
    if (!wanted->keep_others)
        null_others(changes, labels, wanted);
    if (!changes->child)
        return NULL;
    patch = cJSON_CreateObject();
    metadata = json_add_object(patch, "metadata");
    json_add_string(metadata, "uid", uid);
    json_add(metadata, "labels", TAKE_PTR(changes));
    return patch;
}
