// SPDX-License-Identifier: Apache-2.0
#include "agent/proc_scan.h"

#include "agent/nobody.h"
#include "agent/self.h"
#include "lib/base/alloc.h"

struct proc_scan {
    uv_work_t work;
    const struct proc_scan_kind *kind;
    char *proc;
    proc_scan_fn fn; /* NULL once it must not be called */
    void *userdata;
    void *result;
    struct error err;
};

static void read_as_nobody(struct proc_scan *scan)
{
    struct nobody self;

    nobody_enter(&self);
    (void) !scan->kind->read(scan->proc, &scan->result, &scan->err);
    nobody_leave(&self);
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
