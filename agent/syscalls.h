// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/error.h"

/*
 * Takes system calls away from the calling thread and all that it becomes and starts: sockets and
 * other ways to talk to processes, namespaces and mounts, and the parts of the kernel that have
 * known the most holes. They fail with EPERM; calls that are newer than this filter with ENOSYS.
 * execve() stays, as the caller is about to need it.
 *
 * Async-signal-safe; needs no_new_privs. 0 or a negative errno. Filters exist for x86-64 and
 * little-endian aarch64; on other processors, and in a kernel without filters, this does nothing.
 */
_must_check_ int syscalls_restrict(void);
