// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/compile/cache.h"
#include "lib/compile/parser.h"

/* What only running the parser tells. */
struct probe {
    char version[32]; /* "3.0.8" */
    bool may_fork;    /* it compiles nothing without a process of its own */
};

/*
 * Runs the parser for its version and on an empty profile in its sandbox, and waits for that; or
 * takes what the cache (may be NULL) has of an earlier start. `program` is the parser's digest.
 */
_must_check_ int probe_parser(const struct parser *parser, struct cache *cache, const char *program,
                              struct probe *ret, struct error *err);
