// SPDX-License-Identifier: Apache-2.0
#include "controller/opinion.h"

#include <string.h>

#include "controller/conditions.h"

static const char *const results[] = {
    [OPINION_NONE] = "",
    [OPINION_ACCEPTED] = "Accepted",
    [OPINION_REFUSED] = "Refused",
    [OPINION_PARTLY_REFUSED] = "PartlyRefused",
    [OPINION_UNDECIDED] = "Undecided",
};

void opinion_add(cJSON *status, const struct opinion *opinion)
{
    cJSON *validation;

    if (opinion->result == OPINION_NONE)
        return;
    validation = json_add_object(status, "validation");
    json_add_string(validation, "result", results[opinion->result]);
    json_add_string(validation, "checkedWith", opinion->checked_with);
    if (opinion->result == OPINION_UNDECIDED && *opinion->message)
        json_add_string(validation, "message", opinion->message);
    if (cJSON_GetArraySize(opinion->warnings) > 0)
        json_add(status, "warnings", cJSON_Duplicate(opinion->warnings, true));
}

static enum opinion_result result_of(const char *text)
{
    for (size_t i = OPINION_NONE + 1; text && i < ARRAY_SIZE(results); i++)
        if (strcmp(text, results[i]) == 0)
            return (enum opinion_result) i;
    return OPINION_NONE;
}

struct opinion opinion_of(const cJSON *status)
{
    const cJSON *valid = condition_find(json_get(status, "conditions"), "Valid");
    const char *checked_with = json_string(status, "validation", "checkedWith");
    struct opinion opinion = {
        .result = result_of(json_string(status, "validation", "result")),
        .reason = "",
        .message = "",
        .checked_with = checked_with,
        .warnings = json_get(status, "warnings"),
    };

    if (opinion_refuses(&opinion)) {
        const char *reason = json_string(valid, "reason"), *message = json_string(valid, "message");

        if (!reason || !message)
            return (struct opinion){0};
        opinion.reason = reason;
        opinion.message = message;
    }
    if (opinion.result == OPINION_UNDECIDED && json_string(status, "validation", "message"))
        opinion.message = json_string(status, "validation", "message");
    return checked_with ? opinion : (struct opinion){0};
}
