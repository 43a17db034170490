// SPDX-License-Identifier: Apache-2.0
#include "controller/placement.h"

#include <string.h>

bool placement_counts(const cJSON *pod)
{
    const char *phase = json_string(pod, "status", "phase");

    if (json_string(pod, "metadata", "deletionTimestamp"))
        return false;
    return !phase || (strcmp(phase, "Succeeded") != 0 && strcmp(phase, "Failed") != 0);
}

static bool term_names(const cJSON *term, const char *label)
{
    const cJSON *expression;

    cJSON_ArrayForEach(expression, json_get(term, "matchExpressions"))
    {
        const char *key = json_string(expression, "key");

        if (key && strcmp(key, label) == 0)
            return true;
    }
    return false;
}

bool placement_requires(const cJSON *pod, const char *label)
{
    const cJSON *term;

    if (cJSON_GetObjectItemCaseSensitive(json_get(pod, "spec", "nodeSelector"), label))
        return true;
    cJSON_ArrayForEach(term, json_get(pod, "spec", "affinity", "nodeAffinity",
                                      "requiredDuringSchedulingIgnoredDuringExecution",
                                      "nodeSelectorTerms"))
    {
        if (term_names(term, label))
            return true;
    }
    return false;
}
