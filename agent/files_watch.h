// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "agent/files.h"
#include "lib/base/cleanup.h"

/*
 * Notices what happens to the ownership files between the agent's own looks at them: one that
 * somebody removes is what keeps the host's tools from unloading its profiles.
 */
struct files_watch;

/* A file of that object's was made, changed or removed; by us, too. NULL: any may have been, while
 * the folder was not watched. */
typedef void (*files_watch_fn)(void *userdata, const char *object);
/* So was a file that is none of the agent's. */
typedef void (*files_watch_other_fn)(void *userdata);

/* The folder need not be there yet. */
struct files_watch *files_watch_new(uv_loop_t *loop, const struct files *files, files_watch_fn fn,
                                    files_watch_other_fn other, void *userdata);
void files_watch_free(struct files_watch *watch);
DEFINE_CLEANUP(struct files_watch *, files_watch_free)
