// SPDX-License-Identifier: Apache-2.0
#include "agent/learnt.h"

#include <fcntl.h>
#include <string.h>

#include "agent/tasks.h"
#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"

/* A burst of loads is one. */
#define DELAY_MS 500
#define AGAIN_MS 10000
/* Of the kernel's list: a line for each profile. */
#define LIST_MAX (16 * 1024 * 1024)

struct learnt {
    uv_loop_t *loop;
    struct learnt_options options;
    char *list;
    struct loop_timer *timer;
    struct proc_scan *scan;
};

static bool is_enforced(const struct record *record)
{
    enum policy_mode mode = record->state.mode;

    return record->marker &&
           (mode == POLICY_ENFORCE || mode == POLICY_KILL || mode == POLICY_MIXED);
}

/* `tasks` NULL: there are none. True when any is left. */
static bool take(struct learnt *learnt, const struct tasks *tasks)
{
    struct record *record;
    bool any = false;
    size_t position = 0;

    while ((record = records_next(learnt->options.records, &position))) {
        struct tasks_use use = {0};

        if (tasks && is_enforced(record))
            use = tasks_learnt(tasks, &record->state.names);
        any |= use.used;
        if (use.count == record->learnt.count && use.pid == record->learnt.pid)
            continue;
        record->learnt = use;
        learnt->options.changed(learnt->options.userdata, record->name);
    }
    return any;
}

static void on_tasks(void *userdata, void *result, const struct error *err)
{
    _cleanup_(tasks_freep) struct tasks *tasks = result;
    struct learnt *learnt = userdata;

    learnt->scan = NULL;
    if (!tasks)
        log_debug("cannot look for tasks of complain mode", "err", error_message(err));
    else if (take(learnt, tasks) && !loop_timer_active(learnt->timer))
        loop_timer_start(learnt->timer, AGAIN_MS);
}

/* Most nodes have none: one file of the kernel's tells, as it lists what it has made up. */
static bool may_have_any(const struct learnt *learnt)
{
    _cleanup_buf_ struct buf list = BUF_INIT(LIST_MAX);
    _cleanup_error_ struct error err = {0};

    return fs_read(AT_FDCWD, learnt->list, &list, &err) < 0 || strstr(buf_string(&list), "//null-");
}

static void look(void *userdata)
{
    struct learnt *learnt = userdata;

    if (learnt->scan)
        loop_timer_start(learnt->timer, DELAY_MS);
    else if (may_have_any(learnt))
        learnt->scan =
            proc_scan_start(learnt->loop, &tasks_scan, learnt->options.proc, on_tasks, learnt);
    else
        take(learnt, NULL);
}

void learnt_wake(struct learnt *learnt)
{
    loop_timer_start(learnt->timer, DELAY_MS);
}

struct learnt *learnt_new(uv_loop_t *loop, const struct learnt_options *options)
{
    struct learnt *learnt = xcalloc(1, sizeof(*learnt));

    learnt->loop = loop;
    learnt->options = *options;
    learnt->list = kernel_list_path(options->kernel);
    learnt->timer = loop_timer_new(loop, look, learnt);
    return learnt;
}

void learnt_free(struct learnt *learnt)
{
    if (!learnt)
        return;
    proc_scan_cancel(learnt->scan);
    loop_timer_free(learnt->timer);
    free(learnt->list);
    free(learnt);
}
