// SPDX-License-Identifier: Apache-2.0
#include "agent/nobody.h"

#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

/* The last one; user namespaces end before it, and runtimes take half of it at most. */
#define NOBODYS_UID ((uid_t) -2)

/* By system calls, which are about one thread. False: they are as they were. */
static bool put_aside(struct nobody *self)
{
    struct nobody none;

    self->header = (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
    if (syscall(SYS_capget, &self->header, self->sets) < 0)
        return false;
    none = *self;
    for (size_t i = 0; i < ARRAY_SIZE(none.sets); i++)
        none.sets[i].effective = 0;
    return syscall(SYS_capset, &none.header, none.sets) == 0;
}

void nobody_enter(struct nobody *self)
{
    self->uid = geteuid();
    setfsuid(NOBODYS_UID);
    self->aside = put_aside(self);
}

void nobody_leave(const struct nobody *self)
{
    struct nobody own = *self;

    if (self->aside)
        syscall(SYS_capset, &own.header, own.sets);
    setfsuid(self->uid);
}
