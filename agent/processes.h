// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "agent/cgroup.h"
#include "lib/base/cleanup.h"

/*
 * Where a process was at a time that is just past, such as that of an audit record: in which
 * container of which pod. The process may have ended by now, and another may have its number: only
 * one that had begun by that time is it.
 */
struct processes;

enum process_where {
    PROCESS_UNKNOWN, /* it cannot be told */
    PROCESS_OUTSIDE, /* in no pod */
    PROCESS_IN_POD,
};

/* `proc` (NULL: "/proc") is borrowed. Without the view of the whole node everything is unknown. */
struct processes *processes_new(const char *proc);
void processes_free(struct processes *processes);
DEFINE_CLEANUP(struct processes *, processes_free)

/* `time_ms` since the epoch. Fills `ret` for PROCESS_IN_POD. Takes some ten microseconds, less for
 * a process that was asked for just before. */
enum process_where processes_find(struct processes *processes, pid_t pid, int64_t time_ms,
                                  struct cgroup_place *ret);

/* What was found holds for so long after: numbers of processes are given out in turn. */
#define PROCESSES_HOLD_MS 100
