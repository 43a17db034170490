// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

/*
 * policy_expand() with the files below a base folder, which are kept in memory once they are read.
 * What it reads could be read by anybody: a link, a file or folder that is not for all, or a name
 * that the parser passes over is left to the parser in its sandbox (-ENOTSUP).
 */
struct shipped;

struct shipped *shipped_new(const char *base);
void shipped_free(struct shipped *shipped);
DEFINE_CLEANUP(struct shipped *, shipped_free)

/* The files may have changed. */
void shipped_forget(struct shipped *shipped);
/* What is in `out` after a failure is of no use. */
_must_check_ int shipped_expand(struct shipped *shipped, const char *text, size_t len,
                                struct buf *out);
