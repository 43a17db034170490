// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/confine.h"

#include <errno.h>

#include "lib/compile/syscalls.h"

int confine_limit(__rlimit_resource_t resource, rlim_t value)
{
    struct rlimit old;

    if (getrlimit(resource, &old) == 0 && old.rlim_max < value)
        value = old.rlim_max;
    return setrlimit(resource, &(struct rlimit){value, value}) < 0 ? -errno : 0;
}

int confine_self(const struct confine_limits *limits)
{
    int r = confine_limit(RLIMIT_AS, limits->memory_max);

    if (r == 0)
        r = confine_limit(RLIMIT_CPU, limits->cpu_seconds);
    /* Counted over all processes of the uid on the node, many of which may be there: none or any.
     */
    if (r == 0 && !limits->may_fork)
        r = confine_limit(RLIMIT_NPROC, 0);
    return r < 0 ? r : syscalls_restrict_compiler_self();
}
