// SPDX-License-Identifier: Apache-2.0
#include "agent/proc_scan.h"

#include <sys/fsuid.h>
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

/*
 * Opening a task's attr asks whether we may trace it (fs/proc/base.c, proc_pid_attr_open()), and
 * reading goes on when we may not. Of a confined process AppArmor asks both profiles, and each
 * container whose profile says nothing about us would have a denial in the log. It is not asked for
 * a user that owns no process, as the answer is no already. A thread has this user for itself; what
 * is read anybody may read.
 */
static void read_as_nobody(struct proc_scan *scan)
{
    uid_t uid = geteuid();

    setfsuid(NOBODYS_UID);
    (void) !scan->kind->read(scan->proc, &scan->result, &scan->err);
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
