// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "lib/base/error.h"

/*
 * What a process of the compiler gives up for itself alone, as the last thing before it has policy
 * before it: memory, time, further processes, and system calls that name itself
 * (lib/compile/syscalls.h). Async-signal-safe, and without anything of libuv or of ours behind it:
 * it also runs in the parser's own process (lib/compile/preload).
 */
struct confine_limits {
    uint64_t memory_max;  /* bytes of address space */
    uint64_t cpu_seconds; /* of the processor */
    bool may_fork;
};

/* Needs no_new_privs. 0 or a negative errno. */
_must_check_ int confine_self(const struct confine_limits *limits);
/* Sets a limit for good; a lower one from outside holds. 0 or a negative errno. */
_must_check_ int confine_limit(__rlimit_resource_t resource, rlim_t value);
