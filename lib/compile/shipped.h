// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/buf.h"

/*
 * policy_expand() with the files below a base folder. What it reads could be read by anybody: a
 * link, a file or folder that is not for all, or a name that the parser passes over is left to the
 * parser in its sandbox (-ENOTSUP).
 */
_must_check_ int shipped_expand(const char *base, const char *text, size_t len, struct buf *out);
