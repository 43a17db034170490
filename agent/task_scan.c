// SPDX-License-Identifier: Apache-2.0
#include "agent/task_scan.h"

#include "lib/base/alloc.h"

struct task_scan {
    uv_work_t work;
    char *proc;
    task_scan_fn fn; /* NULL once it must not be called */
    void *userdata;
    struct tasks *tasks;
    struct error err;
};

/* On a thread of the pool. */
static void run(uv_work_t *work)
{
    struct task_scan *scan = container_of(work, struct task_scan, work);

    (void) !tasks_read(scan->proc, &scan->tasks, &scan->err);
}

static void done(uv_work_t *work, _unused_ int status)
{
    struct task_scan *scan = container_of(work, struct task_scan, work);

    if (scan->fn)
        scan->fn(scan->userdata, TAKE_PTR(scan->tasks), &scan->err);
    tasks_free(scan->tasks);
    error_done(&scan->err);
    free(scan->proc);
    free(scan);
}

struct task_scan *task_scan_start(uv_loop_t *loop, const char *proc, task_scan_fn fn,
                                  void *userdata)
{
    struct task_scan *scan = xcalloc(1, sizeof(*scan));

    scan->proc = xstrdup(proc);
    scan->fn = fn;
    scan->userdata = userdata;
    uv_queue_work(loop, &scan->work, run, done);
    return scan;
}

void task_scan_cancel(struct task_scan *scan)
{
    if (!scan)
        return;
    scan->fn = NULL;
    (void) uv_cancel((uv_req_t *) &scan->work);
}
