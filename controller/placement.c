// SPDX-License-Identifier: Apache-2.0
#include "controller/placement.h"

#include <string.h>

#include "controller/conditions.h"
#include "controller/sources.h"

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

static bool is(const char *text, const char *expected)
{
    return text && strcmp(text, expected) == 0;
}

bool placement_is_agent(const cJSON *pod, const char *ns)
{
    const cJSON *ready = condition_find(json_get(pod, "status", "conditions"), "Ready");

    return is(json_string(pod, "metadata", "namespace"), ns) &&
           is(json_string(pod, "metadata", "labels", SOURCES_AGENT_LABEL), SOURCES_AGENT) &&
           is(json_string(ready, "status"), "True");
}
