// SPDX-License-Identifier: Apache-2.0
#include "controller/conditions.h"

#include <string.h>

#include "lib/base/clock.h"

static const char *const status_names[] = {
    [CONDITION_FALSE] = "False",
    [CONDITION_TRUE] = "True",
    [CONDITION_UNKNOWN] = "Unknown",
};

const cJSON *condition_find(const cJSON *conditions, const char *type)
{
    const cJSON *condition;

    cJSON_ArrayForEach(condition, conditions)
    {
        const char *found = json_string(condition, "type");

        if (found && strcmp(found, type) == 0)
            return condition;
    }
    return NULL;
}

static const char *condition_time(const struct condition *condition, const cJSON *old,
                                  int64_t now_ms, char buffer[static CLOCK_TIME_SIZE])
{
    const cJSON *before = condition_find(old, condition->type);
    const char *status = json_string(before, "status");
    const char *time = json_string(before, "lastTransitionTime");
    int64_t ignored;

    if (status && time && strcmp(status, status_names[condition->status]) == 0 &&
        clock_parse(time, &ignored) == 0)
        return time;
    return clock_format(now_ms, buffer);
}

void condition_add(cJSON *conditions, const struct condition *condition, int64_t generation,
                   const cJSON *old, int64_t now_ms)
{
    char buffer[CLOCK_TIME_SIZE];
    cJSON *json = cJSON_CreateObject();

    json_add_string(json, "type", condition->type);
    json_add_string(json, "status", status_names[condition->status]);
    json_add_int(json, "observedGeneration", generation);
    json_add_string(json, "lastTransitionTime", condition_time(condition, old, now_ms, buffer));
    json_add_string(json, "reason", condition->reason);
    json_add_string(json, "message", condition->message);
    json_append(conditions, json);
}
