// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"

/*
 * Compiled policy by what it was compiled from, in a folder of its own that survives reboots. All
 * of it may be lost, cut short or damaged at any time: an entry is checked against its digest when
 * it is read, and costs one compilation when it is not there. Nothing is synced.
 */
struct cache;

/* At most `size_max` bytes are kept; what was not read for longest goes first. */
struct cache *cache_new(const char *folder, size_t size_max);
void cache_free(struct cache *cache);
DEFINE_CLEANUP(struct cache *, cache_free)

/* `key` is a digest as hex. Without a cache (NULL) there is no entry, and none is kept. */

/* Appends the entry to `out`. -ENOENT when there is none, or it was damaged, and then it is gone.
 */
_must_check_ int cache_get(const struct cache *cache, const char *key, struct buf *out,
                           struct error *err);
/* One that is larger than the whole cache may be is not kept, which is no error. */
_must_check_ int cache_put(struct cache *cache, const char *key, const void *data, size_t len,
                           struct error *err);
