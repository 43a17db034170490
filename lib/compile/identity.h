// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/compile/cache.h"
#include "lib/compile/parser.h"

/* What the compiler is made of: what it makes of a text may differ where one of these does. */
struct identity {
    char program[DIGEST_HEX_SIZE];
    char all[DIGEST_HEX_SIZE]; /* it, the kernel's features and what policy may include */
};

/* Tells by a stat of each file whether program or includes may have changed; nothing is read. */
_must_check_ int identity_stamp(const struct parser *parser, char ret[static DIGEST_HEX_SIZE],
                                struct error *err);
/*
 * Reads the files, unless the cache (may be NULL) has what an earlier start read under the same
 * stamp.
 */
_must_check_ int identity_take(const struct parser *parser, struct cache *cache, const char *stamp,
                               struct identity *ret, struct error *err);
