// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/records.h"
#include "lib/base/buf.h"

/* The records as a table for people, sorted by name; long messages on lines of their own. */
void table_render(const struct records *records, struct buf *out);
/* Every record is Loaded. */
bool table_all_loaded(const struct records *records);
