// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>
#include <uv.h>

#include "lib/base/cleanup.h"

/* The end of a process that is not our child, told by the kernel (pidfd_open(2)). */
struct exit_watch;

/*
 * Calls `fn` once, from the loop, when the process has ended; at once when there is none. NULL: the
 * kernel has no more descriptors for us, and the caller has to look by itself.
 */
struct exit_watch *exit_watch_new(uv_loop_t *loop, pid_t pid, void (*fn)(void *userdata),
                                  void *userdata);
/* From the callback, too. */
void exit_watch_free(struct exit_watch *watch);
DEFINE_CLEANUP(struct exit_watch *, exit_watch_free)

pid_t exit_watch_pid(const struct exit_watch *watch);
