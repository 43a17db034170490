// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"
#include "lib/base/json.h"

/*
 * YAML as Kubernetes uses it (libyaml), converted to JSON: the JSON schema's
 * scalar types, anchors and aliases refused (they allow exponential growth),
 * duplicate keys refused, depth at most 64. `ret_documents` is an array with
 * one item per non-empty document. Errors name line and column.
 */
_must_check_ int yaml_parse(const char *text, size_t len, cJSON **ret_documents, struct error *err);
/* An unquoted scalar that means null. */
bool yaml_word_is_null(const char *text);
