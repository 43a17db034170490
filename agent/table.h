// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/records.h"
#include "lib/base/buf.h"

/* The records as a table for people, sorted by name; long messages on lines of their own. */
void table_render(const struct records *records, struct buf *out);
/* Prints it, unless it says what `*last` says, which becomes this one. The caller frees `*last`. */
void table_print(const struct records *records, char **last);
/* Every record is Loaded. */
bool table_all_loaded(const struct records *records);
