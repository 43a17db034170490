// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

/*
 * The memory that this program's container may take, its children included: past that the kernel
 * ends all of it at once where kubelets set memory.oom.group (1.28 and newer, cgroup v2).
 */

/* What the cgroup mounted at `folder` says, v2 or v1 (in a container /sys/fs/cgroup is its own);
 * UINT64_MAX when it has no limit or cannot be read. */
uint64_t memory_limit_read(const char *folder);
/* Content of memory.max (v2) or memory.limit_in_bytes (v1, which has a large number for none);
 * UINT64_MAX for what is no number. */
uint64_t memory_limit_parse(const char *text);
