// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/compile/check.h"

/* Verdicts by a digest of what they are about, a bounded number; the one that was not asked for for
 * longest goes first. */
struct verdicts;

struct verdicts *verdicts_new(size_t max);
void verdicts_free(struct verdicts *verdicts);
DEFINE_CLEANUP(struct verdicts *, verdicts_free)

/* NULL when there is none. Borrowed until the next verdicts_put(). */
const struct verdict *verdicts_get(struct verdicts *verdicts, const char *key);
/* Takes ownership of the verdict. */
void verdicts_put(struct verdicts *verdicts, const char *key, struct verdict *verdict);
void verdicts_remove(struct verdicts *verdicts, const char *key);
