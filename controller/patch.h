// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/json.h"

/*
 * The merge patch (RFC 7386) that makes `old` (an object or NULL) into `new` (an object, without
 * nulls); NULL when they are equal. The caller owns it.
 */
cJSON *merge_patch(const cJSON *old, const cJSON *new);
