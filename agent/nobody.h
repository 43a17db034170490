// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/capability.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * Reading /proc without a trace in anybody's log. Opening a task's attr or stat asks whether we may
 * trace it (fs/proc/base.c, proc_pid_attr_open(); fs/proc/array.c, do_task_stat()), and reading
 * goes on when we may not. Of a confined process AppArmor asks both profiles, and each container
 * whose profile says nothing about us would have a denial in the log. It is not asked for a user
 * that owns no process, as the answer is no already; nor, as newer kernels want to know about
 * capabilities then, for a thread without any. A thread has both for itself; what is read so
 * anybody may read.
 */
struct nobody {
    uid_t uid;
    bool aside; /* the capabilities are */
    struct __user_cap_header_struct header;
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
};

/* The calling thread becomes nobody, and itself again. */
void nobody_enter(struct nobody *self);
void nobody_leave(const struct nobody *self);
