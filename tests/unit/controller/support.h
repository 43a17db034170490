// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/conditions.h"
#include "controller/nodes.h"
#include "controller/rollup.h"
#include "lib/base/alloc.h"
#include "lib/base/json.h"

/* JSON from a format in which ' stands for ". */
static inline cJSON *json_of(const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    _cleanup_error_ struct error err = {0};
    cJSON *json = NULL;
    va_list args;

    va_start(args, format);
    text = xvasprintf(format, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    cr_assert_eq(json_parse(text, strlen(text), &json, &err), 0, "%s: %s", text,
                 error_message(&err));
    return json;
}

static inline void ignore_change(_unused_ void *userdata, _unused_ const char *profile)
{
}

static inline void set_report(struct node_index *index, const char *name, const cJSON *status)
{
    node_index_set_report(index, name, node_index_read_report(index, status));
}

/*
 * How kstatus reads an object with this status
 * (https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/status/status.go,
 * checkGenericProperties).
 */
static inline const char *kstatus(bool deleting, int64_t generation, const cJSON *status)
{
    const cJSON *conditions = json_get(status, "conditions"), *condition;

    if (deleting)
        return "Terminating";
    if (json_int(json_get(status, "observedGeneration"), generation) != generation)
        return "InProgress";
    cJSON_ArrayForEach(condition, conditions)
    {
        const char *type = json_string(condition, "type");

        if (strcmp(json_string(condition, "status"), "True") != 0)
            continue;
        if (strcmp(type, "Reconciling") == 0)
            return "InProgress";
        if (strcmp(type, "Stalled") == 0)
            return "Failed";
    }
    condition = condition_find(conditions, "Ready");
    if (condition && strcmp(json_string(condition, "status"), "True") != 0)
        return "InProgress";
    return "Current";
}
