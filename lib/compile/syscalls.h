// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/error.h"

/*
 * Takes system calls away from the calling thread and all that it becomes and starts. They fail
 * with EPERM; calls that are newer than these filters with ENOSYS.
 *
 * Async-signal-safe; needs no_new_privs. 0 or a negative errno. Filters exist for x86-64 and
 * little-endian aarch64; on other processors, and in a kernel without filters, this does nothing.
 */

/*
 * For the compiler: sockets and other ways to talk to processes, namespaces and mounts, and the
 * parts of the kernel that have known the most holes. execve() stays, as the caller is about to
 * need it.
 */
_must_check_ int syscalls_restrict_compiler(void);
/* Besides, for each of its processes by itself: signals to others by the call that abort() needs. A
 * filter takes the kernel longer to install the longer it is, so that the other one is inherited.
 */
_must_check_ int syscalls_restrict_compiler_self(void);
/*
 * For the agent itself, before it has threads: what it never does, namespaces and mounts, modules,
 * other processes' memory, BPF and the like. The kernel logs what is refused (audit type 1326).
 */
_must_check_ int syscalls_restrict_agent(void);
