// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/json.h"

/*
 * A JSON tree in few bytes, for what is kept for long and rarely read. cJSON takes 64 bytes and up
 * to three allocations for each value, ten times the text of a typical object; packed, an object is
 * one allocation smaller than its text, as the names of members, which repeat from object to
 * object, are kept once for the whole program.
 */
struct packed;

/* The caller frees it with free(). The tree stays the caller's. */
struct packed *packed_new(const cJSON *json);
/* Bytes of the allocation. */
size_t packed_size(const struct packed *packed);
/*
 * The tree again: one allocation, which the caller frees with free(), never with json_free(). Its
 * strings are in `packed`, and live as long as that. It must not be changed; parts of it may be
 * duplicated.
 */
cJSON *packed_tree(const struct packed *packed);
