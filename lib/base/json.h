// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

static inline void json_free(cJSON *json)
{
    cJSON_Delete(json);
}
DEFINE_CLEANUP(cJSON *, json_free)
#define _cleanup_json_ _cleanup_(json_freep)

/* Walks object keys, ended by NULL: json_get(pod, "spec", "nodeName"). NULL
 * when any step is missing. */
const cJSON *json_get_path(const cJSON *json, ...) __attribute__((sentinel));
const char *json_string_path(const cJSON *json, ...) __attribute__((sentinel));
#define json_get(json, ...) json_get_path(json, __VA_ARGS__, NULL)
/* The string at the path; NULL when missing or of another type. */
#define json_string(json, ...) json_string_path(json, __VA_ARGS__, NULL)
/* The number as an integer; `fallback` when it is missing, no number, or out of
 * range. */
int64_t json_int(const cJSON *number, int64_t fallback);
bool json_bool(const cJSON *json, bool fallback);

/*
 * Parses exactly `len` bytes: nothing may follow but white space, nesting is
 * limited by cJSON, and integers beyond 2^53 lose precision as in any double.
 * -EINVAL names the offset.
 */
_must_check_ int json_parse(const char *text, size_t len, cJSON **ret, struct error *err);
/* How many values the text may hold, at most: each takes far more memory than its text. */
size_t json_count_values(const char *text, size_t len);
/* Compact text; the caller frees it. */
char *json_print(const cJSON *json);
/* Equal content, keys in any order; NULL equals only NULL. */
bool json_equal(const cJSON *a, const cJSON *b);

/* Builders that take ownership and cannot fail. Keys are copied. Return the
 * value added. */
cJSON *json_add(cJSON *object, const char *key, cJSON *value);
cJSON *json_add_string(cJSON *object, const char *key, const char *value);
cJSON *json_add_int(cJSON *object, const char *key, int64_t value);
cJSON *json_add_bool(cJSON *object, const char *key, bool value);
cJSON *json_add_object(cJSON *object, const char *key);
cJSON *json_add_array(cJSON *object, const char *key);
void json_append(cJSON *array, cJSON *value);
void json_append_string(cJSON *array, const char *value);
