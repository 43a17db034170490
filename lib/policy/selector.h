// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/base/json.h"

/*
 * metav1.LabelSelector
 * (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#resources-that-support-set-based-requirements).
 */

/* NULL is fine. Errors name the expression. */
_must_check_ int policy_selector_check(const cJSON *selector, struct error *err);
/* NULL and {} match everything. `labels` is a JSON object or NULL. An invalid
 * selector matches nothing. */
bool policy_selector_matches(const cJSON *selector, const cJSON *labels);
