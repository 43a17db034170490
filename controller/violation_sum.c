// SPDX-License-Identifier: Apache-2.0
#include "controller/violation_sum.h"

#include <string.h>

#include "lib/base/clock.h"

void violation_sum_add(struct violation_sum *sum, const struct violations *violations,
                       const char *object, const char *revision)
{
    const struct violation *violation = violations_find(violations, object);

    if (!violation || strcmp(violation->revision, revision) != 0)
        return;
    sum->nodes++;
    sum->denied += violation->denied;
    sum->allowed += violation->allowed;
    if (violation->last_ms > sum->last_ms)
        sum->last_ms = violation->last_ms;
}

cJSON *violation_sum_json(const struct violation_sum *sum)
{
    char time[CLOCK_TIME_SIZE];
    cJSON *json;

    if (sum->nodes == 0)
        return NULL;
    json = cJSON_CreateObject();
    json_add_int(json, "denied", (int64_t) sum->denied);
    json_add_int(json, "allowed", (int64_t) sum->allowed);
    json_add_int(json, "nodes", (int64_t) sum->nodes);
    json_add_string(json, "lastTime", clock_format(sum->last_ms, time));
    return json;
}
