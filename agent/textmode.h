// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/policy/mode.h"

/*
 * Writes a mode into the flags of every profile, child and hat of flattened text, so that the host,
 * which compiles the file at boot, loads what we load. It reads the language loosely: the caller
 * compiles the result and falls back to the text as it was. -EFBIG when `out` is full.
 */
int textmode_apply(const char *text, size_t len, enum policy_mode mode, struct buf *out);
