// SPDX-License-Identifier: Apache-2.0
#include "controller/profiles.h"

#include <string.h>

#include "controller/rollout.h"

/* kubectl keeps a copy of the whole object there. */
#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

static void profile_project_spec(const cJSON *object, cJSON *spec)
{
    _cleanup_(policy_profile_freep) struct policy_profile *profile = NULL;
    _cleanup_error_ struct error err = {0};
    cJSON *invalid;

    cJSON_DeleteItemFromObjectCaseSensitive(spec, "revision");
    cJSON_DeleteItemFromObjectCaseSensitive(spec, "invalid");
    if (policy_profile_parse(object, &profile, &err) == 0) {
        json_add_string(spec, "revision", profile->revision);
        return;
    }
    invalid = json_add_object(spec, "invalid");
    json_add_string(invalid, "reason", error_reason(&err, POLICY_REASON_INVALID));
    json_add_string(invalid, "message", error_message(&err));
}

cJSON *profile_project(_unused_ void *userdata, cJSON *object)
{
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");
    cJSON *spec = cJSON_GetObjectItemCaseSensitive(object, "spec");

    if (!cJSON_IsObject(spec)) {
        cJSON_DeleteItemFromObjectCaseSensitive(object, "spec");
        spec = json_add_object(object, "spec");
    }
    profile_project_spec(object, spec);
    cJSON_DeleteItemFromObjectCaseSensitive(spec, "policy");
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "managedFields");
    cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(metadata,
                                                                             "annotations"),
                                            LAST_APPLIED);
    return object;
}

static void read_finalizers(struct profile_spec *spec, const cJSON *finalizers)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, finalizers)
    {
        if (!cJSON_IsString(item))
            continue;
        if (strcmp(item->valuestring, PROFILE_FINALIZER) == 0)
            spec->protected = true;
        else if (!spec->held_by)
            spec->held_by = item->valuestring;
    }
}

static void read_rollout(struct profile_spec *spec, const cJSON *projected)
{
    const cJSON *annotations = json_get(projected, "metadata", "annotations");
    const char *strategy = json_string(projected, "spec", "rollout", "strategy");

    spec->rollout = json_get(projected, "spec", "rollout");
    spec->progressive = strategy && strcmp(strategy, "Progressive") == 0;
    spec->rollout_paused = json_bool(json_get(spec->rollout, "paused"), false);
    spec->rollout_published = json_string(annotations, POLICY_ROLLOUT_ANNOTATION);
    spec->rollout_resume = json_string(annotations, ROLLOUT_RESUME);
    spec->rollout_skip = json_string(annotations, ROLLOUT_SKIP);
}

void profile_spec_read(struct profile_spec *spec, const cJSON *projected)
{
    const char *revision = json_string(projected, "spec", "revision");
    const char *force = json_string(projected, "metadata", "annotations", PROFILE_FORCE_DELETE);

    *spec = (struct profile_spec){
        .name = json_string(projected, "metadata", "name"),
        .generation = json_int(json_get(projected, "metadata", "generation"), 0),
        .deleting = json_string(projected, "metadata", "deletionTimestamp") != NULL,
        .forced = force && strcmp(force, "true") == 0,
        .revision = revision ? revision : "",
        .selector = json_get(projected, "spec", "nodeSelector"),
        .invalid_reason = json_string(projected, "spec", "invalid", "reason"),
        .invalid_message = json_string(projected, "spec", "invalid", "message"),
    };
    read_finalizers(spec, json_get(projected, "metadata", "finalizers"));
    read_rollout(spec, projected);
}
