// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/buf.h"
#include "lib/base/json.h"

/*
 * JSON as YAML for people: blocks, texts of several lines as literal blocks, nothing quoted that
 * need not be. yaml_parse() reads the same value again, except that bytes which are not valid UTF-8
 * become U+FFFD. Additions to a buffer that overflows are told by its flag.
 */
void yaml_print(const cJSON *json, struct buf *out);
