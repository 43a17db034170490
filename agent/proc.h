// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

/* Reading /proc (proc(5)). `task` is the descriptor of a folder of a process or thread. */

/* The longest label, or list of cgroups, that is read: far beyond what is in use. */
#define PROC_TEXT_MAX (64 * 1024)

/* A task that has ended meanwhile answers with this. */
bool proc_is_gone(int code);

/* `name` is that of the folder in `dir`. True: the task has ended, before it could be looked at. */
typedef bool (*proc_fn)(void *userdata, int dir, const char *name, pid_t pid);
/*
 * Calls `fn` for each numbered folder of `name`. A task that has ended meanwhile may have begun
 * another after the folder was listed, which may have begun another: the folder is listed again for
 * what is new until nothing new has ended. -EAGAIN when that has no end; another negative errno
 * when it cannot be read.
 *
 * What is new has a higher number than all before, until numbers begin anew: proc_last_pid().
 */
_must_check_ int proc_each(int dir, const char *name, proc_fn fn, void *userdata);
/* The number that was given out last, as /proc/loadavg tells; 0 when it does not. */
pid_t proc_last_pid(const char *proc);
/* As open(2), to read below it; a negative errno. */
_must_check_ int proc_open(int dir, const char *name);
/*
 * -EPERM unless `proc` shows all processes of the node: in a pod without hostPID, or with the mount
 * option hidepid, most of them are missing.
 */
_must_check_ int proc_check_whole(const char *proc, struct error *err);

/* AppArmor's label of a task, and the one that it enters at its next exec. */
enum proc_attr { PROC_ATTR_CURRENT, PROC_ATTR_EXEC };
/* Replaces `text`. */
_must_check_ int proc_read_attr(int task, enum proc_attr attr, struct buf *text);

struct proc_stat {
    char state; /* R, S, … */
    pid_t parent;
    uint64_t start; /* clock ticks from boot */
};

_must_check_ int proc_read_stat(int task, struct proc_stat *ret);
/* A zombie: it keeps its label and never runs again. */
bool proc_stat_is_dead(const struct proc_stat *stat);
/* The same, or gone. */
bool proc_is_dead(int task);
/*
 * By its name, or its command line where the name is a number, it is what a container runtime
 * begins a container or an exec with: unconfined until it becomes the container's program. Any
 * program can give itself either.
 */
bool proc_is_runtime_init(int task);
