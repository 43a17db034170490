// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/cleanup.h"

/*
 * Whether files may have changed, told without a look at any of them: inotify(7) remembers, and
 * wakes nobody. It says that they may have where it cannot be sure: links among them, file systems
 * that others write to, no watches left.
 */
struct tree_watch;

struct tree_watch *tree_watch_new(void);
void tree_watch_free(struct tree_watch *watch);
DEFINE_CLEANUP(struct tree_watch *, tree_watch_free)

/*
 * From now on the file `program` and what is in these folders of `base`, the last of which is NULL;
 * a folder need not be there. Files of `base` itself do not count.
 */
void tree_watch_begin(struct tree_watch *watch, const char *program, const char *base,
                      const char *const *folders);
/* Nothing has changed since tree_watch_begin(). */
bool tree_watch_is_quiet(struct tree_watch *watch);
