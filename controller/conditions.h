// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "lib/base/json.h"

/*
 * metav1.Condition
 * (https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties).
 */
enum condition_status { CONDITION_FALSE, CONDITION_TRUE, CONDITION_UNKNOWN };

struct condition {
    const char *type;
    enum condition_status status;
    const char *reason;  /* borrowed */
    const char *message; /* borrowed */
};

/*
 * Appends the condition. lastTransitionTime stays that of the condition of this type in `old` (an
 * array or NULL) unless the status differs; then it is `now_ms`.
 */
void condition_add(cJSON *conditions, const struct condition *condition, int64_t generation,
                   const cJSON *old, int64_t now_ms);
/* NULL when absent. */
const cJSON *condition_find(const cJSON *conditions, const char *type);
