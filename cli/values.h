// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/strv.h"

/* Values out of API objects, and how they look in tables. */

/* "" when it is missing. */
#define value_text(json, ...) value_or_empty(json_string(json, __VA_ARGS__))
const char *value_or_empty(const char *text);

/* The condition of this type, or NULL. */
const cJSON *value_condition(const cJSON *object, const char *type);
/* How long ago an RFC 3339 time was, as kubectl writes it: 5s, 3m, 2h, 4d; "" when there is none.
 * The caller frees it. */
char *value_age(const char *time, int64_t now_ms);
/* The strings of a list, "a, b". The caller frees it. */
char *value_join(const cJSON *strings);
/* "a, b, c and 7 others"; the caller frees it. */
char *value_some(const struct strv *names, size_t max);
