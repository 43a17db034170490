// SPDX-License-Identifier: Apache-2.0
#include "agent/proc_scan.h"

#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/self.h"
#include "lib/base/alloc.h"

/* The last one; user namespaces end before it, and runtimes take half of it at most. */
#define NOBODYS_UID ((uid_t) -2)

struct proc_scan {
    uv_work_t work;
    const struct proc_scan_kind *kind;
    char *proc;
    proc_scan_fn fn; /* NULL once it must not be called */
    void *userdata;
    void *result;
    struct error err;
};

/* A thread's own, as system calls alone have it. */
struct capabilities {
    struct __user_cap_header_struct header;
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
};

/* False: they are as they were. */
static bool put_aside(struct capabilities *own)
{
    struct capabilities none;

    own->header = (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
    if (syscall(SYS_capget, &own->header, own->sets) < 0)
        return false;
    none = *own;
    for (size_t i = 0; i < ARRAY_SIZE(none.sets); i++)
        none.sets[i].effective = 0;
    return syscall(SYS_capset, &none.header, none.sets) == 0;
}

/*
 * Opening a task's attr asks whether we may trace it (fs/proc/base.c, proc_pid_attr_open()), and
 * reading goes on when we may not. Of a confined process AppArmor asks both profiles, and each
 * container whose profile says nothing about us would have a denial in the log. It is not asked for
 * a user that owns no process, as the answer is no already; nor, as newer kernels want to know
 * about capabilities then, for a thread without any. A thread has both for itself; what is read
 * anybody may read.
 */
static void read_as_nobody(struct proc_scan *scan)
{
    struct capabilities own;
    uid_t uid = geteuid();

    setfsuid(NOBODYS_UID);
    bool aside = put_aside(&own);
    (void) !scan->kind->read(scan->proc, &scan->result, &scan->err);
    if (aside)
        syscall(SYS_capset, &own.header, own.sets);
    setfsuid(uid);
}

/* On a thread of the pool. */
static void run(uv_work_t *work)
{
    struct proc_scan *scan = container_of(work, struct proc_scan, work);

    if (self_is_confined())
        read_as_nobody(scan);
    else
        (void) !scan->kind->read(scan->proc, &scan->result, &scan->err);
}

static void done(uv_work_t *work, _unused_ int status)
{
    struct proc_scan *scan = container_of(work, struct proc_scan, work);

    if (scan->fn)
        scan->fn(scan->userdata, TAKE_PTR(scan->result), &scan->err);
    scan->kind->free(scan->result);
    error_done(&scan->err);
    free(scan->proc);
    free(scan);
}

struct proc_scan *proc_scan_start(uv_loop_t *loop, const struct proc_scan_kind *kind,
                                  const char *proc, proc_scan_fn fn, void *userdata)
{
    struct proc_scan *scan = xcalloc(1, sizeof(*scan));

    scan->kind = kind;
    scan->proc = xstrdup(proc);
    scan->fn = fn;
    scan->userdata = userdata;
    uv_queue_work(loop, &scan->work, run, done);
    return scan;
}

void proc_scan_cancel(struct proc_scan *scan)
{
    if (!scan)
        return;
    scan->fn = NULL;
    (void) uv_cancel((uv_req_t *) &scan->work);
}
